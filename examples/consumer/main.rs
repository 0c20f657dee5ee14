//! Keeps the stock of every key in a SQLite file, exactly once: `consumer BOOTSTRAP_SERVERS FILE`.
//! An error ends it; started again it goes on where the file is.

use std::{env::args, error::Error, iter::from_fn, time::Duration};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode::{self, AllBrokersDown, BrokerTransportFailure};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rusqlite::{Connection, params};

const TOPIC: &str = "stock.events.v1";

fn main() -> Result<(), Box<dyn Error>> {
    let (servers, file) = args().nth(1).zip(args().nth(2)).ok_or("BOOTSTRAP_SERVERS FILE")?;
    let mut db = Connection::open(file)?;
    db.execute_batch(include_str!("tables.sql"))?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "stock") // librdkafka wants one; nothing is committed to it
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error") // what the topic no longer has is not passed over
        .create()?;
    let mut from = TopicPartitionList::new();
    let topics = consumer.fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
    for partition in topics.topics()[0].partitions() {
        let next = "SELECT max(next) FROM offsets WHERE partition = ?1";
        let next: Option<i64> = db.query_row(next, [partition.id()], |row| row.get(0))?;
        let next = next.map_or(Offset::Beginning, Offset::Offset);
        from.add_partition_offset(TOPIC, partition.id(), next)?;
    }
    from.elements().first().ok_or("there is no topic to read")?;
    consumer.assign(&from)?;
    loop {
        let batch = db.transaction()?; // the stock and how far it was read: both or neither
        for record in from_fn(|| consumer.poll(Duration::from_millis(5))).take(500) {
            let record = match record {
                // The library connects again by itself.
                Err(error) if error.rdkafka_error_code().is_some_and(is_lost) => continue,
                record => record?,
            };
            let (key, event) = (record.key_view::<str>(), record.payload_view::<str>());
            batch.execute(include_str!("apply.sql"), [key.transpose()?, event.transpose()?])?;
            let next = params![record.partition(), record.offset() + 1];
            batch.execute("REPLACE INTO offsets VALUES (?1, ?2)", next)?;
        }
        batch.commit()?;
    }
}

fn is_lost(code: RDKafkaErrorCode) -> bool {
    matches!(code, BrokerTransportFailure | AllBrokersDown)
}
