//! Side-by-side benches: every claim of speed is a ratio against a named peer in the same run.
//! `cargo run --release -p bench -- postgres`, or `make bench-postgres`.
#![allow(clippy::unwrap_used, reason = "a bench stops where something is wrong")]

mod broker;
mod contender;
mod latency;
mod place;
mod report;
mod shop;
mod start;

use clap::{Parser, Subcommand};

use broker::Broker;
use contender::Contender;
use place::{Place, Sink};
use report::{Figures, Report};
use shop::{Shop, Workload};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// pg_recvlogical and tailstock with every sink, on PostgreSQL 15 and Kafka 4.3
    Postgres {
        /// Interleaved rounds; the median counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// A tenth of the rows and a short open loop: to try the bench itself
        #[arg(long)]
        quick: bool,
        /// What to run: w1, w2, latency, start, or one latency as latency-5000-kafka
        #[arg(long, value_delimiter = ',', default_values = ["w1", "w2", "latency", "start"])]
        only: Vec<String>,
        /// Options besides the measured ones, for every run into Kafka: 'partitions = 1'
        #[arg(long, default_value = "")]
        kafka_options: String,
    },
}

/// The rate at which a broker that has just been started takes a minute to become as fast as it
/// can.
const WARM_UP: u32 = 5000;

fn main() {
    let Bench::Postgres { rounds, quick, only, kafka_options } = Arguments::parse().bench;
    let size = if quick { 10 } else { 1 };
    let place = Place { shop: Shop::start(), broker: Broker::start(), kafka_options };
    let shop = &place.shop;
    let mut report = Report::default();
    let workloads = [
        Workload { name: "w1", transactions: 500_000 / size, rows_each: 1 },
        Workload { name: "w2", transactions: 10_000 / size, rows_each: 100 },
    ];
    let wanted = |name: &str| only.iter().any(|only| only == name);
    for workload in workloads.into_iter().filter(|workload| wanted(workload.name)) {
        println!("{}: {} rows ...", workload.name, workload.rows());
        let backlog = shop.backlog(&workload);
        let mut rounds_of: [Vec<Figures>; 6] = Default::default();
        for round in 1..=rounds {
            for (contender, figures) in Contender::ALL.into_iter().zip(&mut rounds_of) {
                let figure = contender.drain(&place, &backlog);
                println!("  round {round}: {:<19} {figure}", contender.name());
                figures.push(figure);
            }
        }
        report.add_drain(workload.name, rounds_of.map(|figures| Figures::median(&figures)));
        shop.forget(&backlog);
    }
    let seconds = if quick { 5 } else { 30 };
    let sinks = [Sink::Sqlite, Sink::Kafka, Sink::KafkaAtLeastOnce];
    for rate in [500, 5000] {
        let asked = |sink: &Sink| {
            let name = format!("latency-{rate}-{}", sink.name());
            wanted("latency") || wanted(&name)
        };
        for sink in sinks.into_iter().filter(asked) {
            if rate == WARM_UP && sink.is_kafka() {
                println!("warming the broker up with {} ...", sink.name());
                latency::measure(&place, sink, rate, seconds);
            }
            println!("latency of {} at {rate} rows/s for {seconds} s ...", sink.name());
            report.add_latency(sink, rate, &latency::measure(&place, sink, rate, seconds));
        }
    }
    for sink in sinks.into_iter().filter(|_| wanted("start")) {
        println!("start to first event of {} ...", sink.name());
        report.add_start(sink, &start::measure(&place, sink, if quick { 3 } else { 11 }));
    }
    println!("\n{report}");
    report.write("target/bench/postgres.json");
}
