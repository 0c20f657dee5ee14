//! The values of a row as the binary protocol gives them, where they arrived.

use mysql_async::consts::ColumnType as Kind;

use super::Unreadable;
use super::cursor::{Cursor, little_endian};
use super::number;
use super::temporal::{DateTime, Line, Time};
use crate::session::ResultColumn;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'r> {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Bytes(&'r [u8]),
    Moment(DateTime),
    Time(Time),
}

impl Field<'_> {
    /// A date or a time as SQL; `None` for everything else.
    pub(crate) fn printed(&self) -> Option<String> {
        let mut line = Line::new();
        match self {
            Self::Moment(moment) if moment.is_midnight() => moment.print_date(&mut line),
            Self::Moment(moment) => moment.print(b' ', 6, &mut line),
            Self::Time(time) => time.print(6, &mut line),
            _ => return None,
        }
        Some(line.text().to_owned())
    }
}

/// How the values of a column stand in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Null,
    Integer { bytes: usize, unsigned: bool },
    Float,
    Double,
    Moment,
    Time,
    Bytes,
}

impl Encoding {
    /// [`Unreadable`] when the length of the values is not known.
    pub(crate) fn of(column: &ResultColumn) -> Result<Self, Unreadable> {
        let unknown = Unreadable::Type { code: column.code, metadata: 0 };
        let integer = |bytes| Self::Integer { bytes, unsigned: column.unsigned };
        Ok(match Kind::try_from(column.code).map_err(|_| unknown.clone())? {
            Kind::MYSQL_TYPE_NULL => Self::Null,
            Kind::MYSQL_TYPE_TINY => integer(1),
            Kind::MYSQL_TYPE_SHORT | Kind::MYSQL_TYPE_YEAR => integer(2),
            Kind::MYSQL_TYPE_LONG | Kind::MYSQL_TYPE_INT24 => integer(4),
            Kind::MYSQL_TYPE_LONGLONG => integer(8),
            Kind::MYSQL_TYPE_FLOAT => Self::Float,
            Kind::MYSQL_TYPE_DOUBLE => Self::Double,
            Kind::MYSQL_TYPE_DATE
            | Kind::MYSQL_TYPE_NEWDATE
            | Kind::MYSQL_TYPE_DATETIME
            | Kind::MYSQL_TYPE_TIMESTAMP => Self::Moment,
            Kind::MYSQL_TYPE_TIME => Self::Time,
            Kind::MYSQL_TYPE_STRING
            | Kind::MYSQL_TYPE_VAR_STRING
            | Kind::MYSQL_TYPE_VARCHAR
            | Kind::MYSQL_TYPE_BLOB
            | Kind::MYSQL_TYPE_TINY_BLOB
            | Kind::MYSQL_TYPE_MEDIUM_BLOB
            | Kind::MYSQL_TYPE_LONG_BLOB
            | Kind::MYSQL_TYPE_SET
            | Kind::MYSQL_TYPE_ENUM
            | Kind::MYSQL_TYPE_DECIMAL
            | Kind::MYSQL_TYPE_NEWDECIMAL
            | Kind::MYSQL_TYPE_BIT
            | Kind::MYSQL_TYPE_GEOMETRY
            | Kind::MYSQL_TYPE_VECTOR
            | Kind::MYSQL_TYPE_JSON => Self::Bytes,
            _ => return Err(unknown),
        })
    }

    fn take<'r>(self, cursor: &mut Cursor<'r>) -> Result<Field<'r>, Unreadable> {
        Ok(match self {
            Self::Null => Field::Null,
            Self::Integer { bytes, unsigned: true } => {
                Field::UInt(little_endian(cursor.bytes(bytes)?))
            }
            Self::Integer { bytes, unsigned: false } => {
                Field::Int(number::int(cursor.bytes(bytes)?))
            }
            Self::Float => Field::Float(f32::from_le_bytes(cursor.array()?)),
            Self::Double => Field::Double(f64::from_le_bytes(cursor.array()?)),
            Self::Moment => Field::Moment(moment(cursor.prefixed(1)?)?),
            Self::Time => Field::Time(time(cursor.prefixed(1)?)?),
            Self::Bytes => Field::Bytes(cursor.packed()?),
        })
    }
}

/// The values of one row, one after the other.
#[derive(Debug)]
pub(crate) struct Fields<'r> {
    /// A bit for each column; the first two stand for nothing.
    nulls: &'r [u8],
    cursor: Cursor<'r>,
    bit: usize,
}

/// Bits before those of the columns.
const NO_COLUMN: usize = 2;

impl<'r> Fields<'r> {
    /// Of a row of so many columns.
    pub(crate) fn of(row: &'r [u8], columns: usize) -> Result<Self, Unreadable> {
        let mut cursor = Cursor::new(row);
        let nulls = cursor.bytes((columns + NO_COLUMN).div_ceil(8))?;
        Ok(Self { nulls, cursor, bit: NO_COLUMN })
    }

    /// The value of the next column. After every error but [`Unreadable::Short`] it was passed.
    pub(crate) fn next(&mut self, encoding: Encoding) -> Result<Field<'r>, Unreadable> {
        let byte = self.nulls.get(self.bit / 8).ok_or(Unreadable::Short)?;
        let is_null = byte >> (self.bit % 8) & 1 == 1;
        self.bit += 1;
        if is_null { Ok(Field::Null) } else { encoding.take(&mut self.cursor) }
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.cursor.rest().is_empty()
    }
}

fn strange(type_name: &'static str) -> Unreadable {
    Unreadable::Malformed { type_name, what: "they are of another length" }
}

/// Without what is zero at its end.
fn moment(raw: &[u8]) -> Result<DateTime, Unreadable> {
    let mut whole = [0; 11];
    if ![0, 4, 7, 11].contains(&raw.len()) {
        return Err(strange("datetime"));
    }
    whole[..raw.len()].copy_from_slice(raw);
    let [low, high, month, day, hour, minute, second, a, b, c, d] = whole;
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(u32::from);
    let (year, micros) = (u16::from_le_bytes([low, high]), u32::from_le_bytes([a, b, c, d]));
    DateTime { year: year.into(), month, day, hour, minute, second, micros }.checked("datetime")
}

/// Without what is zero at its end.
fn time(raw: &[u8]) -> Result<Time, Unreadable> {
    let mut whole = [0; 12];
    if ![0, 8, 12].contains(&raw.len()) {
        return Err(strange("time"));
    }
    whole[..raw.len()].copy_from_slice(raw);
    let [negative, d0, d1, d2, d3, hour, minute, second, a, b, c, d] = whole;
    let days = u32::from_le_bytes([d0, d1, d2, d3]);
    let hours = days.checked_mul(24).and_then(|hours| hours.checked_add(hour.into()));
    let hours = hours.ok_or_else(|| strange("time"))?;
    Time::new(negative == 1, hours, [minute, second], u32::from_le_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests;
