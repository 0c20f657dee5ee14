use std::fmt;

use connector_api::{Error, Result};

use super::kind::Kind;

/// The bytes of an event's header.
pub const HEADER_BYTES: usize = 19;

const IN_USE: u16 = 0x01;
const ARTIFICIAL: u16 = 0x20;
const IGNORABLE: u16 = 0x80;

/// What every event begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// When the statement began, in seconds since 1970; 0 where the server made the event up.
    pub timestamp: u32,
    /// What the event is.
    pub kind: Kind,
    /// The server that logged it first.
    pub server_id: u32,
    /// Bytes of the whole event: header, body and checksum.
    pub size: u32,
    /// Where the next event begins, modulo 2^32. 0 in made-up events, and of no meaning inside a
    /// transaction payload.
    pub next_position: u32,
    /// Bits that [`Header`]'s methods read.
    pub flags: u16,
}

impl Header {
    /// Reads the header at the beginning of `event`.
    ///
    /// # Errors
    /// Fewer bytes than a header has, and a size below them.
    pub fn read(event: &[u8]) -> Result<Self> {
        let Some(&header) = event.first_chunk::<HEADER_BYTES>() else {
            return Err(Error::definite(format!(
                "an event of the log has {} bytes, less than the {HEADER_BYTES} of its header",
                event.len()
            )));
        };
        let [t0, t1, t2, t3, kind, i0, i1, i2, i3, s0, s1, s2, s3, p0, p1, p2, p3, f0, f1] = header;
        let header = Self {
            timestamp: u32::from_le_bytes([t0, t1, t2, t3]),
            kind: Kind(kind),
            server_id: u32::from_le_bytes([i0, i1, i2, i3]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
            next_position: u32::from_le_bytes([p0, p1, p2, p3]),
            flags: u16::from_le_bytes([f0, f1]),
        };
        if (header.size as usize) < HEADER_BYTES {
            return Err(Error::definite(format!(
                "{} states a size of {} bytes, less than the {HEADER_BYTES} of its header",
                header.subject(),
                header.size
            )));
        }
        Ok(header)
    }

    /// Made up by the server for this connection; it is not in the log file.
    pub fn is_artificial(&self) -> bool {
        self.flags & ARTIFICIAL != 0
    }

    /// Whoever does not know the type may pass over the event.
    pub fn is_ignorable(&self) -> bool {
        self.flags & IGNORABLE != 0
    }

    /// On FORMAT_DESCRIPTION: the file was being written to when it was read, or its server died.
    pub fn is_in_use(&self) -> bool {
        self.flags & IN_USE != 0
    }

    pub(super) fn subject(&self) -> Subject {
        Subject { kind: self.kind, next_position: self.next_position }
    }
}

/// Names an event in an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    kind: Kind,
    next_position: u32,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}", self.kind)?;
        if self.next_position == 0 {
            return Ok(());
        }
        write!(f, " that ends at log position {}", self.next_position)
    }
}
