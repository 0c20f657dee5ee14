//! What it proves: a transaction larger than memory passes in bounded pieces and is resumed in its
//! middle after a kill.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually, is_full_size};

const SELLER: &str = r#"
[[stock]]
table = "public.stock"
item = "item"
on_hand = "qty"
"#;

/// The most memory a process has had resident, MiB.
pub(super) fn peak_rss_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Items 1 to `rows`, each doubling of them a statement of one transaction.
async fn insert(shop: &Shop, rows: u64) {
    let mut sql = String::from("BEGIN; INSERT INTO stock VALUES (1, 1, repeat('x', 200));");
    let mut there = 1;
    while there < rows {
        let next = (there * 2).min(rows);
        sql += &format!(
            "INSERT INTO stock SELECT item + {there}, (item + {there}) % 100, note FROM stock
             WHERE item + {there} <= {next};"
        );
        there = next;
    }
    shop.execute(&format!("{sql} COMMIT")).await;
}

/// A shop whose log ends with a transaction of so many rows, and a workspace of which a process was
/// killed in the middle of it.
async fn killed_in_its_middle(shop: &Shop, seller: &str, rows: u64) -> Workspace {
    shop.create("stock", "item bigint PRIMARY KEY, qty int, note text").await;
    let workspace = Workspace::new(Workspace::MAIN, seller);
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    insert(shop, rows).await;
    // A commit is of 4 MiB at most: at this pace nobody looks away long enough to miss the middle.
    let slow = Workspace::MAIN.replace("[sink]", "min_commit_interval_ms = 300\n[sink]");
    std::fs::write(workspace.path("tailstock.toml"), slow).unwrap();
    let killed = Tailstock::start(&workspace, &["run"]);
    let published = Published::open(&workspace.path("stock.db"));
    eventually("the middle of the transaction", Duration::from_secs(60), async || {
        let checkpoint = published.texts("SELECT value FROM checkpoints").pop()?;
        let checkpoint: serde_json::Value = serde_json::from_str(&checkpoint).unwrap();
        let rows_done = checkpoint["point"]["partial"]["rows"].as_u64()?;
        (rows_done >= rows / 4).then_some(())
    })
    .await;
    killed.kill_after(Duration::ZERO).await;
    assert!(published.count("events") < rows, "it was killed in the middle");
    std::fs::write(workspace.path("tailstock.toml"), Workspace::MAIN).unwrap();
    workspace
}

async fn a_huge_transaction_passes(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    let rows: u64 = if is_full_size() { 1_000_000 } else { 150_000 };
    let workspace = killed_in_its_middle(&shop, &shop.seller(SELLER), rows).await;
    let published = Published::open(&workspace.path("stock.db"));
    let last = Tailstock::start(&workspace, &["run"]);
    let pid = last.pid();
    eventually("the end of the transaction", Duration::from_secs(180), async || {
        (published.count("events") >= rows).then_some(())
    })
    .await;
    let peak = peak_rss_mib(pid).expect("it is running");
    last.signal(rustix::process::Signal::TERM);
    let mut last = last;
    assert!(last.wait(Duration::from_secs(30)).await.success(), "{}", last.log());
    assert!(peak < 150, "{peak} MiB resident");
    assert_eq!(published.count("events"), rows);
    assert_eq!(published.count("(SELECT DISTINCT id FROM events)"), rows);
    assert_eq!(published.count("levels"), rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_transaction_passes_in_bounded_memory_and_resumes_in_its_middle() {
    let test = "a_huge_transaction_passes_in_bounded_memory";
    a_huge_transaction_passes(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_transaction_of_mysql_passes_in_bounded_memory_and_resumes_in_its_middle() {
    let test = "a_huge_transaction_of_mysql_passes_in_bounded_memory";
    a_huge_transaction_passes(MysqlVersion::Mysql97.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_compressed_transaction_of_mysql_passes_in_bounded_memory() {
    let test = "a_huge_compressed_transaction_of_mysql_passes_in_bounded_memory";
    let engine =
        Engine::from(MysqlVersion::Mysql97).setting("binlog_transaction_compression", "ON");
    a_huge_transaction_passes(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_transaction_of_mariadb_passes_in_bounded_memory_and_resumes_in_its_middle() {
    let test = "a_huge_transaction_of_mariadb_passes_in_bounded_memory";
    let engine = Engine::from(MysqlVersion::Mariadb118).setting("log_bin_compress", "ON");
    a_huge_transaction_passes(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_that_changes_in_the_middle_of_a_huge_transaction_loses_none_of_it() {
    let test = "a_mapping_that_changes_in_the_middle_of_a_huge_transaction";
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb118.into()] {
        let Some(shop) = Shop::start(engine, test).await else { return };
        let rows = 150_000;
        let workspace = killed_in_its_middle(&shop, &shop.whole_seller(SELLER), rows).await;
        // The rest of the transaction is captured without the column.
        let seller = shop.whole_seller(&format!("{SELLER}sku = \"note\"\n"));
        std::fs::write(workspace.path("sellers/shop.toml"), seller).unwrap();
        let mut last = Tailstock::start(&workspace, &["run", "--until-current"]);
        assert!(last.wait(Duration::from_secs(180)).await.success(), "{}", last.log());
        let published = Published::open(&workspace.path("stock.db"));
        let complaints = (published.count("dlq"), published.count("control WHERE kind = 'gap'"));
        assert_eq!(complaints, (0, 0), "{}", last.log());
        let told = published.count("levels WHERE sku LIKE 'xxx%' AND on_hand IS NOT NULL");
        assert_eq!((told, published.count("levels")), (rows, rows));
    }
}
