//! What it proves: exactly once under SIGKILL. Several sessions change a shop in transactions of
//! every kind while tailstock is killed at random moments; afterwards every key has exactly the
//! sequence of states its transactions left, none missing, none twice.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use super::sessions::{Sessions, create, levels, seller};
use crate::support::{Engine, Published, Random, Shop, Tailstock, Workspace, is_full_size};

async fn every_change_is_published_exactly_once(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    create(&shop).await;
    let (rows, kills) = if is_full_size() { (50_000, 40) } else { (20_000, 8) };
    let mut random = Random::from_environment(test);
    let workspace = Workspace::new(Workspace::MAIN, &seller(&shop));
    let mut first = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(first.wait(Duration::from_secs(30)).await.success(), "{}", first.log());

    let sessions = Sessions::start(&shop, rows, &mut random).await;
    for _ in 0..kills {
        let delay = Duration::from_millis(30 + random.below(900));
        Tailstock::start(&workspace, &["run"]).kill_after(delay).await;
    }
    let expected = sessions.join().await;
    let mut last = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(last.wait(Duration::from_secs(120)).await.success(), "{}", last.log());

    let published = Published::open(&workspace.path("stock.db"));
    published.assert_exactly(&expected, &last.log());
    assert_eq!(published.levels(), levels(&shop).await, "folded levels equal what the shop says");
    assert_eq!(published.count("dlq"), 0);
    assert_eq!(published.count("control"), 0, "nothing of it is a gap");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_published_exactly_once_although_tailstock_is_killed_again_and_again() {
    let test = "every_change_is_published_exactly_once";
    every_change_is_published_exactly_once(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_mysql_is_published_exactly_once_by_transaction_names() {
    let test = "every_change_of_mysql_is_published_exactly_once_by_transaction_names";
    let engine = Engine::from(MysqlVersion::Mysql97).setting("binlog_row_metadata", "FULL");
    every_change_is_published_exactly_once(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_mysql_is_published_exactly_once_by_files_and_offsets() {
    let test = "every_change_of_mysql_is_published_exactly_once_by_files_and_offsets";
    // Files so small that the log is in many.
    let engine =
        Engine::from(MysqlVersion::Mysql97).without_gtids().setting("max_binlog_size", "65536");
    every_change_is_published_exactly_once(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_mariadb_is_published_exactly_once() {
    let test = "every_change_of_mariadb_is_published_exactly_once";
    let engine = Engine::from(MysqlVersion::Mariadb118).setting("log_bin_compress_min_len", "10");
    every_change_is_published_exactly_once(engine, test).await;
}
