//! What it proves: a shop that was put back to what it held some time ago, under the address it
//! always had, is told as a gap and read anew: what only lived since then is gone afterwards.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use super::{BY_ID, BY_SKU, catch_up, held, published};
use crate::support::{Engine, Shop, Tailstock, Workspace, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const TABLE: &str = "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int";

/// A shop whose table has been read, and a workspace.
async fn started(engine: Engine, test: &str, stock: &str) -> Option<(Shop, Workspace)> {
    let shop = Shop::start(engine, test).await?;
    shop.create("stock", TABLE).await;
    shop.execute("INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)").await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(stock));
    catch_up(&workspace).await;
    Some((shop, workspace))
}

/// What the shop will not know of. There is more of it than of what follows.
async fn trade(shop: &Shop) {
    let rows: Vec<String> = (100..2_000).map(|n| format!("({n}, 'S-{n}', {n})")).collect();
    shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
    shop.execute("DELETE FROM stock WHERE id = 1 OR id >= 110").await;
    shop.execute("UPDATE stock SET qty = 20 WHERE id = 2").await;
    shop.execute("UPDATE stock SET sku = 'cc' WHERE id = 3").await;
}

/// What happens to what was put back.
async fn trade_again(shop: &Shop) {
    shop.execute("INSERT INTO stock VALUES (4, 'd', 4), (105, 'S-105', 7)").await;
    shop.execute("UPDATE stock SET qty = 30 WHERE id = 3").await;
}

/// Two logs whose files bear one name are told apart by the second they were begun in.
async fn next_second(shop: &Shop) {
    if !shop.is_mysql() {
        return;
    }
    let now = shop.text("SELECT UNIX_TIMESTAMP()").await;
    eventually("the next second", LIMIT, async || {
        (shop.text("SELECT UNIX_TIMESTAMP()").await != now).then_some(())
    })
    .await;
}

/// There was one gap, and nothing of it is left.
async fn assert_healed(shop: &Shop, workspace: &Workspace, key: &str) {
    let published = published(workspace);
    assert_eq!(published.levels(), held(shop, key).await);
    published.by_key();
    let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
    let read = ["snapshot_started", "snapshot_completed"];
    assert_eq!(kinds, [&read[..], &["gap", "epoch_bumped"], &read].concat());
    let lost = if key == "id" { "acme/main/101/_" } else { "acme/main/S-101/_" };
    let last = published.events().into_iter().rfind(|event| event.key == lost).unwrap();
    assert_eq!(
        (&last.value["kind"], &last.value["capture"]),
        (&"removed".into(), &"snapshot".into())
    );
    let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
    assert!(checkpoint.contains(r#""dirty_tables":{}"#), "{checkpoint}");
}

async fn a_restored_backup_is_healed(engine: Engine, test: &str) {
    for (stock, key) in [(BY_ID, "id"), (BY_SKU, "sku")] {
        let Some((mut shop, workspace)) = started(engine.clone(), test, stock).await else {
            return;
        };
        let backup = shop.back_up().await;
        trade(&shop).await;
        catch_up(&workspace).await;
        assert_eq!(published(&workspace).levels(), held(&shop, key).await);
        assert_eq!(published(&workspace).count("control WHERE kind = 'gap'"), 0);
        next_second(&shop).await;
        shop.restore(&backup).await;
        trade_again(&shop).await;
        catch_up(&workspace).await;
        assert_healed(&shop, &workspace, key).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_of_postgresql_is_healed() {
    let test = "a_restored_backup_of_postgresql_is_healed";
    a_restored_backup_is_healed(Engine::from(PgVersion::V15).restarted(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_of_mysql_is_healed() {
    let test = "a_restored_backup_of_mysql_is_healed";
    let engine = Engine::from(MysqlVersion::Mysql97).restarted();
    a_restored_backup_is_healed(engine.clone(), test).await;
    a_restored_backup_is_healed(engine.without_gtids(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_of_mariadb_is_healed() {
    let test = "a_restored_backup_of_mariadb_is_healed";
    a_restored_backup_is_healed(Engine::from(MysqlVersion::Mariadb1011).restarted(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_restored_under_a_running_process_is_healed() {
    let test = "a_backup_that_is_restored_under_a_running_process";
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb118.into()] {
        let started = started(engine.restarted(), test, BY_SKU).await;
        let Some((mut shop, workspace)) = started else { return };
        let backup = shop.back_up().await;
        let mut running = Tailstock::start(&workspace, &["run"]);
        trade(&shop).await;
        let traded = held(&shop, "sku").await;
        eventually("all of it is published", LIMIT, async || {
            (published(&workspace).levels() == traded).then_some(())
        })
        .await;
        next_second(&shop).await;
        shop.restore(&backup).await;
        trade_again(&shop).await;
        eventually("it is read anew", LIMIT, async || {
            let read = "control WHERE kind = 'snapshot_completed'";
            published(&workspace).has(read, 2).then_some(())
        })
        .await;
        let restored = held(&shop, "sku").await;
        eventually("what is left", LIMIT, async || {
            (published(&workspace).levels() == restored).then_some(())
        })
        .await;
        running.assert_runs();
        drop(running);
        assert_healed(&shop, &workspace, "sku").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_whose_log_has_grown_past_the_checkpoint_is_healed_without_its_slot() {
    let test = "a_backup_whose_log_has_grown_past_the_checkpoint";
    let engine = Engine::from(PgVersion::V15).restarted();
    let Some((mut shop, workspace)) = started(engine, test, BY_SKU).await else { return };
    let backup = shop.back_up().await;
    trade(&shop).await;
    catch_up(&workspace).await;
    let read = published(&workspace).position();
    shop.restore(&backup).await;
    shop.execute("SELECT pg_drop_replication_slot('test_acme_main')").await;
    trade_again(&shop).await;
    // What is behind the place that was read is not what was there.
    for _ in 0..4 {
        shop.execute("INSERT INTO stock VALUES (2000, 'tick', 0)").await;
        shop.execute("DELETE FROM stock WHERE id = 2000").await;
        shop.execute("SELECT pg_switch_wal()").await;
    }
    let behind = format!("SELECT pg_current_wal_lsn() > '{read}'::pg_lsn");
    assert_eq!(shop.text(&behind).await, "t");
    catch_up(&workspace).await;
    assert_healed(&shop, &workspace, "sku").await;
}

/// As a dump is loaded that names the transactions of its time: nothing of it is logged.
async fn load_dump(shop: &Shop, rows: &[Vec<Option<String>>], gtids: &str) {
    let (reset, named) = match shop.is_mariadb() {
        true => ("RESET MASTER", "gtid_binlog_state"),
        false => ("RESET BINARY LOGS AND GTIDS", "gtid_purged"),
    };
    shop.execute("SET SESSION sql_log_bin = 0").await;
    shop.execute("DROP TABLE stock").await;
    shop.create("stock", TABLE).await;
    for row in rows {
        let values: Vec<String> =
            row.iter().map(|value| format!("'{}'", value.as_ref().unwrap())).collect();
        shop.execute(&format!("INSERT INTO stock VALUES ({})", values.join(", "))).await;
    }
    shop.execute(reset).await;
    shop.execute(&format!("SET GLOBAL {named} = '{gtids}'")).await;
    shop.execute("SET SESSION sql_log_bin = 1").await;
}

#[tokio::test]
async fn a_dump_that_was_loaded_in_the_place_of_everything_is_healed() {
    let test = "a_dump_that_was_loaded_in_the_place_of_everything";
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb118] {
        let Some((shop, workspace)) = started(version.into(), test, BY_ID).await else { continue };
        let gtids = match shop.is_mariadb() {
            true => shop.text("SELECT @@gtid_binlog_state").await,
            false => shop.text("SELECT REPLACE(@@gtid_executed, '\n', '')").await,
        };
        let rows = shop.rows("SELECT id, sku, qty FROM stock").await;
        trade(&shop).await;
        catch_up(&workspace).await;
        next_second(&shop).await;
        load_dump(&shop, &rows, &gtids).await;
        trade_again(&shop).await;
        catch_up(&workspace).await;
        assert_healed(&shop, &workspace, "id").await;
    }
}
