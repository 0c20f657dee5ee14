//! The open stream. A task owns the socket: it reads, decodes, and finds out what the log leaves
//! out. Batches go through a channel for one; while it is occupied the task goes on decoding into
//! the next batch, and stops reading when that is full, which leaves the log on the server.
//!
//! | file | owns |
//! |---|---|
//! | `packet` | the packets of a dump |
//! | `reader` | events as they arrive |
//! | `ahead` | what a server sends behind transactions: where it goes on, what is before a place |
//! | `pump` | the task: from events to batches |
//! | `reopen` | a dump that the server ended because nothing was taken of it |
//! | `recall` | the changes of a distributed transaction, once it is committed |
//! | `lookup` | the columns of tables whose columns the log does not name |
//! | `suspects` | which tables triggers, views and routines may change |
//! | `scan` | whether tables were changed as a whole in a stretch of the log |

mod ahead;
mod lookup;
#[doc(hidden)]
pub mod packet;
mod pump;
mod reader;
mod recall;
mod reopen;
mod scan;
mod suspects;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use connector_api::{Batch, Capture, ChangeStream, Head, Position, Result, ResumePoint};
use connector_transport::ReaderTask;
use mysql_async::prelude::Queryable as _;
use tokio::sync::{mpsc, watch};

use crate::config::MysqlConfig;
use crate::position::{Gtids, LogPosition};
use crate::session::SqlClient;
pub(crate) use ahead::{logged_before, objection};
pub(crate) use lookup::Lookup;
use pump::Pump;
pub(crate) use reader::{FileHead, LogReader, head_of};
pub(crate) use scan::Mark;

/// Time to tell the server that a stream has ended.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// What the task and the stream both know.
#[derive(Debug)]
struct Shared {
    /// The furthest place of the log that the server has told of, without its transactions.
    server_end: LogPosition,
    last_contact: Instant,
    /// What the server calls the connection.
    connection: Option<u64>,
}

/// The stream of one server's log.
pub(crate) struct MysqlStream {
    task: ReaderTask,
    closing: watch::Sender<bool>,
    shared: Arc<Mutex<Shared>>,
    confirmed: LogPosition,
    config: MysqlConfig,
}

/// What to read, and from where.
pub(crate) struct Opening {
    /// Where to begin.
    pub(crate) from: ResumePoint,
    /// What to decode.
    pub(crate) capture: Capture,
    /// `lower_case_table_names` other than 0.
    pub(crate) fold_case: bool,
    /// Whether it begins in the file of the checkpoint, and not with the transactions behind it.
    pub(crate) same_file: bool,
    /// What the server calls the connection.
    pub(crate) connection: Option<u64>,
}

/// Ends a dump. A server does not notice that a reader has gone before it has something to send,
/// and keeps what the reader has claimed.
async fn end(connection: u64, config: &MysqlConfig) {
    let Ok(mut client) = SqlClient::connect(config).await else { return };
    let is_ours = format!(
        "SELECT 1 FROM information_schema.PROCESSLIST
         WHERE ID = {connection} AND COMMAND LIKE 'Binlog Dump%'"
    );
    if let Ok(Some(1)) = client.query_first::<i64, _>(is_ours).await {
        // It may have gone in between.
        let _ = client.query_drop(format!("KILL {connection}")).await;
    }
    client.close().await;
}

impl MysqlStream {
    /// Starts streaming what `reader` reads.
    pub(crate) fn open(reader: LogReader, opening: Opening, config: &MysqlConfig) -> Result<Self> {
        let start = LogPosition::from_position(&opening.from.position)?;
        let connection = opening.connection;
        let (sender, batches) = mpsc::channel(1);
        let (closing, closed) = watch::channel(false);
        let server_end = LogPosition { gtids: Gtids::None, prepared: Vec::new(), ..start.clone() };
        let shared = Shared { server_end, last_contact: Instant::now(), connection };
        let shared = Arc::new(Mutex::new(shared));
        let pump = Pump::new(reader, opening, config, (sender, closed, Arc::clone(&shared)))?;
        let task = ReaderTask::start(batches, pump.run());
        Ok(Self { task, closing, shared, confirmed: start, config: config.clone() })
    }
}

#[async_trait]
impl ChangeStream for MysqlStream {
    async fn read(&mut self) -> Result<Batch> {
        self.task.read().await
    }

    /// A server keeps its log for a time, and nobody's place in it.
    fn confirm(&mut self, position: &Position) {
        let confirmed = LogPosition::from_position(position).expect("it comes from this stream");
        if !self.confirmed.covers(&confirmed) {
            self.confirmed = confirmed;
        }
    }

    /// The end of the log comes by itself.
    fn hurry(&mut self) {}

    fn head(&self) -> Head {
        let shared = self.shared.lock().expect("no holder panics");
        Head {
            position: shared.server_end.to_position(),
            lag_bytes: self.confirmed.bytes_to(&shared.server_end),
            last_contact: shared.last_contact,
        }
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let Self { task, closing, shared, config, .. } = *self;
        closing.send_replace(true);
        task.ended().await?;
        let connection = shared.lock().expect("no holder panics").connection;
        if let Some(connection) = connection {
            let _ = tokio::time::timeout(LEAVE_TIME, end(connection, &config)).await;
        }
        Ok(())
    }
}
