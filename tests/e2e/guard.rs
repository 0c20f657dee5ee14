//! What it proves: a bridge that cannot publish does not fill a seller's disk, and goes on by
//! itself when it can.

use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Published, Shop, Tailstock, Workspace, eventually};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const SLOTS: &str = "SELECT count(*)::text FROM pg_replication_slots";
const LIMIT: Duration = Duration::from_secs(90);

/// A file that nobody else can write to as long as this lives.
fn stuck(workspace: &Workspace) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(workspace.path("stock.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// Log of six files of 16 MiB.
async fn write_log(shop: &Shop) {
    for _ in 0..6 {
        shop.execute("UPDATE stock SET qty = qty + 1 WHERE item = 1").await;
        shop.execute("SELECT pg_switch_wal()").await;
    }
}

/// A process that follows a shop with one row, under this protection.
async fn started(protect: &str, test: &str) -> Option<(Shop, Workspace, Tailstock)> {
    let shop = Shop::start(PgVersion::V15, test).await?;
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let settings = format!("retained_wal_bytes = 67108864\nprotect = \"{protect}\"\n[[stock]]");
    let seller = shop.whole_seller(SELLER).replacen("[[stock]]", &settings, 1);
    let workspace = Workspace::new(Workspace::MAIN, &seller);
    let mut run = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    let run = Tailstock::start(&workspace, &["run"]);
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    let path = workspace.path("stock.db");
    eventually("the row", LIMIT, async || Published::open(&path).has("events", 1).then_some(()))
        .await;
    Some((shop, workspace, run))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_relieved_of_its_log_while_nothing_can_be_published_and_a_gap_is_said() {
    let test = "a_server_is_relieved_of_its_log";
    let Some((shop, workspace, mut run)) = started("seller", test).await else { return };
    let held = stuck(&workspace);
    write_log(&shop).await;
    eventually("the slot has gone", LIMIT, async || (shop.text(SLOTS).await == "0").then_some(()))
        .await;
    run.assert_runs();
    assert!(run.log().contains("the slot is dropped"), "{}", run.log());
    held.execute_batch("ROLLBACK").unwrap();
    let path = workspace.path("stock.db");
    eventually("a gap", LIMIT, async || {
        let kinds = Published::open(&path).texts("SELECT kind FROM control");
        kinds.contains(&"gap".to_owned()).then_some(())
    })
    .await;
    eventually("a slot", LIMIT, async || (shop.text(SLOTS).await == "1").then_some(())).await;
    shop.execute("INSERT INTO stock VALUES (2, 2)").await;
    // What went by unseen is read from the table.
    eventually("the levels are right again", LIMIT, async || {
        let levels = Published::open(&path).levels();
        let on_hand = |key: &str| levels.get(key).cloned().flatten();
        let right = [on_hand("acme/main/1/_"), on_hand("acme/main/2/_")];
        (right == [Some("7".to_owned()), Some("2".to_owned())]).then_some(())
    })
    .await;
    run.signal(rustix::process::Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_protects_the_stream_is_warned_and_loses_nothing() {
    let test = "whoever_protects_the_stream";
    let Some((shop, workspace, run)) = started("stream", test).await else { return };
    let held = stuck(&workspace);
    write_log(&shop).await;
    eventually("a warning", LIMIT, async || run.log().contains("log over its limit").then_some(()))
        .await;
    assert_eq!(shop.text(SLOTS).await, "1");
    held.execute_batch("ROLLBACK").unwrap();
    let path = workspace.path("stock.db");
    eventually("every change", LIMIT, async || {
        let levels = Published::open(&path).levels();
        (levels["acme/main/1/_"].as_deref() == Some("7")).then_some(())
    })
    .await;
    assert_eq!(Published::open(&path).count("control WHERE kind = 'gap'"), 0);
}

/// Not even a process that has never reached its sink lets the log pile up.
#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_relieved_of_its_log_while_the_sink_cannot_be_reached() {
    let test = "relieved_while_the_sink_cannot_be_reached";
    let Some((shop, workspace, mut run)) = started("seller", test).await else { return };
    run.signal(rustix::process::Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    write_log(&shop).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink = format!("kind = \"kafka\"\nbrokers = \"{nobody}\"");
    let main = Workspace::MAIN.replace("kind = \"sqlite\"\npath = \"stock.db\"", &sink);
    std::fs::write(workspace.path("tailstock.toml"), main).unwrap();
    let mut run = Tailstock::start(&workspace, &["run"]);
    eventually("the slot has gone", LIMIT, async || (shop.text(SLOTS).await == "0").then_some(()))
        .await;
    run.assert_runs();
}
