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
        let is_whole = after.as_ref().is_none_or(|row| row.is_whole(plan.columns.len()));
        let said = if is_whole { Said::Whole } else { Said::Partly };
        let identities = |row: &Row<'_>| identities(plan, row, who);
        let (before, after) = (before.as_ref().map(identities), after.as_ref().map(identities));
        let ids = match (before, after) {
            // An old image that does not say which row it was: it may have been another.
            (Some(None), _) | (None, None | Some(None)) => return self.touches.lose(),
            (Some(Some(before)), after) => {
                before.into_iter().chain(after.flatten().into_iter().flatten()).collect()
            }
            (None, Some(Some(after))) => after,
        };
        for id in ids {
            self.touches.touch(transaction.coordinate, &transaction.txid, id, said);
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
    let mut ids = Vec::new();
    let mut arena = Arena::default();
    for mapping in &plan.mappings {
        match standing(mapping, row, who, &mut arena) {
            Ok(Standing::Live(key) | Standing::Removed(key)) => {
                let key = connector_api::Value::Text(arena.get(key.record));
                ids.extend(RowId::of([key].into_iter()));
            }
            Ok(Standing::Unknown) => return None,
            Ok(Standing::Outside) | Err(_) => {}
        }
    }
    Some(ids)
}
