//! The atomic commit: events, levels, control records, dead letters, cached rows and the
//! checkpoint become durable together or not at all.
//!
//! A sink knows nothing about databases. It stores for each source an opaque checkpoint and opaque
//! cached rows, and hands them back when the shard is opened again.

mod discard;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use connector_api::{Error, Result};
use tokio::sync::oneshot;

pub use discard::Discard;

use crate::stock::encode::Records;
use crate::stock::{SellerId, SourceName, Version};

/// One share of the sellers, owned by one process at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard(pub u32);

/// What a control record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    /// Changes may be missing.
    Gap,
    /// Versions begin a new epoch.
    EpochBumped,
    /// All rows of a table went at once.
    ScopeCleared,
    /// A table's rows have another shape.
    SchemaChanged,
    /// A table is read as a whole: `table`, `position`, `reason`, `estimated_rows`.
    SnapshotStarted,
    /// All of a table has been read and published: `table`, `position`, `rows`, `levels`,
    /// `removed`, `sums`.
    SnapshotCompleted,
}

impl ControlKind {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            ControlKind::Gap => "gap",
            ControlKind::EpochBumped => "epoch_bumped",
            ControlKind::ScopeCleared => "scope_cleared",
            ControlKind::SchemaChanged => "schema_changed",
            ControlKind::SnapshotStarted => "snapshot_started",
            ControlKind::SnapshotCompleted => "snapshot_completed",
        }
    }
}

/// One record of the control topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// What it tells.
    pub kind: ControlKind,
    /// When it was found, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The particulars, a JSON object.
    pub value: String,
}

/// A row that could not be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// `schema.table`.
    pub table: String,
    /// Its transaction's place in the log.
    pub position: String,
    /// Why, for people.
    pub reason: String,
    /// When it was found, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The mapped columns, a JSON object.
    pub value: String,
}

/// A cached row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowEntry {
    /// `schema.table`.
    pub table: String,
    /// Its key.
    pub pk: String,
    /// Its stored form; `None` forgets it.
    pub value: Option<String>,
}

/// One source's share of a commit.
#[derive(Debug)]
pub struct Part {
    /// Tenant.
    pub seller: SellerId,
    /// Database of the tenant.
    pub source: SourceName,
    /// Events.
    pub records: Records,
    /// Control records.
    pub control: Vec<ControlRecord>,
    /// Dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Cached rows that changed.
    pub rows: Vec<RowEntry>,
    /// The checkpoint behind all of it.
    pub checkpoint: Option<String>,
    /// What is not to be known any more.
    pub forgets: Forgets,
}

/// What of a source is taken out of the store, when it is to be forgotten. What has happened stays:
/// events, control records, dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgets {
    /// Record keys whose levels go, without an event.
    pub levels: Vec<String>,
}

impl Part {
    /// A part that changes nothing.
    pub fn empty(seller: SellerId, source: SourceName) -> Self {
        Self {
            seller,
            source,
            records: Records::default(),
            control: Vec::new(),
            dead_letters: Vec::new(),
            rows: Vec::new(),
            checkpoint: None,
            forgets: Forgets::default(),
        }
    }

    /// Memory held, bytes.
    pub fn bytes(&self) -> usize {
        let rows = self
            .rows
            .iter()
            .map(|row| row.table.len() + row.pk.len() + row.value.as_ref().map_or(0, String::len));
        let letters = self.dead_letters.iter().map(|letter| letter.value.len() + 128);
        let checkpoint = self.checkpoint.as_ref().map_or(0, String::len);
        let forgotten = self.forgets.levels.iter().map(String::len).sum::<usize>();
        let rest = rows.sum::<usize>() + letters.sum::<usize>();
        self.records.bytes() + rest + checkpoint + forgotten
    }
}

/// What one atomic step makes durable. Parts of one source come in order.
#[derive(Debug)]
pub struct Commit {
    /// The shares.
    pub parts: Vec<Part>,
}

/// What is stored of one source.
pub struct Stored {
    /// Its checkpoint as it was committed last.
    pub checkpoint: Option<String>,
    /// What has lost something since the checkpoint was stored that it goes by, by name: rows are
    /// not remembered, or levels are missing that are published.
    pub lacking: Vec<String>,
    /// Its cached rows.
    pub rows: Box<dyn StoredRows>,
}

/// The cached rows of a source on their way out of the store, so that nobody has to hold all of
/// them beside what is made of them.
#[async_trait]
pub trait StoredRows: Send {
    /// The next of them; each comes once, in no order. None when there are no more.
    async fn next(&mut self) -> Result<Vec<RowEntry>>;
}

/// A level that is published and has not been removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LevelKey {
    /// The record key: `seller/source/item/location[/bucket]`, percent-encoded.
    pub key: String,
    /// Of the event that was published last.
    pub version: Version,
    /// The table that event came from, `schema.table`; empty where it is not known any more.
    pub table: String,
    /// What the marketplace knows the item by.
    pub sku: Option<String>,
}

/// What is published of a source of which nothing is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The greatest high part of its versions.
    pub epoch: u32,
    /// The tables its levels came from.
    pub tables: BTreeSet<String>,
}

impl Remains {
    /// Of these levels, and of events whose greatest epoch is known.
    fn of(levels: &[LevelKey], epoch: Option<u32>) -> Option<Self> {
        let epoch = levels.iter().map(|level| level.version.epoch).max().max(epoch)?;
        let tables = levels.iter().map(|level| level.table.clone());
        Some(Self { epoch, tables: tables.filter(|table| !table.is_empty()).collect() })
    }
}

/// Why a commit did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing of it is stored, and the writer goes on: the same commit may be sent again when the
    /// error's fault may pass by itself.
    #[error("not committed: {0}")]
    NotCommitted(Error),
    /// It may be stored or not; only opening the shard again tells.
    #[error("not known whether committed: {0}")]
    Unknown(Error),
    /// This writer can never commit again, as a rule because another owner has taken the shard. The
    /// next owner reads what is stored.
    #[error("another owner has taken over: {0}")]
    Fenced(Error),
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotCommitted(error)
            | CommitError::Unknown(error)
            | CommitError::Fenced(error) => error,
        }
    }
}

/// Why a shard was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Whether to try again is for the error's fault to say. [`connector_api::Fault::Held`] when
    /// another process works and cannot be fenced.
    #[error(transparent)]
    Failed(#[from] Error),
    /// Another owner has taken it meanwhile. Trying again would take it back.
    #[error("another owner has taken over: {0}")]
    Fenced(Error),
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Failed(error) | OpenError::Fenced(error) => error,
        }
    }
}

impl From<CommitError> for OpenError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotCommitted(error) | CommitError::Unknown(error) => Self::Failed(error),
            CommitError::Fenced(error) => Self::Fenced(error),
        }
    }
}

/// How far a commit has come.
#[derive(Debug)]
pub enum Committed {
    /// All of it is durable.
    Durable,
    /// Its events are out, and its checkpoint is on the way: the next commit may be handed over,
    /// and the receiver says when this one is durable. In the order of the commits.
    Published(oneshot::Receiver<Result<(), CommitError>>),
}

/// A shard that has been taken.
pub struct Opened {
    /// Its one writer.
    pub writer: Box<dyn ShardWriter>,
    /// What is stored of it.
    pub state: Arc<dyn ShardState>,
    /// A name of the shard that no other shard of any store has, where an owner shuts out every
    /// earlier one: who else works under it is of no use any more.
    pub store: Option<String>,
}

/// What the sink's library says of one of the properties it is given as they are.
#[cfg(feature = "kafka")]
pub use kafka::check_property;

/// Without a sink that has a library there is nothing to say.
#[cfg(not(feature = "kafka"))]
pub fn check_property(_: &str, _: &str) -> std::result::Result<(), String> {
    Ok(())
}

/// Where events go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Whether nothing has ever been stored here.
    async fn is_new(&self) -> Result<bool>;

    /// Who may be at work on the shard and would be shut out by [`Sink::open`]. `None` where nobody
    /// is, and where opening says by itself who holds it.
    async fn holder(&self, shard: Shard) -> Result<Option<String>>;

    /// Takes the shard: from here on no earlier owner can commit.
    async fn open(&self, shard: Shard) -> Result<Opened, OpenError>;
}

/// What is stored, as of the last commit.
#[async_trait]
pub trait ShardState: Send + Sync {
    /// What is stored of one source: everything of each commit that returned `Ok`, and nothing of
    /// one that is under way.
    async fn load(&self, seller: &SellerId, source: &SourceName) -> Result<Stored>;

    /// Only these sources will ever be asked for: what is kept in memory of others may go.
    fn retain(&self, _: &HashSet<(SellerId, SourceName)>) {}

    /// What is published of one source and lives, sorted by key: at least everything of each commit
    /// that returned `Ok` before. Slow, and beside the writer: it holds up no commit.
    async fn levels(&self, seller: &SellerId, source: &SourceName) -> Result<Vec<LevelKey>>;

    /// What is published of a source that has no checkpoint, which must not begin as if nothing
    /// were. Asked at every first start.
    async fn remains(&self, seller: &SellerId, source: &SourceName) -> Result<Option<Remains>> {
        Ok(Remains::of(&self.levels(seller, source).await?, None))
    }
}

/// The one writer of a shard.
#[async_trait]
pub trait ShardWriter: Send {
    /// Makes everything in `commit` durable in one step: all of it, or nothing. After
    /// [`Committed::Durable`] no failure of this process or its machine undoes it; a sink that
    /// publishes first and remembers later says [`Committed::Published`], and may publish the same
    /// again after a failure. After an error [`CommitError`] says what is stored, and behind
    /// `Unknown` or `Fenced` the writer refuses every further commit. Not cancel-safe: whoever
    /// drops the future drops the writer and opens the shard again.
    async fn commit(&mut self, commit: Arc<Commit>) -> Result<Committed, CommitError>;

    /// Nothing more will be committed, and everything that was is durable: whoever comes next may
    /// be told that this owner has gone. Nobody relies on it.
    async fn end(&mut self) {}
}

#[cfg(test)]
impl Stored {
    /// All of the cached rows that are left.
    async fn all_rows(&mut self) -> Result<Vec<RowEntry>> {
        let mut all = Vec::new();
        loop {
            match self.rows.next().await? {
                some if some.is_empty() => return Ok(all),
                some => all.extend(some),
            }
        }
    }
}
