//! What it proves: where tailstock's own topics were deleted, and whoever made them again,
//! consumers are told, versions go on, and the numbers are the shop's.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, error::RDKafkaErrorCode as Code};
use testbed::{Kafka, MysqlVersion, PgVersion};

use super::failures::admin;
use crate::support::{Shop, Tailstock, Topics, Workspace, by_version, eventually, shared_broker};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const SUMS: &str = "[[stock]]\ntable = \"public.lots\"\nitem = \"item\"\non_hand = \"qty\"\n\
                    sum = [\"qty\"]\n";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs until all of it is published; what it has said.
async fn run(workspace: &Workspace) -> (Option<i32>, String) {
    let before = std::fs::read_to_string(workspace.path("log.txt")).unwrap_or_default().len();
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    let code = run.wait(LIMIT).await.code();
    (code, run.log()[before..].to_owned())
}

async fn run_well(workspace: &Workspace) {
    let (code, said) = run(workspace).await;
    assert_eq!(code, Some(0), "{said}");
}

async fn delete(kafka: &Kafka, topic: &str) {
    let deleted = admin(kafka).delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    assert!(deleted[0].is_ok(), "{deleted:?}");
    let asking: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    eventually("it is gone", LIMIT, async || {
        let answer = asking.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        let error = answer.topics()[0].error().map(Code::from);
        (error == Some(Code::UnknownTopicOrPartition)).then_some(())
    })
    .await;
}

/// As the person does who is told that it has been deleted.
async fn make_again(kafka: &Kafka, topic: &str) {
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    let made = admin(kafka).create_topics(&[new], &AdminOptions::new()).await.unwrap();
    assert!(made[0].is_ok(), "{made:?}");
}

/// The control records of a kind, and what they say.
fn control(topics: &Topics, kind: &str) -> Vec<serde_json::Value> {
    let all = topics.committed("stock.control.v1").into_iter().map(|record| record.json());
    all.filter(|record| record["kind"] == kind).map(|record| record["detail"].clone()).collect()
}

fn levels(of: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
    let level = |(item, on_hand): &(&str, &str)| {
        (format!("acme/main/{item}/_"), Some((*on_hand).to_owned()))
    };
    of.iter().map(level).collect()
}

async fn versions_go_on(options: &str, test: &str) {
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(MysqlVersion::Mariadb1011, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2), (3, 3)").await;
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(options), &shop.whole_seller(SELLER));
    run_well(&workspace).await;
    shop.execute("RESET MASTER").await;
    run_well(&workspace).await;
    assert_eq!(control(&topics, "gap").len(), 1, "the log was begun anew");
    delete(kafka, &topics.name("tailstock.checkpoints")).await;
    shop.execute("DELETE FROM stock WHERE item = 2").await;
    shop.execute("UPDATE stock SET qty = 10 WHERE item = 1").await;
    run_well(&workspace).await;
    let gaps = control(&topics, "gap");
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert_eq!(gaps[1]["reason"], "its checkpoint is gone from the store");
    assert_eq!(by_version(topics.events()), levels(&[("1", "10"), ("3", "3")]));
    // Another start has nothing to say.
    run_well(&workspace).await;
    assert_eq!(control(&topics, "gap").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_checkpoints_were_deleted_a_gap_is_said_and_consumers_believe_what_follows() {
    versions_go_on("", "where_checkpoints_were_deleted").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_checkpoints_were_deleted_and_no_levels_are_kept_the_events_tell() {
    versions_go_on("levels = false", "where_checkpoints_and_levels").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_deleted_are_read_again_before_anything_is_added_up() {
    let test = "rows_that_were_deleted_are_read_again";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("lots", "id bigint PRIMARY KEY, item bigint, qty int").await;
    shop.execute("INSERT INTO lots VALUES (1, 7, 10), (2, 7, 20), (3, 8, 5)").await;
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(""), &shop.whole_seller(SUMS));
    run_well(&workspace).await;
    assert_eq!(topics.levels(), levels(&[("7", "30"), ("8", "5")]));
    let rows = topics.name("tailstock.rows");
    delete(kafka, &rows).await;
    let (code, said) = run(&workspace).await;
    assert!(code == Some(4) && said.contains("has been deleted"), "{said}");
    make_again(kafka, &rows).await;
    shop.execute("UPDATE lots SET qty = 11 WHERE id = 1").await;
    run_well(&workspace).await;
    assert_eq!(topics.levels(), levels(&[("7", "31"), ("8", "5")]));
    assert!(topics.events().iter().all(|event| event.value["quantity"]["on_hand"] != "11"));
    let begun = control(&topics, "snapshot_started");
    let reason = format!("topic {rows} had lost something");
    assert_eq!(begun.last().unwrap()["reason"], reason.as_str());
    run_well(&workspace).await;
    assert_eq!(control(&topics, "snapshot_started").len(), begun.len(), "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_checkpoints_were_deleted_rows_that_went_meanwhile_are_not_added_up() {
    let test = "rows_that_went_meanwhile";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(MysqlVersion::Mariadb1011, test).await else { return };
    shop.create("lots", "id bigint PRIMARY KEY, item bigint, qty int").await;
    shop.execute("INSERT INTO lots VALUES (1, 7, 10), (2, 7, 20), (3, 8, 5)").await;
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(""), &shop.whole_seller(SUMS));
    run_well(&workspace).await;
    assert_eq!(topics.levels(), levels(&[("7", "30"), ("8", "5")]));
    delete(kafka, &topics.name("tailstock.checkpoints")).await;
    shop.execute("DELETE FROM lots WHERE id IN (2, 3)").await;
    run_well(&workspace).await;
    assert_eq!(topics.levels(), levels(&[("7", "10")]));
    assert_eq!(by_version(topics.events()), topics.levels());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_that_are_kept_again_have_every_key() {
    let test = "levels_that_are_kept_again";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2)").await;
    let topics = Topics::new(&kafka.bootstrap());
    let with = Workspace::new(&topics.main_file(""), &shop.whole_seller(SELLER));
    let without = Workspace::new(&topics.main_file("levels = false"), &shop.whole_seller(SELLER));
    run_well(&without).await;
    run_well(&with).await;
    assert_eq!(topics.levels(), levels(&[("1", "1"), ("2", "2")]));
    run_well(&without).await;
    shop.execute("DELETE FROM stock WHERE item = 2").await;
    run_well(&without).await;
    assert_eq!(topics.levels(), levels(&[("1", "1"), ("2", "2")]), "they stay as they were");
    run_well(&with).await;
    assert_eq!(topics.levels(), levels(&[("1", "1")]));
    // As the person does who is told that it has been deleted.
    let topic = topics.name("stock.levels.v1");
    delete(kafka, &topic).await;
    make_again(kafka, &topic).await;
    run_well(&with).await;
    assert_eq!(topics.levels(), levels(&[("1", "1")]));
}
