use std::collections::BTreeSet;

use connector_api::TableName;

use super::compile::Layout;
use super::derive::Deriver;
use crate::state::{CachedRow, RowId};

impl Deriver<'_> {
    /// Stock rows that the server takes away with a row of a table, which it does not log: those
    /// that look for it and cannot be without it, whether or not they were told to be there.
    pub(super) fn taken(
        &mut self,
        table: usize,
        own: Option<&RowId>,
        gone: &CachedRow,
    ) -> BTreeSet<(usize, RowId)> {
        let mut taken = BTreeSet::new();
        let known = own.and_then(|id| self.tables[table].rows.get(id));
        for place in &self.plan.tables[table].looked_up_by {
            let lookup = self.plan.lookup(*place);
            let Some(key) = lookup.key_of(gone).filter(|_| lookup.required && lookup.cascades)
            else {
                continue;
            };
            let link = &self.tables[place.table].links[place.mapping][place.lookup];
            let was_found = known.and_then(|row| lookup.found_by(row)) == Some(key);
            let found = link.found.of(key).map_or(0, |(_, count)| count);
            if found > usize::from(was_found) {
                continue;
            }
            let rows = &self.tables[place.table].rows;
            let ids = link.sought.rows(key).filter_map(|row| Some(rows.id_of(rows.behind(row)?)));
            // What a read did not see may have been filtered out: the table says it.
            if lookup.filter.is_some() && !self.tells {
                if was_found && ids.count() > 0 {
                    self.crowded.insert(place.table);
                }
                continue;
            }
            taken.extend(ids.map(|id| (place.table, id)));
        }
        if let Some(own) = own {
            taken.remove(&(table, own.clone()));
        }
        taken
    }
}

/// Whether rows of `table` are deleted with those of `parent`, also by way of other tables.
pub(super) fn falls_with(layouts: &[Layout<'_>], table: &TableName, parent: &TableName) -> bool {
    let (mut seen, mut due) = (BTreeSet::new(), vec![table]);
    while let Some(table) = due.pop() {
        let found = layouts.iter().find(|layout| layout.table.name == *table);
        due.extend(found.into_iter().flat_map(|found| &found.table.cascades));
        if due.contains(&parent) {
            return true;
        }
        due.retain(|table| seen.insert(*table));
    }
    false
}
