//! Topics that are not what they were: for whoever works, and for whoever begins.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};

use super::levels::add_a_partition;
use super::relaxed::AtLeastOnce;
use super::transaction::{Outlet, Undone};
use super::whole::delete;
use super::writer::Commits as _;
use super::*;

fn admin(options: &KafkaOptions) -> AdminClient<Told> {
    client::config(options, &[]).create_with_context(Told::new(options)).unwrap()
}

/// The same where the configuration takes whatever number of partitions there is.
fn with_any_partitions(options: &KafkaOptions) -> KafkaOptions {
    let mut any = options.clone();
    any.config.partitions = None;
    any
}

async fn refused(options: KafkaOptions) -> Error {
    match Kafka::new(options).open(Shard(0)).await {
        Err(OpenError::Failed(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_refuses_the_topics_shuts_out_nobody_who_works_with_them() {
    let Some(options) = options("refuses_the_topics") else { return };
    let working = Kafka { options: Arc::clone(&options) };
    let Opened { mut writer, .. } = working.open(Shard(0)).await.unwrap();
    add_a_partition(&options).await;
    let mut other = with_any_partitions(&options);
    // Levels of a key would stand in two partitions.
    let error = refused(other.clone()).await;
    assert!(error.to_string().contains("has 3 partitions and had 2"), "{error}");
    assert_eq!(error.fix(), Some("set sink.topic_prefix for new topics"));
    other.config.levels = false;
    let error = refused(other).await;
    assert!(error.fix().unwrap().contains("set sink.partitions = 3"), "{error}");
    let outcome = writer.commit(commit(vec![part("1", 1, Some(1), "A")])).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// Deletes the topic of events and makes it with one partition instead of two.
async fn make_again_smaller(options: &KafkaOptions) {
    delete(options, Topic::Events).await;
    let name = options.topic(Topic::Events);
    let new = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    let made = admin(options).create_topics(&[new], &AdminOptions::new()).await.unwrap();
    assert!(made[0].is_ok(), "{made:?}");
}

/// Waits until a producer that sends nothing has heard of it.
fn await_smaller(outlet: &Outlet) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while outlet.partitions(Topic::Events) != 1 {
        assert!(Instant::now() < deadline, "it has not heard of it");
    }
}

/// An item of the partition that is there no more.
fn item() -> String {
    let mut items = (0..).map(|n: u32| n.to_string());
    items.find(|item| partition::of_item("acme", item, 2) == 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_has_gone_unnoticed_is_no_reason_to_try_for_ever() {
    let Some(options) = options("a_partition_that_has_gone") else { return };
    let sink = Kafka { options: Arc::clone(&options) };
    drop(sink.open(Shard(0)).await.unwrap());
    let options = Arc::new(with_any_partitions(&options));
    let outlet = tokio::task::block_in_place(|| {
        let asking = asker(&options).unwrap();
        let topics = Arc::new(topics::prepare(&options, &asking).unwrap());
        Outlet::transactional(&options, &topics, "one").unwrap()
    });
    let record = |value: &'static str| {
        let record =
            Record::private(Topic::Events, b"acme/main/1/_".into(), Some(value.as_bytes().into()));
        [Record { partition: 1, ..record }]
    };
    assert!(outlet.commit(&record("1")).is_ok());
    make_again_smaller(&options).await;
    tokio::task::block_in_place(|| await_smaller(&outlet));
    match outlet.commit(&record("2")) {
        Err(Undone::Unknown(_)) => {}
        Err(Undone::Aborted(error)) => panic!("it would be tried again: {error}"),
        Err(Undone::Fenced(error)) => panic!("{error}"),
        Ok(()) => panic!("it is stored"),
    }
    let error = refused(KafkaOptions::clone(&options)).await;
    assert!(error.to_string().contains("has 1 partitions and had 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_it_without_transactions() {
    let Some(options) = options("a_partition_that_has_gone_relaxed") else { return };
    let mut writer = tokio::task::block_in_place(|| AtLeastOnce::start(take(&options)).unwrap());
    let commit = |ordinal| commit(vec![part(&item(), ordinal, Some(1), "A")]);
    assert!(writer.commit(&commit(1)).is_ok());
    make_again_smaller(&options).await;
    tokio::task::block_in_place(|| await_smaller(&writer.outlet));
    let outcome = writer.commit(&commit(2));
    assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
}

#[test]
fn what_is_left_of_a_topic_is_read_although_its_beginning_goes_meanwhile() {
    let Some(options) = options("its_beginning_goes") else { return };
    on_runtime(move || {
        // Little by little, so that what is to go has not been fetched before.
        let options = with_property(&options, "fetch.message.max.bytes", "1000");
        let options = with_property(&options, "queued.min.messages", "1");
        let mut owned = take(&options);
        let mut publish = |ordinal| {
            let commit = commit(vec![part("1", ordinal, Some(1), "A")]);
            commit_all(&mut owned, &commit).unwrap();
        };
        (0..60).for_each(&mut publish);
        let (name, partition) = (options.topic(Topic::Events), partition::of_item("acme", "1", 2));
        // Each of them is a record and the mark of its transaction.
        let (goes, end) = (80, 120);
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(&name, partition, Offset::Offset(goes)).unwrap();
        let mut found = Vec::new();
        scan::scan(&options, &[(Topic::Events, partition)], |_, record| {
            if found.is_empty() {
                let (admin, how) = (admin(&options), AdminOptions::new());
                let deleted = admin.delete_records(&before, &how);
                tokio::runtime::Handle::current().block_on(deleted).unwrap();
                publish(60);
            }
            found.push(record.offset());
            Ok(())
        })
        .unwrap();
        assert!(found.len() < 60, "nothing went before it was read: {found:?}");
        found.retain(|offset| (goes..end).contains(offset));
        assert_eq!(found, (goes..end).step_by(2).collect::<Vec<_>>());
    });
}
