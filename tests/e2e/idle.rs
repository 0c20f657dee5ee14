//! What it proves: an idle captured table beside a busy one, or none at all that is busy, does not
//! hold the server's log, and an account that cannot write is enough.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

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
    let sent = format!("SELECT (sent_lsn >= '{target}')::text FROM pg_stat_replication");
    eventually("the server has decoded it", Duration::from_secs(60), async || {
        (shop.rows(&sent).await == [[Some("true".to_owned())]]).then_some(())
    })
    .await;
    let followed = eventually("the slot follows", Duration::from_secs(10), async || {
        (shop.text(&behind).await == "true").then_some(())
    });
    followed.await;
    drop(running);
}

/// The end of a MySQL's log: its newest file, and how long that is.
async fn end(shop: &Shop) -> (String, u64) {
    let mut newest = shop.rows("SHOW BINARY LOGS").await.pop().unwrap().into_iter().flatten();
    (newest.next().unwrap(), newest.next().unwrap().parse().unwrap())
}

/// Waits until the checkpoint has reached the end of the log.
async fn followed(shop: &Shop, published: &Published, what: &str) {
    let end = end(shop).await;
    eventually(what, Duration::from_secs(20), async || {
        let position = published.position();
        let mut parts = position.split('/').skip(1);
        let reached = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        (reached >= end).then_some(())
    })
    .await;
}

async fn an_idle_shop_lets_the_server_forget_its_log(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    shop.create("busy", "note text").await;
    shop.execute(
        "CREATE USER reader;
         GRANT SELECT ON shop.* TO reader;
         GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader;",
    )
    .await;
    let seller =
        shop.seller("[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n");
    let workspace = Workspace::new(Workspace::MAIN, &seller.replace("://root@", "://reader@"));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    let running = Tailstock::start(&workspace, &["run"]);
    let published = Published::open(&workspace.path("stock.db"));
    let rows = vec![format!("('{}')", "x".repeat(100)); 10_000].join(",");
    for _ in 0..10 {
        shop.execute(&format!("INSERT INTO busy VALUES {rows}")).await;
    }
    followed(&shop, &published, "the checkpoint passes the busy table").await;
    shop.execute("FLUSH BINARY LOGS").await;
    followed(&shop, &published, "the checkpoint enters the new file").await;
    running.kill_after(Duration::ZERO).await;
    let (file, _) = end(&shop).await;
    shop.execute(&format!("PURGE BINARY LOGS TO '{file}'")).await;
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    let mut last = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(last.wait(Duration::from_secs(30)).await.success(), "{}", last.log());
    assert_eq!(published.count("events"), 1);
    assert_eq!(published.count("control"), 0, "what was purged had been read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_shop_lets_mysql_forget_its_log() {
    let test = "an_idle_shop_lets_mysql_forget_its_log";
    an_idle_shop_lets_the_server_forget_its_log(MysqlVersion::Mysql97.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_shop_lets_mysql_without_transaction_names_forget_its_log() {
    let test = "an_idle_shop_lets_mysql_without_transaction_names_forget_its_log";
    let engine = Engine::from(MysqlVersion::Mysql97).without_gtids();
    an_idle_shop_lets_the_server_forget_its_log(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_shop_lets_mariadb_forget_its_log() {
    let test = "an_idle_shop_lets_mariadb_forget_its_log";
    an_idle_shop_lets_the_server_forget_its_log(MysqlVersion::Mariadb118.into(), test).await;
}
