use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use testbed::{Kafka, KafkaOptions};

/// A real broker of its own.
pub(crate) struct Broker {
    bootstrap: String,
    _kafka: Kafka,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let kafka = Kafka::start(&KafkaOptions::default().warm()).unwrap_or_else(|error| {
            panic!("a bench measures Kafka beside the others, which wants Java and Maven: {error}")
        });
        Self { bootstrap: kafka.bootstrap(), _kafka: kafka }
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A consumer of all partitions of a topic that reads what is committed, from the beginning or
    /// from what comes next.
    pub(crate) fn consumer(&self, topic: &str, from: Offset) -> BaseConsumer {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "bench")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            // The broker answers as soon as there is anything.
            .set("fetch.min.bytes", "1")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions(&consumer, topic) {
            list.add_partition_offset(topic, partition, from).unwrap();
        }
        consumer.assign(&list).unwrap();
        consumer
    }

    fn partitions(&self, consumer: &BaseConsumer, topic: &str) -> i32 {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
    }

    /// The records of a topic that a consumer of what is committed finds.
    pub(crate) fn count(&self, topic: &str) -> u64 {
        let consumer = self.consumer(topic, Offset::Beginning);
        let mut ends: Vec<i64> = (0..self.partitions(&consumer, topic))
            .map(|partition| {
                consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap().1
            })
            .collect();
        let (mut count, started) = (0, Instant::now());
        while ends.iter().any(|end| *end > 0) {
            assert!(started.elapsed() < Duration::from_secs(120), "{count} records of {topic}");
            match consumer.poll(Duration::from_millis(20)) {
                Some(message) => {
                    count += u64::from(!message.unwrap().payload().unwrap().is_empty())
                }
                None => {
                    let places = consumer.position().unwrap();
                    for place in places.elements() {
                        let partition = usize::try_from(place.partition()).unwrap();
                        if matches!(place.offset(), Offset::Offset(at) if at >= ends[partition]) {
                            ends[partition] = 0;
                        }
                    }
                }
            }
        }
        count
    }
}
