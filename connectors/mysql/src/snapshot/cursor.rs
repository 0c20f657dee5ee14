//! The key by which a table is read piece by piece, and the place behind a row of it.

use std::fmt::Write as _;

use connector_api::Cursor;

use super::quote::{column, hex, number};
use super::table::is_integer;
use crate::value::Field;

/// An index whose columns tell every row from every other, and by which a table can be read in
/// order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name, where the server can go through the table by it.
    pub(super) index: Option<String>,
    pub(super) parts: Vec<Part>,
}

/// A column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) descending: bool,
}

/// How a value of a key stands in SQL, so that it is compared as the index compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Integers, decimals, years.
    Number,
    /// BIT, which comes as bytes.
    Bits,
    /// FLOAT and DOUBLE.
    Float,
    /// ENUM and SET, which are ordered by their numbers.
    Label,
    /// Text, as the bytes of its own character set. The comparison is the column's.
    Text { charset: String },
    /// Bytes.
    Bytes,
    /// Dates and times, addresses, UUIDs: what is printed.
    Printed,
}

impl Kind {
    /// Of a column by its type in the catalog.
    pub(super) fn of(column_type: &str, charset: Option<&str>) -> Self {
        let end = column_type.find(|c: char| !c.is_ascii_alphanumeric());
        let base = column_type[..end.unwrap_or(column_type.len())].to_ascii_lowercase();
        match (&*base, charset) {
            ("enum" | "set", _) => Self::Label,
            (_, Some(charset)) => Self::Text { charset: charset.to_owned() },
            ("float" | "double", None) => Self::Float,
            ("date" | "time" | "datetime" | "timestamp", None) => Self::Printed,
            ("inet4" | "inet6" | "uuid", None) => Self::Printed,
            ("bit", None) => Self::Bits,
            ("year" | "decimal", None) => Self::Number,
            (base, None) if is_integer(base) => Self::Number,
            _ => Self::Bytes,
        }
    }

    /// What to select for it.
    pub(super) fn selected(&self, name: &str) -> String {
        match self {
            Self::Label => format!("CAST({} AS UNSIGNED)", column(name)),
            _ => column(name),
        }
    }

    /// A value of it as a cursor keeps it; `None` for what no such column holds.
    fn kept(&self, value: &Field<'_>) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(match (self, *value) {
            (Self::Number | Self::Label, Field::Int(number)) => number.to_string(),
            (Self::Number | Self::Label, Field::UInt(number)) => number.to_string(),
            (Self::Number, Field::Bytes(digits)) => text(digits).filter(|digits| number(digits))?,
            (Self::Bits, Field::Bytes(bytes)) => {
                bytes.iter().fold(0, |bits: u64, &byte| bits << 8 | u64::from(byte)).to_string()
            }
            (Self::Float, Field::Float(number)) => format!("{:e}", f64::from(number)),
            (Self::Float, Field::Double(number)) => format!("{number:e}"),
            (Self::Text { .. } | Self::Bytes, Field::Bytes(bytes)) => hex(bytes),
            (Self::Printed, Field::Bytes(bytes)) => text(bytes)?,
            (Self::Printed, value) => value.printed()?,
            _ => return None,
        })
    }

    /// What a cursor keeps as SQL; `None` for what it never keeps.
    fn literal(&self, kept: &str) -> Option<String> {
        let is_hex =
            || kept.len().is_multiple_of(2) && kept.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self {
            Self::Number | Self::Bits | Self::Label => number(kept).then(|| kept.to_owned()),
            Self::Float => {
                let finite = kept.parse::<f64>().is_ok_and(f64::is_finite);
                let plain = kept.bytes().all(|byte| b"+-.e0123456789".contains(&byte));
                // Below zero it would be one minus with another.
                (finite && plain).then(|| format!("({kept})"))
            }
            Self::Text { charset } => is_hex().then(|| format!("_{charset} X'{kept}'")),
            Self::Bytes => is_hex().then(|| format!("X'{kept}'")),
            Self::Printed => {
                let plain = |byte: u8| byte.is_ascii_hexdigit() || b" -:.".contains(&byte);
                kept.bytes().all(plain).then(|| format!("'{kept}'"))
            }
        }
    }
}

/// The values of a key in SQL, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(Vec<String>);

impl Key {
    /// Tells a cursor of another key of the table, as of before it was altered.
    fn fingerprint(&self) -> String {
        let mut sum = crc32fast::Hasher::new();
        for Part { name, kind, descending } in &self.parts {
            sum.update(format!("{name}\0{kind:?}\0{descending}\0").as_bytes());
        }
        format!("{:08x}", sum.finalize())
    }

    /// The place behind a row with these values of the key.
    pub(super) fn behind(&self, values: &[Field<'_>]) -> Option<Cursor> {
        if values.len() != self.parts.len() {
            return None;
        }
        let mut text = format!("[\"{}\"", self.fingerprint());
        for (part, value) in self.parts.iter().zip(values) {
            write!(text, ",\"{}\"", part.kind.kept(value)?).expect("a string takes everything");
        }
        text.push(']');
        Some(Cursor::new(text))
    }

    /// The place a cursor stands for; `None` when it is none in this key.
    pub(super) fn place(&self, cursor: &Cursor) -> Option<Place> {
        let kept = cursor.as_str().strip_prefix("[\"")?.strip_suffix("\"]")?;
        let mut kept = kept.split("\",\"");
        if kept.next()? != self.fingerprint() {
            return None;
        }
        let literals = self.parts.iter().map(|part| part.kind.literal(kept.next()?));
        let literals = literals.collect::<Option<Vec<_>>>()?;
        kept.next().is_none().then_some(Place(literals))
    }

    /// The order of the rows.
    pub(super) fn order(&self) -> String {
        let part = |part: &Part| {
            let direction = if part.descending { " DESC" } else { "" };
            format!("{}{direction}", column(&part.name))
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// A condition for the rows behind a place. Rows of values would be the shorter way to say it,
    /// which neither family goes through an index by.
    pub(super) fn is_behind(&self, place: &Place) -> String {
        self.compared(place, [">", "<"], "")
    }

    /// A condition for the rows up to a place, and the one there.
    pub(super) fn is_up_to(&self, place: &Place) -> String {
        self.compared(place, ["<", ">"], "=")
    }

    fn compared(&self, Place(values): &Place, beyond: [&str; 2], last: &str) -> String {
        let mut condition = String::new();
        for (nth, (part, value)) in self.parts.iter().zip(values).enumerate().rev() {
            let name = column(&part.name);
            let beyond = beyond[usize::from(part.descending)];
            condition = match condition.as_str() {
                "" => format!("{name} {beyond}{last} {value}"),
                rest if nth == 0 => format!(
                    "{name} {beyond}= {value} AND ({name} {beyond} {value} OR ({name} = {value} \
                     AND {rest}))"
                ),
                rest => format!("({name} {beyond} {value} OR ({name} = {value} AND {rest}))"),
            };
        }
        condition
    }
}

#[cfg(test)]
mod tests;
