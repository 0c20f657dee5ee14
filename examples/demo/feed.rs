use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use rusqlite::{Connection, OpenFlags};

use crate::shop::Key;

/// One event, as far as the table shows it.
pub(crate) struct News {
    pub(crate) key: Key,
    /// `None` when the key was removed.
    pub(crate) on_hand: Option<String>,
    pub(crate) version: String,
    pub(crate) committed_at: jiff::Timestamp,
}

/// Where events can be read, by anybody.
pub(crate) trait Feed {
    /// What has been published since the last call; does not wait.
    fn news(&mut self) -> Vec<News>;
}

/// The SQLite file, read while it is written.
pub(crate) struct File {
    connection: Connection,
    seen: i64,
    data_version: i64,
}

impl File {
    pub(crate) fn open(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        Self { connection, seen: 0, data_version: 0 }
    }
}

impl Feed for File {
    fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        let version = |row: &rusqlite::Row<'_>| row.get(0);
        let Ok(version) = self.connection.query_row("PRAGMA data_version", [], version) else {
            return news;
        };
        if version == self.data_version {
            return news;
        }
        self.data_version = version;
        let sql = "SELECT seq, seller, value ->> '$.item.id', value ->> '$.location.id',
                value ->> '$.quantity.on_hand', version, committed_at
            FROM events WHERE seq > ?1 ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).unwrap();
        let mut rows = statement.query([self.seen]).unwrap();
        while let Ok(Some(row)) = rows.next() {
            self.seen = row.get(0).unwrap();
            let committed_at: String = row.get(6).unwrap();
            news.push(News {
                key: (row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap()),
                on_hand: row.get(4).unwrap(),
                version: row.get(5).unwrap(),
                committed_at: committed_at.parse().expect("RFC 3339"),
            });
        }
        news
    }
}

/// The topic of events, read by a consumer that sees only what is committed.
pub(crate) struct Topic(BaseConsumer);

const TOPIC: &str = "stock.events.v1";
const PATIENCE: Duration = Duration::from_secs(10);

impl Topic {
    pub(crate) fn open(brokers: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "demo") // librdkafka wants one; nothing is committed to it
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .create()
            .unwrap();
        let found = consumer.fetch_metadata(Some(TOPIC), PATIENCE).unwrap();
        let mut from = TopicPartitionList::new();
        for partition in found.topics()[0].partitions() {
            from.add_partition_offset(TOPIC, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&from).unwrap();
        Self(consumer)
    }
}

impl Feed for Topic {
    fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(Ok(record)) = self.0.poll(Duration::ZERO) {
            let value = record.payload().expect("an event has a value");
            let event: serde_json::Value = serde_json::from_slice(value).unwrap();
            let text = |member: &str| event.pointer(member)?.as_str().map(str::to_owned);
            let required = |member: &str| text(member).unwrap();
            news.push(News {
                key: (required("/seller"), required("/item/id"), required("/location/id")),
                on_hand: text("/quantity/on_hand"),
                version: required("/version"),
                committed_at: required("/committed_at").parse().expect("RFC 3339"),
            });
        }
        news
    }
}
