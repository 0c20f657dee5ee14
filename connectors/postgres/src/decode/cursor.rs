use std::borrow::Cow;

use connector_api::{Error, Result};

/// Reads the parts of one message; never beyond its end.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(short)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// A name, up to a zero byte. A database in SQL_ASCII may have names that are not UTF-8; no
    /// configuration can spell one, so it only has to differ from those that can be spelled.
    pub(super) fn name(&mut self) -> Result<Cow<'a, str>> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or_else(short)?;
        let name = self.bytes(end)?;
        self.u8()?;
        Ok(String::from_utf8_lossy(name))
    }

    pub(super) fn expect(&mut self, wanted: u8, what: &str) -> Result<()> {
        let found = self.u8()?;
        if found == wanted {
            return Ok(());
        }
        Err(super::unexpected(found, what))
    }

    /// Nothing may be left: what is longer than we read it means something else than we read.
    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::definite(format!(
            "the server sent a pgoutput message with {} bytes too many",
            self.rest.len()
        )))
    }
}

fn short() -> Error {
    Error::definite("the server sent a pgoutput message that ends too early")
}
