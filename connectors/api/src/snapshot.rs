use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Batch, Position, Result, TableName};

/// Bytes of memory after which a chunk ends, however few rows it has.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of a table without a key, which has to be read at once: one that is greater on disk, or
/// in memory, is refused.
pub const KEYLESS_BYTES: usize = 64 << 20;

/// Behind which row of a table the next chunk begins, as text that only its connector reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(Box<str>);

impl Cursor {
    /// The cursor that prints as `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a chunk is to hold.
#[derive(Debug, Clone, Copy)]
pub struct ChunkRequest<'a> {
    /// The table.
    pub table: &'a TableName,
    /// Its wanted columns, as in [`crate::Columns::Only`].
    pub columns: &'a [String],
    /// Rows for which this is not true need not come. Others that come as well do no harm.
    pub filter: Option<&'a Condition>,
    /// Behind which row it begins; at the first row without.
    pub after: Option<&'a Cursor>,
    /// Rows at most.
    pub rows: u32,
}

/// Rows of one table that were read at once.
#[derive(Debug)]
pub struct Chunk {
    /// One transaction of inserts, in one piece whatever its size. Rows and tables are as a stream
    /// would give them.
    pub rows: Batch,
    /// Where the next chunk begins; `None` behind the last row.
    pub next: Option<Cursor>,
    /// What of the log the rows hold.
    pub fence: Fence,
    /// How long the server took for the rows.
    pub took: Duration,
}

/// How a read of a table stands to the log.
#[derive(Debug, Clone)]
pub struct Fence {
    /// Every transaction whose rows the read may have seen lies before this place of the log.
    pub high: Position,
    /// Which transactions the read saw for certain.
    pub sight: Arc<dyn Sight>,
    /// When it was read, microseconds since 1970 UTC by the server's clock.
    pub read_at_us: i64,
}

/// Which transactions a read saw for certain.
pub trait Sight: fmt::Debug + Send + Sync {
    /// Whether the rows that this transaction of the log wrote were seen as it left them, or as a
    /// later one did. Never true when that is not certain. The transaction is named as in
    /// [`crate::Begin`].
    fn sees(&self, coordinate: u64, txid: &str) -> bool;
}

/// A literal of a [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text, compared by bytes.
    Text(String),
    /// An exact decimal: `-1.5`.
    Number(String),
    /// A boolean.
    Bool(bool),
}

/// How a column is compared with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A condition on a row that a server can judge before it sends the row. Who renders it for a
/// server leaves out no row for which it is true; more rows than that do no harm, because whoever
/// gets them judges again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every one of them is true.
    All(Vec<Condition>),
    /// One of them is true.
    Any(Vec<Condition>),
    /// A column compared with a literal. Text is compared for equality only.
    Compare {
        /// The column.
        column: String,
        /// How.
        comparison: Comparison,
        /// With what.
        literal: Literal,
    },
    /// A column is NULL.
    IsNull(String),
    /// A column is not NULL.
    IsNotNull(String),
}

/// Reads what is in tables already, without a lock and without writing, on a connection of its
/// own, in transactions that end with each call.
#[async_trait]
pub trait SnapshotReader: Send {
    /// Waits until every transaction that the log holds up to `position` can be seen by the chunks
    /// to come. A log is ahead of what can be seen, as a rule by microseconds, while a commit waits
    /// for a replica by more. Cancel-safe.
    async fn settle(&mut self, position: &Position) -> Result<()>;

    /// About how many rows a table has, by the server's own estimate; `None` when it has none.
    async fn estimated_rows(&mut self, table: &TableName) -> Result<Option<u64>>;

    /// Reads one chunk. After an error, or when the future is dropped, the reader is of no use any
    /// more.
    async fn chunk(&mut self, request: &ChunkRequest<'_>) -> Result<Chunk>;
}
