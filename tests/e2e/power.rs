//! What it proves: what the server has been told is on disk. Whenever the power goes, and with it
//! everything that was written and not synced, nothing is lost and nothing doubled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testbed::PgVersion;

use crate::support::{
    Connection, Published, Random, Shop, State, Tailstock, Workspace, is_full_size,
};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const ITEMS: u64 = 5;

/// Compiles the disk that loses power.
fn disk(folder: &Path) -> PathBuf {
    let library = folder.join("synced.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/synced.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    library
}

/// The files of the store that are in a folder.
fn store(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_store = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        ["stock.db", "stock.db-wal", "stock.db-shm"].contains(&name)
    };
    files.filter(of_store).collect()
}

/// Makes the store in `to` what it is in `from`.
fn become_as(to: &Path, from: &Path) {
    for path in store(to) {
        std::fs::remove_file(path).unwrap();
    }
    for path in store(from) {
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// The position of the checkpoint in the store of a folder, without touching it.
fn checkpointed(folder: &Path) -> String {
    let copy = tempfile::tempdir().unwrap();
    become_as(copy.path(), folder);
    let texts = Published::open(&copy.path().join("stock.db"))
        .texts("SELECT json_extract(value, '$.point.position') FROM checkpoints");
    texts.into_iter().next().expect("one checkpoint")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_was_told_survives_a_power_cut() {
    let test = "what_the_server_was_told_survives_a_power_cut";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.execute(
        "CREATE TABLE stock (item bigint PRIMARY KEY, qty int);
         INSERT INTO stock SELECT generate_series(0, 4), 0;
         CREATE PUBLICATION tailstock FOR TABLE stock;",
    )
    .await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let synced = workspace.path("synced");
    std::fs::create_dir(&synced).unwrap();
    let disk = disk(workspace.folder());
    let environment = [("LD_PRELOAD", disk.as_path()), ("SYNCED", synced.as_path())];
    let start = |arguments: &[&str]| Tailstock::start_in(&workspace, arguments, &environment);
    let mut first = start(&["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writer = tokio::spawn(sell(shop.connect().await, stopped));
    let mut random = Random::from_environment(test);
    let mut ahead = 0;
    for _ in 0..if is_full_size() { 40 } else { 10 } {
        start(&["run"]).kill_after(Duration::from_millis(100 + random.below(500))).await;
        // What the process had written and not synced is gone.
        let written = checkpointed(workspace.folder());
        become_as(workspace.folder(), &synced);
        let durable = checkpointed(workspace.folder());
        let told = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots";
        let told = shop.text(told).await;
        let order = format!("SELECT ('{durable}'::pg_lsn >= '{told}'::pg_lsn)::text");
        assert_eq!(shop.text(&order).await, "true", "told {told}, and {durable} is on disk");
        ahead += u32::from(written != durable);
    }
    stop.send(true).unwrap();
    let sold = writer.await.unwrap();
    let mut last = start(&["run", "--until-current"]);
    assert!(last.wait(Duration::from_secs(60)).await.success(), "{}", last.log());
    let mut expected: BTreeMap<String, Vec<State>> = BTreeMap::new();
    for number in 1..=sold {
        let state = State::Level { on_hand: Some(number.to_string()), sku: None };
        let key = format!("acme/main/{}/_", number % ITEMS);
        expected.entry(key).or_default().push(state);
    }
    let published = Published::open(&workspace.path("stock.db"));
    assert_eq!(published.by_key(), expected);
    assert_eq!(published.count("control"), 0, "a power cut is no gap");
    println!("{sold} changes; {ahead} power cuts took something away");
}

/// Sells one item after the other until told to stop; how many were sold.
async fn sell(client: Connection, stop: tokio::sync::watch::Receiver<bool>) -> u64 {
    let mut number = 0;
    while !*stop.borrow() {
        number += 1;
        let sql = format!("UPDATE stock SET qty = {number} WHERE item = {}", number % ITEMS);
        client.execute(&sql).await;
    }
    number
}
