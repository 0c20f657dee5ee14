/// A piece of a statement, as the server's own reader cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A keyword, a number or a name without quotes.
    Word(&'t [u8]),
    /// What stands between the quotes of a name, and the quote, which is doubled within.
    Name(&'t [u8], u8),
    /// What stands between the quotes of a string, as it is written.
    Text(&'t [u8]),
    /// Any other byte.
    Sign(u8),
}

impl Token<'_> {
    /// Whether it is this keyword, in either case and without quotes.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword.as_bytes()))
    }
}

/// The tokens of a statement. A copy is a bookmark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'t> {
    left: &'t [u8],
    ansi_quotes: bool,
    backslash_escapes: bool,
    /// Inside `/*! ... */`, whose content is part of the statement.
    executed: bool,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t [u8], ansi_quotes: bool, backslash_escapes: bool) -> Self {
        Self { left: text, ansi_quotes, backslash_escapes, executed: false }
    }

    /// Skips white space and comments. What a server does not execute of its own comments it
    /// takes the exclamation mark from before it logs the statement: all that are left are code.
    fn skip_to_token(&mut self) {
        loop {
            match self.left {
                // Some servers end a statement with a zero byte.
                [b' ' | b'\t'..=b'\r' | 0, rest @ ..] => self.left = rest,
                [b'#', rest @ ..] => self.left = behind(rest, b"\n"),
                [b'-', b'-', rest @ ..] if rest.first().is_none_or(|byte| *byte <= b' ') => {
                    self.left = behind(rest, b"\n");
                }
                [b'/', b'*', b'!', rest @ ..] | [b'/', b'*', b'M', b'!', rest @ ..] => {
                    self.left = without_version(rest);
                    self.executed = true;
                }
                [b'/', b'*', rest @ ..] => self.left = behind(rest, b"*/"),
                [b'*', b'/', rest @ ..] if self.executed => {
                    self.left = rest;
                    self.executed = false;
                }
                _ => return,
            }
        }
    }

    /// What stands between quotes, from behind the first; to the end when the second is missing.
    fn quoted(&mut self, quote: u8, escapes: bool) -> &'t [u8] {
        let text = self.left;
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            if *byte == b'\\' && escapes {
                at += 2;
            } else if *byte != quote {
                at += 1;
            } else if text.get(at + 1) == Some(&quote) {
                at += 2;
            } else {
                self.left = &text[at + 1..];
                return &text[..at];
            }
        }
        self.left = &[];
        text
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.skip_to_token();
        let (&first, rest) = self.left.split_first()?;
        if is_word(first) {
            let end = self.left.iter().position(|byte| !is_word(*byte));
            let (word, rest) = self.left.split_at(end.unwrap_or(self.left.len()));
            self.left = rest;
            return Some(Token::Word(word));
        }
        self.left = rest;
        Some(match first {
            b'`' => Token::Name(self.quoted(b'`', false), first),
            b'"' if self.ansi_quotes => Token::Name(self.quoted(b'"', false), first),
            b'"' | b'\'' => Token::Text(self.quoted(first, self.backslash_escapes)),
            _ => Token::Sign(first),
        })
    }
}

/// The bytes of names that need no quotes. Those of other alphabets are all above ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// What follows the first `mark`; nothing when there is none.
fn behind<'t>(text: &'t [u8], mark: &[u8]) -> &'t [u8] {
    let at = text.windows(mark.len()).position(|window| window == mark);
    at.map_or(&[], |at| &text[at + mark.len()..])
}

/// The five or six digits of the version an executed comment asks for.
fn without_version(text: &[u8]) -> &[u8] {
    let digits = text.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    if digits >= 5 { &text[digits..] } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tokens, a space between them, strings in their quotes and names in angle brackets.
    fn cut(text: &str, ansi_quotes: bool, backslash_escapes: bool) -> String {
        let show = |token| match token {
            Token::Word(word) => String::from_utf8_lossy(word).into_owned(),
            Token::Name(name, _) => format!("<{}>", String::from_utf8_lossy(name)),
            Token::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
            Token::Sign(sign) => char::from(sign).to_string(),
        };
        let tokens = Tokens::new(text.as_bytes(), ansi_quotes, backslash_escapes);
        tokens.map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn statements_are_cut_as_the_server_cuts_them() {
        for (text, tokens) in [
            ("a.b", "a . b"),
            ("`a``b`.`c d`", "<a``b> . <c d>"),
            ("'it''s' 'a\\'b' \"c`d\"", "'it''s' 'a\\'b' 'c`d'"),
            ("a/* b */c", "a c"),
            ("a # b\nc", "a c"),
            ("a -- b\nc", "a c"),
            ("a --", "a"),
            ("a--b", "a - - b"),
            ("drop /*!40005 temporary */ table", "drop temporary table"),
            ("a /*!b*/ /*M!100201 c*/ /*!999999d*/ e", "a b c d e"),
            ("a /*!50001 b /* c */ d */ e */ f", "a b d e * / f"),
            ("a /* b", "a"),
            ("a 'b", "a 'b'"),
            ("a `b", "a <b>"),
            ("a 'b\\", "a 'b\\'"),
            ("a\0b;", "a b ;"),
            ("\u{fc}ber$1", "\u{fc}ber$1"),
        ] {
            assert_eq!(cut(text, false, true), tokens, "{text}");
        }
    }

    #[test]
    fn double_quotes_hold_names_where_the_session_says_so() {
        assert_eq!(cut("\"a\\\" 'b'", true, true), "<a\\> 'b'");
        assert_eq!(cut("\"a\" 'b'", false, true), "'a' 'b'");
    }

    #[test]
    fn a_backslash_is_a_letter_where_the_session_says_so() {
        assert_eq!(cut("'a\\' b", false, false), "'a\\' b");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_token_takes_some(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[a-z`'\"\\\\/*!#. \n-]{0,60}",
            quotes: (bool, bool),
        ) {
            for bytes in [&bytes[..], text.as_bytes()] {
                let count = Tokens::new(bytes, quotes.0, quotes.1).count();
                prop_assert!(count <= bytes.len());
            }
        }
    }
}
