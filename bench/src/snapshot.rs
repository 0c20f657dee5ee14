use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::place::{Place, Sink, Task, Workspace};
use crate::process::{Usage, run};
use crate::report::{Figures, Report};
use crate::shop::{Load, Shop, Statement};

/// One-row transactions a second of the writer beside a snapshot.
const RATE: u32 = 2_000;

/// How long the writer writes before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

/// No transaction of tailstock's may be open for longer.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(2);

/// How often a server is asked for its oldest transaction: seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who reads the table of stock.
#[derive(Debug, Clone, Copy)]
enum Reader {
    /// The server's own client.
    Dumper,
    Tailstock(Sink),
}

impl Reader {
    /// The server's own first.
    const ALL: [Reader; 4] = [
        Reader::Dumper,
        Reader::Tailstock(Sink::Discard),
        Reader::Tailstock(Sink::Sqlite),
        Reader::Tailstock(Sink::Kafka),
    ];

    fn name(self, shop: &dyn Shop) -> &'static str {
        match self {
            Reader::Dumper => shop.dumper(),
            Reader::Tailstock(sink) => sink.name(),
        }
    }

    /// Has the whole table read once.
    fn read(self, place: &Place, rows: u64) -> Figures {
        let usage = match self {
            Reader::Dumper => run(place.shop.dump_command()),
            Reader::Tailstock(sink) => snapshot(place, sink, rows),
        };
        Figures::new(rows, usage)
    }
}

/// A first start into a sink, until everything that is in the table has come out.
fn snapshot(place: &Place, sink: Sink, rows: u64) -> Usage {
    let workspace = Workspace::new(place, sink, Task::ReadAtOnce);
    let usage = run(workspace.tailstock(&["run", "--until-current"]));
    leave(place.shop.as_ref());
    if let Some(events) = workspace.events(&place.broker) {
        assert_eq!(events, rows, "events of {}", sink.name());
    }
    usage
}

/// The next start is a first one too.
fn leave(shop: &dyn Shop) {
    shop.await_no_reader();
    shop.forget_reader();
}

/// How fast a table is read, by the server's own client and into every sink.
pub(crate) fn speed(place: &Place, rows: u64, rounds: usize, report: &mut Report) {
    let shop = place.shop.as_ref();
    let workload = format!("{}-snapshot", shop.name());
    println!("{workload}: {rows} rows ...");
    let mut rounds_of: [Vec<Figures>; Reader::ALL.len()] = Default::default();
    for round in 1..=rounds {
        for (reader, figures) in Reader::ALL.into_iter().zip(&mut rounds_of) {
            let figure = reader.read(place, rows);
            println!("  round {round}: {:<19} {figure}", reader.name(shop));
            figures.push(figure);
        }
    }
    let medians: Vec<(&str, Figures)> = Reader::ALL
        .into_iter()
        .zip(&rounds_of)
        .map(|(reader, figures)| (reader.name(shop), Figures::median(figures)))
        .collect();
    report.add_drain(&workload, None, &medians);
}

/// What the shop's own statements take while its table is read, and while nobody does.
pub(crate) fn harm(place: &Place, rows: u64, rounds: usize, report: &mut Report) {
    let shop = place.shop.as_ref();
    let workload = format!("{}-snapshot-writers", shop.name());
    println!("{workload}: {RATE} transactions/s ...");
    let (mut without, mut with, mut figures) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let workspace = Workspace::new(place, Sink::Discard, Task::Read);
        let (times, usage) =
            beside_writer(shop, rows, || run(workspace.tailstock(&["run", "--until-current"])));
        leave(shop);
        let figure = Figures::new(rows, usage);
        println!("  round {round}: with                {figure}");
        figures.push(figure);
        with.push(times);
        let (times, ()) = beside_writer(shop, rows, || {
            pause(Duration::from_secs_f64(usage.seconds));
        });
        without.push(times);
    }
    report.add_writers(&workload, &without, &with, Figures::median(&figures));
}

/// Does something beside a writer. Returns the milliseconds of the statements that were sent
/// meanwhile. Nobody waits for a lock, and no transaction stays open.
fn beside_writer<T>(shop: &dyn Shop, rows: u64, act: impl FnOnce() -> T) -> (Vec<f64>, T) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let waits_before = shop.lock_waits();
    let ends = Arc::new(AtomicBool::new(false));
    let oldest = watch(shop, Arc::clone(&ends));
    let first = NEXT.load(Ordering::Relaxed);
    let writer = shop.load(Load { rate: RATE, rows, first, ends: Arc::clone(&ends) });
    pause(WARM_UP);
    let from = Instant::now();
    let done = act();
    let to = Instant::now();
    ends.store(true, Ordering::Relaxed);
    let statements = writer.join().unwrap();
    NEXT.fetch_add(u32::try_from(statements.len()).unwrap(), Ordering::Relaxed);
    let waits = shop.lock_waits() - waits_before;
    assert_eq!(waits, 0, "times that somebody waited for a lock");
    let oldest = oldest.join().unwrap();
    assert!(oldest <= LONGEST_TRANSACTION, "a transaction was open for {oldest:?}");
    (times_between(&statements, from, to), done)
}

fn times_between(statements: &[Statement], from: Instant, to: Instant) -> Vec<f64> {
    let meanwhile = statements.iter().filter(|statement| (from..to).contains(&statement.at));
    meanwhile.map(|statement| statement.ms).collect()
}

/// Looks for the oldest transaction, again and again; for how long it was open.
fn watch(shop: &dyn Shop, ends: Arc<AtomicBool>) -> JoinHandle<Duration> {
    let mut oldest_transaction = shop.oldest_transaction();
    std::thread::spawn(move || {
        let mut oldest = Duration::ZERO;
        while !ends.load(Ordering::Relaxed) {
            oldest = oldest.max(oldest_transaction());
            pause(LOOK_EVERY);
        }
        oldest
    })
}

#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_count_that_were_sent_meanwhile() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let statements = [1, 2, 3, 4].map(|ms| Statement { at: at(ms), ms: 0.5 * ms as f64 });
        assert_eq!(times_between(&statements, at(2), at(4)), [1.0, 1.5]);
    }
}
