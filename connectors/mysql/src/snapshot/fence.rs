//! What of the log a read of a table holds.
//!
//! A log is written before what is in it can be seen, so that a place of the log that was read
//! beside a table proves little. What is proof depends on the server:
//!
//! * MariaDB makes InnoDB's commits visible in the order of the log, and says with a consistent
//!   snapshot which place of the log that is. The second phase of a distributed transaction alone
//!   does not take part in it.
//! * MySQL adds a transaction to `gtid_executed` when it can be seen, and not before.
//! * Everywhere else a place of the log proves something a while later ([`settling_time`]), when
//!   whoever had written up to it has come to the end of its commit: what lies between is the log's
//!   own way to the disk, and the wait for a replica. So it is with MyISAM and Aria: they change
//!   their rows before they log them, but an insert beside readers is shown to them when its lock
//!   is given back, which is behind the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Error, Position, Result, Sight};

use crate::doctor::{REFUSED, literal};
use crate::log::Flavor;
use crate::position::{Gtid, GtidSet, Gtids, LogFile, LogPosition, MariaPosition};
use crate::session::{Row, ServerMessage, Session, Unanswered};

/// Both families read rows as of this statement from here on, and lock none of them.
pub(super) const START: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
/// Time from a transaction's place in the log to its being seen where it waits for nothing.
const SETTLING: Duration = Duration::from_millis(50);
/// The same where the log is synced in between, however slow the disk.
const SYNCING: Duration = Duration::from_secs(5);
/// The longest that a commit is taken to wait for a replica.
const WAITING: Duration = Duration::from_secs(60);
/// A place that has settled longer ago than this is left for a new one: what was changed since is
/// not known to be seen. Where that takes longer, by as much.
const TOO_OLD: Duration = Duration::from_secs(1);

/// Time from a transaction's place in the log to its being seen, where nothing says it.
pub(super) async fn settling_time(session: &mut Session) -> Result<Duration, Unanswered> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('sync_binlog',
         'rpl_semi_sync_source_enabled', 'rpl_semi_sync_source_timeout',
         'rpl_semi_sync_master_enabled', 'rpl_semi_sync_master_timeout')";
    Ok(settling_of(&session.rows(sql).await?.rows))
}

fn settling_of(settings: &[Row]) -> Duration {
    let value = |wanted: &str| {
        let row = settings.iter().find(|row| said(row, 0).ends_with(wanted));
        row.map(|row| said(row, 1)).unwrap_or_default()
    };
    let synced = if value("sync_binlog") == "0" { SETTLING } else { SYNCING };
    let waits = value("_enabled") == "ON";
    let timeout = value("_timeout").parse().map_or(WAITING, Duration::from_millis);
    if waits { synced + timeout.min(WAITING) } else { synced }
}

/// Where the log stood.
#[derive(Debug, Clone)]
pub(super) struct LogEnd {
    pub(super) place: LogPosition,
    /// What MySQL had executed by then.
    executed: Option<Arc<GtidSet>>,
    /// By the server's clock.
    pub(super) read_at_us: i64,
    /// Every transaction has a name.
    pub(super) names_all: bool,
}

impl LogEnd {
    /// Where it stands now.
    pub(super) async fn now(session: &mut Session) -> Result<Self, Failed> {
        let clock = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
        let flavor = session.flavor();
        let sql = match flavor {
            Flavor::MySql => format!("SELECT {clock}, @@GLOBAL.gtid_mode"),
            Flavor::MariaDb => format!("SELECT {clock}, @@GLOBAL.gtid_binlog_pos"),
        };
        let [status, row] = session.rows_of([log_status(session), &sql]).await?;
        let status = match status {
            // The account may not ask.
            Err(told) if REFUSED.contains(&told.code) => return Err(Failed::NoLog),
            status => status?.first(),
        };
        let row = row?.first();
        let place = said(&status, 0).parse().ok().zip(said(&status, 1).parse().ok());
        let Some((file, offset)) = place else { return Err(Failed::NoLog) };
        // Behind it the databases that are in the log, and those that are not.
        let executed = status.into_iter().nth(4).flatten();
        let mode = said(&row, 1);
        let mut end = Self {
            place: LogPosition { file, offset, created: 0, gtids: Gtids::None, prepared: vec![] },
            executed: None,
            read_at_us: said(&row, 0).parse().unwrap_or_default(),
            names_all: flavor == Flavor::MySql && mode == "ON",
        };
        match (flavor, executed) {
            // It was read behind the place: whoever has the one has the other.
            (Flavor::MariaDb, _) => end.place.gtids = Gtids::MariaDb(maria(&mode)?),
            // It has them also where it names no more.
            (Flavor::MySql, Some(set)) => {
                let set: GtidSet = set.replace('\n', "").parse().map_err(|_| Failed::Gtids)?;
                end.executed = Some(Arc::new(set.clone()));
                end.place.gtids = Gtids::MySql(set);
            }
            (Flavor::MySql, None) => {}
        }
        Ok(end)
    }

    /// Begins a consistent snapshot. Returns the place of the log that it is (MariaDB, InnoDB), and
    /// whether a distributed transaction may ever have been committed here: the counter rises when
    /// the statement begins, and is asked behind the snapshot that the answer is about.
    pub(super) async fn begin(session: &mut Session) -> Result<(Self, bool), Failed> {
        let now = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED), \
                   @@GLOBAL.gtid_binlog_pos";
        let place = "SHOW STATUS LIKE 'binlog_snapshot_%'";
        let distributed = "SHOW GLOBAL STATUS LIKE 'Com_xa_commit'";
        let answers = session.rows_of([START, place, now, distributed]).await?;
        let [began, place, now, distributed] = answers;
        began?;
        let (rows, row, distributed) = (place?.rows, now?.first(), distributed?.first());
        let shown = |wanted: &str| {
            let row = rows.iter().find(|row| said(row, 0).eq_ignore_ascii_case(wanted));
            row.map(|row| said(row, 1))
        };
        let file = shown("binlog_snapshot_file").and_then(|file| file.parse::<LogFile>().ok());
        let offset = shown("binlog_snapshot_position").and_then(|offset| offset.parse().ok());
        let (Some(file), Some(offset)) = (file, offset) else { return Err(Failed::NoLog) };
        let gtids = Gtids::MariaDb(maria(&said(&row, 1))?);
        let end = Self {
            place: LogPosition { file, offset, created: 0, gtids, prepared: vec![] },
            executed: None,
            read_at_us: said(&row, 0).parse().unwrap_or_default(),
            names_all: false,
        };
        Ok((end, said(&distributed, 1) != "0"))
    }

    /// The last transactions before it (MariaDB); `None` when its file is gone.
    pub(super) async fn transactions_before(
        &self,
        session: &mut Session,
    ) -> Result<Option<MariaPosition>, Failed> {
        let LogPosition { file, offset, .. } = &self.place;
        let sql = format!("SELECT BINLOG_GTID_POS({}, {offset})", literal(file.as_str()));
        let row = session.rows(&sql).await?.first();
        row.into_iter().next().flatten().map(|position| maria(&position)).transpose()
    }

    pub(super) fn coordinate(&self) -> u64 {
        LogPosition::coordinate(&self.place.file, self.place.offset)
    }

    pub(super) fn position(&self) -> Position {
        self.place.to_position()
    }

    /// Whether everything up to `target` was in the log by then.
    pub(super) fn covers(&self, target: &LogPosition) -> bool {
        self.place.covers(target)
    }

    /// Whether everything up to `target` that has a name could be seen by then.
    pub(super) fn has_executed(&self, target: &LogPosition) -> bool {
        match (&self.executed, &target.gtids) {
            (Some(executed), Gtids::MySql(wanted)) => wanted.is_subset(executed),
            (_, Gtids::None) => true,
            _ => false,
        }
    }
}

/// A value of a row, empty where there is none.
fn said(row: &Row, nth: usize) -> String {
    row.get(nth).cloned().flatten().unwrap_or_default()
}

/// The question where the log ends, and which transactions are executed (MySQL).
fn log_status(session: &Session) -> &'static str {
    let version = session.server_version().split('.').map_while(|part| part.parse::<u32>().ok());
    // MariaDB has kept the old name, and counts from 10.
    match session.flavor() == Flavor::MySql && version.ge([8, 2]) {
        true => "SHOW BINARY LOG STATUS",
        false => "SHOW MASTER STATUS",
    }
}

fn maria(position: &str) -> Result<MariaPosition, Failed> {
    position.parse().map_err(|_| Failed::Gtids)
}

/// Why the end of the log is not known.
#[derive(Debug)]
pub(super) enum Failed {
    Sql(Unanswered),
    NoLog,
    Gtids,
}

impl From<ServerMessage> for Failed {
    fn from(told: ServerMessage) -> Self {
        Self::Sql(told.into())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Sql(error.into())
    }
}

impl From<Unanswered> for Failed {
    fn from(error: Unanswered) -> Self {
        Self::Sql(error)
    }
}

impl Failed {
    pub(super) fn into_error(self, of_sql: impl FnOnce(Unanswered) -> Error) -> Error {
        match self {
            Self::Sql(error) => of_sql(error),
            Self::NoLog => Error::operator(
                "the server does not say where its binary log ends",
                "set log_bin and restart the server, and grant REPLICATION CLIENT (MariaDB: BINLOG \
                 MONITOR) ON *.* to the account",
            ),
            Self::Gtids => Error::definite("the server's executed transactions cannot be read"),
        }
    }
}

/// The ends of the log as they were seen from time to time.
#[derive(Debug)]
pub(super) struct Settled {
    seen: VecDeque<(Instant, LogEnd)>,
    /// How long it takes.
    time: Duration,
}

impl Settled {
    pub(super) fn within(time: Duration) -> Self {
        Self { seen: VecDeque::new(), time }
    }

    /// What was seen so far is of no use for what follows.
    pub(super) fn begin_anew(&mut self) {
        self.seen.clear();
    }

    /// Notes where the log stands.
    pub(super) fn note(&mut self, end: LogEnd) {
        let now = Instant::now();
        // Of those that have settled only the last is of use.
        while self.seen.get(1).is_some_and(|(at, _)| now - *at >= self.time) {
            self.seen.pop_front();
        }
        self.seen.push_back((now, end));
    }

    /// The last end of the log that has settled, and how long ago it was read.
    fn last(&self) -> Option<(Duration, &LogEnd)> {
        let now = Instant::now();
        let mut seen = self.seen.iter().rev().map(|(at, end)| (now - *at, end));
        seen.find(|(age, _)| *age >= self.time)
    }

    /// An end of the log that has settled, waited for where none has of late. One was noted just
    /// now. Cancel-safe.
    pub(super) async fn wait(&self) -> Option<&LogEnd> {
        let too_old = self.time + TOO_OLD.max(self.time);
        if self.last().is_none_or(|(age, _)| age > too_old) {
            tokio::time::sleep(self.time).await;
        }
        self.last().map(|(_, end)| end)
    }

    /// The place before which everything has settled; 0 when none is known.
    pub(super) fn coordinate(&self) -> u64 {
        self.last().map_or(0, |(_, end)| end.coordinate())
    }
}

/// Everything that begins before a place of the log.
#[derive(Debug)]
pub(super) struct Before(pub(super) u64);

impl Sight for Before {
    fn sees(&self, coordinate: u64, _: &str) -> bool {
        coordinate < self.0
    }
}

/// What MySQL had executed; and of what has no name all that begins before a place of the log.
#[derive(Debug)]
pub(super) struct Executed {
    set: Arc<GtidSet>,
    before: u64,
}

impl Sight for Executed {
    fn sees(&self, coordinate: u64, txid: &str) -> bool {
        match txid.parse::<Gtid>() {
            Ok(gtid) => self.set.contains(&gtid),
            Err(_) => coordinate < self.before,
        }
    }
}

impl LogEnd {
    /// What a read that began behind this end of the log saw, where what has no name had settled
    /// before `settled`.
    pub(super) fn sight(&self, settled: u64) -> Arc<dyn Sight> {
        match &self.executed {
            Some(set) => Arc::new(Executed { set: Arc::clone(set), before: settled }),
            None => Arc::new(Before(settled)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn an_executed_transaction_is_seen_by_its_name_alone() {
        let set: GtidSet = format!("{UUID}:1-5:tag:7").parse().unwrap();
        let sight = Executed { set: Arc::new(set), before: 100 };
        for (coordinate, txid, seen) in [
            (900, format!("{UUID}:5"), true),
            (50, format!("{UUID}:6"), false),
            (50, format!("{UUID}:tag:7"), true),
            (50, format!("{UUID}:other:7"), false),
            (99, "binlog.000001:4".to_owned(), true),
            (100, "binlog.000001:4".to_owned(), false),
            (100, String::new(), false),
        ] {
            assert_eq!(sight.sees(coordinate, &txid), seen, "{txid}");
        }
    }

    #[test]
    fn what_lies_between_the_log_and_the_eyes_of_others_takes_its_time() {
        let settling = |settings: &[(&str, &str)]| {
            let row = |(name, value): &(&str, &str)| {
                vec![Some((*name).to_owned()), Some((*value).to_owned())]
            };
            settling_of(&settings.iter().map(row).collect::<Vec<_>>())
        };
        assert_eq!(settling(&[("sync_binlog", "0")]), SETTLING);
        assert_eq!(settling(&[("sync_binlog", "1")]), SYNCING);
        assert_eq!(settling(&[]), SYNCING);
        let semi_sync = |enabled, timeout| {
            settling(&[
                ("rpl_semi_sync_source_enabled", enabled),
                ("rpl_semi_sync_source_timeout", timeout),
                ("sync_binlog", "1"),
            ])
        };
        assert_eq!(semi_sync("OFF", "10000"), SYNCING);
        assert_eq!(semi_sync("ON", "10000"), SYNCING + Duration::from_secs(10));
        assert_eq!(semi_sync("ON", "4294967295"), SYNCING + WAITING);
    }

    #[tokio::test]
    async fn an_end_of_the_log_settles_in_its_time() {
        let end = |offset| LogEnd {
            place: format!("1/binlog.000001/{offset}/0").parse().unwrap(),
            executed: None,
            read_at_us: 0,
            names_all: false,
        };
        let mut settled = Settled::within(SETTLING);
        settled.note(end(10));
        assert_eq!(settled.coordinate(), 0);
        let first = settled.wait().await.unwrap().coordinate();
        settled.note(end(20));
        assert_eq!(settled.wait().await.unwrap().coordinate(), first);
        settled.note(end(30));
        settled.note(end(40));
        while settled.coordinate() < end(40).coordinate() {
            tokio::task::yield_now().await;
        }
        settled.note(end(50));
        assert_eq!(settled.seen.len(), 2);
    }
}
