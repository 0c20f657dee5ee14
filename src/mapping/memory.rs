use std::collections::BTreeSet;

use connector_api::Value;

use super::lookup::Link;
use super::plan::TablePlan;
use crate::state::{Owners, RowId, RowsDelta, TableRows};

/// What is remembered of one table.
#[derive(Debug)]
pub(super) struct TableState {
    pub(super) rows: TableRows,
    /// Names of stored rows that are of no use any more.
    pub(super) outdated: BTreeSet<String>,
    /// By mapping.
    pub(super) owners: Vec<Owners>,
    /// By mapping, then by lookup.
    pub(super) links: Vec<Vec<Link>>,
    /// By mapping: whether it speaks. One that needs several tables is silent until each of them
    /// has been read whole.
    pub(super) speaks: Vec<bool>,
    /// Whether every row that matters has been seen.
    pub(super) complete: bool,
}

impl TableState {
    pub(super) fn new(plan: &TablePlan) -> Self {
        let links = |mapping: &super::plan::MappingPlan| {
            mapping.lookups.iter().map(|_| Link::default()).collect()
        };
        Self {
            rows: TableRows::new(plan.identity_width),
            outdated: BTreeSet::new(),
            owners: plan.mappings.iter().map(|_| Owners::default()).collect(),
            links: plan.mappings.iter().map(links).collect(),
            speaks: vec![true; plan.mappings.len()],
            complete: true,
        }
    }

    /// Adds to `delta` that stored rows are of no use any more, unless others have their names now.
    pub(super) fn forget_outdated(&mut self, delta: &mut RowsDelta) {
        let mut outdated = std::mem::take(&mut self.outdated);
        if !outdated.is_empty() {
            delta.iter().for_each(|(name, _)| drop(outdated.take(name)));
            delta.extend(outdated.into_iter().map(|name| (name, None)));
        }
    }

    /// Whether all of a row is remembered.
    pub(super) fn has_whole(&self, id: &RowId) -> bool {
        let known = self.rows.get(id);
        known.is_some_and(|row| row.values().all(|value| value != Value::Absent))
    }
}
