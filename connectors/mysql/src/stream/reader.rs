use std::io;

use connector_api::{Error, Result};
use connector_transport::{Backlog, ReadBuffer, Wire};
use tokio::time::Instant;

use super::packet::{Packet, Packets};
use crate::config::MysqlConfig;
use crate::log::{Event, Flavor, Framing};
use crate::position::{Gtids, LogFile, MariaGtid, MariaState};
use crate::session::{Doing, DumpFrom, Session};

/// Heartbeats that may be missing before a server counts as gone.
pub(super) const HEARTBEATS_MISSED: u32 = 3;

/// The events of a log as they arrive.
#[derive(Debug)]
pub(crate) struct LogReader {
    wire: Wire,
    buffer: ReadBuffer,
    packets: Packets,
    backlog: Backlog,
    /// Bytes of the buffer that have been handed out, or belong to an event that is still coming.
    taken: usize,
    /// Bytes that the next packet has, as far as known.
    wanted: usize,
    last_contact: Instant,
    /// When the wire was looked at last.
    looked: Instant,
    /// Nobody looked for so long that the server may have ended the dump.
    was_left: bool,
    /// For the words of errors.
    config: MysqlConfig,
    flavor: Flavor,
    doing: Doing<'static>,
}

/// What has come.
#[derive(Debug)]
pub(crate) enum Arrived<'r> {
    /// A whole event, with its checksum if there is one.
    Event(&'r [u8]),
    /// The log ends here, and nothing more will come.
    End,
}

impl LogReader {
    /// From a place of the log on, for ever.
    pub(crate) async fn from_place(session: Session, file: &LogFile, offset: u64) -> Result<Self> {
        let from = DumpFrom { file: file.to_string(), offset, ends_with_the_log: false };
        Self::dump(session, &from).await
    }

    /// From a place of the log on, as far as it goes now.
    pub(crate) async fn of_what_is_there(
        session: Session,
        file: &LogFile,
        offset: u64,
    ) -> Result<Self> {
        let from = DumpFrom { file: file.to_string(), offset, ends_with_the_log: true };
        Self::dump(session, &from).await
    }

    /// Everything but these transactions, for ever.
    pub(crate) async fn behind(session: Session, gtids: &Gtids) -> Result<Self> {
        let (config, flavor) = (session.config().clone(), session.flavor());
        let (wire, arrived) = session.dump_behind(gtids, &Doing::Streaming).await?;
        Ok(Self::new(wire, &arrived, config, flavor))
    }

    /// The same as far as the log goes now, to see whether there is such a stream.
    pub(super) async fn try_behind(session: Session, gtids: &Gtids) -> Result<Self> {
        let (config, flavor) = (session.config().clone(), session.flavor());
        let doing = Doing::Trying;
        let (wire, arrived) = session.dump_behind(gtids, &doing).await?;
        Ok(Self { doing, ..Self::new(wire, &arrived, config, flavor) })
    }

    async fn dump(session: Session, from: &DumpFrom) -> Result<Self> {
        let (config, flavor) = (session.config().clone(), session.flavor());
        let (wire, arrived) = session.dump(from).await?;
        Ok(Self::new(wire, &arrived, config, flavor))
    }

    fn new(wire: Wire, arrived: &[u8], config: MysqlConfig, flavor: Flavor) -> Self {
        Self {
            wire,
            buffer: ReadBuffer::starting_with(arrived),
            packets: Packets::new(),
            backlog: Backlog::new(),
            taken: 0,
            wanted: 0,
            last_contact: Instant::now(),
            looked: Instant::now(),
            was_left: false,
            config,
            flavor,
            doing: Doing::Streaming,
        }
    }

    /// When the server was last heard, or could not be because nobody listened.
    pub(crate) fn last_contact(&self) -> Instant {
        self.last_contact
    }

    /// Nobody listened until now.
    pub(crate) fn was_deaf(&mut self) {
        self.last_contact = Instant::now();
    }

    /// Whether the server may have ended the dump because nobody took anything of it.
    pub(super) fn was_left(&self) -> bool {
        self.was_left
    }

    /// The next event of those that have arrived; what was handed out before is gone.
    pub(crate) fn arrived(&mut self) -> Result<Option<Arrived<'_>>> {
        self.release();
        let (packet, taken) = self.packets.next(self.buffer.filled())?;
        match packet {
            Packet::Event(event) => {
                self.taken = taken;
                Ok(Some(Arrived::Event(event)))
            }
            Packet::Ended => Ok(Some(Arrived::End)),
            Packet::Failed(told) => Err(told.classify(&self.doing, &self.config, self.flavor)),
            Packet::Incomplete(wanted) => {
                (self.taken, self.wanted) = (taken, wanted);
                Ok(None)
            }
        }
    }

    /// What was handed out is not needed any more.
    fn release(&mut self) {
        self.buffer.consume(std::mem::take(&mut self.taken));
    }

    /// The same of a log that is read as far as it goes: its server has no reason to be silent.
    pub(crate) async fn more_in_time(&mut self) -> Result<()> {
        let limit = self.config.heartbeat * HEARTBEATS_MISSED;
        let arrived = tokio::time::timeout(limit, self.more()).await;
        arrived.unwrap_or_else(|_| {
            let seconds = limit.as_secs();
            Err(Error::transient(format!("the server has been silent for {seconds} s")))
        })
    }

    /// Waits until something has arrived, and takes it in. Cancel-safe.
    pub(crate) async fn more(&mut self) -> Result<()> {
        self.release();
        // The server began to wait before, when there was no more room on the way.
        self.was_left |= self.looked.elapsed() >= self.config.patience / 4;
        self.backlog.arrival(&self.wire).await.map_err(broken)?;
        let room = self.buffer.room(self.wanted);
        self.looked = Instant::now();
        let count = match self.wire.receive(room) {
            Ok(0) => return Err(Error::transient("the server closed the stream")),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(broken(error)),
        };
        if count > 0 {
            self.buffer.received(count);
            self.last_contact = Instant::now();
        }
        self.backlog.received(count, &self.wire).map_err(broken)
    }
}

/// What a file of the log begins with.
#[derive(Debug)]
pub(crate) struct FileHead {
    /// When it was begun, seconds since 1970.
    pub(crate) created: u32,
    /// MariaDB: which transactions lie before it.
    pub(crate) mariadb_before: Option<MariaState>,
}

/// Reads the beginning of a file, on a connection of its own.
pub(crate) async fn head_of(session: Session, file: &LogFile) -> Result<FileHead> {
    let limit = session.config().connect_timeout;
    let reading = tokio::time::timeout(limit, read_head(session, file)).await;
    reading.unwrap_or_else(|_| {
        let seconds = limit.as_secs();
        Err(Error::transient(format!("the server did not show {file} in {seconds} s")))
    })
}

async fn read_head(session: Session, file: &LogFile) -> Result<FileHead> {
    const FIRST_EVENT: u64 = 4;
    let mut reader = LogReader::of_what_is_there(session, file, FIRST_EVENT).await?;
    let mut framing = Framing::default();
    let mut created = None;
    loop {
        let bytes = match reader.arrived()? {
            None => {
                reader.more().await?;
                continue;
            }
            Some(Arrived::End) => break,
            Some(Arrived::Event(bytes)) => bytes,
        };
        let frame = framing.frame(bytes)?;
        match frame.event()? {
            Event::FormatDescription => created = Some(frame.header.timestamp),
            Event::Rotate(_) | Event::StartEncryption => {}
            Event::MariadbGtidList(list) => {
                let gtid = |(domain, server, sequence)| MariaGtid { domain, server, sequence };
                let state = list.iter().map(gtid).collect();
                return begun(file, created, Some(state));
            }
            _ => break,
        }
    }
    begun(file, created, None)
}

fn begun(
    file: &LogFile,
    created: Option<u32>,
    mariadb_before: Option<MariaState>,
) -> Result<FileHead> {
    let created = created.ok_or_else(|| {
        Error::definite(format!("{file} does not begin as a file of a binlog does"))
    })?;
    Ok(FileHead { created, mariadb_before })
}

fn broken(error: io::Error) -> Error {
    Error::transient(format!("the stream broke: {error}"))
}
