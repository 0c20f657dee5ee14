use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::contender::{peak_rss_mib, tailstock, write_configuration};
use crate::shop::Shop;

/// How a process begins: milliseconds from its start to an event that waited for it, each time anew
/// behind the checkpoint of the time before; and its memory when nothing happens, MiB.
pub(crate) struct Begun {
    pub(crate) first_event_ms: Vec<f64>,
    pub(crate) idle_rss_mib: f64,
}

pub(crate) fn measure(shop: &Shop, times: u32) -> Begun {
    let folder = tempfile::tempdir().unwrap();
    write_configuration(folder.path(), shop, "sqlite", None);
    let made = tailstock(folder.path(), &["run", "--until-current"]).status().unwrap();
    assert!(made.success());
    let path = folder.path().join("stock.db");
    let mut begun = Begun { first_event_ms: Vec::new(), idle_rss_mib: 0.0 };
    for time in 1..=times {
        shop.server.execute("UPDATE inventory SET quantity = quantity + 1 WHERE id = 1").unwrap();
        let started = Instant::now();
        let mut run = tailstock(folder.path(), &["run"]).spawn().unwrap();
        wait_for_events(&path, time);
        begun.first_event_ms.push(started.elapsed().as_secs_f64() * 1e3);
        if time == times {
            pause(Duration::from_secs(3));
            begun.idle_rss_mib = peak_rss_mib(run.id()).unwrap();
        }
        // As a crash would end it, so that the next one has the whole way to go.
        run.kill().unwrap();
        run.wait().unwrap();
    }
    shop.server
        .wait_until("SELECT NOT bool_or(active) FROM pg_replication_slots", Duration::from_secs(20))
        .unwrap();
    shop.server.execute("SELECT pg_drop_replication_slot('bench_acme_main')").unwrap();
    begun
}

fn wait_for_events(path: &Path, wanted: u32) {
    let started = Instant::now();
    let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    reader.busy_timeout(Duration::from_secs(1)).unwrap();
    let mut events = reader.prepare("SELECT count(*) FROM events").unwrap();
    while events.query_row([], |row| row.get::<_, u32>(0)).unwrap() < wanted {
        assert!(started.elapsed() < Duration::from_secs(60), "no event came");
        pause(Duration::from_millis(1));
    }
}

#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
