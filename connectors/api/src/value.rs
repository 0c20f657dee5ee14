/// One column of one row image, borrowed from the batch that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// Not in this image: an unchanged out-of-line value, a column outside the replica identity.
    /// The row has a value; the log does not say which.
    Absent,
    /// A boolean.
    Bool(bool),
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width.
    UInt(u64),
    /// A binary floating-point number; NaN and infinities included.
    Float(f64),
    /// An exact decimal as the database prints it. `NaN` and `Infinity` are possible.
    Decimal(&'a str),
    /// Text, and every type that has no variant of its own, as the database prints it.
    Text(&'a str),
    /// A JSON document as the database prints it.
    Json(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// A timestamp without a zone, ISO 8601 with `T`: `2026-01-31T12:00:00.5`.
    Timestamp(&'a str),
    /// A timestamp with a zone, RFC 3339 in UTC: `2026-01-31T12:00:00.5Z`.
    TimestampZoned(&'a str),
}

/// How the bytes of a [`Cell::Slice`] are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// [`Value::Decimal`]
    Decimal,
    /// [`Value::Text`]
    Text,
    /// [`Value::Json`]
    Json,
    /// [`Value::Bytes`]; the only kind that need not be UTF-8.
    Bytes,
    /// [`Value::Timestamp`]
    Timestamp,
    /// [`Value::TimestampZoned`]
    TimestampZoned,
}

/// A [`Value`] as a batch stores it: 16 bytes, no heap, text by place in the batch's buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// [`Value::Null`]
    Null,
    /// [`Value::Absent`]
    Absent,
    /// [`Value::Bool`]
    Bool(bool),
    /// [`Value::Int`]
    Int(i64),
    /// [`Value::UInt`]
    UInt(u64),
    /// [`Value::Float`]
    Float(f64),
    /// Bytes of the batch's buffer.
    Slice {
        /// How to read them.
        kind: TextKind,
        /// Offset into the buffer, bytes.
        start: u32,
        /// Length, bytes.
        len: u32,
    },
}

impl Cell {
    /// The value this cell stands for, in `data`, the buffer of its batch.
    pub(crate) fn value(self, data: &[u8]) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Absent => Value::Absent,
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::UInt(value) => Value::UInt(value),
            Cell::Float(value) => Value::Float(value),
            Cell::Slice { kind, start, len } => {
                let bytes = &data[start as usize..start as usize + len as usize];
                if kind == TextKind::Bytes {
                    return Value::Bytes(bytes);
                }
                let text = std::str::from_utf8(bytes).expect("checked when it was pushed");
                match kind {
                    TextKind::Decimal => Value::Decimal(text),
                    TextKind::Json => Value::Json(text),
                    TextKind::Timestamp => Value::Timestamp(text),
                    TextKind::TimestampZoned => Value::TimestampZoned(text),
                    TextKind::Text | TextKind::Bytes => Value::Text(text),
                }
            }
        }
    }
}
