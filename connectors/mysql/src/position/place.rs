use std::fmt;
use std::str::FromStr;

use connector_api::{Error, Position, Result};

use super::file::LogFile;
use super::gtid_set::{GtidSet, GtidSetText};
use super::mariadb::MariaPosition;
use super::write_number;
use crate::statement::{Xid, unhex};

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
    /// since 1970. Tells the file from a later one of the same name. 0 where only the transactions
    /// say what was read, and the stream goes on behind them.
    pub created: u32,
    /// The transactions before it.
    pub gtids: Gtids,
    /// Distributed transactions that were prepared before it and are not ended yet, oldest first.
    pub prepared: Vec<Prepared>,
}

/// A distributed transaction between its two phases. Its changes stand in the log of the first and
/// count from the second on, days later if need be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its name.
    pub xid: Xid,
    /// Where its first event is.
    pub file: LogFile,
    /// Bytes from the beginning of that file; [`NOTHING_THERE`] when nothing captured is in it.
    pub offset: u64,
}

/// Stands for the place of changes of which none is captured: no event begins there.
pub(crate) const NOTHING_THERE: u64 = 0;

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

    /// The same in another log, of which only the transactions are known that were read of it:
    /// before all its files, in one that no server has. Servers leave out the dot of a base name.
    pub fn elsewhere(mut self) -> Self {
        self.file = "another.log.0".parse().expect("it is a name and a number");
        (self.offset, self.created) = (0, 0);
        // Their changes cannot be found again there.
        self.prepared.retain(|known| known.offset == NOTHING_THERE);
        self
    }

    /// Whether only the transactions say what was read.
    pub fn is_by_transactions(&self) -> bool {
        self.created == 0
    }

    /// Whether nothing is said behind the place itself.
    fn names_nothing(&self) -> bool {
        self.gtids == Gtids::None && self.prepared.is_empty()
    }

    /// Prints it; its set of MySQL transactions need not be printed anew where its text is known.
    pub(crate) fn write_to<W: fmt::Write>(
        &self,
        out: &mut W,
        known: Option<&GtidSetText>,
    ) -> fmt::Result {
        for part in [VERSION, "/", self.file.as_str(), "/"] {
            out.write_str(part)?;
        }
        write_number(self.offset, out)?;
        out.write_str("/")?;
        write_number(self.created.into(), out)?;
        match (&self.gtids, known) {
            (Gtids::None, _) => {}
            (Gtids::MySql(_), Some(text)) => {
                out.write_str("/mysql=")?;
                text.write_to(out)?;
            }
            (Gtids::MySql(set), None) => write!(out, "/mysql={set}")?,
            (Gtids::MariaDb(position), _) => write!(out, "/mariadb={position}")?,
        }
        for (nth, prepared) in self.prepared.iter().enumerate() {
            write!(out, "{}{prepared}", if nth == 0 { "/xa=" } else { "," })?;
        }
        Ok(())
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

/// `1/binlog.000123/4567/1700000000`, where the server names transactions `/mysql=` or `/mariadb=`
/// with those before it, and `/xa=` with those that are prepared.
impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f, None)
    }
}

/// `1.6162.00@binlog.000123:4567`: format, global part and branch in hex, place.
impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { xid, file, offset } = self;
        write!(f, "{}.", xid.format)?;
        xid.global.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(".")?;
        xid.branch.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "@{file}:{offset}")
    }
}

impl FromStr for Prepared {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (xid, place) = text.split_once('@').ok_or(NotAPlace)?;
        let (file, offset) = place.rsplit_once(':').ok_or(NotAPlace)?;
        let (format, parts) = xid.split_once('.').ok_or(NotAPlace)?;
        let (global, branch) = parts.split_once('.').ok_or(NotAPlace)?;
        let xid = Xid {
            format: u32::try_from(number(format)?).map_err(|_| NotAPlace)?,
            global: unhex(global.as_bytes()).ok_or(NotAPlace)?,
            branch: unhex(branch.as_bytes()).ok_or(NotAPlace)?,
        };
        Ok(Self { xid, file: file.parse().map_err(|_| NotAPlace)?, offset: number(offset)? })
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
        let mut place = Self { file, offset, created, gtids: Gtids::None, prepared: Vec::new() };
        for part in parts {
            match part.split_once('=').ok_or(NotAPlace)? {
                ("mysql", set) if place.names_nothing() => {
                    place.gtids = Gtids::MySql(set.parse().map_err(|_| NotAPlace)?);
                }
                ("mariadb", position) if place.names_nothing() => {
                    place.gtids = Gtids::MariaDb(position.parse().map_err(|_| NotAPlace)?);
                }
                ("xa", prepared) if place.prepared.is_empty() => {
                    place.prepared =
                        prepared.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                _ => return Err(NotAPlace),
            }
        }
        Ok(place)
    }
}

fn number(digits: &str) -> Result<u64, NotAPlace> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).ok_or(NotAPlace)
}

#[cfg(test)]
mod tests;
