//! The vocabulary every tailstock connector speaks.
//!
//! A connector tails the log of one database and hands over [`Batch`]es of row changes. It knows
//! nothing about stock or sinks; what a row means is decided elsewhere.
//!
//! | file | owns |
//! |---|---|
//! | `value` | [`Value`]: one column of one row, borrowed from its batch |
//! | `table` | what exists, is wanted, comes: [`TableDescription`], [`Capture`], [`TableSchema`] |
//! | `batch` | [`Batch`], [`SourceEvent`], [`RowChange`] and the [`BatchBuilder`] connectors fill |
//! | `position` | [`Position`], [`Lineage`], [`ResumePoint`]: where a log was read up to |
//! | `connector` | the traits [`Connector`] and [`ChangeStream`], and what a [`Survey`] finds |
//! | `snapshot` | [`SnapshotReader`]: what is in tables, in [`Chunk`]s with a [`Fence`] each |
//! | `conformance` | what every connector must do, as scenarios against a real server |
//! | `fault` | [`Error`] with its [`Fault`], and [`Finding`]s for the operator |
//!
//! # Writing a connector
//!
//! The driver, in outline:
//!
//! ```text
//! survey = connector.survey(&capture, checkpoint.resume_point())   // read-only, all findings
//! point  = checkpoint, or connector.establish() at the first start // a slot, or a log position
//! commit the checkpoint                                            // durable before the first row
//! stream = connector.open(point, capture)
//! loop {
//!     batch = stream.read()            // cancel-safe
//!     commit(map(batch), batch.end)    // one atomic step
//!     stream.confirm(&batch.end)       // only now may the server forget the log
//! }
//! ```
//!
//! A new connector is done when it passes the suite of the module `conformance` (behind the feature
//! of that name, for its tests alone) on every version of its database: implement the suite's
//! `Backend` for a real server and run each of its `SCENARIOS`. What the driver relies on, and the
//! suite checks as far as it shows from outside:
//!
//! 1. A batch holds whole transactions, and at most one block of a larger one at its end. A block
//!    ends after [`BLOCK_ROWS`] captured rows or [`BLOCK_BYTES`] captured bytes counted from the
//!    previous boundary of that transaction, so that a replay cuts at the same rows. A row ends a
//!    block, a cleared table never does.
//! 2. `open` with a [`Partial`] continues after that many captured changes of that transaction,
//!    with the ordinals going on; another transaction in its place is a broken continuity.
//! 3. A column that is not in a row image is [`Value::Absent`], never [`Value::Null`].
//! 4. `confirm` never moves the server past what was confirmed, whatever has been read.
//! 5. Nothing but the captured columns is decoded or kept.
//! 6. A change that cannot be read as rows is [`SourceEvent::Unreadable`], never skipped.
//! 7. A row of a [`Chunk`] has the values that a stream gives for the same row. A chunk sees no
//!    transaction behind its `high`, and all those that its `sight` says it sees.

mod batch;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
mod fault;
mod position;
mod snapshot;
mod table;
mod value;

pub use batch::{
    BLOCK_BYTES, BLOCK_ROWS, Batch, BatchBuilder, Begin, BeginText, ClearCause, Op, RowChange,
    RowImage, SourceEvent, Span,
};
pub use connector::{ChangeStream, Connector, Continuity, Detached, Head, LogKeeping, Survey};
pub use fault::{Error, Fault, Finding, Result, Severity};
pub use position::{Lineage, Partial, Position, ResumePoint};
pub use snapshot::{
    CHUNK_BYTES, Chunk, ChunkRequest, Comparison, Condition, Cursor, Fence, KEYLESS_BYTES, Literal,
    Sight, SnapshotReader,
};
pub use table::{
    Capture, CaptureTable, Column, ColumnDescription, ColumnLayout, Columns, Identity,
    TableDescription, TableLayout, TableName, TableSchema,
};
pub use value::{Cell, TextKind, Value};
