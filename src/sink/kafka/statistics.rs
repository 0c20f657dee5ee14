use std::collections::HashMap;
use std::sync::Mutex;
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
}

const KINDS: [&str; 5] = ["disconnected", "timeout", "send", "receive", "sent_again"];

#[derive(Deserialize)]
struct Told {
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    nodename: String,
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
        Self { metrics, last: Mutex::default() }
    }

    /// Takes in what one client of the library counted since it began.
    pub(super) fn take(&self, json: &[u8]) {
        let told: Told = match serde_json::from_slice(json) {
            Ok(told) => told,
            // A later version of the library may count otherwise; nothing depends on it.
            Err(error) => return tracing::debug!(%error, "the library's statistics are unread"),
        };
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
                r#"{{"brokers": {{"kafka:9092/1": {{"nodename": "kafka:9092", "rtt":
                {{"avg": 1500, "cnt": 3}}, "disconnects": {errors}, "req_timeouts": 0,
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
    fn what_cannot_be_read_is_passed_over() {
        Statistics::new(StatusBoard::default().brokers()).take(b"{");
    }
}
