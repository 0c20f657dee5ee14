use super::lookup::Link;
use super::plan::TablePlan;
use crate::state::{Owners, TableRows};

/// What is remembered of one table.
#[derive(Debug)]
pub(super) struct TableState {
    pub(super) rows: TableRows,
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
            owners: plan.mappings.iter().map(|_| Owners::default()).collect(),
            links: plan.mappings.iter().map(links).collect(),
            speaks: vec![true; plan.mappings.len()],
            complete: true,
        }
    }
}
