use std::collections::BTreeMap;

use connector_api::{Identity, TableDescription, TableName};

use super::cascade::falls_with;
use super::definition::{Definition, Kind, Lookup};
use super::expression::{ColumnInfo, ColumnKind, Expression, ExpressionError, Program};
use super::field::{Field, misfit};
use super::lookup::LookupPlan;
use super::plan::{MappingPlan, PlanError};
use super::sum::Sum;
use super::types::{base_of, is_float, is_moment, is_text_alone, is_whole, kind_of};
use crate::stock::Measure;

/// A table that a plan needs, as the catalog describes it.
pub(super) struct Layout<'a> {
    pub(super) table: &'a TableDescription,
    /// The columns that are needed: those that identify a row first.
    pub(super) columns: Vec<String>,
    infos: Vec<ColumnInfo>,
}

impl<'a> Layout<'a> {
    /// Every table that `definitions` name, in the order of the names.
    pub(super) fn all(
        definitions: &[Definition],
        tables: &'a [TableDescription],
        errors: &mut Vec<PlanError>,
    ) -> Vec<Self> {
        let mut needed: BTreeMap<&TableName, Vec<&str>> = BTreeMap::new();
        for definition in definitions {
            needed.entry(&definition.table).or_default().extend(definition.columns_needed());
        }
        for lookup in definitions.iter().flat_map(|definition| &definition.lookups) {
            needed.entry(&lookup.table).or_default().extend(lookup.columns_needed());
        }
        let mut missing = |name: &TableName| {
            for (place, definition) in definitions.iter().enumerate() {
                let own = (&definition.table, "table".to_owned());
                let lookups = definition.lookups.iter().enumerate();
                let looked_up = lookups
                    .map(|(nth, lookup)| (&lookup.table, format!("lookup[{}].table", nth + 1)));
                let named =
                    std::iter::once(own).chain(looked_up).filter(|(table, _)| *table == name);
                errors.extend(named.map(|(_, key)| PlanError {
                    definition: place,
                    key,
                    found: format!("table {name} does not exist or cannot be seen"),
                    fix: "check its spelling, schema included".to_owned(),
                    missing: Some(Box::new(name.clone())),
                }));
            }
        };
        let mut layouts = Vec::new();
        for (name, wanted) in needed {
            match tables.iter().find(|table| table.name == *name) {
                Some(table) => layouts.push(Self::of(table, wanted)),
                None => missing(name),
            }
        }
        layouts
    }

    fn of(table: &'a TableDescription, wanted: Vec<&str>) -> Self {
        let mut columns = table.primary_key.clone();
        for column in wanted {
            if !columns.iter().any(|known| known == column) {
                columns.push(column.to_owned());
            }
        }
        let logged = table.columns.iter().filter(|column| column.logged);
        let info = |column: &connector_api::ColumnDescription| {
            ColumnInfo::new(&column.name, kind_of(&column.type_name))
        };
        Self { table, columns, infos: logged.map(info).collect() }
    }

    pub(super) fn old_images_are_full(&self) -> bool {
        self.table.identity == Identity::Full
    }

    /// Whether what an update leaves alone may not be in the log.
    pub(super) fn new_images_are_partial(&self) -> bool {
        let mut columns = self.table.columns.iter();
        columns.any(|column| column.omitted && self.columns.contains(&column.name))
    }

    /// The columns that identify a row, with their types. Whole numbers are one, whatever their
    /// sizes and signs.
    pub(super) fn identity(&self) -> String {
        let part = |column: &String| {
            let type_name = self.type_of(column).unwrap_or_default();
            match is_whole(type_name) {
                true => format!("{column:?} integer"),
                false => format!("{column:?} {type_name}"),
            }
        };
        self.table.primary_key.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// Whether each column that identifies a row holds whole numbers, where that is certain.
    pub(super) fn whole_numbers(&self) -> Vec<Option<bool>> {
        let is_whole = |column: &String| {
            let type_name = self.type_of(column)?;
            let is_other = matches!(base_of(type_name), "numeric" | "decimal")
                || kind_of(type_name) == ColumnKind::Text;
            is_whole(type_name).then_some(true).or(is_other.then_some(false))
        };
        self.table.primary_key.iter().map(is_whole).collect()
    }

    pub(super) fn place(&self, column: &str) -> usize {
        self.columns.iter().position(|known| known == column).expect("its column is captured")
    }

    fn has(&self, column: &str) -> bool {
        self.table.columns.iter().any(|known| known.name == column)
    }

    fn type_of(&self, column: &str) -> Option<&str> {
        let found = self.table.columns.iter().find(|known| known.name == column);
        found.map(|found| found.type_name.as_str())
    }
}

/// From here on places are those of looked-up columns among all that a mapping sees.
const LOOKED_UP: usize = 1 << 24;

/// Compiles one definition against its tables.
pub(super) struct Compiler<'a> {
    definition: usize,
    from: &'a Definition,
    layouts: &'a [Layout<'a>],
    own: usize,
    /// The columns of the stock table, then the names that lookups give.
    infos: Vec<ColumnInfo>,
    errors: Vec<PlanError>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(definition: usize, from: &'a Definition, layouts: &'a [Layout<'a>]) -> Self {
        let own = position(layouts, &from.table);
        let infos = layouts[own].infos.clone();
        Self { definition, from, layouts, own, infos, errors: Vec::new() }
    }

    /// The place of the definition's table, and what is done with its rows.
    pub(super) fn mapping(mut self, revision: u32) -> Result<(usize, MappingPlan), Vec<PlanError>> {
        let from = self.from;
        let lookups = self.lookups();
        if !self.errors.is_empty() {
            // What else is wrong may only follow from names that nobody gives now.
            return Err(self.errors);
        }
        self.check_rows_are_identified();
        self.check_sums();
        self.check_keys();
        for (key, expression) in from.expressions() {
            let error = self.field(key, expression).err();
            self.errors.extend(error);
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let field = |key, expression: &Expression| {
            self.field(key, expression).expect("every field was compiled above")
        };
        let optional = |key, expression: &Option<Expression>| {
            expression.as_ref().map(|expression| field(key, expression))
        };
        let quantities: Vec<(Measure, Field)> = from
            .quantities
            .iter()
            .map(|(measure, expression)| (*measure, field(measure.as_str(), expression)))
            .collect();
        let read = quantities.iter().find(|(_, field)| field.column().is_some());
        let measure = from.measure.or(read.map(|(measure, _)| *measure));
        let layout = &self.layouts[self.own];
        let mut mapping = MappingPlan {
            label: format!("{}@{revision}", from.name),
            kind: from.kind,
            filter: optional("where", &from.filter),
            removed_when: optional("removed_when", &from.removed_when),
            item: field("item", &from.item),
            sku: optional("sku", &from.sku),
            gtin: optional("gtin", &from.gtin),
            parent: optional("parent", &from.parent),
            location: optional("location", &from.location),
            bucket: optional("bucket", &from.bucket),
            quantities,
            measure,
            delta: optional("delta", &from.delta),
            active: optional("active", &from.active),
            tracked: optional("tracked", &from.tracked),
            unit: from.unit.clone(),
            coalesce: from.coalesce,
            owned: false,
            derived: !from.lookups.is_empty() || !from.sum.is_empty(),
            lookups,
            sums: from.sum.iter().map(|column| self.sum(column)).collect(),
            grace_us: i64::try_from(from.removal_grace_ms).unwrap_or(i64::MAX).saturating_mul(1000),
        };
        let identity_width = layout.table.primary_key.len();
        // A ledger row is never replaced, so nothing has to be remembered of it.
        mapping.owned = mapping.kind == Kind::Level
            && identity_width > 0
            && (mapping.derived || !mapping.is_keyed_by(identity_width));
        Ok((self.own, mapping))
    }

    fn error(&mut self, key: impl Into<String>, found: String, fix: impl Into<String>) {
        let (definition, key, fix) = (self.definition, key.into(), fix.into());
        self.errors.push(PlanError { definition, key, found, fix, missing: None });
    }

    fn field(&self, key: &str, expression: &Expression) -> Result<Field, PlanError> {
        let layout = &self.layouts[self.own];
        let program = self.program(key, expression, layout, &self.infos)?;
        self.fits(key, key, &program, layout)?;
        Ok(Field::new(program))
    }

    /// `key` is where it stands, `of` what it is called there.
    fn fits(
        &self,
        key: &str,
        of: &str,
        program: &Program,
        layout: &Layout<'_>,
    ) -> Result<(), PlanError> {
        let column = program.column().and_then(|place| layout.columns.get(place));
        let type_name = column.and_then(|column| layout.type_of(column));
        let kind = match type_name.is_some_and(is_text_alone) {
            true => ColumnKind::Text,
            false => program.kind(),
        };
        let Some((found, fix)) = misfit(of, kind) else { return Ok(()) };
        Err(PlanError {
            definition: self.definition,
            key: key.to_owned(),
            found: format!("table {}: {found}", layout.table.name),
            fix: fix.to_owned(),
            missing: None,
        })
    }

    fn program(
        &self,
        key: &str,
        expression: &Expression,
        layout: &Layout<'_>,
        infos: &[ColumnInfo],
    ) -> Result<Program, PlanError> {
        let name = &layout.table.name;
        let error = |found: String, fix: String| PlanError {
            definition: self.definition,
            key: key.to_owned(),
            found,
            fix,
            missing: None,
        };
        for column in expression.columns() {
            let unlogged =
                |known: &&connector_api::ColumnDescription| known.name == column && !known.logged;
            if layout.table.columns.iter().any(|known| unlogged(&known)) {
                return Err(error(
                    format!("column {column} of {name} is generated and not logged"),
                    "write the generating expression instead of the column".to_owned(),
                ));
            }
        }
        let mut columns = expression.columns().into_iter();
        let moment = columns.find(|column| layout.type_of(column).is_some_and(is_moment));
        if let (Some(column), Some(text)) = (moment, expression.blank_moment()) {
            return Err(error(
                format!(
                    "{text}, which no value of {column} of {name} equals: they have a T between \
                     day and time"
                ),
                format!("write '{}', with a Z behind it for a time zone", text.replace(' ', "T")),
            ));
        }
        let program = expression.compile(infos).map_err(|found: ExpressionError| {
            error(format!("table {name}: {found}"), found.fix())
        })?;
        let place = |index: usize| match index.checked_sub(LOOKED_UP) {
            Some(place) => place,
            None => layout.place(infos[index].name()),
        };
        Ok(program.relocate(&place))
    }

    /// Compiles the lookups in an order in which each needs only what those before it give, and
    /// makes their names known.
    fn lookups(&mut self) -> Vec<LookupPlan> {
        let mut plans = Vec::new();
        let mut start = self.layouts[self.own].columns.len();
        let order = self.from.lookup_order().unwrap_or_else(|first| {
            let found = "lookups that need each other's columns".to_owned();
            let fix = "let one of them ask with columns of the stock table alone";
            self.error(format!("lookup[{}].on", first + 1), found, fix);
            Vec::new()
        });
        for nth in order {
            let known = self.errors.len();
            let plan = self.lookup(nth, start);
            if self.errors.len() == known {
                start += 1 + self.layouts[plan.table].columns.len();
                plans.push(plan);
            }
        }
        plans
    }

    fn lookup(&mut self, nth: usize, start: usize) -> LookupPlan {
        let from: &'a Lookup = &self.from.lookups[nth];
        let table = position(self.layouts, &from.table);
        let layouts = self.layouts;
        let layout = &layouts[table];
        let key = |part: &str| format!("lookup[{}].{part}", nth + 1);
        let mut plan = LookupPlan {
            table,
            filter: None,
            keys: Vec::new(),
            asks: Vec::new(),
            start,
            uses: from.columns_needed().into_iter().map(|column| layout.place(column)).collect(),
            required: from.required,
            cascades: falls_with(self.layouts, &layouts[self.own].table.name, &from.table),
            names_sku: self.names_sku(nth),
        };
        if let Some(filter) = &from.filter {
            let program = self.program(&key("where"), filter, layout, &layout.infos);
            let checked = program.and_then(|program| {
                self.fits(&key("where"), "where", &program, layout).map(|()| program)
            });
            plan.filter = self.noted(checked).map(Field::new);
        }
        for (column, value) in &from.on {
            let key = key(&format!("on.{column}"));
            let column = Expression::column(column);
            let found = self.program(&key, &column, layout, &layout.infos);
            let asked = self.program(&key, value, &layouts[self.own], &self.infos);
            if let Some((found, asked)) = self.noted(found).zip(self.noted(asked)) {
                self.check_kinds(&key, found.kind(), asked.kind());
                plan.keys.push(Field::new(found));
                plan.asks.push(Field::new(asked));
            }
        }
        self.check_lookup(nth, layout, &plan);
        for (name, value) in &from.columns {
            let key = key(&format!("columns.{name}"));
            if layouts[self.own].has(name) {
                let found = format!("{name}, which is a column of {} too", self.from.table);
                self.error(&key, found, "give it another name");
                self.infos.retain(|info| info.name() != name);
            }
            let program = self.program(&key, value, layout, &layout.infos);
            let Some(program) = self.noted(program) else { continue };
            let bare = program.column().is_some();
            let mut program = program.relocate(&|place| LOOKED_UP + start + 1 + place);
            if !bare {
                program = program.guarded(LOOKED_UP + start);
            }
            self.infos.push(ColumnInfo::standing_for(name, program));
        }
        plan
    }

    fn sum(&self, column: &str) -> Sum {
        let layout = &self.layouts[self.own];
        let program = self.program("sum", &Expression::column(column), layout, &layout.infos);
        let field = Field::new(program.expect("every sum was checked above"));
        Sum { place: layout.place(column), field }
    }

    fn noted<T>(&mut self, result: Result<T, PlanError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    fn names_sku(&self, nth: usize) -> bool {
        let named = self.from.sku.iter().flat_map(Expression::columns);
        named.filter_map(|column| self.from.lookup_of(column)).any(|lookup| lookup == nth)
    }

    fn check_kinds(&mut self, key: &str, found: ColumnKind, asked: ColumnKind) {
        let known = |kind: ColumnKind| kind != ColumnKind::Unknown;
        if found != asked && known(found) && known(asked) {
            let named = |kind: ColumnKind| match kind {
                ColumnKind::Number => "a number",
                ColumnKind::Text => "text",
                ColumnKind::Bool => "a condition",
                ColumnKind::Unknown => "a value",
            };
            let what = format!("{} to be equal to {}", named(found), named(asked));
            self.error(key, what, "write CAST(... AS text) or CAST(... AS integer) on the right");
        }
    }

    fn check_lookup(&mut self, nth: usize, layout: &Layout<'_>, plan: &LookupPlan) {
        let key = |part: &str| format!("lookup[{}].{part}", nth + 1);
        let own = &self.layouts[self.own];
        if layout.table.primary_key.is_empty() {
            let found = format!("table {} without a primary key", layout.table.name);
            self.error(key("table"), found, "only tables with a primary key can be looked up");
        }
        let width = own.table.primary_key.len();
        let itself = |place: usize| {
            let mut pairs = plan.keys.iter().zip(&plan.asks);
            pairs.any(|(found, asked)| {
                (found.column(), asked.column()) == (Some(place), Some(place))
            })
        };
        if own.table.name == layout.table.name && width > 0 && (0..width).all(itself) {
            let found = "a row that looks for itself: the whole primary key is on both sides";
            let fix = "name the columns of the row directly, without a lookup";
            self.error(key("on"), found.to_owned(), fix);
        }
    }

    fn check_rows_are_identified(&mut self) {
        let layout = &self.layouts[self.own];
        let name = &layout.table.name;
        if !layout.table.primary_key.is_empty() || self.from.kind == Kind::Movement {
            return;
        }
        let needs = [("lookup", !self.from.lookups.is_empty()), ("sum", !self.from.sum.is_empty())];
        for (key, _) in needs.into_iter().filter(|(_, needed)| *needed) {
            let found = format!("table {name} without a primary key");
            self.error(key, found, "its rows have to be told apart: add a primary key");
        }
        let filters = [("where", &self.from.filter), ("removed_when", &self.from.removed_when)];
        for (key, _) in filters.into_iter().filter(|(_, filter)| filter.is_some()) {
            if !layout.old_images_are_full() {
                let found = format!(
                    "table {name}, of whose deleted rows the log does not tell whether they were \
                     meant: it has no primary key, and old images do not hold every column"
                );
                let fix = "add a primary key, or remove the condition";
                self.error(key, found, fix);
            }
        }
    }

    /// Sums are of numbers, or of what is read as numbers.
    fn check_sums(&mut self) {
        let from = self.from;
        let layout = &self.layouts[self.own];
        for column in &from.sum {
            match layout.type_of(column) {
                None => {
                    let found = format!("column {column}, which {} does not have", from.table);
                    self.error("sum", found, "name columns of the table itself");
                }
                Some(type_name) if kind_of(type_name) == ColumnKind::Bool => {
                    let found = format!("column {column} of {}, a boolean", from.table);
                    self.error("sum", found, "name columns that hold numbers");
                }
                Some(_) => {}
            }
        }
    }

    /// A binary float prints in many ways: a key made of one would change with the version of the
    /// server, and by reckoning.
    fn check_keys(&mut self) {
        let layout = &self.layouts[self.own];
        let from = self.from;
        let parts = [
            ("item", Some(&from.item)),
            ("location", from.location.as_ref()),
            ("bucket", from.bucket.as_ref()),
        ];
        for (key, expression) in parts {
            for column in expression.into_iter().flat_map(Expression::columns) {
                if layout.type_of(column).is_some_and(is_float) {
                    let found = format!("column {column} of {}, a binary float", from.table);
                    self.error(key, found, "make keys of columns that hold exact values");
                }
            }
        }
    }
}

fn position(layouts: &[Layout<'_>], table: &TableName) -> usize {
    let found = layouts.iter().position(|layout| layout.table.name == *table);
    found.expect("every table that a definition names has a layout")
}
