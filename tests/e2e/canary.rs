//! What it proves: of what a log holds besides the mapped columns, not a byte leaves the decoder.
//! Every unmapped column and table is full of a word that is looked for in everything a run leaves
//! behind or answers.

mod crash;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

/// In no name and no message but by a leak.
const CANARY: &str = "canary7f3a";
const LIMIT: Duration = Duration::from_secs(60);

/// The item is not the key, so that rows are cached; one that is NULL is a dead letter.
const SELLER: &str = "\
[[stock]]
table = \"public.stock\"
item = \"code\"
on_hand = \"qty\"
";

fn main_file(listen: SocketAddr) -> String {
    Workspace::MAIN.replace("listen = \"\"", &format!("listen = \"{listen}\""))
}

/// A shop whose customers stand in the way everywhere.
async fn shop(engine: Engine, test: &str) -> Option<Shop> {
    let shop = Shop::start(engine, test).await?;
    let columns = "id bigint PRIMARY KEY, code varchar(40), qty int, buyer text, phone text";
    shop.create("stock", columns).await;
    shop.execute("CREATE TABLE people (id bigint PRIMARY KEY, name text, email text)").await;
    if !shop.is_mysql() {
        shop.execute("ALTER PUBLICATION tailstock ADD TABLE people").await;
        // Old rows come whole, long values outside of them.
        shop.execute(
            "ALTER TABLE stock REPLICA IDENTITY FULL;
             ALTER TABLE stock ALTER buyer SET STORAGE EXTERNAL;",
        )
        .await;
    }
    // Those that are there before anybody looks.
    fill(&shop, 1, 20).await;
    Some(shop)
}

/// Rows with a mapped part, and with much that is none of ours.
async fn fill(shop: &Shop, first: u32, rows: u32) {
    for id in first..first + rows {
        let buyer = format!("{CANARY} Jane, {id} Main Street").repeat(200);
        shop.execute(&format!(
            "INSERT INTO stock VALUES ({id}, 'sku-{id}', {id}, '{buyer}', '+49 {CANARY} {id}')"
        ))
        .await;
        shop.execute(&format!(
            "INSERT INTO people VALUES ({id}, '{CANARY} Doe', 'jane{id}@{CANARY}.example')"
        ))
        .await;
    }
}

/// Everything a shop does, all of it with the word in it.
async fn trade(shop: &Shop) {
    fill(shop, 100, 20).await;
    let statements = [
        format!("UPDATE stock SET qty = qty + 1, phone = '{CANARY}' WHERE id < 105"),
        format!("UPDATE stock SET buyer = '{CANARY}' WHERE id = 106"),
        format!("UPDATE stock SET code = 'sku-moved', buyer = '{CANARY}' WHERE id = 107"),
        format!("UPDATE people SET email = '{CANARY}'"),
        "DELETE FROM stock WHERE id = 108".to_owned(),
        "DELETE FROM people WHERE id = 109".to_owned(),
        // What cannot be mapped goes to the dead letters, with its mapped columns.
        format!("INSERT INTO stock VALUES (200, NULL, 1, '{CANARY}', '{CANARY}')"),
        // Statements of which the log holds the text.
        format!("ALTER TABLE people ADD note varchar(40) DEFAULT '{CANARY}'"),
        format!("ALTER TABLE stock ADD note varchar(40) DEFAULT '{CANARY}'"),
        format!("INSERT INTO stock VALUES (201, 'sku-201', 1, '{CANARY}', '', '{CANARY}')"),
    ];
    for statement in &statements {
        shop.execute(statement).await;
    }
    if shop.is_mariadb() {
        shop.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
        shop.execute("SET SESSION binlog_format = 'STATEMENT'").await;
        shop.execute(&format!("UPDATE stock SET qty = 9 WHERE buyer LIKE '%{CANARY}%'")).await;
        shop.execute(&format!("UPDATE people SET name = '{CANARY}'")).await;
        shop.execute("SET SESSION binlog_format = 'ROW'").await;
    } else if !shop.is_mysql() {
        shop.execute(&format!("SELECT pg_logical_emit_message(true, 'p', '{CANARY}')")).await;
    }
    shop.execute("TRUNCATE TABLE people").await;
    shop.execute(&format!("INSERT INTO stock VALUES (999, 'sku-last', 1, '{CANARY}', '', '')"))
        .await;
}

/// All answers to what may be asked, of which there is one for each path.
async fn answers(address: SocketAddr) -> Vec<u8> {
    let mut all = Vec::new();
    for path in ["/", "/metrics", "/readyz", "/v1/sellers", "/nowhere"] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_to_end(&mut all).await.unwrap();
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

fn contains(bytes: &[u8], word: &str) -> bool {
    let lower = bytes.to_ascii_lowercase();
    lower.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The word as it is, and in hexadecimal digits.
fn assert_clean(what: &str, bytes: &[u8]) {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for word in [CANARY, &hex] {
        if contains(bytes, word) {
            let lower = String::from_utf8_lossy(bytes).to_lowercase();
            let at = lower.find(word).unwrap_or_default();
            let around: String = lower[..at].chars().rev().take(200).collect();
            let around: String = around.chars().rev().collect();
            panic!("a customer is in {what}, behind {around:?}");
        }
    }
}

fn assert_folder_clean(workspace: &Workspace) {
    let mut found = false;
    for path in files(workspace.folder()) {
        let bytes = std::fs::read(&path).unwrap();
        assert_clean(&path.display().to_string(), &bytes);
        found |= contains(&bytes, "sku-last");
    }
    assert!(found, "what is mapped is found, so what is not would be");
}

async fn no_customer_leaves(engine: Engine, test: &str) {
    let Some(shop) = shop(engine, test).await else { return };
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let workspace = Workspace::new(&main_file(address), &shop.whole_seller(SELLER));
    let first = ["--log-level", "trace", "run", "--until-current"];
    let mut run = Tailstock::start(&workspace, &first);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    let run = Tailstock::start(&workspace, &["--log-level", "trace", "run"]);
    trade(&shop).await;
    let path = workspace.path("stock.db");
    eventually("all of it", LIMIT, async || {
        Published::open(&path).levels().contains_key("acme/main/sku-last/_").then_some(())
    })
    .await;
    assert_clean("what is answered", &answers(address).await);
    // With the write-ahead log as it is, and as a crash leaves it.
    assert_folder_clean(&workspace);
    run.kill_after(Duration::ZERO).await;
    let mut run = Tailstock::start(&workspace, &["--log-level", "trace", "run", "--until-current"]);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    let mut status = Tailstock::start(&workspace, &["status"]);
    assert!(status.wait(LIMIT).await.success(), "{}", status.log());
    assert_folder_clean(&workspace);
    let published = Published::open(&path);
    assert!(published.count("dlq") > 0 && published.count("rows") > 0, "all kinds are there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_customer_leaves_a_shop_on_postgresql() {
    let test = "no_customer_leaves_a_shop_on_postgresql";
    no_customer_leaves(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_customer_leaves_a_shop_on_mariadb() {
    let test = "no_customer_leaves_a_shop_on_mariadb";
    no_customer_leaves(MysqlVersion::Mariadb1011.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_customer_leaves_a_shop_on_mysql() {
    let test = "no_customer_leaves_a_shop_on_mysql";
    no_customer_leaves(MysqlVersion::Mysql97.into(), test).await;
}
