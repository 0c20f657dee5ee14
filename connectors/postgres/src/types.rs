//! From a type's text to a [`connector_api::Value`]; `TYPES.md` lists them all.

use connector_api::{BatchBuilder, Cell, TextKind};

/// How the text of a type is read. Types without an entry are text as the database prints them.
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
    /// `\x` and hex digits.
    Bytes,
    /// A JSON document.
    Json,
    /// A timestamp without zone.
    Timestamp,
    /// A timestamp with zone, printed in UTC.
    TimestampZoned,
    /// Everything else.
    Text,
}

impl Reading {
    /// The reading of a built-in type by its number (`pg_type.dat` of the server).
    pub(crate) fn of(oid: u32) -> Self {
        match oid {
            16 => Reading::Bool,
            20 | 21 | 23 => Reading::Int,
            26 | 28 | 29 | 5069 => Reading::UInt,
            700 | 701 => Reading::Float,
            1700 => Reading::Decimal,
            17 => Reading::Bytes,
            114 | 3802 => Reading::Json,
            1114 => Reading::Timestamp,
            1184 => Reading::TimestampZoned,
            _ => Reading::Text,
        }
    }

    /// The name of a built-in type, for people; other types are named by their number.
    pub(crate) fn name_of(oid: u32) -> String {
        let name = match oid {
            16 => "boolean",
            17 => "bytea",
            20 => "bigint",
            21 => "smallint",
            23 => "integer",
            25 => "text",
            26 => "oid",
            114 => "json",
            700 => "real",
            701 => "double precision",
            1042 => "character",
            1043 => "character varying",
            1082 => "date",
            1083 => "time without time zone",
            1114 => "timestamp without time zone",
            1184 => "timestamp with time zone",
            1186 => "interval",
            1266 => "time with time zone",
            1700 => "numeric",
            2950 => "uuid",
            3802 => "jsonb",
            _ => return format!("type {oid}"),
        };
        name.to_owned()
    }

    /// Adds a column's text to the row being built. Text that is not what its type promises stays
    /// text; bytes that are not UTF-8 (a database in SQL_ASCII) stay bytes: nothing is lost.
    pub(crate) fn push(self, raw: &[u8], out: &mut BatchBuilder) {
        let Ok(text) = std::str::from_utf8(raw) else {
            out.push_bytes(raw);
            return;
        };
        let cell = match self {
            Reading::Bool => match text {
                "t" => Some(Cell::Bool(true)),
                "f" => Some(Cell::Bool(false)),
                _ => None,
            },
            Reading::Int => text.parse().ok().map(Cell::Int),
            Reading::UInt => text.parse().ok().map(Cell::UInt),
            Reading::Float => text.parse().ok().map(Cell::Float),
            Reading::Decimal => {
                out.push_text(TextKind::Decimal, text);
                return;
            }
            Reading::Json => {
                out.push_text(TextKind::Json, text);
                return;
            }
            Reading::Bytes => return push_bytes(text, out),
            Reading::Timestamp | Reading::TimestampZoned => {
                return push_timestamp(self == Reading::TimestampZoned, text, out);
            }
            Reading::Text => None,
        };
        match cell {
            Some(cell) => out.push(cell),
            None => out.push_text(TextKind::Text, text),
        }
    }
}

fn push_bytes(text: &str, out: &mut BatchBuilder) {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    let raw: Option<Vec<u8>> =
        text.strip_prefix("\\x").and_then(|hex| hex.as_bytes().chunks(2).map(pair).collect());
    match raw {
        Some(raw) => out.push_bytes(&raw),
        None => out.push_text(TextKind::Text, text),
    }
}

/// `2026-01-31 12:00:00.5+00` to `2026-01-31T12:00:00.5Z`. Years beyond 9999, BC and infinities
/// have no RFC 3339 form and stay as the database prints them.
fn push_timestamp(zoned: bool, text: &str, out: &mut BatchBuilder) {
    let local = if zoned { text.strip_suffix("+00") } else { Some(text) };
    let mut buffer = [0_u8; 32];
    let iso = local.filter(|local| is_iso(local.as_bytes())).map(|local| {
        let len = local.len();
        buffer[..len].copy_from_slice(local.as_bytes());
        buffer[10] = b'T';
        buffer[len] = b'Z';
        &buffer[..len + usize::from(zoned)]
    });
    let kind = if zoned { TextKind::TimestampZoned } else { TextKind::Timestamp };
    match iso.and_then(|iso| std::str::from_utf8(iso).ok()) {
        Some(iso) => out.push_text(kind, iso),
        None => out.push_text(TextKind::Text, text),
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]`
fn is_iso(text: &[u8]) -> bool {
    let shape = b"0000-00-00 00:00:00.000000";
    let same = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    (text.len() == 19 || (21..=26).contains(&text.len())) && text.iter().zip(shape).all(same)
}
