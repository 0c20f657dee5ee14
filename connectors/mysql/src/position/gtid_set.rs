use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::NotGtids;
use super::origin::{Gtid, Origin, Tag, Uuid};
use intervals::Intervals;

mod binary;
mod intervals;
mod text;

pub(crate) use text::GtidSetText;

/// A set of MySQL transactions: per origin the ranges of its numbers, gaps kept.
///
/// Takes 16 bytes a range and about 100 an origin, so that one read from text or bytes is never
/// much larger than what it was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct GtidSet {
    /// None of them is empty.
    origins: BTreeMap<Origin, Intervals>,
}

impl GtidSet {
    /// Whether there is no transaction in it.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Adds one transaction. A number no server hands out is left out.
    pub fn add(&mut self, gtid: Gtid) {
        if (1..=Gtid::LAST).contains(&gtid.number) {
            let end = gtid.number + 1;
            self.origins.entry(gtid.origin).or_default().insert(gtid.number, end);
        }
    }

    /// Whether the transaction is in it.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.origins.get(&gtid.origin).is_some_and(|ranges| ranges.contains(gtid.number))
    }

    /// The range that the transaction is in, its end not included.
    fn range_of(&self, gtid: &Gtid) -> Option<(u64, u64)> {
        self.origins.get(&gtid.origin)?.range_of(gtid.number)
    }

    /// Whether every transaction of this set is in `other` too: the server's `GTID_SUBSET`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.origins.iter().all(|(origin, ranges)| {
            other.origins.get(origin).is_some_and(|others| ranges.is_subset(others))
        })
    }

    /// Adds all transactions of `other`.
    pub fn union(&mut self, other: &Self) {
        for (origin, ranges) in &other.origins {
            self.origins.entry(*origin).or_default().extend(ranges.as_slice());
        }
    }

    /// The transactions that are not in `other`: the server's `GTID_SUBTRACT`.
    pub fn subtract(&self, other: &Self) -> Self {
        let rest = self.origins.iter().map(|(origin, ranges)| {
            let others = other.origins.get(origin);
            (*origin, others.map_or_else(|| ranges.clone(), |others| ranges.without(others)))
        });
        Self { origins: rest.filter(|(_, ranges)| !ranges.is_empty()).collect() }
    }

    /// The origins in order, each with its ranges of numbers, the end of a range not included.
    pub fn ranges(&self) -> impl Iterator<Item = (Origin, &[(u64, u64)])> {
        self.origins.iter().map(|(origin, ranges)| (*origin, ranges.as_slice()))
    }

    /// Prints it, with `separator` between servers, and calls `behind` behind every range with its
    /// origin and its end.
    fn write_to<W: fmt::Write>(
        &self,
        out: &mut W,
        separator: &str,
        mut behind: impl FnMut(&W, Origin, u64),
    ) -> fmt::Result {
        let mut before: Option<Uuid> = None;
        for (origin, ranges) in self.ranges() {
            let Origin { uuid, tag } = origin;
            if before != Some(uuid) {
                let separator = if before.is_some() { separator } else { "" };
                write!(out, "{separator}{uuid}")?;
                before = Some(uuid);
            }
            if !tag.is_empty() {
                write!(out, ":{}", tag.as_str())?;
            }
            for (start, end) in ranges {
                write!(out, ":{start}")?;
                if end - start > 1 {
                    write!(out, "-{}", end - 1)?;
                }
                behind(out, origin, *end);
            }
        }
        Ok(())
    }

    /// Adds ranges of one origin in any order, none of them empty.
    fn extend(&mut self, origin: Origin, ranges: &[(u64, u64)]) {
        if !ranges.is_empty() {
            self.origins.entry(origin).or_default().extend(ranges);
        }
    }
}

/// In the order and spelling of the server: on one line, and with `{:#}` one server a line, which
/// is how `@@gtid_executed` has it.
impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if f.alternate() { ",\n" } else { "," };
        self.write_to(f, separator, |_, _, _| {})
    }
}

impl FromStr for GtidSet {
    type Err = NotGtids;

    /// Reads what the server prints and accepts (but for braces around a UUID): any order,
    /// overlaps, white space around the parts, either case. A UUID or a tag without ranges, and a
    /// range that ends before it begins, hold nothing.
    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let mut set = Self::default();
        for server in text.split(',').map(str::trim).filter(|server| !server.is_empty()) {
            let mut parts = server.split(':').map(str::trim);
            let uuid = parts.next().unwrap_or_default().parse()?;
            let mut origin = Origin { uuid, tag: Tag::default() };
            let mut ranges = Vec::new();
            for part in parts {
                if part.starts_with(|first: char| first.is_ascii_digit()) {
                    ranges.extend(range(part)?);
                    continue;
                }
                set.extend(origin, &ranges);
                ranges.clear();
                let tag = Tag::new(part.as_bytes()).filter(|tag| !tag.is_empty());
                let tag = tag.ok_or_else(|| NotGtids::found("a tag or a range", part));
                origin = Origin { uuid, tag: tag? };
            }
            set.extend(origin, &ranges);
        }
        Ok(set)
    }
}

/// The range that `5` or `5-7` stands for; `None` when it holds nothing.
fn range(text: &str) -> Result<Option<(u64, u64)>, NotGtids> {
    let number = |digits: &str| {
        let digits = digits.trim();
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|number| (1..=Gtid::LAST).contains(number));
        number.filter(|_| plain).ok_or_else(|| NotGtids::found("a range of numbers", text))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    Ok((first <= last).then_some((first, last + 1)))
}

#[cfg(test)]
mod tests;
