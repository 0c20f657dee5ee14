//! What it proves: whatever happens to brokers, nothing is lost or doubled, the shop's server is
//! answered throughout, and tailstock goes on by itself or says what a person has to do.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rustix::process::Signal;
use testbed::{Kafka, KafkaOptions, PgVersion};

use super::acl::{Of, Says, rule};
use crate::e2e::sessions::{Expected, Sessions, create, levels, seller};
use crate::support::{
    Engine, Random, Shop, Tailstock, Topics, Workspace, assert_exactly, by_key, eventually,
    own_cluster, shared_broker,
};

pub(super) const LIMIT: Duration = Duration::from_secs(90);

/// A shop that changes while tailstock runs.
pub(super) struct Scene {
    pub(super) shop: Shop,
    pub(super) topics: Topics,
    pub(super) workspace: Workspace,
    pub(super) run: Tailstock,
    pub(super) random: Random,
}

impl Scene {
    pub(super) async fn start(kafka: &Kafka, options: &str, test: &str) -> Option<Self> {
        // A client that is not heard of for this long is thrown out: less than brokers are away,
        // and more than a busy machine lets a process wait for a processor.
        let engine = Engine::from(PgVersion::V15).setting("wal_sender_timeout", "6s");
        Self::on(engine, kafka, options, test).await
    }

    pub(super) async fn on(
        engine: Engine,
        kafka: &Kafka,
        options: &str,
        test: &str,
    ) -> Option<Self> {
        let shop = Shop::start(engine, test).await?;
        create(&shop).await;
        let topics = Topics::new(&kafka.bootstrap());
        let workspace = Workspace::new(&topics.main_file(options), &seller(&shop));
        let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
        assert!(first.wait(LIMIT).await.success(), "{}", first.log());
        if shop.is_mysql() {
            has_no_reader(&shop).await;
        }
        let run = Tailstock::start(&workspace, &["run"]);
        let scene = Self { shop, topics, workspace, run, random: Random::from_environment(test) };
        scene.reader().await;
        Some(scene)
    }

    /// What of the server tailstock reads the log from: another one behind every connection.
    pub(super) async fn reader(&self) -> String {
        let sql = match self.shop.is_mysql() {
            false => "SELECT coalesce(max(active_pid)::text, '') FROM pg_replication_slots",
            true => {
                "SELECT coalesce(max(id), '') FROM information_schema.processlist
                 WHERE command LIKE 'Binlog Dump%'"
            }
        };
        eventually("a connection", LIMIT, async || {
            Some(self.shop.text(sql).await).filter(|id| !id.is_empty())
        })
        .await
    }

    /// Ends tailstock and publishes what it has left; what all of them have printed.
    pub(super) async fn catch_up(&mut self) -> String {
        self.run.signal(Signal::TERM);
        assert!(self.run.wait(LIMIT).await.success(), "{}", self.run.log());
        let mut last = Tailstock::start(&self.workspace, &["run", "--until-current"]);
        assert!(last.wait(LIMIT).await.success(), "{}", last.log());
        last.log()
    }

    /// Ends tailstock, catches up, and compares.
    pub(super) async fn assert_exactly_once(self, expected: &Expected) {
        let others = self.assert_exactly_once_beside_others(expected).await;
        assert_eq!(others, BTreeMap::new());
    }

    /// The same where others than the sessions have changed items of small numbers: how many events
    /// each key of theirs has.
    pub(super) async fn assert_exactly_once_beside_others(
        mut self,
        expected: &Expected,
    ) -> BTreeMap<String, usize> {
        let log = self.catch_up().await;
        let (found, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            by_key(self.topics.events()).into_iter().partition(|(key, _)| is_of_a_session(key));
        assert_exactly(&found, expected, &log);
        assert_eq!(self.topics.levels(), levels(&self.shop).await, "folded levels");
        others.into_iter().map(|(key, events)| (key, events.len())).collect()
    }
}

/// Waits until a server of MySQL's family has seen that whoever read its log has gone, which it
/// does when it has something for them.
async fn has_no_reader(shop: &Shop) {
    eventually("nobody reads the log", LIMIT, async || {
        shop.execute("FLUSH BINARY LOGS").await;
        let dumps = "SELECT count(*) FROM information_schema.processlist
                     WHERE command LIKE 'Binlog Dump%'";
        (shop.text(dumps).await == "0").then_some(())
    })
    .await;
}

/// Whether sessions have changed it, whose items have numbers that nobody else gives.
fn is_of_a_session(key: &str) -> bool {
    key.split('/').nth(2).unwrap().parse::<i64>().unwrap() >= 10_000_000
}

/// As long as it would take: everything the shop and the brokers do goes on meanwhile.
pub(super) async fn pass(time: Duration) {
    let never = std::future::pending::<()>();
    assert!(tokio::time::timeout(time, never).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_answers_nobody_for_a_while_delays_and_the_shop_is_answered_meanwhile() {
    let test = "a_broker_that_answers_nobody_for_a_while";
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let Some(mut scene) = Scene::start(&kafka, "", test).await else { return };
    let reader = scene.reader().await;
    let sessions = Sessions::start(&scene.shop, 4000, &mut scene.random).await;
    kafka.pause(0);
    pass(Duration::from_secs(8)).await;
    kafka.resume(0);
    let expected = sessions.join().await;
    assert_eq!(scene.reader().await, reader, "{}", scene.run.log());
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_outlives_its_time_limit_is_told_from_a_takeover_and_repeated() {
    let test = "a_transaction_that_outlives_its_time_limit";
    let settings = KafkaOptions::default()
        .setting("transaction.abort.timed.out.transaction.cleanup.interval.ms", "200");
    let Some(kafka) = own_cluster(settings, test).await else { return };
    let options = "[sink.properties]\n\"transaction.timeout.ms\" = 1000\n";
    let Some(mut scene) = Scene::start(&kafka, options, test).await else { return };
    let sessions = Sessions::start(&scene.shop, 8000, &mut scene.random).await;
    eventually("it sleeps within a transaction", LIMIT, async || {
        let insert = "INSERT INTO stock SELECT g, 'w9', 'A', 1 FROM generate_series(1, 3000) g;
                      DELETE FROM stock WHERE warehouse = 'w9'";
        scene.shop.execute(insert).await;
        let delay = Duration::from_millis(scene.random.below(100));
        scene.run.signal_after(Signal::STOP, delay).await;
        if scene.topics.has_open_transaction() {
            // An end that was on its way has arrived.
            pass(Duration::from_millis(300)).await;
            if scene.topics.has_open_transaction() {
                return Some(());
            }
        }
        scene.run.signal(Signal::CONT);
        None
    })
    .await;
    eventually("the broker aborts it", LIMIT, async || {
        (!scene.topics.has_open_transaction()).then_some(())
    })
    .await;
    scene.run.signal(Signal::CONT);
    eventually("it says so", LIMIT, async || {
        scene.run.log().contains("outlived its time limit").then_some(())
    })
    .await;
    let expected = sessions.join().await;
    scene.run.signal(Signal::TERM);
    assert!(scene.run.wait(LIMIT).await.success(), "{}", scene.run.log());
    let mut last = Tailstock::start(&scene.workspace, &["run", "--until-current"]);
    assert!(last.wait(LIMIT).await.success(), "{}", last.log());
    // What was put in and taken out again above is not what this is about.
    let mut found = by_key(scene.topics.events());
    found.retain(|key, _| key.ends_with("/w1"));
    assert_exactly(&found, &expected, &last.log());
}

pub(super) fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_stops_tailstock_with_the_command_that_makes_it_again() {
    let test = "a_topic_that_is_deleted";
    let Some(kafka) = shared_broker(test).await else { return };
    let options = "[sink.properties]\n\"topic.metadata.refresh.interval.ms\" = 1000\n";
    let Some(mut scene) = Scene::start(kafka, options, test).await else { return };
    let topic = scene.topics.name("stock.levels.v1");
    let deleted = admin(kafka).delete_topics(&[&topic], &AdminOptions::new()).await.unwrap();
    assert!(deleted[0].is_ok());
    scene.shop.execute("INSERT INTO stock VALUES (1, 'w1', 'A', 1)").await;
    let status = scene.run.wait(LIMIT).await;
    assert_eq!(status.code(), Some(4), "{}", scene.run.log());
    let told = format!("topic {topic} has been deleted");
    assert!(scene.run.log().contains(&told), "{}", scene.run.log());
    assert!(scene.run.log().contains("kafka-topics.sh --bootstrap-server"), "{}", scene.run.log());
    assert!(scene.topics.events().is_empty(), "nothing of it is published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_taken_away_stops_tailstock_with_the_command_that_gives_it() {
    let test = "a_permission_that_is_taken_away";
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                  user_shop=\"sesame\";";
    let settings = KafkaOptions::default()
        .listener("SASL_PLAINTEXT")
        .setting("listener.name.secure.sasl.enabled.mechanisms", "PLAIN")
        .setting("listener.name.secure.plain.sasl.jaas.config", module)
        .acl();
    let Some(kafka) = own_cluster(settings, test).await else { return };
    for of in [Of::Topic, Of::TransactionalId] {
        rule(&kafka, of, "*", Says::AllowAll).await;
    }
    let options = "[sink.properties]\n\"security.protocol\" = \"sasl_plaintext\"\n\
                   \"sasl.mechanism\" = \"PLAIN\"\n\"sasl.username\" = \"shop\"\n\
                   \"sasl.password\" = { file = \"password\" }\n";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    create(&shop).await;
    let topics = Topics::new(&kafka.bootstrap());
    let main = topics.main_file(options).replace(&kafka.bootstrap(), &kafka.secure_bootstrap());
    let workspace = Workspace::new(&main, &seller(&shop));
    std::fs::write(workspace.path("password"), "sesame\n").unwrap();
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());
    let mut run = Tailstock::start(&workspace, &["run"]);
    shop.execute("INSERT INTO stock VALUES (1, 'w1', 'A', 1)").await;
    eventually("an event", LIMIT, async || (topics.events().len() == 1).then_some(())).await;
    rule(&kafka, Of::Topic, &topics.name("stock.events.v1"), Says::DenyWrite).await;
    shop.execute("INSERT INTO stock VALUES (2, 'w1', 'B', 2)").await;
    assert_eq!(run.wait(LIMIT).await.code(), Some(4), "{}", run.log());
    for told in ["Topic authorization failed", "kafka-acls.sh --bootstrap-server"] {
        assert!(run.log().contains(told), "{}", run.log());
    }
    assert_eq!(topics.events().len(), 1);
    assert_eq!(topics.levels().len(), 1, "all of a commit or nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_few_replicas_nothing_is_published_until_they_are_back() {
    let test = "with_too_few_replicas";
    let settings = KafkaOptions::default().brokers(3);
    let Some(kafka) = own_cluster(settings, test).await else { return };
    let options = "[sink.properties]\n\"message.timeout.ms\" = 2000\n";
    let Some(mut scene) = Scene::start(&kafka, options, test).await else { return };
    let topic = scene.topics.name("stock.events.v1");
    let config = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("min.insync.replicas", "3");
    let done = admin(&kafka).alter_configs([&config], &AdminOptions::new()).await.unwrap();
    assert!(done[0].is_ok(), "{done:?}");
    tokio::task::block_in_place(|| kafka.stop(2));
    let reader = scene.reader().await;
    let sessions = Sessions::start(&scene.shop, 2000, &mut scene.random).await;
    let expected = sessions.join().await;
    eventually("it says what it waits for", LIMIT, async || {
        scene.run.log().contains("the cluster does not end a transaction").then_some(())
    })
    .await;
    assert!(scene.topics.uncommitted("stock.events.v1").is_empty());
    tokio::task::block_in_place(|| kafka.start_again(2).unwrap());
    let taken_back = eventually("what was taken back is sent again", LIMIT, async || {
        let log = scene.run.log();
        let at = log.find("nothing was committed")?;
        log[at..].contains("the sink takes commits again").then(|| log[at..].to_owned())
    })
    .await;
    assert!(!taken_back.contains("the sink cannot be used"), "nothing is read anew: {taken_back}");
    assert_eq!(scene.reader().await, reader, "{}", scene.run.log());
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_whose_disk_is_full_ends_and_once_it_has_room_again_nothing_is_missing() {
    let test = "a_broker_whose_disk_is_full";
    let settings = KafkaOptions::default().file_bytes(12 << 20);
    let Some(kafka) = own_cluster(settings, test).await else { return };
    let options = "[sink.properties]\n\"compression.type\" = \"none\"\n";
    let Some(mut scene) = Scene::start(&kafka, options, test).await else { return };
    let reader = scene.reader().await;
    let sessions = Sessions::start(&scene.shop, 2000, &mut scene.random).await;
    let many = "INSERT INTO stock SELECT g, 'w1', 'A', 1 FROM generate_series(1, 40000) g";
    scene.shop.execute(many).await;
    eventually("the broker gives up", LIMIT, async || (!kafka.is_running(0)).then_some(())).await;
    assert!(kafka.broker_log(0).contains("File too large"), "{}", kafka.broker_log(0));
    let expected = sessions.join().await;
    assert_eq!(scene.reader().await, reader, "{}", scene.run.log());
    kafka.kill(0);
    tokio::task::block_in_place(|| kafka.start_again(0).unwrap());
    let many = scene.assert_exactly_once_beside_others(&expected).await;
    assert_eq!(many.len(), 40_000);
    assert!(many.values().all(|events| *events == 1), "each of them once");
}
