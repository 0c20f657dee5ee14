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

/// Where the events go, and how they are read back.
enum Output {
    Sqlite,
    #[cfg(feature = "kafka")]
    Kafka(crate::support::Topics),
}

impl Output {
    fn main_file(&self) -> String {
        match self {
            Output::Sqlite => Workspace::MAIN.to_owned(),
            #[cfg(feature = "kafka")]
            Output::Kafka(topics) => topics.main_file(""),
        }
    }

    fn levels(&self, workspace: &Workspace) -> BTreeMap<String, Option<String>> {
        match self {
            Output::Sqlite => published(workspace).levels(),
            #[cfg(feature = "kafka")]
            Output::Kafka(topics) => topics.levels(),
        }
    }

    fn by_key(&self, workspace: &Workspace) -> BTreeMap<String, Vec<State>> {
        match self {
            Output::Sqlite => published(workspace).by_key(),
            #[cfg(feature = "kafka")]
            Output::Kafka(topics) => crate::support::by_key(topics.events()),
        }
    }

    /// Control records, and dead letters.
    fn remarks(&self, workspace: &Workspace) -> (Vec<String>, u64) {
        match self {
            Output::Sqlite => {
                let published = published(workspace);
                let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
                (kinds, published.count("dlq"))
            }
            #[cfg(feature = "kafka")]
            Output::Kafka(topics) => {
                let control = topics.committed("stock.control.v1");
                let kind = |record: &crate::support::Record| {
                    record.json()["kind"].as_str().unwrap().to_owned()
                };
                let letters = topics.committed("stock.dlq.v1").len() as u64;
                (control.iter().map(kind).collect(), letters)
            }
        }
    }
}

async fn a_table_under_fire(engine: Engine, (test, stock): (&str, &str), output: Output) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    let (rows, kills) = if is_full_size() { (500_000, 20) } else { (40_000, 3) };
    shop.create("stock", TABLE).await;
    for first in (0..rows).step_by(10_000) {
        let values: Vec<String> =
            (first..first + 10_000).map(|n| format!("({n}, 'S-{n}', {})", n % 97)).collect();
        shop.execute(&format!("INSERT INTO stock VALUES {}", values.join(","))).await;
    }
    let mut random = Random::from_environment(test);
    // So slow that all of the kills come while the table is read.
    let pace = format!("snapshot_rows_per_s = {}\n{stock}", rows / 8);
    let workspace = Workspace::new(&output.main_file(), &shop.whole_seller(&pace));
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
    let key = if stock == BY_ID { "id" } else { "sku" };
    let log = std::fs::read_to_string(workspace.path("log.txt")).unwrap();
    same(&output.levels(&workspace), &held(&shop, key).await, &log);
    let by_key = output.by_key(&workspace);
    if stock == BY_ID {
        by_key.iter().for_each(|(key, states)| never_back(key, states));
    }
    let (control, dead_letters) = output.remarks(&workspace);
    let completed = control.iter().filter(|kind| *kind == "snapshot_completed").count();
    assert_eq!((completed, dead_letters), (1, 0), "{control:?}\n{log}");
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
    a_table_under_fire(PgVersion::V15.into(), (test, BY_ID), Output::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_postgresql_whose_rows_are_remembered_is_read_under_fire() {
    let test = "a_table_of_postgresql_whose_rows_are_remembered_is_read_under_fire";
    a_table_under_fire(PgVersion::V17.into(), (test, BY_SKU), Output::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mysql_with_transaction_names_is_read_under_fire() {
    let test = "a_table_of_mysql_with_transaction_names_is_read_under_fire";
    a_table_under_fire(MysqlVersion::Mysql97.into(), (test, BY_ID), Output::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mysql_without_transaction_names_is_read_under_fire() {
    let test = "a_table_of_mysql_without_transaction_names_is_read_under_fire";
    let engine = Engine::from(MysqlVersion::Mysql97).without_gtids();
    a_table_under_fire(engine, (test, BY_SKU), Output::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mariadb_is_read_under_fire() {
    let test = "a_table_of_mariadb_is_read_under_fire";
    a_table_under_fire(MysqlVersion::Mariadb1011.into(), (test, BY_ID), Output::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mariadb_without_transactions_is_read_under_fire() {
    let test = "a_table_of_mariadb_without_transactions_is_read_under_fire";
    let engine = Engine::from(MysqlVersion::Mariadb118).setting("default_storage_engine", "Aria");
    a_table_under_fire(engine, (test, BY_SKU), Output::Sqlite).await;
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_postgresql_is_read_into_kafka_under_fire() {
    let test = "a_table_of_postgresql_is_read_into_kafka_under_fire";
    let Some(kafka) = crate::support::shared_broker(test).await else { return };
    let output = Output::Kafka(crate::support::Topics::new(&kafka.bootstrap()));
    a_table_under_fire(PgVersion::V15.into(), (test, BY_SKU), output).await;
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mariadb_is_read_into_kafka_under_fire() {
    let test = "a_table_of_mariadb_is_read_into_kafka_under_fire";
    let Some(kafka) = crate::support::shared_broker(test).await else { return };
    let output = Output::Kafka(crate::support::Topics::new(&kafka.bootstrap()));
    a_table_under_fire(MysqlVersion::Mariadb1011.into(), (test, BY_ID), output).await;
}
