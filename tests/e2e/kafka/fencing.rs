//! What it proves: a process that was suspended while another took over publishes nothing when it
//! wakes up, wherever it was, and ends.

use std::time::Duration;

use rustix::process::Signal;
use testbed::PgVersion;

use crate::e2e::sessions::{Expected, Sessions, create, key, levels, seller};
use crate::support::{
    Random, Shop, State, Tailstock, Topics, Workspace, assert_exactly, by_key, eventually,
    is_full_size, shared_broker,
};

const LIMIT: Duration = Duration::from_secs(60);

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
