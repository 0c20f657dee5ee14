use super::expression::{ColumnKind, Columns, Presence, Program, Scalar};
use crate::stock::quantity::Decimal;
use crate::stock::{Quality, QualityFlag};

/// A truth value as SQL knows it, and one more: the image does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    /// FALSE or NULL: a condition that is not true.
    NotTrue,
    Absent,
}

/// What a text field of an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// Written to the buffer.
    Written,
    Null,
    Absent,
}

/// What is wrong with an expression of this kind under this key of a block, and what to write.
pub fn misfit(key: &str, kind: ColumnKind) -> Option<(&'static str, &'static str)> {
    match (key, kind) {
        ("where" | "removed_when", ColumnKind::Number | ColumnKind::Text) => Some((
            "the expression is not a condition",
            "compare it with something: qty > 0, deleted_at IS NOT NULL",
        )),
        ("active" | "tracked", ColumnKind::Text) => Some((
            "the expression is text, not a yes or no",
            "compare it with what means yes: status = 'enabled'",
        )),
        _ => None,
    }
}

/// One compiled field of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Field {
    program: Program,
}

impl Field {
    pub(super) fn new(program: Program) -> Self {
        Self { program }
    }

    /// The column this field is, if it is nothing but a column.
    pub(super) fn column(&self) -> Option<usize> {
        self.program.column()
    }

    /// Whether the field is the same for every row.
    pub(super) fn is_constant(&self) -> bool {
        self.program.is_constant()
    }

    /// The places of the columns it needs.
    pub(super) fn places(&self) -> Vec<usize> {
        self.program.places()
    }

    /// What of the field a server can judge, as in [`Program::condition`].
    pub(super) fn condition<'a>(
        &self,
        name: &impl Fn(usize) -> Option<&'a str>,
    ) -> Option<connector_api::Condition> {
        self.program.condition(name)
    }

    /// The field as a number, NULL where it is none.
    pub(super) fn scalar(&self, row: &impl Columns, quality: &mut Quality) -> Scalar<'static> {
        self.program.eval_number(row, quality)
    }

    /// The field as a quantity. What is wrong with it goes into `quality`.
    pub(super) fn number(&self, row: &impl Columns, quality: &mut Quality) -> Option<Decimal> {
        match self.program.eval_number(row, quality) {
            Scalar::Number(number) => {
                if number.is_negative() {
                    quality.set(QualityFlag::Negative);
                }
                Some(number)
            }
            Scalar::Absent => {
                quality.set(QualityFlag::Partial);
                None
            }
            _ => {
                // Whatever made the expression NULL has said so; a plain NULL has not.
                if !quality.has(QualityFlag::Nan) && !quality.has(QualityFlag::Overflow) {
                    quality.set(QualityFlag::NonNumeric);
                }
                None
            }
        }
    }

    /// Appends the field as text to `out`.
    pub(super) fn text(&self, row: &impl Columns, out: &mut String) -> Text {
        match self.program.eval_text(row, out) {
            Presence::Present => Text::Written,
            Presence::Null => Text::Null,
            Presence::Absent => Text::Absent,
        }
    }

    /// The field as a yes or no; `None` when it is NULL or not in the image.
    pub(super) fn flag(&self, row: &impl Columns) -> Option<bool> {
        match self.program.eval(row, &mut Quality::default()) {
            Scalar::Bool(value) => Some(value),
            Scalar::Number(number) => Some(!number.is_zero()),
            _ => None,
        }
    }

    /// The field as a condition.
    pub(super) fn truth(&self, row: &impl Columns) -> Truth {
        match self.program.eval(row, &mut Quality::default()) {
            Scalar::Bool(true) => Truth::True,
            // A flag kept as a number.
            Scalar::Number(number) if !number.is_zero() => Truth::True,
            Scalar::Absent => Truth::Absent,
            _ => Truth::NotTrue,
        }
    }
}
