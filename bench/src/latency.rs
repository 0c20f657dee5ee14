use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message as _;
use rusqlite::{Connection, OpenFlags};
use tokio_postgres::NoTls;

use crate::place::{Place, Sink, Workspace};

/// Milliseconds from each commit in the shop to the moment its event could be read by a consumer of
/// its own, under one-row transactions at a fixed rate, whatever the answer.
pub(crate) fn measure(place: &Place, sink: Sink, rate: u32, seconds: u32) -> Vec<f64> {
    let workspace = Workspace::new(place, sink, None);
    let ready = workspace.tailstock(&["run", "--until-current"]).status().unwrap();
    assert!(ready.success());
    let mut run = workspace.tailstock(&["run"]).spawn().unwrap();
    let total = u64::from(rate) * u64::from(seconds);
    let url = place.shop.server.url("postgres", "postgres");
    let active = "SELECT bool_or(active) FROM pg_replication_slots";
    place.shop.server.wait_until(active, Duration::from_secs(20)).unwrap();
    // One thread: the writer must not take more than it needs from those who are measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let consumer = sink
        .is_kafka()
        .then(|| place.broker.consumer(&workspace.topic("stock.events.v1"), Offset::Beginning));
    let writer = std::thread::spawn(move || runtime.block_on(write(url, rate, total)));
    let patience = Duration::from_secs(u64::from(seconds) + 30);
    let mut latencies = match consumer {
        Some(consumer) => consume(&consumer, total, patience),
        None => watch(&workspace.store(), total, patience),
    };
    writer.join().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    run.wait().unwrap();
    let drop = "SELECT pg_drop_replication_slot('bench_acme_main')";
    place.shop.server.execute(drop).unwrap();
    // The first seconds warm up.
    latencies.drain(..(2 * rate as usize).min(latencies.len() / 2));
    latencies
}

/// One-row transactions at a fixed rate, each at its own time: a slow answer does not slow the
/// next one down.
async fn write(url: String, rate: u32, total: u64) {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "UPDATE inventory SET quantity = quantity + 1 WHERE id = $1";
    let update = client.prepare(sql).await.unwrap();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for number in 0..total {
        tick.tick().await;
        let id = i64::try_from(1 + number * 7919 % 200_000).unwrap();
        client.execute(&update, &[&id]).await.unwrap();
    }
}

fn reader(path: &std::path::Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// The time is taken when the client library hands the record out.
fn consume(consumer: &BaseConsumer, total: u64, patience: Duration) -> Vec<f64> {
    let mut latencies = Vec::new();
    let started = Instant::now();
    while (latencies.len() as u64) < total {
        assert!(started.elapsed() < patience, "{} of {total} events came", latencies.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let now = jiff::Timestamp::now().as_microsecond();
        let event: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        latencies.push(since(now, event["committed_at"].as_str().unwrap()));
    }
    latencies
}

/// Milliseconds from a commit to `now_us`.
fn since(now_us: i64, committed_at: &str) -> f64 {
    let at: jiff::Timestamp = committed_at.parse().unwrap();
    #[allow(clippy::cast_precision_loss, reason = "a latency fits a float's 52 bits")]
    let ms = (now_us - at.as_microsecond()) as f64 / 1e3;
    ms
}

/// The reader asks for the file's data version as fast as it can and takes the time when it has
/// changed: what is measured ends when any consumer could have seen the event.
fn watch(path: &std::path::Path, total: u64, patience: Duration) -> Vec<f64> {
    let reader = reader(path).unwrap();
    let mut version = reader.prepare("PRAGMA data_version").unwrap();
    let sql = "SELECT seq, committed_at FROM events WHERE seq > ?1";
    let mut events = reader.prepare(sql).unwrap();
    let (mut seen, mut known) = (0_i64, 0_i64);
    let mut latencies = Vec::new();
    let started = Instant::now();
    while (latencies.len() as u64) < total {
        assert!(started.elapsed() < patience, "{} of {total} events came", latencies.len());
        let current: i64 = version.query_row([], |row| row.get(0)).unwrap();
        if current == known {
            pause();
            continue;
        }
        known = current;
        let now = jiff::Timestamp::now().as_microsecond();
        let mut rows = events.query([seen]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            seen = row.get(0).unwrap();
            latencies.push(since(now, &row.get::<_, String>(1).unwrap()));
        }
    }
    latencies
}

/// Asking without a pause would take one of two cores from those who are measured.
#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause() {
    std::thread::sleep(Duration::from_micros(200));
}
