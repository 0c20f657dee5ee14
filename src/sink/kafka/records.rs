use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::message::OwnedHeaders;

use super::partition;
use super::topics::{Topic, Topics};
use crate::config::Headers;
use crate::sink::{Commit, DeadLetter, Part, RowEntry};
use crate::stock::encode::{
    CloudEvents, Entry, Header, RecordKind, Rejection, Remark, control_value, dead_letter_value,
    source_key,
};
use crate::stock::key;

/// A record on its way, borrowed from the commit where that is possible.
#[derive(Debug)]
pub(super) struct Record<'c> {
    pub(super) topic: Topic,
    pub(super) partition: i32,
    pub(super) key: Cow<'c, [u8]>,
    /// `None` is a tombstone.
    pub(super) value: Option<Cow<'c, [u8]>>,
    pub(super) headers: Option<OwnedHeaders>,
}

/// What a commit becomes.
pub(super) struct Plan {
    pub(super) topics: Arc<Topics>,
    pub(super) levels: bool,
    pub(super) headers: Headers,
    /// Stands beside every checkpoint: see [`super::whole::Whole::round`].
    pub(super) round: u32,
}

/// The checkpoint of a part, or a row of one of its tables, that no topic takes.
pub(super) struct Unremembered<'p> {
    pub(super) topic: Topic,
    pub(super) part: &'p Part,
    pub(super) table: Option<&'p str>,
}

/// The header of a checkpoint with the round it was stored in, if that is not the first.
pub(super) const ROUND: &str = "tailstock-topics";

/// Bytes by which the headers of CloudEvents may be longer than twice the key.
const HEADERS_BYTES: usize = 512;

impl Plan {
    /// What is published of a commit. An event the topics do not take becomes a dead letter.
    pub(super) fn published<'c>(&self, commit: &'c Commit) -> Vec<Record<'c>> {
        let events: usize = commit.parts.iter().map(|part| part.records.len()).sum();
        let mut records = Vec::with_capacity(events * 2 + 8);
        // By key, its last state in this commit.
        let mut last: HashMap<&str, (usize, &Entry)> = HashMap::new();
        let about = |part: &Part| About { cloud: self.cloud_events(part) };
        let abouts: Vec<About> = commit.parts.iter().map(about).collect();
        for (nth, (part, about)) in commit.parts.iter().zip(&abouts).enumerate() {
            for entry in part.records.iter() {
                if self.bytes(part, entry) > self.topics.record_bytes {
                    records.push(self.too_large(part, entry, about));
                    continue;
                }
                records.push(self.event(part, entry, about));
                if self.levels && entry.kind != RecordKind::Movement {
                    last.insert(part.records.key(entry), (nth, entry));
                }
            }
            self.remarks(part, about, &mut records);
        }
        let mut last: Vec<(usize, &Entry)> = last.into_values().collect();
        // In the order of publication, so that a replay of the same commit is the same.
        last.sort_unstable_by_key(|(part, entry)| (*part, entry.version));
        let level = |(nth, entry)| self.level(&commit.parts[nth], entry, &abouts[nth]);
        records.extend(last.into_iter().map(level));
        if self.levels {
            let forgotten = |part| self.forgotten(part);
            records.extend(commit.parts.iter().flat_map(forgotten));
        }
        records
    }

    /// Tombstones of levels that go without an event.
    fn forgotten<'c>(&self, part: &'c Part) -> impl Iterator<Item = Record<'c>> + use<'c> {
        let partitions = self.topics.partitions(Topic::Levels);
        part.forgets.levels.iter().map(move |key| {
            let item = key.split('/').nth(2).and_then(key::decode).unwrap_or_default();
            let partition = partition::of_item(part.seller.as_str(), &item, partitions);
            let key = Cow::Borrowed(key.as_bytes());
            Record { topic: Topic::Levels, partition, key, value: None, headers: None }
        })
    }

    /// What is remembered behind these parts: cached rows and the last checkpoint of each source.
    pub(super) fn remembered<'c>(
        &self,
        parts: impl IntoIterator<Item = &'c Part>,
    ) -> Vec<Record<'c>> {
        let mut records = Vec::new();
        let mut last: HashMap<(&str, &str), &Part> = HashMap::new();
        for part in parts {
            let source = source_key(&part.seller, &part.source);
            for row in &part.rows {
                let key = row_key(&source, row).into_bytes();
                let value = row.value.as_ref().map(|value| Cow::Borrowed(value.as_bytes()));
                records.push(Record::private(Topic::Rows, key.into(), value));
            }
            if part.checkpoint.is_some() {
                last.insert((part.seller.as_str(), part.source.as_str()), part);
            }
        }
        for part in last.into_values() {
            let key = source_key(&part.seller, &part.source);
            let value = part.checkpoint.as_ref();
            let value = value.map(|checkpoint| Cow::Borrowed(checkpoint.as_bytes()));
            let record = Record::private(Topic::Checkpoints, key.into_bytes().into(), value);
            records.push(Record { headers: self.round(), ..record });
        }
        records
    }

    /// What no topic takes of what is to be remembered of these parts, which nobody can be told of
    /// by a dead letter.
    pub(super) fn cannot_remember<'p>(&self, parts: &'p [Part]) -> Option<Unremembered<'p>> {
        let limit = self.topics.record_bytes;
        parts.iter().find_map(|part| {
            let source = source_key(&part.seller, &part.source);
            let checkpoint = part.checkpoint.as_ref().map_or(0, String::len);
            let is_too_large = |row: &RowEntry| {
                let value = row.value.as_ref().map_or(0, String::len);
                // A byte takes three at most where it is encoded.
                let at_most = source.len() + 2 + 3 * (row.table.len() + row.pk.len()) + value;
                at_most > limit && row_key(&source, row).len() + value > limit
            };
            if source.len() + checkpoint > limit {
                return Some(Unremembered { topic: Topic::Checkpoints, part, table: None });
            }
            let row = part.rows.iter().find(|row| is_too_large(row))?;
            Some(Unremembered { topic: Topic::Rows, part, table: Some(&row.table) })
        })
    }

    fn round(&self) -> Option<OwnedHeaders> {
        let round = (self.round > 0).then(|| self.round.to_string())?;
        let header = rdkafka::message::Header { key: ROUND, value: Some(&round) };
        Some(OwnedHeaders::new().insert(header))
    }

    fn bytes(&self, part: &Part, entry: &Entry) -> usize {
        let key = part.records.key(entry).len();
        let headers = match self.headers {
            Headers::None => 0,
            Headers::CloudEvents => 2 * key + HEADERS_BYTES,
        };
        key + part.records.value(entry).len() + headers
    }

    fn cloud_events(&self, part: &Part) -> Option<CloudEvents> {
        (self.headers == Headers::CloudEvents).then(|| CloudEvents::new(&part.seller, &part.source))
    }

    fn event<'c>(&self, part: &'c Part, entry: &'c Entry, about: &About) -> Record<'c> {
        let headers = about.cloud.as_ref().map(|cloud| owned(cloud.event(&part.records, entry)));
        Record {
            topic: Topic::Events,
            partition: self.of_item(part, entry, Topic::Events),
            key: Cow::Borrowed(part.records.key(entry).as_bytes()),
            value: Some(Cow::Borrowed(part.records.value(entry).as_bytes())),
            headers,
        }
    }

    /// The state of a key, or its tombstone.
    fn level<'c>(&self, part: &'c Part, entry: &'c Entry, about: &About) -> Record<'c> {
        let lives = entry.kind == RecordKind::Level;
        let headers = about.cloud.as_ref().map(|cloud| match lives {
            true => owned(cloud.event(&part.records, entry)),
            false => owned(cloud.tombstone(&part.records, entry)),
        });
        Record {
            topic: Topic::Levels,
            partition: self.of_item(part, entry, Topic::Levels),
            key: Cow::Borrowed(part.records.key(entry).as_bytes()),
            value: lives.then(|| Cow::Borrowed(part.records.value(entry).as_bytes())),
            headers,
        }
    }

    fn of_item(&self, part: &Part, entry: &Entry, topic: Topic) -> i32 {
        let item = part.records.item(entry);
        partition::of_item(part.seller.as_str(), item, self.topics.partitions(topic))
    }

    fn remarks<'c>(&self, part: &'c Part, about: &About, records: &mut Vec<Record<'c>>) {
        for control in &part.control {
            let kind = control.kind.as_str();
            let (seller, source) = (&part.seller, &part.source);
            let value = control_value(seller, source, kind, control.at_us, &control.value);
            let remark = Remark::Control(kind);
            records.push(self.remark(Topic::Control, part, value, (about, remark, control.at_us)));
        }
        let dead_letter = |letter| self.dead_letter(part, letter, about);
        records.extend(part.dead_letters.iter().map(dead_letter));
    }

    fn remark<'c>(
        &self,
        topic: Topic,
        part: &'c Part,
        value: String,
        (about, remark, at_us): (&About, Remark<'_>, i64),
    ) -> Record<'c> {
        let headers = about.cloud.as_ref().map(|cloud| owned(cloud.remark(remark, at_us, &value)));
        Record {
            topic,
            partition: partition::of_seller(part.seller.as_str(), self.topics.partitions(topic)),
            key: Cow::Owned(source_key(&part.seller, &part.source).into_bytes()),
            value: Some(Cow::Owned(value.into_bytes())),
            headers,
        }
    }

    /// A dead letter; without its columns where they are too much.
    fn dead_letter<'c>(&self, part: &'c Part, letter: &DeadLetter, about: &About) -> Record<'c> {
        let (table, position, at_us) = (&*letter.table, &*letter.position, letter.at_us);
        let whole =
            Rejection { table, position, reason: &letter.reason, at_us, row: &letter.value };
        let mut value = dead_letter_value(&part.seller, &part.source, &whole);
        if value.len() + HEADERS_BYTES > self.topics.record_bytes {
            let reason = format!(
                "{} (its columns, {} bytes, are left out: {} takes {} bytes)",
                letter.reason,
                letter.value.len(),
                self.topics.name(Topic::DeadLetters),
                self.topics.record_bytes
            );
            let bare = Rejection { reason: &reason, row: "{}", ..whole };
            value = dead_letter_value(&part.seller, &part.source, &bare);
        }
        self.remark(Topic::DeadLetters, part, value, (about, Remark::DeadLetter, at_us))
    }

    /// The dead letter in the place of an event that no topic takes.
    fn too_large<'c>(&self, part: &'c Part, entry: &Entry, about: &About) -> Record<'c> {
        let value: serde_json::Value =
            serde_json::from_str(part.records.value(entry)).unwrap_or_default();
        let origin = |name: &str| value["origin"][name].as_str().unwrap_or_default().to_owned();
        let letter = DeadLetter {
            table: origin("table"),
            position: origin("position"),
            reason: format!(
                "its event {} of {} bytes is more than the {} bytes a record may have",
                part.records.id(entry),
                self.bytes(part, entry),
                self.topics.record_bytes
            ),
            at_us: entry.committed_at_us.unwrap_or_default(),
            value: "{}".to_owned(),
        };
        self.dead_letter(part, &letter, about)
    }
}

/// What the records of a part have in common.
struct About {
    cloud: Option<CloudEvents>,
}

/// The record key of a cached row.
fn row_key(source: &str, row: &RowEntry) -> String {
    let mut key = source.to_owned();
    for text in [&row.table, &row.pk] {
        key.push('/');
        key::encode(text, &mut key);
    }
    key
}

fn owned<'h>(headers: impl Iterator<Item = Header<'h>>) -> OwnedHeaders {
    headers.fold(OwnedHeaders::new(), |all, (key, value)| {
        all.insert(rdkafka::message::Header { key, value: Some(value.as_ref()) })
    })
}

impl<'c> Record<'c> {
    /// A record of the shard's own topics.
    pub(super) fn private(topic: Topic, key: Cow<'c, [u8]>, value: Option<Cow<'c, [u8]>>) -> Self {
        Record { topic, partition: 0, key, value, headers: None }
    }
}
