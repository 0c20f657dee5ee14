use std::borrow::Cow;

use connector_api::TableName;

use super::Dialect;
use super::lexer::{Token, Tokens};

/// A place in a statement, from which names and keywords are read. A copy is a bookmark.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    tokens: Tokens<'t>,
    dialect: &'t Dialect<'t>,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t [u8], dialect: &'t Dialect<'t>) -> Self {
        let tokens = Tokens::new(text, dialect.ansi_quotes, !dialect.no_backslash_escapes);
        Self { tokens, dialect }
    }

    pub(super) fn next(&mut self) -> Option<Token<'t>> {
        self.tokens.next()
    }

    pub(super) fn peek(&self) -> Option<Token<'t>> {
        self.tokens.clone().next()
    }

    /// The keyword that comes next, in upper case; empty when none does.
    pub(super) fn keyword(&mut self) -> String {
        match self.next() {
            Some(Token::Word(word)) => String::from_utf8_lossy(word).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    /// Goes behind these keywords if they come next, all of them in this order.
    pub(super) fn take(&mut self, keywords: &[&str]) -> bool {
        let mut ahead = *self;
        let found = keywords.iter().all(|one| ahead.next().is_some_and(|token| token.is(one)));
        if found {
            *self = ahead;
        }
        found
    }

    /// Goes behind whatever of these keywords comes next, in any order.
    pub(super) fn skip(&mut self, keywords: &[&str]) {
        while keywords.iter().any(|keyword| self.take(&[keyword])) {}
    }

    /// Goes behind `sign` if it comes next.
    pub(super) fn sign(&mut self, sign: u8) -> bool {
        let found = self.peek() == Some(Token::Sign(sign));
        if found {
            self.next();
        }
        found
    }

    /// Whether nothing but semicolons is left.
    pub(super) fn at_end(&self) -> bool {
        let mut ahead = *self;
        while ahead.sign(b';') {}
        ahead.peek().is_none()
    }

    /// Goes behind the parenthesis that closes the one just read.
    pub(super) fn skip_group(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next() {
                Some(Token::Sign(b'(')) => depth += 1,
                Some(Token::Sign(b')')) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// A name without quotes around it, in the server's case.
    pub(super) fn identifier(&mut self) -> Option<String> {
        let mut ahead = *self;
        let name = identifier(ahead.next()?)?;
        *self = ahead;
        Some(self.folded(name))
    }

    /// A table's name, with the default schema where none is given. `t.*` and `s.t.*` stand for
    /// the table too.
    pub(super) fn table(&mut self) -> Option<TableName> {
        // `.t` is an old spelling of `t`.
        self.sign(b'.');
        let first = self.identifier()?;
        let mut ahead = *self;
        if ahead.sign(b'.') {
            if let Some(second) = ahead.identifier() {
                *self = ahead;
                if ahead.sign(b'.') && ahead.sign(b'*') {
                    *self = ahead;
                }
                return Some(TableName::new(first, second));
            }
            if ahead.sign(b'*') {
                *self = ahead;
            }
        }
        let schema = self.folded(Cow::Borrowed(self.dialect.schema));
        Some(TableName::new(schema, first))
    }

    /// Names of tables with commas between them.
    pub(super) fn tables(&mut self) -> Option<Vec<TableName>> {
        let mut tables = vec![self.table()?];
        while self.sign(b',') {
            tables.push(self.table()?);
        }
        Some(tables)
    }

    /// The default schema.
    pub(super) fn schema(&self) -> String {
        self.folded(Cow::Borrowed(self.dialect.schema))
    }

    fn folded(&self, name: Cow<'_, str>) -> String {
        if self.dialect.fold_case { name.to_lowercase() } else { name.into_owned() }
    }
}

/// The name a token stands for where a name is wanted.
fn identifier(token: Token<'_>) -> Option<Cow<'_, str>> {
    match token {
        Token::Word(word) => Some(String::from_utf8_lossy(word)),
        Token::Name(name, quote) if name.contains(&quote) => {
            let quote = char::from(quote);
            let doubled = [quote; 2].iter().collect::<String>();
            let name = String::from_utf8_lossy(name);
            Some(Cow::Owned(name.replace(&doubled, quote.encode_utf8(&mut [0; 4]))))
        }
        Token::Name(name, _) => Some(String::from_utf8_lossy(name)),
        Token::Text(_) | Token::Sign(_) => None,
    }
}
