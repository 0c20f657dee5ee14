use connector_api::{Error, Result};

use super::header::{HEADER_BYTES, Subject};

/// Reads the parts of one event's body; never beyond its end.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    subject: Subject,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8], subject: Subject) -> Self {
        Self { body, at: 0, subject }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let left = &self.body[self.at..];
        let (bytes, _) = left.split_at_checked(len).ok_or_else(|| self.short(len))?;
        self.at += len;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let left = &self.body[self.at..];
        let bytes = *left.first_chunk().ok_or_else(|| self.short(N))?;
        self.at += N;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// An unsigned integer of `len` bytes, at most eight.
    pub(super) fn uint(&mut self, len: usize) -> Result<u64> {
        let bytes = self.bytes(len)?;
        let mut wide = [0; 8];
        wide[..len].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(wide))
    }

    /// An integer that says its own length. What stands for NULL and for an error in other packets
    /// has no meaning in a log.
    pub(super) fn packed(&mut self) -> Result<u64> {
        match self.u8()? {
            0xfc => self.uint(2),
            0xfd => self.uint(3),
            0xfe => self.uint(8),
            first @ (0xfb | 0xff) => {
                Err(self.wrong(&format!("0x{first:02x} where a length was wanted")))
            }
            first => Ok(u64::from(first)),
        }
    }

    /// A packed count of something that takes room in memory: a length that does not fit is beyond
    /// the end of any event.
    pub(super) fn packed_len(&mut self) -> Result<usize> {
        let len = self.packed()?;
        usize::try_from(len).map_err(|_| self.short(usize::MAX))
    }

    /// Bytes behind their packed length.
    pub(super) fn packed_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.packed_len()?;
        self.bytes(len)
    }

    /// A name behind its length in one byte, with a zero byte at its end.
    pub(super) fn name(&mut self) -> Result<&'a [u8]> {
        let len = usize::from(self.u8()?);
        let name = self.bytes(len)?;
        match self.u8()? {
            0 => Ok(name),
            other => Err(self.wrong(&format!("0x{other:02x} where a name should end with 0x00"))),
        }
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.body[self.at..];
        self.at = self.body.len();
        rest
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.body.len()
    }

    pub(super) fn subject(&self) -> Subject {
        self.subject
    }

    /// A cursor over a part of this event, which errors name by the offset in the whole.
    pub(super) fn part(&mut self, len: usize) -> Result<Cursor<'a>> {
        self.bytes(len)?;
        Ok(Cursor { body: &self.body[..self.at], at: self.at - len, subject: self.subject })
    }

    /// Nothing may be left: what is longer than we read it means something else than we read.
    pub(super) fn end(&self) -> Result<()> {
        if self.is_at_end() {
            return Ok(());
        }
        let left = self.body.len() - self.at;
        Err(self.wrong(&format!("{left} bytes behind what it should end with")))
    }

    /// `found` at the place that was read last.
    pub(super) fn wrong(&self, found: &str) -> Error {
        let at = self.at + HEADER_BYTES;
        Error::definite(format!("{} has, before its byte {at}, {found}", self.subject))
    }

    fn short(&self, wanted: usize) -> Error {
        let left = self.body.len() - self.at;
        let at = self.at + HEADER_BYTES;
        Error::definite(format!(
            "{} ends too early: at its byte {at} it should have {wanted} bytes and has {left}",
            self.subject
        ))
    }
}
