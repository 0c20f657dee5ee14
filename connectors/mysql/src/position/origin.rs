use std::fmt;
use std::str::FromStr;

use super::{NotGtids, write_number};

/// The identity of a MySQL server, as `@@server_uuid` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// Where the dashes stand in the bytes.
const GROUPS: [usize; 4] = [4, 6, 8, 10];

impl Uuid {
    fn write_to<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        // In one piece: a transaction's name is printed for every transaction.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (nth, byte) in self.0.iter().enumerate() {
            at += usize::from(GROUPS.contains(&nth));
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        out.write_str(std::str::from_utf8(&text).expect("it is ASCII"))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl FromStr for Uuid {
    type Err = NotGtids;

    /// Reads what the server reads: hex of either case, with all four dashes or none.
    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let bad = || NotGtids::found("a server UUID", text);
        let dashed = text.len() == 36;
        let mut left = text.as_bytes();
        let mut bytes = [0; 16];
        for (nth, byte) in bytes.iter_mut().enumerate() {
            if dashed && GROUPS.contains(&nth) {
                left = left.strip_prefix(b"-").ok_or_else(bad)?;
            }
            let (pair, rest) = left.split_first_chunk::<2>().ok_or_else(bad)?;
            *byte = hex(pair[0]).zip(hex(pair[1])).map(|(a, b)| a << 4 | b).ok_or_else(bad)?;
            left = rest;
        }
        if left.is_empty() { Ok(Self(bytes)) } else { Err(bad()) }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The name a client gave a group of transactions (MySQL 8.3 and later), or nothing.
///
/// Letters, digits and underscores, lower case, no digit first.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag([u8; Tag::MAX]);

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX: usize = 32;

    /// The tag that `name` spells in either case; `None` when it is no tag. No name is no tag's.
    pub fn new(name: &[u8]) -> Option<Self> {
        let letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let good = name.len() <= Self::MAX
            && name.first().is_none_or(letter)
            && name.iter().all(|byte| letter(byte) || byte.is_ascii_digit());
        good.then(|| {
            let mut bytes = [0; Self::MAX];
            bytes[..name.len()].copy_from_slice(name);
            bytes.make_ascii_lowercase();
            Self(bytes)
        })
    }

    /// Its name; empty when there is none.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::MAX);
        std::str::from_utf8(&self.0[..length]).expect("a tag is made of ASCII only")
    }

    /// Whether there is no tag.
    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({:?})", self.as_str())
    }
}

/// Who numbers a group of transactions: a server, and a tag where one was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The server that committed them first.
    pub uuid: Uuid,
    /// Its tag, or none.
    pub tag: Tag,
}

/// The name of one MySQL transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gtid {
    /// Who numbered it.
    pub origin: Origin,
    /// Its number there, from 1 up to [`Gtid::LAST`].
    pub number: u64,
}

impl Gtid {
    /// The highest number a server hands out.
    pub const LAST: u64 = i64::MAX as u64 - 1;

    /// Prints it, for every transaction of a log: without what it takes to print anything.
    pub(crate) fn write_to<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        let Origin { uuid, tag } = &self.origin;
        uuid.write_to(out)?;
        out.write_str(":")?;
        if !tag.is_empty() {
            out.write_str(tag.as_str())?;
            out.write_str(":")?;
        }
        write_number(self.number, out)
    }
}

impl FromStr for Gtid {
    type Err = NotGtids;

    /// Reads what the server prints.
    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let read = || {
            let (uuid, rest) = text.split_once(':')?;
            let (tag, number) = rest.rsplit_once(':').unwrap_or(("", rest));
            let is_plain = number.bytes().all(|digit| digit.is_ascii_digit());
            let number = number.parse().ok().filter(|number| (1..=Self::LAST).contains(number));
            let origin = Origin { uuid: uuid.parse().ok()?, tag: Tag::new(tag.as_bytes())? };
            number.filter(|_| is_plain).map(|number| Self { origin, number })
        };
        read().ok_or_else(|| NotGtids::found("uuid:number or uuid:tag:number", text))
    }
}

/// As the server prints it: `uuid:5` or `uuid:tag:5`.
impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}
