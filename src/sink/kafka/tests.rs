//! The sink against a real broker.

mod levels;
mod moved;
mod owners;
mod sizes;
mod whole;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use connector_api::Fault;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use testbed::KafkaOptions as BrokerOptions;

use super::owner::Owned;
use super::records::{Plan, Record};
use super::*;
use crate::config::{Delivery, Headers, Secret};
use crate::sink::{Commit, CommitError, Committed, Part};
use crate::stock::encode::{Encoder, Records};
use crate::stock::quantity::Decimal;
use crate::stock::{
    Change, EventKind, Item, Location, Operation, Origin, Provenance, Quality, Quantities,
    StockEvent, Version,
};
use crate::telemetry::StatusBoard;

/// Topics of the test's own on a broker that all tests of this file share.
fn options(test: &str) -> Option<Arc<KafkaOptions>> {
    static BROKER: OnceLock<Option<testbed::Kafka>> = OnceLock::new();
    let start = || testbed::kafka_or_skip(&BrokerOptions::default(), test);
    let kafka = BROKER.get_or_init(start).as_ref()?;
    Some(Arc::new(options_of(test, kafka.bootstrap())))
}

fn options_of(test: &str, brokers: String) -> KafkaOptions {
    let config = KafkaConfig {
        brokers,
        delivery: Delivery::ExactlyOnce,
        levels: true,
        headers: Headers::None,
        topic_prefix: prefix(test),
        partitions: Some(2),
        replication_factor: None,
        oauth_token: None,
        properties: Vec::new(),
    };
    KafkaOptions::new(test.to_owned(), config, StatusBoard::default().brokers())
}

/// Begins the names of a test's topics, on a cluster that stays too: this process asks for it.
fn prefix(test: &str) -> String {
    static BEGUN: OnceLock<u128> = OnceLock::new();
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("{test}.{}-{}.", BEGUN.get_or_init(since), std::process::id())
}

fn with_property(options: &KafkaOptions, name: &str, value: &str) -> Arc<KafkaOptions> {
    let mut options = options.clone();
    options.config.properties.push((name.to_owned(), Secret::new(value)));
    Arc::new(options)
}

fn take(options: &Arc<KafkaOptions>) -> Owned {
    let mut owned = shut_out(options);
    owned.renew().unwrap();
    owned
}

/// The first half of taking a shard.
fn shut_out(options: &Arc<KafkaOptions>) -> Owned {
    let consumer = asker(options).unwrap();
    let topics = Arc::new(topics::prepare(options, &consumer).unwrap());
    owner::shut_out(options, &topics, Shard(0), &consumer).unwrap()
}

/// Calls that wait for the library's own threads need a runtime around them.
fn on_runtime<T>(work: impl FnOnce() -> T + Send + 'static) -> T
where
    T: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::task::spawn_blocking(work).await.unwrap() })
}

fn part(item: &str, ordinal: u32, on_hand: Option<i64>, text: &str) -> Part {
    part_of("acme", item, (ordinal, on_hand), text)
}

fn part_of(seller: &str, item: &str, (ordinal, on_hand): (u32, Option<i64>), text: &str) -> Part {
    let (seller, source) = (SellerId::new(seller), SourceName::new("main"));
    let encoder = Encoder::new(&seller, &source, "test", "shop");
    let kind = match on_hand {
        Some(_) => EventKind::Level,
        None => EventKind::Removed { successor: None },
    };
    let on_hand = on_hand.map(Decimal::from_int);
    let event = StockEvent {
        kind,
        capture: Provenance::Stream,
        item: Item { id: item, sku: Some(text), ..Item::default() },
        location: Location { id: "_", kind: None },
        bucket: None,
        quantity: Quantities { on_hand, ..Quantities::default() },
        measure: None,
        unit: "EA",
        active: None,
        tracked: None,
        change: Change::default(),
        version: Version { epoch: 1, coordinate: 1, ordinal },
        committed_at_us: Some(1_700_000_000_000_000),
        origin: Origin {
            table: "public.stock",
            operation: Operation::Update,
            transaction: None,
            position: "0/1",
            row: ordinal,
            mapping: "stock@1",
        },
        quality: Quality::default(),
    };
    let mut records = Records::default();
    records.push(&encoder, &event);
    let checkpoint = Some(format!("checkpoint {ordinal}"));
    Part { records, checkpoint, ..Part::empty(seller, source) }
}

fn commit(parts: Vec<Part>) -> Arc<Commit> {
    Arc::new(Commit { parts })
}

/// Everything of a commit in one transaction.
fn commit_all(owned: &mut Owned, commit: &Commit) -> Result<(), CommitError> {
    let plan = owned.plan();
    let mut records = plan.published(commit);
    records.extend(plan.remembered(&commit.parts));
    owned.commit(&records)
}

/// The keys and values a consumer of what is committed finds.
fn committed(options: &KafkaOptions, topic: Topic) -> Vec<(String, Option<String>)> {
    let asking = asker(options).unwrap();
    let reading = reader(options, Isolation::Committed).unwrap();
    let name = options.topic(topic);
    let (mut list, mut ends) = (TopicPartitionList::new(), HashMap::new());
    let partitions = if matches!(topic, Topic::Events | Topic::Levels) { 2 } else { 1 };
    for partition in 0..partitions {
        let wait = Duration::from_secs(10);
        let (low, high) = asking.fetch_watermarks(&name, partition, wait).unwrap();
        if high > low {
            list.add_partition_offset(&name, partition, Offset::Offset(low)).unwrap();
            ends.insert(partition, high);
        }
    }
    reading.assign(&list).unwrap();
    let mut found = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ends.is_empty() {
        assert!(Instant::now() < deadline, "{ends:?} not reached");
        if let Some(message) = reading.poll(Duration::from_millis(20)) {
            let message = match message {
                // The library connects again by itself, or tries the next address of a name.
                Err(KafkaError::MessageConsumption(
                    Code::AllBrokersDown | Code::BrokerTransportFailure,
                )) => continue,
                message => message.unwrap(),
            };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(message.key().unwrap()), message.payload().map(text)));
            continue;
        }
        let place = reading.position().unwrap();
        ends.retain(|partition, end| {
            let at = place.find_partition(&name, *partition).unwrap().offset();
            !matches!(at, Offset::Offset(at) if at >= *end)
        });
    }
    found
}

#[test]
fn a_commit_does_not_wait_for_the_librarys_polling_step() {
    let Some(options) = options("a_commit_does_not_wait") else { return };
    on_runtime(move || {
        let mut owned = take(&options);
        let timed = |ordinal| {
            let commit = commit(vec![part("1", ordinal, Some(1), "A")]);
            let begun = Instant::now();
            commit_all(&mut owned, &commit).unwrap();
            begun.elapsed()
        };
        // Left to itself the library polls in steps of 100 ms, so that no commit is faster.
        let fastest = (0..20).map(timed).min().unwrap();
        assert!(fastest < Duration::from_millis(95), "{fastest:?}");
    });
}

/// Log lines of the library.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How often brokers said, while `work` was done on this thread, that an earlier transaction of the
/// same id has not ended.
fn refusals(work: impl FnOnce()) -> usize {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.matches("another concurrent operation").count()
}

#[test]
fn two_ids_in_turn_never_wait_for_the_end_of_the_transaction_before() {
    let Some(options) = options("two_ids_in_turn") else { return };
    on_runtime(move || {
        let options = with_property(&options, "debug", "eos");
        let mut owned = take(&options);
        let record = |value: &'static str| {
            [Record::private(Topic::Checkpoints, b"k".into(), Some(value.as_bytes().into()))]
        };
        let consumer = asker(&options).unwrap();
        let topics = Arc::new(topics::prepare(&options, &consumer).unwrap());
        let one = transaction::Outlet::transactional(&options, &topics, "one").unwrap();
        let (mut with_two, mut with_one) = (0, 0);
        // A broker with nothing else to do has ended most of them by then.
        for _ in 0..25 {
            with_two += refusals(|| {
                for _ in 0..40 {
                    owned.commit(&record("two")).unwrap();
                }
            });
            with_one += refusals(|| {
                for _ in 0..40 {
                    assert!(one.commit(&record("one")).is_ok());
                }
            });
            if with_one > 8 && with_two * 4 < with_one {
                break;
            }
        }
        println!("refusals of as many commits: {with_one} with one id, {with_two} with two");
        assert!(with_one > 0, "the mechanism that two ids avoid is not seen");
        assert!(with_two * 4 < with_one, "{with_two} with two ids, {with_one} with one");
    });
}

#[test]
fn an_owner_that_is_fenced_stores_nothing_although_its_flush_succeeds() {
    let Some(options) = options("an_owner_that_is_fenced") else { return };
    on_runtime(move || {
        let mut first = take(&options);
        commit_all(&mut first, &commit(vec![part("1", 1, Some(1), "A")])).unwrap();
        let mut second = take(&options);
        for ordinal in [2, 3] {
            let late = commit(vec![part("1", ordinal, Some(9), "late")]);
            match commit_all(&mut first, &late) {
                Err(CommitError::Fenced(error)) => {
                    assert!(matches!(error.fault(), Fault::Held { .. }), "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
        commit_all(&mut second, &commit(vec![part("1", 4, Some(2), "A")])).unwrap();
        let events = committed(&options, Topic::Events);
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events.iter().all(|(_, value)| !value.as_ref().unwrap().contains("late")));
    });
}

#[test]
fn a_login_that_fails_is_for_a_person_and_one_that_has_expired_is_waited_for() {
    let options = options_of("a_login_that_fails", String::new());
    let doing = fault::Doing { what: "asking for its topics", options: &options };
    let error = || fault::classify(doing, Code::Authentication, "no");
    assert!(matches!(error().fault(), Fault::Operator { .. }), "{}", error());
    options.has_been_let_in.store(true, Ordering::Relaxed);
    assert!(matches!(error().fault(), Fault::Transient), "{}", error());
    assert!(error().to_string().contains("sasl.*"), "{}", error());
}

#[test]
fn that_there_is_no_token_is_said_rather_than_what_follows_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let mut options = options_of("no_token", String::new());
    options.config.oauth_token = Some(file.clone());
    let told = Told::new(&options);
    assert!(told.generate_oauth_token(None).is_err());
    let hung_up = KafkaError::Global(Code::BrokerTransportFailure);
    ClientContext::error(&told, hung_up.clone(), "Disconnected");
    for said in [told.error(), told.take_error(), told.take_error()] {
        let (code, reason) = said.unwrap();
        assert_eq!(code, Code::Authentication);
        assert!(reason.contains("the token's file"), "{reason}");
    }
    std::fs::write(&file, "opaque").unwrap();
    assert!(told.generate_oauth_token(None).is_ok());
    assert_eq!(told.error(), None);
    ClientContext::error(&told, hung_up, "Disconnected");
    assert_eq!(told.take_error().unwrap().1, "Disconnected");
}

#[test]
fn that_no_group_may_be_read_is_not_why_a_question_was_not_answered() {
    let told = Told::new(&options_of("no_group", String::new()));
    let refused = KafkaError::Global(Code::GroupAuthorizationFailed);
    ClientContext::error(&told, refused, "FindCoordinator response error");
    assert_eq!(told.error(), None);
}

#[test]
fn installations_with_topics_of_their_own_do_not_shut_each_other_out() {
    let Some(options) = options("topics_of_their_own") else { return };
    on_runtime(move || {
        let mut other = KafkaOptions::clone(&options);
        other.config.topic_prefix = prefix("topics_of_the_other");
        let mut both = [take(&options), take(&Arc::new(other))];
        for _ in 0..2 {
            for owned in &mut both {
                commit_all(owned, &commit(vec![part("1", 1, Some(1), "A")])).unwrap();
            }
        }
    });
}

#[test]
fn whoever_is_shut_out_while_it_takes_the_shard_is_told_by_whom() {
    let Some(options) = options("shut_out_while_it_takes") else { return };
    on_runtime(move || {
        let mut first = shut_out(&options);
        let _second = take(&options);
        let outcome = first.renew();
        assert!(matches!(outcome, Err(CommitError::Fenced(_))), "{outcome:?}");
    });
}

#[test]
fn whoever_had_the_shard_before_is_not_taken_for_a_later_owner() {
    let Some(options) = options("had_the_shard_before") else { return };
    on_runtime(move || {
        drop(take(&options));
        let mut owned = shut_out(&options);
        // Fences without a name.
        let _nobody = shut_out(&options);
        let outcome = owned.renew();
        assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
    });
}

#[test]
fn what_is_stored_is_read_back_with_the_last_of_each_key() {
    let Some(options) = options("what_is_stored") else { return };
    let sink = Kafka { options: Arc::clone(&options) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert!(sink.is_new().await.unwrap());
        let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
        let Opened { mut writer, state, .. } = sink.open(Shard(0)).await.unwrap();
        assert!(state.load(&seller, &source).await.unwrap().checkpoint.is_none());
        let row = |pk: &str, value: Option<&str>| crate::sink::RowEntry {
            table: "public.stock".to_owned(),
            pk: pk.to_owned(),
            value: value.map(str::to_owned),
        };
        let mut one = part("1", 1, Some(1), "A");
        one.rows = vec![row("a/b %", Some("{}")), row("gone", Some("{}"))];
        let mut two = part("1", 2, None, "A");
        two.rows = vec![row("gone", None)];
        let three = part("2", 3, Some(3), "A");
        let outcome = writer.commit(commit(vec![one, two, three])).await.unwrap();
        assert!(matches!(outcome, Committed::Durable));
        // Read again by whoever begins again, and by the next owner.
        for state in [state, sink.open(Shard(0)).await.unwrap().state] {
            let mut stored = state.load(&seller, &source).await.unwrap();
            assert_eq!(stored.checkpoint.as_deref(), Some("checkpoint 3"));
            assert_eq!(stored.all_rows().await.unwrap(), [row("a/b %", Some("{}"))]);
        }
        assert!(!sink.is_new().await.unwrap());
    });
    let keys = |topic| {
        let records = committed(&options, topic);
        let mut keys: Vec<_> =
            records.into_iter().map(|(key, value)| (key, value.is_some())).collect();
        keys.sort();
        keys
    };
    let (one, two) = ("acme/main/1/_".to_owned(), "acme/main/2/_".to_owned());
    assert_eq!(
        keys(Topic::Events),
        [(one.clone(), true), (one.clone(), true), (two.clone(), true)]
    );
    // One record a key and commit; a removed key has none but its tombstone.
    assert_eq!(keys(Topic::Levels), [(one, false), (two, true)]);
}

#[test]
fn an_event_that_no_topic_takes_is_a_dead_letter_and_stops_nobody() {
    let Some(options) = options("an_event_that_no_topic_takes") else { return };
    on_runtime(move || {
        let mut owned = take(&options);
        let huge = "x".repeat(2 << 20);
        let parts = vec![part("1", 1, Some(1), &huge), part("2", 2, Some(2), "A")];
        commit_all(&mut owned, &commit(parts)).unwrap();
        let keys = |topic| committed(&options, topic).into_iter().map(|(key, _)| key);
        assert_eq!(keys(Topic::Events).collect::<Vec<_>>(), ["acme/main/2/_"]);
        assert_eq!(keys(Topic::Levels).collect::<Vec<_>>(), ["acme/main/2/_"]);
        let letters = committed(&options, Topic::DeadLetters);
        let letter: serde_json::Value =
            serde_json::from_str(letters[0].1.as_ref().unwrap()).unwrap();
        assert_eq!(letter["table"], "public.stock");
        assert!(letter["reason"].as_str().unwrap().contains("bytes a record may have"), "{letter}");
    });
}

#[test]
fn what_no_topic_takes_to_remember_is_for_a_person_and_nothing_of_it_is_published() {
    let Some(options) = options("what_no_topic_takes_to_remember") else { return };
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let mut options = KafkaOptions::clone(&options);
        options.config.delivery = delivery;
        options.config.topic_prefix = prefix(&format!("too_large.{}", delivery as u8));
        let sink = Kafka { options: Arc::new(options.clone()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Opened { mut writer, .. } = sink.open(Shard(0)).await.unwrap();
            let huge = "x".repeat(2 << 20);
            let checkpoint = Part { checkpoint: Some(huge.clone()), ..part("1", 1, Some(1), "A") };
            let (table, pk) = ("public.stock".to_owned(), "1".to_owned());
            let row = crate::sink::RowEntry { table, pk, value: Some(huge) };
            let row = Part { rows: vec![row], ..part("1", 2, Some(1), "A") };
            for part in [checkpoint, row] {
                let outcome = writer.commit(commit(vec![part])).await;
                let Err(CommitError::NotCommitted(error)) = outcome else { panic!("{delivery:?}") };
                assert!(error.fix().unwrap().contains("max.message.bytes"), "{error}");
            }
        });
        assert_eq!(committed(&options, Topic::Events), []);
    }
}

#[test]
fn one_plan_of_one_commit_is_always_the_same() {
    let Some(options) = options("one_plan_of_one_commit") else { return };
    on_runtime(move || {
        let consumer = asker(&options).unwrap();
        let topics = Arc::new(topics::prepare(&options, &consumer).unwrap());
        let parts = (0..50).map(|n| part(&(n % 7).to_string(), n, Some(1), "A")).collect();
        let commit = commit(parts);
        let plan = || {
            let (topics, headers) = (Arc::clone(&topics), Headers::None);
            let plan = Plan { topics, levels: true, headers, round: 0 };
            format!("{:?}", plan.published(&commit))
        };
        assert_eq!(plan(), plan());
    });
}
