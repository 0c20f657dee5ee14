use connector_api::{Error, Result};

use super::EVENT_BYTES_MAX;
use super::event::Event;
use super::format::{Flavor, Format};
use super::header::{HEADER_BYTES, Header};
use super::kind::Kind;

/// The bytes of a checksum, at the end of an event.
pub(super) const CHECKSUM_BYTES: usize = 4;
/// The low byte of the flags, in a header.
const FLAGS_AT: usize = 17;

/// One event, its size and checksum proved, its body not yet read.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What it begins with.
    pub header: Header,
    /// What is between its header and its checksum.
    pub body: &'a [u8],
    /// Who wrote it.
    pub flavor: Flavor,
}

impl<'a> Frame<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// A body that is not what its type says.
    pub fn event(&self) -> Result<Event<'a>> {
        Event::read(self)
    }
}

/// Takes the events of one log, in order, and remembers how they are written.
#[derive(Debug, Default)]
pub struct Framing {
    format: Option<Format>,
}

impl Framing {
    /// The format of the events behind the last FORMAT_DESCRIPTION.
    pub fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    /// Takes one whole event: header, body, and checksum if there is one.
    ///
    /// # Errors
    /// A size that is not the event's, a checksum that is not the one of its bytes, an event before
    /// the first FORMAT_DESCRIPTION other than the ROTATE that a server begins a stream with.
    pub fn frame<'a>(&mut self, event: &'a [u8]) -> Result<Frame<'a>> {
        let header = Header::read(event)?;
        let size = u64::from(header.size);
        if size != event.len() as u64 || size > EVENT_BYTES_MAX {
            return Err(Error::definite(format!(
                "{} states a size of {size} bytes and has {}; at most {EVENT_BYTES_MAX} are read",
                header.subject(),
                event.len()
            )));
        }
        if header.kind == Kind::FORMAT_DESCRIPTION {
            let format = Format::read(event)?;
            let flavor = format.flavor;
            self.format = Some(format);
            return Ok(Frame { header, body: &event[HEADER_BYTES..], flavor });
        }
        let (flavor, has_checksum) = match &self.format {
            Some(format) => (format.flavor, format.has_checksums),
            // It is sent before the format is known, with a checksum or without.
            None if header.kind == Kind::ROTATE => (Flavor::MySql, ends_with_checksum(event)),
            None => {
                return Err(Error::definite(format!(
                    "the log begins with {}; it must begin with FORMAT_DESCRIPTION",
                    header.subject()
                )));
            }
        };
        if !has_checksum {
            return Ok(Frame { header, body: &event[HEADER_BYTES..], flavor });
        }
        if !ends_with_checksum(event) {
            return Err(Error::definite(format!(
                "{} does not have the CRC32 of its bytes: it is damaged",
                header.subject()
            )));
        }
        let body = &event[HEADER_BYTES..event.len() - CHECKSUM_BYTES];
        Ok(Frame { header, body, flavor })
    }
}

fn ends_with_checksum(event: &[u8]) -> bool {
    event.len() >= HEADER_BYTES + CHECKSUM_BYTES && checksum_of(event) == stored_checksum(event)
}

/// The checksum at the end of an event that has room for one.
pub(super) fn stored_checksum(event: &[u8]) -> u32 {
    event.last_chunk().copied().map_or(0, u32::from_le_bytes)
}

/// The CRC32 of an event that has room for one. A log is closed by clearing its IN_USE flag, and
/// the checksum is the one of the closed log.
pub(super) fn checksum_of(event: &[u8]) -> u32 {
    let event = &event[..event.len() - CHECKSUM_BYTES];
    if event.get(4) != Some(&Kind::FORMAT_DESCRIPTION.0) {
        return crc32fast::hash(event);
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&event[..FLAGS_AT]);
    hasher.update(&[event[FLAGS_AT] & !0x01]);
    hasher.update(&event[FLAGS_AT + 1..]);
    hasher.finalize()
}
