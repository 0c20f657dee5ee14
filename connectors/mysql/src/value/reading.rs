use connector_api::{BatchBuilder, Cell, TextKind};

use super::address::Address;
use super::charset::Coding;
use super::compressed::inflate;
use super::label::Labels;
use super::layout::{Layout, RealType, code};
use super::number::{self, Decimal};
use super::temporal::{self, old};
use super::{Definition, Scratch, Unreadable, json};

/// What the bytes of a value say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    Null,
    Integer {
        unsigned: bool,
    },
    Float,
    Double,
    Decimal(Decimal),
    Bits,
    Year,
    Date,
    Time {
        decimals: u8,
    },
    DateTime {
        decimals: u8,
    },
    Timestamp {
        decimals: u8,
    },
    OldTime {
        decimals: u8,
    },
    OldDateTime {
        decimals: u8,
    },
    OldTimestamp {
        decimals: u8,
    },
    Text(Coding),
    /// Text or bytes of a column that is COMPRESSED.
    Compressed(Coding),
    /// BINARY, which comes without the zeros at its end.
    Padded {
        len: usize,
    },
    Bytes,
    Address(Address),
    Enum(Labels),
    Set(Labels),
    Json,
    Refused(Unreadable),
}

impl Reading {
    pub(super) fn of(
        real: &RealType,
        layout: Layout,
        definition: &Definition<'_>,
    ) -> Result<Self, Unreadable> {
        let [first, second] = real.metadata;
        let unsigned = definition.unsigned;
        let old_decimals = real.old_decimals.unwrap_or(0);
        Ok(match real.code {
            code::NULL => Self::Null,
            code::TINY | code::SHORT | code::INT24 | code::LONG | code::LONGLONG => {
                Self::Integer { unsigned }
            }
            code::FLOAT => Self::Float,
            code::DOUBLE => Self::Double,
            code::NEWDECIMAL => match Decimal::new(first, second) {
                Some(decimal) => Self::Decimal(decimal),
                None => return Err(unknown(definition)),
            },
            code::BIT => Self::Bits,
            code::YEAR => Self::Year,
            code::DATE | code::NEWDATE => Self::Date,
            code::TIME2 => Self::Time { decimals: first },
            code::DATETIME2 => Self::DateTime { decimals: first },
            code::TIMESTAMP2 => Self::Timestamp { decimals: first },
            code::TIME => Self::OldTime { decimals: old_decimals },
            code::DATETIME => Self::OldDateTime { decimals: old_decimals },
            code::TIMESTAMP => Self::OldTimestamp { decimals: old_decimals },
            code::ENUM => Self::Enum(Labels::of("enum", definition)?),
            code::SET => Self::Set(Labels::of("set", definition)?),
            code::JSON => Self::Json,
            code::GEOMETRY | code::VECTOR => Self::Bytes,
            _ => Self::of_text(real, layout, definition)?,
        })
    }

    fn of_text(
        real: &RealType,
        layout: Layout,
        definition: &Definition<'_>,
    ) -> Result<Self, Unreadable> {
        if !matches!(layout, Layout::Prefixed(_)) {
            return Err(unknown(definition));
        }
        let is_fixed = real.code == code::STRING;
        if is_fixed && let Some(address) = Address::named(definition.type_name) {
            return Ok(Self::Address(address));
        }
        let charset = definition.charset.as_ref().ok_or(Unreadable::CharsetMissing)?;
        let is_compressed = matches!(real.code, code::BLOB_COMPRESSED | code::VARCHAR_COMPRESSED);
        Ok(match charset.coding()? {
            coding if is_compressed => Self::Compressed(coding),
            Coding::Binary if is_fixed => Self::Padded { len: usize::from(real.max_len) },
            Coding::Binary => Self::Bytes,
            coding => Self::Text(coding),
        })
    }

    /// Adds a value to the row being built, or nothing.
    pub(super) fn push(
        &self,
        raw: &[u8],
        scratch: &mut Scratch,
        out: &mut BatchBuilder,
    ) -> Result<(), Unreadable> {
        let Scratch { text: scratch, bytes } = scratch;
        match self {
            Self::Null => out.push(Cell::Null),
            Self::Integer { unsigned } => out.push(number::integer(raw, *unsigned)),
            Self::Float => out.push(Cell::Float(number::float(raw))),
            Self::Double => out.push(Cell::Float(number::double(raw))),
            Self::Decimal(decimal) => return decimal.push(raw, out),
            Self::Bits => out.push(Cell::UInt(number::bits(raw))),
            Self::Year => temporal::year(raw, out),
            Self::Date => return temporal::date(raw, out),
            Self::Time { decimals } => return temporal::time(raw, *decimals, out),
            Self::DateTime { decimals } => return temporal::datetime(raw, *decimals, out),
            Self::Timestamp { decimals } => return temporal::timestamp(raw, *decimals, out),
            Self::OldTime { decimals } => return old::time(raw, *decimals, out),
            Self::OldDateTime { decimals } => return old::datetime(raw, *decimals, out),
            Self::OldTimestamp { decimals } => return old::timestamp(raw, *decimals, out),
            Self::Text(coding) => coding.push(raw, scratch, out),
            Self::Compressed(coding) => coding.push(inflate(raw, bytes)?, scratch, out),
            Self::Padded { len } => {
                let zeros = std::iter::repeat_n(0, len.saturating_sub(raw.len()));
                out.push_bytes_from(raw.iter().copied().chain(zeros));
            }
            Self::Bytes => out.push_bytes(raw),
            Self::Address(address) => return address.push(raw, scratch, out),
            Self::Enum(labels) => return labels.push_one(raw, out),
            Self::Set(labels) => return labels.push_set(raw, scratch, out),
            Self::Json => {
                scratch.clear();
                json::print(raw, scratch)?;
                out.push_text(TextKind::Json, scratch);
            }
            Self::Refused(why) => return Err(why.clone()),
        }
        Ok(())
    }
}

fn unknown(definition: &Definition<'_>) -> Unreadable {
    Unreadable::Type { code: definition.code, metadata: definition.metadata }
}
