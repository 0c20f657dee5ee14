use std::collections::{BTreeSet, HashMap};

use super::RowId;

/// Which live rows stand behind each key of one mapping, when a key is not exactly the columns
/// that identify a row. Derived from the cached rows, so it needs no store of its own.
///
/// The row with the lowest identity speaks for the key.
#[derive(Debug, Default)]
pub struct Owners {
    by_key: HashMap<Box<[u8]>, Rows>,
}

/// Nearly every key has one row; a set for each would double the memory.
#[derive(Debug)]
enum Rows {
    One(RowId),
    Many(BTreeSet<RowId>),
}

impl Owners {
    /// `row` stands behind `key` from now on.
    pub fn add(&mut self, key: &[u8], row: &RowId) {
        match self.by_key.get_mut(key) {
            None => {
                self.by_key.insert(key.into(), Rows::One(row.clone()));
            }
            Some(Rows::Many(rows)) => {
                rows.insert(row.clone());
            }
            Some(Rows::One(only)) if only == row => {}
            Some(rows @ Rows::One(_)) => {
                let first = std::mem::replace(rows, Rows::Many(BTreeSet::new()));
                if let (Rows::One(first), Rows::Many(set)) = (first, rows) {
                    set.extend([first, row.clone()]);
                }
            }
        }
    }

    /// `row` no longer stands behind `key`. Returns whether it did.
    pub fn remove(&mut self, key: &[u8], row: &RowId) -> bool {
        let (removed, left) = match self.by_key.get_mut(key) {
            None => (false, 1),
            Some(Rows::One(only)) => (only == row, usize::from(only != row)),
            Some(Rows::Many(rows)) => (rows.remove(row), rows.len()),
        };
        if left == 0 {
            self.by_key.remove(key);
        }
        removed
    }

    /// The row that speaks for `key`, and how many stand behind it.
    pub fn of(&self, key: &[u8]) -> Option<(&RowId, usize)> {
        match self.by_key.get(key)? {
            Rows::One(row) => Some((row, 1)),
            Rows::Many(rows) => rows.first().map(|row| (row, rows.len())),
        }
    }

    /// The rows that stand behind `key`, lowest identity first.
    pub fn rows(&self, key: &[u8]) -> impl Iterator<Item = &RowId> {
        let (one, many) = match self.by_key.get(key) {
            None => (None, None),
            Some(Rows::One(row)) => (Some(row), None),
            Some(Rows::Many(rows)) => (None, Some(rows)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Every key, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.by_key.keys().map(|key| &**key)
    }

    /// No row is left.
    pub fn clear(&mut self) {
        self.by_key.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use connector_api::Value;
    use proptest::prelude::*;

    use super::*;

    fn id(number: i64) -> RowId {
        RowId::of([Value::Int(number)].into_iter()).unwrap()
    }

    proptest! {
        #[test]
        fn the_lowest_live_row_speaks_for_its_key(
            steps in prop::collection::vec((any::<bool>(), 0u8..3, 0i64..4), 0..60),
        ) {
            let mut owners = Owners::default();
            let mut model: BTreeMap<u8, BTreeSet<i64>> = BTreeMap::new();
            for (add, key, row) in steps {
                let rows = model.entry(key).or_default();
                if add {
                    owners.add(&[key], &id(row));
                    rows.insert(row);
                } else {
                    prop_assert_eq!(owners.remove(&[key], &id(row)), rows.remove(&row));
                }
                let expected = rows.first().map(|first| (id(*first), rows.len()));
                let found = owners.of(&[key]).map(|(row, count)| (row.clone(), count));
                prop_assert_eq!(found, expected);
            }
        }
    }
}
