use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use connector_api::{Sight, Value};

use crate::state::{CachedRow, RowId};

/// Bytes of remembered rows past which they are given up.
const LIMIT_BYTES: usize = 16 << 20;

/// The rows of a table that the stream changed while the table is read in chunks.
///
/// A row of a chunk is older than what the stream has said of it when a transaction that changed
/// the row is not provably part of what the chunk saw. Such a transaction may have come after the
/// chunk was read, and also before: a log is ahead of what can be seen, under synchronous
/// replication by as long as a replica takes to answer. So rows are remembered until a chunk has
/// provably seen their transaction; every later chunk sees it too.
#[derive(Debug, Default)]
pub struct Touches {
    transactions: VecDeque<Transaction>,
    bytes: usize,
    lost: bool,
}

#[derive(Debug)]
struct Transaction {
    coordinate: u64,
    txid: Box<str>,
    rows: Vec<(RowId, Said)>,
}

/// What the stream said of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// All of it, or that it is gone.
    Whole,
    /// These values: the rest is as it was, which the stream does not say.
    Partly(CachedRow),
    /// All of it, and some of it anew since then.
    Amended,
}

impl Said {
    /// What was said, when this was said later.
    fn then(&mut self, later: &Said) {
        *self = match (&*self, later) {
            (_, Said::Whole) => Said::Whole,
            (Said::Partly(first), Said::Partly(later)) => Said::Partly(over(first, later)),
            (Said::Whole | Said::Amended, _) | (_, Said::Amended) => Said::Amended,
        };
    }

    fn bytes(&self) -> usize {
        match self {
            Said::Whole | Said::Amended => 0,
            Said::Partly(row) => row.bytes(),
        }
    }
}

/// The values of `later`, and where it has none those of `first`.
fn over(first: &CachedRow, later: &CachedRow) -> CachedRow {
    let values = first.values().zip(later.values());
    CachedRow::of(values.map(|(first, later)| match later {
        Value::Absent => first,
        later => later,
    }))
}

impl Touches {
    /// The stream changed a row in this transaction. Those of one transaction come together.
    pub fn touch(&mut self, coordinate: u64, txid: &str, row: RowId, said: Said) {
        if self.lost {
            return;
        }
        let same = |last: &&mut Transaction| last.coordinate == coordinate && *last.txid == *txid;
        self.bytes += row.bytes() + said.bytes();
        match self.transactions.back_mut().filter(same) {
            Some(last) => last.rows.push((row, said)),
            None => {
                self.bytes += size_of::<Transaction>() + txid.len();
                let (txid, rows) = (txid.into(), vec![(row, said)]);
                self.transactions.push_back(Transaction { coordinate, txid, rows });
            }
        }
        if self.bytes > LIMIT_BYTES {
            self.lose();
        }
    }

    /// The stream changed something in the table, and it is not known what: nothing that is read
    /// before that can be seen is of any use.
    pub fn lose(&mut self) {
        *self = Self { lost: true, ..Self::default() };
    }

    /// Whether what was read since the last [`Self::forget`] has to be read again.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Everything streamed up to here can be seen by every chunk to come.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The rows of which a chunk with this `sight` is not provably as new as the stream, and what
    /// was said of them that it has not seen. The others are forgotten.
    pub fn unseen(&mut self, sight: &dyn Sight) -> HashMap<&RowId, Said> {
        self.transactions
            .retain(|transaction| !sight.sees(transaction.coordinate, &transaction.txid));
        let rows = |transaction: &Transaction| {
            let rows = transaction.rows.iter();
            let rows: usize = rows.map(|(row, said)| row.bytes() + said.bytes()).sum();
            size_of::<Transaction>() + transaction.txid.len() + rows
        };
        self.bytes = self.transactions.iter().map(rows).sum();
        let mut unseen: HashMap<&RowId, Said> = HashMap::new();
        for (row, said) in self.transactions.iter().flat_map(|transaction| &transaction.rows) {
            match unseen.entry(row) {
                Entry::Occupied(mut known) => known.get_mut().then(said),
                Entry::Vacant(place) => {
                    place.insert(said.clone());
                }
            }
        }
        unseen
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// Sees the transactions with these coordinates.
    #[derive(Debug)]
    struct Sees(BTreeSet<u64>);

    impl Sight for Sees {
        fn sees(&self, coordinate: u64, _: &str) -> bool {
            self.0.contains(&coordinate)
        }
    }

    fn id(number: i64) -> RowId {
        RowId::of([Value::Int(number)].into_iter()).unwrap()
    }

    proptest! {
        /// A table of counters: each transaction sets some rows to its own number. Transactions
        /// become visible in any order, later than they are logged. Chunks are read at any time and
        /// published later still; whatever is published for a row is never older than what the
        /// stream has said of it, and after all chunks every row is as the table has it.
        #[test]
        fn a_chunk_never_takes_a_row_back_to_what_it_was(
            writes in prop::collection::vec((prop::collection::btree_set(0i64..6, 1..3),
                0usize..4, any::<bool>()), 1..30),
        ) {
            let mut touches = Touches::default();
            let mut published: BTreeMap<i64, u64> = BTreeMap::new();
            let mut table: BTreeMap<i64, u64> = BTreeMap::new();
            let mut invisible: Vec<(u64, BTreeSet<i64>)> = Vec::new();
            let mut seen = BTreeSet::new();
            let mut held: Option<(Sees, BTreeMap<i64, u64>)> = None;
            for (number, (rows, visible, reads)) in writes.iter().enumerate() {
                let number = number as u64;
                // Logged and streamed.
                for row in rows {
                    published.insert(*row, number);
                    touches.touch(number, "", id(*row), Said::Whole);
                }
                invisible.push((number, rows.clone()));
                // A server never lets two transactions that changed one row be seen in another
                // order than that in which they are logged.
                for _ in 0..*visible {
                    let free = invisible.iter().enumerate().position(|(at, (_, rows))| {
                        invisible[..at].iter().all(|(_, other)| other.is_disjoint(rows))
                    });
                    let Some(at) = free else { break };
                    let (number, rows) = invisible.remove(at);
                    table.extend(rows.iter().map(|row| (*row, number)));
                    seen.insert(number);
                }
                if let Some((sight, rows)) = held.take() {
                    let unseen = touches.unseen(&sight);
                    for (row, value) in rows {
                        if !unseen.contains_key(&id(row)) {
                            let before = published.insert(row, value);
                            prop_assert!(before.is_none_or(|before| before <= value));
                        }
                    }
                }
                if *reads {
                    held = Some((Sees(seen.clone()), table.clone()));
                }
            }
        }
    }

    #[test]
    fn what_was_said_of_a_row_bit_by_bit_is_remembered_together() {
        let row = |values: [Value<'static>; 3]| CachedRow::of(values.into_iter());
        let partly = |values| Said::Partly(row(values));
        let (one, two) = (Value::Int(1), Value::Int(2));
        let mut touches = Touches::default();
        let sees = Sees(BTreeSet::from([1]));
        touches.touch(1, "1", id(1), Said::Whole);
        touches.touch(2, "2", id(1), partly([one, two, Value::Absent]));
        touches.touch(3, "3", id(1), partly([one, one, Value::Absent]));
        touches.touch(3, "3", id(2), Said::Whole);
        touches.touch(4, "4", id(2), partly([two, one, Value::Absent]));
        touches.touch(4, "4", id(3), partly([two, one, Value::Absent]));
        touches.touch(5, "5", id(3), Said::Whole);
        let unseen = touches.unseen(&sees);
        assert_eq!(unseen[&id(1)], partly([one, one, Value::Absent]), "the first was seen");
        assert_eq!((&unseen[&id(2)], &unseen[&id(3)]), (&Said::Amended, &Said::Whole));
    }

    #[test]
    fn what_cannot_be_remembered_makes_the_chunk_worthless() {
        let mut touches = Touches::default();
        let long = "x".repeat(1 << 20);
        for number in 0..20 {
            let row = RowId::of([Value::Text(&long), Value::Int(number)].into_iter()).unwrap();
            touches.touch(1, "1", row, Said::Whole);
        }
        assert!(touches.is_lost());
        touches.forget();
        assert!(!touches.is_lost());
    }
}
