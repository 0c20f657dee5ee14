use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use connector_api::Value;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

/// The mapped columns of a row as last seen, in the order of the table's plan, and the number of
/// the snapshot of its table during which it was seen last.
///
/// One piece of memory: the number, then for each column a byte for kind and length, and the value:
/// a text as it is, a number without the zeros before it. From 15 bytes on the length is apart.
#[derive(Clone)]
pub struct CachedRow(Box<[u8]>);

/// Stored text that is not a cached row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cached row is damaged")]
pub struct UnusableRow;

const NULL: u8 = 0;
const ABSENT: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const INT: u8 = 4;
const UINT: u8 = 5;
const FLOAT: u8 = 6;
const DECIMAL: u8 = 7;
const TEXT: u8 = 8;
const JSON: u8 = 9;
const BYTES: u8 = 10;
const TIMESTAMP: u8 = 11;
const TIMESTAMP_ZONED: u8 = 12;

/// In place of a length that has bytes of its own.
const LONG: usize = 15;

/// Bytes before the first value.
const NUMBER: usize = size_of::<u32>();

/// The member of a stored row that is no column: no database has a column without a name.
const SEEN: &str = "";

impl CachedRow {
    /// The row with these values, seen during no snapshot.
    pub fn of<'a>(values: impl Iterator<Item = Value<'a>>) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&[0; NUMBER]);
        values.for_each(|value| push(value, &mut bytes));
        Self(bytes[..].into())
    }

    /// The values in the order of the plan.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        Cells(&self.0[NUMBER..]).map(|(kind, bytes)| value(kind, bytes))
    }

    /// The value of a column by its place in the plan.
    pub fn get(&self, index: usize) -> Value<'_> {
        let cell = Cells(&self.0[NUMBER..]).nth(index);
        cell.map_or(Value::Absent, |(kind, bytes)| value(kind, bytes))
    }

    /// Memory it holds, bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }

    pub(super) fn snapshot(&self) -> u32 {
        u32::from_le_bytes(*self.0.first_chunk().expect("every row begins with its number"))
    }

    pub(super) fn set_snapshot(&mut self, number: u32) {
        self.0[..NUMBER].copy_from_slice(&number.to_le_bytes());
    }

    /// The stored form: a JSON object of tagged texts by column, `{"qty":"i4","sku":"tA-1"}`.
    /// Columns by name, so that a later plan with other columns can still read it.
    pub(super) fn encode(&self, columns: &[String]) -> String {
        let (mut json, mut text) = (Vec::with_capacity(128), String::new());
        json.push(b'{');
        if self.snapshot() > 0 {
            member(SEEN, &self.snapshot().to_string(), &mut json);
        }
        for (column, value) in columns.iter().zip(self.values()) {
            if value != Value::Absent {
                text.clear();
                tag(value, &mut text).expect("a string takes everything");
                member(column, &text, &mut json);
            }
        }
        json.push(b'}');
        String::from_utf8(json).expect("JSON is text")
    }

    /// Reads the stored form back for a plan with these columns.
    pub(super) fn decode(text: &str, columns: &[String]) -> Result<Self, UnusableRow> {
        let mut json = serde_json::Deserializer::from_str(text);
        let members = Members(columns).deserialize(&mut json).map_err(|_| UnusableRow)?;
        json.end().map_err(|_| UnusableRow)?;
        let seen = members.seen.map_or(Ok(0), |seen| seen.parse().map_err(|_| UnusableRow))?;
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&u32::to_le_bytes(seen));
        for text in &members.columns {
            match text.as_ref().map(|text| (text.strip_prefix('x'), text)) {
                None => push(Value::Absent, &mut bytes),
                Some((Some(hex), _)) => {
                    push(Value::Bytes(&unhex(hex).ok_or(UnusableRow)?), &mut bytes);
                }
                Some((None, text)) => push(untag(text).ok_or(UnusableRow)?, &mut bytes),
            }
        }
        Ok(Self(bytes[..].into()))
    }
}

/// Rows are equal that say the same, whenever they were seen.
impl PartialEq for CachedRow {
    fn eq(&self, other: &Self) -> bool {
        self.0[NUMBER..] == other.0[NUMBER..]
    }
}

impl Eq for CachedRow {}

impl fmt::Debug for CachedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

fn push(value: Value<'_>, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => cell(NULL, b"", bytes),
        Value::Absent => cell(ABSENT, b"", bytes),
        Value::Bool(false) => cell(FALSE, b"", bytes),
        Value::Bool(true) => cell(TRUE, b"", bytes),
        // The sign goes to the end, so that small numbers are short whatever it is.
        Value::Int(value) => number(INT, ((value << 1) ^ (value >> 63)).cast_unsigned(), bytes),
        Value::UInt(value) => number(UINT, value, bytes),
        // The zeros behind a short fraction come to the end.
        Value::Float(value) => number(FLOAT, value.to_bits().swap_bytes(), bytes),
        Value::Decimal(text) => cell(DECIMAL, text.as_bytes(), bytes),
        Value::Text(text) => cell(TEXT, text.as_bytes(), bytes),
        Value::Json(text) => cell(JSON, text.as_bytes(), bytes),
        Value::Bytes(raw) => cell(BYTES, raw, bytes),
        Value::Timestamp(text) => cell(TIMESTAMP, text.as_bytes(), bytes),
        Value::TimestampZoned(text) => cell(TIMESTAMP_ZONED, text.as_bytes(), bytes),
    }
}

/// A number without the zeros at its end.
fn number(kind: u8, number: u64, bytes: &mut Vec<u8>) {
    let zeros = number.leading_zeros() as usize / 8;
    cell(kind, &number.to_le_bytes()[..8 - zeros], bytes);
}

fn cell(kind: u8, payload: &[u8], bytes: &mut Vec<u8>) {
    match u8::try_from(payload.len()) {
        Ok(len) if usize::from(len) < LONG => bytes.push(kind | len << 4),
        _ => {
            let len = u32::try_from(payload.len()).expect("a value is smaller than u32 counts");
            bytes.push(kind | 0xf0);
            bytes.extend_from_slice(&len.to_le_bytes());
        }
    }
    bytes.extend_from_slice(payload);
}

/// Kinds and bytes of the values of a row.
struct Cells<'a>(&'a [u8]);

impl<'a> Iterator for Cells<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, mut rest) = self.0.split_first()?;
        let mut len = usize::from(tag >> 4);
        if len == LONG {
            let (long, tail) = rest.split_first_chunk().expect("written by `cell`");
            (len, rest) = (u32::from_le_bytes(*long) as usize, tail);
        }
        let (payload, rest) = rest.split_at(len);
        self.0 = rest;
        Some((tag & 0x0f, payload))
    }
}

fn value(kind: u8, payload: &[u8]) -> Value<'_> {
    let number = || {
        let mut whole = [0; 8];
        whole[..payload.len()].copy_from_slice(payload);
        u64::from_le_bytes(whole)
    };
    let text = || std::str::from_utf8(payload).expect("written by `push` from text");
    match kind {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::Int((number() >> 1).cast_signed() ^ -(number() & 1).cast_signed()),
        UINT => Value::UInt(number()),
        FLOAT => Value::Float(f64::from_bits(number().swap_bytes())),
        DECIMAL => Value::Decimal(text()),
        TEXT => Value::Text(text()),
        JSON => Value::Json(text()),
        BYTES => Value::Bytes(payload),
        TIMESTAMP => Value::Timestamp(text()),
        TIMESTAMP_ZONED => Value::TimestampZoned(text()),
        _ => Value::Absent,
    }
}

/// Appends a member of a JSON object.
fn member(name: &str, text: &str, json: &mut Vec<u8>) {
    if json.len() > 1 {
        json.push(b',');
    }
    serde_json::to_writer(&mut *json, name).expect("a vector takes everything");
    json.push(b':');
    serde_json::to_writer(json, text).expect("a vector takes everything");
}

fn tag(value: Value<'_>, text: &mut String) -> fmt::Result {
    match value {
        Value::Absent => Ok(()),
        Value::Null => text.write_char('n'),
        Value::Bool(value) => write!(text, "b{}", u8::from(value)),
        Value::Int(value) => write!(text, "i{value}"),
        Value::UInt(value) => write!(text, "u{value}"),
        Value::Float(value) => write!(text, "f{:016x}", value.to_bits()),
        Value::Decimal(value) => write!(text, "d{value}"),
        Value::Text(value) => write!(text, "t{value}"),
        Value::Json(value) => write!(text, "j{value}"),
        Value::Timestamp(value) => write!(text, "s{value}"),
        Value::TimestampZoned(value) => write!(text, "z{value}"),
        Value::Bytes(raw) => {
            text.write_char('x')?;
            raw.iter().try_for_each(|byte| write!(text, "{byte:02x}"))
        }
    }
}

/// Of every value but bytes.
fn untag(text: &str) -> Option<Value<'_>> {
    let tag = *text.as_bytes().first().filter(|tag| tag.is_ascii())?;
    let text = &text[1..];
    Some(match tag {
        b'n' => Value::Null,
        b'b' => Value::Bool(text == "1"),
        b'i' => Value::Int(text.parse().ok()?),
        b'u' => Value::UInt(text.parse().ok()?),
        b'f' => Value::Float(f64::from_bits(u64::from_str_radix(text, 16).ok()?)),
        b'd' => Value::Decimal(text),
        b't' => Value::Text(text),
        b'j' => Value::Json(text),
        b's' => Value::Timestamp(text),
        b'z' => Value::TimestampZoned(text),
        _ => return None,
    })
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let nibble = |digit: u8| (digit as char).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let pair = |pair: &[u8]| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?);
    digits.chunks(2).map(pair).collect()
}

/// What a stored row says of these columns, and when it was seen.
struct Members<'c>(&'c [String]);

struct Found<'de> {
    seen: Option<Cow<'de, str>>,
    /// In the order of the columns.
    columns: Vec<Option<Cow<'de, str>>>,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found { seen: None, columns: vec![None; self.0.len()] };
        while let Some((name, text)) = map.next_entry_seed(Text, Text)? {
            match self.0.iter().position(|column| *column == *name) {
                Some(place) => found.columns[place] = Some(text),
                None if name == SEEN => found.seen = Some(text),
                None => {}
            }
        }
        Ok(found)
    }
}

/// A text where it stands, unless something in it is escaped.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Owned {
        Plain(Value<'static>),
        Text(u8, String),
        Raw(Vec<u8>),
    }

    impl Owned {
        fn value(&self) -> Value<'_> {
            match self {
                Owned::Plain(value) => *value,
                Owned::Text(kind, text) => value(*kind, text.as_bytes()),
                Owned::Raw(raw) => Value::Bytes(raw),
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Owned> {
        let texts = [DECIMAL, TEXT, JSON, TIMESTAMP, TIMESTAMP_ZONED].to_vec();
        prop_oneof![
            Just(Owned::Plain(Value::Null)),
            Just(Owned::Plain(Value::Absent)),
            any::<bool>().prop_map(|v| Owned::Plain(Value::Bool(v))),
            any::<i64>().prop_map(|v| Owned::Plain(Value::Int(v))),
            (-300i64..300).prop_map(|v| Owned::Plain(Value::Int(v))),
            any::<u64>().prop_map(|v| Owned::Plain(Value::UInt(v))),
            (-1e300f64..1e300).prop_map(|v| Owned::Plain(Value::Float(v))),
            (prop::sample::select(texts), ".*").prop_map(|(t, s)| Owned::Text(t, s)),
            any::<Vec<u8>>().prop_map(Owned::Raw),
        ]
    }

    proptest! {
        #[test]
        fn a_cached_row_survives_memory_and_store(
            owned in prop::collection::vec(any_value(), 0..6), seen in any::<u32>(),
        ) {
            let columns: Vec<String> = (0..owned.len()).map(|i| format!("c\"{i}")).collect();
            let mut row = CachedRow::of(owned.iter().map(Owned::value));
            prop_assert!(row.values().eq(owned.iter().map(Owned::value)));
            for (place, one) in owned.iter().enumerate() {
                prop_assert_eq!(row.get(place), one.value());
            }
            prop_assert_eq!((row.get(owned.len()), row.snapshot()), (Value::Absent, 0));
            row.set_snapshot(seen);
            let back = CachedRow::decode(&row.encode(&columns), &columns).unwrap();
            prop_assert_eq!((&back, back.snapshot()), (&row, seen));
        }

        #[test]
        fn stored_garbage_is_refused_without_a_panic(text in ".*") {
            let _ = CachedRow::decode(&text, &["a".to_owned()]);
            let _ = CachedRow::decode(&serde_json::json!({ "a": text }).to_string(), &["a".into()]);
        }
    }

    #[test]
    fn every_number_comes_back() {
        let bounds = [i64::MIN, i64::MIN + 1, -129, -128, -1, 0, 1, 127, 128, i64::MAX];
        let row = CachedRow::of(bounds.into_iter().map(Value::Int));
        assert!(row.values().eq(bounds.into_iter().map(Value::Int)));
        let row = CachedRow::of([0, 255, 256, u64::MAX].into_iter().map(Value::UInt));
        assert!(row.values().eq([0, 255, 256, u64::MAX].into_iter().map(Value::UInt)));
    }

    #[test]
    fn what_earlier_versions_stored_is_read_by_the_names_of_the_columns() {
        let columns = ["id", "sku", "raw", "gone", "price"].map(str::to_owned);
        let stored = r#"{"":"12","id":"i-4","other":"tB","price":"f3ff8000000000000","raw":"x00ff",
            "sku":"tA\n\u00e9\"1"}"#;
        let row = CachedRow::decode(stored, &columns).unwrap();
        let expected = [
            Value::Int(-4),
            Value::Text("A\né\"1"),
            Value::Bytes(&[0, 0xff]),
            Value::Absent,
            Value::Float(1.5),
        ];
        assert_eq!(row.snapshot(), 12);
        assert!(row.values().eq(expected), "{row:?}");
        let damages =
            ["", "[]", "{}x", r#"{"id":4}"#, r#"{"id":"4"}"#, r#"{"raw":"x0"}"#, r#"{"":"n"}"#];
        for damaged in damages {
            assert_eq!(CachedRow::decode(damaged, &columns), Err(UnusableRow), "{damaged}");
        }
    }
}
