//! How fast the file takes commits. Run by hand, on a quiet machine:
//! `cargo test --release --lib sqlite_rows_per_second -- --ignored --nocapture`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{file, part, writer};
use crate::sink::Part;
use crate::sink::sqlite::*;

/// A number that is not in the order of its argument.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// One part of `rows` levels among half a million keys.
fn rows(first: u64, rows: u64) -> Part {
    let item = |number| (scattered(number) % 500_000).to_string();
    part("acme", (first..first + rows).map(|number| (item(number), 1 + number as u32, Some(7))))
}

async fn throughput(path: &Path) -> f64 {
    const COMMITS: u64 = 100;
    const ROWS: u64 = 4000;
    let mut writer = writer(path).await;
    let mut spent = Duration::ZERO;
    for nth in 0..COMMITS {
        let commit = Arc::new(Commit { parts: vec![rows(nth * ROWS, ROWS)] });
        let start = Instant::now();
        writer.commit(commit).await.unwrap();
        spent += start.elapsed();
    }
    (COMMITS * ROWS) as f64 / spent.as_secs_f64()
}

/// Milliseconds from a row's due time to its commit at 5,000 one-row parts a second, sorted.
async fn latencies(path: &Path) -> Vec<f64> {
    const EVERY: Duration = Duration::from_micros(200);
    const ROWS: u64 = 100_000;
    let mut writer = writer(path).await;
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let (start, mut done, mut waits) = (Instant::now(), 0_u64, Vec::new());
    while done < ROWS {
        let due = (start.elapsed().as_micros() / EVERY.as_micros()) as u64;
        let parts: Vec<Part> = (done..due).map(|number| rows(1_000_000 + number, 1)).collect();
        if parts.is_empty() {
            tick.tick().await;
            continue;
        }
        writer.commit(Arc::new(Commit { parts })).await.unwrap();
        let now = start.elapsed();
        waits.extend((done..due).map(|nth| (now - EVERY * nth as u32).as_secs_f64() * 1e3));
        done = due;
    }
    waits.sort_by(f64::total_cmp);
    waits
}

#[tokio::test]
#[ignore = "measures; by hand"]
async fn sqlite_rows_per_second() {
    for page_size in [8192, 4096] {
        let (_folder, path) = file();
        let sql = format!("PRAGMA page_size = {page_size}; VACUUM");
        rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let rows = throughput(&path).await;
        println!("{page_size}-byte pages: {rows:.0} rows/s in commits of 4,000");
        let (_folder, path) = file();
        rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let waits = latencies(&path).await;
        let at = |share: f64| waits[(share * (waits.len() - 1) as f64) as usize];
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        println!("  5,000 rows/s: p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms");
    }
}
