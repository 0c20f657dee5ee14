//! What is in tables already, read in short transactions without a lock.
//!
//! | file | owns |
//! |---|---|
//! | `table` | a table as the catalog describes it, and how it is read |
//! | `index` | which of its indexes gives an order |
//! | `cursor` | the key, and the place behind a row |
//! | `filter` | a condition as SQL |
//! | `fence` | what of the log a read holds |
//! | `read` | one chunk: the transaction, and its rows |
//! | `fault` | what went wrong, and what mends it |
//! | `quote` | names and values as SQL |

mod cursor;
mod fault;
mod fence;
mod filter;
mod index;
mod quote;
mod read;
mod table;

use std::time::Duration;

use async_trait::async_trait;
use connector_api::{Chunk, ChunkRequest, Error, Position, Result, SnapshotReader, TableName};

use crate::config::MysqlConfig;
use crate::doctor::{SHOW_GENERATED_KEYS, account};
use crate::log::Flavor;
use crate::position::{Gtids, LogFile, LogPosition, MariaPosition};
use crate::session::{Row, Session, Unanswered};
use crate::value::Scratch;
use fence::{LogEnd, Settled, settling_time};
use table::{Plan, Shape, Size};

/// Seconds that one chunk may take.
const CHUNK_SECONDS: u32 = 30;
/// Time for a read, with every attempt and all that is asked around it.
const ANSWER_TIME: Duration = Duration::from_secs(300);
/// Time between two looks at what can be seen.
const POLL: Duration = Duration::from_millis(25);
/// How often a table that is altered meanwhile is looked at anew.
const ATTEMPTS: u32 = 3;

/// Reads tables of one server.
#[derive(Debug)]
pub(crate) struct MysqlSnapshot {
    session: Session,
    config: MysqlConfig,
    /// As SQL: `'tailstock'@'%'`.
    account: String,
    /// How the table is read that the last chunk was of.
    plan: Option<Plan>,
    settled: Settled,
    /// Distributed transactions are committed here.
    has_distributed: bool,
    /// The last error was that the table is another than the plan says.
    was_altered: bool,
    /// The last transactions before a place of MariaDB's log, which it takes a while to say.
    asked: Option<((LogFile, u64), Option<MariaPosition>)>,
    /// Somebody gave up while the server was asked: the answer may still come.
    is_asking: bool,
    scratch: Scratch,
}

impl MysqlSnapshot {
    /// Connects. Where a log is being read, `config` names the server that writes it.
    pub(crate) async fn connect(config: &MysqlConfig) -> Result<Self> {
        let session = Session::connect(config).await?;
        let mut reader = Self {
            session,
            config: config.clone(),
            account: String::new(),
            plan: None,
            settled: Settled::within(Duration::ZERO),
            has_distributed: false,
            was_altered: false,
            asked: None,
            is_asking: false,
            scratch: Scratch::default(),
        };
        let limit = match reader.session.flavor() {
            Flavor::MySql => format!(
                "max_execution_time = {}, information_schema_stats_expiry = 0",
                CHUNK_SECONDS * 1000
            ),
            Flavor::MariaDb => format!("max_statement_time = {CHUNK_SECONDS}"),
        };
        // Text comes as it is stored, moments in UTC, dates that are none can be compared with, a
        // table that somebody locks is not waited for, and no default of the server cuts a read
        // short.
        let settings = format!(
            "SET SESSION {limit}, sql_mode = 'ALLOW_INVALID_DATES', character_set_results = NULL, \
             time_zone = '+00:00', lock_wait_timeout = 1, autocommit = 1, sql_big_selects = 1, \
             sql_select_limit = 18446744073709551615"
        );
        let row = reader.prepare(&settings).await.map_err(|error| reader.failed(error))?;
        let current = row.into_iter().next().flatten().unwrap_or_default();
        reader.account = account(&current);
        let time = settling_time(&mut reader.session).await;
        reader.settled = Settled::within(time.map_err(|error| reader.failed(error))?);
        Ok(reader)
    }

    async fn prepare(&mut self, settings: &str) -> Result<Row, Unanswered> {
        let level = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        for setting in [settings, level, SHOW_GENERATED_KEYS] {
            self.session.rows(setting).await?;
        }
        Ok(self.session.rows("SELECT CURRENT_USER()").await?.first())
    }

    /// Says something to which the answer has no rows.
    async fn tell(&mut self, sql: &str) -> Result<()> {
        self.session.rows(sql).await.map(drop).map_err(|error| self.failed(error))
    }

    /// Something is going to be asked. Where somebody gave up before, on a connection on which no
    /// answer to another question is still to come.
    async fn ask(&mut self) -> Result<()> {
        if self.is_asking {
            *self = Self::connect(&self.config).await?;
        }
        self.is_asking = true;
        Ok(())
    }

    /// A chunk of a table, which may be altered meanwhile.
    async fn read(&mut self, request: &ChunkRequest<'_>) -> Result<Chunk> {
        for _ in 0..ATTEMPTS {
            self.plan(request.table, request.columns).await?;
            self.was_altered = false;
            match self.read_chunk(request).await {
                Ok(Some(chunk)) => return Ok(chunk),
                Ok(None) => {}
                Err(_) if self.was_altered => {
                    self.plan = None;
                    self.tell("ROLLBACK").await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(fault::was_altered(request.table))
    }

    /// Where the log stands.
    async fn log_end(&mut self) -> Result<LogEnd> {
        let end = LogEnd::now(&mut self.session).await;
        end.map_err(|failed| failed.into_error(|error| self.failed(error)))
    }

    /// Makes sure that the plan is one for this table and these columns.
    async fn plan(&mut self, table: &TableName, wanted: &[String]) -> Result<()> {
        let is_it = |plan: &Plan| plan.name == *table && plan.wanted == wanted;
        if self.plan.as_ref().is_some_and(is_it) {
            return Ok(());
        }
        let shape =
            Shape::of(&mut self.session, table).await.map_err(|error| self.failed(error))?;
        self.plan_for(table, wanted, shape).await
    }

    async fn plan_for(
        &mut self,
        table: &TableName,
        wanted: &[String],
        shape: Option<Shape>,
    ) -> Result<()> {
        self.plan = None;
        let size = self.size(table).await?;
        let (Some(shape), Some(size)) = (shape, size) else { return Err(self.is_missing(table)) };
        self.check_kind(table, &size.kind)?;
        let plan = Plan::new(&mut self.session, table, wanted, shape).await;
        let plan = plan.map_err(|error| self.failed(error))?;
        self.check_access(&plan).await?;
        if plan.key.is_none() {
            size.check_keyless(table, &self.account)?;
        }
        self.plan = Some(plan);
        Ok(())
    }

    async fn size(&mut self, table: &TableName) -> Result<Option<Size>> {
        Size::of(&mut self.session, table).await.map_err(|error| self.failed(error))
    }

    /// What is selected may be selected. A column that cannot be seen is asked for: it may not be
    /// there, which is no error, or it may be hidden.
    async fn check_access(&mut self, plan: &Plan) -> Result<()> {
        if !plan.unreadable().is_empty() {
            return Err(self.may_not_read(plan));
        }
        for name in plan.unseen() {
            let (name, table) = (quote::column(name), quote::table(&plan.name));
            match self.session.rows(&format!("SELECT {name} FROM {table} LIMIT 0")).await {
                Err(Unanswered::Said(told)) if told.code == fault::NO_COLUMN => {}
                Err(error) => return Err(self.refused(error, plan)),
                // It has come since.
                Ok(_) => return Err(fault::was_altered(&plan.name)),
            }
        }
        Ok(())
    }

    /// Whether all that the log holds up to `target` can be seen.
    async fn is_settled(&mut self, target: &LogPosition) -> Result<bool> {
        let log = self.log_end().await?;
        if !log.covers(target) {
            return Ok(false);
        }
        let is_settled = match self.session.flavor() {
            Flavor::MySql => log.has_executed(target),
            Flavor::MariaDb => {
                let shown = self.snapshot_end().await;
                let shown =
                    shown.map_err(|failed| failed.into_error(|error| self.failed(error)))?;
                shown.covers(target) || self.is_behind_all(&shown, target).await?
            }
        };
        if is_settled {
            self.settled.note(log);
        }
        Ok(is_settled)
    }

    /// Whether there is no transaction between what is shown and a later place (MariaDB): a log
    /// goes on with a new file, and with events of its own.
    async fn is_behind_all(&mut self, shown: &LogEnd, target: &LogPosition) -> Result<bool> {
        let place = (shown.place.file.clone(), shown.place.offset);
        if self.asked.as_ref().is_none_or(|(asked, _)| *asked != place) {
            let before = shown.transactions_before(&mut self.session).await;
            let before = before.map_err(|failed| failed.into_error(|error| self.failed(error)))?;
            self.asked = Some((place, before));
        }
        let before = self.asked.as_ref().and_then(|(_, before)| before.as_ref());
        // Without the file nobody has written in for as long as that has been gone.
        Ok(before.is_none_or(|before| match &target.gtids {
            Gtids::MariaDb(wanted) => before.covers(wanted),
            _ => false,
        }))
    }

    /// The place of the log that can be seen for certain (MariaDB, InnoDB).
    async fn snapshot_end(&mut self) -> Result<LogEnd, fence::Failed> {
        let (end, has_distributed) = LogEnd::begin(&mut self.session).await?;
        self.has_distributed |= has_distributed;
        self.session.rows("COMMIT").await?;
        Ok(end)
    }
}

/// What comes of asking a server. A connection whose other end has gone without a word says nothing
/// for ever; the next question is asked on another.
async fn in_time<T>(asking: impl Future<Output = Result<T>>) -> Result<T> {
    let answered = tokio::time::timeout(ANSWER_TIME, asking).await;
    answered.unwrap_or_else(|_| {
        let seconds = ANSWER_TIME.as_secs();
        Err(Error::transient(format!("the server did not answer a read in {seconds} s")))
    })
}

#[async_trait]
impl SnapshotReader for MysqlSnapshot {
    async fn settle(&mut self, position: &Position) -> Result<()> {
        let target = LogPosition::from_position(position)?;
        // Where nothing says what can be seen, the first chunk waits for what is noted from here.
        self.settled.begin_anew();
        loop {
            self.ask().await?;
            let is_settled = in_time(self.is_settled(&target)).await?;
            self.is_asking = false;
            if is_settled {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn estimated_rows(&mut self, table: &TableName) -> Result<Option<u64>> {
        self.ask().await?;
        let size = in_time(self.size(table)).await?;
        self.is_asking = false;
        Ok(size.and_then(|size| size.rows))
    }

    async fn chunk(&mut self, request: &ChunkRequest<'_>) -> Result<Chunk> {
        self.ask().await?;
        let chunk = in_time(self.read(request)).await?;
        self.is_asking = false;
        Ok(chunk)
    }
}

/// The server's log need not say that a connection was lost.
impl Drop for MysqlSnapshot {
    fn drop(&mut self) {
        if !self.is_asking {
            self.session.leave();
        }
    }
}
