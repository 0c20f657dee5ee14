use std::sync::Arc;

use connector_api::{
    BatchBuilder, Capture, Cell, Column, Columns, Error, Op, Result, TableName, TableSchema,
};

use super::cursor::Cursor;
use super::{ABSENT, unexpected};
use crate::types::Reading;

/// A table as the stream describes it, and what is done with each column of its rows.
#[derive(Debug)]
pub(super) struct Relation {
    /// The captured columns; `None` when the table is not captured.
    pub(super) schema: Option<Arc<TableSchema>>,
    /// Every column on the wire.
    pub(super) columns: Vec<WireColumn>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct WireColumn {
    /// How it is read; `None` when it is not captured.
    reading: Option<Reading>,
    /// Whether it is part of the replica identity.
    identity: bool,
}

impl Relation {
    pub(super) fn read(cursor: &mut Cursor<'_>, capture: &Capture) -> Result<Self> {
        let schema = cursor.text()?;
        // The server leaves out the name of its own catalog.
        let schema = if schema.is_empty() { "pg_catalog" } else { schema };
        let name = TableName::new(schema, cursor.text()?);
        let _identity = cursor.u8()?;
        let count = cursor.u16()?;
        let wanted = capture.columns_of(&name);
        let mut columns = Vec::with_capacity(usize::from(count));
        let mut captured = Vec::new();
        for _ in 0..count {
            let identity = cursor.u8()? & 1 == 1;
            let column = cursor.text()?;
            let oid = cursor.u32()?;
            let _modifier = cursor.u32()?;
            let wanted = match wanted {
                None => false,
                Some(Columns::All) => true,
                Some(Columns::Only(names)) => names.iter().any(|name| name == column),
            };
            if wanted {
                let type_name = Reading::name_of(oid);
                captured.push(Column { name: column.to_owned(), type_name, identity });
            }
            columns.push(WireColumn { reading: wanted.then(|| Reading::of(oid)), identity });
        }
        let schema = wanted.map(|_| Arc::new(TableSchema { name, columns: captured }));
        Ok(Self { schema, columns })
    }

    /// A whole row. A value that is not sent because it did not change comes from `old`, the
    /// image of the row before, where that holds every column.
    pub(super) fn image(
        &self,
        cursor: &mut Cursor<'_>,
        out: &mut BatchBuilder,
        old: Option<u32>,
    ) -> Result<u32> {
        self.tuple(cursor, out, |index, _, kind| match (kind, old) {
            (b'u', Some(old)) => Missing::Repeat(old + index),
            (b'u', None) => Missing::Cell(ABSENT),
            _ => Missing::Cell(Cell::Null),
        })
    }

    /// The key of a row. Columns outside the replica identity come as NULL, which they are not.
    pub(super) fn key_image(&self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<u32> {
        self.tuple(cursor, out, |_, column, kind| {
            let null = kind == b'n' && column.identity;
            Missing::Cell(if null { Cell::Null } else { ABSENT })
        })
    }

    fn tuple(
        &self,
        cursor: &mut Cursor<'_>,
        out: &mut BatchBuilder,
        missing: impl Fn(u32, &WireColumn, u8) -> Missing,
    ) -> Result<u32> {
        let count = usize::from(cursor.u16()?);
        if count != self.columns.len() {
            return Err(Error::definite(format!(
                "the server sent a row of {count} columns for a table it described with {}",
                self.columns.len()
            )));
        }
        let image = out.image();
        let mut index = 0;
        for column in &self.columns {
            match cursor.u8()? {
                b't' => {
                    let len = cursor.u32()? as usize;
                    let raw = cursor.bytes(len)?;
                    if let Some(reading) = column.reading {
                        reading.push(raw, out);
                        index += 1;
                    }
                }
                kind @ (b'n' | b'u') => {
                    if column.reading.is_some() {
                        match missing(index, column, kind) {
                            Missing::Cell(cell) => out.push(cell),
                            Missing::Repeat(cell) => out.repeat(cell),
                        }
                        index += 1;
                    }
                }
                other => return Err(unexpected(other, "a column in text format")),
            }
        }
        Ok(image)
    }

    pub(super) fn finish(
        &self,
        out: &mut BatchBuilder,
        op: Op,
        before: Option<u32>,
        after: Option<u32>,
    ) {
        let schema = self.schema.as_ref().expect("only captured rows are finished");
        let table = out.table(schema);
        out.row(table, op, before, after);
    }
}

/// What stands for a value that was not sent.
enum Missing {
    Cell(Cell),
    Repeat(u32),
}
