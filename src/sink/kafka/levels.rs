//! What is published of a source and lives, read from the topics themselves.

use std::borrow::Cow;
use std::collections::HashMap;

use connector_api::{Error, Result};
use rdkafka::message::Message as _;
use serde::Deserialize;

use super::topics::{Topic, Topics};
use super::{KafkaOptions, partition, scan};
use crate::sink::{LevelKey, Remains};
use crate::stock::encode::source_key;
use crate::stock::{SellerId, SourceName, Version, key};

/// What is known of one key.
struct Known {
    /// Whether it was read where the key's records go today. Where a topic has been given more
    /// partitions, earlier records of a key stay where it had its place before.
    at_home: bool,
    /// `None` was removed.
    level: Option<LevelKey>,
}

/// The levels of a source, sorted by key: from the topic of levels, or from that of events where
/// none are kept, as far as it goes back. In memory are the keys of this source alone.
pub(super) fn read(
    options: &KafkaOptions,
    topics: &Topics,
    seller: &SellerId,
    source: &SourceName,
) -> Result<Vec<LevelKey>> {
    let topic = if options.config.levels { Topic::Levels } else { Topic::Events };
    let count = topics.partitions(topic);
    let partitions: Vec<(Topic, i32)> = (0..count).map(|partition| (topic, partition)).collect();
    let mut prefix = source_key(seller, source);
    prefix.push('/');
    let mut known: HashMap<String, Known> = HashMap::new();
    scan::scan(options, &partitions, |_, record| {
        let Some(item) = record.key().and_then(|key| key.strip_prefix(prefix.as_bytes())) else {
            return Ok(());
        };
        let foreign = || foreign(record.topic(), record.partition(), record.offset());
        let key = record.key().and_then(|key| std::str::from_utf8(key).ok()).ok_or_else(foreign)?;
        let item = item.split(|byte| *byte == b'/').next().unwrap_or_default();
        let item = std::str::from_utf8(item).ok().and_then(key::decode).ok_or_else(foreign)?;
        let home = partition::of_item(seller.as_str(), &item, count);
        let said = read_one(key, record.payload()).map_err(|_| foreign())?;
        let Said::State(level) = said else { return Ok(()) };
        let now = Known { at_home: home == record.partition(), level };
        match known.get_mut(key) {
            Some(before) if before.at_home && !now.at_home => {}
            Some(before) => *before = now,
            None => drop(known.insert(key.to_owned(), now)),
        }
        Ok(())
    })?;
    let mut levels: Vec<LevelKey> = known.into_values().filter_map(|known| known.level).collect();
    levels.sort_unstable();
    Ok(levels)
}

/// What is published of a source, as far back as the topics go: a key that was removed has no
/// level, and consumers have its version all the same.
pub(super) fn remains(
    options: &KafkaOptions,
    topics: &Topics,
    seller: &SellerId,
    source: &SourceName,
) -> Result<Option<Remains>> {
    let levels = read(options, topics, seller, source)?;
    let mut epoch = None;
    let mut prefix = source_key(seller, source);
    prefix.push('/');
    let count = topics.partitions(Topic::Events);
    let events: Vec<(Topic, i32)> = (0..count).map(|one| (Topic::Events, one)).collect();
    scan::scan(options, &events, |_, record| {
        let is_ours = record.key().is_some_and(|key| key.starts_with(prefix.as_bytes()));
        let Some(value) = record.payload().filter(|_| is_ours) else { return Ok(()) };
        let foreign = || foreign(record.topic(), record.partition(), record.offset());
        let event: Event<'_> = serde_json::from_slice(value).map_err(|_| foreign())?;
        let version: Version = event.version.parse().map_err(|_| foreign())?;
        epoch = epoch.max(Some(version.epoch));
        Ok(())
    })?;
    Ok(Remains::of(&levels, epoch))
}

/// Of an event, what a level consists of here.
#[derive(Deserialize)]
struct Event<'r> {
    #[serde(borrow)]
    kind: Cow<'r, str>,
    #[serde(borrow)]
    item: Item<'r>,
    #[serde(borrow)]
    version: Cow<'r, str>,
    #[serde(borrow)]
    origin: Origin<'r>,
}

#[derive(Deserialize)]
struct Item<'r> {
    #[serde(borrow)]
    sku: Option<Cow<'r, str>>,
}

#[derive(Deserialize)]
struct Origin<'r> {
    #[serde(borrow)]
    table: Cow<'r, str>,
}

/// What a record says of its key.
enum Said {
    /// Nothing of its state: a ledger row.
    Nothing,
    /// What it is now; nothing where it was removed.
    State(Option<LevelKey>),
}

fn read_one(key: &str, value: Option<&[u8]>) -> serde_json::Result<Said> {
    let Some(value) = value else { return Ok(Said::State(None)) };
    let event: Event<'_> = serde_json::from_slice(value)?;
    Ok(match &*event.kind {
        "movement" => Said::Nothing,
        "removed" => Said::State(None),
        _ => Said::State(Some(LevelKey {
            key: key.to_owned(),
            version: event.version.parse().map_err(serde::de::Error::custom)?,
            table: event.origin.table.into_owned(),
            sku: event.item.sku.map(Cow::into_owned),
        })),
    })
}

fn foreign(topic: &str, partition: i32, offset: i64) -> Error {
    Error::operator(
        format!(
            "topic {topic} holds a record in partition {partition} at offset {offset} that is no \
             stock event"
        ),
        "set sink.topic_prefix, so that tailstock has topics of its own",
    )
}
