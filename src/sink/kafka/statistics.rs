use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::telemetry::BrokerMetrics;

/// What the library counts of each broker, as metrics
/// (<https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md>).
#[derive(Debug)]
pub(super) struct Statistics {
    metrics: BrokerMetrics,
    /// What this client had counted the last time, by broker.
    last: Mutex<HashMap<String, [u64; KINDS.len()]>>,
    /// How many times in turn the library has known no broker.
    without_brokers: AtomicU32,
}

/// How many times in turn: it knows none for a moment when it begins anew by itself.
const LOST: u32 = 2;

const KINDS: [&str; 5] = ["disconnected", "timeout", "send", "receive", "sent_again"];

#[derive(Deserialize)]
struct Told {
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    nodename: String,
    source: String,
    rtt: Window,
    #[serde(default)]
    disconnects: u64,
    req_timeouts: u64,
    txerrs: u64,
    rxerrs: u64,
    txretries: u64,
}

/// Since the last time, microseconds.
#[derive(Deserialize)]
struct Window {
    avg: u64,
    cnt: u64,
}

impl Statistics {
    pub(super) fn new(metrics: BrokerMetrics) -> Self {
        Self { metrics, last: Mutex::default(), without_brokers: AtomicU32::new(0) }
    }

    /// Whether the library has forgotten every broker. A broker that has just come back may answer
    /// that there is none, which is believed, and then none is left that could be asked again
    /// (<https://github.com/confluentinc/librdkafka/issues/5301>).
    pub(super) fn has_lost_brokers(&self) -> bool {
        self.without_brokers.load(Ordering::Relaxed) >= LOST
    }

    /// Takes in what one client of the library counted since it began.
    pub(super) fn take(&self, json: &[u8]) {
        let told: Told = match serde_json::from_slice(json) {
            Ok(told) => told,
            // A later version of the library may count otherwise; nothing depends on it.
            Err(error) => return tracing::debug!(%error, "the library's statistics are unread"),
        };
        // What stands for a coordinator is the name of one of the others.
        let is_known = |broker: &Broker| matches!(&*broker.source, "configured" | "learned");
        match told.brokers.values().any(is_known) {
            true => self.without_brokers.store(0, Ordering::Relaxed),
            false => drop(self.without_brokers.fetch_add(1, Ordering::Relaxed)),
        }
        let mut last = self.last.lock().expect("no holder panics");
        for broker in told.brokers.into_values() {
            // What stands for a group's coordinator has no address of its own.
            if broker.nodename.is_empty() || broker.nodename.starts_with(':') {
                continue;
            }
            if broker.rtt.cnt > 0 {
                self.metrics.answered(&broker.nodename, Duration::from_micros(broker.rtt.avg));
            }
            let Broker { disconnects, req_timeouts, txerrs, rxerrs, txretries, .. } = broker;
            let now = [disconnects, req_timeouts, txerrs, rxerrs, txretries];
            let before = last.entry(broker.nodename.clone()).or_default();
            for ((kind, now), before) in KINDS.iter().zip(now).zip(before.iter_mut()) {
                self.metrics.failed(&broker.nodename, kind, now.saturating_sub(*before));
                *before = now;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::telemetry::StatusBoard;

    #[test]
    fn errors_are_counted_once_however_often_the_library_tells_their_sum() {
        let board = StatusBoard::default();
        let statistics = Statistics::new(board.brokers());
        let told = |errors: u64| {
            format!(
                r#"{{"brokers": {{"kafka:9092/1": {{"nodename": "kafka:9092",
                "source": "learned", "rtt": {{"avg": 1500, "cnt": 3}},
                "disconnects": {errors}, "req_timeouts": 0,
                "txerrs": 0, "rxerrs": 0, "txretries": 1}}}}}}"#
            )
        };
        for errors in [2, 2, 5] {
            statistics.take(told(errors).as_bytes());
        }
        let text = board.render_metrics();
        let errors = "tailstock_broker_errors_total{broker=\"kafka:9092\",kind=";
        assert!(text.contains(&format!("{errors}\"disconnected\"}} 5")), "{text}");
        assert!(text.contains(&format!("{errors}\"sent_again\"}} 1")), "{text}");
        let answered = "tailstock_broker_round_trip_seconds{broker=\"kafka:9092\"} 0.0015";
        assert!(text.contains(answered), "{text}");
    }

    #[test]
    fn brokers_are_lost_when_there_is_none_twice_in_turn() {
        let statistics = Statistics::new(StatusBoard::default().brokers());
        let told = |source: &str| {
            format!(
                r#"{{"brokers": {{"x": {{"nodename": "x:1", "source": "{source}",
                "rtt": {{"avg": 0, "cnt": 0}}, "req_timeouts": 0, "txerrs": 0, "rxerrs": 0,
                "txretries": 0}}}}}}"#
            )
        };
        let lost = ["configured", "logical", "learned", "internal", "logical"].map(|source| {
            statistics.take(told(source).as_bytes());
            statistics.has_lost_brokers()
        });
        assert_eq!(lost, [false, false, false, false, true]);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        Statistics::new(StatusBoard::default().brokers()).take(b"{");
    }
}
