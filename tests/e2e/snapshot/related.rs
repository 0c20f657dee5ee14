//! What it proves: of tables that look others up nothing is lost, whichever of them are read.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use super::{BY_ID, BY_SKU, catch_up, held, published};
use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually, is_full_size};

const LIMIT: Duration = Duration::from_secs(60);

/// A block about `table` whose SKUs are the names of `looked_up`.
fn block(table: &str, (looked_up, on): (&str, &str), quantity: &str) -> String {
    format!(
        "[[stock]]\ntable = \"public.{table}\"\nitem = \"id\"\nlocation = \"'{table}'\"\n\
         on_hand = \"{quantity}\"\nsku = \"found\"\n[[stock.lookup]]\n\
         table = \"public.{looked_up}\"\non = {{ id = \"{on}\" }}\n\
         columns = {{ found = \"name\" }}\nrequired = true\n"
    )
}

/// A shop with these tables of three rows each, `(id, product, name, qty)`.
async fn shop(engine: Engine, test: &str, tables: &[&str]) -> Option<Shop> {
    let shop = Shop::start(engine, test).await?;
    let columns = "id int PRIMARY KEY, product int NOT NULL, name varchar(40) NOT NULL, qty int";
    for (nth, table) in tables.iter().enumerate() {
        match (nth, shop.is_mysql()) {
            (0, _) => shop.create(table, columns).await,
            (_, true) => shop.execute(&format!("CREATE TABLE {table} ({columns})")).await,
            (_, false) => {
                shop.execute(&format!("CREATE TABLE {table} ({columns})")).await;
                shop.execute(&format!("ALTER PUBLICATION tailstock ADD TABLE {table}")).await;
            }
        }
        let rows = "(1, 1, 'a', 1), (2, 2, 'b', 2), (3, 3, 'c', 3)";
        shop.execute(&format!("INSERT INTO {table} VALUES {rows}")).await;
    }
    Some(shop)
}

fn keys(workspace: &Workspace) -> Vec<String> {
    let keys = published(workspace).levels().into_keys();
    keys.map(|key| key.trim_start_matches("acme/main/").to_owned()).collect()
}

#[tokio::test]
async fn what_goes_while_a_table_is_read_for_another_mapping_goes_for_all() {
    let test = "what_goes_while_a_table_is_read_for_another";
    let tables = ["product", "variant", "bundle"];
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb1011.into()] {
        let Some(shop) = shop(engine, test, &tables).await else { continue };
        let bundle = block("bundle", ("product", "product"), "qty");
        let variant = |quantity| block("variant", ("product", "product"), quantity);
        let seller = format!("{}{bundle}", variant("qty"));
        let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&seller));
        catch_up(&workspace).await;
        assert_eq!(published(&workspace).levels().len(), 6);
        let seller = shop.whole_seller(&format!("{}{bundle}", variant("qty + 1")));
        std::fs::write(workspace.path("sellers/shop.toml"), seller).unwrap();
        shop.execute("DELETE FROM bundle WHERE id = 3").await;
        catch_up(&workspace).await;
        let wanted = ["1/bundle", "1/variant", "2/bundle", "2/variant", "3/variant"];
        assert_eq!(keys(&workspace), wanted);
    }
}

#[tokio::test]
async fn tables_that_look_each_other_up_are_read() {
    let test = "tables_that_look_each_other_up_are_read";
    let Some(shop) = shop(PgVersion::V15.into(), test, &["product", "variant"]).await else {
        return;
    };
    let blocks = [
        block("variant", ("product", "product"), "qty"),
        block("product", ("variant", "id"), "qty"),
    ];
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&blocks.concat()));
    catch_up(&workspace).await;
    let all = ["1/product", "1/variant", "2/product", "2/variant", "3/product", "3/variant"];
    assert_eq!(keys(&workspace), all);
    shop.execute("DELETE FROM variant WHERE id = 1").await;
    catch_up(&workspace).await;
    assert_eq!(keys(&workspace), all[2..]);
    shop.execute("TRUNCATE variant").await;
    shop.execute("INSERT INTO variant VALUES (3, 3, 'd', 5)").await;
    catch_up(&workspace).await;
    assert_eq!(keys(&workspace), all[4..]);
    let checkpoint = published(&workspace).texts("SELECT value FROM checkpoints").pop().unwrap();
    assert!(checkpoint.contains(r#""dirty_tables":{}"#), "{checkpoint}");
}

#[tokio::test]
async fn rows_that_need_a_table_whose_key_got_another_type_go_with_its_rows() {
    let test = "rows_that_need_a_table_whose_key_got_another_type";
    let Some(shop) = shop(PgVersion::V15.into(), test, &["product", "variant"]).await else {
        return;
    };
    let variant = block("variant", ("product", "product"), "qty");
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&variant));
    catch_up(&workspace).await;
    let running = Tailstock::start(&workspace, &["run"]);
    shop.execute("UPDATE product SET name = 'aa' WHERE id = 1").await;
    eventually("it follows", LIMIT, async || {
        let skus = published(&workspace).texts("SELECT coalesce(sku, '') FROM levels");
        skus.iter().any(|sku| sku == "aa").then_some(())
    })
    .await;
    shop.execute("ALTER TABLE product ALTER COLUMN id TYPE bigint").await;
    let writer = shop.connect().await;
    writer.execute("BEGIN; UPDATE product SET name = 'ab' WHERE id = 1").await;
    writer.execute("DELETE FROM product WHERE id = 3; COMMIT").await;
    eventually("all is read", LIMIT, async || {
        let checkpoint = published(&workspace).texts("SELECT value FROM checkpoints").pop()?;
        let is_read = checkpoint.contains(r#""dirty_tables":{}"#);
        (is_read && keys(&workspace) == ["1/variant", "2/variant"]).then_some(())
    })
    .await;
    running.kill_after(Duration::ZERO).await;
}

#[tokio::test]
async fn a_primary_key_that_grows_before_a_row_was_written_is_taken_up() {
    let test = "a_primary_key_that_grows_before_a_row";
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb1011.into()] {
        let Some(shop) = Shop::start(engine, test).await else { continue };
        let columns = "id int PRIMARY KEY, sku varchar(40) NOT NULL, qty int, \
                       place int NOT NULL DEFAULT 1";
        shop.create("stock", columns).await;
        shop.execute("INSERT INTO stock VALUES (1, 'a', 1, 1), (2, 'b', 2, 1)").await;
        let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(BY_ID));
        catch_up(&workspace).await;
        let running = Tailstock::start(&workspace, &["run"]);
        eventually("it has seen the table", LIMIT, async || {
            running.log().contains("connected").then_some(())
        })
        .await;
        let altered = match shop.is_mysql() {
            true => "ALTER TABLE stock DROP PRIMARY KEY, ADD PRIMARY KEY (id, place)",
            false => "ALTER TABLE stock DROP CONSTRAINT stock_pkey, ADD PRIMARY KEY (id, place)",
        };
        shop.execute(altered).await;
        shop.execute("INSERT INTO stock VALUES (1, 'a', 1, 2)").await;
        shop.execute("DELETE FROM stock WHERE id = 1 AND place = 2").await;
        let wanted = held(&shop, "id").await;
        eventually("the table is read by its new key", LIMIT, async || {
            let now = published(&workspace);
            let checkpoint = now.texts("SELECT value FROM checkpoints").pop()?;
            let is_read = checkpoint.contains(r#""dirty_tables":{}"#);
            (is_read && now.levels() == wanted && now.count("rows") == 2).then_some(())
        })
        .await;
        running.kill_after(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_key_of_numbers_that_are_texts_now_keeps_its_rows_in_the_store() {
    let test = "a_key_of_numbers_that_are_texts_now";
    let Some(shop) = shop(PgVersion::V15.into(), test, &["stock"]).await else { return };
    let by_name = BY_SKU.replace("\"sku\"", "\"name\"");
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&by_name));
    catch_up(&workspace).await;
    for kind in ["text", "numeric(10,0) USING id::numeric", "bigint"] {
        shop.execute(&format!("ALTER TABLE stock ALTER COLUMN id TYPE {kind}")).await;
        catch_up(&workspace).await;
        assert_eq!(published(&workspace).count("rows"), 3, "{kind}");
        assert_eq!(published(&workspace).levels(), held(&shop, "name").await);
    }
}

#[tokio::test]
async fn rows_for_which_there_was_no_room_beside_what_was_read_are_read_themselves() {
    let test = "rows_for_which_there_was_no_room";
    let rows = 100_500;
    if !is_full_size() {
        return println!("{test}: skipped: {rows} rows look up one");
    }
    let engine = MysqlVersion::Mariadb1011.into();
    let Some(shop) = shop(engine, test, &["product", "variant"]).await else { return };
    for first in (4..rows).step_by(5_000) {
        let values: Vec<String> =
            (first..rows.min(first + 5_000)).map(|n| format!("({n}, 1, 'n', 1)")).collect();
        shop.execute(&format!("INSERT INTO variant VALUES {}", values.join(","))).await;
    }
    let variant = block("variant", ("product", "product"), "qty");
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&variant));
    catch_up(&workspace).await;
    shop.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    shop.execute("SET SESSION binlog_format = 'STATEMENT'").await;
    shop.execute("UPDATE product SET name = 'new' WHERE id = 1").await;
    catch_up(&workspace).await;
    let old = published(&workspace).count("levels WHERE sku = 'a'");
    assert_eq!(old, 0, "levels of {rows}");
}

#[tokio::test]
async fn a_table_that_nobody_may_read_for_a_while_keeps_no_other_from_being_read() {
    let test = "a_table_that_nobody_may_read_for_a_while";
    let engine = MysqlVersion::Mariadb1011.into();
    let Some(shop) = shop(engine, test, &["locked", "open"]).await else { return };
    let block = |table: &str| {
        format!(
            "[[stock]]\ntable = \"public.{table}\"\nitem = \"id\"\nlocation = \"'{table}'\"\n\
             on_hand = \"qty\"\n"
        )
    };
    let both = [block("locked"), block("open")].concat();
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&both));
    let writer = shop.connect().await;
    writer.execute("LOCK TABLES locked WRITE").await;
    let running = Tailstock::start(&workspace, &["run"]);
    let open = ["1/open", "2/open", "3/open"];
    eventually("the other one is read", LIMIT, async || {
        let is_begun = Published::has_begun(&workspace.path("stock.db"), "levels", 3);
        (is_begun && keys(&workspace) == open).then_some(())
    })
    .await;
    let checkpoint = published(&workspace).texts("SELECT value FROM checkpoints").pop().unwrap();
    assert!(checkpoint.contains("it cannot be read: "), "{checkpoint}");
    writer.execute("UNLOCK TABLES").await;
    eventually("both are read", LIMIT, async || (keys(&workspace).len() == 6).then_some(())).await;
    running.kill_after(Duration::ZERO).await;
}

/// What is read of a table is of no use when a row goes meanwhile that takes rows of it along. On
/// MariaDB a chunk waits five seconds once there was a distributed transaction.
#[tokio::test]
async fn a_table_whose_looked_up_rows_go_all_the_time_keeps_no_other_from_being_read() {
    let test = "a_table_whose_looked_up_rows_go_all_the_time";
    let engine = Engine::from(MysqlVersion::Mariadb1011).setting("sync_binlog", "1");
    let Some(shop) = shop(engine, test, &["product", "variant", "zone"]).await else { return };
    let key = "ADD FOREIGN KEY (product) REFERENCES product (id) ON DELETE CASCADE";
    shop.execute(&format!("ALTER TABLE variant {key}")).await;
    let session = shop.connect().await;
    for statement in ["START 'x'", "END 'x'", "PREPARE 'x'", "COMMIT 'x'"] {
        session.execute(&format!("XA {statement}")).await;
    }
    let products: Vec<String> = (4..4_000).map(|id| format!("({id}, {id}, 'p', 1)")).collect();
    shop.execute(&format!("INSERT INTO product VALUES {}", products.join(","))).await;
    let zone = BY_ID.replace("stock", "zone").replace("[[zone]]", "[[stock]]");
    let variant = block("variant", ("product", "product"), "qty");
    let seller = shop.whole_seller(&format!("{variant}{}", zone.replace("sku = \"sku\"\n", "")));
    let workspace = Workspace::new(Workspace::MAIN, &seller);
    let mut running = Tailstock::start(&workspace, &["run"]);
    let mut next = 4;
    eventually("the last table is read", LIMIT, async || {
        shop.execute(&format!("DELETE FROM product WHERE id = {next}")).await;
        next += 1;
        running.log().contains("a table has been read table=\"shop.zone\"").then_some(())
    })
    .await;
    assert!(!running.log().contains("a table has been read table=\"shop.variant\""), "in its turn");
    eventually("the table is read once they stay", LIMIT, async || {
        running.log().contains("a table has been read table=\"shop.variant\"").then_some(())
    })
    .await;
    running.assert_runs();
    let wanted = ["1/_", "1/variant", "2/_", "2/variant", "3/_", "3/variant"];
    assert_eq!(keys(&workspace), wanted);
}

/// MySQL before 9.6 and MariaDB do not log what a foreign key deletes. Without one nothing else
/// goes.
#[tokio::test]
async fn what_a_foreign_key_takes_along_is_gone_and_what_none_does_comes_back() {
    let test = "what_a_foreign_key_takes_along";
    let tables = ["product", "variant", "bundle"];
    for engine in [
        Engine::from(PgVersion::V15),
        MysqlVersion::Mysql97.into(),
        MysqlVersion::Mariadb1011.into(),
    ] {
        let Some(shop) = shop(engine, test, &tables).await else { continue };
        let key = "ADD FOREIGN KEY (product) REFERENCES product (id) ON DELETE CASCADE";
        shop.execute(&format!("ALTER TABLE variant {key}")).await;
        let blocks = ["variant", "bundle"].map(|table| block(table, ("product", "product"), "qty"));
        let seller = shop.whole_seller(&blocks.concat());
        let workspace = Workspace::new(Workspace::MAIN, &seller);
        catch_up(&workspace).await;
        assert_eq!(keys(&workspace).len(), 6);
        shop.execute("DELETE FROM product WHERE id = 2").await;
        catch_up(&workspace).await;
        assert_eq!(keys(&workspace), ["1/bundle", "1/variant", "3/bundle", "3/variant"]);
        shop.execute("INSERT INTO product VALUES (2, 2, 'b', 2)").await;
        catch_up(&workspace).await;
        let wanted = ["1/bundle", "1/variant", "2/bundle", "3/bundle", "3/variant"];
        assert_eq!(keys(&workspace), wanted);
        let inferred = "events WHERE value LIKE '%CASCADE_INFERRED%'";
        assert_eq!(published(&workspace).count(inferred), u64::from(shop.is_mariadb()));
        if shop.is_mysql() {
            // As a dump is put in: the keys are not looked at, and nothing goes along.
            shop.execute("SET foreign_key_checks = 0").await;
            shop.execute("DELETE FROM product WHERE id = 3").await;
            catch_up(&workspace).await;
            assert_eq!(keys(&workspace), ["1/bundle", "1/variant", "2/bundle"]);
            shop.execute("INSERT INTO product VALUES (3, 3, 'c', 3)").await;
            catch_up(&workspace).await;
            assert_eq!(keys(&workspace), wanted);
        }
    }
}
