use connector_api::{ClearCause, Result, TableName};

use super::{Decoder, Out};
use crate::log::{Frame, Query};
use crate::statement::{Change, Dialect, Source, Statement, classify};

const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

/// What a statement does to captured tables. `room` is for a text that is compressed.
pub(crate) fn meaning(
    query: &Query<'_>,
    fold_case: bool,
    captured: &dyn Fn(&str, &str) -> bool,
    room: &mut Vec<u8>,
) -> Result<Statement> {
    let text = query.text.bytes(room)?;
    let schema = String::from_utf8_lossy(query.schema);
    let dialect = Dialect {
        schema: &schema,
        ansi_quotes: query.has_ansi_quotes(),
        no_backslash_escapes: query.sql_mode.is_some_and(|mode| mode & NO_BACKSLASH_ESCAPES != 0),
        fold_case,
    };
    Ok(classify(text, &dialect, captured))
}

impl Decoder {
    /// A statement, or a boundary of a transaction.
    pub(super) fn query(
        &mut self,
        frame: &Frame<'_>,
        query: &Query<'_>,
        out: &mut Out<'_>,
    ) -> Result<()> {
        let mut room = std::mem::take(&mut self.room);
        let captured = |schema: &str, table: &str| {
            self.capture.columns_of(&TableName::new(schema, table)).is_some()
        };
        let read = meaning(query, self.catalog.fold_case, &captured, &mut room);
        self.room = room;
        self.statement(read?, frame, out)
    }

    fn statement(
        &mut self,
        statement: Statement,
        frame: &Frame<'_>,
        out: &mut Out<'_>,
    ) -> Result<()> {
        match statement {
            Statement::Begin => {
                self.enter(frame, out)?.is_begun = true;
                return Ok(());
            }
            Statement::Commit => {
                self.enter(frame, out)?;
                return self.commit(out);
            }
            Statement::Rollback => {
                self.enter(frame, out)?;
                self.undo(
                    "a transaction that changed it was rolled back, and rows of tables without \
                     transactions stay changed all the same",
                    out,
                );
                return self.commit(out);
            }
            Statement::Xa(xa) => return self.xa_step(xa, frame, out),
            _ => {}
        }
        let is_begun = self.enter(frame, out)?.is_begun;
        match statement {
            Statement::RollbackTo(_) => self.doubt(
                "a part of a transaction that changed it was rolled back, and rows of tables \
                 without transactions stay changed all the same",
                out,
            ),
            Statement::Ddl(changes) => {
                for change in changes {
                    self.change(change, out);
                }
            }
            Statement::Dml { tables } => {
                let reason = "its rows were changed by a statement that the log holds as text; \
                              SET GLOBAL binlog_format=ROW makes the server log rows";
                let tables = if tables.is_empty() { self.known_tables() } else { tables };
                self.unread_tables(&tables, reason, out);
            }
            Statement::Unknown { tables } => {
                let reason = "a statement that is not understood names it";
                self.unread_tables(&tables, reason, out);
            }
            _ => {}
        }
        if is_begun { Ok(()) } else { self.commit(out) }
    }

    fn unread_tables(&mut self, tables: &[TableName], reason: &str, out: &mut Out<'_>) {
        for name in tables {
            if self.capture.columns_of(name).is_some() {
                let schema = self.shape(name);
                self.unreadable(&schema, reason, out);
            }
        }
    }

    fn change(&mut self, change: Change, out: &mut Out<'_>) {
        match change {
            Change::Created { table, source, if_not_exists } => {
                if !if_not_exists {
                    self.forget(&table, out);
                }
                // A server that logs rows says the columns instead, and the rows behind them.
                if source == Source::Query {
                    let reason = "it was filled by a query that the log holds as text; SET GLOBAL \
                                  binlog_format=ROW makes the server log rows";
                    self.unread_tables(&[table], reason, out);
                }
            }
            Change::Altered(table) => self.forget(&table, out),
            Change::Dropped(table) => {
                self.cleared(&table, ClearCause::Replaced, out);
                self.forget(&table, out);
            }
            Change::Renamed { from, to } => {
                self.cleared(&from, ClearCause::Replaced, out);
                self.cleared(&to, ClearCause::Replaced, out);
                self.forget(&from, out);
                self.forget(&to, out);
            }
            Change::Truncated(table) => self.cleared(&table, ClearCause::Truncate, out),
            Change::RowsMoved(table) => self.cleared(&table, ClearCause::Replaced, out),
            Change::SchemaDropped(schema) => {
                for table in self.known_tables() {
                    if table.schema == schema {
                        self.cleared(&table, ClearCause::Replaced, out);
                        self.forget(&table, out);
                    }
                }
            }
            Change::SchemaAltered(_) => {}
        }
    }

    /// What was known of the table's columns is not true any more.
    fn forget(&mut self, table: &TableName, out: &mut Out<'_>) {
        if self.catalog.forget(table) {
            out.batch.learn(self.catalog.layouts());
        }
        self.tables.clear();
    }

    fn cleared(&mut self, name: &TableName, cause: ClearCause, out: &mut Out<'_>) {
        if self.capture.columns_of(name).is_none() {
            return;
        }
        let schema = self.shape(name);
        let batch = out.room();
        if self.skip > 0 {
            self.skip -= 1;
            batch.skip();
            return;
        }
        let table = batch.table(&schema);
        batch.cleared(table, cause);
    }
}
