use std::collections::HashMap;
use std::sync::Arc;

use connector_api::{
    BatchBuilder, Capture, Cell, Column, ColumnLayout, Columns, Error, Op, Result, TableLayout,
    TableName, TableSchema,
};

use super::cursor::Cursor;
use super::unexpected;
use crate::types::{Reading, TypeShape, is_system, type_as_logged};

/// The types a stream has described: those that are not built in. A domain comes with the name of
/// the type below it.
#[derive(Debug, Default)]
pub(super) struct Types(HashMap<u32, TypeShape>);

impl Types {
    /// Reads a Type message.
    pub(super) fn describe(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let oid = cursor.u32()?;
        let (schema, name) = (cursor.name()?, cursor.name()?);
        self.0.insert(oid, TypeShape::told(&schema, &name));
        Ok(())
    }

    fn shape(&self, oid: u32) -> TypeShape {
        TypeShape::of(oid, self.0.get(&oid))
    }
}

/// A table as the stream describes it, and what is done with each column of its rows.
#[derive(Debug)]
pub(super) struct Relation {
    /// As the stream spells it.
    pub(super) name: TableName,
    /// The captured columns; `None` when the table is not captured.
    pub(super) schema: Option<Arc<TableSchema>>,
    /// Every column on the wire; of a table that is not captured none is remembered.
    columns: Vec<WireColumn>,
}

#[derive(Debug, Clone, Copy)]
struct WireColumn {
    /// How it is read; `None` when it is not captured.
    reading: Option<Reading>,
    /// Whether it is part of the replica identity.
    identity: bool,
}

impl Relation {
    /// Reads a Relation message: the table's number, the table, and if that is captured its columns
    /// as they are told apart.
    pub(super) fn read(
        cursor: &mut Cursor<'_>,
        capture: &Capture,
        types: &Types,
    ) -> Result<(u32, Self, Option<TableLayout>)> {
        let number = cursor.u32()?;
        let schema = cursor.name()?;
        let schema = if is_system(&schema) { "pg_catalog".into() } else { schema };
        let name = TableName::new(schema, cursor.name()?);
        let is_whole = cursor.u8()? == b'f';
        let count = cursor.u16()?;
        let wanted = capture.columns_of(&name);
        let mut columns = Vec::new();
        let (mut captured, mut layout) = (Vec::new(), Vec::new());
        let mut key_is_captured = true;
        for _ in 0..count {
            let identity = cursor.u8()? & 1 == 1;
            let column = cursor.name()?;
            let (oid, modifier) = (cursor.u32()?, cursor.u32()?);
            let wanted = match wanted {
                None => continue,
                Some(Columns::All) => true,
                Some(Columns::Only(names)) => names.iter().any(|name| *name == column),
            };
            layout.push(ColumnLayout {
                name: column.clone().into_owned(),
                type_name: type_as_logged(oid, modifier),
                charset: None,
                is_key: identity,
            });
            let shape = wanted.then(|| types.shape(oid));
            columns.push(WireColumn { reading: shape.as_ref().map(|is| is.reading), identity });
            if let Some(TypeShape { name: type_name, .. }) = shape {
                captured.push(Column { name: column.into_owned(), type_name, identity });
            } else {
                key_is_captured &= is_whole || !identity;
            }
        }
        cursor.end()?;
        if wanted.is_none() {
            return Ok((number, Self { name, schema: None, columns }, None));
        }
        if !key_is_captured {
            // Part of what identifies a row identifies none.
            captured.iter_mut().for_each(|column| column.identity = false);
        }
        let layout = TableLayout { name: name.clone(), id: Some(number), columns: layout };
        let schema = Arc::new(TableSchema { name: name.clone(), columns: captured });
        Ok((number, Self { name, schema: Some(schema), columns }, Some(layout)))
    }

    /// The first captured column of the shape `now` whose values may be others than in rows of the
    /// shape before, if there is one: the log has no row for what changing a column does to rows
    /// that are there. One that was dropped and made again stands behind those that it stood
    /// before.
    pub(super) fn rewritten_since<'n>(
        &self,
        before: &[ColumnLayout],
        now: &'n [ColumnLayout],
    ) -> Option<&'n str> {
        if now == before {
            return None;
        }
        let place_of = |name: &str| before.iter().position(|known| known.name == name);
        let is_rewritten = |nth: usize, column: &ColumnLayout| {
            let Some(place) = place_of(&column.name) else { return true };
            let is_behind = |other: &ColumnLayout| place_of(&other.name) > Some(place);
            before[place].type_name != column.type_name || now[..nth].iter().any(is_behind)
        };
        let captured = self.columns.iter().zip(now).enumerate();
        let mut captured = captured.filter(|(_, (wire, _))| wire.reading.is_some());
        let found = captured.find(|(nth, (_, column))| is_rewritten(*nth, column));
        found.map(|(_, (_, column))| column.name.as_str())
    }

    /// A whole row. A value that is not sent because it did not change is what it is in `old`, the
    /// image of the row before: known when that was sent whole or has it in its key, else absent.
    pub(super) fn image(
        &self,
        cursor: &mut Cursor<'_>,
        out: &mut BatchBuilder,
        old: Option<u32>,
    ) -> Result<u32> {
        self.tuple(cursor, out, |index, _, kind| match (kind, old) {
            (b'u', Some(old)) => Missing::Repeat(old + index),
            (b'u', None) => Missing::Cell(Cell::Absent),
            _ => Missing::Cell(Cell::Null),
        })
    }

    /// The key of a row. Columns outside the replica identity come as NULL, which they are not.
    pub(super) fn key_image(&self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<u32> {
        self.tuple(cursor, out, |_, column, kind| {
            let null = kind == b'n' && column.identity;
            Missing::Cell(if null { Cell::Null } else { Cell::Absent })
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
                "the server sent a row of {count} columns for table {}, which it described with {}",
                self.name,
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
