use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use connector_api::{RowImage, Value};

use crate::stock::quantity::{Decimal, Exactness, NumberError};
use crate::stock::{Quality, QualityFlag};

/// A row as an expression sees it.
pub trait Columns {
    /// The value of the column at this place among those the expression was compiled for.
    fn get(&self, index: usize) -> Value<'_>;
}

impl Columns for RowImage<'_> {
    fn get(&self, index: usize) -> Value<'_> {
        RowImage::get(self, index)
    }
}

impl Columns for &[Value<'_>] {
    fn get(&self, index: usize) -> Value<'_> {
        self[index]
    }
}

impl<const N: usize> Columns for [Value<'_>; N] {
    fn get(&self, index: usize) -> Value<'_> {
        self[index]
    }
}

/// What an expression says of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// The row image lacks a column the result depends on.
    Absent,
    /// SQL NULL.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Decimal),
    /// Text, borrowed where it is a column's or the expression's own.
    Text(Cow<'a, str>),
}

/// Whether there was something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The text was written.
    Present,
    /// SQL NULL; nothing was written.
    Null,
    /// The row image lacks a column it depends on; nothing was written.
    Absent,
}

impl<'a> Scalar<'a> {
    pub(super) fn of(value: Value<'a>, quality: &mut Quality) -> Self {
        match value {
            Value::Null => Scalar::Null,
            Value::Absent => Scalar::Absent,
            Value::Bool(value) => Scalar::Bool(value),
            Value::Int(value) => Scalar::Number(Decimal::from_int(value)),
            Value::UInt(value) => Scalar::Number(Decimal::from_uint(value)),
            Value::Float(value) => {
                quality.set(QualityFlag::FloatSource);
                Self::number(Decimal::from_f64(value), quality)
            }
            Value::Decimal(text) => Self::number(Decimal::parse(text), quality),
            Value::Text(text)
            | Value::Json(text)
            | Value::Timestamp(text)
            | Value::TimestampZoned(text) => Scalar::Text(Cow::Borrowed(text)),
            Value::Bytes(_) => {
                let mut text = String::new();
                append_value(value, &mut text);
                Scalar::Text(Cow::Owned(text))
            }
        }
    }

    /// A number that was read or reckoned. One that could not be is NULL and flagged.
    pub(super) fn number(
        result: Result<(Decimal, Exactness), NumberError>,
        quality: &mut Quality,
    ) -> Self {
        let flag = match result {
            Ok((number, exactness)) => {
                if exactness == Exactness::Rounded {
                    quality.set(QualityFlag::Rounded);
                }
                return Scalar::Number(number);
            }
            Err(NumberError::Empty | NumberError::NotANumber) => QualityFlag::NonNumeric,
            Err(NumberError::Nan) => QualityFlag::Nan,
            Err(NumberError::Infinite | NumberError::OutOfRange) => QualityFlag::Overflow,
        };
        quality.set(flag);
        Scalar::Null
    }

    pub(super) fn into_number(self, quality: &mut Quality) -> Scalar<'static> {
        match self {
            Scalar::Absent => Scalar::Absent,
            Scalar::Null => Scalar::Null,
            Scalar::Bool(value) => Scalar::Number(Decimal::from_int(value.into())),
            Scalar::Number(number) => Scalar::Number(number),
            Scalar::Text(text) => Scalar::number(Decimal::parse(text.as_bytes()), quality),
        }
    }

    pub(super) fn into_text(self) -> Self {
        match self {
            Scalar::Bool(value) => {
                Scalar::Text(Cow::Borrowed(if value { "true" } else { "false" }))
            }
            Scalar::Number(number) => Scalar::Text(Cow::Owned(number.to_string())),
            other => other,
        }
    }

    /// A number is true unless it is zero, as MySQL keeps its booleans. Text is neither.
    pub(super) fn into_bool(self, quality: &mut Quality) -> Self {
        match self {
            Scalar::Number(number) => Scalar::Bool(!number.is_zero()),
            Scalar::Text(_) => {
                quality.set(QualityFlag::NonNumeric);
                Scalar::Null
            }
            other => other,
        }
    }

    pub(super) fn append_to(&self, out: &mut String) -> Presence {
        match self {
            Scalar::Absent => return Presence::Absent,
            Scalar::Null => return Presence::Null,
            Scalar::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Scalar::Number(number) => number.write_to(out),
            Scalar::Text(text) => out.push_str(text),
        }
        Presence::Present
    }

    /// The order of two values that are there; `None` when one could not be read as a number.
    ///
    /// Of values whose kinds were not known beforehand, a number makes the other one a number;
    /// other unlike kinds compare as text.
    pub(super) fn order(&self, other: &Self, quality: &mut Quality) -> Option<Ordering> {
        match (self, other) {
            (Scalar::Number(a), Scalar::Number(b)) => Some(a.cmp(b)),
            (Scalar::Text(a), Scalar::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
            (Scalar::Null | Scalar::Absent, _) | (_, Scalar::Null | Scalar::Absent) => None,
            (a @ Scalar::Number(_), b) | (a, b @ Scalar::Number(_)) => {
                let [a, b] = [a, b].map(|side| side.clone().into_number(quality));
                a.order(&b, quality)
            }
            (a, b) => a.clone().into_text().order(&b.clone().into_text(), quality),
        }
    }
}

/// Appends a value in its canonical text: numbers as the shortest decimal, booleans as `true` or
/// `false`, bytes as lower-case hex, everything else as the database prints it. A number that is
/// no [`Decimal`] to its last digit stays as it is printed, so that unlike values stay unlike.
pub(super) fn append_value(value: Value<'_>, out: &mut String) -> Presence {
    let exact = |number| match number {
        Ok((number, Exactness::Exact)) => Some(number),
        _ => None,
    };
    match value {
        Value::Null => return Presence::Null,
        Value::Absent => return Presence::Absent,
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::Int(value) => Decimal::from_int(value).write_to(out),
        Value::UInt(value) => Decimal::from_uint(value).write_to(out),
        Value::Float(value) => match exact(Decimal::from_f64(value)) {
            Some(number) => number.write_to(out),
            None => write!(out, "{value:?}").expect("a string takes everything"),
        },
        Value::Decimal(text) => match exact(Decimal::parse(text)) {
            Some(number) => number.write_to(out),
            None => out.push_str(text),
        },
        Value::Text(text)
        | Value::Json(text)
        | Value::Timestamp(text)
        | Value::TimestampZoned(text) => out.push_str(text),
        Value::Bytes(bytes) => {
            for byte in bytes {
                write!(out, "{byte:02x}").expect("a string takes everything");
            }
        }
    }
    Presence::Present
}
