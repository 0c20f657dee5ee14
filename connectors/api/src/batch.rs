mod builder;
mod image;
mod tail;

use std::sync::Arc;

pub use builder::{BatchBuilder, BeginText};
pub use image::RowImage;

use crate::{Cell, Partial, Position, TableLayout, TableSchema};

/// Captured changes after which a large transaction is handed over in blocks.
pub const BLOCK_ROWS: u32 = 8192;
/// Captured column bytes after which a large transaction is handed over in blocks.
pub const BLOCK_BYTES: usize = 4 << 20;
/// Bytes of whole small transactions after which a batch is full.
const BATCH_BYTES: usize = 256 << 10;
/// Events of whole small transactions after which a batch is full: encoded they are a megabyte or
/// two, so that what is under way comes in pieces much smaller than its bounds.
const BATCH_EVENTS: usize = 2048;

/// A piece of text in a batch's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

/// The start of a transaction, or of another block of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Begin {
    /// Rises from transaction to transaction along one lineage.
    pub coordinate: u64,
    /// Commit time of the source, microseconds since 1970 UTC.
    pub committed_at_us: i64,
    /// The transaction's id as the database prints it; read with [`Batch::text`].
    pub txid: Span,
    /// The transaction's place in the log as the database prints it; read with [`Batch::text`].
    pub position: Span,
    /// Captured changes of this transaction that came in earlier batches.
    pub first_ordinal: u32,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// A new row: only `after`.
    Insert,
    /// A changed row: `after`, and `before` as far as the log has it.
    Update,
    /// A row that is gone: only `before`.
    Delete,
}

impl Op {
    /// `insert`, `update` or `delete`.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Insert => "insert",
            Op::Update => "update",
            Op::Delete => "delete",
        }
    }
}

/// One changed row; its images are read with [`Batch::before`] and [`Batch::after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowChange {
    /// Index for [`Batch::table`].
    pub table: u32,
    /// What happened.
    pub op: Op,
    /// Place among the captured changes of its transaction, from 0.
    pub ordinal: u32,
    /// Foreign keys were not looked at: whatever refers to the row stayed as it was.
    pub ignores_foreign_keys: bool,
    before: Option<u32>,
    after: Option<u32>,
}

/// Why all rows of a table went at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearCause {
    /// TRUNCATE.
    Truncate,
    /// The table was dropped, replaced by another of its name, or lost a partition.
    Replaced,
}

/// One event of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceEvent {
    /// A transaction begins, or goes on from the batch before.
    Begin(Begin),
    /// One row changed.
    Row(RowChange),
    /// The transaction is complete.
    Commit,
    /// From here on this table's rows have another shape.
    SchemaChanged {
        /// Index for [`Batch::table`].
        table: u32,
    },
    /// Every row of a table went without a row change of its own.
    TableCleared {
        /// Index for [`Batch::table`].
        table: u32,
        /// Place among the captured changes of its transaction.
        ordinal: u32,
        /// Why.
        cause: ClearCause,
    },
    /// Something changed in a table that could not be read as rows.
    Unreadable {
        /// Index for [`Batch::table`].
        table: u32,
        /// Place among the captured changes of its transaction.
        ordinal: u32,
        /// Why, for people; no content of a row.
        reason: Box<str>,
    },
}

fn held(data: &[u8], cells: &[Cell], events: &[SourceEvent]) -> usize {
    data.len() + size_of_val(cells) + size_of_val(events)
}

/// Whole transactions, then at most one block of a larger one.
#[derive(Debug, Clone)]
pub struct Batch {
    events: Vec<SourceEvent>,
    cells: Vec<Cell>,
    data: Vec<u8>,
    tables: Vec<Arc<TableSchema>>,
    end: Position,
    partial: Option<Partial>,
    layouts: Option<Arc<[TableLayout]>>,
}

impl Batch {
    /// The events in log order.
    pub fn events(&self) -> &[SourceEvent] {
        &self.events
    }

    /// The end of the last complete transaction of this batch, or of what came before it.
    pub fn end(&self) -> &Position {
        &self.end
    }

    /// The transaction this batch ends in the middle of.
    pub fn partial(&self) -> Option<&Partial> {
        self.partial.as_ref()
    }

    /// What is to be remembered of tables ([`crate::ResumePoint::layouts`]) from here on, if that
    /// has changed.
    pub fn layouts(&self) -> Option<&[TableLayout]> {
        self.layouts.as_deref()
    }

    /// The shape of a table's rows.
    pub fn table(&self, index: u32) -> &Arc<TableSchema> {
        &self.tables[index as usize]
    }

    /// The text of a span of this batch.
    pub fn text(&self, span: Span) -> &str {
        let bytes = &self.data[span.start as usize..(span.start + span.len) as usize];
        std::str::from_utf8(bytes).expect("spans are made from text")
    }

    /// The row as it was, as far as the log has it.
    pub fn before(&self, row: &RowChange) -> Option<RowImage<'_>> {
        row.before.map(|start| self.image(row.table, start))
    }

    /// The row as it is now.
    pub fn after(&self, row: &RowChange) -> Option<RowImage<'_>> {
        row.after.map(|start| self.image(row.table, start))
    }

    /// Memory this batch holds, bytes.
    pub fn bytes(&self) -> usize {
        held(&self.data, &self.cells, &self.events)
    }

    fn image(&self, table: u32, start: u32) -> RowImage<'_> {
        let width = self.table(table).columns.len();
        let start = start as usize;
        RowImage { cells: &self.cells[start..start + width], data: &self.data }
    }
}
