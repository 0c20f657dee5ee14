use connector_api::Value;

use super::expression::Columns;
use super::field::{Field, Text, Truth};
use super::memory::TableState;
use super::plan::{MappingPlan, Plan};
use super::row::Row;
use super::standing::{Arena, Key, Standing, standing};
use crate::state::{CachedRow, KeyHash, Owners};
use crate::stock::{SellerId, SourceName};

/// One lookup of a mapping, compiled.
#[derive(Debug)]
pub(super) struct LookupPlan {
    /// The plan's table that is looked up.
    pub(super) table: usize,
    /// Which of its rows count.
    pub(super) filter: Option<Field>,
    /// Over a looked-up row: what it is found by.
    pub(super) keys: Vec<Field>,
    /// Over a stock row: what is looked for.
    pub(super) asks: Vec<Field>,
    /// Where its columns begin among all that the mapping sees. The first says whether there is a
    /// row; those of the looked-up table follow.
    pub(super) start: usize,
    /// The columns of the looked-up table that matter.
    pub(super) uses: Vec<usize>,
    /// Whether a stock row without a looked-up row counts as gone.
    pub(super) required: bool,
    /// Whether the server deletes stock rows with a looked-up row, and does not say so.
    pub(super) cascades: bool,
    /// Whether the SKU comes from it.
    pub(super) names_sku: bool,
}

/// What a lookup looks for, or is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupKey {
    Known(KeyHash),
    /// A part of it is NULL, which equals nothing.
    Null,
    /// The row image does not say.
    Unknown,
}

impl LookupKey {
    fn of(fields: &[Field], row: &impl Columns) -> Self {
        let (mut bytes, mut text) = (Vec::new(), String::new());
        let mut unknown = false;
        for field in fields {
            text.clear();
            match field.text(row, &mut text) {
                Text::Null => return Self::Null,
                Text::Absent => unknown = true,
                Text::Written => {
                    bytes.extend_from_slice(&text.len().to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        if unknown { Self::Unknown } else { Self::Known(KeyHash::of(&bytes)) }
    }

    pub(super) fn known(self) -> Option<KeyHash> {
        match self {
            Self::Known(key) => Some(key),
            Self::Null | Self::Unknown => None,
        }
    }
}

impl LookupPlan {
    /// What a row of the looked-up table is found by, if it counts.
    pub(super) fn found_by(&self, row: &CachedRow) -> Option<KeyHash> {
        self.name_of(row).and_then(LookupKey::known)
    }

    /// Whether a row of the looked-up table counts, and does not say what it is found by.
    pub(super) fn lacks_name(&self, row: &CachedRow) -> bool {
        self.name_of(row) == Some(LookupKey::Unknown)
    }

    /// What a row of the looked-up table is looked for by, whether or not it counts.
    pub(super) fn key_of(&self, row: &CachedRow) -> Option<KeyHash> {
        LookupKey::of(&self.keys, &Row::cached(row)).known()
    }

    fn name_of(&self, row: &CachedRow) -> Option<LookupKey> {
        let row = Row::cached(row);
        let counts = self.filter.as_ref().is_none_or(|filter| filter.truth(&row) == Truth::True);
        counts.then(|| LookupKey::of(&self.keys, &row))
    }

    /// Whether two states of a looked-up row are the same to those who look it up.
    pub(super) fn same(&self, one: &CachedRow, other: &CachedRow) -> bool {
        self.uses.iter().all(|place| one.get(*place) == other.get(*place))
    }
}

/// The two ways along a lookup. Derived from the cached rows.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Looked-up rows by what they are found by.
    pub(super) found: Owners,
    /// Stock rows by what they look for.
    pub(super) sought: Owners,
}

/// What a lookup found for one stock row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finding<'a> {
    /// The row with the lowest primary key, and how many there are.
    Row(&'a CachedRow, usize),
    Nothing,
    /// What is looked for is not known.
    Unknown,
}

/// A stock row with everything that is looked up for it.
pub(super) struct Joined<'a> {
    own: Row<'a>,
    /// Where the looked-up columns of each lookup begin.
    starts: [usize; LOOKUPS_MAX],
    findings: Vec<Finding<'a>>,
    /// What each lookup looked for.
    pub(super) asked: Vec<LookupKey>,
}

/// The most lookups of one mapping.
pub const LOOKUPS_MAX: usize = 16;

impl<'a> Joined<'a> {
    /// The row with what the lookups of `mapping`, whose links these are, find for it.
    pub(super) fn of(
        own: Row<'a>,
        mapping: &MappingPlan,
        links: &'a [Link],
        tables: &'a [TableState],
    ) -> Self {
        let mut joined = Self::alone(own);
        for (nth, (lookup, link)) in mapping.lookups.iter().zip(links).enumerate() {
            joined.starts[nth] = lookup.start;
            let key = LookupKey::of(&lookup.asks, &joined);
            let finding = match key {
                LookupKey::Unknown => Finding::Unknown,
                LookupKey::Null => Finding::Nothing,
                LookupKey::Known(key) => {
                    let found = link.found.of(key).and_then(|(row, count)| {
                        Some(Finding::Row(tables[lookup.table].rows.behind(row)?, count))
                    });
                    found.unwrap_or(Finding::Nothing)
                }
            };
            joined.findings.push(finding);
            joined.asked.push(key);
        }
        joined
    }

    /// The row with nothing looked up: what lookups give is not known.
    pub(super) fn alone(own: Row<'a>) -> Self {
        let starts = [usize::MAX; LOOKUPS_MAX];
        Self { own, starts, findings: Vec::new(), asked: Vec::new() }
    }

    /// Whether the row may be one of `mapping`, whatever is looked up for it.
    pub(super) fn may_count(own: Row<'a>, mapping: &MappingPlan) -> bool {
        let filter = mapping.filter.as_ref();
        filter.is_none_or(|filter| filter.truth(&Self::alone(own)) != Truth::NotTrue)
    }

    /// Whether a row that it cannot be without is not there.
    pub(super) fn is_orphan(&self, mapping: &MappingPlan) -> bool {
        let mut findings = mapping.lookups.iter().zip(&self.findings);
        findings.any(|(lookup, found)| lookup.required && matches!(found, Finding::Nothing))
    }

    /// Whether it cannot be told if a row is there that it cannot be without.
    pub(super) fn is_unclear(&self, mapping: &MappingPlan) -> bool {
        let mut findings = mapping.lookups.iter().zip(&self.findings);
        findings.any(|(lookup, found)| lookup.required && matches!(found, Finding::Unknown))
    }

    /// What each lookup found.
    pub(super) fn findings(&self) -> &[Finding<'a>] {
        &self.findings
    }
}

impl Columns for Joined<'_> {
    fn get(&self, index: usize) -> Value<'_> {
        let known = &self.starts[..self.findings.len()];
        let nth = known.iter().rposition(|start| *start <= index);
        let Some(nth) = nth else {
            return self.own.get(index);
        };
        match (self.findings[nth], index - self.starts[nth]) {
            (Finding::Unknown, _) => Value::Absent,
            (Finding::Nothing, 0) => Value::Bool(false),
            (Finding::Nothing, _) => Value::Null,
            (Finding::Row(..), 0) => Value::Bool(true),
            (Finding::Row(row, _), place) => row.get(place - 1),
        }
    }
}

/// The rows behind each key of a derived mapping, `(table, mapping)`, and for each of its lookups
/// the rows behind what they look for.
pub(super) fn linked(
    plan: &Plan,
    tables: &[TableState],
    at: (usize, usize),
    who: (&SellerId, &SourceName),
) -> (Owners, Vec<Owners>) {
    let (state, mapping) = (&tables[at.0], &plan.tables[at.0].mappings[at.1]);
    let mut owners = Owners::default();
    let mut sought: Vec<Owners> = mapping.lookups.iter().map(|_| Owners::default()).collect();
    let mut arena = Arena::default();
    for row in state.rows.iter().filter(|row| Joined::may_count(Row::cached(row), mapping)) {
        arena.clear();
        let id = state.rows.id_of(row);
        let joined = Joined::of(Row::cached(row), mapping, &state.links[at.1], tables);
        if let Some(key) = live(mapping, &joined, who, &mut arena) {
            let key = KeyHash::of(arena.get(key.record).as_bytes());
            owners.add(key, &id, &state.rows);
        }
        for (sought, asked) in sought.iter_mut().zip(&joined.asked) {
            if let Some(key) = asked.known() {
                sought.add(key, &id, &state.rows);
            }
        }
    }
    (owners, sought)
}

/// The key that a row stands behind, if it does.
pub(super) fn live(
    mapping: &MappingPlan,
    joined: &Joined<'_>,
    who: (&SellerId, &SourceName),
    arena: &mut Arena,
) -> Option<Key> {
    match standing(mapping, joined, who, arena) {
        Ok(Standing::Live(key)) if !joined.is_orphan(mapping) && !joined.is_unclear(mapping) => {
            Some(key)
        }
        _ => None,
    }
}
