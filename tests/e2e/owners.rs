//! What it proves: of two processes with one configuration exactly one works, the other says who
//! holds what and takes over when the first is gone.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";

async fn shop(test: &str) -> Option<Shop> {
    shop_on(PgVersion::V15.into(), test).await
}

async fn shop_on(engine: Engine, test: &str) -> Option<Shop> {
    let shop = Shop::start(engine, test).await?;
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    Some(shop)
}

async fn published(workspace: &Workspace, events: u64) {
    let path = workspace.path("stock.db");
    eventually("events", Duration::from_secs(20), async || {
        Published::has_begun(&path, "events", events).then_some(())
    })
    .await;
}

async fn the_second_process_waits_and_takes_over(engine: Engine, test: &str) {
    let Some(shop) = shop_on(engine, test).await else { return };
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let mut start = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(start.wait(Duration::from_secs(30)).await.success(), "{}", start.log());
    let first = Tailstock::start(&workspace, &["run"]);
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    published(&workspace, 1).await;

    let second = Tailstock::start(&workspace, &["run"]);
    let holder = format!("is in use by tailstock, process {}", first.pid());
    eventually("the second says who holds the file", Duration::from_secs(10), async || {
        second.log().contains(&holder).then_some(())
    })
    .await;
    first.kill_after(Duration::ZERO).await;
    shop.execute("INSERT INTO stock VALUES (2, 2)").await;
    published(&workspace, 2).await;
    assert_eq!(Published::open(&workspace.path("stock.db")).by_key().len(), 2);
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_process_waits_and_takes_over_when_the_first_is_killed() {
    let test = "the_second_process_waits";
    the_second_process_waits_and_takes_over(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_process_waits_and_takes_over_on_mysql() {
    let test = "the_second_process_waits_and_takes_over_on_mysql";
    the_second_process_waits_and_takes_over(MysqlVersion::Mysql97.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_process_waits_and_takes_over_on_mariadb() {
    let test = "the_second_process_waits_and_takes_over_on_mariadb";
    the_second_process_waits_and_takes_over(MysqlVersion::Mariadb118.into(), test).await;
}

/// A server ends the older of two readers of one number; of two that both came again, each would
/// end the other for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_stores_with_one_server_id_the_older_stops_and_says_what_to_do() {
    let test = "of_two_stores_with_one_server_id";
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb118] {
        let Some(shop) = shop_on(version.into(), test).await else { continue };
        let stores = [1, 2].map(|_| Workspace::new(Workspace::MAIN, &shop.seller(SELLER)));
        for store in &stores {
            let mut start = Tailstock::start(store, &["run", "--until-current"]);
            assert!(start.wait(Duration::from_secs(30)).await.success(), "{}", start.log());
        }
        let mut first = Tailstock::start(&stores[0], &["run"]);
        shop.execute("INSERT INTO stock VALUES (1, 1)").await;
        published(&stores[0], 1).await;
        let second = Tailstock::start(&stores[1], &["run"]);
        let status = first.wait(Duration::from_secs(30)).await;
        assert_eq!(status.code(), Some(4), "{}", first.log());
        assert!(first.log().contains("a number of its own"), "{}", first.log());
        shop.execute("INSERT INTO stock VALUES (2, 2)").await;
        published(&stores[1], 2).await;
        assert_eq!(Published::open(&stores[0].path("stock.db")).count("events"), 1);
        assert!(!second.log().contains("trying again"), "{}", second.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_cannot_share_one_slot() {
    let Some(shop) = shop("two_stores_cannot_share_one_slot").await else { return };
    let one = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let other = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let mut start = Tailstock::start(&one, &["run", "--until-current"]);
    assert!(start.wait(Duration::from_secs(30)).await.success(), "{}", start.log());
    let first = Tailstock::start(&one, &["run"]);
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    published(&one, 1).await;
    let mut second = Tailstock::start(&other, &["run", "--until-current"]);
    let status = second.wait(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(3), "{}", second.log());
    assert!(
        second.log().contains("slot test_acme_main is in use by tailstock"),
        "{}",
        second.log()
    );
    assert_eq!(Published::open(&other.path("stock.db")).count("events"), 0);
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_store_was_taken_over_ends_and_publishes_nothing_more() {
    let Some(shop) = shop("a_process_whose_store_was_taken_over").await else { return };
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let mut start = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(start.wait(Duration::from_secs(30)).await.success(), "{}", start.log());
    let mut first = Tailstock::start(&workspace, &["run"]);
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    published(&workspace, 1).await;
    // As another machine on the same file would, whose locks this one cannot see.
    let store = rusqlite::Connection::open(workspace.path("stock.db")).unwrap();
    store.busy_timeout(Duration::from_secs(10)).unwrap();
    store.execute("UPDATE owner SET token = 'another'", []).unwrap();
    shop.execute("INSERT INTO stock VALUES (2, 2)").await;
    let status = first.wait(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(3), "{}", first.log());
    assert!(first.log().contains("taken over by another process"), "{}", first.log());
    assert_eq!(Published::open(&workspace.path("stock.db")).count("events"), 1);
    // Whoever takes it next goes on where it was.
    let mut next = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(next.wait(Duration::from_secs(30)).await.success(), "{}", next.log());
    let mut status = Tailstock::start(&workspace, &["status"]);
    assert!(status.wait(Duration::from_secs(30)).await.success(), "{}", status.log());
    assert!(status.log().contains("acme/main  stopped"), "{}", status.log());
    assert_eq!(Published::open(&workspace.path("stock.db")).by_key().len(), 2);
}
