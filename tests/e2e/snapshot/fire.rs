//! What it proves: tables that are read while they change, by a process that is killed again and
//! again, come out as the shop has them; and no key is ever taken back to what it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};
use tokio::task::JoinSet;

use super::{BY_ID, BY_SKU, catch_up, held, published};
use crate::support::{Connection, Engine, Random, Shop, State, Tailstock, Workspace, is_full_size};

/// Changes rows of every kind until it is told to stop. The quantity of a row only ever rises.
async fn write(connection: Connection, mut random: Random, rows: u64, stop: Arc<AtomicBool>) {
    let mut next = rows + random.below(1 << 20) * 1000;
    while !stop.load(Ordering::Relaxed) {
        let id = random.below(rows);
        next += 1;
        let change = match random.below(10) {
            0 => format!("DELETE FROM stock WHERE id = {id}"),
            1 => format!("INSERT INTO stock VALUES ({next}, 'N-{next}', 1)"),
            // The row goes on under another key.
            2 => format!("UPDATE stock SET id = {next}, sku = 'R-{next}' WHERE id = {id}"),
            3 => format!("UPDATE stock SET sku = 'M-{next}' WHERE id = {id}"),
            _ => format!("UPDATE stock SET qty = qty + 1 WHERE id = {id}"),
        };
        connection.execute(&change).await;
    }
}

async fn a_table_under_fire(engine: Engine, (test, table): (&str, &str), stock: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    let (rows, kills) = if is_full_size() { (500_000, 20) } else { (60_000, 5) };
    shop.create("stock", table).await;
    for first in (0..rows).step_by(10_000) {
        let values: Vec<String> =
            (first..first + 10_000).map(|n| format!("({n}, 'S-{n}', {})", n % 97)).collect();
        shop.execute(&format!("INSERT INTO stock VALUES {}", values.join(","))).await;
    }
    let mut random = Random::from_environment(test);
    // So slow that all of the kills come while the table is read.
    let pace = format!("snapshot_rows_per_s = {}\n{stock}", rows / 8);
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&pace));
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..3 {
        let random = Random::new(random.next());
        writers.spawn(write(shop.connect().await, random, rows, Arc::clone(&stop)));
    }
    for _ in 0..kills {
        let delay = Duration::from_millis(400 + random.below(600));
        Tailstock::start(&workspace, &["run"]).kill_after(delay).await;
    }
    let pace = shop.whole_seller(stock);
    std::fs::write(workspace.path("sellers/shop.toml"), pace).unwrap();
    Tailstock::start(&workspace, &["run"]).kill_after(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    catch_up(&workspace).await;
    let published = published(&workspace);
    let key = if stock == BY_ID { "id" } else { "sku" };
    let log = std::fs::read_to_string(workspace.path("log.txt")).unwrap();
    same(&published.levels(), &held(&shop, key).await, &log);
    assert_eq!(published.count("dlq"), 0);
    let by_key = published.by_key();
    if stock == BY_ID {
        by_key.iter().for_each(|(key, states)| never_back(key, states));
    }
    let completed = "control WHERE kind = 'snapshot_completed'";
    assert_eq!(published.count(completed), 1, "{log}");
}

/// Quantities of a row only rise, so what is published of a key that a row keeps does.
fn never_back(key: &str, states: &[State]) {
    let quantities = states.iter().filter_map(|state| match state {
        State::Level { on_hand, .. } => on_hand.as_ref()?.parse::<u64>().ok(),
        State::Removed => None,
    });
    let quantities: Vec<u64> = quantities.collect();
    assert!(quantities.is_sorted(), "{key}: {quantities:?}");
}

/// The first few differences say more than two maps.
fn same(
    found: &BTreeMap<String, Option<String>>,
    wanted: &BTreeMap<String, Option<String>>,
    log: &str,
) {
    let keys: std::collections::BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let differ: Vec<_> = keys
        .into_iter()
        .filter(|key| found.get(*key) != wanted.get(*key))
        .map(|key| (key, found.get(key), wanted.get(key)))
        .collect();
    let few = &differ[..differ.len().min(10)];
    assert!(differ.is_empty(), "{} differ: (key, published, held) {few:?}\n{log}", differ.len());
}

const TABLE: &str = "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_postgresql_is_read_under_fire() {
    let test = "a_table_of_postgresql_is_read_under_fire";
    a_table_under_fire(PgVersion::V15.into(), (test, TABLE), BY_ID).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_postgresql_whose_rows_are_remembered_is_read_under_fire() {
    let test = "a_table_of_postgresql_whose_rows_are_remembered_is_read_under_fire";
    a_table_under_fire(PgVersion::V17.into(), (test, TABLE), BY_SKU).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mysql_with_transaction_names_is_read_under_fire() {
    let test = "a_table_of_mysql_with_transaction_names_is_read_under_fire";
    a_table_under_fire(MysqlVersion::Mysql97.into(), (test, TABLE), BY_ID).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mysql_without_transaction_names_is_read_under_fire() {
    let test = "a_table_of_mysql_without_transaction_names_is_read_under_fire";
    let engine = Engine::from(MysqlVersion::Mysql97).without_gtids();
    a_table_under_fire(engine, (test, TABLE), BY_SKU).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mariadb_is_read_under_fire() {
    let test = "a_table_of_mariadb_is_read_under_fire";
    a_table_under_fire(MysqlVersion::Mariadb1011.into(), (test, TABLE), BY_ID).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mariadb_without_transactions_is_read_under_fire() {
    let test = "a_table_of_mariadb_without_transactions_is_read_under_fire";
    let engine = Engine::from(MysqlVersion::Mariadb118).setting("default_storage_engine", "Aria");
    a_table_under_fire(engine, (test, TABLE), BY_SKU).await;
}
