use std::collections::{BTreeMap, BTreeSet};

use connector_api::Value;

use super::grace::Grace;
use super::held::Held;
use super::lookup::Link;
use super::mapper::{Mapped, Mapper};
use super::plan::TablePlan;
use crate::state::{KeyHash, Owners, RowId, RowsDelta, TableRows};

/// Names of rows that one commit has the store forget: a table may have had any number of them.
const FORGOTTEN_AT_ONCE: usize = 4096;

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

    /// Whether all of a row is remembered.
    pub(super) fn has_whole(&self, id: &RowId) -> bool {
        let known = self.rows.get(id);
        known.is_some_and(|row| row.values().all(|value| value != Value::Absent))
    }
}

/// Whether a remembered row stands behind a record key.
pub(super) fn has_owner(tables: &[TableState], key: &str) -> bool {
    let key = KeyHash::of(key.as_bytes());
    let mut owners = tables.iter().flat_map(|table| &table.owners);
    owners.any(|owners| owners.of(key).is_some())
}

impl Mapper {
    /// Whether there are stored rows left that are of no use any more: [`Self::forget`] names them.
    /// Until it has, what is read of their tables is not complete.
    pub fn has_more_to_forget(&self) -> bool {
        self.lags || !self.outdated.is_empty()
    }

    /// Has the store forget rows that are of no use any more, as many as one commit bears.
    pub fn forget(&mut self) -> Mapped {
        let mut out = Mapped::default();
        self.collect_rows(&mut out);
        out
    }

    pub(super) fn collect_rows(&mut self, out: &mut Mapped) {
        let mut room = FORGOTTEN_AT_ONCE;
        self.lags = false;
        for (plan, state) in self.plan.tables.iter().zip(&mut self.tables) {
            room -= state.rows.tell_gone(room);
            self.lags |= state.rows.has_more_gone();
            let delta = state.rows.take_delta(&plan.columns);
            if !delta.is_empty() {
                out.rows.push((plan.text.clone(), delta));
            }
        }
        self.outdated.tell(room, &mut out.rows);
        let (held, grace) = (self.held.take_delta(), self.held.grace.take_delta());
        let waiting = [(Held::TABLE, held), (Grace::TABLE, grace)];
        let changed = waiting.into_iter().filter(|(_, delta)| !delta.is_empty());
        out.rows.extend(changed.map(|(table, delta)| (table.to_owned(), delta)));
    }
}

/// Names of stored rows that are of no use any more, by table: of tables that need not be
/// remembered, that no mapping speaks of, or whose rows are known by something else.
#[derive(Debug, Default)]
pub(super) struct Outdated(BTreeMap<String, BTreeSet<String>>);

impl Outdated {
    pub(super) fn insert(&mut self, table: &str, name: &str) {
        if let Some(names) = self.0.get_mut(table) {
            names.insert(name.to_owned());
        } else {
            self.0.insert(table.to_owned(), BTreeSet::from([name.to_owned()]));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds to `rows` that some of them are gone, at most so many. Not those whose names others
    /// have now.
    pub(super) fn tell(&mut self, mut limit: usize, rows: &mut Vec<(String, RowsDelta)>) {
        if self.is_empty() {
            return;
        }
        for (table, delta) in rows.iter() {
            if let Some(names) = self.0.get_mut(table) {
                delta.iter().for_each(|(name, _)| drop(names.take(name)));
            }
        }
        while let Some(mut of_table) = self.0.first_entry() {
            let told = std::iter::from_fn(|| of_table.get_mut().pop_first());
            let told: RowsDelta = told.take(limit).map(|name| (name, None)).collect();
            limit -= told.len();
            let table = match of_table.get().is_empty() {
                true => of_table.remove_entry().0,
                false => of_table.key().clone(),
            };
            match rows.iter_mut().find(|(known, _)| *known == table) {
                _ if told.is_empty() => {}
                Some((_, delta)) => delta.extend(told),
                None => rows.push((table, told)),
            }
            if limit == 0 {
                break;
            }
        }
        if self.is_empty() {
            // One that was emptied keeps its root.
            self.0 = BTreeMap::new();
        }
    }
}
