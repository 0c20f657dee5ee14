use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use testbed::{Kafka, KafkaOptions};

use super::published::{Event, state};

/// A cluster for the tests that do nothing to it; each has topics of its own.
pub async fn shared_broker(test: &str) -> Option<&'static Kafka> {
    static SHARED: OnceLock<Option<Kafka>> = OnceLock::new();
    let test = test.to_owned();
    let start = move || {
        let start = || testbed::kafka_or_skip(&KafkaOptions::default(), &test);
        SHARED.get_or_init(start).as_ref()
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// A cluster of the test's own.
pub async fn own_cluster(options: KafkaOptions, test: &str) -> Option<Kafka> {
    let test = test.to_owned();
    let start = move || testbed::kafka_or_skip(&options, &test);
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Begins the names of topics that nobody else has, in no run.
fn own_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let (process, nth) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("t{now:x}-{process}-{nth}.")
}

/// The topics of one installation.
pub struct Topics {
    bootstrap: String,
    prefix: String,
}

/// A record as a consumer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub key: String,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, String)>,
}

impl Record {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap()).unwrap()
    }
}

impl Event {
    fn of(record: &Record) -> Self {
        let value = record.json();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let (id, version) = (text("id"), text("version"));
        Event { id, key: record.key.clone(), version, state: state(&value), value }
    }
}

impl Topics {
    /// Topics that no other test has, nor an earlier run on a cluster that stays.
    pub fn new(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), prefix: own_prefix() }
    }

    /// The main file that publishes into them.
    pub fn main_file(&self, options: &str) -> String {
        format!(
            "name = \"test\"\nsellers = \"sellers/*.toml\"\n[http]\nlisten = \"\"\n[sink]\n\
             kind = \"kafka\"\nbrokers = \"{}\"\ntopic_prefix = \"{}\"\n{options}\n",
            self.bootstrap, self.prefix
        )
    }

    pub fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// What a consumer of what is committed finds in a topic.
    pub fn committed(&self, topic: &str) -> Vec<Record> {
        self.read(topic, "read_committed")
    }

    /// What a consumer finds that does not care whether it is committed.
    pub fn uncommitted(&self, topic: &str) -> Vec<Record> {
        self.read(topic, "read_uncommitted")
    }

    /// Whether a transaction that has published events is neither committed nor aborted.
    pub fn has_open_transaction(&self) -> bool {
        let [committed, all] = ["read_committed", "read_uncommitted"]
            .map(|isolation| self.watermarks(&self.client(isolation), "stock.events.v1"));
        committed != all
    }

    fn client(&self, isolation: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "test")
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .create()
            .unwrap()
    }

    /// First and next offset of each partition; the next one that the client may read.
    fn watermarks(&self, client: &BaseConsumer, topic: &str) -> BTreeMap<i32, (i64, i64)> {
        let name = self.name(topic);
        let wait = Duration::from_secs(20);
        let metadata = client.fetch_metadata(Some(&name), wait).unwrap();
        let partitions = metadata.topics()[0].partitions().iter().map(|partition| partition.id());
        partitions.map(|id| (id, client.fetch_watermarks(&name, id, wait).unwrap())).collect()
    }

    fn read(&self, topic: &str, isolation: &str) -> Vec<Record> {
        let name = self.name(topic);
        let mut ends = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        // The end of the log, whatever is still open in it.
        for (partition, (low, high)) in self.watermarks(&self.client("read_uncommitted"), topic) {
            if high > low {
                list.add_partition_offset(&name, partition, Offset::Offset(low)).unwrap();
                ends.insert(partition, high);
            }
        }
        let consumer = self.client(isolation);
        consumer.assign(&list).unwrap();
        let mut records = Vec::new();
        let started = Instant::now();
        while !ends.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(90), "{name}: {ends:?} not reached");
            if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                let message = match message {
                    // The library connects again by itself.
                    Err(KafkaError::MessageConsumption(
                        RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
                    )) => continue,
                    message => message.unwrap(),
                };
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                records.push(Record {
                    partition: message.partition(),
                    key: text(message.key().unwrap()),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers
                        .map(|header| (header.key.to_owned(), text(header.value.unwrap())))
                        .collect(),
                });
                continue;
            }
            let places = consumer.position().unwrap();
            ends.retain(|partition, end| {
                let place = places.find_partition(&name, *partition).unwrap().offset();
                !matches!(place, Offset::Offset(place) if place >= *end)
            });
        }
        records
    }

    /// Every event that is committed, those of a key in the order of publication.
    pub fn events(&self) -> Vec<Event> {
        self.committed("stock.events.v1").iter().map(Event::of).collect()
    }

    /// The compacted topic, folded: `on_hand` by key.
    pub fn levels(&self) -> BTreeMap<String, Option<String>> {
        let mut levels = BTreeMap::new();
        for record in self.committed("stock.levels.v1") {
            match &record.value {
                None => drop(levels.remove(&record.key)),
                Some(_) => {
                    let on_hand = record.json()["quantity"]["on_hand"].as_str().map(str::to_owned);
                    levels.insert(record.key, on_hand);
                }
            }
        }
        levels
    }
}
