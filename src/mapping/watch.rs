use super::plan::TablePlan;
use super::row::Row;
use super::standing::{Arena, Standing, standing};
use super::transaction::Transaction;
use crate::progress::{Said, Touches};
use crate::state::RowId;
use crate::stock::{SellerId, SourceName};

/// The table that is being read, and what the stream has changed in it meanwhile.
#[derive(Debug, Default)]
pub(super) struct Watch {
    table: Option<usize>,
    pub(super) touches: Touches,
}

impl Watch {
    /// From here on this table is watched, or none.
    pub(super) fn begin(&mut self, table: Option<usize>) {
        self.table = table;
        self.touches.forget();
    }

    pub(super) fn is_of(&self, table: usize) -> bool {
        self.table == Some(table)
    }

    /// Something changed in a table, and it is not known in which rows.
    pub(super) fn lose(&mut self, table: usize) {
        if self.is_of(table) {
            self.touches.lose();
        }
    }

    /// The stream changed a row of the watched table, as far as its images say.
    pub(super) fn note(
        &mut self,
        transaction: &Transaction,
        plan: &TablePlan,
        [before, after]: [Option<Row<'_>>; 2],
        who: (&SellerId, &SourceName),
    ) {
        let identities = |row: &Row<'_>| identities(plan, row, who);
        let (old, new) = (before.as_ref().map(identities), after.as_ref().map(identities));
        let (old, new) = match (old, new) {
            // An image that does not say which row it is of: it may have been any.
            (Some(None), _) | (_, Some(None)) | (None, None) => return self.touches.lose(),
            (old, new) => (old.flatten().unwrap_or_default(), new.flatten().unwrap_or_default()),
        };
        let width = plan.columns.len();
        let said = match after.filter(|row| !row.is_whole(width)) {
            Some(row) => Said::Partly(row.to_cached(width)),
            None => Said::Whole,
        };
        let (coordinate, txid) = (transaction.coordinate, &transaction.txid);
        for id in old.into_iter().filter(|id| !new.contains(id)) {
            self.touches.touch(coordinate, txid, id, Said::Whole);
        }
        for id in new {
            self.touches.touch(coordinate, txid, id, said.clone());
        }
    }
}

/// What a row of a snapshot and one of the stream have in common: the columns that identify it, or
/// the keys it yields when nothing does. `None` when the image does not say.
pub(super) fn identities(
    plan: &TablePlan,
    row: &Row<'_>,
    who: (&SellerId, &SourceName),
) -> Option<Vec<RowId>> {
    if plan.identity_width > 0 {
        return row.id(plan.identity_width).map(|id| vec![id]);
    }
    Some(keys(plan, row, who)?.into_iter().map(|(_, key)| key).collect())
}

/// The keys that a row yields which nothing else identifies, each with the place of its mapping.
/// `None` when the image does not say.
pub(super) fn keys(
    plan: &TablePlan,
    row: &Row<'_>,
    who: (&SellerId, &SourceName),
) -> Option<Vec<(usize, RowId)>> {
    let mut keys = Vec::new();
    let mut arena = Arena::default();
    for (place, mapping) in plan.mappings.iter().enumerate() {
        match standing(mapping, row, who, &mut arena) {
            Ok(Standing::Live(key) | Standing::Removed(key)) => {
                let key = connector_api::Value::Text(arena.get(key.record));
                keys.extend(RowId::of([key].into_iter()).map(|key| (place, key)));
            }
            Ok(Standing::Unknown) => return None,
            Ok(Standing::Outside) | Err(_) => {}
        }
    }
    Some(keys)
}
