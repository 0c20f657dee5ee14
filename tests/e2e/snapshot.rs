//! What it proves: what was in the tables already is published too, beside the stream, and
//! whatever makes it doubtful that nothing is missing mends itself: afterwards the published levels
//! are what the shop holds, keys that went unseen included.

mod derived;
mod fire;
mod healing;
mod interrupted;
mod related;
mod reshaped;
mod restored;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

/// A table whose keys are not those of its rows, so that rows are remembered.
pub(super) const BY_SKU: &str = r#"
[[stock]]
table = "public.stock"
item = "sku"
on_hand = "qty"
"#;

/// A table whose rows need not be remembered.
pub(super) const BY_ID: &str = r#"
[[stock]]
table = "public.stock"
item = "id"
sku = "sku"
on_hand = "qty"
"#;

pub(super) async fn catch_up(workspace: &Workspace) {
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(300)).await.success(), "{}", run.log());
}

pub(super) fn published(workspace: &Workspace) -> Published {
    Published::open(&workspace.path("stock.db"))
}

/// What the levels are to be, with keys from this column.
pub(super) async fn held(shop: &Shop, key: &str) -> BTreeMap<String, Option<String>> {
    let rows = shop.rows(&format!("SELECT {key}, qty FROM stock")).await;
    let level = |mut row: Vec<Option<String>>| {
        let quantity = row.pop().flatten();
        (format!("acme/main/{}/_", row.pop().flatten().unwrap()), quantity)
    };
    rows.into_iter().map(level).collect()
}

async fn what_was_there_before_is_published(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int").await;
    let rows: Vec<String> = (0..9_000).map(|n| format!("({n}, 'S-{n}', {})", n % 97)).collect();
    shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
    for stock in [BY_ID, BY_SKU] {
        let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(stock));
        catch_up(&workspace).await;
        let published = published(&workspace);
        let key = if stock == BY_ID { "id" } else { "sku" };
        assert_eq!(published.levels(), held(&shop, key).await);
        let events = published.events();
        assert!(events.iter().all(|event| event.value["capture"] == "snapshot"));
        assert!(events.iter().all(|event| event.value["origin"]["operation"] == "read"));
        let control = published.texts("SELECT kind FROM control ORDER BY seq");
        assert_eq!(control, ["snapshot_started", "snapshot_completed"]);
        let done = published.texts("SELECT value FROM control ORDER BY seq DESC LIMIT 1");
        let done: serde_json::Value = serde_json::from_str(&done[0]).unwrap();
        assert_eq!((&done["rows"], &done["levels"]), (&9000.into(), &9000.into()), "{done}");
        let sum: u64 = (0..9_000).map(|n| n % 97).sum();
        assert_eq!(done["sums"]["on_hand"], sum.to_string());
        // Nothing is read again without a reason.
        shop.execute("UPDATE stock SET qty = 500 WHERE id = 5").await;
        catch_up(&workspace).await;
        assert_eq!(published.count("events"), 9_001);
        assert_eq!(published.levels(), held(&shop, key).await);
        shop.execute("UPDATE stock SET qty = 5 WHERE id = 5").await;
        if !shop.is_mysql() {
            shop.execute("SELECT pg_drop_replication_slot('test_acme_main')").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_postgresql_before_the_first_start_is_published() {
    let test = "what_was_in_postgresql_before_the_first_start";
    what_was_there_before_is_published(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_mysql_before_the_first_start_is_published() {
    let test = "what_was_in_mysql_before_the_first_start";
    what_was_there_before_is_published(MysqlVersion::Mysql97.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_mariadb_before_the_first_start_is_published() {
    let test = "what_was_in_mariadb_before_the_first_start";
    what_was_there_before_is_published(MysqlVersion::Mariadb1011.into(), test).await;
}

#[tokio::test]
async fn a_table_is_read_where_nothing_is_stored_though_the_server_says_nothing_else() {
    let test = "a_table_is_read_where_nothing_is_stored";
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb1011.into()] {
        let Some(shop) = Shop::start(engine, test).await else { continue };
        shop.create("stock", "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int").await;
        let rows: Vec<String> = (0..3_000).map(|n| format!("({n}, 'S-{n}', {n})")).collect();
        shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
        let kept = "kind = \"sqlite\"\npath = \"stock.db\"";
        let main = Workspace::MAIN.replace(kept, "kind = \"discard\"");
        // Neither server says anything of its own accord for as long as is waited for here.
        let silent = "ssl-mode=disabled&heartbeat=60";
        let seller = shop.whole_seller(BY_ID).replace("ssl-mode=disabled", silent);
        let workspace = Workspace::new(&main, &seller);
        let mut run = Tailstock::start(&workspace, &["run", "--until-current"]);
        eventually("the table is being read", Duration::from_secs(60), async || {
            run.log().contains("reading a table").then_some(())
        })
        .await;
        assert!(run.wait(Duration::from_secs(10)).await.success(), "{}", run.log());
        assert!(run.log().contains("rows=3000"), "{}", run.log());
    }
}
