//! Reads the tables that cannot be relied on, beside the stream and one at a time: at the first
//! start, after a gap, when a mapping has changed, when somebody asks for it. All of them mark a
//! table in the checkpoint, and this is what takes the marks away.
//!
//! | file | owns |
//! |---|---|
//! | this one | the steps of a snapshot, each of which is one commit |
//! | `due` | which table has to be read, and what was found in it (pure) |
//! | `sweep` | what follows when every row has been read |
//! | `failure` | when a table that could not be read is tried again |
//! | `reading` | the task that reads chunks ahead of the loop |

mod due;
mod failure;
mod reading;
mod sweep;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Chunk, Error, Fault, Result, TableName};
use tracing::{info, warn};

use due::{count, has_to_wait, meaning_of, next_due};
pub(super) use due::{incomplete, mark_due};
use failure::Failure;
use reading::{Found, Order, Reading};
use sweep::After;

use super::{Promise, Seller, SnapshotRequest, mark};
use crate::mapping::{Mapped, Notice, Synthetic};
use crate::progress::Pace;
use crate::sink::{ControlKind, ControlRecord};
use crate::state::{SnapshotPhase, TableSnapshot};
use crate::stock::encode::Records;
use crate::stock::{SYNTHETIC_ORDINAL, Version};
use crate::telemetry::{SnapshotStatus, chain, now_us};

/// Rows or keys of one commit of a sweep.
const SWEPT_AT_ONCE: usize = 4096;
/// Stands between why a table has to be read and why it cannot be.
pub(crate) const UNREADABLE: &str = "; it cannot be read: ";
/// Why a table is read that somebody named.
const ASKED_FOR: &str = "asked for";
/// How often the server is asked where its log ends, while a chunk waits for the stream.
const HURRY_EVERY: Duration = Duration::from_millis(10);

/// What a seller's loop knows of the reading of tables.
pub(super) struct Snapshots {
    /// Tables of which levels are published, in the order in which they are to be read.
    order: Vec<TableName>,
    reading: Option<Reading>,
    /// Read, and waiting for the stream to have passed its fence.
    chunk: Option<Box<Chunk>>,
    hurried: Instant,
    estimated_rows: Option<u64>,
    after: Option<After>,
    /// Tables that could not be read.
    failed: BTreeMap<String, Failure>,
    /// Whether somebody was told of a snapshot that has ended since.
    shown: bool,
}

impl Snapshots {
    pub(super) fn new(order: Vec<TableName>) -> Self {
        Self {
            order,
            reading: None,
            chunk: None,
            hurried: Instant::now(),
            estimated_rows: None,
            after: None,
            failed: BTreeMap::new(),
            shown: false,
        }
    }

    /// Waits for something to do: something found, or time to ask the server again. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Wake> {
        if self.chunk.is_some() {
            tokio::time::sleep_until((self.hurried + HURRY_EVERY).into()).await;
            self.hurried = Instant::now();
            return Some(Wake::Hurry);
        }
        match &mut self.reading {
            Some(reading) => Some(Wake::Found(reading.next().await)),
            None => std::future::pending().await,
        }
    }

    /// Notes what the stream publishes while a sweep is under way.
    pub(super) fn published(&mut self, records: &Records) {
        if let Some(After::Keys(sweep)) = &mut self.after {
            let key = |entry| xxhash_rust::xxh3::xxh3_128(records.key(entry).as_bytes());
            sweep.published.extend(records.iter().map(key));
        }
    }

    fn stop(&mut self) {
        self.reading = None;
        self.chunk = None;
        self.after = None;
        self.estimated_rows = None;
    }
}

/// Why the loop turns to a snapshot.
pub(super) enum Wake {
    Found(reading::Found),
    Hurry,
}

impl Seller {
    /// Whether every table can be relied on, as far as reading it can make it so.
    pub(super) fn is_read(&self) -> bool {
        let automatic = self.surroundings.config.source.snapshot.automatic;
        !automatic
            || (self.checkpoint.dirty_tables.is_empty() && self.checkpoint.snapshot.is_none())
    }

    /// A table was being read when this process began.
    pub(super) fn recall_snapshot(&mut self) {
        let snapshot = self.checkpoint.snapshot.as_ref();
        let known = |snapshot: &&TableSnapshot| {
            self.snapshots.order.iter().find(|table| table.to_string() == snapshot.table)
        };
        if let Some((snapshot, table)) = snapshot.and_then(|it| Some((it, known(&it)?))) {
            // What the stream changes from here on has been seen during this snapshot.
            self.mapper.begin_snapshot(table, snapshot.number);
        }
        self.retable();
    }

    /// What is known of tables has changed.
    fn retable(&mut self) {
        // Without snapshots nothing mends what cannot be known of a row.
        let mended = self.surroundings.config.source.snapshot.automatic;
        let dirty = self.checkpoint.dirty_tables.keys().filter(|_| mended);
        self.mapper.set_dirty(dirty);
        if self.checkpoint.snapshot.is_none() {
            self.snapshots.stop();
            self.mapper.end_snapshot();
        }
    }

    /// A table cannot be relied on.
    pub(super) fn taint(&mut self, table: String, reason: String) {
        self.checkpoint.taint(table, reason);
        self.retable();
    }

    /// Somebody wants tables to be read, and is told so when that is durable.
    pub(super) fn requested(&mut self, request: SnapshotRequest) -> Result<()> {
        let SnapshotRequest { table, answer } = request;
        let known = self.snapshots.order.iter().map(TableName::to_string);
        let wanted: Vec<String> =
            known.filter(|known| table.as_ref().is_none_or(|table| table == known)).collect();
        let automatic = self.surroundings.config.source.snapshot.automatic;
        let refusal = match (wanted.is_empty(), automatic) {
            (_, false) => Some("snapshot = \"never\" stands in its file"),
            (true, _) => Some("no level is read from that table, so there is nothing to compare"),
            (false, true) => None,
        };
        if let Some(why) = refusal {
            // Who has gone need not be told.
            let _ = answer.send(Err(why.to_owned()));
            return Ok(());
        }
        for table in &wanted {
            self.taint(table.clone(), ASKED_FOR.to_owned());
        }
        let submitted = self.in_flight.back().map_or(self.mark, |last| last.mark);
        // What is asked for again while the sink takes nothing needs no memory again.
        if self.unsaved_since.is_some() || mark(&self.checkpoint.encode()) != submitted {
            self.submit(Mapped::default(), Vec::new())?;
        }
        let promise = Promise { tables: wanted, answer };
        match self.in_flight.back_mut() {
            Some(last) => {
                last.promises.retain(|earlier| !earlier.answer.is_closed());
                last.promises.push(promise);
            }
            None => promise.keep(),
        }
        Ok(())
    }

    pub(super) fn wake(&mut self, wake: Option<Wake>) -> Result<()> {
        match wake {
            Some(Wake::Hurry) => self.stream.hurry(),
            Some(Wake::Found(found)) => self.found(found)?,
            None => {}
        }
        Ok(())
    }

    /// Goes on with the snapshot that is under way, or begins the next one, as far as possible
    /// without waiting. Nothing but the log's own rows is published inside a transaction.
    pub(super) fn advance_snapshot(&mut self) -> Result<()> {
        if self.checkpoint.point.partial.is_some() || self.next.is_some() || !self.has_room() {
            return Ok(());
        }
        if self.mapper.has_more_to_forget() {
            // Before a table can be relied on again: whoever begins here next takes what is left
            // of it for rows that were not seen.
            let mapped = self.mapper.forget();
            return self.submit(mapped, Vec::new());
        }
        let Some(snapshot) = &self.checkpoint.snapshot else { return self.begin_snapshot() };
        let is_idle = self.snapshots.reading.is_none() && self.snapshots.chunk.is_none();
        if is_idle && !self.may_try() {
            return Ok(());
        }
        if snapshot.phase == SnapshotPhase::Sweeping {
            return self.sweep();
        }
        if is_idle {
            return self.read_on();
        }
        if self.snapshots.chunk.is_none()
            && let Some(found) = self.snapshots.reading.as_mut().and_then(Reading::try_next)
        {
            self.found(found)?;
        }
        if self.snapshots.chunk.is_some() && self.mapper.has_lost_track() {
            // Not before there are rows: whoever changes the table all the time would have the
            // server be logged in to as often, and what keeps it from being read was never told.
            self.set_back();
            return Ok(());
        }
        let position = &self.checkpoint.point.position;
        let covered = |chunk: &mut Box<Chunk>| self.connector.covers(position, &chunk.fence.high);
        match self.snapshots.chunk.take_if(covered) {
            Some(chunk) => self.publish(*chunk),
            None => Ok(()),
        }
    }

    /// Begins with the next table that has to be read, if there is one.
    fn begin_snapshot(&mut self) -> Result<()> {
        let config = &self.surroundings.config;
        // As a rule, and asked behind every batch.
        if self.checkpoint.dirty_tables.is_empty() || !config.source.snapshot.automatic {
            return Ok(());
        }
        let Some(table) = self.next_table() else { return Ok(()) };
        let reason = &self.checkpoint.dirty_tables[&table];
        let reason = reason.split(UNREADABLE).next().unwrap_or_default().to_owned();
        let (coordinate, counter) = (self.coordinate()?, self.checkpoint.synthetic);
        let epoch = self.checkpoint.epoch;
        let since = Version { epoch, coordinate, ordinal: SYNTHETIC_ORDINAL + counter };
        self.checkpoint.snapshots += 1;
        let known = self.snapshots.order.iter().find(|known| known.to_string() == table);
        let (phase, meaning) = match known {
            Some(known) => {
                let plan = self.mapper.plan();
                let meaning = meaning_of(&self.surroundings.config, plan, known);
                (SnapshotPhase::Reading { after: None }, meaning)
            }
            None => (SnapshotPhase::Sweeping, String::new()),
        };
        self.checkpoint.snapshot = Some(TableSnapshot {
            table: table.clone(),
            number: self.checkpoint.snapshots,
            reason,
            meaning,
            since: since.to_string(),
            phase,
            told: false,
            rows: 0,
            keys: 0,
            removed: 0,
            sums: BTreeMap::new(),
        });
        self.submit(Mapped::default(), Vec::new())
    }

    /// The table that is to be read next.
    fn next_table(&self) -> Option<String> {
        let now = Instant::now();
        let failed = &self.snapshots.failed;
        let waits = |table: &str| failed.get(table).is_some_and(|failure| failure.until > now);
        let (plan, config) = (self.mapper.plan(), &self.surroundings.config);
        let incomplete = LazyCell::new(|| incomplete(&self.checkpoint, plan, config));
        let order = &self.snapshots.order;
        let has_to_wait = |table: &str| has_to_wait(plan, order, table, &incomplete);
        next_due(&self.checkpoint, order, |table| waits(table) || has_to_wait(table))
    }

    /// Rows are on their way.
    fn settled(&mut self, estimated: Option<u64>) -> Result<()> {
        self.snapshots.estimated_rows = estimated;
        let Some(snapshot) = &mut self.checkpoint.snapshot else { return Ok(()) };
        // Its first rows are read again when they were read in vain.
        if snapshot.told || snapshot.phase != (SnapshotPhase::Reading { after: None }) {
            return Ok(());
        }
        snapshot.told = true;
        let (table, reason) = (&snapshot.table, &snapshot.reason);
        info!(table, reason, "reading a table");
        let mut value = serde_json::json!({
            "table": snapshot.table,
            "position": self.checkpoint.point.position.as_str(),
            "reason": snapshot.reason,
        });
        if let Some(estimated) = estimated {
            value["estimated_rows"] = estimated.into();
        }
        self.submit(Mapped::default(), vec![record(ControlKind::SnapshotStarted, &value)])
    }

    /// Whether the table that is being read may be tried again by now.
    fn may_try(&self) -> bool {
        let failed = self.checkpoint.snapshot.as_ref();
        let failed = failed.and_then(|snapshot| self.snapshots.failed.get(&snapshot.table));
        failed.is_none_or(|failure| failure.until <= Instant::now())
    }

    /// Reads on behind the last row that is stored.
    fn read_on(&mut self) -> Result<()> {
        let snapshot = self.checkpoint.snapshot.as_ref();
        let snapshot = snapshot.expect("a snapshot is under way");
        let SnapshotPhase::Reading { after } = &snapshot.phase else { return Ok(()) };
        let (capture, table) = (&self.checkpoint.point.capture, &snapshot.table);
        let wanted = capture.tables.iter().find(|wanted| wanted.name.to_string() == *table);
        let Some((name, columns)) = wanted.and_then(|wanted| match &wanted.columns {
            connector_api::Columns::Only(columns) => Some((&wanted.name, columns)),
            connector_api::Columns::All => None,
        }) else {
            return Err(Error::bug(format!("table {table} is to be read, and is not captured")));
        };
        self.mapper.begin_snapshot(name, snapshot.number);
        let rows_per_s = self.surroundings.config.source.snapshot.rows_per_s;
        let order = Order {
            table: name.clone(),
            columns: columns.clone(),
            filter: self.mapper.plan().condition_of(name),
            after: after.clone(),
            position: self.checkpoint.point.position.clone(),
            pace: Pace::new(rows_per_s),
        };
        self.snapshots.stop();
        self.snapshots.reading = Some(Reading::of_table(Arc::clone(&self.connector), order));
        Ok(())
    }

    fn found(&mut self, found: Found) -> Result<()> {
        match found {
            Found::Settled(estimated) => return self.settled(estimated),
            Found::Chunk(chunk) => {
                let (high, here) = (&chunk.fence.high, &self.checkpoint.point.position);
                tracing::debug!(%high, %here, next = chunk.next.is_some(), "a chunk was read");
                self.snapshots.hurried = Instant::now();
                self.snapshots.chunk = Some(chunk);
                self.stream.hurry();
            }
            Found::Levels(levels) => self.compare(levels),
            Found::Failed(error) => return self.postpone(error),
        }
        Ok(())
    }

    /// A table cannot be read now. The stream goes on, and so do other tables.
    fn postpone(&mut self, error: Error) -> Result<()> {
        if self.surroundings.until_current {
            return Err(error);
        }
        let Some(snapshot) = &self.checkpoint.snapshot else { return Ok(()) };
        let is_read = snapshot.phase == SnapshotPhase::Sweeping;
        if is_read {
            // It is the sink that could not say what is published, and it alone is asked again.
            self.snapshots.reading = None;
        } else {
            // What the stream changes until it is tried again is noted as ever.
            self.snapshots.stop();
        }
        let table = snapshot.table.clone();
        let reason = match error.fault() {
            Fault::Definite => snapshot.reason.clone(),
            _ => format!("{}{UNREADABLE}{error}", snapshot.reason),
        };
        let failure = self.snapshots.failed.entry(table.clone()).or_default();
        let said = chain(&error).to_string();
        if failure.said != said {
            let (what, fix) = (if is_read { "compared" } else { "read" }, error.fix());
            warn!(table, error = said, fix, "a table cannot be {what} yet");
            failure.said = said;
        }
        let is_stuck = failure.again();
        // Somebody has to do something; others need not wait for that.
        let needs_help = matches!(error.fault(), Fault::Operator { .. } | Fault::Definite);
        if !is_read && (needs_help || (is_stuck && self.next_table().is_some())) {
            self.taint(table, reason);
        }
        Ok(())
    }

    /// What was read is of no use, because of what the stream has said since: it is read again like
    /// what could not be read, a little later and not always before other tables.
    fn set_back(&mut self) {
        let Some(snapshot) = &self.checkpoint.snapshot else { return };
        let (table, reason) = (snapshot.table.clone(), snapshot.reason.clone());
        self.snapshots.stop();
        let is_stuck = self.snapshots.failed.entry(table.clone()).or_default().again();
        if is_stuck && self.next_table().is_some() {
            self.taint(table, reason);
        }
    }

    /// Publishes a chunk that the stream has caught up with.
    fn publish(&mut self, chunk: Chunk) -> Result<()> {
        let rows = chunk.rows.events().iter();
        let rows = rows.filter(|event| matches!(event, connector_api::SourceEvent::Row(_))).count();
        let position = self.checkpoint.point.position.clone();
        let at = self.synthetic(position.as_str(), chunk.fence.read_at_us)?;
        self.mapper.write_into(self.spares.take());
        let mapped = self.mapper.chunk(&chunk.rows, chunk.fence.sight.as_ref(), &at);
        if self.mapper.has_lost_track() {
            self.set_back();
            return Ok(());
        }
        self.use_up(rows)?;
        let snapshot = self.checkpoint.snapshot.as_mut().expect("a snapshot is under way");
        self.snapshots.failed.remove(&snapshot.table);
        count(snapshot, &mapped.records);
        snapshot.rows += rows as u64;
        snapshot.phase = match chunk.next {
            Some(after) => SnapshotPhase::Reading { after: Some(after) },
            None => SnapshotPhase::Sweeping,
        };
        self.submit_read(mapped)
    }

    /// What was read, and what it says of other tables. What there was no room to say of the table
    /// itself is said when all of it has been read.
    fn submit_read(&mut self, mut mapped: Mapped) -> Result<()> {
        let snapshot = self.checkpoint.snapshot.as_ref().expect("a snapshot is under way");
        let is_of_others = |notice: &Notice| notice.table().to_string() != snapshot.table;
        mapped.notices.retain(is_of_others);
        self.remember(&mapped.notices);
        self.submit(mapped, Vec::new())
    }

    /// The coordinate of every synthetic version at the place the stream has come to.
    fn coordinate(&self) -> Result<u64> {
        let end = self.connector.coordinate(&self.checkpoint.point.position)?;
        Ok(end.saturating_sub(1))
    }

    fn synthetic<'a>(&self, position: &'a str, at_us: i64) -> Result<Synthetic<'a>> {
        let counter = self.checkpoint.synthetic;
        Ok(Synthetic { coordinate: self.coordinate()?, counter, at_us, position })
    }

    fn use_up(&mut self, versions: usize) -> Result<()> {
        let used = u32::try_from(versions).ok();
        let used = used.and_then(|used| self.checkpoint.synthetic.checked_add(used));
        let used = used.filter(|used| *used < SYNTHETIC_ORDINAL);
        self.checkpoint.synthetic = used.ok_or_else(|| {
            Error::definite("more than two thousand million rows were read at one place of the log")
        })?;
        Ok(())
    }

    /// Tells how far the table is that is being read.
    pub(super) fn show_snapshot(&mut self) {
        let snapshot = self.checkpoint.snapshot.as_ref();
        if snapshot.is_none() && !self.snapshots.shown {
            return;
        }
        self.snapshots.shown = snapshot.is_some();
        let status = snapshot.map(|snapshot| SnapshotStatus {
            table: snapshot.table.clone(),
            phase: match snapshot.phase {
                SnapshotPhase::Reading { .. } => "reading",
                SnapshotPhase::Sweeping => "sweeping",
            },
            rows: snapshot.rows,
            estimated_rows: self.snapshots.estimated_rows,
        });
        self.surroundings.metrics.snapshot(status);
    }
}

fn record(kind: ControlKind, value: &serde_json::Value) -> ControlRecord {
    ControlRecord { kind, at_us: now_us(), value: value.to_string() }
}
