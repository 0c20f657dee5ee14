use std::fmt;
use std::str::FromStr;

use connector_api::{Error, Position, Result};

use super::file::LogFile;
use super::gtid_set::{GtidSet, GtidSetText};
use super::mariadb::MariaPosition;

/// The transactions before a place, as far as the server names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gtids {
    /// The server gives no names: MySQL with `gtid_mode` off.
    #[default]
    None,
    /// Those of MySQL.
    MySql(GtidSet),
    /// Those of MariaDB.
    MariaDb(MariaPosition),
}

/// A place between two transactions of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// The file it is in.
    pub file: LogFile,
    /// Bytes from the beginning of that file.
    pub offset: u64,
    /// When the file was begun: the time in the header of its FORMAT_DESCRIPTION event, seconds
    /// since 1970. Tells the file from a later one of the same name.
    pub created: u32,
    /// The transactions before it.
    pub gtids: Gtids,
}

/// What the text begins with: rises when the text changes its meaning.
const VERSION: &str = "1";
/// The bits of a coordinate that hold the offset.
const OFFSET_BITS: u32 = 40;

impl LogPosition {
    /// The number that rises along one log: file number and offset. An offset past a tebibyte
    /// counts as one of a tebibyte.
    pub fn coordinate(file: &LogFile, offset: u64) -> u64 {
        u64::from(file.number()) << OFFSET_BITS | offset.min((1 << OFFSET_BITS) - 1)
    }

    /// The position that stands for it.
    pub fn to_position(&self) -> Position {
        Position::new(self.to_string())
    }

    /// The place a position stands for.
    pub fn from_position(position: &Position) -> Result<Self> {
        let not_ours = |_| Error::definite(format!("{position} is not a place in a binlog"));
        position.as_str().parse().map_err(not_ours)
    }

    /// Prints it; its set of MySQL transactions need not be printed anew where its text is known.
    pub(crate) fn write_to(
        &self,
        out: &mut dyn fmt::Write,
        known: Option<&GtidSetText>,
    ) -> fmt::Result {
        write!(out, "{VERSION}/{}/{}/{}", self.file, self.offset, self.created)?;
        match (&self.gtids, known) {
            (Gtids::None, _) => Ok(()),
            (Gtids::MySql(_), Some(text)) => write!(out, "/mysql={text}"),
            (Gtids::MySql(set), None) => write!(out, "/mysql={set}"),
            (Gtids::MariaDb(position), _) => write!(out, "/mariadb={position}"),
        }
    }

    /// Bytes of the log from here to `target`; of the last file alone where there are several.
    pub fn bytes_to(&self, target: &Self) -> u64 {
        match self.file == target.file {
            true => target.offset.saturating_sub(self.offset),
            false => target.offset,
        }
    }

    /// Whether whoever has read up to here has read everything up to `target`, a place of the
    /// same log. Files of another base name are compared by their transactions.
    pub fn covers(&self, target: &Self) -> bool {
        if self.file.base() == target.file.base() {
            return Self::coordinate(&self.file, self.offset)
                >= Self::coordinate(&target.file, target.offset);
        }
        match (&self.gtids, &target.gtids) {
            (Gtids::MySql(ours), Gtids::MySql(theirs)) => theirs.is_subset(ours),
            (Gtids::MariaDb(ours), Gtids::MariaDb(theirs)) => ours.covers(theirs),
            _ => false,
        }
    }
}

/// `1/binlog.000123/4567/1700000000`, and where the server names transactions `/mysql=` or
/// `/mariadb=` with those before it.
impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f, None)
    }
}

/// Text that is not a place in a binlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a binlog: 1/file/offset/created, then the GTIDs before it")]
pub struct NotAPlace;

impl FromStr for LogPosition {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(NotAPlace);
        if next()? != VERSION {
            return Err(NotAPlace);
        }
        let file = next()?.parse().map_err(|_| NotAPlace)?;
        let offset = number(next()?)?;
        let created = u32::try_from(number(next()?)?).map_err(|_| NotAPlace)?;
        let gtids = match parts.next().map(|gtids| gtids.split_once('=').ok_or(NotAPlace)) {
            None => Gtids::None,
            Some(Ok(("mysql", set))) => Gtids::MySql(set.parse().map_err(|_| NotAPlace)?),
            Some(Ok(("mariadb", place))) => Gtids::MariaDb(place.parse().map_err(|_| NotAPlace)?),
            Some(_) => return Err(NotAPlace),
        };
        let place = Self { file, offset, created, gtids };
        if parts.next().is_none() { Ok(place) } else { Err(NotAPlace) }
    }
}

fn number(digits: &str) -> Result<u64, NotAPlace> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).ok_or(NotAPlace)
}

#[cfg(test)]
mod tests;
