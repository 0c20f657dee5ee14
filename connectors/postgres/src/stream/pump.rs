use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_api::{Batch, BatchBuilder, Error, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::frame::{Frame, Parsed, parse, write_status};
use super::read_buffer::ReadBuffer;
use super::{Shared, Wish};
use crate::config::PostgresConfig;
use crate::decode::Decoder;
use crate::position::Lsn;
use crate::session::{ServerMessage, Wire};
use crate::socket::BACKLOG_MARK;

/// The server hears from us at least this often; its own default patience is 60 s.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Confirmations that follow each other faster share one message.
const CONFIRM_EVERY: Duration = Duration::from_millis(50);
/// Without a word from the server for this long it is asked for one.
const SILENCE_ASK: Duration = Duration::from_secs(20);
/// Without a word for this long the connection is dead.
const SILENCE_END: Duration = Duration::from_secs(60);
/// While a backlog drains, how long data may lie below the mark.
const BACKLOG_TICK: Duration = Duration::from_millis(5);
/// Bytes in one tick that make a backlog: 6 MiB a second.
const BACKLOG_BYTES: usize = 32 << 10;
/// Time a closing stream gives the server to take the last confirmation.
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
}

/// What the task keeps between its turns.
struct Clock {
    last_status: Instant,
    last_contact: Instant,
    /// A confirmation has not been sent yet.
    unsent: bool,
    backlog: Backlog,
}

/// Whether the kernel is to wake us for every byte or for 64 KiB.
struct Backlog {
    marked: bool,
    since: Instant,
    bytes: usize,
}

impl Pump {
    pub(super) async fn run(mut self) -> Result<()> {
        let now = Instant::now();
        let mut clock = Clock {
            last_status: now,
            last_contact: now,
            unsent: false,
            backlog: Backlog { marked: false, since: now, bytes: 0 },
        };
        self.decode()?;
        let batches = self.batches.clone();
        loop {
            let status_due =
                clock.last_status + if clock.unsent { CONFIRM_EVERY } else { STATUS_EVERY };
            let reads = !self.builder.is_full();
            let tick = clock.backlog.marked && reads;
            tokio::select! { biased;
                // 1. The server must hear from us, whatever else there is to do.
                () = tokio::time::sleep_until(status_due) => self.status(&mut clock)?,
                // 2. What could not be sent before.
                outcome = self.wire.socket().writable(), if self.wire.has_outgoing() => {
                    outcome.map_err(broken)?;
                    self.flush()?;
                }
                // 3. Confirmations, and the end.
                changed = self.wished.changed() => {
                    if changed.is_err() { return Ok(()) }
                    if self.wished.borrow_and_update().closing { return self.close().await }
                    clock.unsent = true;
                }
                // 4. Whoever is ready for a batch gets what there is.
                permit = batches.reserve(), if self.builder.is_ready() => {
                    let Ok(permit) = permit else { return self.close().await };
                    permit.send(self.builder.take());
                    self.decode()?;
                }
                // 5. The log.
                outcome = self.wire.socket().readable(), if reads => {
                    outcome.map_err(broken)?;
                    self.receive(&mut clock)?;
                }
                () = tokio::time::sleep_until(clock.backlog.since + BACKLOG_TICK), if tick => self.receive(&mut clock)?,
            }
        }
    }

    /// Takes what has arrived and decodes it.
    fn receive(&mut self, clock: &mut Clock) -> Result<()> {
        let wanted = match parse(self.buffer.filled())? {
            Parsed::Incomplete(wanted) => wanted,
            Parsed::Frame(..) => 0,
        };
        let room = self.buffer.room(wanted);
        match self.wire.receive(room) {
            Ok(0) => return Err(Error::transient("the server closed the stream")),
            Ok(count) => {
                self.buffer.received(count);
                clock.last_contact = Instant::now();
                clock.backlog.bytes += count;
                self.shared.lock().expect("no holder panics").last_contact =
                    clock.last_contact.into_std();
                self.decode()?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(broken(error)),
        }
        self.watch_backlog(clock)
    }

    /// Sets the mark while much arrives, and takes it away when little does.
    fn watch_backlog(&mut self, clock: &mut Clock) -> Result<()> {
        let now = Instant::now();
        let backlog = &mut clock.backlog;
        if now - backlog.since < BACKLOG_TICK {
            return Ok(());
        }
        let marked = backlog.bytes >= BACKLOG_BYTES;
        if marked != backlog.marked {
            let mark = if marked { BACKLOG_MARK } else { 1 };
            self.wire.socket().set_low_water_mark(mark).map_err(broken)?;
        }
        *backlog = Backlog { marked, since: now, bytes: 0 };
        Ok(())
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
                    self.decoder.message(message, &mut self.builder)?;
                    heard(&self.shared, server_end);
                }
                Frame::Keepalive { server_end, reply_now } => {
                    heard(&self.shared, server_end);
                    // Everything before it has been sent: outside of a transaction nothing that
                    // is captured lies between the last commit and here.
                    if !self.builder.is_open() && server_end > self.end {
                        self.end = server_end;
                        self.builder.progress(&server_end.to_string());
                    }
                    if reply_now {
                        let confirmed = self.confirmed();
                        queue_status(&mut self.wire, confirmed, false);
                        self.wire.try_flush().or_else(later).map_err(broken)?;
                    }
                }
                Frame::Failed(body) => {
                    let error = ServerMessage::parse(body).classify(&self.config, "streaming");
                    return Err(error);
                }
                Frame::Done => return Err(Error::transient("the server ended the stream")),
                Frame::Ignored => {}
            }
            self.buffer.consume(size);
        }
        Ok(())
    }

    fn confirmed(&self) -> Lsn {
        if self.confirms { self.wished.borrow().confirmed } else { Lsn(0) }
    }

    /// Tells the server how far we are; asks it for a sign of life when it has been silent.
    fn status(&mut self, clock: &mut Clock) -> Result<()> {
        let now = Instant::now();
        let silence = now - clock.last_contact;
        // A reader that has stopped reading cannot hear.
        let listening = !self.builder.is_full();
        if !listening {
            clock.last_contact = now;
        } else if silence >= SILENCE_END {
            let seconds = silence.as_secs();
            return Err(Error::transient(format!("the server has been silent for {seconds} s")));
        }
        let confirmed = self.confirmed();
        queue_status(&mut self.wire, confirmed, listening && silence >= SILENCE_ASK);
        clock.last_status = now;
        clock.unsent = false;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.wire.try_flush().or_else(later).map_err(broken)
    }

    /// Sends the last confirmation and takes leave, so that the slot is free at once.
    async fn close(mut self) -> Result<()> {
        let confirmed = self.confirmed();
        queue_status(&mut self.wire, confirmed, false);
        // CopyDone and Terminate.
        self.wire.queue(b"c\x00\x00\x00\x04X\x00\x00\x00\x04");
        match tokio::time::timeout(CLOSE_TIME, self.wire.flush()).await {
            Ok(outcome) => outcome.map_err(broken),
            // It did not listen; it will notice that we are gone.
            Err(_) => Ok(()),
        }
    }
}

fn queue_status(wire: &mut Wire, confirmed: Lsn, reply_now: bool) {
    let mut message = Vec::with_capacity(39);
    write_status(confirmed, reply_now, &mut message);
    wire.queue(&message);
}

fn heard(shared: &Mutex<Shared>, server_end: Lsn) {
    let mut shared = shared.lock().expect("no holder panics");
    shared.server_end = shared.server_end.max(server_end);
}

/// What does not fit now is sent when the socket is writable again.
fn later(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
}

fn broken(error: io::Error) -> Error {
    Error::transient(format!("the stream broke: {error}"))
}
