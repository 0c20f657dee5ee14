mod mysql;
mod postgres;

use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testbed::MysqlVersion;

pub(crate) use mysql::MysqlShop;
pub(crate) use postgres::PostgresShop;

/// The table whose changes are read.
pub(crate) const INVENTORY: &str = "inventory";

/// Its rows.
const INVENTORY_ROWS: u64 = 200_000;

/// The table that is read itself: it has the columns that are mapped, and no others.
pub(crate) const STOCK: &str = "stock";

/// A server, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Postgres,
    Mysql(MysqlVersion),
}

impl Server {
    pub(crate) fn start(self) -> Box<dyn Shop> {
        match self {
            Server::Postgres => Box::new(PostgresShop::start()),
            Server::Mysql(version) => Box::new(MysqlShop::start(version)),
        }
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "postgres" => Ok(Server::Postgres),
            _ => text.parse().map(Server::Mysql).map_err(|error| format!("{error}, postgres")),
        }
    }
}

/// How many transactions of how many rows.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) transactions: u64,
    pub(crate) rows_each: u64,
}

impl Workload {
    pub(crate) fn rows(&self) -> u64 {
        self.transactions * self.rows_each
    }
}

/// Changes that lie in the log behind a place, and where they end.
pub(crate) struct Backlog {
    /// What the server calls the place: a slot, a file of its log.
    pub(crate) from: String,
    pub(crate) end: String,
    /// All changes of rows.
    pub(crate) rows: u64,
    /// Those of the table that is captured.
    pub(crate) captured: u64,
}

/// One-row transactions at a fixed rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
}

impl Pace {
    pub(crate) fn transactions(self) -> u32 {
        self.rate * self.seconds
    }

    /// Sends each at its own time: a slow answer does not slow the next one down. They are numbered
    /// from `first` on. Returns when each was sent, microseconds since 1970.
    async fn keep(self, first: u32, mut send: impl AsyncFnMut(Change)) -> Vec<i64> {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / self.rate);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let mut sent = Vec::new();
        for number in first..first + self.transactions() {
            tick.tick().await;
            sent.push(jiff::Timestamp::now().as_microsecond());
            send(Change::nth(number, INVENTORY_ROWS)).await;
        }
        sent
    }
}

/// One-row transactions all over the table of stock, at a fixed rate, until they are to end.
pub(crate) struct Load {
    pub(crate) rate: u32,
    /// The rows of the table.
    pub(crate) rows: u64,
    /// The number of the first one: a row that is given the value it has is not changed.
    pub(crate) first: u32,
    pub(crate) ends: Arc<AtomicBool>,
}

impl Load {
    /// A slow answer does not slow the next one down, and counts for those that had to wait for it.
    async fn keep(self, mut send: impl AsyncFnMut(Change)) -> Vec<Statement> {
        let (begun, every) = (Instant::now(), Duration::from_secs(1) / self.rate);
        let (mut answered, mut statements) = (begun, Vec::new());
        for nth in 0.. {
            if self.ends.load(Ordering::Relaxed) {
                break;
            }
            let due = begun + every * nth;
            let at = if answered > due {
                due
            } else {
                wait_until(due);
                // Waking up late is none of the server's doing.
                Instant::now()
            };
            send(Change::nth(self.first + nth, self.rows)).await;
            answered = Instant::now();
            statements.push(Statement { at, ms: (answered - at).as_secs_f64() * 1e3 });
        }
        statements
    }
}

/// The runtime's own timers know whole milliseconds only. Nothing else waits in a writer's.
#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// A transaction of one statement: when it was sent, or was to be sent, and when it was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) at: Instant,
    pub(crate) ms: f64,
}

/// What one transaction of a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    id: i64,
    /// The transaction's number, by which its event is known again.
    quantity: i32,
}

impl Change {
    fn nth(number: u32, rows: u64) -> Self {
        // All over the table.
        let id = i64::try_from(1 + u64::from(number) * 7919 % rows).unwrap();
        Self { id, quantity: i32::try_from(number).unwrap() }
    }
}

/// By whose clock a transaction was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The log says it to the microsecond.
    Server,
    /// The log says whole seconds. What counts instead is when the writer sent the statement, which
    /// is before the commit: such a latency includes the server's own work on the statement.
    Writer,
}

/// The server that is measured, and its tables.
pub(crate) trait Shop {
    /// What the written file is called.
    fn name(&self) -> &'static str;

    /// The server's own client that reads the log.
    fn peer(&self) -> &'static str;

    /// Runs the peer over a whole backlog; what it writes to files goes to `folder`.
    fn peer_command(&self, backlog: &Backlog, folder: &Path) -> Command;

    /// What stands before the name of a table in a mapping.
    fn schema(&self) -> &'static str;

    /// Lines of the section `[source]`: from the beginning of a backlog, or from now on.
    fn source(&self, from: Option<&Backlog>) -> String;

    /// Makes a backlog.
    fn backlog(&self, workload: &Workload) -> Backlog;

    /// Before each reader of a backlog.
    fn rewind(&self, backlog: &Backlog);

    /// Behind each reader of a backlog: waits until it has gone.
    fn left(&self);

    /// The backlog is not needed any more.
    fn forget(&self, backlog: &Backlog);

    /// Waits until somebody reads the log.
    fn await_reader(&self);

    /// Waits until nobody reads the log.
    fn await_no_reader(&self);

    /// Forgets who read the log last.
    fn forget_reader(&self);

    /// One change of stock in one of the two tables.
    fn change_one(&self, table: &str);

    /// Changes stock on a connection of its own, as [`Pace::keep`] says. A number that was given
    /// before may change nothing, and then the log says nothing.
    fn write(&self, pace: Pace, first: u32) -> JoinHandle<Vec<i64>>;

    fn clock(&self) -> Clock;

    /// Makes the table of stock with so many rows.
    fn fill(&self, rows: u64);

    /// The server's own client that reads a table.
    fn dumper(&self) -> &'static str;

    /// Has it read the table of stock.
    fn dump_command(&self) -> Command;

    /// Changes the table of stock on a connection of its own, as [`Load::keep`] says.
    fn load(&self, load: Load) -> JoinHandle<Vec<Statement>>;

    /// How often somebody who writes has had to wait for a lock so far.
    fn lock_waits(&self) -> u64;

    /// Asks on a connection of its own, each time it is called, for how long the oldest transaction
    /// is open that tailstock may have begun.
    fn oldest_transaction(&self) -> Box<dyn FnMut() -> Duration + Send>;
}

/// A thread with a runtime of its own: a writer must not take more than it needs from those who are
/// measured.
fn writer<F, T>(write: impl FnOnce() -> F + Send + 'static) -> JoinHandle<Vec<T>>
where
    F: Future<Output = Vec<T>>,
    T: Send + 'static,
{
    let runtime = runtime();
    std::thread::spawn(move || runtime.block_on(write()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_changes_another_row_each_time_and_numbers_its_changes() {
        let changes: Vec<Change> =
            (0..150_000).map(|number| Change::nth(number, INVENTORY_ROWS)).collect();
        let mut ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), ids[0]), (150_000, 1));
        assert!(*ids.last().unwrap() <= 200_000);
        assert_eq!(changes[4711].quantity, 4711);
    }

    #[test]
    fn a_server_is_named_as_people_write_it() {
        assert_eq!("postgres".parse(), Ok(Server::Postgres));
        assert_eq!("mysql-9.7".parse(), Ok(Server::Mysql(MysqlVersion::Mysql97)));
        let error = "oracle".parse::<Server>().unwrap_err();
        assert!(error.ends_with("mariadb-11.8, postgres"), "{error}");
    }

    #[test]
    fn a_slow_answer_counts_for_the_statements_behind_it() {
        let ends = Arc::new(AtomicBool::new(false));
        let load = Load { rate: 100, rows: 10, first: 7, ends: Arc::clone(&ends) };
        let mut changes = Vec::new();
        let statements = runtime().block_on(load.keep(async |change: Change| {
            if changes.is_empty() {
                wait_until(Instant::now() + Duration::from_millis(35));
            }
            changes.push(change);
            ends.store(changes.len() == 4, Ordering::Relaxed);
        }));
        assert_eq!(changes[0], Change { id: 4, quantity: 7 });
        // Due 10, 20 and 30 ms behind a first one that took 35 at least.
        for (statement, least) in statements.iter().zip([35.0, 25.0, 15.0, 5.0]) {
            assert!(statement.ms >= least, "{statements:?}");
        }
        assert_eq!(statements.len(), 4);
    }
}
