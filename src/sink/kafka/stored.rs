use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector_api::{Error, Result};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::sync::Semaphore;

use super::latest::Latest;
use super::owner::{self, Owner};
use super::records::ROUND;
use super::topics::{Topic, Topics};
use super::whole::{Found, Whole};
use super::{Isolation, KafkaOptions, blocking, levels, scan};
use crate::sink::{LevelKey, Remains, RowEntry, ShardState, Stored, StoredRows};
use crate::stock::encode::source_key;
use crate::stock::{SellerId, SourceName, key};

/// The only partition of a shard's topics.
pub(super) const PARTITION: i32 = 0;

/// The most rows that are handed out at once.
const PIECE: usize = 4096;

/// A seller's database.
type Source = (SellerId, SourceName);

/// Everything a partition of private topics holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// How the keys begin of the one source that is wanted; without it all are.
    only: Option<String>,
    /// By how their keys begin.
    sources: HashMap<String, Remembered>,
    /// By key, with the place of the record.
    pub(super) owners: HashMap<String, (i64, Owner)>,
    /// What is recorded of the topics.
    pub(super) found: Found,
    /// What they are by now.
    pub(super) whole: Option<Whole>,
}

#[derive(Debug)]
struct Remembered {
    source: Source,
    checkpoint: Option<String>,
    /// What the topics were when it was stored.
    round: u32,
    /// By table and key, as the record keys have them.
    rows: Latest,
}

impl Contents {
    /// What is stored of one source, once.
    pub(super) fn take(&mut self, source: &Source) -> Stored {
        let remembered = self.sources.remove(&source_key(&source.0, &source.1));
        let Remembered { checkpoint, round, rows, .. } =
            remembered.unwrap_or_else(|| Remembered::nothing_of(source.clone()));
        let whole = self.whole.as_ref().filter(|_| checkpoint.is_some());
        let lacking = whole.map(|whole| whole.lacking_since(round)).unwrap_or_default();
        let lacking = lacking.into_iter().map(|topic| format!("topic {topic}")).collect();
        Stored { checkpoint, lacking, rows: Box::new(Going(rows)) }
    }

    /// Whether a record is to be looked at: those of one source are few among those of a thousand.
    fn wants(&self, key: &[u8]) -> bool {
        let rest = self.only.as_ref().map(|only| key.strip_prefix(only.as_bytes()));
        rest.is_none_or(|rest| rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))))
    }

    /// Takes in one record of the topic of this name.
    fn apply(&mut self, topic: Topic, name: &str, record: &BorrowedMessage<'_>) -> Result<()> {
        let (key, value) = (record.key().unwrap_or_default(), record.payload());
        if !self.wants(key) {
            return Ok(());
        }
        let foreign = || foreign(name, key);
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| foreign());
        let (key, value) = (text(key)?, value.map(text).transpose()?);
        if let Some(private) = key.strip_prefix(owner::PREFIX) {
            return owner::apply(self, (name, record.offset()), private, value);
        }
        let (begins, row) = split(key);
        let remembered = match self.sources.get_mut(begins) {
            Some(known) => known,
            None => {
                let source = source_of(begins).ok_or_else(foreign)?;
                let nothing = Remembered::nothing_of(source);
                self.sources.entry(begins.to_owned()).or_insert(nothing)
            }
        };
        match topic {
            Topic::Checkpoints => {
                remembered.checkpoint = value.map(str::to_owned);
                remembered.round = round_of(record);
            }
            _ => {
                row_of(row).ok_or_else(foreign)?;
                remembered.rows.set(row, value);
            }
        }
        Ok(())
    }
}

impl Remembered {
    fn nothing_of(source: Source) -> Self {
        Self { source, checkpoint: None, round: 0, rows: Latest::default() }
    }
}

/// How a record key begins, `seller/source`, and what is behind it.
fn split(key: &str) -> (&str, &str) {
    let mut bars = key.match_indices('/').map(|(place, _)| place);
    match bars.nth(1) {
        Some(end) => (&key[..end], &key[end + 1..]),
        None => (key, ""),
    }
}

fn source_of(begins: &str) -> Option<Source> {
    let (seller, source) = begins.split_once('/')?;
    Some((SellerId::new(&key::decode(seller)?), SourceName::new(&key::decode(source)?)))
}

/// The table and the key of a row.
fn row_of(row: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (table, pk) = row.split_once('/')?;
    if pk.contains('/') {
        return None;
    }
    Some((key::decode(table)?, key::decode(pk)?))
}

/// Cached rows, each forgotten as it is handed out.
struct Going(Latest);

#[async_trait]
impl StoredRows for Going {
    async fn next(&mut self) -> Result<Vec<RowEntry>> {
        let mut some = Vec::new();
        while some.len() < PIECE
            && let Some(row) = self.0.take(|row, value| {
                let (table, pk) = row_of(row).expect("it was looked at when it was read");
                let (table, pk) = (table.into_owned(), pk.into_owned());
                RowEntry { table, pk, value: Some(value.to_owned()) }
            })
        {
            some.push(row);
        }
        Ok(some)
    }
}

/// The round a checkpoint was stored in.
fn round_of(record: &BorrowedMessage<'_>) -> u32 {
    let headers = record.headers();
    let mut round = headers.iter().flat_map(|headers| headers.iter());
    let round = round.find(|header| header.key == ROUND).and_then(|header| header.value);
    let round = round.and_then(|value| std::str::from_utf8(value).ok());
    round.and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn foreign(topic: &str, key: &[u8]) -> Error {
    let key = String::from_utf8_lossy(&key[..key.len().min(80)]).into_owned();
    Error::operator(
        format!("topic {topic} holds a record of another program, with the key {key:?}"),
        "set sink.topic_prefix, so that tailstock has topics of its own",
    )
}

/// Reads topics from their beginning to their end, as far as it is committed.
pub(super) fn read(options: &KafkaOptions, topics: &[Topic]) -> Result<Contents> {
    read_as(options, topics, Isolation::Committed)
}

/// The same, with or without what may yet be taken back.
pub(super) fn read_as(
    options: &KafkaOptions,
    topics: &[Topic],
    isolation: Isolation,
) -> Result<Contents> {
    read_into(Contents::default(), options, topics, isolation)
}

/// Everything that is stored of a shard, and what is recorded with it of the topics.
pub(super) fn read_all(options: &KafkaOptions) -> Result<(Contents, Found)> {
    let mut contents = read(options, &[Topic::Checkpoints, Topic::Rows])?;
    let found = std::mem::take(&mut contents.found);
    Ok((contents, found))
}

/// What is stored of one source.
fn read_one(options: &KafkaOptions, source: &Source, whole: Option<Whole>) -> Result<Stored> {
    let only = Some(source_key(&source.0, &source.1));
    let contents = Contents { only, whole, ..Contents::default() };
    let topics = [Topic::Checkpoints, Topic::Rows];
    Ok(read_into(contents, options, &topics, Isolation::Committed)?.take(source))
}

fn read_into(
    mut contents: Contents,
    options: &KafkaOptions,
    topics: &[Topic],
    isolation: Isolation,
) -> Result<Contents> {
    let places: Vec<(Topic, i32)> = topics.iter().map(|topic| (*topic, PARTITION)).collect();
    scan::scan_as(options, &places, isolation, |topic, record| {
        contents.apply(topic, record.topic(), record)
    })?;
    Ok(contents)
}

/// What is stored of a shard. What was read when it was taken is handed out once; whoever begins
/// again reads the topics again, so that nothing is kept twice in memory, and one after the other:
/// when a server with hundreds of sellers comes back, all of them begin at once.
pub(super) struct State {
    options: Arc<KafkaOptions>,
    topics: Arc<Topics>,
    /// What the topics are.
    whole: Option<Whole>,
    reading: Arc<Semaphore>,
    /// Who reads what is published: what that takes of memory and threads is taken once, however
    /// many sellers of one server want it at the same time. It holds up nobody who starts.
    pub(super) comparing: Arc<Semaphore>,
    /// What was read, and who has had its part of it.
    first: Mutex<(Contents, HashSet<Source>)>,
}

impl State {
    /// These contents, as they have been read.
    pub(super) fn new(
        options: &Arc<KafkaOptions>,
        topics: &Arc<Topics>,
        contents: Contents,
    ) -> Self {
        let whole = contents.whole.clone();
        let first = Mutex::new((contents, HashSet::new()));
        let (options, topics) = (Arc::clone(options), Arc::clone(topics));
        let (reading, comparing) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        Self { options, topics, whole, reading, comparing, first }
    }

    /// What was read when the shard was taken, unless this source has had it.
    fn first(&self, source: &Source) -> Option<Stored> {
        let mut first = self.first.lock().expect("no holder panics");
        let (contents, handed) = &mut *first;
        handed.insert(source.clone()).then(|| contents.take(source))
    }
}

#[async_trait]
impl ShardState for State {
    async fn load(&self, seller: &SellerId, source: &SourceName) -> Result<Stored> {
        let source = (seller.clone(), source.clone());
        if let Some(stored) = self.first(&source) {
            return Ok(stored);
        }
        let turn = Arc::clone(&self.reading).acquire_owned().await.expect("nobody closes it");
        let (options, whole) = (Arc::clone(&self.options), self.whole.clone());
        blocking(move || {
            // To the end, also for somebody who does not wait for it any more.
            let _turn = turn;
            read_one(&options, &source, whole)
        })
        .await
    }

    fn retain(&self, sources: &HashSet<(SellerId, SourceName)>) {
        let mut first = self.first.lock().expect("no holder panics");
        let (contents, handed) = &mut *first;
        let others = contents.sources.extract_if(|_, others| !sources.contains(&others.source));
        // Whoever asks all the same has to read it.
        handed.extend(others.map(|(_, others)| others.source));
    }

    async fn levels(&self, seller: &SellerId, source: &SourceName) -> Result<Vec<LevelKey>> {
        let turn = Arc::clone(&self.comparing).acquire_owned().await.expect("nobody closes it");
        let (options, topics) = (Arc::clone(&self.options), Arc::clone(&self.topics));
        let (seller, source) = (seller.clone(), source.clone());
        blocking(move || {
            let _turn = turn;
            levels::read(&options, &topics, &seller, &source)
        })
        .await
    }

    /// Nothing is read while the checkpoints are as old as everything else: a source without one
    /// has never published.
    async fn remains(&self, seller: &SellerId, source: &SourceName) -> Result<Option<Remains>> {
        let is_lost = |whole: &Whole| whole.has_lost_checkpoints(&self.topics);
        if !self.whole.as_ref().is_some_and(is_lost) {
            return Ok(None);
        }
        let turn = Arc::clone(&self.reading).acquire_owned().await.expect("nobody closes it");
        let (options, topics) = (Arc::clone(&self.options), Arc::clone(&self.topics));
        let (seller, source) = (seller.clone(), source.clone());
        blocking(move || {
            let _turn = turn;
            levels::remains(&options, &topics, &seller, &source)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_written_here_is_no_row_and_no_source() {
        for (key, is_ours) in [
            ("acme/main/public.items/1", true),
            ("acme/main/public.items/a%2Fb", true),
            ("acme/main/public.items", false),
            ("acme/main/public.items/1/2", false),
            ("acme/main/public.items/%zz", false),
            ("acme/main", false),
            ("acme", false),
            ("ac%me/main/public.items/1", false),
            ("", false),
        ] {
            let (begins, row) = split(key);
            assert_eq!(source_of(begins).is_some() && row_of(row).is_some(), is_ours, "{key}");
        }
    }

    #[test]
    fn whoever_reads_one_source_does_not_look_at_the_rows_of_others() {
        let only = Some(source_key(&SellerId::new("acme"), &SourceName::new("main")));
        let one = Contents { only, ..Contents::default() };
        let all = Contents::default();
        for (key, wanted) in [
            ("acme/main", true),
            ("acme/main/public.stock/1", true),
            ("acme/main2", false),
            ("acme/main2/public.stock/1", false),
            ("acme2/main", false),
            ("#owner/test/0", false),
        ] {
            assert_eq!(one.wants(key.as_bytes()), wanted, "{key}");
            assert!(all.wants(key.as_bytes()), "{key}");
        }
    }
}
