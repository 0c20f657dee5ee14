//! What changes when a statement changes something else. A server that logs statements logs those
//! it was given: what their triggers, the tables behind a view and functions change stands nowhere.

use std::sync::Arc;

use connector_api::{TableName, TableSchema};

use super::{Decoder, Out};
use crate::position::{LogFile, LogPosition};
use crate::statement::Statement;

/// Schemas in which nobody can make a trigger. Hosts write into them as text, every few minutes.
const OF_THE_SERVER: [&str; 4] = ["mysql", "sys", "information_schema", "performance_schema"];

/// Captured tables that a statement on another table may change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Those that a trigger, a view or a routine names; all, where nobody can tell.
    pub tables: Vec<TableName>,
    /// Where the log ended when the server said so.
    pub as_of: Option<(LogFile, u64)>,
}

impl Decoder {
    /// Says which tables [`super::Decoded::Suspects`] asked for.
    pub fn suspects(&mut self, suspects: Suspects) {
        self.suspects = Some(suspects);
        self.has_trusted = false;
    }

    /// Whether captured tables may be in a schema.
    pub(super) fn is_near(&self, schema: &str) -> bool {
        let mut names = self.capture.tables.iter().map(|wanted| &wanted.name.schema);
        names.any(|captured| captured.contains('*') || captured == schema)
    }

    pub(super) fn asks_for_suspects(&self, statement: &Statement) -> bool {
        let Statement::Dml { tables } = statement else { return false };
        self.suspects.is_none() && self.may_reach(tables)
    }

    /// Whether something may hang on one of these tables by which captured ones change. Objects of
    /// one schema that change tables of another are not looked for.
    fn may_reach(&self, tables: &[TableName]) -> bool {
        let is_of_server = |table: &TableName| OF_THE_SERVER.contains(&&*table.schema);
        tables.iter().any(|table| self.is_near(&table.schema) && !is_of_server(table))
    }

    /// These tables were changed by text, and are accounted for.
    pub(super) fn suspect(&mut self, named: &[TableName], out: &mut Out<'_>) {
        if !self.may_reach(named) {
            return;
        }
        let Some(suspects) = &self.suspects else { return };
        let tables: Vec<TableName> =
            suspects.tables.iter().filter(|table| !named.contains(table)).cloned().collect();
        self.has_trusted = true;
        self.doubt_tables(
            &tables,
            "a statement that the log holds as text changed another table, and with it a trigger, \
             a view or a routine may have changed this one; SET GLOBAL binlog_format=ROW makes the \
             server log rows",
            out,
        );
    }

    /// What the server said of its triggers, views and routines is not true from here on, and was
    /// not before, where it said so only later.
    pub(super) fn programs_changed(&mut self, out: &mut Out<'_>) {
        let Some(suspects) = self.suspects.take() else { return };
        let here = LogPosition::coordinate(&self.place.here.file, self.place.start);
        let was_true = suspects
            .as_of
            .as_ref()
            .is_some_and(|(file, offset)| LogPosition::coordinate(file, *offset) <= here);
        if !std::mem::take(&mut self.has_trusted) || was_true {
            return;
        }
        let tables = self.known_tables();
        self.doubt_tables(
            &tables,
            "statements that the log holds as text changed other tables, and a trigger, a view or \
             a routine that has been changed since may have changed this one; SET GLOBAL \
             binlog_format=ROW makes the server log rows",
            out,
        );
    }

    /// Tells of tables, once in a transaction, that they may have changed. What the server says now
    /// is no part of the log: it counts as no change.
    fn doubt_tables(&mut self, tables: &[TableName], reason: &'static str, out: &mut Out<'_>) {
        if self.skip > 0 {
            return;
        }
        for name in tables {
            let Some(group) = &mut self.group else { return };
            let is_known = group.doubted.iter().any(|(known, _)| known.name == *name);
            if is_known || self.capture.columns_of(name).is_none() {
                continue;
            }
            let bare = || Arc::new(TableSchema { name: name.clone(), columns: Vec::new() });
            let schema = self.shapes.get(name).cloned().unwrap_or_else(bare);
            let batch = out.room();
            let table = batch.table(&schema);
            batch.doubted(table, reason);
            group.holds_captured = true;
            group.doubted.push((schema, reason));
        }
    }
}
