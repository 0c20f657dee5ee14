use std::collections::BTreeSet;
use std::sync::Arc;

use connector_api::{
    Capture, CaptureTable, Column, Columns, TableDescription, TableName, TableSchema, Value,
};

use super::compile::{Compiler, Layout};
use super::definition::{Definition, Kind};
use super::field::Field;
use super::lookup::LookupPlan;
use super::sum::Sum;
use crate::state::CachedRow;
use crate::stock::Measure;

/// A definition that does not fit the table it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found}")]
pub struct PlanError {
    /// Place of the definition in its seller's file, from 0.
    pub definition: usize,
    /// The key it stands under: `item`, `lookup[1].on.id`.
    pub key: String,
    /// What is wrong.
    pub found: String,
    /// How to mend it.
    pub fix: String,
    /// The table, when what is wrong is that there is none of its name.
    pub missing: Option<Box<TableName>>,
}

/// One seller's definitions, compiled against its tables.
#[derive(Debug)]
pub struct Plan {
    pub(super) tables: Vec<TablePlan>,
}

/// What is done with the rows of one table.
#[derive(Debug)]
pub(super) struct TablePlan {
    pub(super) name: TableName,
    /// `schema.table`, as events name it.
    pub(super) text: String,
    /// Captured columns: those that identify a row first, then the mapped ones.
    pub(super) columns: Vec<String>,
    /// How many of `columns` identify a row; 0 when nothing does.
    pub(super) identity_width: usize,
    /// Rows of exactly `columns`.
    pub(super) shape: Arc<TableSchema>,
    /// What rows are known by, for people and hashes.
    identity: String,
    /// Whether each of the columns that identify a row holds whole numbers, where that is certain.
    whole_numbers: Vec<Option<bool>>,
    /// Whether the last image of rows is kept.
    pub(super) cached: bool,
    /// Whether that of every row is, or only of those that a derived mapping or a lookup wants.
    pub(super) keeps_all: bool,
    /// Whether a change of a row may change what is said of other rows.
    pub(super) derives: bool,
    pub(super) mappings: Vec<MappingPlan>,
    /// The lookups that look for rows of this table.
    pub(super) looked_up_by: Vec<LookupPlace>,
}

/// Where a lookup stands in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LookupPlace {
    pub(super) table: usize,
    pub(super) mapping: usize,
    pub(super) lookup: usize,
}

/// One definition, compiled. Columns are places in [`TablePlan::columns`], and behind them those
/// of the tables that are looked up.
#[derive(Debug)]
pub(super) struct MappingPlan {
    /// Name and revision: `public.stock@1`.
    pub(super) label: String,
    pub(super) kind: Kind,
    pub(super) filter: Option<Field>,
    pub(super) removed_when: Option<Field>,
    pub(super) item: Field,
    pub(super) sku: Option<Field>,
    pub(super) gtin: Option<Field>,
    pub(super) parent: Option<Field>,
    pub(super) location: Option<Field>,
    pub(super) bucket: Option<Field>,
    pub(super) quantities: Vec<(Measure, Field)>,
    pub(super) measure: Option<Measure>,
    pub(super) delta: Option<Field>,
    pub(super) active: Option<Field>,
    pub(super) tracked: Option<Field>,
    pub(super) unit: String,
    pub(super) coalesce: bool,
    /// Whether several rows can yield one key, so that the rows behind each key are remembered.
    pub(super) owned: bool,
    /// Whether what is said of a key takes more than one row: lookups, sums.
    pub(super) derived: bool,
    /// In the order in which they can be followed.
    pub(super) lookups: Vec<LookupPlan>,
    /// Columns that are added up over the rows of a key.
    pub(super) sums: Vec<Sum>,
    /// How long removals wait, microseconds.
    pub(super) grace_us: i64,
}

impl Plan {
    /// Compiles `definitions` against `tables`. Returns everything that does not fit, at once.
    pub fn compile(
        definitions: &[Definition],
        tables: &[TableDescription],
        revision: u32,
    ) -> Result<Self, Vec<PlanError>> {
        let mut errors = Vec::new();
        let layouts = Layout::all(definitions, tables, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut plans: Vec<TablePlan> = layouts.iter().map(TablePlan::new).collect();
        for (place, definition) in definitions.iter().enumerate() {
            match Compiler::new(place, definition, &layouts).mapping(revision) {
                Ok((table, mapping)) => plans[table].mappings.push(mapping),
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut plan = Self { tables: plans };
        plan.connect();
        for (table, layout) in plan.tables.iter_mut().zip(&layouts) {
            table.decide(layout);
        }
        Ok(plan)
    }

    /// Tells every table which lookups look for its rows.
    fn connect(&mut self) {
        for table in 0..self.tables.len() {
            for mapping in 0..self.tables[table].mappings.len() {
                for lookup in 0..self.tables[table].mappings[mapping].lookups.len() {
                    let place = LookupPlace { table, mapping, lookup };
                    let looked_up = self.lookup(place).table;
                    self.tables[looked_up].looked_up_by.push(place);
                }
            }
        }
    }

    pub(super) fn lookup(&self, place: LookupPlace) -> &LookupPlan {
        &self.tables[place.table].mappings[place.mapping].lookups[place.lookup]
    }

    pub(super) fn place_of(&self, name: &TableName) -> Option<usize> {
        self.tables.iter().position(|table| table.name == *name)
    }

    /// The tables and columns this plan needs.
    pub fn capture(&self) -> Capture {
        let wanted = |table: &TablePlan| CaptureTable {
            name: table.name.clone(),
            columns: Columns::Only(table.columns.clone()),
        };
        Capture { tables: self.tables.iter().map(wanted).collect() }
    }

    /// The tables of which levels are published or that are looked up, in the order in which they
    /// are to be read: those that are looked up before those whose rows look them up.
    pub fn snapshot_order(&self) -> Vec<TableName> {
        let mut order = Vec::new();
        let mut entered = BTreeSet::new();
        for (place, table) in self.tables.iter().enumerate() {
            if table.mappings.iter().any(|mapping| mapping.kind == Kind::Level) {
                self.enter(place, &mut entered, &mut order);
            }
        }
        order.into_iter().map(|table: usize| self.tables[table].name.clone()).collect()
    }

    /// The other tables whose rows look rows of this one up.
    pub fn dependants_of(&self, table: &TableName) -> Vec<TableName> {
        let place = self.place_of(table);
        let looked_up_by = place.into_iter().flat_map(|place| &self.tables[place].looked_up_by);
        let mut tables: Vec<usize> = looked_up_by.map(|lookup| lookup.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let others = tables.into_iter().filter(|other| Some(*other) != place);
        others.map(|table| self.tables[table].name.clone()).collect()
    }

    /// Whether the rows of a table, `schema.table`, look up rows of another one of these.
    pub fn looks_up(&self, table: &str, others: &BTreeSet<TableName>) -> bool {
        let plan = self.tables.iter().find(|plan| plan.text == table);
        let lookups = plan.into_iter().flat_map(|plan| &plan.mappings).flat_map(|one| &one.lookups);
        let mut names = lookups.map(|lookup| &self.tables[lookup.table]);
        names.any(|other| other.text != table && others.contains(&other.name))
    }

    /// What the rows of a table are known by, and which of them are remembered: where that has
    /// changed, what was remembered of the table is of no use.
    pub fn memory_of(&self, table: &TableName) -> String {
        let plan = self.place_of(table).map(|place| &self.tables[place]);
        plan.map_or_else(String::new, |plan| {
            let kept = match (plan.keeps_all, plan.cached) {
                (true, _) => "all",
                (false, true) => "some",
                (false, false) => "none",
            };
            format!("{} {kept}", plan.identity)
        })
    }

    fn enter(&self, table: usize, entered: &mut BTreeSet<usize>, order: &mut Vec<usize>) {
        if !entered.insert(table) {
            return;
        }
        for lookup in self.tables[table].mappings.iter().flat_map(|mapping| &mapping.lookups) {
            self.enter(lookup.table, entered, order);
        }
        order.push(table);
    }

    /// The tables definitions name, for a survey before there is a plan.
    pub fn tables_of(definitions: &[Definition]) -> Capture {
        let mut capture = Capture::default();
        for definition in definitions {
            add(&mut capture, &definition.table, definition.columns_needed());
            for lookup in &definition.lookups {
                add(&mut capture, &lookup.table, lookup.columns_needed());
            }
        }
        for table in &mut capture.tables {
            if let Columns::Only(columns) = &mut table.columns {
                columns.sort_unstable();
                columns.dedup();
            }
        }
        capture
    }
}

/// Adds columns of a table to a capture.
fn add(capture: &mut Capture, table: &TableName, columns: Vec<&str>) {
    let columns = columns.into_iter().map(str::to_owned);
    let known = capture.tables.iter_mut().find(|known| known.name == *table);
    match known.map(|known| &mut known.columns) {
        Some(Columns::Only(known)) => known.extend(columns),
        Some(Columns::All) => {}
        None => capture
            .tables
            .push(CaptureTable { name: table.clone(), columns: Columns::Only(columns.collect()) }),
    }
}

impl TablePlan {
    fn new(layout: &Layout<'_>) -> Self {
        let name = layout.table.name.clone();
        let identity_width = layout.table.primary_key.len();
        let column = |(place, name): (usize, &String)| Column {
            name: name.clone(),
            type_name: String::new(),
            identity: place < identity_width,
        };
        let columns = layout.columns.iter().enumerate().map(column).collect();
        Self {
            shape: Arc::new(TableSchema { name: name.clone(), columns }),
            text: name.to_string(),
            name,
            columns: layout.columns.clone(),
            identity_width,
            identity: layout.identity(),
            whole_numbers: layout.whole_numbers(),
            cached: false,
            keeps_all: false,
            derives: false,
            mappings: Vec::new(),
            looked_up_by: Vec::new(),
        }
    }

    /// Whether a stored row may be one of this table as it is now. A column that held numbers may
    /// hold texts since: `1` is another row then, of the same name in the store.
    pub(super) fn may_hold(&self, row: Option<&CachedRow>) -> bool {
        let fits = |(value, whole): (Value<'_>, &Option<bool>)| {
            whole.is_none_or(|whole| whole == matches!(value, Value::Int(_) | Value::UInt(_)))
        };
        row.is_some_and(|row| row.values().zip(&self.whole_numbers).all(fits))
    }

    /// What has to be remembered of the rows, now that everything that is said of them is known.
    fn decide(&mut self, layout: &Layout<'_>) {
        let cascades = |mapping: &MappingPlan| mapping.lookups.iter().any(|lookup| lookup.required);
        // A row that a cascade took is gone for the other mappings of its table too.
        if self.mappings.iter().any(cascades) {
            for mapping in self.mappings.iter_mut().filter(|one| one.kind == Kind::Level) {
                (mapping.derived, mapping.owned) = (true, true);
            }
        }
        let identified = self.identity_width > 0;
        self.keeps_all = identified
            && self.mappings.iter().filter(|mapping| !mapping.derived).any(|mapping| {
                // A ledger is made of rows as they come in.
                let is_level = mapping.kind == Kind::Level;
                let filtered = mapping.filter.is_some() || mapping.removed_when.is_some();
                let is_partial = layout.new_images_are_partial();
                let lacks_more = (filtered && !layout.old_images_are_full()) || is_partial;
                mapping.owned || (is_level && lacks_more)
            });
        self.derives =
            !self.looked_up_by.is_empty() || self.mappings.iter().any(|mapping| mapping.derived);
        self.cached = self.keeps_all || self.derives;
    }
}

impl MappingPlan {
    /// Whether item, location and bucket are exactly the columns that identify a row, so that one
    /// key has one row and one row one key for as long as its identity does not change.
    pub(super) fn is_keyed_by(&self, identity_width: usize) -> bool {
        let parts = [Some(&self.item), self.location.as_ref(), self.bucket.as_ref()];
        let mut covered = vec![false; identity_width];
        for part in parts.into_iter().flatten() {
            match part.column() {
                Some(column) if column < identity_width => covered[column] = true,
                Some(_) => return false,
                None if part.is_constant() => {}
                None => return false,
            }
        }
        covered.into_iter().all(|covered| covered)
    }
}
