use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use connector_api::{Batch, BatchBuilder, Error, Result};
use connector_transport::{Backlog, ReadBuffer, Wire};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::frame::{Frame, Parsed, commit_end, parse, write_status};
use super::hurry::Hurry;
use super::{Shared, Wish};
use crate::config::PostgresConfig;
use crate::decode::Decoder;
use crate::position::Lsn;
use crate::session::ServerMessage;

/// The server hears from us at least this often; its own default patience is 60 s.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Confirmations that follow each other faster share one message.
const CONFIRM_EVERY: Duration = Duration::from_millis(50);
/// Without a word from the server for this long it is asked for one.
const SILENCE_ASK: Duration = Duration::from_secs(20);
/// A question this soon after our last status is a repeated one.
const ASKED_AGAIN: Duration = Duration::from_millis(250);
/// Time between answers to repeated questions.
const ANSWER_EVERY: Duration = Duration::from_millis(100);
/// Repeated questions after which the server is not kept waiting: two seconds' worth.
const ASKED_IN_VAIN: u32 = 20;
/// Time a closing stream gives the server to take the last confirmation and end.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// The task that owns the socket.
pub(super) struct Pump {
    pub(super) wire: Wire,
    pub(super) buffer: ReadBuffer,
    pub(super) builder: BatchBuilder,
    pub(super) decoder: Decoder,
    pub(super) batches: mpsc::Sender<Batch>,
    pub(super) wished: watch::Receiver<Wish>,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) config: PostgresConfig,
    pub(super) confirms: bool,
    /// The end of the last complete transaction, or of what was passed over behind it.
    pub(super) end: Lsn,
    /// The server's end of the log as last heard.
    pub(super) server_end: Lsn,
    pub(super) clock: Clock,
    pub(super) hurry: Hurry,
    pub(super) backlog: Backlog,
}

/// When the server and we last spoke, and what about.
#[derive(Debug)]
pub(super) struct Clock {
    last_status: Instant,
    /// When the server was last heard, or could not be because nobody listened.
    last_contact: Instant,
    /// A confirmation has not been sent yet.
    unsent: bool,
    /// The last confirmation that has been sent.
    told: Lsn,
    /// A question has not been answered yet.
    answer_due: bool,
    asked_for: Lsn,
    times_asked: u32,
}

impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            last_status: now,
            last_contact: now,
            unsent: false,
            told: Lsn(0),
            answer_due: false,
            asked_for: Lsn(0),
            times_asked: 0,
        }
    }

    fn status_due(&self) -> Instant {
        let patience = match (self.unsent, self.answer_due) {
            (true, _) => CONFIRM_EVERY,
            (false, true) => ANSWER_EVERY,
            (false, false) => STATUS_EVERY,
        };
        self.last_status + patience
    }
}

impl Pump {
    pub(super) async fn run(mut self) -> Result<()> {
        self.decode()?;
        let batches = self.batches.clone();
        loop {
            let status_due = self.clock.status_due();
            let status_due = self.hurry.due().map_or(status_due, |due| due.min(status_due));
            let reads = !self.builder.is_full();
            tokio::select! { biased;
                // 1. The server must hear from us, whatever else there is to do.
                () = tokio::time::sleep_until(status_due) => self.status()?,
                // 2. What could not be sent before.
                outcome = self.wire.socket().writable(), if self.wire.has_outgoing() => {
                    outcome.map_err(broken)?;
                    self.flush()?;
                }
                // 3. Confirmations, and the end.
                changed = self.wished.changed() => {
                    if changed.is_err() { return Ok(()) }
                    let wish = *self.wished.borrow_and_update();
                    if wish.closing { return self.close().await }
                    self.clock.unsent |= wish.confirmed > self.clock.told;
                    self.hurry.hear(wish.hurries, Instant::now());
                }
                // 4. Whoever is ready for a batch gets what there is.
                permit = batches.reserve(), if self.builder.is_ready() => {
                    let Ok(permit) = permit else { return self.close().await };
                    permit.send(self.builder.take());
                    self.decode()?;
                }
                // 5. The log.
                outcome = self.backlog.arrival(&self.wire), if reads => {
                    outcome.map_err(broken)?;
                    self.receive()?;
                }
            }
        }
    }

    /// Takes what has arrived and decodes it.
    fn receive(&mut self) -> Result<()> {
        let wanted = match parse(self.buffer.filled())? {
            Parsed::Incomplete(wanted) => wanted,
            Parsed::Frame(..) => 0,
        };
        let room = self.buffer.room(wanted);
        let count = match self.wire.receive(room) {
            Ok(0) => return Err(Error::transient("the server closed the stream")),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(broken(error)),
        };
        if count > 0 {
            self.buffer.received(count);
            self.clock.last_contact = Instant::now();
            let decoded = self.decode();
            let mut shared = self.shared.lock().expect("no holder panics");
            shared.last_contact = self.clock.last_contact.into_std();
            shared.server_end = self.server_end;
            drop(shared);
            decoded?;
        }
        self.backlog.received(count, &self.wire).map_err(broken)
    }

    /// Decodes whole frames until there is none, or the batch is full.
    fn decode(&mut self) -> Result<()> {
        while !self.builder.is_full() {
            let (frame, size) = match parse(self.buffer.filled())? {
                Parsed::Incomplete(_) => return Ok(()),
                Parsed::Frame(frame, size) => (frame, size),
            };
            match frame {
                Frame::Log { server_end, message } => {
                    self.server_end = self.server_end.max(server_end);
                    self.decoder.message(message, &mut self.builder)?;
                    if let Some(end) = commit_end(message) {
                        self.end = self.end.max(end);
                    }
                }
                Frame::Keepalive { server_end, reply_now } => {
                    self.server_end = self.server_end.max(server_end);
                    // Everything before it has been sent: outside of a transaction nothing that
                    // is captured lies between the last commit and here.
                    let between = !self.builder.is_open() && !self.decoder.is_resuming();
                    if between && server_end > self.end {
                        self.end = server_end;
                        self.builder.progress(&server_end.to_string());
                    }
                    self.hurry.hear_answer(server_end);
                    if reply_now {
                        self.asked(server_end)?;
                    }
                }
                Frame::Failed(body) => {
                    let error = ServerMessage::parse(body).classify(&self.config, "streaming");
                    return Err(error);
                }
                Frame::Warned(body) => {
                    let warning = ServerMessage::parse(body);
                    if let Some(error) = warning.missing_publication(&self.config) {
                        return Err(error);
                    }
                }
                Frame::Done => return Err(Error::transient("the server ended the stream")),
                Frame::Ignored => {}
            }
            self.buffer.consume(size);
        }
        Ok(())
    }

    /// The server wants to hear from us at once.
    ///
    /// One that is being stopped stays until everything it has sent is confirmed, and asks again
    /// as soon as it has an answer: thousands of times a second, for as long as nothing becomes
    /// durable downstream. Then it must not wait for us: the slot keeps what is not confirmed.
    fn asked(&mut self, server_end: Lsn) -> Result<()> {
        let again = self.clock.last_status.elapsed() < ASKED_AGAIN;
        if !again || self.clock.asked_for != server_end {
            self.clock.times_asked = 0;
        }
        self.clock.asked_for = server_end;
        self.clock.times_asked += 1;
        if self.clock.times_asked > ASKED_IN_VAIN {
            return Err(Error::transient(
                "the server is being stopped; what is not durable here yet stays in its slot",
            ));
        }
        self.clock.answer_due = true;
        if again { Ok(()) } else { self.status() }
    }

    fn confirmed(&self) -> Lsn {
        if self.confirms { self.wished.borrow().confirmed } else { Lsn(0) }
    }

    /// Tells the server how far we are; asks it for a sign of life when it has been silent.
    fn status(&mut self) -> Result<()> {
        let now = Instant::now();
        // A reader that has stopped reading cannot hear.
        let listening = !self.builder.is_full();
        if !listening {
            self.clock.last_contact = now;
        }
        let silence = now - self.clock.last_contact;
        let limit = self.config.silence_limit;
        if silence >= limit {
            let seconds = limit.as_secs();
            return Err(Error::transient(format!("the server has been silent for {seconds} s")));
        }
        let asks = self.hurry.asks(now);
        self.queue_status(asks || silence >= SILENCE_ASK.min(limit / 2));
        self.clock.last_status = now;
        self.clock.told = self.wished.borrow().confirmed;
        self.clock.unsent = false;
        self.clock.answer_due = false;
        self.flush()
    }

    /// Puts a status on its way, unless one is still waiting because the server does not read.
    fn queue_status(&mut self, reply_now: bool) {
        if !self.wire.has_outgoing() {
            let mut message = Vec::with_capacity(39);
            write_status(self.confirmed(), now_us(), reply_now, &mut message);
            self.wire.queue(&message);
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self.wire.try_flush() {
            // It is sent when the socket is writable again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            outcome => outcome.map_err(broken),
        }
    }

    /// Sends the last confirmation and takes leave; waits for the server to do the same, so that
    /// the slot is free.
    async fn close(mut self) -> Result<()> {
        let mut message = Vec::new();
        write_status(self.confirmed(), now_us(), false, &mut message);
        // CopyDone and Terminate.
        message.extend_from_slice(b"c\x00\x00\x00\x04X\x00\x00\x00\x04");
        self.wire.queue(&message);
        // A server that does not listen will notice that we are gone.
        let _ = tokio::time::timeout(CLOSE_TIME, self.part()).await;
        Ok(())
    }

    async fn part(&mut self) -> io::Result<()> {
        self.wire.socket().set_low_water_mark(1)?;
        let mut unread = vec![0; 64 << 10];
        loop {
            // It may have to send what it has begun before it hears us.
            match self.wire.receive(&mut unread) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let sending = self.wire.has_outgoing();
                    tokio::select! {
                        outcome = self.wire.socket().readable() => outcome?,
                        outcome = self.wire.socket().writable(), if sending => outcome?,
                    }
                }
                Err(error) => return Err(error),
            }
            if let Err(error) = self.wire.try_flush()
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return Err(error);
            }
        }
    }
}

/// What `pg_stat_replication.reply_time` shows, microseconds since 2000.
fn now_us() -> i64 {
    let since_2000 = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    let elapsed = SystemTime::now().duration_since(since_2000).unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or_default()
}

fn broken(error: io::Error) -> Error {
    Error::transient(format!("the stream broke: {error}"))
}
