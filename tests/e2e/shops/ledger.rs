use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::server::ShopServer;
use super::tail::Line;

/// A row by the names of its columns.
type Row = BTreeMap<String, Cell>;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Null,
    /// As printed.
    Text(String),
    /// As the shortest decimal that names it.
    Number(String),
}

/// The rows of some tables; a row that is there twice counts twice.
#[derive(Debug)]
pub(super) struct Ledger {
    tables: BTreeMap<String, BTreeMap<Row, usize>>,
    kinds: BTreeMap<(String, String), String>,
}

impl Ledger {
    /// What `SELECT` says.
    pub(super) fn of(server: &ShopServer, tables: &[&str]) -> Self {
        let mut ledger = Self { tables: BTreeMap::new(), kinds: BTreeMap::new() };
        for table in tables {
            let columns = columns(server, table);
            let expressions: Vec<String> =
                columns.iter().map(|(name, kind)| expression(name, kind)).collect();
            let rows = server.query(&format!("SELECT {} FROM `{table}`", expressions.join(", ")));
            let counted = ledger.tables.entry((*table).to_owned()).or_default();
            for row in rows {
                let cells = columns.iter().zip(row).map(|((name, kind), text)| {
                    (name.clone(), text.map_or(Cell::Null, |text| selected(kind, text)))
                });
                *counted.entry(cells.collect()).or_default() += 1;
            }
            for (name, kind) in columns {
                ledger.kinds.insert(((*table).to_owned(), name), kind);
            }
        }
        ledger
    }

    /// Does what a line says. What it says was there must be there, in every column.
    pub(super) fn apply(&mut self, line: &Line, what: &str) {
        assert_eq!((line.schema.as_str(), line.database.as_str()), ("shop", "shop"), "{what}");
        assert!(!line.position.is_empty() && !line.transaction.is_empty(), "{what}: {line:?}");
        assert!(line.committed_at.ends_with('Z'), "{what}: {line:?}");
        let (before, after) = (self.row(line, &line.before), self.row(line, &line.after));
        let rows = self.tables.get_mut(&line.table);
        let rows = rows.unwrap_or_else(|| panic!("{what}: a change of {}", line.table));
        let has = (!before.is_empty(), !after.is_empty());
        let wanted = match line.op.as_str() {
            "insert" => (false, true),
            "update" => (true, true),
            "delete" => (true, false),
            "truncate" => {
                rows.clear();
                (false, false)
            }
            other => panic!("{what}: {other}: {line:?}"),
        };
        assert_eq!(has, wanted, "{what}: {line:?}");
        if has.0 {
            let count = rows.get_mut(&before);
            let count = count.unwrap_or_else(|| panic!("{what}: was not there: {before:?}"));
            *count -= 1;
            rows.retain(|_, count| *count > 0);
        }
        if has.1 {
            *rows.entry(after).or_default() += 1;
        }
    }

    fn row(&self, line: &Line, image: &Map<String, Value>) -> Row {
        let cells = image.iter().map(|(name, value)| {
            let kind = self.kinds.get(&(line.table.clone(), name.clone()));
            let kind = kind.unwrap_or_else(|| panic!("{} has no {name}", line.table));
            (name.clone(), printed(kind, value))
        });
        cells.collect()
    }

    /// Holds the rows that `said` does, and no others.
    pub(super) fn assert_is(&self, said: &Self, what: &str) {
        for (table, rows) in &said.tables {
            let found = &self.tables[table];
            let missing: Vec<&Row> = rows.keys().filter(|row| !found.contains_key(row)).collect();
            let foreign: Vec<&Row> = found.keys().filter(|row| !rows.contains_key(row)).collect();
            assert!(
                missing.is_empty() && foreign.is_empty() && found == rows,
                "{what}\n{table} by SELECT alone: {missing:#?}\nby tail alone: {foreign:#?}"
            );
        }
    }
}

/// Names and types.
fn columns(server: &ShopServer, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT column_name, data_type FROM information_schema.columns
         WHERE table_schema = 'shop' AND table_name = '{table}' ORDER BY ordinal_position"
    );
    let rows = server.query(&sql);
    assert!(!rows.is_empty(), "no table {table}");
    let text = |cell: Option<String>| cell.unwrap();
    rows.into_iter()
        .map(|row| {
            let [name, kind] = <[_; 2]>::try_from(row).unwrap().map(text);
            (name, kind.to_lowercase())
        })
        .collect()
}

/// What is selected of a column, so that nothing of it is rounded or cannot be text.
fn expression(name: &str, kind: &str) -> String {
    match kind {
        "float" | "double" => format!("`{name}` + 0e0"),
        kind if is_binary(kind) => format!("REPLACE(TO_BASE64(`{name}`), '\\n', '')"),
        _ => format!("`{name}`"),
    }
}

fn selected(kind: &str, text: String) -> Cell {
    let is_moment = !text.contains("-00");
    match kind {
        "float" | "double" => float(kind, &text),
        "datetime" if is_moment => Cell::Text(text.replace(' ', "T")),
        "timestamp" if is_moment => Cell::Text(format!("{}Z", text.replace(' ', "T"))),
        kind if kind.ends_with("int") => Cell::Number(text),
        _ => Cell::Text(text),
    }
}

fn printed(kind: &str, value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::String(text) => Cell::Text(text.clone()),
        Value::Number(number) if ["float", "double"].contains(&kind) => {
            float(kind, &number.to_string())
        }
        Value::Number(number) => Cell::Number(number.to_string()),
        other => panic!("{kind}: {other}"),
    }
}

fn float(kind: &str, text: &str) -> Cell {
    Cell::Number(match kind {
        "float" => text.parse::<f32>().unwrap().to_string(),
        _ => text.parse::<f64>().unwrap().to_string(),
    })
}

fn is_binary(kind: &str) -> bool {
    kind.ends_with("blob") || kind.ends_with("binary")
}
