use std::time::{Duration, Instant};

use connector_api::Error;
use prometheus::core::Collector;
use prometheus::{
    Counter, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::names::{self, Name};
use super::stall::{Stall, Stalled};
use super::status::{STATES, SourceStatus};
use super::{chain, process};
use crate::stock::{SellerId, SourceName};

/// Seconds; from half a millisecond to a minute.
const LATENCY_BUCKETS: [f64; 16] = [
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
    60.0,
];

/// Every metric of this process.
pub(super) struct Metrics {
    registry: Registry,
    shard: ShardMetrics,
    brokers: BrokerMetrics,
    rows_read: IntCounterVec,
    rows_filtered: IntCounterVec,
    rows_coalesced: IntCounterVec,
    events_published: IntCounterVec,
    dead_letters: IntCounterVec,
    restarts: IntCounterVec,
    snapshot_rows: IntCounterVec,
    commit_to_published_seconds: HistogramVec,
    lag_bytes: IntGaugeVec,
    dirty_tables: IntGaugeVec,
    snapshot_active: IntGaugeVec,
    retained_log_bytes: IntGaugeVec,
    log_headroom_bytes: IntGaugeVec,
    log_headroom_seconds: IntGaugeVec,
    oldest_unconfirmed_seconds: GaugeVec,
    last_contact_seconds: GaugeVec,
    state: IntGaugeVec,
    cpu_seconds: Counter,
    resident_bytes: Gauge,
}

/// The numbers of the writer all sellers of a shard share.
#[derive(Debug, Clone)]
pub struct ShardMetrics {
    commits: IntCounter,
    commit_seconds: Histogram,
    stall: Stall,
}

impl ShardMetrics {
    /// A commit became durable after `took`.
    pub fn committed(&self, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Since when the oldest commit that is not durable has been under way, if there is one. Of one
    /// that takes long the status of every source tells.
    pub fn pending(&self, since: Option<Instant>) {
        self.stall.pending(since);
    }

    /// That commit failed, and is tried again.
    pub fn failed(&self, error: &Error) {
        self.stall.failed(chain(error).to_string());
    }

    /// Since when it has been under way, and what it failed with last.
    #[cfg(test)]
    pub(crate) fn oldest(&self) -> Option<(Instant, Option<String>)> {
        self.stall.oldest()
    }

    pub(super) fn stalled(&self) -> Option<Stalled> {
        self.stall.stalled()
    }
}

/// How the brokers of a cluster answer.
#[derive(Debug, Clone)]
pub struct BrokerMetrics {
    round_trip_seconds: GaugeVec,
    errors: IntCounterVec,
}

impl BrokerMetrics {
    /// The mean time `broker` took to answer lately.
    pub fn answered(&self, broker: &str, took: Duration) {
        self.round_trip_seconds.with_label_values(&[broker]).set(took.as_secs_f64());
    }

    /// So many more errors of one kind.
    pub fn failed(&self, broker: &str, kind: &'static str, times: u64) {
        self.errors.with_label_values(&[broker, kind]).inc_by(times);
    }
}

/// The counters of one source, resolved once: counting is an addition, no label is looked up.
#[derive(Debug, Clone)]
pub(super) struct SourceCounters {
    pub(super) rows_read: IntCounter,
    pub(super) rows_filtered: IntCounter,
    pub(super) rows_coalesced: IntCounter,
    pub(super) events_published: IntCounter,
    pub(super) dead_letters: IntCounter,
    pub(super) restarts: IntCounter,
    pub(super) snapshot_rows: IntCounter,
    pub(super) commit_to_published_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    fn new() -> Self {
        let registry = Registry::new();
        let at = &registry;
        let counters = |name| registered(at, IntCounterVec::new(opts(name), &SOURCE_LABELS));
        let gauges = |name| registered(at, IntGaugeVec::new(opts(name), &SOURCE_LABELS));
        let floats = |name| registered(at, GaugeVec::new(opts(name), &SOURCE_LABELS));
        let build = registered(at, IntGaugeVec::new(opts(names::BUILD_INFO), &[names::VERSION]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let state_labels = [names::SELLER, names::SOURCE, names::STATE];
        let commit_seconds = Histogram::with_opts(histogram(names::COMMIT_SECONDS));
        let round_trip = opts(names::BROKER_ROUND_TRIP_SECONDS);
        let kinds = [names::BROKER, names::KIND];
        let latency = histogram(names::COMMIT_TO_PUBLISHED_SECONDS);
        Self {
            shard: ShardMetrics {
                commits: registered(at, IntCounter::with_opts(opts(names::COMMITS))),
                commit_seconds: registered(at, commit_seconds),
                stall: Stall::default(),
            },
            brokers: BrokerMetrics {
                round_trip_seconds: registered(at, GaugeVec::new(round_trip, &[names::BROKER])),
                errors: registered(at, IntCounterVec::new(opts(names::BROKER_ERRORS), &kinds)),
            },
            rows_read: counters(names::ROWS_READ),
            rows_filtered: counters(names::ROWS_FILTERED),
            rows_coalesced: counters(names::ROWS_COALESCED),
            events_published: counters(names::EVENTS_PUBLISHED),
            dead_letters: counters(names::DEAD_LETTERS),
            restarts: counters(names::RESTARTS),
            snapshot_rows: counters(names::SNAPSHOT_ROWS),
            commit_to_published_seconds: registered(at, HistogramVec::new(latency, &SOURCE_LABELS)),
            lag_bytes: gauges(names::LAG_BYTES),
            dirty_tables: gauges(names::DIRTY_TABLES),
            snapshot_active: gauges(names::SNAPSHOT_ACTIVE),
            retained_log_bytes: gauges(names::RETAINED_LOG_BYTES),
            log_headroom_bytes: gauges(names::LOG_HEADROOM_BYTES),
            log_headroom_seconds: gauges(names::LOG_HEADROOM_SECONDS),
            oldest_unconfirmed_seconds: floats(names::OLDEST_UNCONFIRMED_SECONDS),
            last_contact_seconds: floats(names::LAST_CONTACT_SECONDS),
            state: registered(at, IntGaugeVec::new(opts(names::SELLER_STATE), &state_labels)),
            cpu_seconds: registered(at, Counter::with_opts(opts(names::PROCESS_CPU_SECONDS))),
            resident_bytes: registered(at, Gauge::with_opts(opts(names::PROCESS_RESIDENT_BYTES))),
            registry,
        }
    }

    pub(super) fn shard(&self) -> &ShardMetrics {
        &self.shard
    }

    pub(super) fn brokers(&self) -> BrokerMetrics {
        self.brokers.clone()
    }

    /// The counters of one source. Asked twice, they are the same ones.
    pub(super) fn counters(&self, seller: &SellerId, source: &SourceName) -> SourceCounters {
        let labels = [seller.as_str(), source.as_str()];
        let of = |counter: &IntCounterVec| counter.with_label_values(&labels);
        SourceCounters {
            rows_read: of(&self.rows_read),
            rows_filtered: of(&self.rows_filtered),
            rows_coalesced: of(&self.rows_coalesced),
            events_published: of(&self.events_published),
            dead_letters: of(&self.dead_letters),
            restarts: of(&self.restarts),
            snapshot_rows: of(&self.snapshot_rows),
            commit_to_published_seconds: self
                .commit_to_published_seconds
                .with_label_values(&labels),
        }
    }

    /// Everything in Prometheus' text format, with the gauges as the sources stand now.
    pub(super) fn render(&self, sources: &[SourceStatus]) -> String {
        for source in sources {
            self.set_gauges(source);
        }
        let since_last = process::cpu_seconds() - self.cpu_seconds.get();
        self.cpu_seconds.inc_by(since_last.max(0.0));
        if let Some(bytes) = process::resident_bytes() {
            self.resident_bytes.set(bytes);
        }
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("writing to memory does not fail");
        String::from_utf8(text).expect("names and labels are text")
    }

    fn set_gauges(&self, source: &SourceStatus) {
        let labels = [source.seller.as_str(), source.source.as_str()];
        let whole = |gauge: &IntGaugeVec, value: Option<u64>| match value {
            Some(value) => {
                gauge.with_label_values(&labels).set(i64::try_from(value).unwrap_or(i64::MAX))
            }
            // A gauge of something unknown is left out: a zero would say that all is well.
            None => drop(gauge.remove_label_values(&labels)),
        };
        whole(&self.lag_bytes, source.lag_bytes);
        // Before it streams nobody has looked into its checkpoint.
        let dirty = source.position.as_ref().map(|_| source.dirty_tables.len() as u64);
        whole(&self.dirty_tables, dirty);
        whole(&self.snapshot_active, Some(u64::from(source.snapshot.is_some())));
        whole(&self.retained_log_bytes, source.retained_log_bytes);
        whole(&self.log_headroom_bytes, source.log_headroom_bytes);
        whole(&self.log_headroom_seconds, source.log_headroom_seconds);
        let unconfirmed = &self.oldest_unconfirmed_seconds;
        match source.lag_bytes.and(source.oldest_unconfirmed_ms.or(Some(0))) {
            Some(ms) => unconfirmed.with_label_values(&labels).set(seconds(ms)),
            None => drop(unconfirmed.remove_label_values(&labels)),
        }
        if let Some(contact_ms) = source.last_contact_ms {
            self.last_contact_seconds.with_label_values(&labels).set(seconds(contact_ms));
        }
        for state in STATES {
            let [seller, name] = labels;
            let gauge = self.state.with_label_values(&[seller, name, state]);
            gauge.set(i64::from(state == source.state));
        }
    }
}

const SOURCE_LABELS: [&str; 2] = [names::SELLER, names::SOURCE];

#[allow(clippy::cast_precision_loss, reason = "milliseconds of an age fit a float's 52 bits")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1e3
}

fn opts(name: Name) -> Opts {
    Opts::new(name.name, name.help)
}

fn histogram(name: Name) -> HistogramOpts {
    HistogramOpts::new(name.name, name.help).buckets(LATENCY_BUCKETS.to_vec())
}

fn registered<C>(registry: &Registry, metric: prometheus::Result<C>) -> C
where
    C: Collector + Clone + 'static,
{
    let metric = metric.expect("names and labels are constants that are well formed");
    registry.register(Box::new(metric.clone())).expect("every name is registered once");
    metric
}
