//! One seller: read, map, submit, confirm. The loop knows neither the database nor the sink.
//!
//! | file | owns |
//! |---|---|
//! | this one | the stream loop |
//! | `start` | from what is stored and what the server says to an open stream |
//! | `snapshot` | the tables that have to be read, beside the stream |
//! | `request` | what somebody outside may want of it |
//! | `headway` | whether it comes further at all |
//! | `spares` | memory of events that are durable, for events to come |
//! | `connector` | the wiring: which connector a configuration means |

mod connector;
mod headway;
mod request;
mod snapshot;
mod spares;
mod start;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Batch, ChangeStream, Connector, Error, Position, Result, TableName};
use tokio::sync::{mpsc, watch};

pub use connector::{Keep, check_source, connect, known_as};
pub use headway::Headway;
use request::Promise;
pub use request::SnapshotRequest;
use snapshot::Snapshots;
pub(crate) use snapshot::UNREADABLE;
use spares::Spares;
use start::NextCapture;
pub use start::{Start, preflight, reach, start};

use crate::config::SellerConfig;
use crate::mapping::{Mapped, Mapper, Notice};
use crate::progress::Ledger;
use crate::shard::{Receipt, Shard, Submission};
use crate::sink::{ControlKind, ControlRecord, DeadLetter, Forgets, Part, RowEntry, ShardState};
use crate::state::Checkpoint;
use crate::stock::encode::Records;
use crate::telemetry::{SellerMetrics, now_us};

/// Log behind the stored checkpoint after which a checkpoint is committed on its own.
const IDLE_PROGRESS_BYTES: u64 = 16 << 20;
/// Why a table is read that is not known by what it was known by.
const REKEYED: &str = "what identifies its rows has changed";
/// Time after which a checkpoint that moved is committed on its own.
const IDLE_PROGRESS: Duration = Duration::from_secs(5);

/// What a seller's loop needs from its surroundings.
pub struct Surroundings {
    /// The seller's file.
    pub config: SellerConfig,
    /// How its log is kept.
    pub keep: Keep,
    /// The way to the sink.
    pub shard: Shard,
    /// What is stored in it.
    pub state: Arc<dyn ShardState>,
    /// Numbers of this seller.
    pub metrics: SellerMetrics,
    /// Becomes true when the process is to end.
    pub shutdown: watch::Receiver<bool>,
    /// Stop when everything that was in the log at the start is committed.
    pub until_current: bool,
    /// Bytes this seller may have between socket and sink.
    pub buffer_bytes: usize,
    /// What somebody outside wants of it.
    pub requests: mpsc::Receiver<SnapshotRequest>,
    /// Told when it has come further.
    pub headway: Headway,
}

/// Why a seller's loop ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process is to end, and everything read is durable.
    Shutdown,
    /// Everything that was in the log at the start is durable.
    Current,
}

/// A part on its way to the sink.
struct InFlight {
    bytes: usize,
    events: usize,
    dead_letters: usize,
    /// A hash of the checkpoint.
    mark: u64,
    promises: Vec<Promise>,
}

/// One seller between its stream and its shard.
pub struct Seller {
    surroundings: Surroundings,
    connector: Arc<dyn Connector>,
    stream: Box<dyn ChangeStream>,
    mapper: Mapper,
    checkpoint: Checkpoint,
    next: Option<NextCapture>,
    ledger: Ledger,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    receipts: (mpsc::UnboundedSender<Receipt>, mpsc::UnboundedReceiver<Receipt>),
    /// Of the checkpoint that is durable.
    mark: u64,
    /// When the checkpoint moved past the stored one without anything to commit.
    unsaved_since: Option<Instant>,
    target: Option<Position>,
    snapshots: Snapshots,
    spares: Spares,
}

impl Seller {
    /// A seller whose stream is open.
    pub fn new(mut surroundings: Surroundings, started: Start) -> Self {
        surroundings.config = started.config;
        let target = surroundings.until_current.then_some(started.head);
        let snapshots = Snapshots::new(started.mapper.plan().snapshot_order());
        let mut seller = Self {
            mark: mark(&started.checkpoint.encode()),
            surroundings,
            connector: started.connector,
            stream: started.stream,
            mapper: started.mapper,
            checkpoint: started.checkpoint,
            next: started.next,
            ledger: Ledger::default(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            receipts: mpsc::unbounded_channel(),
            unsaved_since: Some(Instant::now()),
            target,
            snapshots,
            spares: Spares::default(),
        };
        seller.mapper.set_inherits(seller.next.is_some());
        seller.recall_snapshot();
        seller
    }

    /// Follows the log until shutdown, the end of what was there, or an error.
    pub async fn follow(mut self) -> Result<Ended> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut shutdown = self.surroundings.shutdown.clone();
        // The log may be silent, and nobody knows yet what cannot be trusted.
        self.report();
        loop {
            if self.mapper.is_outlived() && self.checkpoint.point.partial.is_none() {
                // Behind the change in the log, so that it is met once.
                self.close(Ended::Current).await?;
                return Err(Error::transient(
                    "what identifies the rows of a table has changed: its mapping is read anew",
                ));
            }
            if self.is_current() {
                return self.close(Ended::Current).await;
            }
            // Here and not below the log, which may never pause.
            if self.grace().is_some_and(|deadline_us| deadline_us <= now_us()) {
                self.release()?;
            }
            let grace = self.grace();
            tokio::select! { biased;
                // 1. The process is to end: what is read goes out, nothing more is read.
                () = crate::fleet::ending(&mut shutdown) => {
                    return self.close(Ended::Shutdown).await;
                }
                // 2. Durable: the server may forget it.
                receipt = self.receipts.1.recv() => self.durable(receipt),
                // 3. Progress without events is saved now and then.
                _ = tick.tick() => {
                    self.spares.clear();
                    self.save_idle_progress(IDLE_PROGRESS)?;
                }
                // 4. Somebody wants tables to be read.
                Some(request) = self.surroundings.requests.recv() => self.requested(request)?,
                // 5. The log, as long as there is room for it.
                batch = self.stream.read(), if self.has_room() => self.take(&batch?)?,
                // 6. Removals whose grace is over: the next turn begins with them.
                () = until(grace) => {}
                // 7. What was in the tables already.
                wake = self.snapshots.next(), if self.has_room() => self.wake(wake)?,
            }
            self.advance_snapshot()?;
            self.report();
        }
    }

    /// When a removal is to be published that waits for its key to come back, microseconds since
    /// 1970 UTC.
    fn grace(&self) -> Option<i64> {
        let is_between = self.checkpoint.point.partial.is_none();
        self.mapper.next_deadline().filter(|_| is_between && self.has_room())
    }

    fn release(&mut self) -> Result<()> {
        let mapped = self.mapper.due(now_us());
        if mapped.records.is_empty() && mapped.rows.is_empty() {
            // Of those that began to wait it is known from here on how long.
            return Ok(());
        }
        self.submit(mapped, Vec::new())
    }

    fn has_room(&self) -> bool {
        self.in_flight_bytes < self.surroundings.buffer_bytes
    }

    fn take(&mut self, batch: &Batch) -> Result<()> {
        self.mapper.write_into(self.spares.take());
        let mapped = self.mapper.apply(batch);
        self.next.take_if(|next| next.reached(&mut self.checkpoint, batch));
        self.mapper.set_inherits(self.next.is_some());
        self.checkpoint.follow(batch);
        self.remember(&mapped.notices);
        let counts = mapped.counts;
        self.surroundings.metrics.mapped(counts.rows, counts.filtered, counts.coalesced);
        let idle = mapped.records.is_empty()
            && mapped.rejected.is_empty()
            && mapped.notices.is_empty()
            && mapped.rows.is_empty();
        if idle {
            self.unsaved_since.get_or_insert_with(Instant::now);
            if self.stream.head().lag_bytes < IDLE_PROGRESS_BYTES || !self.ledger.is_empty() {
                self.keep(mapped.records);
                return Ok(());
            }
        }
        self.submit(mapped, Vec::new())
    }

    /// Keeps in the checkpoint what happened to tables as a whole.
    fn remember(&mut self, notices: &[Notice]) {
        for notice in notices {
            let (table, reason) = match notice {
                Notice::ScopeCleared { table, cause, .. } => {
                    self.forgotten(table, "was emptied");
                    (table, format!("{cause:?}"))
                }
                Notice::Rekeyed { table, .. } => {
                    self.forgotten(table, "is identified by something else");
                    (table, REKEYED.to_owned())
                }
                Notice::Unreadable { table, reason, .. } => (table, reason.clone()),
                Notice::SchemaChanged { .. } => continue,
            };
            self.taint(table.to_string(), reason.to_lowercase());
        }
    }

    /// Nothing is remembered of a table any more.
    fn forgotten(&mut self, table: &TableName, why: &str) {
        self.checkpoint.complete.remove(&table.to_string());
        // Nor can be relied on what was published of rows that need it.
        for other in self.mapper.plan().dependants_of(table) {
            self.taint(other.to_string(), format!("{table}, which it looks up, {why}"));
        }
    }

    fn submit(&mut self, mapped: Mapped, control: Vec<ControlRecord>) -> Result<()> {
        let oldest = mapped.oldest_committed_at_us.filter(|_| !mapped.records.is_empty());
        self.snapshots.published(&mapped.records);
        let mut part = part(&self.checkpoint, mapped, &self.surroundings.config);
        part.control.extend(control);
        let (events, dead_letters) = (part.records.len(), part.dead_letters.len());
        let bytes = part.bytes();
        let number = self.ledger.read(self.checkpoint.point.position.clone(), oldest);
        let mark = part.checkpoint.as_deref().map_or(self.mark, mark);
        let promises = Vec::new();
        self.in_flight.push_back(InFlight { bytes, events, dead_letters, mark, promises });
        self.in_flight_bytes += bytes;
        self.unsaved_since = None;
        let receipts = self.receipts.0.clone();
        self.surroundings.shard.submit(Submission { part, number, receipts })
    }

    fn durable(&mut self, receipt: Option<Receipt>) {
        let Receipt { number, spare } = receipt.expect("this seller holds a sender");
        let oldest = self.ledger.oldest_committed_at_us();
        let before = self.ledger.len();
        let confirmed = self.ledger.committed(number);
        for _ in self.ledger.len()..before {
            let durable = self.in_flight.pop_front().expect("one for each batch");
            self.in_flight_bytes -= durable.bytes;
            let (events, letters) = (durable.events as u64, durable.dead_letters as u64);
            self.surroundings.metrics.committed(events, letters);
            if durable.mark != self.mark {
                self.mark = durable.mark;
                self.surroundings.headway.is_made();
            }
            durable.promises.into_iter().for_each(Promise::keep);
        }
        self.keep(spare);
        if let Some(oldest) = oldest {
            self.surroundings.metrics.published(now_us() - oldest);
        }
        if let Some(position) = confirmed {
            self.stream.confirm(&position);
        }
    }

    /// What is under way and what is spare may together be as much as may be under way.
    fn keep(&mut self, spare: Records) {
        let most_bytes = self.surroundings.buffer_bytes.saturating_sub(self.in_flight_bytes);
        self.spares.keep(spare, most_bytes);
    }

    /// Commits a checkpoint on its own when it has been ahead of the stored one for `age`.
    fn save_idle_progress(&mut self, age: Duration) -> Result<()> {
        if self.unsaved_since.is_some_and(|since| since.elapsed() >= age) {
            self.submit(Mapped::default(), Vec::new())?;
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        if !self.is_read() {
            return false;
        }
        let reached = |target: &Position| {
            let done = self.checkpoint.point.partial.is_none();
            done && self.connector.covers(&self.checkpoint.point.position, target)
        };
        self.target.as_ref().is_some_and(reached)
    }

    /// Waits until everything read is durable, confirms it, and closes the stream.
    async fn close(mut self, ended: Ended) -> Result<Ended> {
        self.save_idle_progress(Duration::ZERO)?;
        while !self.ledger.is_empty() {
            let receipt = self.receipts.1.recv().await;
            self.durable(receipt);
        }
        self.stream.close().await?;
        Ok(ended)
    }

    fn report(&mut self) {
        let head = self.stream.head();
        let oldest = self.ledger.oldest_committed_at_us();
        self.surroundings.metrics.follows(&head, oldest, &self.checkpoint);
        self.show_snapshot();
    }
}

fn mark(checkpoint: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(checkpoint.as_bytes())
}

/// Waits until a time, microseconds since 1970 UTC; for ever without one.
async fn until(deadline_us: Option<i64>) {
    let Some(deadline_us) = deadline_us else { return std::future::pending().await };
    let wait_us = u64::try_from(deadline_us.saturating_sub(now_us())).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(wait_us)).await;
}

/// Everything that follows from a batch, and the checkpoint behind it, as one part of a commit.
fn part(checkpoint: &Checkpoint, mapped: Mapped, config: &SellerConfig) -> Part {
    let at_us = now_us();
    let dead_letters = mapped.rejected.into_iter().map(|rejected| DeadLetter {
        table: rejected.table,
        position: rejected.position,
        reason: rejected.reason,
        at_us,
        value: rejected.columns,
    });
    let rows = mapped.rows.into_iter().flat_map(|(table, delta)| {
        delta.into_iter().map(move |(pk, value)| RowEntry { table: table.clone(), pk, value })
    });
    Part {
        seller: config.seller.clone(),
        source: config.source.name.clone(),
        records: mapped.records,
        control: mapped.notices.iter().map(|notice| control(notice, at_us)).collect(),
        dead_letters: dead_letters.collect(),
        rows: rows.collect(),
        checkpoint: Some(checkpoint.encode()),
        forgets: Forgets::default(),
    }
}

fn control(notice: &Notice, at_us: i64) -> ControlRecord {
    let (kind, value) = match notice {
        Notice::ScopeCleared { table, position, cause } => (
            ControlKind::ScopeCleared,
            serde_json::json!({
                "table": table.to_string(),
                "position": position,
                "cause": format!("{cause:?}").to_lowercase(),
            }),
        ),
        Notice::Unreadable { table, position, reason } => (
            ControlKind::Gap,
            serde_json::json!({
                "table": table.to_string(), "from": position, "reason": reason,
            }),
        ),
        Notice::Rekeyed { table, position } => (
            ControlKind::Gap,
            serde_json::json!({
                "table": table.to_string(), "from": position, "reason": REKEYED,
            }),
        ),
        Notice::SchemaChanged { table, columns } => (
            ControlKind::SchemaChanged,
            serde_json::json!({ "table": table.to_string(), "columns": columns }),
        ),
    };
    ControlRecord { kind, at_us, value: value.to_string() }
}

/// What on the server keeps a seller from being followed.
pub(crate) fn blockers(findings: &[connector_api::Finding]) -> impl Iterator<Item = Error> {
    let blocks =
        |finding: &&connector_api::Finding| finding.severity == connector_api::Severity::Blocker;
    findings.iter().filter(blocks).map(|finding| {
        let connector_api::Finding { check, found, wanted, fix, .. } = finding;
        Error::operator(format!("{check}: {found}; wanted: {wanted}"), fix)
    })
}
