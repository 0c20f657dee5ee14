use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{NotGtids, write_number};

/// The name of one MariaDB transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MariaGtid {
    /// The stream it belongs to: within one, sequence numbers rise.
    pub domain: u32,
    /// The server that committed it first.
    pub server: u32,
    /// Its number in the domain.
    pub sequence: u64,
}

impl MariaGtid {
    /// Prints it, for every transaction of a log: without what it takes to print anything.
    pub(crate) fn write_to<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        write_number(self.domain.into(), out)?;
        out.write_str("-")?;
        write_number(self.server.into(), out)?;
        out.write_str("-")?;
        write_number(self.sequence, out)
    }
}

/// As the server prints it: `0-1-5`.
impl fmt::Display for MariaGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl FromStr for MariaGtid {
    type Err = NotGtids;

    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let read = || {
            let mut parts = text.split('-').filter(|part| part.bytes().all(is_digit));
            let mut next = || parts.next();
            let (domain, server, sequence) = (next()?, next()?, next()?);
            let gtid = Self {
                domain: domain.parse().ok()?,
                server: server.parse().ok()?,
                sequence: sequence.parse().ok()?,
            };
            (text.split('-').count() == 3).then_some(gtid)
        };
        read().ok_or_else(|| NotGtids::found("domain-server-sequence", text))
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// A place in a MariaDB log: the last transaction of every domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MariaPosition {
    /// Per domain the server and the sequence number.
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaPosition {
    /// Whether it is the beginning of a log.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Moves behind a transaction, whatever its number: the log says what comes last.
    pub fn add(&mut self, gtid: MariaGtid) {
        self.domains.insert(gtid.domain, (gtid.server, gtid.sequence));
    }

    /// Whether whoever has read up to here has read everything up to `target`.
    ///
    /// Compares by domain: after a failover another server goes on counting in the same one.
    pub fn covers(&self, target: &Self) -> bool {
        target.gtids().all(|target| self.is_behind(&target))
    }

    /// Whether it is at or behind the transaction, by its domain's numbers.
    pub(super) fn is_behind(&self, gtid: &MariaGtid) -> bool {
        self.domains.get(&gtid.domain).is_some_and(|(_, sequence)| *sequence >= gtid.sequence)
    }

    /// The last transaction of every domain, in their order.
    pub fn gtids(&self) -> impl Iterator<Item = MariaGtid> {
        self.domains.iter().map(|(&domain, &(server, sequence))| MariaGtid {
            domain,
            server,
            sequence,
        })
    }
}

/// As the server prints `@@gtid_binlog_pos`: `0-1-5,7-2-9`, sorted by domain.
impl fmt::Display for MariaPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, gtid) in self.gtids().enumerate() {
            write!(f, "{}{gtid}", if nth > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for MariaPosition {
    type Err = NotGtids;

    /// Reads what the server prints; a domain that comes twice is no position.
    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let mut position = Self::default();
        for gtid in listed(text) {
            let gtid = gtid?;
            if position.domains.contains_key(&gtid.domain) {
                return Err(NotGtids::found("each domain once", text));
            }
            position.add(gtid);
        }
        Ok(position)
    }
}

/// What a MariaDB log holds up to some place: the highest number of every server in every
/// domain, as `@@gtid_binlog_state` and the list at the head of every file say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MariaState {
    servers: BTreeMap<(u32, u32), u64>,
    last: MariaPosition,
}

impl FromIterator<MariaGtid> for MariaState {
    /// What a GTID_LIST event lists.
    fn from_iter<I: IntoIterator<Item = MariaGtid>>(gtids: I) -> Self {
        let mut state = Self::default();
        gtids.into_iter().for_each(|gtid| state.add(gtid));
        state
    }
}

impl MariaState {
    /// The last transaction of every domain.
    pub fn position(&self) -> &MariaPosition {
        &self.last
    }

    /// Whether the log went through the transaction: its own server counted that far.
    pub fn holds(&self, gtid: &MariaGtid) -> bool {
        let highest = self.servers.get(&(gtid.domain, gtid.server));
        highest.is_some_and(|highest| *highest >= gtid.sequence)
    }

    /// Of a domain's entries the last is the most recent.
    fn add(&mut self, gtid: MariaGtid) {
        self.servers.insert((gtid.domain, gtid.server), gtid.sequence);
        self.last.add(gtid);
    }

    /// The highest number of every server in every domain.
    pub(super) fn gtids(&self) -> impl Iterator<Item = MariaGtid> {
        self.servers.iter().map(|(&(domain, server), &sequence)| MariaGtid {
            domain,
            server,
            sequence,
        })
    }
}

impl FromStr for MariaState {
    type Err = NotGtids;

    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let mut state = Self::default();
        for gtid in listed(text) {
            state.add(gtid?);
        }
        Ok(state)
    }
}

fn listed(text: &str) -> impl Iterator<Item = Result<MariaGtid, NotGtids>> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::parse)
}

#[cfg(test)]
mod tests;
