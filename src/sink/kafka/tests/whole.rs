//! What topics lack, found at a real broker; and producers that nobody answers.

use std::collections::BTreeSet;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};

use super::relaxed::AtLeastOnce;
use super::writer::Commits as _;
use super::*;
use crate::sink::{Remains, ShardState, Stored};

pub(super) async fn delete(options: &KafkaOptions, topic: Topic) {
    let admin: AdminClient<Told> =
        client::config(options, &[]).create_with_context(Told::new(options)).unwrap();
    let name = options.topic(topic);
    let deleted = admin.delete_topics(&[&name], &AdminOptions::new()).await.unwrap();
    assert!(deleted[0].is_ok(), "{deleted:?}");
    let asking = asker(options).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_there = || {
        let metadata = asking.fetch_metadata(Some(&name), Duration::from_secs(10)).unwrap();
        !metadata.topics()[0].partitions().is_empty()
    };
    while tokio::task::block_in_place(is_there) {
        assert!(Instant::now() < deadline, "{name} is still there");
    }
}

async fn remains_of(state: &dyn ShardState, seller: &str) -> Option<Remains> {
    state.remains(&SellerId::new(seller), &SourceName::new("main")).await.unwrap()
}

async fn load(state: &dyn ShardState) -> Stored {
    state.load(&SellerId::new("acme"), &SourceName::new("main")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_a_checkpoint_is_looked_for_only_where_checkpoints_were_lost() {
    let Some(options) = options("checkpoints_were_lost") else { return };
    let sink = Kafka { options: Arc::clone(&options) };
    let Opened { mut writer, state, .. } = sink.open(Shard(0)).await.unwrap();
    assert_eq!(remains_of(state.as_ref(), "acme").await, None);
    let parts = vec![part("1", 1, Some(1), "A"), part_of("gone", "1", (1, Some(1)), "A")];
    writer.commit(commit(parts)).await.unwrap();
    writer.commit(commit(vec![part_of("gone", "1", (2, None), "A")])).await.unwrap();
    let state = sink.open(Shard(0)).await.unwrap().state;
    assert_eq!(remains_of(state.as_ref(), "acme").await, None, "nothing was lost");
    delete(&options, Topic::Checkpoints).await;
    // For every later start too: not every source begins at once.
    for _ in 0..2 {
        let state = sink.open(Shard(0)).await.unwrap().state;
        assert!(load(state.as_ref()).await.checkpoint.is_none());
        let tables = BTreeSet::from(["public.stock".to_owned()]);
        assert_eq!(remains_of(state.as_ref(), "acme").await, Some(Remains { epoch: 1, tables }));
        let without_levels = Some(Remains { epoch: 1, tables: BTreeSet::new() });
        assert_eq!(remains_of(state.as_ref(), "gone").await, without_levels);
        assert_eq!(remains_of(state.as_ref(), "new").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_something_is_told_with_each_checkpoint_until_another_one_is_stored() {
    let Some(options) = options("topics_that_lack_something") else { return };
    let mut without = KafkaOptions::clone(&options);
    without.config.levels = false;
    let without = Kafka { options: Arc::new(without) };
    let sink = Kafka { options: Arc::clone(&options) };
    let mut writer = without.open(Shard(0)).await.unwrap().writer;
    writer.commit(commit(vec![part("1", 1, Some(1), "A")])).await.unwrap();
    let state = without.open(Shard(0)).await.unwrap().state;
    assert!(load(state.as_ref()).await.lacking.is_empty());
    let wanted = [format!("topic {}", options.topic(Topic::Levels))];
    for _ in 0..2 {
        let state = sink.open(Shard(0)).await.unwrap().state;
        // As it is read when the shard is taken, and as it is read later.
        for _ in 0..2 {
            assert_eq!(load(state.as_ref()).await.lacking, wanted);
        }
    }
    let mut writer = sink.open(Shard(0)).await.unwrap().writer;
    writer.commit(commit(vec![part("1", 2, Some(1), "A")])).await.unwrap();
    let state = sink.open(Shard(0)).await.unwrap().state;
    for _ in 0..2 {
        assert!(load(state.as_ref()).await.lacking.is_empty());
    }
}

/// The library may have forgotten every broker, and a producer that is made anew has not.
#[test]
fn with_at_least_once_a_producer_that_has_waited_in_vain_is_made_anew() {
    let test = "waited_in_vain";
    let settings = BrokerOptions::default().controlled();
    let Some(kafka) = testbed::kafka_or_skip(&settings, test) else { return };
    let options = options_of(test, kafka.bootstrap());
    let options = with_property(&options, "message.timeout.ms", "4000");
    on_runtime(move || {
        let mut writer = AtLeastOnce::start(take(&options)).unwrap();
        let commit = commit(vec![part("1", 1, Some(1), "A")]);
        assert!(writer.commit(&commit).is_ok());
        kafka.pause(0);
        let outcome = writer.commit(&commit);
        assert!(matches!(outcome, Err(CommitError::NotCommitted(_))), "{outcome:?}");
        // However often it is tried, and however short each time is.
        writer.outlet.wait_longer();
        let outcome = writer.commit(&commit);
        assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
        kafka.resume(0);
    });
}

/// The process that wrote the first levels may be the only one there ever was.
#[tokio::test(flavor = "multi_thread")]
async fn levels_that_are_made_again_are_missed_at_the_second_start() {
    for (delivery, test) in
        [(Delivery::ExactlyOnce, "levels_again"), (Delivery::AtLeastOnce, "levels_again_relaxed")]
    {
        let Some(options) = options(test) else { return };
        let mut options = KafkaOptions::clone(&options);
        options.config.delivery = delivery;
        let options = Arc::new(options);
        let sink = Kafka { options: Arc::clone(&options) };
        let mut writer = sink.open(Shard(0)).await.unwrap().writer;
        let outcome = writer.commit(commit(vec![part("1", 1, Some(1), "A")])).await.unwrap();
        if let Committed::Published(stored) = outcome {
            stored.await.unwrap().unwrap();
        }
        drop(writer);
        delete(&options, Topic::Levels).await;
        let Err(OpenError::Failed(error)) = sink.open(Shard(0)).await else { panic!("it opened") };
        assert!(error.to_string().contains("has been deleted"), "{error}");
        let admin: AdminClient<Told> =
            client::config(&options, &[]).create_with_context(Told::new(&options)).unwrap();
        let name = options.topic(Topic::Levels);
        let new = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
        let new = new.set("cleanup.policy", "compact");
        assert!(admin.create_topics(&[new], &AdminOptions::new()).await.unwrap()[0].is_ok());
        let state = sink.open(Shard(0)).await.unwrap().state;
        assert_eq!(load(state.as_ref()).await.lacking, [format!("topic {name}")], "{delivery:?}");
    }
}
