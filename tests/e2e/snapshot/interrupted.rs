//! What it proves: a table whose reading is cut short, by a mapping that changes meanwhile or by a
//! table that cannot be read, leaves nothing behind and takes no key away that has a row.

use std::time::Duration;

use testbed::PgVersion;

use super::{BY_ID, BY_SKU, catch_up, held, published};
use crate::support::{Published, Shop, Tailstock, Workspace, eventually};

const SHELF: &str = "[[stock]]\ntable = \"public.shelf\"\nitem = \"id\"\n\
                     location = \"'shelf'\"\non_hand = \"qty\"\n";

/// A process that was killed while it read the table of stock for the first time.
async fn cut_short(test: &str, mapping: &str) -> Option<(Shop, Workspace)> {
    let shop = Shop::start(PgVersion::V15, test).await?;
    shop.create("stock", "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int").await;
    shop.execute(
        "INSERT INTO stock SELECT n, 'S-' || n, n FROM generate_series(1, 9000) n;
         CREATE TABLE shelf (id bigint PRIMARY KEY, qty int);
         INSERT INTO shelf VALUES (7, 70);
         ALTER PUBLICATION tailstock ADD TABLE shelf;",
    )
    .await;
    let slow = format!("snapshot_rows_per_s = 2000\n{mapping}");
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&slow));
    let running = Tailstock::start(&workspace, &["run"]);
    eventually("some of it is published", Duration::from_secs(30), async || {
        let store = workspace.path("stock.db");
        Published::has_begun(&store, "levels", 2).then_some(())
    })
    .await;
    running.kill_after(Duration::ZERO).await;
    assert!(checkpoint(&workspace).contains(r#""snapshot":{"table":"public.stock""#));
    Some((shop, workspace))
}

fn checkpoint(workspace: &Workspace) -> String {
    published(workspace).texts("SELECT value FROM checkpoints").pop().unwrap()
}

fn rewrite(workspace: &Workspace, seller: &str) {
    std::fs::write(workspace.path("sellers/shop.toml"), seller).unwrap();
}

#[tokio::test]
async fn a_mapping_corrected_during_the_first_reading_leaves_no_key_of_before() {
    let test = "a_mapping_corrected_during_the_first_reading";
    let Some((shop, workspace)) = cut_short(test, BY_ID).await else { return };
    rewrite(&workspace, &shop.whole_seller(BY_SKU));
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).levels(), held(&shop, "sku").await);
}

#[tokio::test]
async fn a_table_left_out_of_the_mapping_during_its_reading_goes_and_the_others_are_followed() {
    let test = "a_table_left_out_of_the_mapping_during";
    let Some((shop, workspace)) = cut_short(test, &format!("{SHELF}{BY_ID}")).await else { return };
    rewrite(&workspace, &shop.whole_seller(SHELF));
    shop.execute("UPDATE shelf SET qty = 71").await;
    catch_up(&workspace).await;
    let shelf = [("acme/main/7/shelf".to_owned(), Some("71".to_owned()))];
    assert_eq!(published(&workspace).levels(), shelf.into());
}

#[tokio::test]
async fn a_table_that_becomes_a_ledger_during_its_reading_is_read_no_further() {
    let test = "a_table_that_becomes_a_ledger_during";
    let Some((shop, workspace)) = cut_short(test, BY_ID).await else { return };
    let ledger = "[[stock]]\ntable = \"public.stock\"\nkind = \"movement\"\nitem = \"id\"\n\
                  delta = \"qty\"\n";
    rewrite(&workspace, &shop.whole_seller(ledger));
    catch_up(&workspace).await;
    assert!(published(&workspace).levels().is_empty());
    assert_eq!(published(&workspace).count("events WHERE kind = 'movement'"), 0);
}

#[tokio::test]
async fn no_table_is_read_on_once_its_seller_says_never() {
    let test = "no_table_is_read_on_once_its_seller";
    let Some((shop, workspace)) = cut_short(test, BY_ID).await else { return };
    let captured = "events WHERE value LIKE '%\"capture\":\"snapshot\"%'";
    let read = published(&workspace).count(captured);
    rewrite(&workspace, &shop.seller(BY_ID));
    shop.execute("UPDATE stock SET qty = -1 WHERE id = 9000").await;
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).count(captured), read);
    assert_eq!(published(&workspace).levels()["acme/main/9000/_"].as_deref(), Some("-1"));
    let marked = checkpoint(&workspace);
    assert!(marked.contains(r#""dirty_tables":{"public.stock":"first start"}"#), "{marked}");
    shop.execute("DELETE FROM stock WHERE id = 1").await;
    rewrite(&workspace, &shop.whole_seller(BY_ID));
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
}

#[tokio::test]
async fn a_snapshot_asked_for_while_no_process_runs_begins_the_reading_anew() {
    let test = "a_snapshot_asked_for_while_no_process";
    let Some((shop, workspace)) = cut_short(test, BY_ID).await else { return };
    let mut asked = Tailstock::start(&workspace, &["snapshot", "acme", "public.stock"]);
    assert!(asked.wait(Duration::from_secs(30)).await.success(), "{}", asked.log());
    let marked = checkpoint(&workspace);
    assert!(!marked.contains(r#""snapshot":{"#) && marked.contains("asked for"), "{marked}");
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
}

#[tokio::test]
async fn no_key_is_taken_away_while_what_its_row_looks_up_cannot_be_read() {
    let test = "no_key_is_taken_away_while_what";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "id bigint PRIMARY KEY, qty int").await;
    shop.execute(
        "INSERT INTO stock VALUES (1, 10), (2, 20);
         CREATE TABLE product (id bigint PRIMARY KEY, name text);
         INSERT INTO product VALUES (1, 'a'), (2, 'b');
         ALTER PUBLICATION tailstock ADD TABLE product;
         CREATE ROLE reader LOGIN REPLICATION;
         GRANT SELECT ON stock, product TO reader;",
    )
    .await;
    let mapping = r#"
[[stock]]
table = "public.stock"
item = "id"
sku = "name"
on_hand = "qty"
[[stock.lookup]]
table = "public.product"
on = { id = "id" }
columns = { name = "name" }
"#;
    let seller = shop.whole_seller(mapping).replace("://postgres@", "://reader@");
    let workspace = Workspace::new(Workspace::MAIN, &seller);
    catch_up(&workspace).await;
    let running = Tailstock::start(&workspace, &["run"]);
    shop.execute("REVOKE SELECT ON product FROM reader; TRUNCATE product").await;
    eventually("the emptied table has been tried twice", Duration::from_secs(30), async || {
        let tried = running.log().contains("a table cannot be read yet");
        let checkpoint = checkpoint(&workspace);
        let snapshots = checkpoint.split(r#""snapshots":"#).nth(1).unwrap();
        let snapshots: u32 = snapshots.split(',').next().unwrap().parse().unwrap();
        (tried && snapshots >= 4).then_some(())
    })
    .await;
    assert_eq!(published(&workspace).count("events WHERE kind = 'removed'"), 0);
    shop.execute("GRANT SELECT ON product TO reader; INSERT INTO product VALUES (1, 'c')").await;
    eventually("both tables are read", Duration::from_secs(60), async || {
        checkpoint(&workspace).contains(r#""dirty_tables":{}"#).then_some(())
    })
    .await;
    drop(running);
    assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
    assert_eq!(published(&workspace).count("events WHERE kind = 'removed'"), 0);
    let sku = "SELECT coalesce(sku, '-') FROM levels ORDER BY key";
    assert_eq!(published(&workspace).texts(sku), ["c", "-"]);
}

/// The store, with a level that no table of the seller has.
fn with_another_level(workspace: &Workspace) -> rusqlite::Connection {
    let store = rusqlite::Connection::open(workspace.path("stock.db")).unwrap();
    store.busy_timeout(Duration::from_secs(30)).unwrap();
    store
        .execute_batch(
            "INSERT INTO levels SELECT 'acme/main/other/_', seller, source, item, sku, location,
             bucket, on_hand, available, reserved, incoming, version, committed_at, event_seq,
             'public.other' FROM levels LIMIT 1",
        )
        .unwrap();
    store
}

#[tokio::test]
async fn a_table_is_not_read_again_because_the_sink_cannot_say_what_is_published() {
    const LIMIT: Duration = Duration::from_secs(60);
    let test = "a_table_is_not_read_again_because_the_sink";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("lots", "id bigint PRIMARY KEY, item bigint, qty int").await;
    shop.execute(
        "INSERT INTO lots VALUES (1, 1, 10), (2, 1, 20), (3, 2, 5);
         CREATE TABLE shelf (id bigint PRIMARY KEY, qty int);
         INSERT INTO shelf VALUES (7, 70);
         ALTER PUBLICATION tailstock ADD TABLE shelf;",
    )
    .await;
    let lots = "[[stock]]\ntable = \"public.lots\"\nitem = \"item\"\non_hand = \"qty\"\n\
                sum = [\"qty\"]\n";
    let seller = shop.whole_seller(&format!("{lots}{SHELF}"));
    let workspace = Workspace::new(Workspace::MAIN, &seller);
    catch_up(&workspace).await;
    let events = || published(&workspace).count("events");
    let ask = async || {
        let mut asked = Tailstock::start(&workspace, &["snapshot", "acme"]);
        assert!(asked.wait(LIMIT).await.success(), "{}", asked.log());
    };
    let first = events();
    ask().await;
    catch_up(&workspace).await;
    let each_time = events() - first;
    assert!(each_time >= 3, "every key is said");
    let store = with_another_level(&workspace);
    let damage = |column: &str, value: &str| {
        let of = format!("UPDATE levels SET {column} = {value} WHERE key LIKE '%/other/_'");
        assert_eq!(store.execute(&of, []).unwrap(), 1);
    };
    let before = events();
    damage("sku", "x'00'");
    ask().await;
    let running = Tailstock::start(&workspace, &["run"]);
    for (nth, column) in ["table_name", "version", "version"].into_iter().enumerate() {
        eventually("the sink has been asked in vain", LIMIT, async || {
            let tried = running.log().matches("a table cannot be compared yet").count();
            (tried > nth).then_some(())
        })
        .await;
        // It is told once in the same words.
        damage(column, if nth < 2 { "x'00'" } else { "'none'" });
    }
    eventually("the sink has been asked once more", LIMIT, async || {
        running.log().contains("not a version").then_some(())
    })
    .await;
    store.execute("DELETE FROM levels WHERE key LIKE '%/other/_'", []).unwrap();
    eventually("both tables are read", LIMIT, async || {
        checkpoint(&workspace).contains(r#""dirty_tables":{}"#).then_some(())
    })
    .await;
    drop(running);
    assert_eq!(published(&workspace).count("control WHERE kind = 'snapshot_started'"), 6);
    assert_eq!(events() - before, each_time, "nothing was published twice");
}
