//! Side-by-side benches: every claim of speed is a ratio against a named peer in the same run.
//! `cargo run --release -p bench -- postgres`, or `make bench-postgres`; `mysql` for MySQL and
//! MariaDB, `snapshot` for what their tables hold already.
#![allow(clippy::unwrap_used, reason = "a bench stops where something is wrong")]

mod broker;
mod contender;
mod latency;
mod place;
mod process;
mod report;
mod shop;
mod snapshot;
mod start;

use clap::{Args, Parser, Subcommand};

use broker::Broker;
use contender::Contender;
use place::{Place, Sink, Task};
use report::{Figures, Report};
use shop::{Pace, Server, Shop, Workload};
use testbed::MysqlVersion;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// pg_recvlogical and tailstock with every sink, on PostgreSQL 15 and Kafka 4.3
    Postgres(Wanted),
    /// mysqlbinlog --raw and tailstock with every sink, on MySQL, MariaDB and Kafka 4.3
    Mysql {
        /// The servers, one after the other: mysql-9.7, mariadb-10.5, mariadb-10.11, mariadb-11.8
        #[arg(long, value_delimiter = ',', default_values = ["mysql-9.7", "mariadb-10.11"])]
        servers: Vec<MysqlVersion>,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// psql, mysqldump, mariadb-dump and tailstock on a table that is full, what the writers of it
    /// notice, and how a process begins that remembers all of its rows
    Snapshot {
        /// The servers, one after the other: postgres, or any that `mysql` takes
        #[arg(
            long,
            value_delimiter = ',',
            default_values = ["postgres", "mysql-9.7", "mariadb-10.11"],
        )]
        servers: Vec<Server>,
        /// What to run: speed, writers, restart
        #[arg(long, value_delimiter = ',', default_values = ["speed", "writers", "restart"])]
        only: Vec<String>,
        #[command(flatten)]
        size: Size,
    },
}

#[derive(Args)]
struct Size {
    /// Interleaved rounds; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A tenth of the rows and a short open loop: to try the bench itself
    #[arg(long)]
    quick: bool,
}

#[derive(Args)]
struct Wanted {
    #[command(flatten)]
    size: Size,
    /// What to run: w1, w2, latency, start, or one latency as latency-5000-kafka
    #[arg(long, value_delimiter = ',', default_values = ["w1", "w2", "latency", "start"])]
    only: Vec<String>,
    /// Options besides the measured ones, for every run into Kafka: 'partitions = 1'
    #[arg(long, default_value = "")]
    kafka_options: String,
}

impl Wanted {
    fn has(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }
}

/// The rate at which a broker that has just been started takes a minute to become as fast as it
/// can.
const WARM_UP: u32 = 5000;

/// Those whose events somebody waits for.
const SINKS: [Sink; 3] = [Sink::Sqlite, Sink::Kafka, Sink::KafkaAtLeastOnce];

fn main() {
    match Arguments::parse().bench {
        Bench::Postgres(wanted) => bench(Server::Postgres.start(), &wanted),
        Bench::Mysql { servers, wanted } => {
            for version in servers {
                println!("{version}");
                bench(Server::Mysql(version).start(), &wanted);
            }
        }
        Bench::Snapshot { servers, only, size } => snapshots(&servers, &only, &size),
    }
}

fn snapshots(servers: &[Server], only: &[String], size: &Size) {
    let has = |name: &str| only.iter().any(|only| only == name);
    let mut report = Report::default();
    let rows = if size.quick { 100_000 } else { 1_000_000 };
    for server in servers {
        let kafka_options = String::new();
        let place = Place { shop: server.start(), broker: Broker::start(), kafka_options };
        place.shop.fill(rows);
        if has("speed") {
            snapshot::speed(&place, rows, size.rounds, &mut report);
        }
        if has("writers") {
            snapshot::harm(&place, rows, size.rounds, &mut report);
        }
        if has("restart") {
            restarts(&place, rows, size.rounds, &mut report);
        }
    }
    println!("\n{report}");
    report.write("target/bench/snapshot.json");
}

/// How a process begins that has to remember every row of a table.
fn restarts(place: &Place, rows: u64, rounds: usize, report: &mut Report) {
    let workload = format!("{}-restart", place.shop.name());
    for sink in [Sink::Sqlite, Sink::Kafka] {
        println!("{workload}: {rows} cached rows, {} ...", sink.name());
        let times = u32::try_from(rounds).unwrap();
        let begun = start::measure(place, sink, Task::Remember, times);
        report.add_start(&workload, sink, &begun);
    }
}

fn bench(shop: Box<dyn Shop>, wanted: &Wanted) {
    let broker = Broker::start();
    let place = Place { shop, broker, kafka_options: wanted.kafka_options.clone() };
    let mut report = Report::default();
    drains(&place, wanted, &mut report);
    latencies(&place, wanted, &mut report);
    for sink in SINKS.into_iter().filter(|_| wanted.has("start")) {
        println!("start to first event of {} ...", sink.name());
        let times = if wanted.size.quick { 3 } else { 11 };
        let begun = start::measure(&place, sink, Task::Follow, times);
        report.add_start("start", sink, &begun);
    }
    println!("\n{report}");
    report.write(&format!("target/bench/{}.json", place.shop.name()));
}

fn drains(place: &Place, wanted: &Wanted, report: &mut Report) {
    let shop = place.shop.as_ref();
    let size = if wanted.size.quick { 10 } else { 1 };
    let workloads = [
        Workload { name: "w1", transactions: 500_000 / size, rows_each: 1 },
        Workload { name: "w2", transactions: 10_000 / size, rows_each: 100 },
    ];
    for workload in workloads.into_iter().filter(|workload| wanted.has(workload.name)) {
        println!("{}: {} rows ...", workload.name, workload.rows());
        let backlog = shop.backlog(&workload);
        let mut rounds_of: [Vec<Figures>; Contender::ALL.len()] = Default::default();
        for round in 1..=wanted.size.rounds {
            for (contender, figures) in Contender::ALL.into_iter().zip(&mut rounds_of) {
                let figure = contender.drain(place, &backlog);
                println!("  round {round}: {:<19} {figure}", contender.name(shop));
                figures.push(figure);
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "row counts fit a float's 52 bits")]
        let captured_share = backlog.captured as f64 / backlog.rows as f64;
        let medians: Vec<(&str, Figures)> = Contender::ALL
            .into_iter()
            .zip(&rounds_of)
            .map(|(contender, figures)| (contender.name(shop), Figures::median(figures)))
            .collect();
        report.add_drain(workload.name, Some(captured_share), &medians);
        shop.forget(&backlog);
    }
}

fn latencies(place: &Place, wanted: &Wanted, report: &mut Report) {
    let seconds = if wanted.size.quick { 5 } else { 30 };
    for rate in [500, 5000] {
        let pace = Pace { rate, seconds };
        let asked = |sink: &Sink| {
            wanted.has("latency") || wanted.has(&format!("latency-{rate}-{}", sink.name()))
        };
        for sink in SINKS.into_iter().filter(asked) {
            if rate == WARM_UP && sink.is_kafka() {
                println!("warming the broker up with {} ...", sink.name());
                latency::measure(place, sink, pace);
            }
            println!("latency of {} at {rate} rows/s for {seconds} s ...", sink.name());
            report.add_latency(sink, rate, &latency::measure(place, sink, pace));
        }
    }
}
