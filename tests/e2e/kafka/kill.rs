//! What it proves: exactly once into Kafka for every consumer that reads what is committed,
//! although tailstock and brokers are killed; at least once with equal bytes where that was asked
//! for.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use testbed::{Kafka, KafkaOptions, MysqlVersion, PgVersion};

use crate::e2e::sessions::{Expected, Sessions, create, levels, seller};
use crate::support::{
    Engine, Event, Random, Shop, Tailstock, Topics, Workspace, assert_exactly, by_key,
    is_full_size, own_cluster, shared_broker,
};

/// A shop at work that is followed into topics of its own.
struct Scene {
    shop: Shop,
    topics: Topics,
    workspace: Workspace,
    random: Random,
}

impl Scene {
    async fn new(kafka: &Kafka, options: &str, test: &str) -> Option<Self> {
        Self::on(PgVersion::V15.into(), kafka, options, test).await
    }

    async fn on(engine: Engine, kafka: &Kafka, options: &str, test: &str) -> Option<Self> {
        let shop = Shop::start(engine, test).await?;
        create(&shop).await;
        let topics = Topics::new(&kafka.bootstrap());
        let workspace = Workspace::new(&topics.main_file(options), &seller(&shop));
        let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
        assert!(first.wait(Duration::from_secs(60)).await.success(), "{}", first.log());
        Some(Self { shop, topics, workspace, random: Random::from_environment(test) })
    }

    /// Kills tailstock again and again while the shop changes; `trouble` happens beside each run.
    async fn kill(&mut self, kills: u64, mut trouble: impl AsyncFnMut(u64)) -> Expected {
        let rows = if is_full_size() { 50_000 } else { 20_000 };
        let sessions = Sessions::start(&self.shop, rows, &mut self.random).await;
        for kill in 0..kills {
            // Long enough that most runs commit something: a takeover takes half a second.
            let delay = Duration::from_millis(100 + self.random.below(1900));
            let run = Tailstock::start(&self.workspace, &["run"]);
            tokio::join!(run.kill_after(delay), trouble(kill));
        }
        let expected = sessions.join().await;
        let mut last = Tailstock::start(&self.workspace, &["run", "--until-current"]);
        assert!(last.wait(Duration::from_secs(180)).await.success(), "{}", last.log());
        expected
    }

    async fn assert_exactly_once(&self, expected: &Expected) {
        let found = by_key(self.topics.events());
        let log = std::fs::read_to_string(self.workspace.path("log.txt")).unwrap();
        assert_exactly(&found, expected, &log);
        self.assert_one_value_an_id();
        self.assert_levels().await;
    }

    /// Those who read what may be taken back see what was tried; never two values under one id.
    fn assert_one_value_an_id(&self) {
        let mut values = HashMap::new();
        for record in self.topics.uncommitted("stock.events.v1") {
            let id = record.json()["id"].as_str().unwrap().to_owned();
            let value = record.value.clone();
            let first = values.entry(id).or_insert_with(|| value.clone());
            assert_eq!(*first, value, "two values under one id");
        }
    }

    async fn assert_levels(&self) {
        assert_eq!(self.topics.levels(), levels(&self.shop).await, "folded levels");
        assert_eq!(self.topics.committed("stock.dlq.v1"), []);
    }
}

fn kills() -> u64 {
    if is_full_size() { 40 } else { 8 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn into_kafka_every_change_is_published_exactly_once_although_tailstock_is_killed() {
    let test = "into_kafka_every_change_is_published_exactly_once";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(mut scene) = Scene::new(kafka, "", test).await else { return };
    let expected = scene.kill(kills(), async |_| ()).await;
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn into_kafka_every_change_of_mysql_is_published_exactly_once_although_tailstock_is_killed() {
    let test = "into_kafka_every_change_of_mysql_is_published_exactly_once";
    let Some(kafka) = shared_broker(test).await else { return };
    let engine = Engine::from(MysqlVersion::Mysql97);
    let Some(mut scene) = Scene::on(engine, kafka, "", test).await else { return };
    let expected = scene.kill(kills(), async |_| ()).await;
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn into_kafka_every_change_of_mariadb_is_published_exactly_once_although_tailstock_is_killed()
{
    let test = "into_kafka_every_change_of_mariadb_is_published_exactly_once";
    let Some(kafka) = shared_broker(test).await else { return };
    let engine = Engine::from(MysqlVersion::Mariadb118).setting("binlog_row_metadata", "FULL");
    let Some(mut scene) = Scene::on(engine, kafka, "", test).await else { return };
    let expected = scene.kill(kills(), async |_| ()).await;
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_at_least_once_nothing_is_missing_and_repetitions_have_equal_bytes() {
    let test = "with_at_least_once_nothing_is_missing";
    let Some(kafka) = shared_broker(test).await else { return };
    let options = "delivery = \"at_least_once\"";
    let Some(mut scene) = Scene::new(kafka, options, test).await else { return };
    let expected = scene.kill(kills(), async |_| ()).await;
    scene.assert_one_value_an_id();
    // What a consumer does that drops what it has seen.
    let mut seen = BTreeMap::new();
    for event in scene.topics.events() {
        seen.entry((event.key.clone(), event.version.clone())).or_insert(event);
    }
    let found: Vec<Event> = seen.into_values().collect();
    assert_exactly(&by_key(found), &expected, "");
    scene.assert_levels().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_once_survives_a_broker_that_is_killed_and_restarted() {
    let test = "exactly_once_survives_a_broker_that_is_killed";
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let Some(mut scene) = Scene::new(&kafka, "", test).await else { return };
    let (kills, broker_kills) = if is_full_size() { (40, 5) } else { (6, 2) };
    let every = kills / broker_kills;
    let expected = scene
        .kill(kills, async |kill| {
            if kill % every == every / 2 {
                tokio::task::block_in_place(|| {
                    kafka.kill(0);
                    kafka.start_again(0).unwrap();
                });
            }
        })
        .await;
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_once_survives_rolling_restarts_of_three_brokers() {
    let test = "exactly_once_survives_rolling_restarts";
    let Some(kafka) = own_cluster(KafkaOptions::default().brokers(3), test).await else { return };
    let Some(mut scene) = Scene::new(&kafka, "", test).await else { return };
    let kills = if is_full_size() { 40 } else { 6 };
    let every = kills / 3;
    let expected = scene
        .kill(kills, async |kill| {
            if kill % every == 0 && kill / every < 3 {
                let nth = usize::try_from(kill / every).unwrap();
                tokio::task::block_in_place(|| {
                    kafka.stop(nth);
                    kafka.start_again(nth).unwrap();
                });
            }
        })
        .await;
    scene.assert_exactly_once(&expected).await;
}
