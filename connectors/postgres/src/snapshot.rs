//! What is in tables already, read in chunks by key over a connection of its own.
//!
//! | file | owns |
//! |---|---|
//! | `channel` | the connection: simple queries, several in one question |
//! | `row` | one row of an answer |
//! | `shape` | what of a table is read, by which key, and whether this role may |
//! | `query` | the query of one chunk |
//! | `filter` | conditions as SQL |
//! | `intake` | rows into a batch, up to the chunk's bounds |
//! | `chunk` | one read: its snapshot, its rows, its place in the log |
//! | `sight` | which transactions a snapshot sees |

mod channel;
mod chunk;
mod filter;
mod intake;
mod query;
mod row;
mod shape;
mod sight;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use connector_api::{
    Chunk, ChunkRequest, Error, Position, Result, Sight as _, SnapshotReader, TableName,
};

use crate::config::PostgresConfig;
use crate::doctor::{SEE_TRANSACTIONS, WORTH_TELLING};
use crate::position::Lsn;
use crate::session::ServerMessage;
use channel::Channel;
pub(crate) use shape::KEY_INDEX;
use shape::Shape;
use sight::Snapshot;

/// Rows of the first chunk of a table, of which nobody knows yet how wide they are.
const FIRST_ROWS: u32 = 512;
/// How much more rows a chunk may have than the one before it.
const GROWTH: u32 = 4;
/// Reads that are given up because the table was changed in the middle, before it is said.
const ATTEMPTS: u32 = 5;
/// Time between two looks at the transactions that have not ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const WAITING: &str = "waiting for open transactions";

/// Reads tables of one database.
#[derive(Debug)]
pub(crate) struct TableReader {
    config: PostgresConfig,
    channel: Channel,
    server: Server,
    tables: HashMap<TableName, Known>,
}

/// What does not change while a server runs.
#[derive(Debug)]
struct Server {
    /// `150018` for 15.18.
    version: i32,
    on_standby: bool,
    /// Bytes of a page of the log, and of a file of it.
    log_page: u64,
    log_file: u64,
    /// After this long everything that was visible is on disk.
    flushed_within: Duration,
}

/// A table that has been read before.
#[derive(Debug)]
struct Known {
    shape: Arc<Shape>,
    wanted: Vec<String>,
    /// How many rows the next chunk may have.
    rows: u32,
}

impl TableReader {
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self> {
        let mut channel = Channel::connect(config).await?;
        let sql = "SELECT current_setting('server_version_num'), pg_is_in_recovery(),
            current_setting('wal_block_size'),
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'),
            (SELECT setting FROM pg_settings WHERE name = 'wal_writer_delay')";
        let rows = channel.rows(sql).await?;
        let rows = rows.map_err(|said| said.classify(config, "looking at the server"))?;
        let cell = |place: usize| rows.first()?.get(place)?.as_deref();
        let number = |place: usize| cell(place).and_then(|text| text.parse().ok());
        let unreadable = || Error::definite("the server does not say how it is set up");
        // A log writer that has pages to write as well looks only at every third turn.
        let turn = number(4).map(Duration::from_millis).ok_or_else(unreadable)?;
        let server = Server {
            version: cell(0).and_then(|text| text.parse().ok()).ok_or_else(unreadable)?,
            on_standby: cell(1) == Some("t"),
            log_page: number(2).ok_or_else(unreadable)?,
            log_file: number(3).ok_or_else(unreadable)?,
            flushed_within: 3 * turn + Duration::from_millis(100),
        };
        Ok(Self { config: config.clone(), channel, server, tables: HashMap::new() })
    }

    async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        let rows = self.channel.rows(sql).await?;
        rows.map_err(|said| said.classify(&self.config, doing))
    }

    /// What is known of a table, asked where it is not known.
    async fn shape(&mut self, request: &ChunkRequest<'_>) -> Result<Arc<Shape>> {
        let ChunkRequest { table, columns, .. } = *request;
        if let Some(known) = self.tables.get(table).filter(|known| known.wanted == columns) {
            return Ok(Arc::clone(&known.shape));
        }
        let question = Shape::question(table, &self.config.publication, self.server.version);
        let rows = self.channel.rows(&question).await?;
        let rows = match rows {
            Ok(rows) => rows,
            Err(said) => {
                self.give_up().await?;
                return Err(self.refused(&said, table));
            }
        };
        let shape = Arc::new(Shape::read_from(&rows, table, columns, &self.config)?);
        let known = Known { shape: Arc::clone(&shape), wanted: columns.to_vec(), rows: FIRST_ROWS };
        self.tables.insert(table.clone(), known);
        Ok(shape)
    }

    /// On a standby what is in its log can be seen once it has been replayed.
    async fn replay(&mut self, position: Lsn) -> Result<()> {
        loop {
            let rows = self.rows("SELECT pg_last_wal_replay_lsn()", WAITING).await?;
            let cell = rows.first().and_then(|row| row.first()?.as_deref());
            if cell.and_then(|text| text.parse::<Lsn>().ok()).is_some_and(|at| at >= position) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends a transaction that has failed.
    async fn give_up(&mut self) -> Result<()> {
        self.rows("ROLLBACK", "ending a read").await.map(drop)
    }

    /// Why a table was not read. What the server says of a value stays here: it holds the value.
    fn refused(&self, said: &ServerMessage, table: &TableName) -> Error {
        let doing = format!("reading table {table}");
        match &*said.code {
            "57014" => Error::transient(format!(
                "{doing}: the server did not have a chunk together in time, and ended the query \
                 (statement_timeout)"
            )),
            "55P03" => Error::transient(format!(
                "{doing}: somebody holds a lock that lets nobody read (lock_timeout)"
            )),
            "42P01" => shape::missing(table),
            "42501" => shape::not_granted(table, true, &[], &self.config),
            code if code.starts_with("22") => {
                Error::definite(format!("{doing}: the server cannot read the last key ({code})"))
            }
            _ => said.classify(&self.config, &doing),
        }
    }
}

#[async_trait]
impl SnapshotReader for TableReader {
    /// A transaction is in the log a little before it can be seen, or longer, as long as it waits
    /// for a replica. Whatever the log holds by now either can be seen or has not ended; so it
    /// waits, as the server itself does for a new slot, until everything has that has a number
    /// now. A transaction that is open for hours takes as long.
    async fn settle(&mut self, position: &Position) -> Result<()> {
        if self.server.on_standby {
            return self.replay(Lsn::from_position(position)?).await;
        }
        // A snapshot does not tell of those that began behind the last one that ended.
        let sql = "SELECT DISTINCT transactionid FROM pg_locks
            WHERE locktype = 'transactionid' AND granted";
        let rows = self.rows(sql, WAITING).await?;
        let mut open: Vec<String> = rows.into_iter().flatten().flatten().collect();
        let (begun, mut is_told) = (Instant::now(), false);
        while !open.is_empty() {
            let rows = self.rows("SELECT pg_current_snapshot()", WAITING).await?;
            let cell = rows.first().and_then(|row| row.first()?.as_deref());
            let now = cell.and_then(|text| Snapshot::parse(text, false)).ok_or_else(|| {
                Error::definite("the server does not say which transactions are open")
            })?;
            open.retain(|xid| !now.sees(0, xid));
            if open.is_empty() {
                break;
            }
            if !is_told && begun.elapsed() >= WORTH_TELLING {
                is_told = true;
                let database = &self.config.database;
                let fix = SEE_TRANSACTIONS;
                let transactions = open.join(", ");
                tracing::warn!(database, transactions, fix, "no table is read before these end");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn estimated_rows(&mut self, table: &TableName) -> Result<Option<u64>> {
        // Before 14 a table that nobody has counted looks like an empty one.
        let counted = if self.server.version >= 140_000 { "true" } else { "leaf.relpages > 0" };
        let sql = format!(
            "SELECT CASE WHEN bool_and(leaf.reltuples >= 0 AND {counted})
                 THEN sum(leaf.reltuples::float8)::bigint END
             FROM {} JOIN pg_class leaf ON leaf.relkind <> 'p' AND (leaf.oid = c.oid
                 OR leaf.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))",
            shape::named(table)
        );
        let rows = self.rows(&sql, &format!("counting the rows of {table}")).await?;
        Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()))
    }

    async fn chunk(&mut self, request: &ChunkRequest<'_>) -> Result<Chunk> {
        for _ in 0..ATTEMPTS {
            let shape = self.shape(request).await?;
            if let Some(chunk) = self.read(request, &shape).await? {
                return Ok(chunk);
            }
            // Something about the table has changed, and the read may have missed rows by it.
            self.tables.remove(request.table);
        }
        let table = request.table;
        Err(Error::transient(format!("table {table} was changed {ATTEMPTS} times while read")))
    }
}
