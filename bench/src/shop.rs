mod mysql;
mod postgres;

use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) use mysql::MysqlShop;
pub(crate) use postgres::PostgresShop;

/// The stock rows of a shop.
const STOCK_ROWS: u64 = 200_000;

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
            send(Change::nth(number)).await;
        }
        sent
    }
}

/// What one transaction of a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    id: i64,
    /// The transaction's number, by which its event is known again.
    quantity: i32,
}

impl Change {
    fn nth(number: u32) -> Self {
        // All over the table.
        let id = i64::try_from(1 + u64::from(number) * 7919 % STOCK_ROWS).unwrap();
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

/// The server that is measured, and its table of stock.
pub(crate) trait Shop {
    /// What the written file is called.
    fn name(&self) -> &'static str;

    /// The server's own client that reads the log.
    fn peer(&self) -> &'static str;

    /// Runs the peer over a whole backlog; what it writes to files goes to `folder`.
    fn peer_command(&self, backlog: &Backlog, folder: &Path) -> Command;

    /// The table of stock, as a mapping names it.
    fn table(&self) -> &'static str;

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

    /// One change of stock.
    fn change_one(&self);

    /// Changes stock on a connection of its own, as [`Pace::keep`] says. A number that was given
    /// before may change nothing, and then the log says nothing.
    fn write(&self, pace: Pace, first: u32) -> JoinHandle<Vec<i64>>;

    fn clock(&self) -> Clock;
}

/// A thread with a runtime of its own: a writer must not take more than it needs from those who are
/// measured.
fn writer<F>(write: impl FnOnce() -> F + Send + 'static) -> JoinHandle<Vec<i64>>
where
    F: Future<Output = Vec<i64>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime.block_on(write()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_changes_another_row_each_time_and_numbers_its_changes() {
        let changes: Vec<Change> = (0..150_000).map(Change::nth).collect();
        let mut ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), ids[0]), (150_000, 1));
        assert!(*ids.last().unwrap() <= 200_000);
        assert_eq!(changes[4711].quantity, 4711);
    }
}
