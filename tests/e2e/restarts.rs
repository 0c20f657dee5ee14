//! What it proves: restarts of the shop's server, orderly and not, lose and double nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, State, Stop, Tailstock, Workspace, eventually};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const LIMIT: Duration = Duration::from_secs(60);

async fn restarts_lose_and_double_nothing(engine: Engine, test: &str) {
    let Some(mut shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    let running = Tailstock::start(&workspace, &["run"]);
    let published = Published::open(&workspace.path("stock.db"));
    let upsert = match shop.is_mysql() {
        false => "ON CONFLICT (item) DO UPDATE SET",
        true => "ON DUPLICATE KEY UPDATE",
    };
    let mut expected: BTreeMap<String, Vec<State>> = BTreeMap::new();
    let stops = [Stop::InOrder, Stop::Killed, Stop::InOrder, Stop::Killed, Stop::InOrder];
    for (round, stop) in stops.into_iter().enumerate() {
        for change in 0..40 {
            let (item, quantity) = (change % 7, round * 100 + change);
            let row = format!("({item}, {quantity})");
            shop.execute(&format!("INSERT INTO stock VALUES {row} {upsert} qty = {quantity}"))
                .await;
            let on_hand = Some(quantity.to_string());
            let state = State::Level { on_hand, sku: None };
            expected.entry(format!("acme/main/{item}/_")).or_default().push(state);
            if change % 16 == 15 && shop.is_mysql() {
                rotate_and_purge(&shop, &published).await;
            }
        }
        shop.restart(stop).await;
    }
    let count: usize = expected.values().map(Vec::len).sum();
    eventually("everything is published", LIMIT, async || {
        (published.count("events") >= count as u64).then_some(())
    })
    .await;
    assert_eq!(published.by_key(), expected, "{}", running.log());
    assert_eq!(published.count("control"), 0, "a restart is no gap");
}

/// Begins a new file of the log and removes those that lie before the checkpoint.
async fn rotate_and_purge(shop: &Shop, published: &Published) {
    shop.execute("FLUSH BINARY LOGS").await;
    if let Some(file) = published.position().split('/').nth(1) {
        shop.execute(&format!("PURGE BINARY LOGS TO '{file}'")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_again_and_again_loses_and_doubles_nothing() {
    let test = "a_server_that_restarts_again_and_again";
    restarts_lose_and_double_nothing(Engine::from(PgVersion::V15).restarted(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_that_restarts_rotates_and_purges_loses_and_doubles_nothing() {
    let test = "a_mysql_that_restarts_rotates_and_purges";
    restarts_lose_and_double_nothing(Engine::from(MysqlVersion::Mysql97).restarted(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_without_transaction_names_that_restarts_loses_and_doubles_nothing() {
    let test = "a_mysql_without_transaction_names_that_restarts";
    let engine = Engine::from(MysqlVersion::Mysql97).restarted().without_gtids();
    restarts_lose_and_double_nothing(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_that_restarts_rotates_and_purges_loses_and_doubles_nothing() {
    let test = "a_mariadb_that_restarts_rotates_and_purges";
    restarts_lose_and_double_nothing(Engine::from(MysqlVersion::Mariadb118).restarted(), test)
        .await;
}
