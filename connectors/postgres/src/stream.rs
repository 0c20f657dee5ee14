//! The open stream. A task owns the socket: it reads, decodes, and answers the server on its own
//! timer whatever happens downstream. Batches go through a channel for one; while it is occupied
//! the task goes on decoding into the next batch, and stops reading when that is full, which leaves
//! the log on the server.

pub mod frame;
mod hurry;
mod pump;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use connector_api::{
    Batch, BatchBuilder, Capture, ChangeStream, Head, Position, Result, ResumePoint,
};
use connector_transport::{Backlog, ReadBuffer, ReaderTask};
use tokio::sync::{mpsc, watch};

use crate::config::PostgresConfig;
use crate::decode::Decoder;
use crate::position::Lsn;
use crate::session::Session;
use hurry::Hurry;
use pump::{Clock, Pump};

/// What the task and the stream both know.
#[derive(Debug)]
struct Shared {
    server_end: Lsn,
    last_contact: Instant,
}

/// What the stream asks of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    confirmed: Lsn,
    closing: bool,
    /// How often somebody was in a hurry.
    hurries: u64,
}

/// A replication stream of one slot.
pub(crate) struct PostgresStream {
    task: ReaderTask,
    wishes: watch::Sender<Wish>,
    shared: Arc<Mutex<Shared>>,
}

/// Where to read, and what.
pub(crate) struct Opening {
    /// The slot's name.
    pub(crate) slot: String,
    /// Where to begin; for a temporary slot, where it begins.
    pub(crate) from: ResumePoint,
    /// Where whoever reads believes to be, when that is elsewhere.
    pub(crate) believed: Option<Position>,
    /// What to decode.
    pub(crate) capture: Capture,
    /// Whether the server is told what is durable.
    pub(crate) confirms: bool,
}

impl PostgresStream {
    /// Starts streaming on an open session.
    pub(crate) async fn open(
        session: Session,
        opening: Opening,
        config: &PostgresConfig,
    ) -> Result<Self> {
        let start = Lsn::from_position(&opening.from.position)?;
        let (wire, arrived) = session.start_replication(&opening.slot, start).await?;
        let (sender, batches) = mpsc::channel(1);
        let (wishes, wished) =
            watch::channel(Wish { confirmed: start, closing: false, hurries: 0 });
        let now = Instant::now();
        let shared = Arc::new(Mutex::new(Shared { server_end: start, last_contact: now }));
        let begins = &opening.from.position;
        let mut builder = BatchBuilder::new(opening.believed.as_ref().unwrap_or(begins));
        // On a server with nothing to say nobody would learn where this is.
        builder.progress(begins.as_str());
        let pump = Pump {
            wire,
            buffer: ReadBuffer::starting_with(&arrived),
            builder,
            decoder: Decoder::new(&opening.from, opening.capture),
            batches: sender,
            wished,
            shared: Arc::clone(&shared),
            config: config.clone(),
            confirms: opening.confirms,
            end: start,
            server_end: start,
            clock: Clock::new(),
            hurry: Hurry::default(),
            backlog: Backlog::new(),
        };
        let task = ReaderTask::start(batches, pump.run());
        Ok(Self { task, wishes, shared })
    }
}

#[async_trait]
impl ChangeStream for PostgresStream {
    async fn read(&mut self) -> Result<Batch> {
        self.task.read().await
    }

    fn confirm(&mut self, position: &Position) {
        let confirmed = Lsn::from_position(position).expect("positions come from this stream");
        self.wishes.send_if_modified(|wish| {
            let moves = confirmed > wish.confirmed;
            wish.confirmed = wish.confirmed.max(confirmed);
            moves
        });
    }

    fn hurry(&mut self) {
        self.wishes.send_modify(|wish| wish.hurries += 1);
    }

    fn head(&self) -> Head {
        let shared = self.shared.lock().expect("no holder panics");
        let confirmed = self.wishes.borrow().confirmed;
        Head {
            position: shared.server_end.to_position(),
            lag_bytes: shared.server_end.0.saturating_sub(confirmed.0),
            last_contact: shared.last_contact,
        }
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.wishes.send_modify(|wish| wish.closing = true);
        self.task.ended().await
    }
}
