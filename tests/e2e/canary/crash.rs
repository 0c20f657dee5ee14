//! What it proves: neither a defect of tailstock that has a row in hand nor a process that dies
//! with rows in hand tells anybody what was in them.

use std::process::Command;
use std::time::Duration;

use connector_api::Error;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tailstock::telemetry::{chain, keep_panics_quiet, panicked};
use testbed::{MysqlVersion, PgVersion};

use super::{CANARY, LIMIT, SELLER, assert_clean, assert_folder_clean, shop};
use crate::support::{Engine, Published, Tailstock, Workspace, eventually};

const CRASH: &str = "TAILSTOCK_TEST_CRASH";
/// Stands in the code, and so in no row.
const WORDS: &str = "words of the code";

/// What a task does that has a defect, with a row in its hands.
fn fail(nth: usize, row: &str) -> usize {
    match nth {
        // In the middle of a character: the message quotes the text.
        0 => row[..row.len() - 1].len(),
        1 => row.parse::<usize>().map_err(|error| format!("{row}: {error}")).unwrap(),
        2 => panic!("{row} is not understood"),
        3 => refuse(row).expect("a row that is understood"),
        _ => panic!("words of the code"),
    }
}

fn refuse(row: &str) -> Result<usize, Error> {
    Err(Error::bug(row))
}

/// The seller's task ends as a supervisor sees it end.
async fn crash() {
    keep_panics_quiet();
    for nth in 0..5 {
        let row = format!("{CANARY} Jane, 7 Main Street, Köln, ä");
        let ended = tokio::spawn(async move { fail(nth, &row) }).await;
        let error = panicked("the seller's task", ended.unwrap_err());
        println!("trying again until it works: {}", chain(&error));
    }
}

#[tokio::test]
async fn a_defect_that_has_a_row_in_hand_says_where_it_is_and_nothing_of_the_row() {
    let test = "a_defect_that_has_a_row_in_hand_says_where_it_is_and_nothing_of_the_row";
    if std::env::var_os(CRASH).is_some() {
        return crash().await;
    }
    // A process of its own: what is told of panics is told alike by all of its threads.
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    for trace in ["0", "1"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(CRASH, "1")
            .env("RUST_BACKTRACE", trace)
            .output()
            .unwrap();
        let (told, printed) = (output.stderr, output.stdout);
        assert_clean("what a panic prints", &told);
        assert_clean("what is logged of it", &printed);
        let told = String::from_utf8(told).unwrap();
        assert_eq!(told.matches("tailstock panicked at ").count(), 5, "{told}");
        assert!(told.contains("tests/e2e/canary/crash.rs:") && told.contains(WORDS), "{told}");
        assert_eq!(told.contains("crash::fail"), trace == "1", "{told}");
        let printed = String::from_utf8(printed).unwrap();
        let logged = "the seller's task panicked; where is said on standard error";
        assert_eq!(printed.matches(logged).count(), 5, "{printed}");
    }
}

/// Memory that a process may still take before it dies of it.
const LEFT: u64 = 4 << 20;
/// Bytes of a customer's data in one row.
const LARGE: usize = 48 << 20;

/// The address space of a process, bytes.
fn address_space(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

async fn a_process_without_memory_leaves_nothing_of_a_row(engine: Engine, test: &str) {
    let Some(shop) = shop(engine, test).await else { return };
    if shop.is_mysql() {
        shop.execute("ALTER TABLE stock MODIFY buyer longtext").await;
    }
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(SELLER));
    let mut run = Tailstock::start(&workspace, &["--log-level", "trace", "run"]);
    let path = workspace.path("stock.db");
    eventually("it works", LIMIT, async || Published::has_begun(&path, "levels", 20).then_some(()))
        .await;
    let most = Some(address_space(run.pid()) + LEFT);
    let process = Pid::from_raw(i32::try_from(run.pid()).unwrap());
    prlimit(process, Resource::As, Rlimit { current: most, maximum: most }).unwrap();
    let repeated = LARGE / CANARY.len();
    shop.execute(&format!(
        "INSERT INTO stock VALUES (500, 'sku-500', 1, repeat('{CANARY}', {repeated}), '')"
    ))
    .await;
    let ended = run.wait(LIMIT).await;
    let told = run.log();
    assert!(!ended.success() && told.contains("memory allocation of "), "{ended}\n{told}");
    assert_clean("what a crash prints", run.log().as_bytes());
    // With memory again it goes on.
    let mut run = Tailstock::start(&workspace, &["--log-level", "trace", "run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(120)).await.success(), "{}", run.log());
    assert!(Published::open(&path).levels().contains_key("acme/main/sku-500/_"));
    shop.execute("INSERT INTO stock VALUES (999, 'sku-last', 1, '', '')").await;
    let mut run = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    assert_folder_clean(&workspace);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_with_a_row_of_postgresql_in_hand_leaves_nothing_of_it() {
    let test = "a_process_that_dies_with_a_row_of_postgresql_in_hand";
    a_process_without_memory_leaves_nothing_of_a_row(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_with_a_row_of_mariadb_in_hand_leaves_nothing_of_it() {
    let test = "a_process_that_dies_with_a_row_of_mariadb_in_hand";
    let engine = Engine::from(MysqlVersion::Mariadb1011).setting("max_allowed_packet", "256M");
    a_process_without_memory_leaves_nothing_of_a_row(engine, test).await;
}
