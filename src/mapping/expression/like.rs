use super::error::ExpressionError;

/// A LIKE pattern, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// `%`
    Any,
    /// `_`
    One,
    Char(char),
}

impl Pattern {
    /// Takes `text` apart. `escape` makes the character behind it an ordinary one.
    pub(super) fn new(
        text: &str,
        escape: Option<char>,
        at: usize,
    ) -> Result<Self, ExpressionError> {
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(char) = rest.next() {
            let piece = match char {
                _ if Some(char) == escape => {
                    let escaped = rest.next().ok_or_else(|| {
                        let found =
                            format!("the LIKE pattern ends with its escape character {char}");
                        let fix = format!("write {char}{char} for the character itself");
                        ExpressionError::new(Some(at), found, fix)
                    })?;
                    Piece::Char(escaped)
                }
                '%' => Piece::Any,
                '_' => Piece::One,
                _ => Piece::Char(char),
            };
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        Ok(Self(pieces))
    }

    /// The pattern with `by` for every `part`, both of ordinary characters.
    #[must_use]
    pub(super) fn replaced(&self, part: &str, by: &str) -> Self {
        let part: Vec<Piece> = part.chars().map(Piece::Char).collect();
        let mut pieces = Vec::new();
        let mut rest = self.0.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            match rest.strip_prefix(part.as_slice()) {
                Some(behind) => {
                    pieces.extend(by.chars().map(Piece::Char));
                    rest = behind;
                }
                None => {
                    pieces.push(*first);
                    rest = behind;
                }
            }
        }
        Self(pieces)
    }

    /// Whether `part` stands in it, of ordinary characters.
    pub(super) fn mentions(&self, part: &str) -> bool {
        let part: Vec<Piece> = part.chars().map(Piece::Char).collect();
        self.0.windows(part.len()).any(|pieces| pieces == part)
    }

    /// Whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let pieces = &self.0;
        let mut at = 0;
        let mut rest = text.chars();
        // Where to try again: behind the last `%`, one character later.
        let mut retry = None;
        loop {
            let here = rest.clone();
            let next = rest.next();
            match (pieces.get(at), next) {
                (Some(Piece::Any), _) => {
                    rest = here;
                    at += 1;
                    retry = Some((at, rest.clone()));
                }
                (None, None) => return true,
                (Some(Piece::One), Some(_)) => at += 1,
                (Some(Piece::Char(wanted)), Some(char)) if *wanted == char => at += 1,
                (_, None) => return false,
                (_, Some(_)) => {
                    let Some((behind, from)) = &mut retry else { return false };
                    from.next();
                    at = *behind;
                    rest = from.clone();
                }
            }
        }
    }
}
