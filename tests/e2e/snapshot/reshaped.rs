//! What it proves: what is remembered of a table is of use only as long as its images hold what
//! they did and its rows are known by what they were.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use super::{BY_ID, BY_SKU, catch_up, held, published};
use crate::support::{Engine, Shop, Tailstock, Workspace, eventually};

const TABLE: &str = "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int";
const ROWS: &str = "INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)";

async fn shop(engine: Engine, test: &str) -> Option<Shop> {
    let shop = Shop::start(engine, test).await?;
    shop.create("stock", TABLE).await;
    shop.execute(ROWS).await;
    Some(shop)
}

#[tokio::test]
async fn rows_are_remembered_from_when_old_images_lack_what_a_filter_asks_for() {
    let test = "rows_are_remembered_from_when_old_images_lack";
    let Some(shop) = shop(PgVersion::V15.into(), test).await else { return };
    shop.execute("ALTER TABLE stock REPLICA IDENTITY FULL").await;
    let stock = BY_ID.replace("item = ", "where = \"qty > 0\"\nitem = ");
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&stock));
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!((published.levels().len(), published.count("rows")), (3, 0));
    shop.execute("ALTER TABLE stock REPLICA IDENTITY DEFAULT").await;
    catch_up(&workspace).await;
    assert_eq!(published.count("rows"), 3);
    shop.execute("UPDATE stock SET qty = 0 WHERE id = 2").await;
    catch_up(&workspace).await;
    let keys: Vec<String> = published.levels().into_keys().collect();
    assert_eq!(keys, ["acme/main/1/_", "acme/main/3/_"]);
    shop.execute("ALTER TABLE stock REPLICA IDENTITY FULL").await;
    catch_up(&workspace).await;
    shop.execute("UPDATE stock SET qty = 0 WHERE id = 3").await;
    catch_up(&workspace).await;
    let keys: Vec<String> = published.levels().into_keys().collect();
    assert_eq!((keys, published.count("rows")), (vec!["acme/main/1/_".to_owned()], 0));
}

#[tokio::test]
async fn another_primary_key_is_read_and_nothing_stored_ends_the_start() {
    let test = "another_primary_key_is_read";
    let Some(shop) = shop(PgVersion::V15.into(), test).await else { return };
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(BY_SKU));
    catch_up(&workspace).await;
    shop.execute("ALTER TABLE stock DROP CONSTRAINT stock_pkey, DROP COLUMN id").await;
    shop.execute("ALTER TABLE stock ADD COLUMN number bigserial PRIMARY KEY").await;
    shop.execute("UPDATE stock SET qty = 20 WHERE sku = 'b'; DELETE FROM stock WHERE sku = 'c'")
        .await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&shop, "sku").await);
    assert_eq!(published.count("rows"), 2);
}

#[tokio::test]
async fn another_primary_key_is_taken_up_by_a_process_that_runs() {
    let test = "another_primary_key_is_taken_up";
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb1011.into()] {
        let Some(shop) = shop(engine, test).await else { continue };
        let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(BY_SKU));
        catch_up(&workspace).await;
        let running = Tailstock::start(&workspace, &["run"]);
        shop.execute("UPDATE stock SET qty = 10 WHERE sku = 'a'").await;
        eventually("it follows", Duration::from_secs(30), async || {
            let quantity = published(&workspace).levels()["acme/main/a/_"].clone();
            (quantity.as_deref() == Some("10")).then_some(())
        })
        .await;
        let unkeyed = match shop.is_mysql() {
            true => "ALTER TABLE stock DROP PRIMARY KEY, DROP COLUMN id",
            false => "ALTER TABLE stock DROP CONSTRAINT stock_pkey, DROP COLUMN id",
        };
        shop.execute(unkeyed).await;
        shop.execute("ALTER TABLE stock ADD COLUMN number SERIAL, ADD PRIMARY KEY (number)").await;
        shop.execute("UPDATE stock SET qty = 20 WHERE sku = 'b'").await;
        shop.execute("DELETE FROM stock WHERE sku = 'c'").await;
        let wanted = held(&shop, "sku").await;
        eventually("the table is read by its new key", Duration::from_secs(60), async || {
            let now = published(&workspace);
            let checkpoint = now.texts("SELECT value FROM checkpoints").pop()?;
            let is_read = checkpoint.contains(r#""dirty_tables":{}"#);
            (is_read && now.levels() == wanted && now.count("rows") == 2).then_some(())
        })
        .await;
        drop(running);
    }
}

#[tokio::test]
async fn a_column_that_is_made_anew_before_any_row_was_streamed_is_read_again() {
    const OTHER: &str = r#"
[[stock]]
table = "public.other"
item = "id"
location = "'other'"
on_hand = "qty"
"#;
    let test = "a_column_that_is_made_anew_before_any_row";
    // From the first start on, or by a mapping that comes later.
    for first in [BY_ID, OTHER] {
        let Some(shop) = shop(PgVersion::V15.into(), test).await else { return };
        shop.execute("CREATE TABLE other (id bigint PRIMARY KEY, qty int)").await;
        shop.execute("ALTER PUBLICATION tailstock ADD TABLE other").await;
        let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(first));
        catch_up(&workspace).await;
        let both = shop.whole_seller(&format!("{BY_ID}{OTHER}"));
        std::fs::write(workspace.path("sellers/shop.toml"), both).unwrap();
        catch_up(&workspace).await;
        shop.execute("ALTER TABLE stock ALTER qty TYPE numeric USING qty * 1000").await;
        shop.execute("UPDATE stock SET qty = 5 WHERE id = 1").await;
        catch_up(&workspace).await;
        assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
    }
}

async fn levels_are_whole_under_minimal_images(version: MysqlVersion, test: &str) {
    let engine = Engine::from(version).setting("binlog_row_image", "MINIMAL");
    let Some(shop) = shop(engine, test).await else { return };
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(BY_ID));
    catch_up(&workspace).await;
    shop.execute("BEGIN").await;
    shop.execute("UPDATE stock SET qty = 10 WHERE id = 1").await;
    shop.execute("UPDATE stock SET sku = 'A' WHERE id = 1").await;
    shop.execute("COMMIT").await;
    shop.execute("UPDATE stock SET qty = 20 WHERE id = 2").await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&shop, "id").await);
    let events = published.events();
    let changed = events[events.len() - 2..].iter().map(|event| &event.value);
    let skus: Vec<&str> = changed.map(|value| value["item"]["sku"].as_str().unwrap()).collect();
    assert_eq!(skus, ["A", "b"]);
    assert!(events.iter().all(|event| event.value.get("quality").is_none()));
}

#[tokio::test]
async fn levels_of_mysql_are_whole_under_minimal_images() {
    let test = "levels_of_mysql_are_whole_under_minimal_images";
    levels_are_whole_under_minimal_images(MysqlVersion::Mysql97, test).await;
}

#[tokio::test]
async fn levels_of_mariadb_are_whole_under_minimal_images() {
    let test = "levels_of_mariadb_are_whole_under_minimal_images";
    levels_are_whole_under_minimal_images(MysqlVersion::Mariadb118, test).await;
}

/// It was read again and again, with a login each time and not a word, before any other table.
#[tokio::test]
async fn a_table_that_lacks_a_mapped_column_is_told_once_and_keeps_no_other_back() {
    let test = "a_table_that_lacks_a_mapped_column";
    let limit = Duration::from_secs(90);
    for version in [Engine::from(PgVersion::V15), MysqlVersion::Mysql97.into()] {
        let Some(shop) = shop(version, test).await else { continue };
        shop.execute("CREATE TABLE shelf (id bigint PRIMARY KEY, qty int)").await;
        if !shop.is_mysql() {
            shop.execute("ALTER PUBLICATION tailstock ADD TABLE shelf").await;
        }
        let shelf = "[[stock]]\ntable = \"public.shelf\"\nitem = \"id\"\nlocation = \"'shelf'\"\n\
                     on_hand = \"qty\"\n";
        let seller = shop.whole_seller(&format!("{BY_ID}{shelf}"));
        let workspace = Workspace::new(Workspace::MAIN, &seller);
        catch_up(&workspace).await;
        let running = Tailstock::start(&workspace, &["run"]);
        shop.execute("UPDATE stock SET qty = 5 WHERE id = 1").await;
        let published = published(&workspace);
        eventually("it follows", limit, async || (published.count("events") == 4).then_some(()))
            .await;
        shop.execute("ALTER TABLE stock DROP COLUMN qty").await;
        shop.execute("UPDATE stock SET sku = 'x' WHERE id = 1").await;
        let told = "column qty is not in table";
        eventually("it is told", limit, async || running.log().contains(told).then_some(())).await;
        // Changes of its rows all the while make no difference.
        shop.execute("INSERT INTO shelf VALUES (1, 1)").await;
        shop.execute(if shop.is_mysql() { "TRUNCATE TABLE shelf" } else { "TRUNCATE shelf" }).await;
        shop.execute("INSERT INTO shelf VALUES (2, 2)").await;
        let completed = "control WHERE kind = 'snapshot_completed' AND value LIKE '%shelf%'";
        eventually("the other table is read again", limit, async || {
            shop.execute("UPDATE stock SET sku = concat(sku, 'x') WHERE id = 2").await;
            (published.count(completed) == 2).then_some(())
        })
        .await;
        assert_eq!(running.log().matches(told).count(), 1, "{}", running.log());
        shop.execute("ALTER TABLE stock ADD COLUMN qty int DEFAULT 7").await;
        shop.execute("UPDATE stock SET qty = 8 WHERE id = 3").await;
        eventually("it is read", limit, async || {
            let mut levels = published.levels();
            levels.retain(|key, _| key.ends_with("/_"));
            (levels == held(&shop, "id").await).then_some(())
        })
        .await;
        drop(running);
    }
}
