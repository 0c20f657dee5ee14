use std::collections::HashSet;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::row::{CachedRow, UnusableRow};
use super::{RowHash, RowId};

/// The cached rows of one table, and which of them changed since the last commit was prepared.
///
/// A row's identity is its first columns, so that it needs no memory of its own: the table has
/// nothing but the rows.
#[derive(Debug)]
pub struct TableRows {
    rows: HashTable<CachedRow>,
    identity_width: usize,
    changed: HashSet<RowId>,
    snapshot: u32,
}

/// Changed rows of a table in their stored form; `None` is gone.
pub type RowsDelta = Vec<(String, Option<String>)>;

impl TableRows {
    /// No rows yet, of which so many of the first columns are the identity.
    pub fn new(identity_width: usize) -> Self {
        let (rows, changed) = (HashTable::new(), HashSet::new());
        Self { rows, identity_width, changed, snapshot: 0 }
    }

    /// A row as last seen.
    pub fn get(&self, id: &RowId) -> Option<&CachedRow> {
        let is_it = |row: &CachedRow| id.is(row.values().take(self.identity_width));
        self.rows.find(id.hash().short(), is_it)
    }

    /// The row that this stands for.
    pub fn behind(&self, hash: RowHash) -> Option<&CachedRow> {
        self.rows.find(hash.short(), |row| hash_of(row, self.identity_width) == hash)
    }

    /// The identity of a row of this table.
    pub fn id_of(&self, row: &CachedRow) -> RowId {
        identity(row, self.identity_width)
    }

    /// From here on rows are seen during this snapshot. The numbers of a table only rise.
    pub fn begin_snapshot(&mut self, number: u32) {
        self.snapshot = number;
    }

    /// The last snapshot during which one of them was seen; 0 is none.
    pub fn last_snapshot(&self) -> u32 {
        self.rows.iter().map(CachedRow::snapshot).max().unwrap_or(0)
    }

    /// Rows that were not seen since the last snapshot began, at most so many.
    pub fn unseen(&self, limit: usize) -> Vec<CachedRow> {
        let unseen = self.rows.iter().filter(|row| row.snapshot() < self.snapshot);
        unseen.take(limit).cloned().collect()
    }

    /// Takes back a row from its stored form.
    pub fn load(&mut self, stored: &str, columns: &[String]) -> Result<RowId, UnusableRow> {
        let row = CachedRow::decode(stored, columns)?;
        let id = RowId::of(row.values().take(self.identity_width)).ok_or(UnusableRow)?;
        self.put(&id, row);
        Ok(id)
    }

    /// A row is now like this, or gone.
    pub fn set(&mut self, id: &RowId, row: Option<CachedRow>) {
        match row {
            Some(mut row) => {
                row.set_snapshot(self.snapshot);
                self.put(id, row);
            }
            None => self.forget(id),
        }
        self.changed.insert(id.clone());
    }

    /// A row is gone, and it is not for this table to say so to the store.
    pub fn forget(&mut self, id: &RowId) {
        let width = self.identity_width;
        let is_it = |row: &CachedRow| id.is(row.values().take(width));
        if let Ok(known) = self.rows.find_entry(id.hash().short(), is_it) {
            known.remove();
        }
    }

    /// Whether the row was seen since the last snapshot began.
    pub fn is_seen(&self, id: &RowId) -> bool {
        self.get(id).is_some_and(|row| row.snapshot() >= self.snapshot)
    }

    /// Part of the row is as it was before the last snapshot began: it has not been seen yet.
    pub fn doubt(&mut self, id: &RowId) {
        let width = self.identity_width;
        let is_it = |row: &CachedRow| id.is(row.values().take(width));
        if let Some(row) = self.rows.find_mut(id.hash().short(), is_it) {
            row.set_snapshot(self.snapshot.saturating_sub(1));
        }
    }

    fn put(&mut self, id: &RowId, row: CachedRow) {
        let width = self.identity_width;
        debug_assert!(id.is(row.values().take(width)), "a row begins with its identity");
        let is_it = |row: &CachedRow| id.is(row.values().take(width));
        match self.rows.entry(id.hash().short(), is_it, |row| hash_of(row, width).short()) {
            Entry::Occupied(mut known) => *known.get_mut() = row,
            Entry::Vacant(place) => {
                place.insert(row);
            }
        }
    }

    /// Every row is gone.
    pub fn clear(&mut self) {
        let (rows, width) = (std::mem::take(&mut self.rows), self.identity_width);
        self.changed.extend(rows.iter().map(|row| identity(row, width)));
    }

    /// Every row.
    pub fn iter(&self) -> impl Iterator<Item = &CachedRow> {
        self.rows.iter()
    }

    /// What changed since the last call, for the commit, in key order.
    pub fn take_delta(&mut self, columns: &[String]) -> RowsDelta {
        let mut changed: Vec<RowId> = self.changed.drain().collect();
        changed.sort_unstable();
        let stored = |id: &RowId| Some(self.get(id)?.encode(columns));
        changed.iter().map(|id| (id.to_text(), stored(id))).collect()
    }
}

fn identity(row: &CachedRow, identity_width: usize) -> RowId {
    let values = row.values().take(identity_width);
    RowId::of(values).expect("what is remembered is identified")
}

fn hash_of(row: &CachedRow, identity_width: usize) -> RowHash {
    let values = row.values().take(identity_width);
    RowHash::of_values(values).expect("what is remembered is identified")
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

    fn row(number: i64, quantity: i64) -> CachedRow {
        CachedRow::of([Value::Int(number), Value::Int(quantity)].into_iter())
    }

    fn columns() -> [String; 2] {
        ["id", "qty"].map(str::to_owned)
    }

    proptest! {
        #[test]
        fn rows_are_found_by_what_identifies_them(
            steps in prop::collection::vec((0i64..40, prop::option::of(any::<i64>())), 0..200),
        ) {
            let (mut rows, mut model) = (TableRows::new(1), BTreeMap::new());
            let mut stored = BTreeMap::new();
            for (number, quantity) in steps {
                rows.set(&id(number), quantity.map(|quantity| row(number, quantity)));
                match quantity {
                    Some(quantity) => model.insert(number, quantity),
                    None => model.remove(&number),
                };
            }
            stored.extend(rows.take_delta(&columns()));
            let mut restarted = TableRows::new(1);
            for value in stored.values().flatten() {
                restarted.load(value, &columns()).unwrap();
            }
            for rows in [rows, restarted] {
                for number in 0..40 {
                    let known = model.get(&number).map(|quantity| row(number, *quantity));
                    prop_assert_eq!(rows.get(&id(number)), known.as_ref());
                    prop_assert_eq!(rows.behind(id(number).hash()), known.as_ref());
                }
                prop_assert_eq!(rows.iter().count(), model.len());
            }
        }

        #[test]
        fn one_number_is_one_identity_whatever_the_sign_of_its_column(number in 0i64..) {
            let id = |value| RowId::of([value].into_iter()).unwrap();
            let unsigned = Value::UInt(number.cast_unsigned());
            prop_assert_eq!(id(Value::Int(number)), id(unsigned));
            prop_assert!(id(Value::Int(-1 - number)) < id(unsigned));
            prop_assert_eq!(id(unsigned).to_text(), number.to_string());
        }

        #[test]
        fn what_a_snapshot_has_not_seen_is_known_after_a_restart_too(
            before in prop::collection::btree_set(0i64..20, 0..8),
            seen in prop::collection::btree_set(0i64..20, 0..8),
        ) {
            let columns = ["id".to_owned()];
            let row = |id: &i64| CachedRow::of([Value::Int(*id)].into_iter());
            let id = |id: &i64| RowId::of([Value::Int(*id)].into_iter()).unwrap();
            let mut rows = TableRows::new(1);
            before.iter().for_each(|number| rows.set(&id(number), Some(row(number))));
            let mut stored: BTreeMap<_, _> = rows.take_delta(&columns).into_iter().collect();
            rows.begin_snapshot(1);
            seen.iter().for_each(|number| rows.set(&id(number), Some(row(number))));
            stored.extend(rows.take_delta(&columns));
            let mut restarted = TableRows::new(1);
            restarted.begin_snapshot(1);
            for stored in stored.values() {
                restarted.load(stored.as_ref().unwrap(), &columns).unwrap();
            }
            let expected: Vec<CachedRow> = before.difference(&seen).map(row).collect();
            for rows in [rows, restarted] {
                let mut unseen = rows.unseen(usize::MAX);
                unseen.sort_by_key(|row| match row.get(0) { Value::Int(id) => id, _ => i64::MAX });
                prop_assert_eq!(&unseen, &expected);
            }
        }
    }

    #[test]
    fn rows_that_all_go_at_once_are_gone_from_the_store_too() {
        let mut rows = TableRows::new(1);
        (0..3).for_each(|number| rows.set(&id(number), Some(row(number, 1))));
        rows.take_delta(&columns());
        rows.clear();
        rows.set(&id(1), Some(row(1, 2)));
        let delta = rows.take_delta(&columns());
        let gone = |number: &str| (number.to_owned(), None);
        let kept = ("1".to_owned(), Some(r#"{"id":"i1","qty":"i2"}"#.to_owned()));
        assert_eq!(delta, [gone("0"), kept, gone("2")]);
    }

    #[test]
    fn a_stored_row_without_its_identity_is_damaged() {
        let mut rows = TableRows::new(1);
        assert_eq!(rows.load(r#"{"qty":"i2"}"#, &columns()), Err(UnusableRow));
    }
}
