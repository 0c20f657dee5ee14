//! What it proves: a sink that refuses every commit is not passed off as one that works.

use std::net::TcpListener;
use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Published, Shop, Tailstock, Workspace, eventually, readiness};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_another_program_keeps_locked_is_not_ready_and_says_why() {
    let test = "a_store_that_another_program_keeps_locked";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = Workspace::MAIN.replace("listen = \"\"", &format!("listen = \"{address}\""));
    let workspace = Workspace::new(&main, &shop.seller(SELLER));
    let mut run = Tailstock::start(&workspace, &["run"]);
    let ready = async |wanted: &str, why: &str| {
        eventually(why, Duration::from_secs(60), async || {
            let answer = readiness(address).await?;
            (answer.contains(wanted) && answer.contains(why)).then_some(())
        })
        .await;
    };
    ready(" 200 ", "\"ready\":true").await;

    let other = rusqlite::Connection::open(workspace.path("stock.db")).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    ready(" 503 ", "the sink takes no commits").await;
    ready(" 503 ", "another program is writing to it").await;
    ready(" 503 ", "have the sink take commits again").await;
    run.assert_runs();

    other.execute_batch("ROLLBACK").unwrap();
    ready(" 200 ", "\"ready\":true").await;
    let path = workspace.path("stock.db");
    eventually("the event", Duration::from_secs(20), async || {
        Published::open(&path).has("events", 1).then_some(())
    })
    .await;
}
