//! What it proves: brokers that are not there, come and go, or answer nobody for long are waited
//! for, in bounded memory, and what becomes of a commit that nobody answers is read, not guessed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use testbed::{KafkaOptions, MysqlVersion, PgVersion};

use super::failures::{LIMIT, Scene, admin, pass};
use crate::e2e::large::peak_rss_mib;
use crate::e2e::sessions::{Sessions, create, levels, seller};
use crate::support::{
    Engine, Event, Shop, Tailstock, Topics, Workspace, assert_exactly, by_key, eventually,
    is_full_size, own_cluster, readiness, shared_broker,
};

/// How long a run with an end of its own may take to give up, and how long it must not.
const GIVING_UP: std::ops::Range<Duration> = Duration::from_secs(59)..Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_down_at_the_start_is_waited_for_and_readyz_says_why() {
    let test = "a_broker_that_is_down_at_the_start";
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    create(&shop).await;
    kafka.kill(0);
    let topics = Topics::new(&kafka.bootstrap());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = topics.main_file("").replace("listen = \"\"", &format!("listen = \"{address}\""));
    let service = Workspace::new(&main, &seller(&shop));
    let mut run = Tailstock::start(&service, &["run"]);
    let ready = async |wanted: &str, why: &str| {
        eventually(why, LIMIT, async || {
            let answer = readiness(address).await?;
            (answer.contains(wanted) && answer.contains(why)).then_some(())
        })
        .await;
    };
    ready(" 503 ", "Connection refused").await;
    if is_full_size() {
        let job = Workspace::new(&topics.main_file(""), &seller(&shop));
        let begun = std::time::Instant::now();
        let mut job = Tailstock::start(&job, &["run", "--until-current"]);
        let status = job.wait(GIVING_UP.end).await;
        assert_eq!(status.code(), Some(1), "{}", job.log());
        assert!(begun.elapsed() > GIVING_UP.start, "{}", job.log());
    }
    run.assert_runs();
    let slots = shop.text("SELECT count(*)::text FROM pg_replication_slots").await;
    assert_eq!(slots, "0", "the shop keeps no log for what nobody can publish");
    tokio::task::block_in_place(|| kafka.start_again(0).unwrap());
    ready(" 200 ", "\"ready\":true").await;
    shop.execute("INSERT INTO stock VALUES (1, 'w1', 'A', 1)").await;
    eventually("the event", LIMIT, async || (topics.events().len() == 1).then_some(())).await;
}

/// The cluster loses sight of the broker each time, so that it answers at first that there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_and_goes_is_waited_for_and_nothing_grows_meanwhile() {
    let test = "a_broker_that_comes_and_goes";
    let settings = KafkaOptions::default()
        .controlled()
        .setting("broker.session.timeout.ms", "3000")
        .setting("broker.heartbeat.interval.ms", "1000");
    let Some(kafka) = own_cluster(settings, test).await else { return };
    let options = "[sink.properties]\n\"topic.metadata.refresh.interval.ms\" = 100\n";
    let Some(mut scene) = Scene::start(&kafka, options, test).await else { return };
    let reader = scene.reader().await;
    let sessions = Sessions::start(&scene.shop, 4000, &mut scene.random).await;
    let before = peak_rss_mib(scene.run.pid()).expect("it is running");
    for round in 0..3 {
        kafka.pause(0);
        // The first time far more than may wait in memory.
        for part in if round == 0 { 0..20 } else { 19 + round..20 + round } {
            let (from, to) = (part * 5000 + 1, (part + 1) * 5000);
            let many = format!("SELECT g, 'w1', 'A', 1 FROM generate_series({from}, {to}) g");
            scene.shop.execute(&format!("INSERT INTO stock {many}")).await;
        }
        pass(Duration::from_secs(8)).await;
        kafka.resume(0);
        pass(Duration::from_secs(5)).await;
    }
    let expected = sessions.join().await;
    let end = scene.shop.text("SELECT pg_current_wal_insert_lsn()::text").await;
    let confirmed =
        format!("SELECT (confirmed_flush_lsn >= '{end}'::pg_lsn)::text FROM pg_replication_slots");
    eventually("all of it is published", 2 * LIMIT, async || {
        scene.run.assert_runs();
        (scene.shop.text(&confirmed).await == "true").then_some(())
    })
    .await;
    let grown = peak_rss_mib(scene.run.pid()).expect("it is running") - before;
    assert!(grown < 64, "{before} MiB and {grown} MiB more");
    assert_eq!(scene.reader().await, reader, "{}", scene.run.log());
    let others = scene.assert_exactly_once_beside_others(&expected).await;
    assert_eq!(others.len(), 110_000);
    assert!(others.values().all(|events| *events == 1), "each of them once");
}

/// A server that cannot get rid of its log for longer than its patience ends the connection.
async fn the_shop_is_answered_while_a_broker_answers_nobody(version: MysqlVersion, test: &str) {
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let engine = Engine::from(version)
        .setting("net_write_timeout", "2")
        .setting("binlog_row_metadata", "FULL");
    let Some(mut scene) = Scene::on(engine, &kafka, "", test).await else { return };
    let reader = scene.reader().await;
    let sessions = Sessions::start(&scene.shop, 2000, &mut scene.random).await;
    kafka.pause(0);
    // More than what buffers and sockets hold, most of it in a column that nobody asked for.
    for part in 0..20 {
        let row = |item: i32| format!("({item}, 'w1', repeat('x', 1000), 1)");
        let rows: Vec<String> = (part * 2000 + 1..=(part + 1) * 2000).map(row).collect();
        scene.shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
    }
    pass(Duration::from_secs(8)).await;
    kafka.resume(0);
    let expected = sessions.join().await;
    assert_eq!(scene.reader().await, reader, "{}", scene.run.log());
    let others = scene.assert_exactly_once_beside_others(&expected).await;
    assert_eq!(others.len(), 40_000);
    assert!(others.values().all(|events| *events == 1), "each of them once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_on_mysql_is_answered_while_a_broker_answers_nobody() {
    let test = "a_shop_on_mysql_is_answered_while_a_broker_answers_nobody";
    the_shop_is_answered_while_a_broker_answers_nobody(MysqlVersion::Mysql97, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_on_mariadb_is_answered_while_a_broker_answers_nobody() {
    let test = "a_shop_on_mariadb_is_answered_while_a_broker_answers_nobody";
    the_shop_is_answered_while_a_broker_answers_nobody(MysqlVersion::Mariadb118, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_slow_all_the_time_slows_publishing_and_nothing_else() {
    let test = "a_broker_that_is_slow_all_the_time";
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let Some(mut scene) = Scene::start(&kafka, "", test).await else { return };
    let reader = scene.reader().await;
    let sessions = Sessions::start(&scene.shop, 2000, &mut scene.random).await;
    for _ in 0..if is_full_size() { 200 } else { 20 } {
        kafka.pause(0);
        pass(Duration::from_millis(200)).await;
        kafka.resume(0);
        pass(Duration::from_millis(50)).await;
    }
    let expected = sessions.join().await;
    assert_eq!(scene.reader().await, reader, "{}", scene.run.log());
    assert!(!scene.run.log().contains("the sink cannot be used"), "{}", scene.run.log());
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_at_least_once_brokers_that_fail_lose_nothing_and_repetitions_have_equal_bytes() {
    let test = "with_at_least_once_brokers_that_fail_lose_nothing";
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let options = "delivery = \"at_least_once\"\n";
    let Some(mut scene) = Scene::start(&kafka, options, test).await else { return };
    let sessions = Sessions::start(&scene.shop, 8000, &mut scene.random).await;
    for _ in 0..if is_full_size() { 5 } else { 1 } {
        pass(Duration::from_millis(scene.random.below(500))).await;
        kafka.pause(0);
        pass(Duration::from_secs(4)).await;
        kafka.resume(0);
        pass(Duration::from_millis(scene.random.below(1000))).await;
        tokio::task::block_in_place(|| {
            kafka.kill(0);
            kafka.start_again(0).unwrap();
        });
    }
    let expected = sessions.join().await;
    let log = scene.catch_up().await;
    // What a consumer does that drops what it has seen.
    let mut seen: BTreeMap<(String, String), Event> = BTreeMap::new();
    for event in scene.topics.events() {
        let known = seen.entry((event.key.clone(), event.version.clone())).or_insert(event.clone());
        assert_eq!((&known.id, &known.value), (&event.id, &event.value));
    }
    assert_exactly(&by_key(seen.into_values().collect()), &expected, &log);
    assert_eq!(scene.topics.levels(), levels(&scene.shop).await, "folded levels");
}

/// Nobody can know whether the end of a transaction that was never answered was heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_answers_nobody_for_longer_than_a_transaction_lasts_is_asked_what_is_stored()
{
    let test = "a_broker_that_answers_nobody_for_longer_than_a_transaction_lasts";
    if !is_full_size() {
        return;
    }
    let Some(kafka) = own_cluster(KafkaOptions::default().controlled(), test).await else { return };
    let Some(mut scene) = Scene::start(&kafka, "", test).await else { return };
    let sessions = Sessions::start(&scene.shop, 8000, &mut scene.random).await;
    pass(Duration::from_millis(scene.random.below(500))).await;
    kafka.pause(0);
    eventually("what is stored is to be read", 2 * LIMIT, async || {
        scene.run.log().contains("the sink cannot be used yet").then_some(())
    })
    .await;
    let expected = sessions.join().await;
    kafka.resume(0);
    scene.assert_exactly_once(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_a_topic_takes_no_longer_is_a_dead_letter_once_the_shard_is_taken_again() {
    let test = "an_event_that_a_topic_takes_no_longer";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("goods", "item bigint PRIMARY KEY, sku text, qty int").await;
    let topics = Topics::new(&kafka.bootstrap());
    let options = "[sink.properties]\n\"compression.type\" = \"none\"\n";
    let stock = "[[stock]]\ntable = \"public.goods\"\nitem = \"item\"\nsku = \"sku\"\n\
                 on_hand = \"qty\"\n";
    let workspace = Workspace::new(&topics.main_file(options), &shop.seller(stock));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());
    let mut run = Tailstock::start(&workspace, &["run"]);
    shop.execute("INSERT INTO goods VALUES (1, 'A', 1)").await;
    let items = async |count| {
        eventually("events", LIMIT, async || {
            let events = topics.events();
            (events.len() == count).then_some(events)
        })
        .await
    };
    items(1).await;
    let topic = topics.name("stock.events.v1");
    let limit =
        AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", "20000");
    let done = admin(kafka).alter_configs([&limit], &AdminOptions::new()).await.unwrap();
    assert!(done[0].is_ok(), "{done:?}");
    shop.execute("INSERT INTO goods VALUES (2, repeat('x', 50000), 1)").await;
    shop.execute("INSERT INTO goods VALUES (3, 'C', 1)").await;
    let events = items(2).await;
    let keys: Vec<&str> = events.iter().map(|event| event.key.as_str()).collect();
    assert_eq!(keys, ["acme/main/1/_", "acme/main/3/_"], "{}", run.log());
    let letters = topics.committed("stock.dlq.v1");
    assert_eq!(letters.len(), 1, "{}", run.log());
    let reason = letters[0].json()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("bytes a record may have"), "{reason}");
    assert!(run.log().contains("the sink cannot be used yet"), "{}", run.log());
    run.assert_runs();
}
