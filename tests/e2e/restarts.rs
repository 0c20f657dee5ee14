//! What it proves: restarts of the shop's server, orderly and not, lose and double nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::{PgVersion, PostgresOptions, StopMode};

use crate::support::{Published, Shop, State, Tailstock, Workspace, eventually};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_again_and_again_loses_and_doubles_nothing() {
    let test = "a_server_that_restarts_again_and_again";
    let options = PostgresOptions::default().durable().controlled();
    let Some(mut shop) = Shop::start_with(PgVersion::V15, test, options).await else { return };
    shop.execute(
        "CREATE TABLE stock (item bigint PRIMARY KEY, qty int);
         CREATE PUBLICATION tailstock FOR TABLE stock;",
    )
    .await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    let running = Tailstock::start(&workspace, &["run"]);
    let mut expected: BTreeMap<String, Vec<State>> = BTreeMap::new();
    let modes = [StopMode::Fast, StopMode::Immediate, StopMode::Fast, StopMode::Immediate];
    for (round, mode) in modes.into_iter().chain([StopMode::Fast]).enumerate() {
        for change in 0..40 {
            let (item, quantity) = (change % 7, round * 100 + change);
            let sql = format!(
                "INSERT INTO stock VALUES ({item}, {quantity})
                 ON CONFLICT (item) DO UPDATE SET qty = {quantity}"
            );
            shop.execute(&sql).await;
            let on_hand = Some(quantity.to_string());
            let state = State::Level { on_hand, sku: None };
            expected.entry(format!("acme/main/{item}/_")).or_default().push(state);
        }
        shop.server().restart(mode).unwrap();
        shop.reconnect().await;
    }
    let count: usize = expected.values().map(Vec::len).sum();
    let published = Published::open(&workspace.path("stock.db"));
    eventually("everything is published", Duration::from_secs(60), async || {
        (published.count("events") >= count as u64).then_some(())
    })
    .await;
    assert_eq!(published.by_key(), expected, "{}", running.log());
    assert_eq!(published.count("control"), 0, "a restart is no gap");
}
