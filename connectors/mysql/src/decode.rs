//! From the events of a log to row changes.
//!
//! | file | owns |
//! |---|---|
//! | `group` | where transactions begin and end, and what undoes one |
//! | `branch` | distributed transactions, whose changes count later |
//! | `place` | where in the log an event stands, and which transactions lie before it |
//! | `rows` | rows events, row by row |
//! | `table` | the shape of a table, and one row image |
//! | `catalog` | what a log with little metadata does not say of columns |
//! | `text` | statements |
//! | `suspects` | what may change with the table that a statement names |
//!
//! Captured columns are decoded, everything else is stepped over, and no row costs a heap
//! allocation.
//!
//! The place of a change in its transaction must be the same in every replay, so only what the
//! transaction itself holds is counted: rows of captured tables, readable or not, and statements
//! that change captured tables.

mod branch;
mod catalog;
mod group;
mod place;
mod rows;
mod suspects;
mod table;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use connector_api::{
    Batch, BatchBuilder, Capture, Error, Partial, Result, ResumePoint, TableLayout, TableName,
    TableSchema,
};

use crate::log::{Event, Frame};
use crate::position::{LogFile, LogPosition, Prepared};
use crate::statement::Xid;
use crate::value::Scratch;
pub use catalog::Catalog;
use group::Group;
pub(crate) use group::name_of;
use place::Place;
pub use suspects::Suspects;
use table::Table;
pub(crate) use text::meaning;

/// Turns the events of one log into row changes.
#[derive(Debug)]
pub struct Decoder {
    capture: Capture,
    catalog: Catalog,
    place: Place,
    /// By the number of the last TABLE_MAP that had it.
    tables: HashMap<u64, Arc<Table>>,
    /// The shape that last went by each captured name.
    shapes: HashMap<TableName, Arc<TableSchema>>,
    group: Option<Group>,
    /// The memory of a group's touched tables, from transaction to transaction.
    touched: Vec<Arc<TableSchema>>,
    resumed: Option<Resumed>,
    /// Captured changes of the open transaction that are still to be passed over.
    skip: u32,
    /// The distributed transaction whose changes are being recalled.
    recalling: Option<Xid>,
    /// Known from the first statement as text to the next change of a trigger, view or routine.
    suspects: Option<Suspects>,
    /// A table was taken for unchanged because it is no suspect.
    has_trusted: bool,
    /// Where in the data of a rows event decoding goes on, which is in `room` if it was compressed.
    paused_at: Option<usize>,
    scratch: Scratch,
    room: Vec<u8>,
    texts: [String; 2],
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decoded {
    /// All of it was read.
    Whole,
    /// There is more in it than a batch takes: take what is full from the builder, and hand the
    /// same event over again.
    Full,
    /// It packs events, which are to be handed over one by one.
    Packed,
    /// A distributed transaction is committed whose changes stand elsewhere: hand those over to
    /// [`Decoder::recall`], from this place to the XA_PREPARE behind it; [`Decoder::recalled`] is
    /// due then.
    Recalls(Prepared),
    /// The log does not say which columns this table has: find out, [`Decoder::answer`], and hand
    /// the same event over again.
    Lacks(TableName),
    /// The same, but it names the columns, and leaves the type of some out: what can be seen of the
    /// table is enough.
    LacksTypes(TableName),
    /// A statement stands in the log as text: find out which captured tables may change with the
    /// one it names, [`Decoder::suspects`], and hand the same event over again.
    Suspects,
}

/// The transaction that is partly durable, until it has been passed.
#[derive(Debug)]
struct Resumed {
    partial: Partial,
    /// What is captured behind it. It is finished under the capture its changes were counted under.
    next: Capture,
}

/// Where changes go: a builder, and whoever takes what is full in the middle of an event.
struct Out<'o> {
    batch: &'o mut BatchBuilder,
    full: &'o mut dyn FnMut(Batch),
}

impl Out<'_> {
    /// The builder, with room for another change.
    fn room(&mut self) -> &mut BatchBuilder {
        if self.batch.is_full() {
            (self.full)(self.batch.take());
        }
        self.batch
    }
}

impl Decoder {
    /// A decoder for a stream that begins at `from`. A transaction that is partly durable there is
    /// finished under the capture of `from`; everything behind it is read under `capture`.
    ///
    /// # Errors
    /// A position that is none in a binlog.
    pub fn new(from: &ResumePoint, capture: Capture, catalog: Catalog) -> Result<Self> {
        let position = LogPosition::from_position(&from.position)?;
        let resumed = from
            .partial
            .as_ref()
            .map(|partial| Resumed { partial: partial.clone(), next: capture.clone() });
        let mut place = Place::new(position);
        if resumed.is_none() && from.capture != capture {
            place.forget_empty_branches();
        }
        Ok(Self {
            capture: if resumed.is_some() { from.capture.clone() } else { capture },
            catalog,
            place,
            tables: HashMap::new(),
            shapes: HashMap::new(),
            group: None,
            touched: Vec::new(),
            resumed,
            skip: 0,
            recalling: None,
            suspects: None,
            has_trusted: false,
            paused_at: None,
            scratch: Scratch::default(),
            room: Vec::new(),
            texts: Default::default(),
        })
    }

    /// The stream was asked for by the transactions it begins behind: what the server passes over
    /// lies behind the heads of files that come first.
    pub fn begins_behind_transactions(&mut self) {
        self.place.begins_behind_transactions();
    }

    /// Says which columns a table has that [`Decoded::Lacks`] or [`Decoded::LacksTypes`] asked for,
    /// or why nobody can.
    pub fn answer(
        &mut self,
        table: TableName,
        answer: Result<TableLayout, String>,
        out: &mut BatchBuilder,
    ) {
        match answer {
            Ok(layout) => self.catalog.define(layout),
            Err(why) => self.catalog.refuse(table, why),
        }
        out.learn(self.catalog.layouts());
    }

    /// Decodes one event of the log into `out`, which must not be full. What is full before
    /// something that belongs to no row goes to `full`.
    ///
    /// # Errors
    /// What no server writes, an event of an unknown type, and a log that does not go on where
    /// `from` said. The stream cannot be read on behind any of them.
    pub fn event(
        &mut self,
        frame: &Frame<'_>,
        out: &mut BatchBuilder,
        full: &mut dyn FnMut(Batch),
    ) -> Result<Decoded> {
        let event = frame.event()?;
        self.place.read(&frame.header, &event);
        self.apply(frame, event, &mut Out { batch: out, full })
    }

    /// Behind the event that was read last, with the transactions that are complete.
    pub fn end(&self) -> &LogPosition {
        &self.place.here
    }

    /// Where the event that was read last begins; those that are packed begin with their pack.
    pub fn here(&self) -> (&LogFile, u64) {
        (&self.place.here.file, self.place.start)
    }

    fn apply(&mut self, frame: &Frame<'_>, event: Event<'_>, out: &mut Out<'_>) -> Result<Decoded> {
        let done = match event {
            Event::Gtid(gtid) => self.named(group::of_mysql(&gtid)?, frame, out),
            Event::MariadbGtid(gtid) => self.named(group::of_mariadb(&gtid), frame, out),
            Event::Query(query) => return self.query(frame, &query, out),
            Event::Xid(_) => self.commit(out),
            Event::XaPrepare(xa) => return self.xa_prepare(&xa, out),
            Event::TableMap(map) => return self.table_map(frame, &map, out),
            Event::Rows(rows) => return self.rows(frame, &rows, out),
            Event::Incident(incident) => {
                let message = String::from_utf8_lossy(incident.message).into_owned();
                let reason = format!("the server itself lost changes of its log: {message}");
                self.unreadable_everywhere(frame, &reason, out)
            }
            Event::Rotate(rotate) => self.rotate(&rotate, out),
            Event::FormatDescription => self.file_begins(frame, out),
            Event::Heartbeat(heartbeat) => {
                if self.place.heard(&heartbeat) {
                    self.progress(out);
                }
                Ok(())
            }
            Event::PreviousGtids(set) => {
                self.place.mysql_before(set)?;
                self.progress(out);
                Ok(())
            }
            Event::MariadbGtidList(list) => {
                self.place.mariadb_before(&list);
                self.progress(out);
                Ok(())
            }
            Event::TransactionPayload(_) => return Ok(Decoded::Packed),
            // Behind it the log may end: whoever waits for that must be told.
            Event::Stop | Event::Ignored(_) => {
                self.progress(out);
                Ok(())
            }
            Event::StartEncryption => Ok(()),
            Event::Unknown(kind) => Err(Error::definite(format!(
                "the server sent a {kind}, which is not known and may not be passed over: rows \
                 may be missing behind it"
            ))),
        };
        done.map(|()| Decoded::Whole)
    }

    /// The captured tables known by now: from the log, the catalog, and what is captured by a name
    /// without stars.
    fn known_tables(&self) -> Vec<TableName> {
        let written = self.capture.tables.iter().map(|wanted| &wanted.name);
        let plain = written.filter(|name| !name.schema.contains('*') && !name.table.contains('*'));
        let mut names: Vec<TableName> = plain
            .chain(self.shapes.keys())
            .chain(self.catalog.names())
            .filter(|name| self.capture.columns_of(name).is_some())
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// A captured table's last shape; without columns when none was seen.
    fn shape(&mut self, name: &TableName) -> Arc<TableSchema> {
        let bare = || Arc::new(TableSchema { name: name.clone(), columns: Vec::new() });
        Arc::clone(self.shapes.entry(name.clone()).or_insert_with(bare))
    }
}

#[cfg(test)]
mod tests;
