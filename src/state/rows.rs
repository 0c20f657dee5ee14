use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use connector_api::Value;

/// A row's identity: the values of its identifying columns, in bytes whose order is the order of
/// the keys (integers by value, text by bytes).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(Box<[u8]>);

const INT: u8 = 1;
const UINT: u8 = 2;
const TEXT: u8 = 3;
const BYTES: u8 = 4;
const OTHER: u8 = 5;

impl RowId {
    /// The identity with these values; `None` when one of them is NULL or not in the image.
    pub fn of<'a>(values: impl Iterator<Item = Value<'a>>) -> Option<Self> {
        let mut bytes = Vec::with_capacity(16);
        for value in values {
            match value {
                Value::Null | Value::Absent => return None,
                // One number is one identity, whatever its column makes of the sign.
                Value::Int(number) => match u64::try_from(number) {
                    Ok(number) => unsigned(number, &mut bytes),
                    Err(_) => {
                        bytes.push(INT);
                        let number = number.cast_unsigned() ^ (1 << 63);
                        bytes.extend_from_slice(&number.to_be_bytes());
                    }
                },
                Value::UInt(number) => unsigned(number, &mut bytes),
                Value::Bytes(raw) => escape(BYTES, raw, &mut bytes),
                Value::Bool(value) => escape(OTHER, value.to_string().as_bytes(), &mut bytes),
                Value::Float(value) => escape(OTHER, value.to_string().as_bytes(), &mut bytes),
                Value::Text(text)
                | Value::Decimal(text)
                | Value::Json(text)
                | Value::Timestamp(text)
                | Value::TimestampZoned(text) => escape(TEXT, text.as_bytes(), &mut bytes),
            }
        }
        Some(Self(bytes.into_boxed_slice()))
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

fn unsigned(number: u64, bytes: &mut Vec<u8>) {
    bytes.push(UINT);
    bytes.extend_from_slice(&number.to_be_bytes());
}

/// Text with a terminator that keeps the order: 0 becomes 0 255, the end is 0 0.
fn escape(tag: u8, raw: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    for &byte in raw {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
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

/// The mapped columns of a row as last seen, in the order of the table's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedRow(Box<[u8]>);

/// Stored text that is not a cached row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cached row is damaged")]
pub struct UnusableRow;

impl CachedRow {
    /// The row with these values.
    pub fn of<'a>(values: impl Iterator<Item = Value<'a>>) -> Self {
        let mut bytes = Vec::with_capacity(64);
        for value in values {
            let (tag, scalar, text): (u8, Option<[u8; 8]>, &[u8]) = match value {
                Value::Null => (b'n', None, b""),
                Value::Absent => (b'a', None, b""),
                Value::Bool(value) => (b'b', Some(u64::from(value).to_le_bytes()), b""),
                Value::Int(value) => (b'i', Some(value.to_le_bytes()), b""),
                Value::UInt(value) => (b'u', Some(value.to_le_bytes()), b""),
                Value::Float(value) => (b'f', Some(value.to_le_bytes()), b""),
                Value::Decimal(text) => (b'd', None, text.as_bytes()),
                Value::Text(text) => (b't', None, text.as_bytes()),
                Value::Json(text) => (b'j', None, text.as_bytes()),
                Value::Bytes(raw) => (b'x', None, raw),
                Value::Timestamp(text) => (b's', None, text.as_bytes()),
                Value::TimestampZoned(text) => (b'z', None, text.as_bytes()),
            };
            bytes.push(tag);
            if let Some(scalar) = scalar {
                bytes.extend_from_slice(&scalar);
            } else if !matches!(tag, b'n' | b'a') {
                let len = u32::try_from(text.len()).expect("a value is smaller than u32 counts");
                bytes.extend_from_slice(&len.to_le_bytes());
                bytes.extend_from_slice(text);
            }
        }
        Self(bytes.into_boxed_slice())
    }

    /// The values in the order of the plan.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&tag, tail) = rest.split_first()?;
            if matches!(tag, b'n' | b'a') {
                rest = tail;
                return Some(if tag == b'n' { Value::Null } else { Value::Absent });
            }
            if matches!(tag, b'b' | b'i' | b'u' | b'f') {
                let (scalar, tail) = tail.split_first_chunk::<8>().expect("written by `of`");
                rest = tail;
                return Some(match tag {
                    b'b' => Value::Bool(scalar[0] != 0),
                    b'i' => Value::Int(i64::from_le_bytes(*scalar)),
                    b'u' => Value::UInt(u64::from_le_bytes(*scalar)),
                    _ => Value::Float(f64::from_le_bytes(*scalar)),
                });
            }
            let (len, tail) = tail.split_first_chunk::<4>().expect("written by `of`");
            let (text, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
            rest = tail;
            Some(slice(tag, text))
        })
    }

    /// The value of a column by its place in the plan.
    pub fn get(&self, index: usize) -> Value<'_> {
        self.values().nth(index).unwrap_or(Value::Absent)
    }

    /// Memory it holds, bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.len()
    }

    /// The stored form: a JSON object of tagged texts by column, `{"qty":"i4","sku":"tA-1"}`.
    /// Columns by name, so that a later plan with other columns can still read it. `snapshot` is
    /// the one during which the row was seen last.
    fn encode(&self, columns: &[String], snapshot: u32) -> String {
        let mut object = serde_json::Map::new();
        if snapshot > 0 {
            object.insert(SEEN.to_owned(), snapshot.to_string().into());
        }
        for (column, value) in columns.iter().zip(self.values()) {
            if let Some(text) = tagged(value) {
                object.insert(column.clone(), text.into());
            }
        }
        serde_json::Value::Object(object).to_string()
    }

    /// Reads the stored form back for a plan with these columns, and the number of the snapshot
    /// during which the row was seen last; 0 when none has been.
    fn decode(text: &str, columns: &[String]) -> Result<(Self, u32), UnusableRow> {
        let object: HashMap<Cow<'_, str>, Cow<'_, str>> =
            serde_json::from_str(text).map_err(|_| UnusableRow)?;
        let seen = object.get(SEEN).map_or(Ok(0), |seen| seen.parse().map_err(|_| UnusableRow))?;
        let mut raw: Vec<Vec<u8>> = Vec::with_capacity(columns.len());
        for column in columns {
            raw.push(match object.get(column.as_str()).and_then(|text| text.strip_prefix('x')) {
                Some(hex) => unhex(hex).ok_or(UnusableRow)?,
                None => Vec::new(),
            });
        }
        let mut values = Vec::with_capacity(columns.len());
        for (column, raw) in columns.iter().zip(&raw) {
            values.push(match object.get(column.as_str()) {
                None => Value::Absent,
                Some(text) if text.starts_with('x') => Value::Bytes(raw),
                Some(text) => untagged(text).ok_or(UnusableRow)?,
            });
        }
        Ok((Self::of(values.into_iter()), seen))
    }
}

fn slice(tag: u8, bytes: &[u8]) -> Value<'_> {
    if tag == b'x' {
        return Value::Bytes(bytes);
    }
    let text = std::str::from_utf8(bytes).expect("written by `of` from text");
    match tag {
        b'd' => Value::Decimal(text),
        b'j' => Value::Json(text),
        b's' => Value::Timestamp(text),
        b'z' => Value::TimestampZoned(text),
        _ => Value::Text(text),
    }
}

fn tagged(value: Value<'_>) -> Option<String> {
    Some(match value {
        Value::Absent => return None,
        Value::Null => "n".to_owned(),
        Value::Bool(value) => format!("b{}", u8::from(value)),
        Value::Int(value) => format!("i{value}"),
        Value::UInt(value) => format!("u{value}"),
        Value::Float(value) => format!("f{:016x}", value.to_bits()),
        Value::Decimal(text) => format!("d{text}"),
        Value::Text(text) => format!("t{text}"),
        Value::Json(text) => format!("j{text}"),
        Value::Timestamp(text) => format!("s{text}"),
        Value::TimestampZoned(text) => format!("z{text}"),
        Value::Bytes(raw) => {
            raw.iter().fold("x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
    })
}

fn untagged(text: &str) -> Option<Value<'_>> {
    let tag = *text.as_bytes().first().filter(|tag| tag.is_ascii())?;
    let text = &text[1..];
    Some(match tag {
        b'n' => Value::Null,
        b'b' => Value::Bool(text == "1"),
        b'i' => Value::Int(text.parse().ok()?),
        b'u' => Value::UInt(text.parse().ok()?),
        b'f' => Value::Float(f64::from_bits(u64::from_str_radix(text, 16).ok()?)),
        b'd' | b't' | b'j' | b's' | b'z' => slice(tag, text.as_bytes()),
        _ => return None,
    })
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let nibble = |digit: u8| (digit as char).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let pair = |pair: &[u8]| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?);
    digits.chunks(2).map(pair).collect()
}

/// The member of a stored row that is no column: no database has a column without a name.
const SEEN: &str = "";

/// A row, and the number of the snapshot of its table during which it was seen last.
#[derive(Debug)]
struct Seen {
    row: CachedRow,
    snapshot: u32,
}

/// The cached rows of one table, and which of them changed since the last commit was prepared.
#[derive(Debug, Default)]
pub struct TableRows {
    rows: HashMap<RowId, Seen>,
    changed: HashSet<RowId>,
    snapshot: u32,
}

/// Changed rows of a table in their stored form; `None` is gone.
pub type RowsDelta = Vec<(String, Option<String>)>;

impl TableRows {
    /// A row as last seen.
    pub fn get(&self, id: &RowId) -> Option<&CachedRow> {
        self.rows.get(id).map(|seen| &seen.row)
    }

    /// From here on rows are seen during this snapshot. The numbers of a table only rise.
    pub fn begin_snapshot(&mut self, number: u32) {
        self.snapshot = number;
    }

    /// Rows that were not seen since the last snapshot began, at most so many.
    pub fn unseen(&self, limit: usize) -> Vec<CachedRow> {
        let unseen = self.rows.values().filter(|seen| seen.snapshot < self.snapshot);
        unseen.take(limit).map(|seen| seen.row.clone()).collect()
    }

    /// Takes back a row from its stored form. `identity_width` columns of the plan identify it.
    pub fn load(
        &mut self,
        stored: &str,
        columns: &[String],
        identity_width: usize,
    ) -> Result<RowId, UnusableRow> {
        let (row, snapshot) = CachedRow::decode(stored, columns)?;
        let id = RowId::of(row.values().take(identity_width)).ok_or(UnusableRow)?;
        self.rows.insert(id.clone(), Seen { row, snapshot });
        Ok(id)
    }

    /// A row is now like this, or gone.
    pub fn set(&mut self, id: &RowId, row: Option<CachedRow>) {
        let snapshot = self.snapshot;
        match row {
            Some(row) => self.rows.insert(id.clone(), Seen { row, snapshot }),
            None => self.rows.remove(id),
        };
        self.changed.insert(id.clone());
    }

    /// Whether the row was seen since the last snapshot began.
    pub fn is_seen(&self, id: &RowId) -> bool {
        self.rows.get(id).is_some_and(|seen| seen.snapshot >= self.snapshot)
    }

    /// Part of the row is as it was before the last snapshot began: it has not been seen yet.
    pub fn doubt(&mut self, id: &RowId) {
        if let Some(seen) = self.rows.get_mut(id) {
            seen.snapshot = self.snapshot.saturating_sub(1);
        }
    }

    /// Every row is gone.
    pub fn clear(&mut self) {
        self.changed.extend(self.rows.drain().map(|(id, _)| id));
    }

    /// Every row.
    pub fn iter(&self) -> impl Iterator<Item = (&RowId, &CachedRow)> {
        self.rows.iter().map(|(id, seen)| (id, &seen.row))
    }

    /// What changed since the last call, for the commit, in key order.
    pub fn take_delta(&mut self, columns: &[String]) -> RowsDelta {
        let mut changed: Vec<RowId> = self.changed.drain().collect();
        changed.sort_unstable();
        let stored = |id: &RowId| {
            let seen = self.rows.get(id)?;
            Some(seen.row.encode(columns, seen.snapshot))
        };
        changed.iter().map(|id| (id.to_text(), stored(id))).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

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
                Owned::Text(tag, text) => slice(*tag, text.as_bytes()),
                Owned::Raw(raw) => Value::Bytes(raw),
            }
        }
    }

    fn value() -> impl Strategy<Value = Owned> {
        prop_oneof![
            Just(Owned::Plain(Value::Null)),
            Just(Owned::Plain(Value::Absent)),
            any::<bool>().prop_map(|v| Owned::Plain(Value::Bool(v))),
            any::<i64>().prop_map(|v| Owned::Plain(Value::Int(v))),
            any::<u64>().prop_map(|v| Owned::Plain(Value::UInt(v))),
            (-1e300f64..1e300).prop_map(|v| Owned::Plain(Value::Float(v))),
            (prop::sample::select(b"dtjsz".to_vec()), ".*").prop_map(|(t, s)| Owned::Text(t, s)),
            any::<Vec<u8>>().prop_map(Owned::Raw),
        ]
    }

    proptest! {
        #[test]
        fn a_cached_row_survives_memory_and_store(owned in prop::collection::vec(value(), 0..6)) {
            let columns: Vec<String> = (0..owned.len()).map(|i| format!("c{i}")).collect();
            let row = CachedRow::of(owned.iter().map(Owned::value));
            prop_assert!(row.values().eq(owned.iter().map(Owned::value)));
            let stored = row.encode(&columns, 7);
            prop_assert_eq!(CachedRow::decode(&stored, &columns).unwrap(), (row, 7));
        }

        #[test]
        fn the_order_of_row_ids_is_the_order_of_their_keys(
            a in any::<(i64, String)>(), b in any::<(i64, String)>(),
        ) {
            let id = |(number, text): &(i64, String)| {
                RowId::of([Value::Int(*number), Value::Text(text)].into_iter()).unwrap()
            };
            prop_assert_eq!(id(&a).cmp(&id(&b)), a.cmp(&b));
            prop_assert_eq!(id(&a).to_text() == id(&b).to_text(), a == b);
        }

        #[test]
        fn one_number_is_one_identity_whatever_the_sign_of_its_column(number in 0i64..) {
            let id = |value| RowId::of([value].into_iter()).unwrap();
            let unsigned = Value::UInt(number.cast_unsigned());
            prop_assert_eq!(id(Value::Int(number)), id(unsigned));
            prop_assert!(id(Value::Int(-1 - number)) < id(unsigned));
            prop_assert_eq!(id(unsigned).to_text(), number.to_string());
        }

        #[test]
        fn what_a_snapshot_has_not_seen_is_known_after_a_restart_too(
            before in prop::collection::btree_set(0i64..20, 0..8),
            seen in prop::collection::btree_set(0i64..20, 0..8),
        ) {
            let columns = ["id".to_owned()];
            let row = |id: &i64| CachedRow::of([Value::Int(*id)].into_iter());
            let id = |id: &i64| RowId::of([Value::Int(*id)].into_iter()).unwrap();
            let mut rows = TableRows::default();
            before.iter().for_each(|number| rows.set(&id(number), Some(row(number))));
            let mut stored: BTreeMap<_, _> = rows.take_delta(&columns).into_iter().collect();
            rows.begin_snapshot(1);
            seen.iter().for_each(|number| rows.set(&id(number), Some(row(number))));
            stored.extend(rows.take_delta(&columns));
            let mut restarted = TableRows::default();
            restarted.begin_snapshot(1);
            for stored in stored.values() {
                restarted.load(stored.as_ref().unwrap(), &columns, 1).unwrap();
            }
            let expected: Vec<CachedRow> = before.difference(&seen).map(row).collect();
            for rows in [rows, restarted] {
                let mut unseen = rows.unseen(usize::MAX);
                unseen.sort_by_key(|row| match row.get(0) { Value::Int(id) => id, _ => i64::MAX });
                prop_assert_eq!(&unseen, &expected);
            }
        }

        #[test]
        fn stored_garbage_is_refused_without_a_panic(text in ".*") {
            let _ = CachedRow::decode(&text, &["a".to_owned()]);
            let _ = CachedRow::decode(&serde_json::json!({ "a": text }).to_string(), &["a".into()]);
        }
    }
}
