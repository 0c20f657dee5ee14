//! What it proves: an idle captured table beside a busy one does not hold the server's log, and a
//! role that cannot write is enough.

use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Shop, Tailstock, Workspace, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_table_beside_a_busy_one_lets_the_server_forget_its_log() {
    let test = "an_idle_table_beside_a_busy_one";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.execute(
        "CREATE TABLE stock (item bigint PRIMARY KEY, qty int);
         CREATE TABLE busy (note text);
         CREATE PUBLICATION tailstock FOR TABLE stock;
         CREATE ROLE reader LOGIN REPLICATION;
         ALTER ROLE reader SET default_transaction_read_only = on;",
    )
    .await;
    let seller =
        shop.seller("[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n");
    let workspace = Workspace::new(Workspace::MAIN, &seller.replace("://postgres@", "://reader@"));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    let running = Tailstock::start(&workspace, &["run"]);
    shop.execute("INSERT INTO busy SELECT repeat('x', 100) FROM generate_series(1, 100000)").await;
    let target = shop.text("SELECT pg_current_wal_flush_lsn()::text").await;
    let behind = format!(
        "SELECT (confirmed_flush_lsn >= '{target}')::text FROM pg_replication_slots
         WHERE slot_name = 'test_acme_main'"
    );
    let followed = eventually("the slot follows", Duration::from_secs(10), async || {
        (shop.text(&behind).await == "true").then_some(())
    });
    followed.await;
    drop(running);
}
