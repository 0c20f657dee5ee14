use std::fmt;

use super::GtidSet;
use crate::position::{Gtid, write_number};

/// The printed form of a set, kept up with it. Nearly every transaction is the next of its server
/// and changes one number of the text: a set of many servers and gaps is not printed anew for it.
#[derive(Debug)]
pub(crate) struct GtidSetText {
    /// What stands before that number; all of it when there is none.
    head: String,
    /// The last transaction of its range, of which that is the number.
    last: Option<Gtid>,
    /// What stands behind it.
    tail: String,
}

impl GtidSetText {
    /// Of a set that has been put together otherwise.
    pub(crate) fn of(set: &GtidSet) -> Self {
        Self { head: set.to_string(), last: None, tail: String::new() }
    }

    /// Follows the set behind the addition of one transaction.
    pub(crate) fn added(&mut self, gtid: Gtid, set: &GtidSet) {
        let Some((start, end)) = set.range_of(&gtid) else { return };
        let is_next = self.last.is_some_and(|last| {
            last.origin == gtid.origin && last.number + 1 == gtid.number && end == gtid.number + 1
        });
        self.last = (end - start > 1).then_some(Gtid { number: end - 1, ..gtid });
        if !is_next {
            self.print(set);
        }
    }

    pub(crate) fn write_to<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        out.write_str(&self.head)?;
        if let Some(Gtid { number, .. }) = self.last {
            write_number(number, out)?;
        }
        out.write_str(&self.tail)
    }

    fn print(&mut self, set: &GtidSet) {
        self.head.clear();
        self.tail.clear();
        let last = self.last;
        let mut number = None;
        set.write_to(&mut self.head, ",", |text, origin, end| {
            if last.is_some_and(|last| last.origin == origin && last.number + 1 == end) {
                number = Some(text.len());
            }
        })
        .expect("a string takes everything");
        if let Some((behind, last)) = number.zip(last) {
            self.tail.push_str(&self.head[behind..]);
            let digits = last.number.ilog10() as usize + 1;
            self.head.truncate(behind - digits);
        }
    }
}

impl fmt::Display for GtidSetText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}
