//! A copy of tables that is kept by nothing but decoded changes. Where it differs from what
//! `SELECT` says, a change was lost, made up or misread.

use std::collections::BTreeMap;

use connector_api::{Batch, Op, RowImage, SourceEvent, TableSchema, Value};
use testbed::Mysql;

use crate::binlog::hex;

/// By the name of a column: what `SELECT` prints, or none for NULL.
type Row = BTreeMap<String, Option<String>>;

#[derive(Default)]
pub struct Replica {
    tables: BTreeMap<String, Vec<Row>>,
    /// Tables whose changes could not all be read, with the first reason.
    pub unreadable: BTreeMap<String, String>,
    pub changes: usize,
}

impl Replica {
    pub fn of(batches: &[Batch]) -> Self {
        let mut replica = Self::default();
        for batch in batches {
            for event in batch.events() {
                replica.apply(batch, event);
            }
        }
        replica
    }

    fn apply(&mut self, batch: &Batch, event: &SourceEvent) {
        match event {
            SourceEvent::Row(row) => {
                self.changes += 1;
                let schema = batch.table(row.table);
                let rows = self.tables.entry(schema.name.table.clone()).or_default();
                let own = |image| row_of(schema, image);
                let (before, after) = (batch.before(row).map(own), batch.after(row).map(own));
                change(rows, row.op, before, after, &schema.name.table);
            }
            SourceEvent::TableCleared { table, .. } => {
                self.tables.remove(&batch.table(*table).name.table);
            }
            // The recorded shops change every row behind it.
            SourceEvent::Unreadable { reason, .. } if reason.contains("by ALTER TABLE") => {}
            SourceEvent::Unreadable { table, reason, .. } => {
                let name = batch.table(*table).name.table.clone();
                self.unreadable.entry(name).or_insert_with(|| reason.to_string());
            }
            _ => {}
        }
    }

    /// Every column the log has said anything of is what the server says.
    pub fn assert_same(&self, server: &Mysql, table: &str) {
        assert_eq!(self.unreadable.get(table), None);
        let columns = columns(server, table);
        let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let shown: Vec<String> = columns.into_iter().map(|(_, shown)| shown).collect();
        let sql = format!("set time_zone = '+00:00'; select {} from {table}", shown.join(", "));
        let mut wanted = server.query(&sql).unwrap();
        let nothing = Vec::new();
        let rows = self.tables.get(table).unwrap_or(&nothing);
        assert_eq!(rows.len(), wanted.len(), "rows of {table} on {}", server.version());
        let mut found: Vec<Vec<Option<String>>> = rows
            .iter()
            .map(|row| names.iter().map(|name| row.get(name).cloned().flatten()).collect())
            .collect();
        found.sort();
        wanted.sort();
        for (found, wanted) in found.iter().zip(&wanted) {
            let shown = |row: &[Option<String>]| format!("{:.300}", format!("{row:?}"));
            let (shown_found, shown_wanted) = (shown(found), shown(wanted));
            let place = format!("{names:?} of {table} on {}", server.version());
            assert!(found == wanted, "{place}\nfound  {shown_found}\nwanted {shown_wanted}");
        }
    }
}

/// The columns of a table, and how each is asked for.
fn columns(server: &Mysql, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "select column_name, data_type from information_schema.columns
         where table_schema = database() and table_name = '{table}' order by ordinal_position"
    );
    let rows = server.query(&sql).unwrap().into_iter();
    rows.map(|row| {
        let [name, kind] = <[_; 2]>::try_from(row).unwrap().map(Option::unwrap);
        let is_bytes = kind.ends_with("blob") || kind.ends_with("binary");
        let shown = if is_bytes { format!("hex(`{name}`)") } else { format!("`{name}`") };
        (name, shown)
    })
    .collect()
}

fn row_of(schema: &TableSchema, image: RowImage<'_>) -> Row {
    let columns = schema.columns.iter().zip(image.values());
    columns
        .filter(|(_, value)| *value != Value::Absent)
        .map(|(column, value)| (column.name.clone(), printed(value)))
        .collect()
}

fn printed(value: Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Absent => panic!("it was left out"),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) => text.to_owned(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Timestamp(text) | Value::TimestampZoned(text) => {
            text.replace('T', " ").replace('Z', "")
        }
    })
}

fn change(rows: &mut Vec<Row>, op: Op, before: Option<Row>, after: Option<Row>, table: &str) {
    let Some(before) = before else {
        assert_eq!(op, Op::Insert);
        return rows.push(after.unwrap());
    };
    // A column that came later is not in rows from before it.
    let is_it = |row: &Row| {
        before.iter().all(|(name, value)| row.get(name).is_none_or(|known| known == value))
    };
    let at = rows.iter().position(is_it);
    let at = at.unwrap_or_else(|| panic!("{op:?} of an unknown row of {table}: {before:?}"));
    match after {
        Some(after) => {
            let mut row = rows.remove(at);
            row.extend(before);
            row.extend(after);
            rows.insert(at, row);
        }
        None => drop(rows.remove(at)),
    }
}
