//! The same values as a SELECT of the binary protocol gives them, to the same cells.

use connector_api::{BatchBuilder, Cell, TextKind};
use mysql_async::consts::ColumnType as Kind;

use super::charset::{Charset, Coding};
use super::field::Field;
use super::number;
use super::temporal::Line;
use super::{Scratch, Unreadable};
use crate::log::Flavor;
use crate::session::ResultColumn;

/// How the values of one column of a result are read. Who asks has told the server to convert no
/// text, and to give moments in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    Integer,
    Float,
    Decimal,
    Bits,
    Year,
    Date,
    Time { decimals: u8 },
    Moment { decimals: u8, zoned: bool },
    Json,
    Text(Coding),
    Bytes,
}

impl Selected {
    /// What the server says of a column of its result.
    pub(crate) fn of(column: &ResultColumn, flavor: Flavor) -> Result<Self, Unreadable> {
        let decimals = column.decimals.min(6);
        let unknown = |_| Unreadable::Type { code: column.code, metadata: 0 };
        Ok(match Kind::try_from(column.code).map_err(unknown)? {
            Kind::MYSQL_TYPE_TINY
            | Kind::MYSQL_TYPE_SHORT
            | Kind::MYSQL_TYPE_INT24
            | Kind::MYSQL_TYPE_LONG
            | Kind::MYSQL_TYPE_LONGLONG => Self::Integer,
            Kind::MYSQL_TYPE_FLOAT | Kind::MYSQL_TYPE_DOUBLE => Self::Float,
            Kind::MYSQL_TYPE_DECIMAL | Kind::MYSQL_TYPE_NEWDECIMAL => Self::Decimal,
            Kind::MYSQL_TYPE_BIT => Self::Bits,
            Kind::MYSQL_TYPE_YEAR => Self::Year,
            Kind::MYSQL_TYPE_DATE | Kind::MYSQL_TYPE_NEWDATE => Self::Date,
            Kind::MYSQL_TYPE_TIME => Self::Time { decimals },
            Kind::MYSQL_TYPE_DATETIME => Self::Moment { decimals, zoned: false },
            Kind::MYSQL_TYPE_TIMESTAMP => Self::Moment { decimals, zoned: true },
            Kind::MYSQL_TYPE_JSON => Self::Json,
            Kind::MYSQL_TYPE_GEOMETRY | Kind::MYSQL_TYPE_VECTOR => Self::Bytes,
            _ => {
                let charset = match flavor {
                    Flavor::MySql => Charset::of_mysql(column.collation),
                    Flavor::MariaDb => Charset::of_mariadb(column.collation),
                };
                match charset.coding()? {
                    Coding::Binary => Self::Bytes,
                    coding => Self::Text(coding),
                }
            }
        })
    }

    /// Adds a value to the row being built, or nothing.
    pub(crate) fn push(
        &self,
        value: Field<'_>,
        scratch: &mut Scratch,
        out: &mut BatchBuilder,
    ) -> Result<(), Unreadable> {
        match (self, value) {
            (_, Field::Null) => out.push(Cell::Null),
            (Self::Integer, Field::Int(number)) => out.push(Cell::Int(number)),
            (Self::Integer, Field::UInt(number)) => out.push(Cell::UInt(number)),
            (Self::Float, Field::Float(number)) => {
                out.push(Cell::Float(number::float(&number.to_le_bytes())));
            }
            (Self::Float, Field::Double(number)) => out.push(Cell::Float(number)),
            (Self::Decimal, Field::Bytes(digits)) => decimal(digits, out)?,
            (Self::Bits, Field::Bytes(bytes)) => out.push(Cell::UInt(number::bits(bytes))),
            (Self::Year, Field::Int(year)) => year_of(u64::try_from(year).ok(), out)?,
            (Self::Year, Field::UInt(year)) => year_of(Some(year), out)?,
            (Self::Date, Field::Moment(date)) => {
                let mut line = Line::new();
                date.print_date(&mut line);
                out.push_text(TextKind::Text, line.text());
            }
            (Self::Moment { decimals, zoned }, Field::Moment(moment)) => {
                moment.push(*decimals, *zoned, out);
            }
            (Self::Time { decimals }, Field::Time(time)) => time.push(*decimals, out),
            (Self::Json, Field::Bytes(text)) => {
                let text = std::str::from_utf8(text).map_err(|_| other("json"))?;
                out.push_text(TextKind::Json, text);
            }
            (Self::Text(coding), Field::Bytes(text)) => coding.push(text, &mut scratch.text, out),
            (Self::Bytes, Field::Bytes(bytes)) => out.push_bytes(bytes),
            _ => return Err(other("value of its column")),
        }
        Ok(())
    }
}

fn other(type_name: &'static str) -> Unreadable {
    Unreadable::Malformed { type_name, what: "the server sent another kind of value" }
}

/// With ZEROFILL the server puts zeros before a number, which the log has not.
fn decimal(digits: &[u8], out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let text = std::str::from_utf8(digits).map_err(|_| other("decimal"))?;
    let bare = text.trim_start_matches('0');
    let plain = match bare.bytes().next() {
        Some(b'0'..=b'9') => bare,
        // Nothing, or the point: one zero belongs before it.
        _ => &text[(text.len() - bare.len()).saturating_sub(1)..],
    };
    out.push_text(TextKind::Decimal, plain);
    Ok(())
}

fn year_of(year: Option<u64>, out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let year = year.and_then(|year| u32::try_from(year).ok()).filter(|year| *year <= 9999);
    let mut line = Line::new();
    line.digits(year.ok_or_else(|| other("year"))?, 4);
    out.push_text(TextKind::Text, line.text());
    Ok(())
}

#[cfg(test)]
mod tests;
