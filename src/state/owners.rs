use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use super::{RowHash, RowId, TableRows};

/// What stands for a key: a hash of 128 bits, as when the touches of a block are folded. Of a
/// thousand million keys two have the same by a chance of 10^-21; they would be keys of one
/// mapping of one seller, and no other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(u128);

impl KeyHash {
    /// What stands for this key.
    pub fn of(key: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(key))
    }
}

/// Which live rows stand behind each key of one mapping, when a key is not exactly the columns
/// that identify a row. Derived from the cached rows, so it needs no store of its own.
///
/// The row with the lowest identity speaks for the key.
#[derive(Debug, Default)]
pub struct Owners {
    /// Nearly every key has one row. Neither of them is kept here: the row yields both.
    one: HashMap<KeyHash, RowHash>,
    /// Keys of several rows.
    many: HashMap<KeyHash, BTreeSet<RowId>>,
}

impl Owners {
    /// `row` of `rows` stands behind `key` from now on.
    pub fn add(&mut self, key: KeyHash, row: &RowId, rows: &TableRows) {
        if let Some(many) = self.many.get_mut(&key) {
            many.insert(row.clone());
            return;
        }
        let hash = row.hash();
        let Some(known) = self.one.insert(key, hash).filter(|known| *known != hash) else { return };
        // One that is not remembered any more says nothing for the key.
        if let Some(first) = rows.behind(known) {
            self.one.remove(&key);
            self.many.insert(key, BTreeSet::from([rows.id_of(first), row.clone()]));
        }
    }

    /// `row` no longer stands behind `key`. Returns whether it did.
    pub fn remove(&mut self, key: KeyHash, row: &RowId) -> bool {
        let Some(many) = self.many.get_mut(&key) else {
            let hash = row.hash();
            let was_it = self.one.get(&key) == Some(&hash);
            if was_it {
                self.one.remove(&key);
            }
            return was_it;
        };
        let removed = many.remove(row);
        if let (1, Some(last)) = (many.len(), many.first()) {
            self.one.insert(key, last.hash());
            self.many.remove(&key);
        }
        removed
    }

    /// The row that speaks for `key`, and how many stand behind it.
    pub fn of(&self, key: KeyHash) -> Option<(RowHash, usize)> {
        match self.one.get(&key) {
            Some(row) => Some((*row, 1)),
            None => self.many.get(&key).and_then(|rows| Some((rows.first()?.hash(), rows.len()))),
        }
    }

    /// The rows that stand behind `key`, lowest identity first.
    pub fn rows(&self, key: KeyHash) -> impl Iterator<Item = RowHash> {
        self.rows_behind(key, None)
    }

    /// The same from behind a row on. The only row of a key comes wherever it stands.
    pub fn rows_behind(&self, key: KeyHash, last: Option<&RowId>) -> impl Iterator<Item = RowHash> {
        let from = (last.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let many = self.many.get(&key).into_iter();
        let many = many.flat_map(move |rows| rows.range::<RowId, _>(from));
        self.one.get(&key).copied().into_iter().chain(many.map(RowId::hash))
    }

    /// Every key, in no order.
    pub fn keys(&self) -> impl Iterator<Item = KeyHash> {
        self.one.keys().chain(self.many.keys()).copied()
    }

    /// No row is left.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use connector_api::Value;
    use proptest::prelude::*;

    use super::*;
    use crate::state::CachedRow;

    fn id(number: i64) -> RowId {
        RowId::of([Value::Int(number)].into_iter()).unwrap()
    }

    fn remembered(numbers: std::ops::Range<i64>) -> TableRows {
        let mut rows = TableRows::new(1);
        for number in numbers {
            let row = CachedRow::of([Value::Int(number)].into_iter());
            rows.set(&id(number), Some(row));
        }
        rows
    }

    proptest! {
        #[test]
        fn the_lowest_live_row_speaks_for_its_key(
            steps in prop::collection::vec((any::<bool>(), 0u8..3, 0i64..4), 0..60),
        ) {
            let (mut owners, remembered) = (Owners::default(), remembered(0..4));
            let mut model: BTreeMap<u8, BTreeSet<i64>> = BTreeMap::new();
            for (add, key, row) in steps {
                let hash = KeyHash::of(&[key]);
                let rows = model.entry(key).or_default();
                if add {
                    owners.add(hash, &id(row), &remembered);
                    rows.insert(row);
                } else {
                    prop_assert_eq!(owners.remove(hash, &id(row)), rows.remove(&row));
                }
                let expected = rows.first().map(|first| (id(*first).hash(), rows.len()));
                prop_assert_eq!(owners.of(hash), expected);
                prop_assert!(owners.rows(hash).eq(rows.iter().map(|row| id(*row).hash())));
                let behind = rows.iter().filter(|other| rows.len() == 1 || **other > row);
                let behind = behind.map(|row| id(*row).hash());
                prop_assert!(owners.rows_behind(hash, Some(&id(row))).eq(behind));
                let keys = model.values().filter(|rows| !rows.is_empty()).count();
                prop_assert_eq!(owners.keys().count(), keys);
            }
        }
    }

    #[test]
    fn a_row_that_is_forgotten_gives_way_to_the_next() {
        let (mut owners, rows) = (Owners::default(), remembered(1..3));
        let key = KeyHash::of(b"A");
        owners.add(key, &id(0), &rows);
        owners.add(key, &id(2), &rows);
        assert_eq!(owners.of(key), Some((id(2).hash(), 1)));
        assert!(!owners.remove(key, &id(0)));
    }
}
