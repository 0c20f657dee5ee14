#![allow(clippy::unwrap_used)]

mod address;
mod compressed;
mod number;
mod properties;
mod temporal;
mod text;

use std::sync::Arc;

use connector_api::{
    Batch, BeginText, Column, Op, Position, SourceEvent, TableName, TableSchema, Value,
};

use super::layout::code;
use super::*;

/// What is read from `raw`: a batch with one row of one column.
pub(crate) fn read(definition: &Definition<'_>, raw: &[u8]) -> Result<Batch, Unreadable> {
    let column_type = ColumnType::new(definition)?;
    let mut out = BatchBuilder::new(&Position::new("1:4"));
    let column = Column { name: "value".into(), type_name: "any".into(), identity: false };
    let name = TableName::new("shop", "stock");
    let schema = Arc::new(TableSchema { name, columns: vec![column] });
    out.begin(BeginText { coordinate: 1, committed_at_us: 0, txid: "1", position: "1:4" });
    let image = out.image();
    let mut cursor = Cursor::new(raw);
    let decoded = column_type.decode(&mut cursor, &mut Scratch::default(), &mut out);
    assert_skips_as_far(&column_type, raw, &cursor, decoded.as_ref().err());
    decoded?;
    let table = out.table(&schema);
    out.row(table, Op::Insert, None, Some(image));
    out.commit("1:5");
    Ok(out.take())
}

/// Unless the value is cut short, reading it and skipping it end at the same place.
fn assert_skips_as_far(
    column_type: &ColumnType,
    raw: &[u8],
    decoded: &Cursor<'_>,
    error: Option<&Unreadable>,
) {
    let mut skipped = Cursor::new(raw);
    let result = column_type.skip(&mut skipped);
    if error == Some(&Unreadable::Short) {
        assert_eq!(result, Err(Unreadable::Short));
    } else {
        assert_eq!(result, Ok(()));
        assert_eq!(skipped.rest(), decoded.rest());
    }
}

fn value(batch: &Batch) -> Value<'_> {
    let rows = batch.events().iter().find_map(|event| match event {
        SourceEvent::Row(row) => batch.after(row),
        _ => None,
    });
    rows.unwrap().get(0)
}

fn assert_reads(definition: &Definition<'_>, raw: &[u8], wanted: Value<'_>) {
    let batch = read(definition, raw).unwrap();
    assert_eq!(value(&batch), wanted, "{definition:?} {raw:02x?}");
}

fn assert_unreadable(definition: &Definition<'_>, raw: &[u8], wanted: &Unreadable) {
    assert_eq!(read(definition, raw).unwrap_err(), *wanted, "{definition:?} {raw:02x?}");
}

/// A type without a character set.
fn plain(code: u8, metadata: [u8; 2]) -> Definition<'static> {
    let metadata = u16::from_le_bytes(metadata);
    Definition { code, metadata, unsigned: false, charset: None, labels: None, type_name: "" }
}

fn text(code: u8, metadata: [u8; 2], charset: &str) -> Definition<'static> {
    Definition { charset: Some(Charset::named(charset)), ..plain(code, metadata) }
}

/// `raw` behind its length in `width` bytes.
fn counted(width: usize, raw: &[u8]) -> Vec<u8> {
    let mut bytes = raw.len().to_le_bytes()[..width].to_vec();
    bytes.extend_from_slice(raw);
    bytes
}
