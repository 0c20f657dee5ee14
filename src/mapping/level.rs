use super::emit::Stated;
use super::lookup::{Finding, Joined};
use super::memory::TableState;
use super::plan::Plan;
use super::row::Row;
use super::sum::Totals;
use crate::state::KeyHash;
use crate::stock::quantity::Decimal;
use crate::stock::{Quality, QualityFlag, Quantities};

/// What is said of a key under a derived mapping, beside the fields of `row`.
pub(super) struct Level<'a> {
    /// The row that speaks for the key, with everything that is looked up for it.
    pub(super) row: Joined<'a>,
    pub(super) quantity: Quantities,
    pub(super) quality: Quality,
    /// Whether several rows could have given the SKU.
    pub(super) ambiguous: bool,
}

impl<'a> Level<'a> {
    /// The level of a key under one mapping, `(table, mapping)`; `None` when no row stands behind
    /// it.
    pub(super) fn of(
        plan: &'a Plan,
        tables: &'a [TableState],
        at: (usize, usize),
        record: &[u8],
    ) -> Option<Self> {
        let (state, mapping) = (&tables[at.0], &plan.tables[at.0].mappings[at.1]);
        let owners = &state.owners[at.1];
        let key = KeyHash::of(record);
        let (row, count) = owners.of(key)?;
        let row = Row::cached(state.rows.behind(row)?);
        let row = Joined::of(row, mapping, &state.links[at.1], tables);
        let mut quality = Quality::default();
        let mut quantity = Quantities::default();
        if mapping.sums.is_empty() {
            for (measure, field) in &mapping.quantities {
                quantity.set(*measure, field.number(&row, &mut quality));
            }
            if count > 1 {
                quality.set(QualityFlag::SkuDuplicate);
            }
        } else {
            let rows = owners.rows(key).filter_map(|row| state.rows.behind(row));
            let totals = Totals::of(&mapping.sums, rows);
            let texts = totals.texts();
            quality.merge(totals.quality);
            quality.set(QualityFlag::Aggregated);
            for (measure, field) in &mapping.quantities {
                quantity.set(*measure, field.number(&totals.columns(&texts), &mut quality));
            }
        }
        let several = |found: &Finding<'_>| matches!(found, Finding::Row(_, count) if *count > 1);
        if row.findings().iter().any(several) {
            quality.set(QualityFlag::SkuDuplicate);
        }
        let mut findings = mapping.lookups.iter().zip(row.findings());
        let ambiguous = findings.any(|(lookup, found)| lookup.names_sku && several(found));
        Some(Self { row, quantity, quality, ambiguous })
    }

    pub(super) fn stated(&self) -> Stated<'_, Joined<'a>> {
        let Self { row, quantity, quality, ambiguous } = self;
        Stated { row, quantity: *quantity, quality: *quality, ambiguous: *ambiguous }
    }
}

/// The measure of a key under one mapping, `(table, mapping)`, as the cached rows have it.
pub(super) fn measured(
    plan: &Plan,
    tables: &[TableState],
    at: (usize, usize),
    record: &[u8],
) -> Option<Decimal> {
    let mapping = &plan.tables[at.0].mappings[at.1];
    let measure = mapping.measure?;
    Level::of(plan, tables, at, record)?.quantity.get(measure)
}
