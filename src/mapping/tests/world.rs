//! Several tables, transactions over them, and what a consumer would have folded from the events.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;

/// A value of a test's row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Null,
    Absent,
    Int(i64),
    Text(String),
}

impl From<i64> for Datum {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Datum>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

pub(super) type Cells = Vec<Datum>;

/// A row of anything that is a value.
macro_rules! cells {
    ($($value:expr),* $(,)?) => { vec![$($crate::mapping::tests::world::Datum::from($value)),*] };
}
pub(super) use cells;

/// Columns of a table, `name type`; the first is its primary key. Those that begin with `omitted`
/// are left out of updates that do not change them.
#[derive(Clone, Copy)]
pub(super) struct Spec(pub(super) &'static str, pub(super) &'static [&'static str]);

pub(super) fn describe(spec: &Spec) -> TableDescription {
    let column = |text: &&str| {
        let (omitted, text) = match text.strip_prefix("omitted ") {
            Some(text) => (true, text),
            None => (false, *text),
        };
        let (name, type_name) = text.split_once(' ').unwrap();
        let (name, type_name) = (name.to_owned(), type_name.to_owned());
        ColumnDescription { name, type_name, logged: true, omitted }
    };
    let columns: Vec<ColumnDescription> = spec.1.iter().map(column).collect();
    TableDescription {
        cascades: Vec::new(),
        name: TableName::new("public", spec.0),
        primary_key: vec![columns[0].name.clone()],
        columns,
        identity: Identity::PrimaryKey,
    }
}

pub(super) struct World {
    pub(super) mapper: Mapper,
    pub(super) builder: BatchBuilder,
    schemas: BTreeMap<&'static str, Arc<TableSchema>>,
    pub(super) next: u64,
    /// The last value of each key, and its version.
    pub(super) levels: BTreeMap<String, (String, serde_json::Value)>,
    /// Every stored row.
    pub(super) stored: BTreeMap<(String, String), String>,
}

pub(super) fn synthetic(world: &World, counter: u32) -> Synthetic<'static> {
    Synthetic { coordinate: world.next * 2 - 1, counter, at_us: 0, position: "0" }
}

pub(super) fn source() -> SourceIdentity {
    SourceIdentity { seller: SellerId::new("acme"), source: SourceName::new("main"), epoch: 1 }
}

pub(super) fn mapper(definitions: &[Definition], specs: &[Spec]) -> Mapper {
    let names: Vec<&str> = specs.iter().map(|spec| spec.0).collect();
    let all = names.iter().flat_map(|child| names.iter().map(move |parent| (*child, *parent)));
    mapper_of(definitions, specs, &all.collect::<Vec<_>>())
}

/// `cascades` are tables, and those with whose rows the server deletes theirs and does not log it.
pub(super) fn mapper_of(
    definitions: &[Definition],
    specs: &[Spec],
    cascades: &[(&str, &str)],
) -> Mapper {
    let mut tables: Vec<TableDescription> = specs.iter().map(describe).collect();
    for table in &mut tables {
        let own = cascades.iter().filter(|(child, _)| *child == table.name.table);
        let schema = table.name.schema.clone();
        table.cascades = own.map(|(_, parent)| TableName::new(&schema, *parent)).collect();
    }
    let plan = Plan::compile(definitions, &tables, 1).unwrap_or_else(|errors| panic!("{errors:?}"));
    let source = source();
    let encoder = Encoder::new(&source.seller, &source.source, "test", "shop");
    Mapper::new(source, encoder, plan)
}

impl World {
    pub(super) fn new(definitions: &[Definition], specs: &[Spec]) -> Self {
        let schema = |spec: &Spec| {
            let description = describe(spec);
            let column = |column: &ColumnDescription| Column {
                name: column.name.clone(),
                type_name: String::new(),
                identity: description.primary_key.contains(&column.name),
            };
            let columns = description.columns.iter().map(column).collect();
            (spec.0, Arc::new(TableSchema { name: description.name.clone(), columns }))
        };
        Self {
            mapper: mapper(definitions, specs),
            builder: BatchBuilder::new(&Position::new("0")),
            schemas: specs.iter().map(schema).collect(),
            next: 1,
            levels: BTreeMap::new(),
            stored: BTreeMap::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        let text = self.next.to_string();
        let (txid, position) = (text.as_str(), text.as_str());
        let coordinate = self.next * 2;
        self.builder.begin(BeginText { coordinate, committed_at_us: 0, txid, position });
        self.next += 1;
    }

    /// Rows that were read, published now.
    pub(super) fn read(
        &mut self,
        table: &str,
        rows: Vec<Cells>,
        sight: &dyn connector_api::Sight,
        at: &Synthetic<'_>,
    ) -> Mapped {
        let mut builder = BatchBuilder::in_one_piece(&Position::new("0"));
        std::mem::swap(&mut builder, &mut self.builder);
        self.builder.begin(BeginText { coordinate: 0, committed_at_us: 0, txid: "", position: "" });
        rows.into_iter().for_each(|row| self.insert(table, row));
        self.builder.commit("0");
        let batch = self.builder.take();
        self.builder = builder;
        self.mapper.chunk(&batch, sight, at)
    }

    fn image(&mut self, row: Cells) -> u32 {
        let image = self.builder.image();
        for value in row {
            match value {
                Datum::Null => self.builder.push(Cell::Null),
                Datum::Absent => self.builder.push(Cell::Absent),
                Datum::Int(value) => self.builder.push(Cell::Int(value)),
                Datum::Text(text) => self.builder.push_text(TextKind::Text, &text),
            }
        }
        image
    }

    pub(super) fn change(
        &mut self,
        table: &str,
        op: Op,
        before: Option<Cells>,
        after: Option<Cells>,
    ) {
        let schema = Arc::clone(&self.schemas[table]);
        let table = self.builder.table(&schema);
        let before = before.map(|row| self.image(row));
        let after = after.map(|row| self.image(row));
        self.builder.row(table, op, before, after);
    }

    pub(super) fn insert(&mut self, table: &str, row: Cells) {
        self.change(table, Op::Insert, None, Some(row));
    }

    pub(super) fn update(&mut self, table: &str, row: Cells) {
        self.change(table, Op::Update, None, Some(row));
    }

    /// With nothing but the key in the old image.
    pub(super) fn delete(&mut self, table: &str, id: i64) {
        let width = self.schemas[table].columns.len();
        let mut old = vec![Datum::Absent; width];
        old[0] = Datum::Int(id);
        self.change(table, Op::Delete, Some(old), None);
    }

    pub(super) fn clear(&mut self, table: &str) {
        let schema = Arc::clone(&self.schemas[table]);
        let table = self.builder.table(&schema);
        self.builder.cleared(table, ClearCause::Truncate);
    }

    pub(super) fn commit(&mut self) -> Mapped {
        self.builder.commit(&(self.next * 10).to_string());
        let batch = self.builder.take();
        let mapped = self.mapper.apply(&batch);
        self.take(&mapped);
        mapped
    }

    /// One transaction, and what was said of it.
    pub(super) fn transaction(&mut self, changes: impl FnOnce(&mut Self)) -> Vec<String> {
        self.begin();
        changes(self);
        says(&self.commit())
    }

    /// Folds events as a consumer does, and stores rows as a sink does.
    pub(super) fn take(&mut self, mapped: &Mapped) {
        for entry in mapped.records.iter() {
            let key = mapped.records.key(entry).to_owned();
            let event: serde_json::Value =
                serde_json::from_str(mapped.records.value(entry)).unwrap();
            let version = event["version"].as_str().unwrap().to_owned();
            if let Some((known, _)) = self.levels.get(&key) {
                assert!(*known < version, "{key} goes back from {known} to {version}");
            }
            self.levels.insert(key, (version, event));
        }
        for (table, rows) in &mapped.rows {
            for (key, value) in rows {
                let place = (table.clone(), key.clone());
                match value {
                    Some(value) => self.stored.insert(place, value.clone()),
                    None => self.stored.remove(&place),
                };
            }
        }
    }

    /// The mapper as it comes back from the store.
    pub(super) fn restart(&mut self, definitions: &[Definition], specs: &[Spec]) {
        let mut mapper = mapper(definitions, specs);
        for ((table, key), value) in &self.stored {
            mapper.load(table, key, value).unwrap();
        }
        self.mapper = mapper;
    }
}
