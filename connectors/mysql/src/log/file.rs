use std::io::Read;

use connector_api::{Error, Result};

use super::EVENT_BYTES_MAX;
use super::format::Format;
use super::frame::{Frame, Framing};
use super::header::{HEADER_BYTES, Header};
use super::kind::Kind;

const MAGIC: [u8; 4] = *b"\xfebin";
const MAGIC_ENCRYPTED: [u8; 4] = *b"\xfdbin";
const MAGIC_GZIP: [u8; 2] = [0x1f, 0x8b];

/// How a log file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It says in which file the log goes on.
    Rotated,
    /// The server was shut down.
    Stopped,
    /// It just ends: it was still written to, its server died, or it is a part of a file. Nobody
    /// can tell whether events are missing.
    Open,
}

/// A whole log file, as a run of events.
#[derive(Debug)]
pub struct LogFile<R> {
    input: R,
    event: Vec<u8>,
    /// Where the next event begins.
    position: u64,
    framing: Framing,
    ending: Ending,
}

impl<R: Read> LogFile<R> {
    /// A log file from its first byte on.
    ///
    /// # Errors
    /// Bytes that are not a binlog, or an encrypted one, and whatever reading them fails with.
    pub fn open(mut input: R) -> Result<Self> {
        let mut magic = Vec::new();
        fill(&mut input, MAGIC.len() as u64, &mut magic)?;
        if magic == MAGIC_ENCRYPTED {
            return Err(encrypted());
        }
        if magic.starts_with(&MAGIC_GZIP) {
            return Err(Error::definite(
                "this is not a binlog but a gzip file; unpack it with `gunzip` first",
            ));
        }
        if magic != MAGIC {
            return Err(Error::definite(format!(
                "this is not a binlog: it begins with {magic:02x?}, a binlog with {MAGIC:02x?}"
            )));
        }
        let position = MAGIC.len() as u64;
        let framing = Framing::default();
        Ok(Self { input, event: Vec::new(), position, framing, ending: Ending::Open })
    }

    /// The next event, or none at the end of the file.
    ///
    /// # Errors
    /// A file that ends inside an event, an event that is damaged or does not stand where it says,
    /// and the encrypted part of a log.
    pub fn read_event(&mut self) -> Result<Option<Frame<'_>>> {
        self.event.clear();
        let bytes = HEADER_BYTES as u64;
        if fill(&mut self.input, bytes, &mut self.event)? == 0 {
            return Ok(None);
        }
        if self.event.len() < HEADER_BYTES {
            return Err(self.cut(HEADER_BYTES as u64));
        }
        let header = Header::read(&self.event)?;
        let size = u64::from(header.size);
        if size > EVENT_BYTES_MAX {
            return Err(Error::definite(format!(
                "{} states a size of {size} bytes; at most {EVENT_BYTES_MAX} are read",
                header.subject()
            )));
        }
        fill(&mut self.input, size - bytes, &mut self.event)?;
        if (self.event.len() as u64) < size {
            return Err(self.cut(size));
        }
        let begin = self.position;
        self.position += size;
        // Positions have 32 bits, and files may grow beyond them.
        if header.next_position != 0 && header.next_position != self.position as u32 {
            return Err(Error::definite(format!(
                "{} begins at {begin} of this file and has {size} bytes: it is damaged or stood \
                 elsewhere",
                header.subject()
            )));
        }
        self.ending = match header.kind {
            Kind::ROTATE => Ending::Rotated,
            Kind::STOP => Ending::Stopped,
            Kind::MARIADB_START_ENCRYPTION => return Err(encrypted()),
            _ => Ending::Open,
        };
        self.framing.frame(&self.event).map(Some)
    }

    /// How the file ended, once it has been read to its end.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The format of the events read last.
    pub fn format(&self) -> Option<&Format> {
        self.framing.format()
    }

    /// Where the next event begins, in bytes from the beginning of the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn cut(&self, wanted: u64) -> Error {
        Error::definite(format!(
            "the file ends inside the event at {}: {} bytes are there of {wanted}",
            self.position,
            self.event.len()
        ))
    }
}

/// Appends up to `bytes` bytes, less only at the end of the input. Memory grows with what comes.
fn fill(input: &mut impl Read, bytes: u64, into: &mut Vec<u8>) -> Result<usize> {
    let read = input.take(bytes).read_to_end(into);
    read.map_err(|error| Error::definite("the binlog file cannot be read").because(error))
}

fn encrypted() -> Error {
    Error::operator(
        "the log file is encrypted, and its key is with the server that wrote it",
        "read the log through its server, which decrypts it: \
         `mysqlbinlog --read-from-remote-server --raw` writes a readable copy",
    )
}
