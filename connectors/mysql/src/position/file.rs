use std::fmt;
use std::str::FromStr;

/// The name of a binlog file: a base name and a number, `binlog.000123`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogFile {
    /// As the server spells it, without a folder.
    name: Box<str>,
    /// Where the number begins.
    digits: usize,
    number: u32,
}

impl LogFile {
    /// The highest number a coordinate has room for; a server stops at twice a thousand million.
    pub const LAST: u32 = (1 << 24) - 1;

    /// The file's number, which rises from file to file of one log.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The name without its number: `binlog`.
    pub fn base(&self) -> &str {
        &self.name[..self.digits - 1]
    }

    /// The name as the server spells it.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A name that no binlog file of ours can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a binlog file: wanted a name, a dot and a number up to 16777215")]
pub struct NotALogFile(String);

impl FromStr for LogFile {
    type Err = NotALogFile;

    fn from_str(name: &str) -> Result<Self, NotALogFile> {
        let read = || {
            let (base, digits) = name.rsplit_once('.')?;
            let number = digits.parse().ok().filter(|number| *number <= Self::LAST)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let sane = plain && !base.is_empty() && !name.contains(['/', '\n', '\0']);
            sane.then(|| Self { name: name.into(), digits: base.len() + 1, number })
        };
        read().ok_or_else(|| NotALogFile(name.chars().take(80).collect()))
    }
}
