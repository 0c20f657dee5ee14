use super::number::Decimal;
use super::temporal::fraction_len;
use super::{Cursor, Definition, Unreadable};

/// Type codes of a table map.
pub(super) mod code {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const NULL: u8 = 6;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// A type behind the disguises of the table map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RealType {
    pub(super) code: u8,
    /// Of the first byte of the metadata, then the second; what they mean depends on the type.
    pub(super) metadata: [u8; 2],
    /// Longest value, bytes. CHAR, VARCHAR, ENUM and SET only.
    pub(super) max_len: u16,
    /// Digits of a second in the format before MariaDB 10.1.2, where the name of the type says
    /// so; the table map does not.
    pub(super) old_decimals: Option<u8>,
}

impl RealType {
    /// ENUM, SET and CHAR come as STRING whose metadata holds the real type and the length; the
    /// two bits that lengths above 255 need are folded, inverted, into the type.
    pub(super) fn of(definition: &Definition<'_>) -> Self {
        let Definition { code, metadata, .. } = *definition;
        let [first, second] = metadata.to_le_bytes();
        let bytes = [first, second];
        let (real, max_len) = match code {
            code::STRING if first == 0 => (code, u16::from(second)),
            code::STRING => {
                let high = u16::from(!first & 0x30) << 4;
                (first | 0x30, high | u16::from(second))
            }
            code::ENUM | code::SET => (code, u16::from(second)),
            _ => (code, metadata),
        };
        let is_old = matches!(code, code::TIMESTAMP | code::TIME | code::DATETIME);
        let old_decimals = is_old.then(|| old_decimals(definition.type_name)).flatten();
        Self { code: real, metadata: bytes, max_len, old_decimals }
    }
}

/// How long a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Always as long, bytes.
    Fixed(usize),
    /// As long as so many bytes before it say.
    Prefixed(usize),
}

impl Layout {
    pub(super) fn of(real: &RealType, definition: &Definition<'_>) -> Result<Self, Unreadable> {
        let [first, second] = real.metadata;
        let unknown = Unreadable::Type { code: definition.code, metadata: definition.metadata };
        if let Some(decimals) = real.old_decimals {
            let lengths = match real.code {
                code::TIME => [3, 4, 4, 5, 5, 5, 6],
                code::DATETIME => [8, 6, 6, 7, 7, 7, 8],
                _ => [4, 5, 5, 6, 6, 7, 7],
            };
            let len = lengths.get(usize::from(decimals)).ok_or(unknown)?;
            return Ok(Self::Fixed(*len));
        }
        let fixed = match real.code {
            code::NULL => 0,
            code::TINY | code::YEAR => 1,
            code::SHORT => 2,
            code::INT24 | code::DATE | code::NEWDATE | code::TIME => 3,
            code::LONG | code::FLOAT | code::TIMESTAMP => 4,
            code::DOUBLE | code::LONGLONG | code::DATETIME => 8,
            code::TIMESTAMP2 => 4 + decimals(first, &unknown)?,
            code::DATETIME2 => 5 + decimals(first, &unknown)?,
            code::TIME2 => 3 + decimals(first, &unknown)?,
            code::NEWDECIMAL => Decimal::new(first, second).ok_or(unknown)?.len(),
            code::BIT
                if first < 8 && (1..=64).contains(&(u16::from(second) * 8 + u16::from(first))) =>
            {
                usize::from(second) + usize::from(first > 0)
            }
            code::ENUM if matches!(second, 1 | 2) => usize::from(second),
            code::SET if matches!(second, 1..=4 | 8) => usize::from(second),
            code::STRING | code::VARCHAR | code::VAR_STRING | code::VARCHAR_COMPRESSED => {
                return Ok(Self::Prefixed(if real.max_len > 255 { 2 } else { 1 }));
            }
            code::TINY_BLOB..=code::BLOB
            | code::BLOB_COMPRESSED
            | code::JSON
            | code::GEOMETRY
            | code::VECTOR
                if matches!(first, 1..=4) =>
            {
                return Ok(Self::Prefixed(usize::from(first)));
            }
            _ => return Err(unknown),
        };
        Ok(Self::Fixed(fixed))
    }

    /// The bytes of a value.
    pub(super) fn take<'a>(self, cursor: &mut Cursor<'a>) -> Result<&'a [u8], Unreadable> {
        match self {
            Self::Fixed(len) => cursor.bytes(len),
            Self::Prefixed(width) => cursor.prefixed(width),
        }
    }
}

fn decimals(decimals: u8, unknown: &Unreadable) -> Result<usize, Unreadable> {
    if decimals > 6 {
        return Err(unknown.clone());
    }
    Ok(fraction_len(decimals))
}

/// `datetime(3) /* mariadb-5.3 */`: not the format of the same code without a fraction.
fn old_decimals(type_name: &str) -> Option<u8> {
    let (_, behind) = type_name.split_once('(').filter(|_| type_name.contains("mariadb-5.3"))?;
    behind.split_once(')')?.0.parse().ok()
}
