use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use connector_api::{Head, Lineage, LogKeeping, Position};
use jiff::Timestamp;
use serde::Serialize;

use super::metrics::{BrokerMetrics, Metrics, ShardMetrics, SourceCounters};
use super::now_us;
use super::snapshot::{SnapshotProgress, SnapshotStatus};
use super::stall::Stalled;
use crate::config::SellerConfig;
use crate::progress::Lifecycle;
use crate::state::Checkpoint;
use crate::stock::{SellerId, SourceName};

/// Every word [`Lifecycle::as_str`] can say.
pub(super) const STATES: [&str; 6] =
    ["starting", "streaming", BACKING_OFF, "standing_by", "halted", "stopped"];
const BACKING_OFF: &str = "backing_off";

/// How every source of this process stands. Sources write, HTTP reads; a lock is held for a few
/// assignments and never while anything waits.
#[derive(Default)]
pub struct StatusBoard {
    metrics: Metrics,
    sources: Mutex<BTreeMap<(SellerId, SourceName), SellerMetrics>>,
}

impl StatusBoard {
    /// The numbers of a seller's source, made at the first call; later ones give the same.
    pub fn seller(&self, config: &SellerConfig) -> SellerMetrics {
        let (seller, source) = (config.seller.clone(), config.source.name.clone());
        let mut sources = locked(&self.sources);
        let metrics = sources.entry((seller.clone(), source.clone())).or_insert_with(|| {
            let counters = self.metrics.counters(&seller, &source);
            let standing = Mutex::new(Standing::new());
            SellerMetrics { counters, shared: Arc::new(Shared { seller, source, standing }) }
        });
        metrics.clone()
    }

    /// The numbers of what all sellers share.
    pub fn shard(&self) -> ShardMetrics {
        self.metrics.shard().clone()
    }

    /// The numbers of the brokers of a cluster, where the sink is one.
    pub fn brokers(&self) -> BrokerMetrics {
        self.metrics.brokers()
    }

    /// A seller's source enters a state. Entering the one it is in keeps the time since when.
    pub fn enter(&self, config: &SellerConfig, state: Lifecycle) {
        let metrics = self.seller(config);
        let mut standing = locked(&metrics.shared.standing);
        if standing.state.as_str() != state.as_str() {
            standing.since = Timestamp::now();
        }
        // Whoever starts again says anew how far it is.
        if state == Lifecycle::Starting {
            standing.snapshot = None;
        }
        standing.lag_bytes = None;
        standing.oldest_unconfirmed_us = None;
        standing.state = state;
    }

    /// How every source stands now, by seller and source.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        let sources: Vec<_> = locked(&self.sources).values().cloned().collect();
        let stalled = self.metrics.shard().stalled();
        sources.iter().map(|source| source.status(stalled.as_ref())).collect()
    }

    /// Metrics in Prometheus' text format.
    pub fn render_metrics(&self) -> String {
        self.metrics.render(&self.statuses())
    }

    /// Whether every source streams and every published level can be trusted.
    pub fn readiness(&self) -> Readiness {
        let statuses = self.statuses();
        let none = statuses.is_empty();
        let not_ready: Vec<_> = statuses.into_iter().filter(|status| !status.is_ready()).collect();
        Readiness { ready: !none && not_ready.is_empty(), not_ready }
    }
}

/// Whether a process does all it should.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// It does. A process that has no source yet does not.
    pub ready: bool,
    /// The sources that do not.
    pub not_ready: Vec<SourceStatus>,
}

/// The numbers of one source. Counting is an addition: no label is looked up.
#[derive(Debug, Clone)]
pub struct SellerMetrics {
    counters: SourceCounters,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seller: SellerId,
    source: SourceName,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    state: Lifecycle,
    since: Timestamp,
    lineage: Option<Lineage>,
    position: Option<Position>,
    lag_bytes: Option<u64>,
    last_contact: Option<Instant>,
    oldest_unconfirmed_us: Option<i64>,
    dirty_tables: BTreeMap<String, String>,
    snapshot: Option<SnapshotStatus>,
    keeping: LogKeeping,
}

impl Standing {
    fn new() -> Self {
        Self {
            state: Lifecycle::Starting,
            since: Timestamp::now(),
            lineage: None,
            position: None,
            lag_bytes: None,
            last_contact: None,
            oldest_unconfirmed_us: None,
            dirty_tables: BTreeMap::new(),
            snapshot: None,
            keeping: LogKeeping::default(),
        }
    }
}

impl SellerMetrics {
    /// Captured row changes were read and mapped; of them `filtered` concerned no mapping and
    /// `coalesced` were folded into later ones.
    pub fn mapped(&self, rows: u64, filtered: u64, coalesced: u64) {
        self.counters.rows_read.inc_by(rows);
        self.counters.rows_filtered.inc_by(filtered);
        self.counters.rows_coalesced.inc_by(coalesced);
    }

    /// Captured row changes read since the process started.
    pub fn rows_read(&self) -> u64 {
        self.counters.rows_read.get()
    }

    /// Events and dead letters are durable.
    pub fn committed(&self, events: u64, dead_letters: u64) {
        self.counters.events_published.inc_by(events);
        self.counters.dead_letters.inc_by(dead_letters);
    }

    /// The time from a transaction's commit at the source to its events' commit at the sink,
    /// microseconds. A clock that runs behind the source's counts as no time.
    #[allow(clippy::cast_precision_loss, reason = "a latency fits a float's 52 bits")]
    pub fn published(&self, latency_us: i64) {
        self.counters.commit_to_published_seconds.observe(latency_us.max(0) as f64 / 1e6);
    }

    /// The source was started again after an error.
    pub fn restarted(&self) {
        self.counters.restarts.inc();
    }

    /// How the stream stands: towards its server, the source's commit time of the oldest change
    /// that is not confirmed in microseconds since 1970, and what would be stored now.
    pub fn follows(&self, head: &Head, oldest_us: Option<i64>, checkpoint: &Checkpoint) {
        let mut standing = locked(&self.shared.standing);
        standing.lag_bytes = Some(head.lag_bytes);
        standing.last_contact = Some(head.last_contact);
        standing.oldest_unconfirmed_us = oldest_us;
        if standing.position.as_ref() != Some(&checkpoint.point.position) {
            standing.position = Some(checkpoint.point.position.clone());
        }
        if standing.lineage.as_ref() != Some(&checkpoint.point.lineage) {
            standing.lineage = Some(checkpoint.point.lineage.clone());
        }
        if standing.dirty_tables != checkpoint.dirty_tables {
            standing.dirty_tables = checkpoint.dirty_tables.clone();
        }
    }

    /// How the server keeps the log that has not been read.
    pub fn log_kept(&self, keeping: LogKeeping) {
        locked(&self.shared.standing).keeping = keeping;
    }

    /// How far it has read and in whose log, once it streams.
    pub fn place(&self) -> Option<(Lineage, Position)> {
        let standing = locked(&self.shared.standing);
        standing.lineage.clone().zip(standing.position.clone())
    }

    /// How far the table is that is being read as a whole; `None` when there is none.
    pub fn snapshot(&self, status: Option<SnapshotStatus>) {
        let mut standing = locked(&self.shared.standing);
        let rows = status.as_ref().map_or(0, |now| now.rows_since(standing.snapshot.as_ref()));
        self.counters.snapshot_rows.inc_by(rows);
        standing.snapshot = status;
    }

    /// A source that streams into a sink that takes nothing does not get on.
    fn status(&self, stalled: Option<&Stalled>) -> SourceStatus {
        let standing = self.standing();
        let stalled = stalled.filter(|_| standing.state == Lifecycle::Streaming.as_str());
        match stalled {
            None => standing,
            Some(Stalled { since, reason }) => SourceStatus {
                state: BACKING_OFF.to_owned(),
                since: Some(format!("{since:.3}")),
                reason: Some(reason.clone()),
                fix: Some(Stalled::FIX.to_owned()),
                ..standing
            },
        }
    }

    fn standing(&self) -> SourceStatus {
        let standing = locked(&self.shared.standing);
        let (reason, fix) = match &standing.state {
            Lifecycle::BackingOff { reason } => (Some(reason.clone()), None),
            Lifecycle::StandingBy { holder } => (Some(format!("held by {holder}")), None),
            Lifecycle::Halted { reason, fix } => (Some(reason.clone()), fix.clone()),
            _ => (None, None),
        };
        let streams = standing.state == Lifecycle::Streaming;
        let unconfirmed = standing.oldest_unconfirmed_us.filter(|_| streams);
        // As of the last look at a server whose streams do not say it.
        let unread = standing.keeping.unread_bytes.unwrap_or(0);
        SourceStatus {
            seller: self.shared.seller.as_str().to_owned(),
            source: self.shared.source.as_str().to_owned(),
            state: standing.state.as_str().to_owned(),
            since: Some(format!("{:.3}", standing.since)),
            reason,
            fix,
            position: standing.position.as_ref().map(Position::to_string),
            // How far a log has grown that nobody follows is not known.
            lag_bytes: standing.lag_bytes.filter(|_| streams).map(|bytes| bytes + unread),
            last_contact_ms: standing.last_contact.map(age_ms),
            oldest_unconfirmed_ms: unconfirmed.map(age_since_us),
            rows: self.counters.rows_read.get(),
            events: self.counters.events_published.get(),
            dead_letters: self.counters.dead_letters.get(),
            restarts: self.counters.restarts.get(),
            dirty_tables: standing.dirty_tables.clone(),
            snapshot: standing.snapshot.as_ref().map(SnapshotProgress::from),
            retained_log_bytes: standing.keeping.retained_bytes,
            log_headroom_bytes: standing.keeping.headroom_bytes,
            log_headroom_seconds: standing.keeping.headroom_seconds,
        }
    }
}

/// How one source stands: an element of `/v1/sellers`. What is unknown is left out.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct SourceStatus {
    /// The tenant.
    pub seller: String,
    /// One of its databases.
    pub source: String,
    /// One word: `starting`, `streaming`, `backing_off`, `standing_by`, `halted`, `stopped`;
    /// where no process can be asked `stopped` or `never_started`, or `held` when one has, or may
    /// have, what is stored.
    pub state: String,
    /// Since when, RFC 3339 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why, when it does not stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// How far it has read, as the database prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Bytes of log between what was confirmed and the server's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// Milliseconds since the server was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_contact_ms: Option<u64>,
    /// Age in milliseconds of the oldest change that was read and is not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_unconfirmed_ms: Option<u64>,
    /// Captured row changes read since this process started.
    pub rows: u64,
    /// Events committed since then.
    pub events: u64,
    /// Rows committed to the dead letters since then.
    pub dead_letters: u64,
    /// Starts after an error since then.
    pub restarts: u64,
    /// Tables whose published levels cannot be trusted, and why.
    pub dirty_tables: BTreeMap<String, String>,
    /// The table that is being read as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotProgress>,
    /// Bytes of log that the server keeps for this reader alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_log_bytes: Option<u64>,
    /// Bytes the server may write until it removes log that has not been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_headroom_bytes: Option<u64>,
    /// Seconds until it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_headroom_seconds: Option<u64>,
}

impl SourceStatus {
    /// A source of which no process tells, as far as its checkpoint does, and who has the store.
    pub fn stored(
        seller: &SellerConfig,
        checkpoint: Option<&Checkpoint>,
        holder: Option<String>,
    ) -> Self {
        let state = match (&holder, checkpoint) {
            (Some(_), _) => "held",
            (None, Some(_)) => Lifecycle::Stopped.as_str(),
            (None, None) => "never_started",
        };
        Self {
            seller: seller.seller.as_str().to_owned(),
            source: seller.source.name.as_str().to_owned(),
            state: state.to_owned(),
            since: None,
            reason: holder,
            fix: None,
            position: checkpoint.map(|checkpoint| checkpoint.point.position.to_string()),
            lag_bytes: None,
            last_contact_ms: None,
            oldest_unconfirmed_ms: None,
            rows: 0,
            events: 0,
            dead_letters: 0,
            restarts: 0,
            dirty_tables: checkpoint.map(|known| known.dirty_tables.clone()).unwrap_or_default(),
            snapshot: None,
            retained_log_bytes: None,
            log_headroom_bytes: None,
            log_headroom_seconds: None,
        }
    }

    /// Whether it is known which tables cannot be trusted: before it streams, a process has not
    /// looked at its checkpoint.
    pub fn is_told(&self) -> bool {
        self.position.is_some()
    }

    /// Whether it streams and its levels can be trusted.
    pub fn is_ready(&self) -> bool {
        let streams = self.state == Lifecycle::Streaming.as_str();
        streams && self.is_told() && self.dirty_tables.is_empty()
    }
}

fn age_ms(then: Instant) -> u64 {
    u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn age_since_us(then_us: i64) -> u64 {
    u64::try_from((now_us() - then_us) / 1000).unwrap_or(0)
}

/// A panic elsewhere leaves whole assignments behind, so what it left can be read.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
