//! Packets of a dump: a length of three bytes and a number, and an event, in as many packets as it
//! takes. Rows of a table come in the same way.

use connector_api::{Error, Result};

use crate::log::EVENT_BYTES_MAX;
use crate::session::{CONTINUED, HEADER_BYTES, ServerMessage};

const EVENT: u8 = 0x00;
const ENDED: u8 = 0xfe;
const FAILED: u8 = 0xff;

/// What lies at the beginning of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A whole event: header, body, and checksum if there is one.
    Event(&'a [u8]),
    /// The server has given up.
    Failed(ServerMessage),
    /// The log has ended, which was asked for.
    Ended,
    /// More is needed: this many bytes behind what has been taken, as far as known.
    Incomplete(usize),
}

/// Takes the packets of one dump in their order.
#[derive(Debug)]
pub struct Packets {
    /// The number of the next packet.
    number: u8,
    /// Bytes of the largest event that is taken.
    largest: usize,
    large: Option<Large>,
}

/// An event of several packets. Its packets are taken as they come, so that the read buffer stays
/// small; it is gone when the next event is asked for.
#[derive(Debug)]
struct Large {
    bytes: Vec<u8>,
    /// Of the packet that is coming in.
    missing: usize,
    /// Whether that one is the last.
    is_last: bool,
}

impl Large {
    fn is_complete(&self) -> bool {
        self.is_last && self.missing == 0
    }

    fn append(&mut self, bytes: &[u8], most: usize) -> Result<()> {
        let len = self.bytes.len() + bytes.len();
        if len > most {
            return Err(Error::definite(format!(
                "the server sent an event of more than {most} bytes; no setting of a \
                 server allows one"
            )));
        }
        if len > self.bytes.capacity() {
            let target = (2 * len).min(most);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        self.missing -= bytes.len();
        Ok(())
    }
}

impl Default for Packets {
    fn default() -> Self {
        Self::new()
    }
}

impl Packets {
    /// Packets of a dump that has just been asked for.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(1)
    }

    /// The same behind packets of another kind.
    pub(crate) fn starting_at(number: u8) -> Self {
        let largest = usize::try_from(EVENT_BYTES_MAX).unwrap_or(usize::MAX);
        Self { number, largest, large: None }
    }

    /// The packet at the beginning of `arrived`, and how many of its bytes are taken: those are not
    /// to be shown again, also where more is needed.
    ///
    /// # Errors
    /// A packet out of its turn, of an unknown kind, or of an event that is larger than any server
    /// allows.
    pub fn next<'a>(&'a mut self, arrived: &'a [u8]) -> Result<(Packet<'a>, usize)> {
        self.large.take_if(|large| large.is_complete());
        if self.large.is_some() {
            return self.go_on(arrived, 0);
        }
        let Some((len, rest)) = self.header(arrived)? else {
            return Ok((Packet::Incomplete(HEADER_BYTES), 0));
        };
        if len == CONTINUED {
            let Some(&kind) = rest.first() else {
                return Ok((Packet::Incomplete(HEADER_BYTES + 1), 0));
            };
            if kind != EVENT {
                return Err(unknown(kind));
            }
            self.number = self.number.wrapping_add(1);
            self.large = Some(Large { bytes: Vec::new(), missing: len - 1, is_last: false });
            return self.go_on(arrived, HEADER_BYTES + 1);
        }
        let Some(packet) = rest.get(..len) else {
            return Ok((Packet::Incomplete(HEADER_BYTES + len), 0));
        };
        self.number = self.number.wrapping_add(1);
        let packet = match packet.split_first() {
            Some((&EVENT, event)) => Packet::Event(event),
            Some((&FAILED, body)) => Packet::Failed(ServerMessage::read(body)),
            Some((&ENDED, _)) => Packet::Ended,
            Some((&kind, _)) => return Err(unknown(kind)),
            None => return Err(Error::transient("the server sent a packet without a byte")),
        };
        Ok((packet, HEADER_BYTES + len))
    }

    /// Takes what there is of a large event, from `taken` on.
    fn go_on(&mut self, arrived: &[u8], mut taken: usize) -> Result<(Packet<'_>, usize)> {
        loop {
            let rest = &arrived[taken..];
            let large = self.large.as_mut().expect("a large event has begun");
            let count = large.missing.min(rest.len());
            large.append(&rest[..count], self.largest)?;
            taken += count;
            if large.missing > 0 {
                return Ok((Packet::Incomplete(0), taken));
            }
            if large.is_last {
                break;
            }
            let Some((len, _)) = self.header(&arrived[taken..])? else {
                return Ok((Packet::Incomplete(HEADER_BYTES), taken));
            };
            self.number = self.number.wrapping_add(1);
            taken += HEADER_BYTES;
            let large = self.large.as_mut().expect("a large event has begun");
            large.missing = len;
            large.is_last = len < CONTINUED;
        }
        let large = self.large.as_ref().expect("a large event has begun");
        Ok((Packet::Event(&large.bytes), taken))
    }

    /// The length of the packet at the beginning of `arrived`, and what is behind its header.
    fn header<'a>(&self, arrived: &'a [u8]) -> Result<Option<(usize, &'a [u8])>> {
        let Some((header, rest)) = arrived.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [low, middle, high, number] = *header;
        if number != self.number {
            let wanted = self.number;
            return Err(Error::transient(format!(
                "the server sent packet {number} of the stream instead of packet {wanted}"
            )));
        }
        Ok(Some((u32::from_le_bytes([low, middle, high, 0]) as usize, rest)))
    }
}

fn unknown(kind: u8) -> Error {
    Error::transient(format!("the server sent a packet of type 0x{kind:02x}"))
}

#[cfg(test)]
mod tests;
