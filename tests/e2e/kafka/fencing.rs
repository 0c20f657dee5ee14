//! What it proves: a process that was suspended while another took over publishes nothing when it
//! wakes up, wherever it was, and ends.

use std::time::Duration;

use rustix::process::Signal;
use testbed::{MysqlVersion, PgVersion};

use crate::e2e::sessions::{Expected, Sessions, create, key, levels, seller};
use crate::support::{
    Random, Shop, State, Tailstock, Topics, Workspace, assert_exactly, by_key, eventually,
    is_full_size, shared_broker,
};

const LIMIT: Duration = Duration::from_secs(60);

/// What it had read goes out again when it wakes up, as it may; it does not take the shard back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_at_least_once_a_suspended_owner_that_wakes_up_under_load_ends() {
    let test = "at_least_once_a_suspended_owner";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    create(&shop).await;
    let mut random = Random::from_environment(test);
    let topics = Topics::new(&kafka.bootstrap());
    let main = topics.main_file("delivery = \"at_least_once\"");
    let workspace = Workspace::new(&main, &seller(&shop));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());
    let mut owner = Tailstock::start(&workspace, &["run"]);
    let works = async |quantity: i64| {
        eventually("somebody publishes", LIMIT, async || {
            let values = format!("(-1, 'w1', 'M', {quantity})");
            let conflict = "ON CONFLICT (item, warehouse) DO UPDATE SET qty = excluded.qty";
            shop.execute(&format!("INSERT INTO stock VALUES {values} {conflict}")).await;
            let on_hand = topics.levels().get(&key(-1))?.clone();
            (on_hand == Some(quantity.to_string())).then_some(())
        })
        .await;
    };
    for round in 0..2 {
        works(2 * round).await;
        let sessions = Sessions::start_anew(&shop, round, 4000, &mut random).await;
        owner.signal_after(Signal::STOP, Duration::from_micros(random.below(300_000))).await;
        let next = Tailstock::start(&workspace, &["run"]);
        works(2 * round + 1).await;
        owner.signal(Signal::CONT);
        let status = owner.wait(LIMIT).await;
        assert_eq!(status.code(), Some(3), "{}", owner.log());
        owner = next;
        sessions.join().await;
    }
    owner.signal(Signal::TERM);
    assert!(owner.wait(LIMIT).await.success(), "{}", owner.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_owner_that_wakes_up_after_the_takeover_publishes_nothing_and_ends() {
    let test = "a_suspended_owner_publishes_nothing";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    create(&shop).await;
    let mut random = Random::from_environment(test);
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(""), &seller(&shop));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(LIMIT).await.success(), "{}", first.log());

    let mut expected = Expected::new();
    let mut owner = Tailstock::start(&workspace, &["run"]);
    for round in 0..if is_full_size() { 20 } else { 3 } {
        let sessions = Sessions::start_anew(&shop, round, 2000, &mut random).await;
        let marker = -1 - round;
        let publish = async |quantity: i64| {
            let values = format!("({marker}, 'w1', 'M', {quantity})");
            let conflict = "ON CONFLICT (item, warehouse) DO UPDATE SET qty = excluded.qty";
            shop.execute(&format!("INSERT INTO stock VALUES {values} {conflict}")).await;
            eventually("the marker", LIMIT, async || {
                let on_hand = topics.levels().get(&key(marker))?.clone();
                (on_hand == Some(quantity.to_string())).then_some(())
            })
            .await;
        };
        publish(1).await;
        // Anywhere: between commits, within one, while reading.
        owner.signal_after(Signal::STOP, Duration::from_micros(random.below(30_000))).await;
        let next = Tailstock::start(&workspace, &["run"]);
        publish(2).await;
        owner.signal(Signal::CONT);
        let status = owner.wait(LIMIT).await;
        assert_eq!(status.code(), Some(3), "{}", owner.log());
        owner = next;
        expected.extend(sessions.join().await);
        let level = |quantity: &str| State::Level { on_hand: Some(quantity.into()), sku: None };
        expected.insert(key(marker), vec![level("1"), level("2")]);
    }
    owner.signal(Signal::TERM);
    assert!(owner.wait(LIMIT).await.success(), "{}", owner.log());
    let mut last = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(last.wait(LIMIT).await.success(), "{}", last.log());
    assert_exactly(&by_key(topics.events()), &expected, &last.log());
    assert_eq!(topics.levels(), levels(&shop).await, "folded levels equal what the shop says");
    assert!(last.log().contains("shard 0 has been taken over by process"), "{}", last.log());
}

/// The server would end the older reader whenever the other came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_installations_with_one_server_id_the_second_waits_for_the_first() {
    let test = "of_two_installations_with_one_server_id";
    let Some(kafka) = shared_broker(test).await else { return };
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb118] {
        let Some(shop) = Shop::start(version, test).await else { continue };
        create(&shop).await;
        let topics = [(); 2].map(|()| Topics::new(&kafka.bootstrap()));
        let seller = seller(&shop).replacen("[[stock]]", "server_id = 4711\n[[stock]]", 1);
        let workspaces = [0, 1].map(|n: usize| {
            let main = topics[n].main_file("").replace("\"test\"", &format!("\"test{n}\""));
            Workspace::new(&main, &seller)
        });
        for workspace in &workspaces {
            let mut start = Tailstock::start(workspace, &["run", "--until-current"]);
            assert!(start.wait(LIMIT).await.success(), "{}", start.log());
            // A server sees that a reader has gone when it has something for it.
            eventually("the server has seen it go", LIMIT, async || {
                shop.execute("FLUSH BINARY LOGS").await;
                let dumps = "SELECT count(*) FROM information_schema.processlist
                             WHERE command LIKE 'Binlog Dump%'";
                (shop.text(dumps).await == "0").then_some(())
            })
            .await;
        }
        let first = Tailstock::start(&workspaces[0], &["run"]);
        shop.execute("INSERT INTO stock VALUES (1, 'w1', 'A', 1)").await;
        let has = async |n: usize, count: usize| {
            let reached = async || (topics[n].events().len() == count).then_some(());
            eventually("events", LIMIT, reached).await;
        };
        has(0, 1).await;
        let mut job = Tailstock::start(&workspaces[1], &["run", "--until-current"]);
        assert_eq!(job.wait(LIMIT).await.code(), Some(3), "{}", job.log());
        assert!(job.log().contains("is in use by another installation"), "{}", job.log());
        let second = Tailstock::start(&workspaces[1], &["run"]);
        shop.execute("INSERT INTO stock VALUES (2, 'w1', 'A', 2)").await;
        has(0, 2).await;
        assert!(!first.log().contains("again"), "{}", first.log());
        has(1, 0).await;
        // Whoever waits goes on by itself.
        first.kill_after(Duration::ZERO).await;
        shop.execute("INSERT INTO stock VALUES (3, 'w1', 'A', 3)").await;
        has(1, 3).await;
        drop(second);
    }
}
