use std::sync::Arc;

use connector_api::{Column, RowImage, TableSchema, Value};

use super::definition::Kind;
use super::expression::Columns;
use super::plan::TablePlan;
use crate::state::{CachedRow, RowId};

/// Where the columns of a plan lie in the row images of one shape of its table.
#[derive(Debug)]
pub(super) struct Binding {
    /// The shape; a changed table gets another.
    pub(super) schema: Arc<TableSchema>,
    /// The plan's table, if the shape has every column it needs.
    pub(super) table: Result<usize, MissingColumn>,
    /// Whether it is the log's, and not that of rows that were read or put together.
    pub(super) is_of_log: bool,
    /// Whether its rows are identified by other columns than the plan has it.
    pub(super) is_keyed_otherwise: bool,
    cells: Vec<usize>,
}

/// A column a plan needs that a table no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MissingColumn {
    /// The plan's table.
    pub(super) table: usize,
    pub(super) column: String,
    /// Whether somebody was told.
    pub(super) told: bool,
}

impl Binding {
    pub(super) fn new(schema: &Arc<TableSchema>, tables: &[TablePlan]) -> Option<Self> {
        let table = tables.iter().position(|table| table.name == schema.name)?;
        let mut cells = Vec::with_capacity(tables[table].columns.len());
        let mut missing = None;
        for column in &tables[table].columns {
            match schema.index_of(column) {
                Some(cell) => cells.push(cell),
                None => {
                    missing = Some(MissingColumn { table, column: column.clone(), told: false });
                }
            }
        }
        let is_keyed_otherwise = is_keyed_otherwise(schema, &tables[table]);
        let (schema, table) = (Arc::clone(schema), missing.map_or(Ok(table), Err));
        Some(Self { schema, table, is_of_log: false, is_keyed_otherwise, cells })
    }

    /// Whether rows of another shape of the table are identified in another way.
    pub(super) fn is_rekeyed(&self, other: &TableSchema) -> bool {
        let key = |schema: &TableSchema| -> Vec<(String, String)> {
            let columns = schema.columns.iter().filter(|column| column.identity);
            columns.map(|column| (column.name.clone(), column.type_name.clone())).collect()
        };
        key(&self.schema) != key(other)
    }

    /// A row of this shape, completed from what is cached of it.
    pub(super) fn row<'a>(&'a self, image: RowImage<'a>, cached: Option<&'a CachedRow>) -> Row<'a> {
        Row { image: Some((image, &self.cells)), older: None, cached }
    }
}

fn is_keyed_otherwise(schema: &TableSchema, plan: &TablePlan) -> bool {
    // Of whole old rows, and of rows without a key, the log does not say what identifies them.
    let is_said = schema.columns.iter().any(|column| !column.identity);
    // A ledger is not read again, nor is anything remembered of it.
    let is_read = plan.mappings.iter().any(|mapping| mapping.kind == Kind::Level)
        || !plan.looked_up_by.is_empty();
    let key = &plan.columns[..plan.identity_width];
    let is_other = |column: &Column| column.identity != key.contains(&column.name);
    is_said && is_read && schema.columns.iter().any(is_other)
}

/// The columns of a plan for one row: from its image, else from the cache.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    image: Option<(RowImage<'a>, &'a [usize])>,
    /// The image before: what a later one does not hold is unchanged.
    older: Option<RowImage<'a>>,
    cached: Option<&'a CachedRow>,
}

impl<'a> Row<'a> {
    /// A row of which only the cache is known.
    pub(super) fn cached(cached: &'a CachedRow) -> Self {
        Self { image: None, older: None, cached: Some(cached) }
    }

    /// The row, completed from the image before its change.
    pub(super) fn behind(self, older: Option<RowImage<'a>>) -> Self {
        Self { older, ..self }
    }

    /// The row's identity, when all of it is there.
    pub(super) fn id(&self, identity_width: usize) -> Option<RowId> {
        if identity_width == 0 {
            return None;
        }
        RowId::of((0..identity_width).map(|index| self.value(index)))
    }

    /// Whether no column is missing.
    pub(super) fn is_whole(&self, width: usize) -> bool {
        (0..width).all(|index| self.value(index) != Value::Absent)
    }

    /// The row as the cache is to hold it.
    pub(super) fn to_cached(self, width: usize) -> CachedRow {
        CachedRow::of((0..width).map(|index| self.value(index)))
    }

    pub(super) fn value(&self, index: usize) -> Value<'a> {
        let there = |value: &Value<'_>| !matches!(value, Value::Absent);
        let of = |image: RowImage<'a>, cells: &[usize]| Some(image.get(cells[index])).filter(there);
        let logged = self.image.and_then(|(image, cells)| {
            of(image, cells).or_else(|| self.older.and_then(|older| of(older, cells)))
        });
        logged.or_else(|| Some(self.cached?.get(index))).unwrap_or(Value::Absent)
    }
}

impl Columns for Row<'_> {
    fn get(&self, index: usize) -> Value<'_> {
        self.value(index)
    }
}

/// Appends a value as JSON: integers and finite floats as numbers, decimals as strings exactly as
/// the database prints them, bytes as base64, JSON as it is, everything else as a string.
/// [`Value::Absent`] has no JSON; leave its member out.
pub fn write_json(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Absent => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::UInt(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Float(value) if value.is_finite() => append(&value, out),
        Value::Float(value) if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        Value::Float(value) if value > 0.0 => out.extend_from_slice(b"\"Infinity\""),
        Value::Float(_) => out.extend_from_slice(b"\"-Infinity\""),
        Value::Decimal(text)
        | Value::Text(text)
        | Value::Timestamp(text)
        | Value::TimestampZoned(text) => append(text, out),
        Value::Json(text) => match serde_json::from_str::<&serde_json::value::RawValue>(text) {
            Ok(document) => append(document, out),
            Err(_) => append(text, out),
        },
        Value::Bytes(raw) => base64(raw, out),
    }
}

fn append(value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a vector takes everything");
}

/// RFC 4648 with padding, as a JSON string.
fn base64(raw: &[u8], out: &mut Vec<u8>) {
    use base64::Engine as _;
    append(&base64::engine::general_purpose::STANDARD.encode(raw), out);
}
