use std::fmt;

/// Everything an expression may be made of, for the person who used something else.
pub(super) const ALLOWED: &str = "allowed are columns, numbers, 'text', TRUE, FALSE, NULL, \
     + - * ||, = <> < <= > >=, AND, OR, NOT, IS [NOT] NULL, [NOT] IN (list), [NOT] LIKE, \
     [NOT] BETWEEN, CASE, COALESCE, LEAST, GREATEST, CAST to text, integer or decimal, and \
     parentheses";

/// Why a text is no expression, or does not fit the columns it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    at: Option<usize>,
    found: String,
    fix: String,
}

impl ExpressionError {
    pub(super) fn new(at: Option<usize>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { at, found: found.into(), fix: fix.into() }
    }

    /// Where in the expression: its characters are counted from 1.
    pub fn at(&self) -> Option<usize> {
        self.at
    }

    /// What to write instead.
    pub fn fix(&self) -> String {
        self.fix.clone()
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)?;
        match self.at {
            Some(at) => write!(f, " at character {at} of the expression"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}
