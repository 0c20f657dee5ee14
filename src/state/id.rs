use std::fmt::Write as _;

use connector_api::Value;

/// A row's identity: the values of its identifying columns, in bytes whose order is the order of
/// the keys (integers by value, text by bytes).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(Box<[u8]>);

/// What stands for the identity of a row where there are as many of them as there are rows: a hash
/// of 128 bits, however long the identity is. Of a thousand million rows two have the same by a
/// chance of 10^-21; they would be rows of one table of one seller, and no other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowHash(u128);

const INT: u8 = 1;
const UINT: u8 = 2;
const TEXT: u8 = 3;
const BYTES: u8 = 4;
const OTHER: u8 = 5;

impl RowId {
    /// The identity with these values; `None` when one of them is NULL or not in the image.
    pub fn of<'a>(values: impl Iterator<Item = Value<'a>>) -> Option<Self> {
        Some(Self(bytes(values)?[..].into()))
    }

    /// What stands for it.
    pub fn hash(&self) -> RowHash {
        RowHash::of(&self.0)
    }

    /// Whether these are its values.
    pub(super) fn is<'a>(&self, values: impl Iterator<Item = Value<'a>>) -> bool {
        let mut rest = Some(&self.0[..]);
        let whole = identify(values, |part| rest = rest.and_then(|rest| rest.strip_prefix(part)));
        whole.is_some() && rest.is_some_and(<[u8]>::is_empty)
    }

    /// Memory it holds, bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }

    /// The identity for people and stores: values joined by `/`, with `/` and `%` in them encoded.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut rest = &self.0[..];
        while let Some((&tag, tail)) = rest.split_first() {
            if !text.is_empty() {
                text.push('/');
            }
            rest = match tag {
                INT | UINT => {
                    let (digits, tail) = tail.split_first_chunk::<8>().expect("written by `of`");
                    let number = u64::from_be_bytes(*digits);
                    let written = match tag {
                        INT => write!(text, "{}", (number ^ (1 << 63)).cast_signed()),
                        _ => write!(text, "{number}"),
                    };
                    written.expect("a string takes everything");
                    tail
                }
                _ => unescape(tag, tail, &mut text),
            };
        }
        text
    }
}

impl RowHash {
    /// That of the row with these values, if they are an identity.
    pub(super) fn of_values<'a>(values: impl Iterator<Item = Value<'a>>) -> Option<Self> {
        bytes(values).map(|bytes| Self::of(&bytes))
    }

    fn of(identity: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(identity))
    }

    /// As many bits of it as a table of rows wants.
    #[allow(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    pub(super) fn short(self) -> u64 {
        self.0 as u64
    }
}

fn bytes<'a>(values: impl Iterator<Item = Value<'a>>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(32);
    identify(values, |part| bytes.extend_from_slice(part))?;
    Some(bytes)
}

/// Hands over the bytes of an identity part by part; `None` where it is none.
fn identify<'a>(values: impl Iterator<Item = Value<'a>>, mut put: impl FnMut(&[u8])) -> Option<()> {
    for value in values {
        match value {
            Value::Null | Value::Absent => return None,
            // One number is one identity, whatever its column makes of the sign.
            Value::Int(number) => match u64::try_from(number) {
                Ok(number) => unsigned(number, &mut put),
                Err(_) => {
                    put(&[INT]);
                    put(&(number.cast_unsigned() ^ (1 << 63)).to_be_bytes());
                }
            },
            Value::UInt(number) => unsigned(number, &mut put),
            Value::Bytes(raw) => escape(BYTES, raw, &mut put),
            Value::Bool(value) => escape(OTHER, value.to_string().as_bytes(), &mut put),
            Value::Float(value) => escape(OTHER, value.to_string().as_bytes(), &mut put),
            Value::Text(text)
            | Value::Decimal(text)
            | Value::Json(text)
            | Value::Timestamp(text)
            | Value::TimestampZoned(text) => escape(TEXT, text.as_bytes(), &mut put),
        }
    }
    Some(())
}

fn unsigned(number: u64, put: &mut impl FnMut(&[u8])) {
    put(&[UINT]);
    put(&number.to_be_bytes());
}

/// Text with a terminator that keeps the order: 0 becomes 0 255, the end is 0 0.
fn escape(tag: u8, raw: &[u8], put: &mut impl FnMut(&[u8])) {
    put(&[tag]);
    for (nth, part) in raw.split(|byte| *byte == 0).enumerate() {
        if nth > 0 {
            put(&[0, 0xff]);
        }
        put(part);
    }
    put(&[0, 0]);
}

fn unescape<'a>(tag: u8, raw: &'a [u8], text: &mut String) -> &'a [u8] {
    let mut plain = Vec::new();
    let mut at = 0;
    while raw[at] != 0 || raw[at + 1] == 0xff {
        plain.push(raw[at]);
        at += if raw[at] == 0 { 2 } else { 1 };
    }
    if tag == BYTES {
        plain.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes all"));
    } else {
        let plain = String::from_utf8_lossy(&plain);
        text.push_str(&plain.replace('%', "%25").replace('/', "%2F"));
    }
    &raw[at + 2..]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = (i64, String)> {
        (prop_oneof![0i64..3, any::<i64>()], prop_oneof!["[ab\\x00]{0,3}", ".*"])
    }

    proptest! {
        #[test]
        fn the_order_of_row_ids_is_the_order_of_their_keys(
            a in key(), b in key(),
        ) {
            let values = |(number, text): &(i64, String)| {
                RowId::of([Value::Int(*number), Value::Text(text)].into_iter()).unwrap()
            };
            let (one, other) = (values(&a), values(&b));
            prop_assert_eq!(one.cmp(&other), a.cmp(&b));
            prop_assert_eq!(one.to_text() == other.to_text(), a == b);
            prop_assert_eq!(one.hash() == other.hash(), a == b);
            prop_assert_eq!(one.is([Value::Int(b.0), Value::Text(&b.1)].into_iter()), a == b);
        }
    }

    proptest! {
        #[test]
        fn one_number_is_one_identity_whatever_the_sign_of_its_column(number in 0i64..) {
            let id = |value| RowId::of([value].into_iter()).unwrap();
            let unsigned = Value::UInt(number.cast_unsigned());
            prop_assert_eq!(id(Value::Int(number)), id(unsigned));
            prop_assert!(id(Value::Int(-1 - number)) < id(unsigned));
            prop_assert_eq!(id(unsigned).to_text(), number.to_string());
        }
    }

    #[test]
    fn half_an_identity_is_none() {
        for missing in [Value::Null, Value::Absent] {
            assert_eq!(RowId::of([Value::Int(1), missing].into_iter()), None);
            assert_eq!(RowHash::of_values([missing].into_iter()), None);
        }
    }
}
