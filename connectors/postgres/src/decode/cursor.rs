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

    /// Text up to a zero byte.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or_else(short)?;
        let text = self.bytes(end)?;
        self.u8()?;
        std::str::from_utf8(text)
            .map_err(|_| Error::definite("the server sent a name that is not UTF-8"))
    }

    pub(super) fn expect(&mut self, wanted: u8, what: &str) -> Result<()> {
        let found = self.u8()?;
        if found == wanted {
            return Ok(());
        }
        Err(super::unexpected(found, what))
    }
}

fn short() -> Error {
    Error::definite("the server sent a pgoutput message that ends too early")
}
