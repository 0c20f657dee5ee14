use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tokio_postgres::NoTls;

use crate::contender::{tailstock, write_configuration};
use crate::shop::Shop;

/// Milliseconds from each commit in the shop to the moment its event could be read from the SQLite
/// file by another connection, under one-row transactions at a fixed rate, whatever the answer.
///
/// The reader asks for the file's data version as fast as it can and takes the time when it has
/// changed: what is measured ends when any consumer could have seen the event.
pub(crate) fn measure(shop: &Shop, rate: u32, seconds: u32) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    write_configuration(folder.path(), shop, "sqlite", None);
    let mut run = tailstock(folder.path(), &["run"]).spawn().unwrap();
    let path = folder.path().join("stock.db");
    let total = u64::from(rate) * u64::from(seconds);
    let url = shop.server.url("postgres", "postgres");
    wait_for_checkpoint(&path);
    // One thread: the writer must not take more than it needs from those who are measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let writer = std::thread::spawn(move || runtime.block_on(write(url, rate, total)));
    let mut latencies = watch(&path, total, Duration::from_secs(u64::from(seconds) + 30));
    writer.join().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    run.wait().unwrap();
    let drop = "SELECT pg_drop_replication_slot('bench_acme_main')";
    shop.server.execute(drop).unwrap();
    // The first second warms up.
    latencies.drain(..(rate as usize).min(latencies.len() / 2));
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

fn wait_for_checkpoint(path: &std::path::Path) {
    let started = Instant::now();
    let sql = "SELECT count(*) FROM checkpoints";
    let has = |reader: Connection| reader.query_row(sql, [], |row| row.get::<_, i64>(0));
    while !reader(path).and_then(has).is_ok_and(|count| count > 0) {
        assert!(started.elapsed() < Duration::from_secs(20), "tailstock did not start");
    }
}

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
            let at: jiff::Timestamp = row.get::<_, String>(1).unwrap().parse().unwrap();
            #[allow(clippy::cast_precision_loss, reason = "a latency fits a float's 52 bits")]
            latencies.push((now - at.as_microsecond()) as f64 / 1e3);
        }
    }
    latencies
}

/// Asking without a pause would take one of two cores from those who are measured.
#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause() {
    std::thread::sleep(Duration::from_micros(200));
}
