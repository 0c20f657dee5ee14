//! The open stream. A task owns the socket: it reads, decodes, and finds out what the log leaves
//! out. Batches go through a channel for one; while it is occupied the task goes on decoding into
//! the next batch, and stops reading when that is full, which leaves the log on the server.
//!
//! | file | owns |
//! |---|---|
//! | `packet` | the packets of a dump |
//! | `reader` | events as they arrive |
//! | `pump` | the task: from events to batches |
//! | `recall` | the changes of a distributed transaction, once it is committed |
//! | `lookup` | the columns of tables whose columns the log does not name |
//! | `scan` | whether tables were changed as a whole in a stretch of the log |

mod lookup;
#[doc(hidden)]
pub mod packet;
mod pump;
mod reader;
mod recall;
mod scan;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use connector_api::{Batch, Capture, ChangeStream, Head, Position, Result, ResumePoint};
use connector_transport::ReaderTask;
use tokio::sync::{mpsc, watch};

use crate::config::MysqlConfig;
use crate::position::{Gtids, LogPosition};
pub(crate) use lookup::Lookup;
use pump::Pump;
pub(crate) use reader::{FileHead, LogReader, head_of};
pub(crate) use scan::Mark;

/// What the task and the stream both know.
#[derive(Debug)]
struct Shared {
    /// The furthest place of the log that the server has told of, without its transactions.
    server_end: LogPosition,
    last_contact: Instant,
}

/// The stream of one server's log.
pub(crate) struct MysqlStream {
    task: ReaderTask,
    closing: watch::Sender<bool>,
    shared: Arc<Mutex<Shared>>,
    confirmed: LogPosition,
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
}

impl MysqlStream {
    /// Starts streaming what `reader` reads.
    pub(crate) fn open(reader: LogReader, opening: Opening, config: &MysqlConfig) -> Result<Self> {
        let start = LogPosition::from_position(&opening.from.position)?;
        let (sender, batches) = mpsc::channel(1);
        let (closing, closed) = watch::channel(false);
        let server_end = LogPosition { gtids: Gtids::None, prepared: Vec::new(), ..start.clone() };
        let shared = Shared { server_end, last_contact: Instant::now() };
        let shared = Arc::new(Mutex::new(shared));
        let pump = Pump::new(reader, opening, config, (sender, closed, Arc::clone(&shared)))?;
        let task = ReaderTask::start(batches, pump.run());
        Ok(Self { task, closing, shared, confirmed: start })
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

    fn head(&self) -> Head {
        let shared = self.shared.lock().expect("no holder panics");
        Head {
            position: shared.server_end.to_position(),
            lag_bytes: self.confirmed.bytes_to(&shared.server_end),
            last_contact: shared.last_contact,
        }
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.closing.send_replace(true);
        self.task.ended().await
    }
}
