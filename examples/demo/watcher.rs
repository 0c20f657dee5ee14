use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::shop::Levels;

/// A key as it was published last.
pub(crate) struct Published {
    pub(crate) on_hand: String,
    pub(crate) version: String,
    /// From the commit in the shop to the moment it could be read here.
    pub(crate) latency_ms: f64,
}

/// Reads what is published, as any consumer of the file could.
pub(crate) struct Watcher {
    connection: Connection,
    seen: i64,
    data_version: i64,
    pub(crate) levels: BTreeMap<(String, String), Published>,
    latencies_ms: Vec<f64>,
}

impl Watcher {
    /// Waits until tailstock has stored where it begins.
    pub(crate) async fn open(path: &Path, patience: Duration) -> Option<Self> {
        let deadline = Instant::now() + patience;
        let mut again = tokio::time::interval(Duration::from_millis(10));
        while Instant::now() < deadline {
            again.tick().await;
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
            let Ok(connection) = Connection::open_with_flags(path, flags) else { continue };
            let sql = "SELECT count(*) FROM checkpoints";
            let started = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            if started.is_ok_and(|count| count > 0) {
                let (levels, latencies_ms) = (BTreeMap::new(), Vec::new());
                return Some(Self { connection, seen: 0, data_version: 0, levels, latencies_ms });
            }
        }
        None
    }

    /// Takes in what has been published since the last look.
    pub(crate) fn look(&mut self) {
        let version = |row: &rusqlite::Row<'_>| row.get(0);
        let Ok(version) = self.connection.query_row("PRAGMA data_version", [], version) else {
            return;
        };
        if version == self.data_version {
            return;
        }
        self.data_version = version;
        let sql = "SELECT seq, kind, version, value ->> '$.item.id', value ->> '$.location.id',
                value ->> '$.quantity.on_hand', committed_at FROM events WHERE seq > ?1";
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let mut rows = statement.query([self.seen]).unwrap();
        while let Ok(Some(row)) = rows.next() {
            self.seen = row.get(0).unwrap();
            let key = (row.get(3).unwrap(), row.get(4).unwrap());
            let committed: jiff::Timestamp =
                row.get::<_, String>(6).unwrap().parse().expect("RFC 3339");
            let latency = jiff::Timestamp::now().as_microsecond() - committed.as_microsecond();
            #[allow(clippy::cast_precision_loss, reason = "a few milliseconds")]
            let latency_ms = latency as f64 / 1e3;
            self.latencies_ms.push(latency_ms);
            if row.get::<_, String>(1).unwrap() == "removed" {
                self.levels.remove(&key);
            } else {
                let on_hand = row.get::<_, Option<String>>(5).unwrap().unwrap_or_default();
                let version = row.get(2).unwrap();
                self.levels.insert(key, Published { on_hand, version, latency_ms });
            }
        }
    }

    /// Keys that the shop and the published levels do not agree on.
    pub(crate) fn differences(&self, shop: &Levels) -> impl Iterator<Item = String> {
        let mut keys: Vec<_> = shop.keys().chain(self.levels.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let say = |text: Option<&String>| text.map_or("nothing".to_owned(), Clone::clone);
        let differs = |key: &&(String, String)| {
            let published = self.levels.get(*key).map(|level| &level.on_hand);
            (shop.get(*key) != published).then(|| {
                let (item, location) = key;
                let (shop, published) = (say(shop.get(*key)), say(published));
                format!("{item} at {location}: the shop says {shop}, published is {published}")
            })
        };
        keys.iter().filter_map(differs).collect::<Vec<_>>().into_iter()
    }

    pub(crate) fn summary(&self) -> String {
        let mut sorted = self.latencies_ms.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
        let (p50, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
        format!(
            "{} events, commit to published p50 {p50:.1} ms, p99 {p99:.1} ms",
            self.latencies_ms.len()
        )
    }
}
