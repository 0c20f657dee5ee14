use std::collections::BTreeMap;

use connector_api::{Capture, CaptureTable, Columns, Identity, TableDescription, TableName};

use super::definition::{Definition, Kind};
use super::expression::{ColumnInfo, ColumnKind, Expression, ExpressionError};
use super::field::Field;
use crate::stock::Measure;

/// A definition that does not fit the table it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found}")]
pub struct PlanError {
    /// Place of the definition in its seller's file, from 0.
    pub definition: usize,
    /// The key it stands under.
    pub key: &'static str,
    /// What is wrong.
    pub found: String,
    /// How to mend it.
    pub fix: String,
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
    /// Whether the last image of every row is kept.
    pub(super) cached: bool,
    pub(super) mappings: Vec<MappingPlan>,
}

/// One definition, compiled. Columns are places in [`TablePlan::columns`].
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
}

impl Plan {
    /// Compiles `definitions` against `tables`. Returns everything that does not fit, at once.
    pub fn compile(
        definitions: &[Definition],
        tables: &[TableDescription],
        revision: u32,
    ) -> Result<Self, Vec<PlanError>> {
        let mut by_table: BTreeMap<&TableName, Vec<usize>> = BTreeMap::new();
        for (place, definition) in definitions.iter().enumerate() {
            by_table.entry(&definition.table).or_default().push(place);
        }
        let mut errors = Vec::new();
        let mut plans = Vec::new();
        for (name, places) in by_table {
            let Some(table) = tables.iter().find(|table| table.name == *name) else {
                errors.extend(places.iter().map(|&definition| PlanError {
                    definition,
                    key: "table",
                    found: format!("table {name} does not exist or cannot be seen"),
                    fix: "check its spelling, schema included".to_owned(),
                }));
                continue;
            };
            let chosen: Vec<(usize, &Definition)> =
                places.iter().map(|&place| (place, &definitions[place])).collect();
            match TablePlan::compile(&chosen, table, revision) {
                Ok(plan) => plans.push(plan),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() { Ok(Self { tables: plans }) } else { Err(errors) }
    }

    /// The tables and columns this plan needs.
    pub fn capture(&self) -> Capture {
        let wanted = |table: &TablePlan| CaptureTable {
            name: table.name.clone(),
            columns: Columns::Only(table.columns.clone()),
        };
        Capture { tables: self.tables.iter().map(wanted).collect() }
    }

    /// The tables definitions name, for a survey before there is a plan.
    pub fn tables_of(definitions: &[Definition]) -> Capture {
        let mut capture = Capture::default();
        for definition in definitions {
            let mut columns: Vec<String> = Vec::new();
            for (_, expression) in definition.expressions() {
                columns.extend(expression.columns().into_iter().map(str::to_owned));
            }
            let known = capture.tables.iter_mut().find(|table| table.name == definition.table);
            match known.map(|table| &mut table.columns) {
                Some(Columns::Only(known)) => known.extend(columns),
                Some(Columns::All) => {}
                None => capture.tables.push(CaptureTable {
                    name: definition.table.clone(),
                    columns: Columns::Only(columns),
                }),
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

impl TablePlan {
    fn compile(
        definitions: &[(usize, &Definition)],
        table: &TableDescription,
        revision: u32,
    ) -> Result<Self, Vec<PlanError>> {
        let mut columns = table.primary_key.clone();
        let identity_width = columns.len();
        for (_, definition) in definitions {
            for (_, expression) in definition.expressions() {
                for column in expression.columns() {
                    if !columns.iter().any(|known| known == column) {
                        columns.push(column.to_owned());
                    }
                }
            }
        }
        let infos: Vec<ColumnInfo> = table
            .columns
            .iter()
            .filter(|column| column.logged)
            .map(|column| ColumnInfo::new(&column.name, kind_of(&column.type_name)))
            .collect();
        let mut errors = Vec::new();
        let mut mappings = Vec::new();
        for (place, definition) in definitions {
            let compiler = Compiler { definition: *place, table, infos: &infos, columns: &columns };
            match compiler.mapping(definition, identity_width, revision) {
                Ok(mapping) => mappings.push(mapping),
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let cached = identity_width > 0
            && mappings.iter().any(|mapping| {
                let filtered = mapping.filter.is_some() || mapping.removed_when.is_some();
                mapping.owned || (filtered && table.identity != Identity::Full)
            });
        let text = table.name.to_string();
        Ok(Self { name: table.name.clone(), text, columns, identity_width, cached, mappings })
    }
}

/// Compiles one definition against one table.
struct Compiler<'a> {
    definition: usize,
    table: &'a TableDescription,
    infos: &'a [ColumnInfo],
    columns: &'a [String],
}

impl Compiler<'_> {
    fn mapping(
        &self,
        from: &Definition,
        identity_width: usize,
        revision: u32,
    ) -> Result<MappingPlan, Vec<PlanError>> {
        let mut errors = Vec::new();
        for (key, expression) in from.expressions() {
            errors.extend(self.field(key, expression).err());
        }
        if !errors.is_empty() {
            return Err(errors);
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
        };
        // A ledger row is never replaced, so nothing has to be remembered of it.
        mapping.owned = mapping.kind == Kind::Level
            && identity_width > 0
            && !mapping.is_keyed_by(identity_width);
        Ok(mapping)
    }

    fn field(&self, key: &'static str, expression: &Expression) -> Result<Field, PlanError> {
        let error =
            |found: String, fix: String| PlanError { definition: self.definition, key, found, fix };
        for column in expression.columns() {
            let unlogged =
                |known: &&connector_api::ColumnDescription| known.name == column && !known.logged;
            if self.table.columns.iter().any(|known| unlogged(&known)) {
                return Err(error(
                    format!("column {column} of {} is generated and not logged", self.table.name),
                    "write the generating expression instead of the column".to_owned(),
                ));
            }
        }
        let program = expression.compile(self.infos).map_err(|found: ExpressionError| {
            error(format!("table {}: {found}", self.table.name), found.fix())
        })?;
        if matches!(key, "where" | "removed_when")
            && matches!(program.kind(), ColumnKind::Number | ColumnKind::Text)
        {
            return Err(error(
                format!("table {}: the expression is not a condition", self.table.name),
                "compare it with something: qty > 0, deleted_at IS NOT NULL".to_owned(),
            ));
        }
        let place = |index: usize| {
            let name = self.infos[index].name();
            self.columns.iter().position(|column| column == name).expect("its column is captured")
        };
        Ok(Field::new(program.relocate(&place)))
    }
}

impl MappingPlan {
    /// Whether item, location and bucket are exactly the columns that identify a row, so that one
    /// key has one row and one row one key for as long as its identity does not change.
    fn is_keyed_by(&self, identity_width: usize) -> bool {
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

/// What a column's values are to expressions. A type not listed is found out value by value.
fn kind_of(type_name: &str) -> ColumnKind {
    let base = type_name.split('(').next().unwrap_or(type_name).trim();
    match base.split(" unsigned").next().unwrap_or(base) {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "decimal"
        | "tinyint" | "mediumint" | "int" | "float" | "double" => ColumnKind::Number,
        "text" | "character varying" | "character" | "uuid" | "varchar" | "char" | "longtext"
        | "mediumtext" | "tinytext" => ColumnKind::Text,
        "boolean" => ColumnKind::Bool,
        _ => ColumnKind::Unknown,
    }
}
