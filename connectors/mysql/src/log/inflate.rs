use std::io::Read;

use connector_api::{Error, Result};
use flate2::bufread::ZlibDecoder;

use super::EVENT_BYTES_MAX;
use super::cursor::Cursor;
use super::header::Subject;

/// Bytes that a server may have compressed.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// As they are.
    Plain(&'a [u8]),
    /// Deflated by MariaDB.
    Deflated(Deflated<'a>),
}

/// What MariaDB's `log_bin_compress` makes of rows and statements.
#[derive(Debug, Clone, Copy)]
pub struct Deflated<'a> {
    bytes: &'a [u8],
    inflated: u32,
    subject: Subject,
}

impl<'a> Content<'a> {
    /// The bytes themselves, inflated into `room` if need be. What was in `room` is dropped.
    ///
    /// # Errors
    /// Bytes that do not inflate, or to another size than the server states.
    pub fn bytes<'b>(&self, room: &'b mut Vec<u8>) -> Result<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Plain(bytes) => Ok(bytes),
            Self::Deflated(deflated) => {
                deflated.inflate(room)?;
                Ok(room)
            }
        }
    }

    /// The rest of an event, which begins with the size it will have.
    pub(super) fn read_deflated(body: &mut Cursor<'a>) -> Result<Self> {
        let head = body.u8()?;
        // The highest bit is always set, the next three are the algorithm, of which zlib is 0.
        if head & 0xf0 != 0x80 {
            return Err(body.wrong(&format!("compressed bytes that begin with 0x{head:02x}")));
        }
        let size = match head & 0x07 {
            len @ 1..=4 => body.bytes(usize::from(len))?,
            len => return Err(body.wrong(&format!("a compressed size of {len} bytes"))),
        };
        // The highest byte first, unlike everything else in a log.
        let inflated = size.iter().fold(0, |sum, &byte| (sum << 8) | u32::from(byte));
        if inflated == 0 || u64::from(inflated) > EVENT_BYTES_MAX {
            return Err(body.wrong(&format!("compressed bytes that were {inflated} before")));
        }
        let subject = body.subject();
        Ok(Self::Deflated(Deflated { bytes: body.rest(), inflated, subject }))
    }
}

impl Deflated<'_> {
    fn inflate(&self, room: &mut Vec<u8>) -> Result<()> {
        room.clear();
        let mut decoder = ZlibDecoder::new(self.bytes);
        // Room grows with what comes out, so that a size which is only stated costs nothing. The
        // byte more than it lets the decoder come to the end, where it compares its checksum.
        let read = (&mut decoder).take(u64::from(self.inflated) + 1).read_to_end(room);
        if let Err(error) = read {
            return Err(self.wrong("do not inflate: they are damaged").because(error));
        }
        let left = self.bytes.len() as u64 - decoder.total_in();
        if room.len() != self.inflated as usize || left != 0 {
            return Err(self.wrong(&format!(
                "inflate to {} bytes or more and leave {left}, where {} and 0 are stated",
                room.len(),
                self.inflated
            )));
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        Error::definite(format!(
            "the {} compressed bytes of {} {what}",
            self.bytes.len(),
            self.subject
        ))
    }
}
