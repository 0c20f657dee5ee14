//! Topics of an Apache Kafka cluster.
//!
//! One thread a shard owns the producers. With `exactly_once` everything of a commit goes into one
//! transaction; two transactional ids take turns, because the cluster is still busy with the end of
//! one transaction when the next begins. With `at_least_once` events go out by themselves, and the
//! checkpoint follows in a transaction of its own once every one of them is acknowledged.
//!
//! | file | owns |
//! |---|---|
//! | this one | the sink: opening a shard, and what is stored of it |
//! | `client`, `token`, `statistics` | how the library is configured, and what it tells |
//! | `topics` | names, settings, partitions: created, checked |
//! | `owner` | whose the shard is, and the partition counts it was begun with |
//! | `whole` | whether the topics still have what was written to them |
//! | `scan` | partitions, read to their end |
//! | `stored`, `latest` | checkpoints and cached rows, read back |
//! | `levels` | what is published and lives, read back |
//! | `records`, `partition` | from a commit to records and their partitions |
//! | `transaction` | one transaction: all or nothing, or not known |
//! | `writer` | exactly once: two ids in turn |
//! | `relaxed` | at least once: events first, checkpoints behind them |
//! | `fault` | what errors mean for people |

mod client;
mod fault;
mod latest;
mod levels;
mod owner;
mod partition;
mod records;
mod relaxed;
mod scan;
mod statistics;
mod stored;
mod token;
mod topics;
mod transaction;
mod whole;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector_api::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use client::Told;
pub use client::check_property;
use topics::Topic;

use super::{OpenError, Opened, Shard, Sink};
use crate::config::KafkaConfig;
use crate::stock::{SellerId, SourceName};
use crate::telemetry::BrokerMetrics;

/// Where the topics are and what they are called.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Names transactional ids and the owner of a shard.
    name: String,
    config: KafkaConfig,
    metrics: BrokerMetrics,
    /// Whether this process has had a shard.
    has_been_let_in: Arc<AtomicBool>,
    /// Under which name it had one last.
    tenure: Arc<Mutex<Option<owner::Tenure>>>,
    /// The greatest request that was thought to be taken, bytes, when one was refused for its size.
    refused: Arc<AtomicUsize>,
}

impl KafkaOptions {
    /// The options of an installation of this name. How brokers answer is counted in `metrics`.
    pub fn new(name: String, config: KafkaConfig, metrics: BrokerMetrics) -> Self {
        let (has_been_let_in, tenure, refused) = Default::default();
        Self { name, config, metrics, has_been_let_in, tenure, refused }
    }

    /// Whether a login that fails has been good before: it has expired, and is waited for.
    fn has_been_let_in(&self) -> bool {
        self.has_been_let_in.load(Ordering::Relaxed)
    }

    /// A request was refused for its size. Whether that may pass once the topics are looked at
    /// anew: not where that was done already, with the same result.
    fn may_be_resized(&self, request_bytes: usize) -> bool {
        self.refused.swap(request_bytes, Ordering::Relaxed) != request_bytes
    }

    fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.config.topic_prefix, topic.name())
    }
}

/// The cluster as a sink.
#[derive(Debug, Clone)]
pub struct Kafka {
    options: Arc<KafkaOptions>,
}

impl Kafka {
    /// A sink that asks the cluster when its shard is taken.
    pub fn new(options: KafkaOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

/// The stored checkpoints of sources, in their order, for commands beside the process that writes
/// them. `None` when nothing has been stored yet.
pub fn checkpoints(
    options: &KafkaOptions,
    sources: &[(SellerId, SourceName)],
) -> Result<Option<Vec<Option<String>>>> {
    if topics::are_missing(options, &asker(options)?)? {
        return Ok(None);
    }
    let mut contents = stored::read(options, &[Topic::Checkpoints])?;
    Ok(Some(sources.iter().map(|source| contents.take(source).checkpoint).collect()))
}

/// Who took a shard last, unless it is known to have gone.
pub fn holder(options: &KafkaOptions, shard: Shard) -> Result<Option<String>> {
    match topics::are_missing(options, &asker(options)?)? {
        true => Ok(None),
        false => owner::holder(options, shard),
    }
}

#[async_trait]
impl Sink for Kafka {
    async fn is_new(&self) -> Result<bool> {
        let options = Arc::clone(&self.options);
        blocking(move || topics::are_missing(&options, &asker(&options)?)).await
    }

    async fn holder(&self, shard: Shard) -> Result<Option<String>> {
        let options = Arc::clone(&self.options);
        blocking(move || holder(&options, shard)).await
    }

    async fn open(&self, shard: Shard) -> Result<Opened, OpenError> {
        let options = Arc::clone(&self.options);
        blocking(move || open(&options, shard)).await
    }
}

/// Takes the shard, and only then reads what is stored: nobody else can add to it any more.
fn open(options: &Arc<KafkaOptions>, shard: Shard) -> Result<Opened, OpenError> {
    let asker = asker(options)?;
    let topics = Arc::new(topics::prepare(options, &asker)?);
    // Another size than the refused one is another matter.
    if options.refused.load(Ordering::Relaxed) != topics.request_bytes {
        options.refused.store(0, Ordering::Relaxed);
    }
    let store = store(options, &asker, shard);
    owner::refuse_replaced(options, shard)?;
    let before = owner::refuse_moved(options, &topics, shard, &asker)?;
    let mut owned = owner::take(options, &topics, shard, &asker)?;
    let (mut contents, found) = stored::read_all(options)?;
    if let Err(error) = owner::refuse_others(&contents, options, shard, before) {
        // Of two that began at once, each may find the other.
        owned.withdraw();
        return Err(error.into());
    }
    owner::check_partitions(options, &topics, found.partitions.as_ref())?;
    contents.whole = Some(owned.record_topics(found, &asker)?);
    let state = stored::State::new(options, &topics, contents);
    options.has_been_let_in.store(true, Ordering::Relaxed);
    let writer = writer::start(owned)?;
    Ok(Opened { writer, state: Arc::new(state), store: Some(store) })
}

/// Names the shard by its cluster, its topics and its installation, in 16 hex digits.
fn store(options: &KafkaOptions, consumer: &BaseConsumer<Told>, shard: Shard) -> String {
    let cluster = consumer.client().fetch_cluster_id(client::PATIENCE);
    let cluster = cluster.unwrap_or_else(|| options.config.brokers.clone());
    let KafkaOptions { name, config, .. } = options;
    let text = format!("{cluster}\0{}\0{name}\0{}", config.topic_prefix, shard.0);
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

/// Whether a client reads what may yet be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    Committed,
    Uncommitted,
}

/// A client that asks. Without the name of a group it is closed at once; with one the library looks
/// every 100 ms whether it is.
fn asker(options: &KafkaOptions) -> Result<BaseConsumer<Told>> {
    consumer(options, Isolation::Uncommitted, None)
}

/// A client that reads. It is a member of no group, though the library wants the name of one.
fn reader(options: &KafkaOptions, isolation: Isolation) -> Result<BaseConsumer<Told>> {
    consumer(options, isolation, Some(&options.name))
}

fn consumer(
    options: &KafkaOptions,
    isolation: Isolation,
    group: Option<&str>,
) -> Result<BaseConsumer<Told>> {
    let isolation = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    // What is read ahead is bounded, and goes on at once when there is room again.
    let defaults = [
        ("fetch.wait.max.ms", "10"),
        ("check.crcs", "true"),
        ("queued.max.messages.kbytes", "8192"),
        ("fetch.queue.backoff.ms", "10"),
    ];
    let mut config = client::config(options, &defaults);
    if let Some(group) = group {
        config.set("group.id", group);
    }
    config
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Where a topic's oldest records go while it is read, the library would go on at its end.
        .set("auto.offset.reset", "earliest")
        .create_with_context(Told::new(options))
        .map_err(|error| client::not_created(&error))
}

/// Does what blocks where it holds up nothing else.
async fn blocking<T: Send + 'static, E: From<Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| crate::telemetry::panicked("talking to Kafka", panic))?
}

/// Waits on a thread that has nothing else to do.
#[allow(clippy::disallowed_methods, reason = "the library offers nothing to wait on")]
fn nap(time: std::time::Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
