//! A small shop on a private PostgreSQL and one on a private MariaDB, one tailstock beside them,
//! and a live table of what the shops say and what has been published: in an SQLite file, or in
//! Kafka on a private broker. `make demo SECONDS=20`, `make demo KAFKA=1`.
#![allow(clippy::unwrap_used, reason = "a demonstration may stop where it stands")]

mod board;
mod feed;
mod shop;
mod watcher;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use board::Board;
use feed::Feed;
use shop::{Levels, Shop};
use testbed::{
    Kafka, KafkaOptions, Mysql, MysqlOptions, MysqlVersion, PgVersion, Postgres, PostgresOptions,
};
use tokio::process::{Child, Command};
use watcher::Watcher;

/// How long the last changes may take to be published.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long tailstock may take to begin: on a new cluster it creates its topics.
const START: Duration = Duration::from_secs(60);
/// The shop on PostgreSQL.
const ACME: &str = "acme";
/// The shop on MariaDB.
const TEAHOUSE: &str = "teahouse";

#[tokio::main]
async fn main() -> ExitCode {
    match show().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Whether what the shops say and what was published were equal in the end.
async fn show() -> Result<bool, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds: Option<u64> = arguments.iter().find_map(|text| text.parse().ok());
    println!("starting a private PostgreSQL (the first time it may have to be fetched) ...");
    let server = Postgres::start(PgVersion::at_hand(), PostgresOptions::default())
        .map_err(|error| format!("no PostgreSQL to be had: {error}"))?;
    println!("starting a private MariaDB (the same) ...");
    let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
    let mariadb = Mysql::start(MysqlVersion::Mariadb1011, &options)
        .map_err(|error| format!("no MariaDB to be had: {error}"))?;
    let kafka = match arguments.iter().any(|text| text == "--kafka") {
        true => Some(broker()?),
        false => None,
    };
    let mut shops =
        [Shop::on_postgres(ACME, &server).await, Shop::on_mariadb(TEAHOUSE, &mariadb).await];
    let folder = tempfile::tempdir().unwrap();
    write_main_file(folder.path(), kafka.as_ref());
    let url = format!("{}?sslmode=disable", server.url("postgres", "postgres"));
    write_seller(folder.path(), ACME, "postgres", &url, "public.stock");
    let database = mariadb.database();
    let url = format!("{}?ssl-mode=disabled", mariadb.url("root", database));
    write_seller(folder.path(), TEAHOUSE, "mysql", &url, &format!("{database}.stock"));
    let mut tailstock = start(folder.path());
    if !follows(&mut shops, &mut tailstock).await {
        let log = std::fs::read_to_string(folder.path().join("log.txt")).unwrap_or_default();
        return Err(format!("tailstock did not start:\n{log}"));
    }
    let feed: Box<dyn Feed> = match &kafka {
        Some(kafka) => Box::new(feed::Topic::open(&kafka.bootstrap())),
        None => Box::new(feed::File::open(&folder.path().join("stock.db"))),
    };
    let mut watcher = Watcher::new(feed);
    println!("tailstock follows both; the shops open\n");
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut board = Board::new(std::io::stdout().is_terminal());
    trade(&mut shops, &mut watcher, &mut board, until).await;
    let equal = compare(&mut shops, &mut watcher, &mut board).await;
    stop(&mut tailstock).await;
    Ok(equal)
}

fn broker() -> Result<Kafka, String> {
    println!("starting a private Kafka broker (the first time it may have to be fetched) ...");
    Kafka::start(&KafkaOptions::default()).map_err(|error| format!("no Kafka to be had: {error}"))
}

/// Waits until tailstock reads the logs of all shops.
async fn follows(shops: &mut [Shop], tailstock: &mut Child) -> bool {
    let deadline = Instant::now() + START;
    let mut again = tokio::time::interval(Duration::from_millis(10));
    while Instant::now() < deadline && matches!(tailstock.try_wait(), Ok(None)) {
        again.tick().await;
        let mut all = true;
        for shop in shops.iter_mut() {
            all &= shop.is_followed().await;
        }
        if all {
            return true;
        }
    }
    false
}

/// Sells and restocks until the time is over or somebody presses Ctrl-C.
async fn trade(
    shops: &mut [Shop],
    watcher: &mut Watcher,
    board: &mut Board,
    until: Option<Instant>,
) {
    let mut sale = tokio::time::interval(Duration::from_millis(10));
    let mut turns = (0..shops.len()).cycle();
    let mut look = tokio::time::interval(Duration::from_millis(1));
    let mut draw = tokio::time::interval(board.pace());
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    while until.is_none_or(|until| Instant::now() < until) {
        tokio::select! { biased;
            _ = &mut interrupted => return,
            _ = draw.tick() => board.draw(&levels(shops).await, watcher, until),
            _ = sale.tick() => shops[turns.next().expect("there are shops")].trade().await,
            _ = look.tick() => watcher.look(),
        }
    }
}

/// What all shops say.
async fn levels(shops: &mut [Shop]) -> Levels {
    let mut levels = Levels::new();
    for shop in shops {
        levels.extend(shop.levels().await);
    }
    levels
}

/// Waits until nothing is under way, then holds the two sides against each other.
async fn compare(shops: &mut [Shop], watcher: &mut Watcher, board: &mut Board) -> bool {
    let levels = levels(shops).await;
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(5));
    watcher.look();
    while !watcher.differences(&levels).is_empty() && Instant::now() < deadline {
        look.tick().await;
        watcher.look();
    }
    board.draw(&levels, watcher, None);
    println!("\n{}", watcher.summary());
    let differences = watcher.differences(&levels);
    for shop in shops.iter() {
        let of_shop = || differences.iter().filter(|(seller, _)| seller == shop.seller);
        let name = format!("{} on {}", shop.seller, shop.engine);
        of_shop().for_each(|(_, difference)| println!("{name} differs: {difference}"));
        if of_shop().next().is_none() {
            println!("{name}: source and published levels are equal");
        }
    }
    differences.is_empty()
}

fn write_main_file(folder: &Path, kafka: Option<&Kafka>) {
    let sink = match kafka {
        Some(kafka) => format!("kind = \"kafka\"\nbrokers = \"{}\"", kafka.bootstrap()),
        None => "kind = \"sqlite\"\npath = \"stock.db\"".to_owned(),
    };
    let main = format!(
        "name = \"demo\"\nsellers = \"sellers/*.toml\"\n[sink]\n{sink}\n[http]\nlisten = \"\"\n"
    );
    std::fs::write(folder.join("tailstock.toml"), main).unwrap();
    std::fs::create_dir(folder.join("sellers")).unwrap();
}

fn write_seller(folder: &Path, seller: &str, kind: &str, url: &str, table: &str) {
    let text = format!(
        "seller = \"{seller}\"\n[source]\nkind = \"{kind}\"\nurl = \"{url}\"\n\
         [[stock]]\ntable = \"{table}\"\nitem = \"item\"\nlocation = \"warehouse\"\n\
         on_hand = \"on_hand\"\navailable = \"on_hand - reserved\"\n"
    );
    std::fs::write(folder.join("sellers").join(format!("{seller}.toml")), text).unwrap();
}

/// The program that was built beside this example.
fn start(folder: &Path) -> Child {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().and_then(Path::parent).unwrap().join("tailstock");
    let log = std::fs::File::create(folder.join("log.txt")).unwrap();
    Command::new(program)
        .args(["--config", "tailstock.toml", "run"])
        .current_dir(folder)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        // A Ctrl-C at the terminal ends the trade; what was sold by then is still published.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .expect("build it first: cargo build --release")
}

async fn stop(tailstock: &mut Child) {
    if let Some(pid) = tailstock.id().and_then(|pid| i32::try_from(pid).ok()) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let _ = tokio::time::timeout(PATIENCE, tailstock.wait()).await;
}
