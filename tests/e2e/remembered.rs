//! What it proves: a process that begins again remembers every row of a large table, to the letter
//! and in as much memory as is promised.

use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Published, Shop, Tailstock, Workspace, eventually, is_full_size};

/// Keys that are not those of the table, so that its rows are remembered.
const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"sku\"\non_hand = \"qty\"\n";

/// Of one row beside its values, and of the values of the longest.
const BYTES_MAX: u64 = 150 + 20;

/// What a process takes that remembers nothing.
const REST_MAX: u64 = 64 << 20;

/// Memory that a process has resident.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_begins_again_remembers_every_row_in_bounded_memory() {
    let test = "a_process_that_begins_again_remembers_every_row";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    let rows: u64 = if is_full_size() { 1_000_000 } else { 50_000 };
    shop.create("stock", "id bigint PRIMARY KEY, sku text, qty int").await;
    let fill = "INSERT INTO stock SELECT g, 'SKU-' || g, g % 1000 FROM generate_series(1";
    shop.execute(&format!("{fill}, {rows}) g")).await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(SELLER));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(600)).await.success(), "{}", first.log());
    let published = Published::open(&workspace.path("stock.db"));
    assert_eq!((published.count("levels"), published.count("rows")), (rows, rows));

    let begun = Tailstock::start(&workspace, &["run"]);
    shop.execute(&format!("INSERT INTO stock VALUES ({}, 'SKU-1', 7)", rows + 1)).await;
    shop.execute("DELETE FROM stock WHERE id = 1").await;
    eventually("what is said of the key of two rows", Duration::from_secs(120), async || {
        published.has("events", rows + 2).then_some(())
    })
    .await;
    let taken = resident(begun.pid());
    println!("{rows} rows remembered: {} MiB resident", taken >> 20);
    assert!(taken < REST_MAX + rows * BYTES_MAX, "{} MiB resident", taken >> 20);
    let said = published.texts("SELECT value FROM events ORDER BY seq DESC LIMIT 2");
    let [gone, came] = [0, 1].map(|nth| {
        let event: serde_json::Value = serde_json::from_str(&said[nth]).unwrap();
        let said =
            [&event["item"]["id"], &event["quantity"]["on_hand"], &event["change"]["previous"]];
        said.map(|said| said.as_str().unwrap().to_owned())
    });
    assert_eq!(came, ["SKU-1", "1", "1"], "the first row speaks for the key");
    assert_eq!(gone, ["SKU-1", "7", "1"], "then the other");
}
