//! Keeps the stock of every key in a SQLite file, exactly once: `consumer BOOTSTRAP_SERVERS FILE`.
//! An error ends it; started again it goes on where the file is.

use std::{env::args, error::Error, str::from_utf8, time::Duration};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rusqlite::{Connection, OptionalExtension, params};

const TOPIC: &str = "stock.events.v1";

/// Applies one record of the topic.
pub fn apply(db: &Connection, key: &[u8], value: &[u8]) -> Result<(), Box<dyn Error>> {
    let event: serde_json::Value = serde_json::from_slice(value)?;
    let text = |member: &str| event.pointer(member).and_then(|value| value.as_str());
    let removed = match text("/kind") {
        Some("level") => false,
        Some("removed") => true,
        _ => return Ok(()), // a movement says nothing of the state
    };
    let (version, item, sku) = (text("/version"), text("/item/id"), text("/item/sku"));
    let (on_hand, available) = (text("/quantity/on_hand"), text("/quantity/available"));
    let (key, location) = (from_utf8(key)?, text("/location/id"));
    db.prepare_cached(include_str!("apply.sql"))?
        .execute(params![key, version, removed, item, sku, location, on_hand, available])?;
    Ok(())
}

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
    let topics = consumer.fetch_metadata(Some(TOPIC), Duration::from_secs(10))?;
    let mut from = TopicPartitionList::new();
    for partition in topics.topics()[0].partitions().iter().map(|partition| partition.id()) {
        let next = "SELECT next FROM offsets WHERE partition = ?1";
        let next = db.query_row(next, [partition], |row| row.get(0)).optional()?;
        let offset = next.map_or(Offset::Beginning, Offset::Offset);
        from.add_partition_offset(TOPIC, partition, offset)?;
    }
    if from.count() == 0 {
        return Err(format!("there is no topic {TOPIC}").into());
    }
    consumer.assign(&from)?;
    loop {
        let batch = db.transaction()?; // the stock and how far it was read: both or neither
        let mut wait = Duration::from_secs(1);
        for _ in 0..10_000 {
            let Some(record) = consumer.poll(wait).transpose()? else { break };
            apply(&batch, record.key().unwrap_or_default(), record.payload().unwrap_or_default())?;
            batch
                .prepare_cached("REPLACE INTO offsets VALUES (?1, ?2)")?
                .execute(params![record.partition(), record.offset() + 1])?;
            wait = Duration::ZERO;
        }
        batch.commit()?;
    }
}
