//! From a type's text to a [`connector_api::Value`]; `TYPES.md` lists them all.

mod built_in;

use std::fmt;

use connector_api::{BatchBuilder, Cell, TextKind};

pub(crate) use built_in::Type;

/// The numbers below are those of types that every server has, and that no stream describes.
pub(crate) const FIRST_DESCRIBED: u32 = 10_000;

/// What is known of a column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeShape {
    pub(crate) reading: Reading,
    /// For people.
    pub(crate) name: String,
}

impl TypeShape {
    /// A type by its number; one that is not built in by the schema and the name of what it is
    /// made of, if anybody has told.
    pub(crate) fn of(oid: u32, told: Option<&TypeShape>) -> Self {
        match (Type::numbered(oid), told) {
            (Some(known), _) => Self { reading: known.reading, name: known.name.to_owned() },
            (None, Some(told)) => told.clone(),
            (None, None) => Self { reading: Reading::Text, name: format!("type {oid}") },
        }
    }

    /// A type that is not built in, by the schema and the name of the type below it. A stream
    /// leaves out the name of the server's own catalog.
    pub(crate) fn told(schema: &str, name: &str) -> Self {
        let built_in = if is_system(schema) { Type::named(name) } else { None };
        match built_in {
            Some(known) => Self { reading: known.reading, name: known.name.to_owned() },
            None => Self { reading: Reading::Text, name: name.to_owned() },
        }
    }
}

/// A column's type as layouts have it: what a stream and the catalog both say of it.
pub(crate) fn type_as_logged(oid: u32, modifier: impl fmt::LowerHex) -> String {
    format!("{oid} {modifier:x}")
}

/// Whether a schema is the server's own catalog.
pub(crate) fn is_system(schema: &str) -> bool {
    matches!(schema, "" | "pg_catalog")
}

/// How the text of a type is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// `t` or `f`.
    Bool,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    UInt,
    /// A floating-point number.
    Float,
    /// An exact decimal.
    Decimal,
    /// Bytes in hex, or with escapes.
    Bytes,
    /// A JSON document.
    Json,
    /// A timestamp without zone.
    Timestamp,
    /// A timestamp with zone, printed in UTC.
    TimestampZoned,
    /// Text with blanks at its end that mean nothing: PostgreSQL drops them whenever a `char(n)`
    /// becomes another text, and compares without them.
    Padded,
    /// Everything else.
    Text,
}

impl Reading {
    /// Adds a column's text to the row being built. Text that is not what its type promises stays
    /// text; bytes that are not UTF-8 (a database in SQL_ASCII) stay bytes: nothing is lost.
    pub(crate) fn push(self, raw: &[u8], out: &mut BatchBuilder) {
        let Ok(text) = std::str::from_utf8(raw) else {
            out.push_bytes(raw);
            return;
        };
        if !self.push_typed(text, out) {
            out.push_text(TextKind::Text, text);
        }
    }

    /// Adds nothing when the text is not what the type promises.
    fn push_typed(self, text: &str, out: &mut BatchBuilder) -> bool {
        let cell = match self {
            Reading::Bool => match text {
                "t" => Some(Cell::Bool(true)),
                "f" => Some(Cell::Bool(false)),
                _ => None,
            },
            Reading::Int => text.parse().ok().map(Cell::Int),
            Reading::UInt => text.parse().ok().map(Cell::UInt),
            Reading::Float => float(text).map(Cell::Float),
            Reading::Decimal => return is_decimal(text) && push_text(TextKind::Decimal, text, out),
            Reading::Bytes => return push_bytes(text, out),
            Reading::Json => return push_text(TextKind::Json, text, out),
            Reading::Timestamp => return push_timestamp(text, out),
            Reading::TimestampZoned => return push_zoned(text, out),
            Reading::Padded => {
                return push_text(TextKind::Text, text.trim_end_matches(' '), out);
            }
            Reading::Text => None,
        };
        if let Some(cell) = cell {
            out.push(cell);
        }
        cell.is_some()
    }
}

fn push_text(kind: TextKind, text: &str, out: &mut BatchBuilder) -> bool {
    out.push_text(kind, text);
    true
}

/// Digits that are too many for a float are not an infinity.
fn float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() || matches!(text, "Infinity" | "-Infinity" | "NaN")).then_some(value)
}

/// `-12.50`, `NaN`, `-Infinity`.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction) || matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// `\x00ff`, or bytes of which those that are not printable ASCII are written `\000` and the
/// backslash twice.
fn push_bytes(text: &str, out: &mut BatchBuilder) -> bool {
    let Some(hex) = text.strip_prefix("\\x") else { return push_escaped(text.as_bytes(), out) };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !hex.bytes().all(|byte| digit(byte).is_some()) {
        return false;
    }
    let value = |byte: u8| digit(byte).unwrap_or_default();
    out.push_bytes_from(pairs.iter().map(|[high, low]| value(*high) << 4 | value(*low)));
    true
}

fn push_escaped(text: &[u8], out: &mut BatchBuilder) -> bool {
    if escaped(text).any(|byte| byte.is_none()) {
        return false;
    }
    out.push_bytes_from(escaped(text).flatten());
    true
}

/// The bytes behind their escapes; `None` for what is no escape.
fn escaped(mut rest: &[u8]) -> impl Iterator<Item = Option<u8>> {
    std::iter::from_fn(move || {
        let (value, tail) = match rest {
            [] => return None,
            [b'\\', b'\\', tail @ ..] => (Some(b'\\'), tail),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                (Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')), tail)
            }
            [b'\\', tail @ ..] => (None, tail),
            [byte, tail @ ..] => (Some(*byte), tail),
        };
        rest = tail;
        Some(value)
    })
}

/// `2026-01-31 12:00:00.5` to `2026-01-31T12:00:00.5`. Years beyond 9999, BC and infinities have
/// no such form and stay as the database prints them.
fn push_timestamp(text: &str, out: &mut BatchBuilder) -> bool {
    let mut buffer = [0; LONGEST];
    let iso = iso(text, &mut buffer);
    iso.is_some_and(|iso| push_text(TextKind::Timestamp, iso, out))
}

/// `2026-01-31 12:00:00.5+00` to `2026-01-31T12:00:00.5Z`.
fn push_zoned(text: &str, out: &mut BatchBuilder) -> bool {
    let mut buffer = [0; LONGEST];
    let Some(local) = text.strip_suffix("+00") else { return false };
    let Some(len) = iso(local, &mut buffer).map(str::len) else { return false };
    buffer[len] = b'Z';
    let text = std::str::from_utf8(&buffer[..=len]).expect("ISO 8601 is ASCII");
    push_text(TextKind::TimestampZoned, text, out)
}

/// Microseconds and a `Z`.
const LONGEST: usize = 27;

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` with a `T`.
fn iso<'a>(text: &str, buffer: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let shape = b"0000-00-00 00:00:00.000000";
    let same = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    let is_iso = (text.len() == 19 || (21..=26).contains(&text.len()))
        && text.as_bytes().iter().zip(shape).all(same);
    is_iso.then(|| {
        let iso = &mut buffer[..text.len()];
        iso.copy_from_slice(text.as_bytes());
        iso[10] = b'T';
        std::str::from_utf8(iso).expect("digits and signs are ASCII")
    })
}

#[cfg(test)]
mod tests;
