use std::sync::Arc;

use connector_api::{Error, Op, Result, TableSchema};

use super::group::Branch;
use super::table::{Captured, Failed, Image, Table, Unsaid, name_of};
use super::{Decoded, Decoder, Out};
use crate::log::{Content, Frame, Rows, RowsOp, TableMap};
use crate::value::{Cursor, Scratch};

/// Bytes of memory that are kept from one compressed event to the next.
const ROOM_BYTES: usize = 1 << 20;

impl Decoder {
    pub(super) fn table_map(
        &mut self,
        frame: &Frame<'_>,
        map: &TableMap<'_>,
        out: &mut Out<'_>,
    ) -> Result<Decoded> {
        let Some(group) = &mut self.group else { return Err(outside(frame)) };
        let is_passed_over = group.branch == Branch::PassedOver;
        if is_passed_over {
            group.holds_captured |= self.capture.columns_of(&name_of(map)).is_some();
        }
        let known = self.tables.get(&map.table_id);
        if known.is_some_and(|known| *known.body == *frame.body) {
            return Ok(Decoded::Whole);
        }
        let known = (&self.capture, &mut self.catalog);
        let mut table = match Table::new(map, frame.body, frame.flavor, known) {
            Ok(table) => table,
            Err(unsaid) => return Ok(unsaid.asked()),
        };
        if is_passed_over {
            // Its rows are read when the branch is committed. What nobody knew was asked for here,
            // where they stand: behind them the table may become another.
            return Ok(Decoded::Whole);
        }
        if let Some(captured) = &mut table.captured {
            match self.shapes.get(&captured.schema.name) {
                // The same shape: later rows keep the place they have in the batch.
                Some(known) if **known == *captured.schema => {
                    captured.schema = Arc::clone(known);
                }
                // What the passed-over part of a transaction said of its tables is durable too.
                Some(known) if !known.columns.is_empty() && self.skip == 0 => {
                    let batch = out.room();
                    let place = batch.table(&captured.schema);
                    batch.schema_changed(place);
                    group.reshaped.push(Arc::clone(&captured.schema));
                }
                _ => {}
            }
            let name = name_of(map);
            self.shapes.insert(name, Arc::clone(&captured.schema));
        }
        self.tables.insert(map.table_id, Arc::new(table));
        Ok(Decoded::Whole)
    }

    pub(super) fn rows(
        &mut self,
        frame: &Frame<'_>,
        rows: &Rows<'_>,
        out: &mut Out<'_>,
    ) -> Result<Decoded> {
        if self.group.is_none() {
            return Err(outside(frame));
        }
        if rows.only_end_a_statement() || self.branch() == Branch::PassedOver {
            return Ok(Decoded::Whole);
        }
        let table = self.tables.get(&rows.table_id).map(Arc::clone).ok_or_else(|| {
            Error::definite(format!(
                "the server sent rows of table number {} before describing it, at {} of {}",
                rows.table_id, self.place.here.offset, self.place.here.file
            ))
        })?;
        let Some(captured) = &table.captured else { return Ok(Decoded::Whole) };
        self.touch(&captured.schema);
        if captured.width().is_some_and(|width| width != rows.columns) {
            return Err(Error::definite(format!(
                "the server sent rows of {} columns for table {}, which it described with others",
                rows.columns, captured.schema.name
            )));
        }
        let mut room = std::mem::take(&mut self.room);
        let done = match self.paused_at.take() {
            // What was inflated is still there.
            Some(at) => match &rows.data {
                Content::Plain(data) => Ok(self.each_row(captured, rows, (data, at), out)),
                Content::Deflated(_) => Ok(self.each_row(captured, rows, (&room, at), out)),
            },
            None => {
                let data = rows.data.bytes(&mut room);
                data.map(|data| self.each_row(captured, rows, (data, 0), out))
            }
        };
        if !matches!(done, Ok(Decoded::Full)) {
            room.clear();
            room.shrink_to(ROOM_BYTES);
        }
        self.room = room;
        done
    }

    /// The transaction changes a captured table, in whatever way.
    pub(super) fn touch(&mut self, schema: &Arc<TableSchema>) {
        let Some(group) = &mut self.group else { return };
        group.holds_captured = true;
        if !group.touched.iter().any(|known| known.name == schema.name) {
            group.touched.push(Arc::clone(schema));
        }
    }

    /// Decodes rows from a place in the data of an event on, until a batch is full.
    fn each_row(
        &mut self,
        table: &Captured,
        rows: &Rows<'_>,
        (data, from): (&[u8], usize),
        out: &mut Out<'_>,
    ) -> Decoded {
        let row = Row { table, rows };
        let mut cursor = Cursor::new(data.get(from..).unwrap_or_default());
        while !cursor.rest().is_empty() {
            if out.batch.is_full() {
                self.paused_at = Some(data.len() - cursor.rest().len());
                return Decoded::Full;
            }
            let before = cursor.rest().len();
            let done = if self.skip > 0 {
                row.pass(&mut cursor)
            } else {
                row.decode(&mut cursor, &mut self.scratch, out)
            };
            match done {
                Ok(()) if self.skip > 0 => {
                    self.skip -= 1;
                    out.room().skip();
                }
                Ok(()) => {}
                Err(failed) => {
                    self.unreadable(&table.schema, &failed.reason, out);
                    if failed.is_lost {
                        break;
                    }
                }
            }
            // The second: rows without a single column. How many there were is not in the log.
            if self.passes_over_if_long(out) || cursor.rest().len() == before {
                break;
            }
        }
        Decoded::Whole
    }
}

impl Unsaid {
    fn asked(self) -> Decoded {
        match self.is_named {
            true => Decoded::LacksTypes(self.table),
            false => Decoded::Lacks(self.table),
        }
    }
}

/// How the rows of one event are read.
struct Row<'r> {
    table: &'r Captured,
    rows: &'r Rows<'r>,
}

impl Row<'_> {
    fn images(&self) -> (Option<Image<'_>>, Option<Image<'_>>) {
        let Rows { before, after, has_partial_json, .. } = *self.rows;
        let old = Image { present: before, is_partial: false };
        let new = Image { present: after, is_partial: has_partial_json };
        match self.rows.op {
            RowsOp::Write => (None, Some(new)),
            RowsOp::Update => (Some(old), Some(new)),
            RowsOp::Delete => (Some(old), None),
        }
    }

    fn pass(&self, cursor: &mut Cursor<'_>) -> Result<(), Failed> {
        let (before, after) = self.images();
        for image in [before, after].into_iter().flatten() {
            self.table.pass(cursor, &image)?;
        }
        Ok(())
    }

    fn decode(
        &self,
        cursor: &mut Cursor<'_>,
        scratch: &mut Scratch,
        out: &mut Out<'_>,
    ) -> Result<(), Failed> {
        let batch = out.room();
        let (before, after) = self.images();
        let mut read = |image: Option<Image<'_>>| {
            image.map(|image| self.table.image(cursor, &image, scratch, batch)).transpose()
        };
        let old = read(before);
        // The row behind this one begins behind both images.
        let new = match &old {
            Err(failed) if failed.is_lost => Ok(None),
            _ => read(after),
        };
        let (old, new) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (_, Err(failed)) if failed.is_lost => return Err(failed),
            (Err(failed), _) | (_, Err(failed)) => return Err(failed),
        };
        let op = match self.rows.op {
            RowsOp::Write => Op::Insert,
            RowsOp::Update => Op::Update,
            RowsOp::Delete => Op::Delete,
        };
        let table = batch.table(&self.table.schema);
        batch.row(table, op, old, new);
        if self.rows.ignores_foreign_keys() {
            batch.ignoring_foreign_keys();
        }
        Ok(())
    }
}

fn outside(frame: &Frame<'_>) -> Error {
    Error::definite(format!("the server sent a {} outside of a transaction", frame.header.kind))
}
