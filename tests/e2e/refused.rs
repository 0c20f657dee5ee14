//! What it proves: a sink that refuses every commit is not passed off as one that works.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Published, Shop, Tailstock, Workspace, eventually, readiness};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";

/// A folder, and where its process can be asked.
fn with_http(seller: &str) -> (Workspace, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = Workspace::MAIN.replace("listen = \"\"", &format!("listen = \"{address}\""));
    (Workspace::new(&main, seller), address)
}

async fn ready(address: SocketAddr, wanted: &str, why: &str) {
    eventually(why, Duration::from_secs(60), async || {
        let answer = readiness(address).await?;
        (answer.contains(wanted) && answer.contains(why)).then_some(())
    })
    .await;
}

/// Another program that writes to the store until it is told not to.
fn occupied(workspace: &Workspace) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(workspace.path("stock.db")).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_another_program_keeps_locked_is_not_ready_and_says_why() {
    let test = "a_store_that_another_program_keeps_locked";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let (workspace, address) = with_http(&shop.seller(SELLER));
    let mut run = Tailstock::start(&workspace, &["run"]);
    ready(address, " 200 ", "\"ready\":true").await;

    let other = occupied(&workspace);
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    ready(address, " 503 ", "the sink takes no commits").await;
    ready(address, " 503 ", "another program is writing to it").await;
    ready(address, " 503 ", "have the sink take commits again").await;
    run.assert_runs();

    other.execute_batch("ROLLBACK").unwrap();
    ready(address, " 200 ", "\"ready\":true").await;
    let path = workspace.path("stock.db");
    eventually("the event", Duration::from_secs(20), async || {
        Published::open(&path).has("events", 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_taken_outlives_the_process_that_took_it() {
    let test = "an_order_that_is_taken_outlives_the_process";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let (workspace, address) = with_http(&shop.whole_seller(SELLER));
    let run = Tailstock::start(&workspace, &["run"]);
    ready(address, " 200 ", "\"ready\":true").await;
    let order = ["snapshot", "acme", "--no-wait"];
    let marked = || {
        let store = Published::open(&workspace.path("stock.db"));
        store.texts("SELECT value FROM checkpoints").pop().unwrap().contains("asked for")
    };

    let other = occupied(&workspace);
    let mut refused = Tailstock::start(&workspace, &order);
    ready(address, " 503 ", "asked for").await;
    run.kill_after(Duration::ZERO).await;
    let taken = refused.wait(Duration::from_secs(30)).await.success();
    other.execute_batch("ROLLBACK").unwrap();
    assert!(!taken || marked(), "{}", refused.log());

    let run = Tailstock::start(&workspace, &["run"]);
    ready(address, " 200 ", "\"ready\":true").await;
    // The table cannot be read meanwhile.
    let writer = shop.connect().await;
    writer.execute("BEGIN; LOCK TABLE stock IN ACCESS EXCLUSIVE MODE").await;
    let mut taken = Tailstock::start(&workspace, &order);
    assert!(taken.wait(Duration::from_secs(30)).await.success(), "{}", taken.log());
    run.kill_after(Duration::ZERO).await;
    assert!(marked(), "{}", taken.log());
}
