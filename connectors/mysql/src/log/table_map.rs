use connector_api::Result;

use super::cursor::Cursor;
use super::format::Flavor;
use super::frame::Frame;
use super::header::Subject;

/// Column types as they stand in a TABLE_MAP, where they bear on how it is read.
pub(super) mod types {
    pub(in super::super) const TINY: u8 = 1;
    pub(in super::super) const SHORT: u8 = 2;
    pub(in super::super) const LONG: u8 = 3;
    pub(in super::super) const FLOAT: u8 = 4;
    pub(in super::super) const DOUBLE: u8 = 5;
    pub(in super::super) const LONGLONG: u8 = 8;
    pub(in super::super) const INT24: u8 = 9;
    pub(in super::super) const YEAR: u8 = 13;
    pub(in super::super) const VARCHAR: u8 = 15;
    pub(in super::super) const BIT: u8 = 16;
    pub(in super::super) const TIMESTAMP2: u8 = 17;
    pub(in super::super) const DATETIME2: u8 = 18;
    pub(in super::super) const TIME2: u8 = 19;
    pub(in super::super) const OLD_TYPED_ARRAY: u8 = 20;
    pub(in super::super) const MARIADB_BLOB_COMPRESSED: u8 = 140;
    pub(in super::super) const MARIADB_VARCHAR_COMPRESSED: u8 = 141;
    pub(in super::super) const VECTOR: u8 = 242;
    pub(in super::super) const TYPED_ARRAY: u8 = 244;
    pub(in super::super) const JSON: u8 = 245;
    pub(in super::super) const NEWDECIMAL: u8 = 246;
    pub(in super::super) const ENUM: u8 = 247;
    pub(in super::super) const SET: u8 = 248;
    pub(in super::super) const TINY_BLOB: u8 = 249;
    pub(in super::super) const MEDIUM_BLOB: u8 = 250;
    pub(in super::super) const LONG_BLOB: u8 = 251;
    pub(in super::super) const BLOB: u8 = 252;
    pub(in super::super) const VAR_STRING: u8 = 253;
    pub(in super::super) const STRING: u8 = 254;
    pub(in super::super) const GEOMETRY: u8 = 255;
}

/// Both families allow a table no more columns. What is remembered of each takes much more room
/// than the byte that announces it.
const COLUMNS_MAX: usize = 4096;

/// The table that rows behind it are of.
#[derive(Debug, Clone)]
pub struct TableMap<'a> {
    /// What rows call the table. A server gives a table another number when its shape changes.
    pub table_id: u64,
    /// The schema, in UTF-8.
    pub schema: &'a [u8],
    /// The table, in UTF-8.
    pub table: &'a [u8],
    /// The type of each column, as the log numbers them.
    pub types: &'a [u8],
    pub(super) metadata: &'a [u8],
    pub(super) nulls: &'a [u8],
    pub(super) optional: Cursor<'a>,
    pub(super) flavor: Flavor,
    subject: Subject,
}

/// One column of a table. What the log does not say is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column<'a> {
    /// The type, as the log numbers it.
    pub kind: u8,
    /// What else is needed to read values of the type: up to two bytes, the first in the low half.
    pub meta: u16,
    /// Whether it can be NULL.
    pub is_nullable: bool,
    /// Its name, in UTF-8.
    pub name: Option<&'a [u8]>,
    /// Whether its numbers have no sign.
    pub is_unsigned: Option<bool>,
    /// The number of its collation, of columns that hold text, bytes, or labels.
    pub collation: Option<u32>,
    /// The labels of an ENUM or SET, in the column's character set.
    pub labels: Option<Vec<&'a [u8]>>,
    /// Its place in the primary key, from 0.
    pub key: Option<u16>,
    /// Characters of it that are in the primary key, when it is not all of them.
    pub key_prefix: Option<u32>,
    /// Whether `SELECT *` shows it.
    pub is_visible: Option<bool>,
    /// The kind of shape a spatial column holds.
    pub geometry: Option<u32>,
    /// The numbers in a vector.
    pub dimensions: Option<u32>,
}

impl<'a> TableMap<'a> {
    pub(super) fn read(frame: &Frame<'a>, body: &mut Cursor<'a>) -> Result<Self> {
        let table_id = body.uint(6)?;
        let _flags = body.u16()?;
        let schema = body.name()?;
        let table = body.name()?;
        let columns = body.packed_len()?;
        if columns > COLUMNS_MAX {
            let found = format!("{columns} columns, and a table has at most {COLUMNS_MAX}");
            return Err(body.wrong(&found));
        }
        let types = body.bytes(columns)?;
        let metadata = body.packed_bytes()?;
        let nulls = body.bytes(columns.div_ceil(8))?;
        let optional = body.clone();
        body.rest();
        let (flavor, subject) = (frame.flavor, frame.header.subject());
        Ok(Self { table_id, schema, table, types, metadata, nulls, optional, flavor, subject })
    }

    /// The columns, by what every log says of them.
    ///
    /// # Errors
    /// A type whose values we would not know how to read or pass over.
    pub fn columns(&self) -> Result<Vec<Column<'a>>> {
        let mut metadata = Cursor::new(self.metadata, self.subject);
        let mut columns = Vec::with_capacity(self.types.len());
        for (nth, &kind) in self.types.iter().enumerate() {
            let Some(bytes) = metadata_bytes(kind) else {
                return Err(metadata.wrong(&format!("column {nth} of the unknown type {kind}")));
            };
            let meta = metadata.uint(bytes)? as u16;
            let is_nullable = bit(self.nulls, nth);
            columns.push(Column { kind, meta, is_nullable, ..Column::default() });
        }
        metadata.end()?;
        Ok(columns)
    }
}

/// Bit `nth`, from the lowest of the first byte on.
fn bit(bits: &[u8], nth: usize) -> bool {
    bits.get(nth / 8).is_some_and(|byte| byte >> (nth % 8) & 1 == 1)
}

/// How many bytes describe a column of this type, or none when nobody knows. The elements of an
/// array would be described in it too; servers have them only in hidden columns of an index.
fn metadata_bytes(kind: u8) -> Option<usize> {
    use types::*;
    match kind {
        FLOAT | DOUBLE | TIMESTAMP2 | DATETIME2 | TIME2 => Some(1),
        TINY_BLOB | MEDIUM_BLOB | LONG_BLOB | BLOB | GEOMETRY | JSON | VECTOR => Some(1),
        MARIADB_BLOB_COMPRESSED => Some(1),
        VARCHAR | BIT | NEWDECIMAL | ENUM | SET | VAR_STRING | STRING => Some(2),
        MARIADB_VARCHAR_COMPRESSED => Some(2),
        OLD_TYPED_ARRAY | TYPED_ARRAY => None,
        // The numbers, dates and times of before 5.6, and NULL.
        0..=14 => Some(0),
        _ => None,
    }
}
