use super::super::NotGtids;
use super::super::origin::{Gtid, Origin, Tag, Uuid};
use super::GtidSet;

/// A count, a beginning, an end: each a little-endian number of this size.
const NUMBER: usize = 8;
/// A range is a beginning and an end, the end not included.
const RANGE: usize = 2 * NUMBER;
/// What the upper byte of the first number says when the entries carry tags.
const TAGGED: u64 = 1;

impl GtidSet {
    /// Reads the body of a PREVIOUS_GTIDS event, in the form with tags or without.
    ///
    /// Counts are believed only as far as there are bytes behind them.
    pub fn decode(body: &[u8]) -> Result<Self, NotGtids> {
        let mut left = body;
        let head = number(&mut left)?;
        let (tagged, entries) = match head >> 56 {
            0 => (false, head),
            // The form stands in the lower byte once more.
            TAGGED => (true, head << 8 >> 16),
            form => return Err(NotGtids::found("the form of a GTID set: 0 or 1", form)),
        };
        let mut set = Self::default();
        for _ in 0..entries {
            let uuid = Uuid(*take(&mut left)?);
            let tag = if tagged { tag(&mut left)? } else { Tag::default() };
            set.extend(Origin { uuid, tag }, &ranges(&mut left)?);
        }
        if left.is_empty() {
            return Ok(set);
        }
        Err(NotGtids::found("the end of a GTID set", format!("{} more bytes", left.len())))
    }
}

impl GtidSet {
    /// The binary form, with tags only where there are any: older servers know none.
    pub fn encode(&self) -> Vec<u8> {
        let is_tagged = self.ranges().any(|(origin, _)| !origin.tag.is_empty());
        let entries = self.ranges().count() as u64;
        let head = if is_tagged { TAGGED << 56 | entries << 8 | TAGGED } else { entries };
        let mut bytes = head.to_le_bytes().to_vec();
        for (origin, ranges) in self.ranges() {
            bytes.extend(origin.uuid.0);
            if is_tagged {
                let tag = origin.tag.as_str();
                bytes.push(u8::try_from(tag.len() << 1).expect("a tag has 32 characters at most"));
                bytes.extend(tag.as_bytes());
            }
            bytes.extend((ranges.len() as u64).to_le_bytes());
            for (first, end) in ranges {
                bytes.extend(first.to_le_bytes());
                bytes.extend(end.to_le_bytes());
            }
        }
        bytes
    }
}

fn ranges(left: &mut &[u8]) -> Result<Vec<(u64, u64)>, NotGtids> {
    let announced = number(left)?;
    let count = usize::try_from(announced).ok().filter(|count| *count <= left.len() / RANGE);
    let count = count.ok_or_else(|| {
        let found = format!("{} bytes for {announced} ranges", left.len());
        NotGtids::found("the ranges of a GTID set", found)
    })?;
    let mut ranges = Vec::with_capacity(count);
    let mut above = 0;
    for _ in 0..count {
        let (start, end) = (number(left)?, number(left)?);
        if start <= above || end <= start || end > Gtid::LAST + 1 {
            return Err(NotGtids::found("rising ranges", format!("{start} to {end}")));
        }
        above = end;
        ranges.push((start, end));
    }
    Ok(ranges)
}

/// A tag, its length before it: one byte that holds the length shifted by one.
fn tag(left: &mut &[u8]) -> Result<Tag, NotGtids> {
    let [length] = *take::<1>(left)?;
    let name = left.get(..usize::from(length >> 1)).filter(|_| length & 1 == 0);
    let tag = name.and_then(|name| Some((Tag::new(name)?, name.len())));
    let found = || NotGtids::found("a tag of a GTID set", format!("length byte {length}"));
    let (tag, length) = tag.ok_or_else(found)?;
    *left = &left[length..];
    Ok(tag)
}

fn number(left: &mut &[u8]) -> Result<u64, NotGtids> {
    take::<NUMBER>(left).map(|bytes| u64::from_le_bytes(*bytes))
}

fn take<'b, const N: usize>(left: &mut &'b [u8]) -> Result<&'b [u8; N], NotGtids> {
    let short = || NotGtids::found(format!("{N} more bytes"), left.len());
    let (taken, rest) = left.split_first_chunk().ok_or_else(short)?;
    *left = rest;
    Ok(taken)
}
