//! A small shop on a private PostgreSQL, tailstock beside it, and a live table of what the shop
//! says and what has been published. `make demo SECONDS=20`.
#![allow(clippy::unwrap_used, reason = "a demonstration may stop where it stands")]

mod board;
mod shop;
mod watcher;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use board::Board;
use shop::Shop;
use testbed::{PgVersion, Postgres, PostgresOptions};
use tokio::process::{Child, Command};
use watcher::Watcher;

/// How long the last changes may take to be published.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let seconds: Option<u64> = std::env::args().nth(1).and_then(|text| text.parse().ok());
    println!("starting a private PostgreSQL (the first time it may have to be fetched) ...");
    let server = match Postgres::start(PgVersion::at_hand(), PostgresOptions::default()) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("no PostgreSQL to be had: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut shop = Shop::open(&server).await;
    let folder = tempfile::tempdir().unwrap();
    write_configuration(folder.path(), &server);
    let mut tailstock = start(folder.path());
    let Some(mut watcher) = Watcher::open(&folder.path().join("stock.db"), PATIENCE).await else {
        let log = std::fs::read_to_string(folder.path().join("log.txt")).unwrap_or_default();
        eprintln!("tailstock did not start:\n{log}");
        return ExitCode::FAILURE;
    };
    println!("tailstock follows it; the shop opens\n");
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut board = Board::new(std::io::stdout().is_terminal());
    trade(&mut shop, &mut watcher, &mut board, until).await;
    let equal = compare(&shop, &mut watcher, &mut board).await;
    stop(&mut tailstock).await;
    if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Sells and restocks until the time is over or somebody presses Ctrl-C.
async fn trade(shop: &mut Shop, watcher: &mut Watcher, board: &mut Board, until: Option<Instant>) {
    let mut sale = tokio::time::interval(Duration::from_millis(20));
    let mut look = tokio::time::interval(Duration::from_millis(1));
    let mut draw = tokio::time::interval(board.pace());
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    while until.is_none_or(|until| Instant::now() < until) {
        tokio::select! { biased;
            _ = &mut interrupted => return,
            _ = draw.tick() => board.draw(&shop.levels().await, watcher, until),
            _ = sale.tick() => shop.trade().await,
            _ = look.tick() => watcher.look(),
        }
    }
}

/// Waits until nothing is under way, then holds the two sides against each other.
async fn compare(shop: &Shop, watcher: &mut Watcher, board: &mut Board) -> bool {
    let levels = shop.levels().await;
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(5));
    watcher.look();
    while watcher.differences(&levels).next().is_some() && Instant::now() < deadline {
        look.tick().await;
        watcher.look();
    }
    board.draw(&levels, watcher, None);
    println!("\n{}", watcher.summary());
    let mut equal = true;
    for difference in watcher.differences(&levels) {
        println!("differs: {difference}");
        equal = false;
    }
    if equal {
        println!("source and published levels are equal");
    }
    equal
}

fn write_configuration(folder: &Path, server: &Postgres) {
    let main = "name = \"demo\"\nsellers = \"seller.toml\"\n[sink]\nkind = \"sqlite\"\n\
                path = \"stock.db\"\n[http]\nlisten = \"\"\n";
    let url = server.url("postgres", "postgres");
    let seller = format!(
        "seller = \"acme\"\n[source]\nkind = \"postgres\"\nurl = \"{url}?sslmode=disable\"\n\
         [[stock]]\ntable = \"public.stock\"\nitem = \"item\"\nlocation = \"warehouse\"\n\
         on_hand = \"on_hand\"\navailable = \"on_hand - reserved\"\n"
    );
    std::fs::write(folder.join("tailstock.toml"), main).unwrap();
    std::fs::write(folder.join("seller.toml"), seller).unwrap();
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
