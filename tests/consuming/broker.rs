//! The program of the document against a real broker, as a process that is killed again and again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rusqlite::{Connection, OpenFlags};
use testbed::KafkaOptions;

use super::feed::{Feed, Held, deliveries};
use super::rule::held;
use crate::support::{Random, eventually, is_full_size, own_cluster};

const TOPIC: &str = "stock.events.v1";
const PARTITIONS: i32 = 4;
const PROGRESS: &str = "SELECT coalesce(sum(next), 0) FROM offsets";
/// How often it is killed while events arrive.
const KILLS: usize = 8;
const LIMIT: Duration = Duration::from_secs(60);

/// The example's binary, built anew where it is older than what it is made of.
fn example() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_tailstock")).with_file_name("examples");
    let binary = binary.join("consumer");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/consumer");
    let age = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let made = age(&binary).unwrap_or(SystemTime::UNIX_EPOCH);
    let sources = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    if sources.filter_map(|source| age(&source)).any(|changed| changed > made) {
        let arguments = ["build", "--quiet", "--example", "consumer"];
        assert!(Command::new(env!("CARGO")).args(arguments).status().unwrap().success());
    }
    binary
}

/// The example at work; killed when it goes out of scope.
struct Running(Child);

impl Running {
    fn start(program: &Path, servers: &str, file: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg(servers).arg(file).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// How far the file is, as a reader beside the program sees it: records behind it, over all
/// partitions.
fn progress(file: &Path) -> Option<i64> {
    let reader = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    reader.query_row(PROGRESS, [], |row| row.get(0)).ok()
}

async fn create_topic(servers: &str) {
    let admin: AdminClient<DefaultClientContext> = client(servers).create().unwrap();
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    created.into_iter().for_each(|topic| assert_eq!(topic.as_deref(), Ok(TOPIC)));
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

/// What arrives at the topic: events in `order`, on any partition, in transactions of which some
/// fail, with states that never were.
struct Deliverer {
    producer: BaseProducer,
    feed: Arc<Feed>,
    random: Random,
}

impl Deliverer {
    fn new(servers: &str, feed: &Arc<Feed>, random: Random) -> Self {
        let producer: BaseProducer =
            client(servers).set("transactional.id", "deliverer").create().unwrap();
        producer.init_transactions(LIMIT).unwrap();
        Self { producer, feed: Arc::clone(feed), random }
    }

    fn deliver(&mut self, order: &[usize]) {
        let mut rest = order;
        while !rest.is_empty() {
            let count = 1 + usize::try_from(self.random.below(100)).unwrap();
            let (now, later) = rest.split_at(count.min(rest.len()));
            rest = later;
            if self.random.chance(30) {
                self.producer.begin_transaction().unwrap();
                now.iter().for_each(|nth| self.send(*nth, true));
                self.producer.flush(LIMIT).unwrap();
                self.producer.abort_transaction(LIMIT).unwrap();
            }
            self.producer.begin_transaction().unwrap();
            now.iter().for_each(|nth| self.send(*nth, false));
            self.producer.commit_transaction(LIMIT).unwrap();
        }
    }

    fn send(&mut self, nth: usize, never_was: bool) {
        let (key, value) = self.feed.published()[nth];
        let mut value = std::str::from_utf8(value).unwrap().to_owned();
        if never_was {
            // Newer than everything: once applied, nothing would take its place.
            value = value.replace("\"version\":\"0", "\"version\":\"f");
        }
        let partition = i32::try_from(self.random.below(PARTITIONS.unsigned_abs().into())).unwrap();
        let record = BaseRecord::to(TOPIC).partition(partition).key(key).payload(&value);
        self.producer.send(record).unwrap();
    }
}

/// Events of a shop and the order in which they arrive.
fn delivery(random: &mut Random, events: usize) -> (Arc<Feed>, Vec<usize>) {
    let seed: Vec<u8> = (0..4).flat_map(|_| random.next().to_le_bytes()).collect();
    let source = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), source);
    let (feed, order) = deliveries(events).new_tree(&mut runner).unwrap().current();
    (Arc::new(feed), order)
}

/// Where each partition ends, once a record that is no news has been put behind the marks of the
/// transactions: the sum of it over all partitions.
fn end(servers: &str, feed: &Feed) -> i64 {
    let producer: BaseProducer = client(servers).create().unwrap();
    let (key, value) = feed.published()[0];
    for partition in 0..PARTITIONS {
        let record = BaseRecord::to(TOPIC).partition(partition).key(key).payload(value);
        producer.send(record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let consumer: BaseConsumer = client(servers).create().unwrap();
    let end_of = |partition| consumer.fetch_watermarks(TOPIC, partition, LIMIT).unwrap().1;
    (0..PARTITIONS).map(end_of).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_of_the_document_holds_the_same_whatever_arrives_and_kills_it() {
    let test = "the_program_of_the_document_holds_the_same_whatever_arrives_and_kills_it";
    // Its topic has the name that the document says, which is another's on a cluster that stays.
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let servers = kafka.bootstrap();
    let mut random = Random::from_environment(test);
    let (feed, order) = delivery(&mut random, if is_full_size() { 20_000 } else { 2_000 });
    create_topic(&servers).await;
    let folder = tempfile::tempdir().unwrap();
    let (program, file) = (example(), folder.path().join("stock.db"));

    // Killed each time it has got on, while half of it arrives.
    let (first, second) = order.split_at(order.len() / 2);
    let mut deliverer = Deliverer::new(&servers, &feed, random);
    for piece in first.chunks(first.len().div_ceil(KILLS)) {
        let (before, piece) = (progress(&file), piece.to_vec());
        let run = Running::start(&program, &servers, &file);
        let arriving = tokio::task::spawn_blocking(move || {
            deliverer.deliver(&piece);
            deliverer
        });
        let moved = async || (progress(&file) > before).then_some(());
        eventually("progress", LIMIT, moved).await;
        drop(run);
        deliverer = arriving.await.unwrap();
    }
    // Killed in the middle of a transaction, which nobody ends before whoever reads the file does.
    tokio::task::block_in_place(|| deliverer.deliver(second));
    let end = end(&servers, &feed);
    let journal = folder.path().join("stock.db-journal");
    let before = progress(&file);
    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(reader.query_row(PROGRESS, [], |row| row.get(0)).ok(), before);
    // What an earlier end left of it was taken back by the first who read the file.
    drop(std::fs::remove_file(&journal));
    let run = Running::start(&program, &servers, &file);
    eventually("a transaction", LIMIT, async || journal.exists().then_some(())).await;
    drop(run);
    drop(reader);
    assert_eq!(progress(&file), before);

    let _run = Running::start(&program, &servers, &file);
    eventually("the end", LIMIT, async || progress(&file).filter(|now| *now >= end)).await;
    assert_eq!(progress(&file), Some(end));
    let found: Held = held(&Connection::open(&file).unwrap());
    assert_eq!(found, feed.held);
}
