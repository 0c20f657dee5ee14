//! What it proves: what was missed is found, what was not there any more goes, and only what has to
//! be read is read.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use super::{BY_ID, BY_SKU, catch_up, held, published};
use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

const TABLE: &str = "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int";

/// A shop with a table that has been read, and a workspace.
async fn started(engine: Engine, test: &str, stock: &str) -> Option<(Shop, Workspace)> {
    let shop = Shop::start(engine, test).await?;
    shop.create("stock", TABLE).await;
    shop.execute("INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)").await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(stock));
    catch_up(&workspace).await;
    Some((shop, workspace))
}

/// Changes that the log loses, and after them the levels are what the shop holds.
async fn a_gap_is_healed(engine: Engine, test: &str, losing: &[&str]) {
    for (stock, key) in [(BY_ID, "id"), (BY_SKU, "sku")] {
        let Some((shop, workspace)) = started(engine.clone(), test, stock).await else { return };
        shop.execute("DELETE FROM stock WHERE id = 1").await;
        shop.execute("UPDATE stock SET qty = 20 WHERE id = 2").await;
        shop.execute("UPDATE stock SET id = 30, sku = 'cc' WHERE id = 3").await;
        shop.execute("INSERT INTO stock VALUES (4, 'd', 4)").await;
        for statement in losing {
            // A server keeps what a reader that has just gone may still want.
            eventually(statement, Duration::from_secs(20), async || {
                shop.execute(statement).await;
                if !statement.starts_with("PURGE") {
                    return Some(());
                }
                (shop.rows("SHOW BINARY LOGS").await.len() == 1).then_some(())
            })
            .await;
        }
        catch_up(&workspace).await;
        let published = published(&workspace);
        assert_eq!(published.levels(), held(&shop, key).await);
        published.by_key();
        let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
        let read = ["snapshot_started", "snapshot_completed"];
        let healed = [&read[..], &["gap", "epoch_bumped"], &read].concat();
        assert_eq!(kinds, healed);
        let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
        assert!(checkpoint.contains(r#""dirty_tables":{}"#), "{checkpoint}");
    }
}

#[tokio::test]
async fn a_slot_that_was_dropped_is_healed() {
    let losing = ["SELECT pg_drop_replication_slot('test_acme_main')"];
    a_gap_is_healed(PgVersion::V15.into(), "a_slot_that_was_dropped_is_healed", &losing).await;
}

#[tokio::test]
async fn a_slot_that_was_moved_ahead_is_healed() {
    let losing = ["SELECT pg_replication_slot_advance('test_acme_main', pg_current_wal_lsn())"];
    a_gap_is_healed(PgVersion::V15.into(), "a_slot_that_was_moved_ahead_is_healed", &losing).await;
}

#[tokio::test]
async fn a_publication_that_was_without_the_table_for_a_while_is_healed() {
    let test = "a_publication_that_was_without_the_table";
    let Some((shop, workspace)) = started(PgVersion::V15.into(), test, BY_ID).await else { return };
    shop.execute("ALTER PUBLICATION tailstock DROP TABLE stock").await;
    shop.execute("DELETE FROM stock WHERE id = 1").await;
    shop.execute("ALTER PUBLICATION tailstock ADD TABLE stock").await;
    shop.execute("UPDATE stock SET qty = 20 WHERE id = 2").await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&shop, "id").await);
    assert_eq!(published.count("control WHERE kind = 'gap'"), 1);
}

#[tokio::test]
async fn a_binlog_that_was_begun_anew_is_healed() {
    let test = "a_binlog_that_was_begun_anew_is_healed";
    a_gap_is_healed(MysqlVersion::Mariadb1011.into(), test, &["RESET MASTER"]).await;
    a_gap_is_healed(MysqlVersion::Mysql97.into(), test, &["RESET BINARY LOGS AND GTIDS"]).await;
}

#[tokio::test]
async fn a_binlog_that_was_purged_too_early_is_healed() {
    let test = "a_binlog_that_was_purged_too_early_is_healed";
    let losing = ["FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE DATE_ADD(NOW(), INTERVAL 1 DAY)"];
    for version in [MysqlVersion::Mariadb118, MysqlVersion::Mysql97] {
        a_gap_is_healed(version.into(), test, &losing).await;
    }
}

#[tokio::test]
async fn a_slot_whose_log_the_server_has_removed_is_healed() {
    let test = "a_slot_whose_log_the_server_has_removed_is_healed";
    let engine = Engine::from(PgVersion::V15)
        .setting("max_slot_wal_keep_size", "1MB")
        .setting("min_wal_size", "32MB");
    let next = "INSERT INTO stock SELECT max(id) + 1, 'n' || max(id), 7 FROM stock";
    let switch = "SELECT pg_switch_wal()";
    let losing = [next, switch, next, switch, next, switch, next, switch, "CHECKPOINT"];
    a_gap_is_healed(engine, test, &losing).await;
}

#[tokio::test]
async fn a_change_that_was_logged_as_text_is_healed() {
    for version in [MysqlVersion::Mariadb105, MysqlVersion::Mysql97] {
        let test = "a_change_that_was_logged_as_text_is_healed";
        let Some((shop, workspace)) = started(version.into(), test, BY_SKU).await else { return };
        shop.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
        shop.execute("SET SESSION binlog_format = 'STATEMENT'").await;
        shop.execute("UPDATE stock SET qty = qty + 100 WHERE id < 3").await;
        shop.execute("DELETE FROM stock WHERE id = 3").await;
        catch_up(&workspace).await;
        let published = published(&workspace);
        assert_eq!(published.levels(), held(&shop, "sku").await);
        let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
        assert!(checkpoint.contains(r#""dirty_tables":{}"#), "{checkpoint}");
    }
}

#[tokio::test]
async fn a_table_that_was_emptied_is_healed() {
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb1011.into()] {
        let test = "a_table_that_was_emptied_is_healed";
        let Some((shop, workspace)) = started(engine, test, BY_SKU).await else { return };
        shop.execute("TRUNCATE TABLE stock").await;
        shop.execute("INSERT INTO stock VALUES (9, 'z', 9)").await;
        catch_up(&workspace).await;
        let published = published(&workspace);
        assert_eq!(published.levels(), held(&shop, "sku").await);
        let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
        assert!(checkpoint.contains(r#""dirty_tables":{}"#), "{checkpoint}");
    }
}

#[tokio::test]
async fn a_table_that_is_emptied_while_it_is_read_is_read_anew() {
    let test = "a_table_that_is_emptied_while_it_is_read";
    let whole = ("SELECT 1", "TRUNCATE TABLE stock");
    let in_part = (
        "ALTER TABLE stock PARTITION BY RANGE (id) \
         (PARTITION low VALUES LESS THAN (4000), PARTITION high VALUES LESS THAN MAXVALUE)",
        "ALTER TABLE stock TRUNCATE PARTITION low",
    );
    for (engine, (made, emptied)) in [
        (Engine::from(PgVersion::V15), whole),
        (MysqlVersion::Mysql97.into(), whole),
        (MysqlVersion::Mariadb1011.into(), in_part),
    ] {
        let Some(shop) = Shop::start(engine, test).await else { continue };
        shop.create("stock", TABLE).await;
        shop.execute(made).await;
        let rows: Vec<String> = (0..9_000).map(|n| format!("({n}, 'S-{n}', {n})")).collect();
        shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
        let slow = format!("snapshot_rows_per_s = 2000\n{BY_ID}");
        let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&slow));
        let running = Tailstock::start(&workspace, &["run"]);
        let store = workspace.path("stock.db");
        eventually("some of it is published", Duration::from_secs(20), async || {
            Published::has_begun(&store, "levels", 1).then_some(())
        })
        .await;
        shop.execute(emptied).await;
        shop.execute("INSERT INTO stock VALUES (7, 'z', 9), (20000, 'y', 8)").await;
        eventually("it is read anew", Duration::from_secs(20), async || {
            let read = "control WHERE kind = 'snapshot_completed'";
            published(&workspace).has(read, 1).then_some(())
        })
        .await;
        drop(running);
        catch_up(&workspace).await;
        assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
        published(&workspace).by_key();
    }
}

#[tokio::test]
async fn keys_that_only_the_log_had_told_of_are_compared_too_once_tables_are_read() {
    let test = "keys_that_only_the_log_had_told_of";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", TABLE).await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(BY_ID));
    catch_up(&workspace).await;
    shop.execute("INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2)").await;
    catch_up(&workspace).await;
    // What is published by now is under keys that nothing speaks of any more.
    std::fs::write(workspace.path("sellers/shop.toml"), shop.whole_seller(BY_SKU)).unwrap();
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).levels(), held(&shop, "sku").await);
}

#[tokio::test]
async fn a_table_that_may_not_be_read_says_so_once_and_is_read_when_it_may() {
    let test = "a_table_that_may_not_be_read";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", TABLE).await;
    shop.execute("INSERT INTO stock VALUES (1, 'a', 1)").await;
    shop.execute("CREATE ROLE reader LOGIN REPLICATION").await;
    let seller = shop.whole_seller(BY_ID).replace("://postgres@", "://reader@");
    let workspace = Workspace::new(Workspace::MAIN, &seller);
    let running = Tailstock::start(&workspace, &["run"]);
    let control = "control WHERE kind LIKE 'snapshot%'";
    eventually("it says why, and tries again", Duration::from_secs(20), async || {
        let checkpoint = || published(&workspace).texts("SELECT value FROM checkpoints").pop();
        let is_begun = Published::has_begun(&workspace.path("stock.db"), "checkpoints", 1);
        let tried = is_begun.then(checkpoint)??;
        let times = tried.matches("it cannot be read").count();
        assert!(times < 2, "{tried}");
        (times == 1 && !tried.contains(r#""snapshots":1,"#)).then_some(())
    })
    .await;
    assert_eq!(published(&workspace).count(control), 0);
    shop.execute("GRANT SELECT (id, sku, qty) ON stock TO reader").await;
    eventually("it is read", Duration::from_secs(60), async || {
        published(&workspace).has(control, 2).then_some(())
    })
    .await;
    assert_eq!(running.log().matches("a table cannot be read yet").count(), 1);
    drop(running);
    assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
}

#[tokio::test]
async fn a_mapping_that_changes_is_applied_to_what_is_there() {
    let test = "a_mapping_that_changes_is_applied";
    let Some((shop, workspace)) = started(PgVersion::V15.into(), test, BY_ID).await else { return };
    std::fs::write(workspace.path("sellers/shop.toml"), shop.whole_seller(BY_SKU)).unwrap();
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&shop, "sku").await, "and the keys of before are gone");
    let removed = "events WHERE kind = 'removed'";
    assert_eq!(published.count(removed), 3);
}

#[tokio::test]
async fn a_table_that_is_added_is_read_alone_and_one_that_is_left_out_goes() {
    let test = "a_table_that_is_added_is_read_alone";
    let Some((shop, workspace)) = started(PgVersion::V15.into(), test, BY_ID).await else { return };
    shop.execute(
        "CREATE TABLE shelf (id bigint PRIMARY KEY, qty int);
         INSERT INTO shelf VALUES (7, 70);
         ALTER PUBLICATION tailstock ADD TABLE shelf;",
    )
    .await;
    let shelf = "[[stock]]\ntable = \"public.shelf\"\nitem = \"id\"\nlocation = \"'shelf'\"\n\
                 on_hand = \"qty\"\n";
    let both = BY_ID.replace("sku = ", "location = \"'floor'\"\nsku = ");
    let seller = shop.whole_seller(&format!("{both}{shelf}"));
    std::fs::write(workspace.path("sellers/shop.toml"), seller).unwrap();
    catch_up(&workspace).await;
    let keys = |workspace: &Workspace| -> Vec<String> {
        published(workspace).levels().into_keys().collect()
    };
    let floor = ["acme/main/1/floor", "acme/main/2/floor", "acme/main/3/floor"];
    assert_eq!(keys(&workspace), [&floor[..], &["acme/main/7/shelf"]].concat());
    let read = "control WHERE kind = 'snapshot_completed'";
    assert_eq!(published(&workspace).count(read), 3, "both, for the other's meaning changed too");
    std::fs::write(workspace.path("sellers/shop.toml"), shop.whole_seller(shelf)).unwrap();
    catch_up(&workspace).await;
    assert_eq!(keys(&workspace), ["acme/main/7/shelf"]);
}

/// Another MySQL with the same rows in its table.
async fn twin(shop: &Shop, test: &str) -> Option<Shop> {
    let twin = Shop::start(MysqlVersion::Mysql97, test).await?;
    twin.create("stock", TABLE).await;
    for row in shop.rows("SELECT id, sku, qty FROM stock").await {
        let [id, sku, qty] = &row[..] else { panic!("three columns") };
        let (id, sku, qty) = (id.as_ref().unwrap(), sku.as_ref().unwrap(), qty.as_ref().unwrap());
        twin.execute(&format!("INSERT INTO stock VALUES ({id}, '{sku}', {qty})")).await;
    }
    twin.execute("RESET BINARY LOGS AND GTIDS").await;
    Some(twin)
}

/// A replica of a MySQL with the same rows in its table.
async fn replica_of(shop: &Shop, test: &str) -> Option<Shop> {
    let replica = twin(shop, test).await?;
    let executed = shop.text("SELECT REPLACE(@@gtid_executed, '\n', '')").await;
    replica.execute(&format!("SET GLOBAL gtid_purged = '{executed}'")).await;
    let source = format!(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, \
         SOURCE_USER = 'root', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1",
        shop.port()
    );
    replica.execute(&source).await;
    replica.execute("START REPLICA").await;
    Some(replica)
}

/// The replica has all that its source has, and is its own from now on.
async fn promote(replica: &Shop, shop: &Shop, workspace: &Workspace, stock: &str) {
    let executed = shop.text("SELECT REPLACE(@@gtid_executed, '\n', '')").await;
    let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{executed}', 20)");
    assert_eq!(replica.text(&wait).await, "0", "the replica does not catch up");
    replica.execute("STOP REPLICA").await;
    std::fs::write(workspace.path("sellers/shop.toml"), replica.whole_seller(stock)).unwrap();
}

#[tokio::test]
async fn a_promoted_replica_that_has_all_that_was_read_is_followed_without_a_gap() {
    let test = "a_promoted_replica_that_has_all_that_was_read";
    let engine = Engine::from(MysqlVersion::Mysql97);
    let Some((shop, workspace)) = started(engine, test, BY_SKU).await else { return };
    let Some(replica) = replica_of(&shop, test).await else { return };
    shop.execute("UPDATE stock SET qty = 10 WHERE id = 1").await;
    catch_up(&workspace).await;
    // Not read before the source is gone.
    shop.execute("DELETE FROM stock WHERE id = 2").await;
    shop.execute("INSERT INTO stock VALUES (4, 'd', 4)").await;
    promote(&replica, &shop, &workspace, BY_SKU).await;
    replica.execute("UPDATE stock SET qty = 30 WHERE id = 3").await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&replica, "sku").await);
    let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
    assert_eq!(kinds, ["snapshot_started", "snapshot_completed", "epoch_bumped"]);
    // Three rows at first, one change of each, each once.
    assert_eq!(published.count("events"), 7);
    published.by_key();
}

/// Its log has lower numbers in files of the same names, and nothing comes of it at first.
#[tokio::test]
async fn a_promoted_replica_is_followed_though_its_place_looks_like_one_that_was_passed() {
    let test = "a_promoted_replica_is_followed_though_its_place";
    let engine = Engine::from(MysqlVersion::Mysql97);
    let Some((shop, workspace)) = started(engine, test, BY_SKU).await else { return };
    let Some(replica) = replica_of(&shop, test).await else { return };
    for _ in 0..9 {
        shop.execute("FLUSH BINARY LOGS").await;
    }
    shop.execute("UPDATE stock SET qty = 10 WHERE id = 1").await;
    catch_up(&workspace).await;
    promote(&replica, &shop, &workspace, BY_SKU).await;

    // Killed between the first checkpoint of the new log and the first that holds some of it.
    let running = Tailstock::start(&workspace, &["run"]);
    let bumped = "control WHERE kind = 'epoch_bumped'";
    eventually("the new log's first checkpoint", Duration::from_secs(20), async || {
        published(&workspace).has(bumped, 1).then_some(())
    })
    .await;
    running.kill_after(Duration::ZERO).await;
    let stored = published(&workspace).texts("SELECT value FROM checkpoints").pop().unwrap();
    assert!(stored.contains("1/another.log.0/0/0/mysql="), "{stored}");

    // A table is due before anything of the new log was read, and then that comes.
    std::fs::write(workspace.path("sellers/shop.toml"), replica.whole_seller(BY_ID)).unwrap();
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).levels(), held(&replica, "id").await);
    replica.execute("UPDATE stock SET qty = 30 WHERE id = 3").await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&replica, "id").await, "not read to its end");
    let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
    let read = ["snapshot_started", "snapshot_completed"];
    assert_eq!(kinds, [&read[..], &["epoch_bumped"], &read].concat());
    published.by_key();
}

#[tokio::test]
async fn another_server_that_lacks_what_was_read_is_a_gap_and_healed() {
    let test = "another_server_that_lacks_what_was_read";
    let engine = Engine::from(MysqlVersion::Mysql97);
    let Some((shop, workspace)) = started(engine, test, BY_ID).await else { return };
    let Some(other) = twin(&shop, test).await else { return };
    shop.execute("UPDATE stock SET qty = 10 WHERE id = 1").await;
    catch_up(&workspace).await;
    other.execute("DELETE FROM stock WHERE id = 3").await;
    let seller = other.whole_seller(BY_ID);
    std::fs::write(workspace.path("sellers/shop.toml"), seller).unwrap();
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&other, "id").await, "the other's truth");
    assert_eq!(published.count("control WHERE kind = 'gap'"), 1);
    published.by_key();
}

/// Each of the tries is one that came further.
#[tokio::test]
async fn a_run_with_an_end_does_not_lose_patience_with_a_table_that_comes_further() {
    let test = "a_table_that_comes_further";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", TABLE).await;
    let rows: Vec<String> = (0..9_000).map(|n| format!("({n}, 'S-{n}', {n})")).collect();
    shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
    let slow = format!("snapshot_rows_per_s = 1500\n{BY_ID}");
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&slow));
    let mut running = Tailstock::start(&workspace, &["run", "--until-current"]);
    let store = workspace.path("stock.db");
    let levels = || match Published::has_begun(&store, "levels", 1) {
        true => published(&workspace).count("levels"),
        false => 0,
    };
    for _ in 0..2 {
        let before = levels();
        eventually("more of it", Duration::from_secs(20), async || {
            (levels() > before).then_some(())
        })
        .await;
        shop.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name LIKE '%tailstock%' AND pid <> pg_backend_pid()",
        )
        .await;
    }
    assert!(running.wait(Duration::from_secs(60)).await.success(), "{}", running.log());
    // Whoever has come further is told anew of what stops it.
    let told = running.log().matches("trying again until it works").count();
    assert_eq!(told, 2, "{}", running.log());
    assert_eq!(published(&workspace).levels(), held(&shop, "id").await);
}
