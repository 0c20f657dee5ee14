use super::Unreadable;

/// Reads the parts of a row image; never beyond its end.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Unreadable> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Unreadable::Short)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Unreadable::Short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next value, whose length stands before it in as many bytes as it takes.
    pub(super) fn packed(&mut self) -> Result<&'a [u8], Unreadable> {
        let [first] = self.array()?;
        match first {
            0xfc => self.prefixed(2),
            0xfd => self.prefixed(3),
            0xfe => self.prefixed(8),
            // NULL and an error elsewhere.
            0xfb | 0xff => Err(Unreadable::Short),
            len => self.bytes(len.into()),
        }
    }

    /// The next value, whose length stands before it in `width` bytes, the lowest first.
    pub(super) fn prefixed(&mut self, width: usize) -> Result<&'a [u8], Unreadable> {
        let len = little_endian(self.bytes(width)?);
        self.bytes(usize::try_from(len).map_err(|_| Unreadable::Short)?)
    }
}

/// Up to eight bytes, the lowest first.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    match *bytes {
        [byte] => byte.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)),
    }
}

/// Up to eight bytes, the highest first.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
