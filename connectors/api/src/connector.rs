use std::time::Instant;

use async_trait::async_trait;

use crate::{
    Batch, Capture, Finding, Lineage, Position, Result, ResumePoint, SnapshotReader,
    TableDescription, TableLayout,
};

/// How the log on the server relates to the position a checkpoint remembers, judged by the
/// connector; what follows from it is decided by the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuity {
    /// There is no checkpoint, and the server keeps no position for us.
    New,
    /// There is no checkpoint, but the server keeps a position for us: everything behind it is
    /// still there.
    Adopted(Position),
    /// The same log, with everything behind the checkpoint's position still there.
    Intact,
    /// Everything behind the position is provably there, but coordinates start anew, as after a
    /// failover.
    Renumbered {
        /// Why, for people.
        reason: String,
        /// The same place as far as it means something in the log that goes on: nothing of it is
        /// to be compared with the numbers of the other.
        position: Position,
    },
    /// It cannot be proved that nothing is missing behind the position.
    Broken {
        /// Why, for people.
        reason: String,
        /// From where on the log is provably whole, if that is known: the checkpoint's own position
        /// as far as it holds in this log, so that nothing before it comes twice, else the one that
        /// the server keeps for us; `None` when [`Connector::establish`] has to make one.
        from: Option<Position>,
    },
}

/// What a connector finds on the server before it streams. Making it changes nothing there.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The server in a few words: `PostgreSQL 15.18`.
    pub server: String,
    /// The log's identity.
    pub lineage: Lineage,
    /// The end of the log at the time of the survey.
    pub head: Position,
    /// What the server is set to send of the captured tables (operations, row filters, column
    /// lists), in a stable text of lines that each hold or do not.
    pub coverage: String,
    /// Whether the checkpoint's position can be continued.
    pub continuity: Continuity,
    /// The captured tables that exist.
    pub tables: Vec<TableDescription>,
    /// The same as the log is going to describe them, where it describes a table no earlier than
    /// with its next row: one that it then describes otherwise has changed since. Empty where the
    /// log tells of changed tables itself.
    pub layouts: Vec<TableLayout>,
    /// Everything that is not as it should be, all at once.
    pub findings: Vec<Finding>,
}

impl Survey {
    /// What of an earlier coverage does not hold any more, line by line; `None` when all of it
    /// does. What has come to be covered since then is no change: nothing was said of it before.
    pub fn coverage_change(before: &str, now: &str) -> Option<String> {
        let without = |text: &str, other: &str| {
            let lines = text.lines().filter(|line| !other.lines().any(|same| same == *line));
            lines.collect::<Vec<_>>().join("; ")
        };
        let (gone, come) = (without(before, now), without(now, before));
        match (gone.is_empty(), come.is_empty()) {
            (true, _) => None,
            (false, true) => Some(format!("it does not cover {gone} any more")),
            (false, false) => Some(format!("it was {gone}; it is {come}")),
        }
    }
}

/// How a stream stands towards its server, for metrics.
#[derive(Debug, Clone)]
pub struct Head {
    /// The server's end of the log as last heard, which may be no further than what was read.
    pub position: Position,
    /// Bytes of log between what was confirmed and that end.
    pub lag_bytes: u64,
    /// When the server was last heard.
    pub last_contact: Instant,
}

/// How long a server keeps the log that has not been read, and what that costs it. What is not
/// known, or has no end, is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogKeeping {
    /// Bytes of log that are there for us alone.
    pub retained_bytes: Option<u64>,
    /// Bytes of log behind the place, where a stream does not hear how far its server is.
    pub unread_bytes: Option<u64>,
    /// Whether the server stops keeping log for us at a limit of its own.
    pub is_limited: bool,
    /// Bytes the server may write until it removes log that has not been read.
    pub headroom_bytes: Option<u64>,
    /// Seconds until it does.
    pub headroom_seconds: Option<u64>,
}

/// What was undone on a server, and what is left to its DBA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detached {
    /// What was done, for people.
    pub done: Vec<String>,
    /// Statements that undo the rest, one each, for whoever has made it. They are right where
    /// nothing else uses what they take away.
    pub left: Vec<String>,
}

/// One source database.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The engine as events name it: `postgresql`.
    fn engine(&self) -> &'static str;

    /// The database as events name it.
    fn database(&self) -> &str;

    /// Whether whoever has read up to `position` has read everything up to `target`. Both must be
    /// of one lineage.
    fn covers(&self, position: &Position, target: &Position) -> bool;

    /// Looks at everything streaming needs, without changing anything. Returns the findings
    /// rather than the first error; an error means that looking itself was impossible.
    async fn survey(&self, capture: &Capture, last: Option<&ResumePoint>) -> Result<Survey>;

    /// Makes the server keep the log from now on (creates the slot, or reads the current
    /// position) and says where it begins. An existing slot of ours that has no use any more, as
    /// [`Continuity::Broken`] said, is replaced.
    async fn establish(&self, capture: &Capture) -> Result<ResumePoint>;

    /// Starts streaming behind `from`.
    async fn open(&self, from: ResumePoint, capture: Capture) -> Result<Box<dyn ChangeStream>>;

    /// The coordinate ([`crate::Begin::coordinate`]) that a position stands for: no transaction
    /// that ends at or before it has one as great, and none behind it has a lesser one.
    fn coordinate(&self, position: &Position) -> Result<u64>;

    /// How the server keeps the log behind a place of this lineage. Asked on a connection of its
    /// own, every few seconds at the most, and of no other server than the one whose log that is.
    async fn log_keeping(&self, place: Option<(&Lineage, &Position)>) -> Result<LogKeeping>;

    /// Has the server keep no log for us any more: whoever goes on from there finds a gap. A
    /// connection of ours that still reads is ended. An error of [`crate::Fault::Held`] names
    /// somebody else who reads.
    async fn release_log(&self) -> Result<()>;

    /// Frees what the server keeps for us, for good: nobody goes on from there any more. Nothing
    /// else is changed. An error of [`crate::Fault::Held`] names who follows the log now.
    async fn detach(&self) -> Result<Detached>;

    /// Opens a reader of what is in the tables already.
    async fn snapshot_reader(&self) -> Result<Box<dyn SnapshotReader>>;
}

/// An open stream. Dropping it closes the connection; what was read but not confirmed comes again.
#[async_trait]
pub trait ChangeStream: Send {
    /// Waits for one event, then returns all that has arrived, up to the byte budget. Cancel-safe.
    /// A batch without events tells of progress past changes nobody captures.
    async fn read(&mut self) -> Result<Batch>;

    /// Tells the server that everything up to `position` is durable downstream. Idempotent,
    /// does not block.
    fn confirm(&mut self, position: &Position);

    /// Somebody waits for the stream to have read what is in the log by now, though it be nothing
    /// that is captured: the server is asked how far it has come, where it does not say so by
    /// itself. Does not block.
    fn hurry(&mut self);

    /// How the stream stands towards its server.
    fn head(&self) -> Head;

    /// Tells the server what was confirmed and ends the connection.
    async fn close(self: Box<Self>) -> Result<()>;
}
