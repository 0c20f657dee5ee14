use super::field::Truth;
use super::lookup::Joined;
use super::plan::Plan;
use super::row::Row;
use crate::state::CachedRow;

/// Whether a row is worth remembering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// No mapping and no lookup counts it.
    No,
    /// Nothing of what decides about it is known.
    Unknown,
    /// Some of what decides about it is known, and more is needed.
    Undecided,
    Yes,
}

/// Whether a row of a table is worth remembering: what filters leave out may be anybody's data.
pub(super) fn wants(plan: &Plan, table: usize, row: &CachedRow) -> Wanted {
    let plan_of = &plan.tables[table];
    if plan_of.keeps_all {
        return Wanted::Yes;
    }
    let view = Joined::alone(Row::cached(row));
    let mappings = plan_of.mappings.iter().filter(|mapping| mapping.derived);
    let filters = mappings.map(|mapping| &mapping.filter);
    let lookups = plan_of.looked_up_by.iter().map(|place| &plan.lookup(*place).filter);
    let wanted = filters.chain(lookups).map(|filter| {
        let Some(filter) = filter else { return Wanted::Yes };
        match filter.truth(&view) {
            Truth::True => Wanted::Yes,
            Truth::NotTrue => Wanted::No,
            Truth::Absent => {
                let width = plan_of.columns.len();
                let own = filter.places().into_iter().filter(|place| *place < width);
                let known: Vec<bool> =
                    own.map(|place| row.get(place) != connector_api::Value::Absent).collect();
                match (known.iter().all(|known| *known), known.contains(&true)) {
                    // What is missing is looked up.
                    (true, _) => Wanted::Yes,
                    (false, true) => Wanted::Undecided,
                    (false, false) => Wanted::Unknown,
                }
            }
        }
    });
    wanted.max().unwrap_or(Wanted::No)
}
