use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use connector_api::{Head, Position};
use jiff::Timestamp;
use serde::Serialize;

use super::metrics::{Metrics, SourceCounters};
use crate::progress::Lifecycle;
use crate::stock::{SellerId, SourceName};

/// Every word [`Lifecycle::as_str`] can say.
pub(super) const STATES: [&str; 6] =
    ["starting", "streaming", "backing_off", "standing_by", "halted", "stopped"];

/// How every source of this process stands. Sources write, HTTP reads; a lock is held for a few
/// assignments and never while anything waits.
#[derive(Default)]
pub struct StatusBoard {
    metrics: Metrics,
    sources: Mutex<BTreeMap<(SellerId, SourceName), Arc<SourceReport>>>,
}

impl StatusBoard {
    /// The report of a source, made at the first call.
    pub fn source(&self, seller: &SellerId, source: &SourceName) -> Arc<SourceReport> {
        let key = (seller.clone(), source.clone());
        let mut sources = locked(&self.sources);
        let report = sources.entry(key).or_insert_with(|| {
            let counters = self.metrics.counters(seller, source);
            Arc::new(SourceReport::new(seller.clone(), source.clone(), counters))
        });
        Arc::clone(report)
    }

    /// The metrics that belong to no source.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How every source stands now, by seller and source.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        let reports: Vec<_> = locked(&self.sources).values().map(Arc::clone).collect();
        reports.iter().map(|report| report.status()).collect()
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

/// What one source reports of itself.
pub struct SourceReport {
    /// What is counted on the way of a row.
    pub counters: SourceCounters,
    seller: SellerId,
    source: SourceName,
    standing: Mutex<Standing>,
}

struct Standing {
    state: Lifecycle,
    since: Timestamp,
    position: Option<Position>,
    lag_bytes: Option<u64>,
    wal_retained_bytes: Option<u64>,
    last_contact: Option<Instant>,
    oldest_unconfirmed: Option<Instant>,
    dirty_tables: Vec<String>,
}

impl SourceReport {
    fn new(seller: SellerId, source: SourceName, counters: SourceCounters) -> Self {
        let standing = Standing {
            state: Lifecycle::Starting,
            since: Timestamp::now(),
            position: None,
            lag_bytes: None,
            wal_retained_bytes: None,
            last_contact: None,
            oldest_unconfirmed: None,
            dirty_tables: Vec::new(),
        };
        Self { counters, seller, source, standing: Mutex::new(standing) }
    }

    /// The source enters a state. Entering the one it is in keeps the time since when.
    pub fn enter(&self, state: Lifecycle) {
        let mut standing = locked(&self.standing);
        if standing.state.as_str() != state.as_str() {
            standing.since = Timestamp::now();
        }
        standing.state = state;
    }

    /// What was confirmed last.
    pub fn confirmed(&self, position: &Position) {
        let mut standing = locked(&self.standing);
        if standing.position.as_ref() != Some(position) {
            standing.position = Some(position.clone());
        }
    }

    /// How the stream stands towards its server.
    pub fn head(&self, head: &Head) {
        let mut standing = locked(&self.standing);
        standing.lag_bytes = Some(head.lag_bytes);
        standing.last_contact = Some(head.last_contact);
    }

    /// When the oldest change that is not confirmed was read; `None` when all is confirmed.
    pub fn oldest_unconfirmed(&self, read_at: Option<Instant>) {
        locked(&self.standing).oldest_unconfirmed = read_at;
    }

    /// Bytes of log the server keeps for this source; `None` when it does not tell.
    pub fn wal_retained(&self, bytes: Option<u64>) {
        locked(&self.standing).wal_retained_bytes = bytes;
    }

    /// The tables whose published levels cannot be trusted.
    pub fn dirty_tables(&self, tables: Vec<String>) {
        locked(&self.standing).dirty_tables = tables;
    }

    /// How it stands now.
    pub fn status(&self) -> SourceStatus {
        let standing = locked(&self.standing);
        let (reason, fix) = match &standing.state {
            Lifecycle::BackingOff { reason } => (Some(reason.clone()), None),
            Lifecycle::StandingBy { holder } => (Some(format!("held by {holder}")), None),
            Lifecycle::Halted { reason, fix } => (Some(reason.clone()), fix.clone()),
            _ => (None, None),
        };
        SourceStatus {
            seller: self.seller.as_str().to_owned(),
            source: self.source.as_str().to_owned(),
            state: standing.state.as_str().to_owned(),
            since: format!("{:.3}", standing.since),
            reason,
            fix,
            position: standing.position.as_ref().map(Position::to_string),
            lag_bytes: standing.lag_bytes,
            wal_retained_bytes: standing.wal_retained_bytes,
            last_contact_ms: standing.last_contact.map(age_ms),
            oldest_unconfirmed_ms: standing.oldest_unconfirmed.map(age_ms),
            rows: self.counters.rows_read.get(),
            events: self.counters.events_published.get(),
            dead_letters: self.counters.dead_letters.get(),
            restarts: self.counters.restarts.get(),
            dirty_tables: standing.dirty_tables.clone(),
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
    /// One word: `starting`, `streaming`, `backing_off`, `standing_by`, `halted`, `stopped`.
    pub state: String,
    /// Since when, RFC 3339 UTC.
    pub since: String,
    /// Why, when it does not stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What was confirmed last, as the database prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Bytes of log between that and the server's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// Bytes of log the server keeps for this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_retained_bytes: Option<u64>,
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
    /// Tables whose published levels cannot be trusted.
    pub dirty_tables: Vec<String>,
}

impl SourceStatus {
    /// Whether it streams and its levels can be trusted.
    pub fn is_ready(&self) -> bool {
        self.state == Lifecycle::Streaming.as_str() && self.dirty_tables.is_empty()
    }
}

fn age_ms(then: Instant) -> u64 {
    u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A panic elsewhere leaves whole assignments behind, so what it left can be read.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
