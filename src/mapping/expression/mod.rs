//! SQL expressions over the columns of one row, with one meaning on every database.
//!
//! | file | owns |
//! |---|---|
//! | `parse` | text to the parser's tree, within bounds |
//! | `lower` | the parser's tree to ours; refuses what is not allowed |
//! | `tree` | our tree |
//! | `check` | columns to places, kinds of values, readings of unknown kinds |
//! | `condition` | what of it a server can judge |
//! | `eval`, `value`, `like` | a checked tree and a row to a value |
//!
//! Text compares by bytes, numbers are exact decimals, logic is three-valued. A fourth value,
//! [`Scalar::Absent`], stands for a column the row image does not have: the result is absent too,
//! unless it is the same whatever the column holds.

mod check;
mod condition;
mod error;
mod eval;
mod like;
mod lower;
mod parse;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub use error::ExpressionError;
pub use value::{Columns, Presence, Scalar};

use crate::stock::Quality;
use tree::{Node, What};

/// A parsed expression; its columns are names.
#[derive(Debug, Clone)]
pub struct Expression {
    root: Node,
    names: Vec<Name>,
}

/// A column's name in an expression.
#[derive(Debug, Clone)]
struct Name {
    text: String,
    quoted: bool,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Integers, decimals, floats.
    Number,
    /// Text, and everything that is compared as its text: dates, times, JSON, bytes.
    Text,
    /// Booleans.
    Bool,
    /// Found out value by value: each is read as what its neighbours in the expression are.
    Unknown,
}

/// A column an expression may name.
#[derive(Debug, Clone)]
pub struct ColumnInfo {
    name: String,
    kind: ColumnKind,
    /// What it stands for, when it is no column of its own.
    means: Option<Node>,
}

impl ColumnInfo {
    /// A column by its name as the database spells it, unquoted.
    pub fn new(name: &str, kind: ColumnKind) -> Self {
        Self { name: name.to_owned(), kind, means: None }
    }

    /// A name that stands for `program`, whose columns are places already.
    pub fn standing_for(name: &str, program: Program) -> Self {
        Self { name: name.to_owned(), kind: program.kind, means: Some(program.root) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Expression {
    /// Parses at most 4 KiB of SQL.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let parsed = parse::parse(text)?;
        let mut lowering = lower::Lowering::new(text);
        let root = lowering.node(&parsed)?;
        Ok(Self { root, names: lowering.into_names() })
    }

    /// The column of this name.
    pub fn column(name: &str) -> Self {
        let names = vec![Name { text: name.to_owned(), quoted: false }];
        Self { root: Node::new(1, What::Column(0)), names }
    }

    /// The names of the columns it needs, in the order of their first use.
    pub fn columns(&self) -> Vec<&str> {
        self.names.iter().map(|name| name.text.as_str()).collect()
    }

    /// The text that every value begins with whatever a row holds, and whether it is the whole of
    /// every value: `('used-', false)` of `'used-' || id`.
    pub fn start(&self) -> (String, bool) {
        self.root.start()
    }

    /// A text that stands in the expression and is a day and a time with a blank between them, as
    /// servers print it: `2026-01-31 12:00:00`. Not the one that is no day: it is kept as printed.
    pub fn blank_moment(&self) -> Option<String> {
        let is_one = |text: &str| {
            let shape = |(at, byte): (usize, u8)| match at {
                4 | 7 => byte == b'-',
                10 => byte == b' ',
                13 => byte == b':',
                _ => byte.is_ascii_digit(),
            };
            text.len() >= 16
                && text.bytes().take(16).enumerate().all(shape)
                && !text.starts_with("0000-00-00")
        };
        let mut found = None;
        self.root.clone().leaves_mut(&mut |leaf| {
            if let What::Text(text) = leaf
                && is_one(text)
            {
                found = Some(text.to_string());
            }
        });
        found
    }

    /// Whether a text that stands in the expression itself has this part.
    pub fn mentions(&self, part: &str) -> bool {
        let mut found = false;
        self.root.clone().leaves_mut(&mut |leaf| {
            found |= match leaf {
                What::Text(text) => text.contains(part),
                What::Like { pattern: Some(pattern), .. } => pattern.mentions(part),
                _ => false,
            };
        });
        found
    }

    /// The expression with `by` for every `part` of the texts that stand in it.
    #[must_use]
    pub fn with_texts(&self, part: &str, by: &str) -> Self {
        let mut replaced = self.clone();
        replaced.root.leaves_mut(&mut |leaf| match leaf {
            What::Text(text) => *text = text.replace(part, by).into(),
            What::Like { pattern: Some(pattern), .. } => *pattern = pattern.replaced(part, by),
            _ => {}
        });
        replaced
    }

    /// What its values are, as far as that can be told without knowing what its columns are.
    pub fn kind(&self) -> Result<ColumnKind, ExpressionError> {
        let unknown = |name: &Name| ColumnInfo::new(&name.text, ColumnKind::Unknown);
        let columns: Vec<ColumnInfo> = self.names.iter().map(unknown).collect();
        self.compile(&columns).map(|program| program.kind())
    }

    /// Holds the expression against the columns there are. Their places in `columns` are what
    /// [`Columns::get`] is asked for.
    pub fn compile(&self, columns: &[ColumnInfo]) -> Result<Program, ExpressionError> {
        let (root, kind) = check::Checker::new(columns, &self.names).node(&self.root)?;
        Ok(Program { root, kind, constant: self.names.is_empty() })
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    root: Node,
    kind: ColumnKind,
    constant: bool,
}

impl Program {
    /// What its results are.
    pub fn kind(&self) -> ColumnKind {
        self.kind
    }

    /// The column it is, if it is nothing but a column.
    pub fn column(&self) -> Option<usize> {
        match self.root.what {
            What::Column(column) => Some(column),
            _ => None,
        }
    }

    /// Whether the result is the same for every row.
    pub fn is_constant(&self) -> bool {
        self.constant
    }

    /// The program for rows whose columns lie elsewhere: `place` maps the old place to the new.
    #[must_use]
    pub fn relocate(mut self, place: &dyn Fn(usize) -> usize) -> Self {
        self.root.columns_mut(&mut |column| *column = place(*column));
        self
    }

    /// The program where the boolean column `present` is true, and NULL where it is not.
    #[must_use]
    pub fn guarded(self, present: usize) -> Self {
        let at = self.root.at;
        let branches = vec![[Node::new(at, What::Column(present)), self.root]];
        let case = tree::Case { operand: None, branches, otherwise: None };
        Self { root: Node::new(at, What::Case(Box::new(case))), constant: false, ..self }
    }

    /// What of a condition a server can judge, see [`connector_api::Condition`]; `None` is
    /// nothing. `name` tells the column of a place, if it is one of the table's own.
    pub fn condition<'a>(
        &self,
        name: &impl Fn(usize) -> Option<&'a str>,
    ) -> Option<connector_api::Condition> {
        condition::condition(&self.root, name)
    }

    /// The places of the columns it needs.
    pub fn places(&self) -> Vec<usize> {
        let mut places = Vec::new();
        self.root.clone().columns_mut(&mut |column| places.push(*column));
        places
    }

    /// The value for one row. What is wrong with the numbers it was made of goes into `quality`;
    /// a number that cannot be read counts as NULL.
    pub fn eval<'a>(&'a self, row: &'a impl Columns, quality: &mut Quality) -> Scalar<'a> {
        eval::eval(&self.root, row, quality)
    }

    /// The value for one row as a number: [`Scalar::Number`], [`Scalar::Null`] or
    /// [`Scalar::Absent`]. Text is read as a decimal.
    pub fn eval_number(&self, row: &impl Columns, quality: &mut Quality) -> Scalar<'static> {
        eval::eval(&self.root, row, quality).into_number(quality)
    }

    /// Appends the value for one row to `out` in its canonical text, the one keys are made of.
    pub fn eval_text(&self, row: &impl Columns, out: &mut String) -> Presence {
        match self.root.what {
            What::Column(column) => value::append_value(row.get(column), out),
            _ => eval::eval(&self.root, row, &mut Quality::default()).append_to(out),
        }
    }
}
