//! What is published and lives, read back from a real broker.

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};

use super::*;
use crate::sink::{LevelKey, ShardState};

fn level(key: &str, ordinal: u32) -> LevelKey {
    LevelKey {
        key: key.to_owned(),
        version: Version { epoch: 1, coordinate: 1, ordinal },
        table: "public.stock".to_owned(),
        sku: Some("A \"quoted\"".to_owned()),
    }
}

fn said(item: &str, ordinal: u32, on_hand: Option<i64>) -> Part {
    part(item, ordinal, on_hand, "A \"quoted\"")
}

async fn levels_of(state: &dyn ShardState, seller: &str) -> Vec<LevelKey> {
    state.levels(&SellerId::new(seller), &SourceName::new("main")).await.unwrap()
}

/// Publishes and reads back.
async fn levels_are_those_of_one_source(options: Arc<KafkaOptions>) {
    let sink = Kafka { options };
    let Opened { mut writer, state, .. } = sink.open(Shard(0)).await.unwrap();
    assert_eq!(levels_of(state.as_ref(), "acme").await, []);
    let mut first: Vec<Part> = (0..20).map(|n| said(&n.to_string(), n, Some(1))).collect();
    first.push(said("a/b %", 30, Some(1)));
    first.push(part_of("acme2", "1", (1, Some(1)), "A"));
    first.push(part_of("acm", "e/main", (1, Some(1)), "A"));
    writer.commit(commit(first)).await.unwrap();
    let changed = (5..20).map(|n| said(&n.to_string(), 100 + n, (n < 10).then_some(2)));
    writer.commit(commit(changed.collect())).await.unwrap();
    let mut expected: Vec<LevelKey> = (0..10)
        .map(|n| level(&format!("acme/main/{n}/_"), if n < 5 { n } else { 100 + n }))
        .collect();
    expected.push(level("acme/main/a%2Fb%20%25/_", 30));
    assert_eq!(levels_of(state.as_ref(), "acme").await, expected);
    let of_acm = levels_of(state.as_ref(), "acm").await;
    assert_eq!(of_acm.len(), 1, "{of_acm:?}");
    assert_eq!(levels_of(state.as_ref(), "nobody").await, []);
}

#[tokio::test]
async fn levels_are_the_last_of_each_key_of_one_source_without_what_was_removed() {
    let Some(options) = options("levels_are_the_last") else { return };
    levels_are_those_of_one_source(options).await;
}

#[tokio::test]
async fn without_a_topic_of_levels_they_are_read_from_the_events() {
    let Some(options) = options("levels_from_events") else { return };
    let mut options = KafkaOptions::clone(&options);
    options.config.levels = false;
    levels_are_those_of_one_source(Arc::new(options)).await;
}

#[tokio::test]
async fn a_source_that_is_forgotten_leaves_tombstones() {
    let Some(options) = options("a_source_that_is_forgotten") else { return };
    let sink = Kafka { options: Arc::clone(&options) };
    let Opened { mut writer, state, .. } = sink.open(Shard(0)).await.unwrap();
    let (acme, main) = (SellerId::new("acme"), SourceName::new("main"));
    let row = |value| crate::sink::RowEntry { table: "t".to_owned(), pk: "1".to_owned(), value };
    let mut first = said("a/b", 1, Some(1));
    first.rows.push(row(Some("a".to_owned())));
    let parts = vec![first, said("c", 2, Some(1)), part_of("other", "a", (1, Some(1)), "A")];
    writer.commit(commit(parts)).await.unwrap();
    let levels = levels_of(state.as_ref(), "acme").await;
    let forgets =
        crate::sink::Forgets { levels: levels.into_iter().map(|level| level.key).collect() };
    let rows = vec![row(None)];
    let checkpoint = Some("forgotten".to_owned());
    let part = Part { rows, forgets, checkpoint, ..Part::empty(acme.clone(), main.clone()) };
    writer.commit(commit(vec![part])).await.unwrap();
    let state = sink.open(Shard(0)).await.unwrap().state;
    let mut stored = state.load(&acme, &main).await.unwrap();
    assert_eq!(stored.checkpoint.as_deref(), Some("forgotten"));
    assert_eq!(stored.all_rows().await.unwrap(), vec![]);
    assert_eq!(levels_of(state.as_ref(), "acme").await, []);
    assert_eq!(levels_of(state.as_ref(), "other").await.len(), 1);
    tokio::task::spawn_blocking(move || {
        assert_eq!(committed(&options, Topic::Events).len(), 3);
        let levels = committed(&options, Topic::Levels);
        let of = |wanted: &str| {
            let states = levels.iter().filter(|(key, _)| key == wanted);
            states.map(|(_, value)| value.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(of("acme/main/a%2Fb/_"), [true, false]);
        assert_eq!(of("other/main/a/_"), [true]);
    })
    .await
    .unwrap();
}

/// Gives topics one partition more than the two they have.
pub(super) async fn add_a_partition(options: &KafkaOptions) {
    let admin: AdminClient<Told> =
        client::config(options, &[]).create_with_context(Told::new(options)).unwrap();
    let names = [Topic::Events, Topic::Levels].map(|topic| options.topic(topic));
    let more: Vec<_> = names.iter().map(|name| NewPartitions::new(name, 3)).collect();
    for outcome in admin.create_partitions(&more, &AdminOptions::new()).await.unwrap() {
        outcome.unwrap();
    }
    let reached = || {
        let asking = asker(options).unwrap();
        let wait = Duration::from_secs(10);
        names.iter().all(|name| {
            let metadata = asking.fetch_metadata(Some(name), wait).unwrap();
            let partitions = metadata.topics()[0].partitions();
            partitions.len() == 3 && partitions.iter().all(|partition| partition.leader() >= 0)
        })
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !tokio::task::block_in_place(reached) {
        assert!(Instant::now() < deadline, "the new partitions are not led");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_left_in_the_partition_it_had_before_gives_way_to_what_came_later() {
    let Some(options) = options("levels_that_moved") else { return };
    let Opened { mut writer, .. } =
        Kafka { options: Arc::clone(&options) }.open(Shard(0)).await.unwrap();
    let first = (0..40).map(|n| said(&n.to_string(), n, Some(1))).collect();
    writer.commit(commit(first)).await.unwrap();
    drop(writer);
    add_a_partition(&options).await;
    let mut options = KafkaOptions::clone(&options);
    options.config.partitions = Some(3);
    let Opened { mut writer, state, .. } =
        Kafka { options: Arc::new(options) }.open(Shard(0)).await.unwrap();
    let changed = (10..40).map(|n| said(&n.to_string(), 100 + n, (n < 20).then_some(2)));
    writer.commit(commit(changed.collect())).await.unwrap();
    let mut expected: Vec<LevelKey> = (0..20)
        .map(|n| level(&format!("acme/main/{n}/_"), if n < 10 { n } else { 100 + n }))
        .collect();
    expected.sort();
    assert_eq!(levels_of(state.as_ref(), "acme").await, expected);
}

#[tokio::test]
async fn of_many_sellers_that_want_to_know_what_is_published_one_reads_at_a_time() {
    let options = Arc::new(options_of("one_reads_at_a_time", String::new()));
    let topics = Arc::new(topics::Topics::for_test());
    let state = stored::State::new(&options, &topics, stored::Contents::default());
    let reading = Arc::clone(&state.comparing).acquire_owned().await.unwrap();
    let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
    let mut next = Box::pin(crate::sink::ShardState::levels(&state, &seller, &source));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(next.as_mut().poll(&mut context).is_pending());
    drop(reading);
    // The one that waited has the turn.
    assert_eq!(state.comparing.available_permits(), 0);
    drop(next);
    assert_eq!(state.comparing.available_permits(), 1);
}
