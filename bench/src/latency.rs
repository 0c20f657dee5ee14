use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use rusqlite::{Connection, OpenFlags};

use crate::place::{Place, Sink, Task, Workspace};
use crate::shop::{Clock, Pace};

/// Milliseconds from each commit in the shop to the moment its event could be read by a consumer of
/// its own, under one-row transactions at a fixed rate, whatever the answer.
pub(crate) fn measure(place: &Place, sink: Sink, pace: Pace) -> Vec<f64> {
    // Greater than what a backlog leaves: a row that keeps its quantity is not in MySQL's log.
    static NEXT: AtomicU32 = AtomicU32::new(1000);
    let shop = &place.shop;
    let workspace = Workspace::new(place, sink, Task::Follow);
    let ready = workspace.tailstock(&["run", "--until-current"]).status().unwrap();
    assert!(ready.success());
    shop.await_no_reader();
    let mut run = Running(workspace.tailstock(&["run"]).spawn().unwrap());
    shop.await_reader();
    let consumer = sink
        .is_kafka()
        .then(|| place.broker.consumer(&workspace.topic("stock.events.v1"), Offset::Beginning));
    let first = NEXT.fetch_add(pace.transactions(), Ordering::Relaxed);
    let writer = shop.write(pace, first);
    let seen = match consumer {
        Some(consumer) => consume(&consumer, pace),
        None => watch(&workspace.store(), pace),
    };
    let sent = writer.join().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.0.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    run.0.wait().unwrap();
    shop.await_no_reader();
    shop.forget_reader();
    let sent = Sent { first, times: sent };
    let mut latencies = latencies(&seen, &sent, shop.clock());
    // The first seconds warm up.
    latencies.drain(..(2 * pace.rate as usize).min(latencies.len() / 2));
    latencies
}

/// Ends the process when the bench stops where something is wrong.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended where all went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An event, and when it could be read. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    at: i64,
    committed_at: i64,
    /// The number of the transaction, which is the quantity it left.
    number: u32,
}

impl Seen {
    fn read(at: i64, event: &[u8]) -> Self {
        let event: serde_json::Value = serde_json::from_slice(event).unwrap();
        let committed_at: jiff::Timestamp =
            event["committed_at"].as_str().unwrap().parse().unwrap();
        let number = event["quantity"]["on_hand"].as_str().unwrap().parse().unwrap();
        Self { at, committed_at: committed_at.as_microsecond(), number }
    }
}

/// When the transactions from a number on were sent, microseconds since 1970.
struct Sent {
    first: u32,
    times: Vec<i64>,
}

/// Milliseconds, in the order in which the events came.
fn latencies(seen: &[Seen], sent: &Sent, clock: Clock) -> Vec<f64> {
    let since = |seen: &Seen| {
        let began = match clock {
            Clock::Server => seen.committed_at,
            Clock::Writer => sent.times[(seen.number - sent.first) as usize],
        };
        #[allow(clippy::cast_precision_loss, reason = "a latency fits a float's 52 bits")]
        let ms = (seen.at - began) as f64 / 1e3;
        ms
    };
    seen.iter().map(since).collect()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// The events that are to come, and the time until which they must.
struct Wait {
    total: usize,
    started: Instant,
    patience: Duration,
}

impl Wait {
    fn new(pace: Pace) -> Self {
        let patience = Duration::from_secs(u64::from(pace.seconds) + 30);
        Self { total: pace.transactions() as usize, started: Instant::now(), patience }
    }

    fn goes_on(&self, seen: &[Seen]) -> bool {
        let (came, total) = (seen.len(), self.total);
        assert!(self.started.elapsed() < self.patience, "{came} of {total} events came");
        came < total
    }
}

/// The time is taken when the client library hands the record out.
fn consume(consumer: &BaseConsumer, pace: Pace) -> Vec<Seen> {
    let mut seen = Vec::new();
    let wait = Wait::new(pace);
    while wait.goes_on(&seen) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        seen.push(Seen::read(now(), message.payload().unwrap()));
    }
    seen
}

/// The reader asks for the file's data version as fast as it can and takes the time when it has
/// changed: what is measured ends when any consumer could have seen the event.
fn watch(path: &std::path::Path, pace: Pace) -> Vec<Seen> {
    let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut version = reader.prepare("PRAGMA data_version").unwrap();
    let mut events = reader.prepare("SELECT seq, value FROM events WHERE seq > ?1").unwrap();
    let (mut last, mut known) = (0_i64, 0_i64);
    let mut seen = Vec::new();
    let wait = Wait::new(pace);
    while wait.goes_on(&seen) {
        let current: i64 = version.query_row([], |row| row.get(0)).unwrap();
        if current == known {
            pause();
            continue;
        }
        known = current;
        let at = now();
        let mut rows = events.query([last]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            last = row.get(0).unwrap();
            seen.push(Seen::read(at, row.get_ref(1).unwrap().as_bytes().unwrap()));
        }
    }
    seen
}

/// Asking without a pause would take one of two cores from those who are measured.
#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause() {
    std::thread::sleep(Duration::from_micros(200));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_begins_by_the_clock_that_knows_more_than_seconds() {
        let event =
            br#"{"committed_at": "1970-01-01T00:00:01.000000Z", "quantity": {"on_hand": "2"}}"#;
        let seen = Seen::read(1_900_000, event);
        assert_eq!(seen, Seen { at: 1_900_000, committed_at: 1_000_000, number: 2 });
        let sent = Sent { first: 1, times: vec![0, 1_897_500] };
        assert_eq!(latencies(&[seen], &sent, Clock::Server), [900.0]);
        assert_eq!(latencies(&[seen], &sent, Clock::Writer), [2.5]);
    }
}
