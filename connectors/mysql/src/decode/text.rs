use connector_api::{ClearCause, Columns, Result, TableName};

use super::{Decoded, Decoder, Out};
use crate::log::{Flavor, Frame, Query};
use crate::statement::{Change, Dialect, Source, Statement, classify};
use crate::value::Charset;

const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

/// What a statement does to captured tables. `room` is for a text that is compressed.
pub(crate) fn meaning(
    query: &Query<'_>,
    (flavor, fold_case): (Flavor, bool),
    captured: &dyn Fn(&str, &str) -> bool,
    room: &mut Vec<u8>,
) -> Result<Statement> {
    let text = query.text.bytes(room)?;
    let charset = query.charset.filter(|_| !text.is_ascii()).map(|number| match flavor {
        Flavor::MySql => Charset::of_mysql(number),
        Flavor::MariaDb => Charset::of_mariadb(number),
    });
    let converted = charset.as_ref().map(|charset| charset.statement(text));
    let text = match &converted {
        None => text,
        Some(Some(text)) => text,
        Some(None) => return Ok(Statement::Illegible),
    };
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
    ) -> Result<Decoded> {
        let statement = self.meaning_of(query, frame.flavor)?;
        if self.asks_for_suspects(&statement) {
            return Ok(Decoded::Suspects);
        }
        match statement {
            Statement::Xa(xa) => self.xa_step(&xa, frame, out),
            statement => self.statement(statement, frame, out).map(|()| Decoded::Whole),
        }
    }

    pub(super) fn meaning_of(&mut self, query: &Query<'_>, flavor: Flavor) -> Result<Statement> {
        let mut room = std::mem::take(&mut self.room);
        let captured = |schema: &str, table: &str| {
            self.capture.columns_of(&TableName::new(schema, table)).is_some()
        };
        let read = meaning(query, (flavor, self.catalog.fold_case), &captured, &mut room);
        self.room = room;
        let statement = read?;
        let (Statement::Dml { tables }, Some(schemas)) = (&statement, &query.schemas) else {
            return Ok(statement);
        };
        let mut changed = schemas.iter().map(|schema| String::from_utf8_lossy(schema));
        if !changed.any(|schema| self.is_near(&schema)) {
            return Ok(Statement::Other);
        }
        // Something hangs on a table of another schema.
        let is_far = !tables.iter().any(|table| self.is_near(&table.schema));
        Ok(if is_far { Statement::Dml { tables: Vec::new() } } else { statement })
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
            _ => {}
        }
        let is_begun = self.enter(frame, out)?.is_begun;
        self.inside(statement, out);
        if is_begun { Ok(()) } else { self.commit(out) }
    }

    /// What a statement in the middle of a transaction does to captured tables.
    pub(super) fn inside(&mut self, statement: Statement, out: &mut Out<'_>) {
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
                self.suspect(&tables, out);
            }
            Statement::Illegible => {
                let reason = "a statement in a character set that cannot be read may have \
                              changed it";
                let tables = self.known_tables();
                self.unread_tables(&tables, reason, out);
                tables.iter().for_each(|table| self.forget(table, out));
            }
            Statement::Programs => self.programs_changed(out),
            Statement::Unknown { tables } => {
                let reason = "a statement that is not understood names it";
                self.unread_tables(&tables, reason, out);
            }
            _ => {}
        }
    }

    fn unread_tables(&mut self, tables: &[TableName], reason: &str, out: &mut Out<'_>) {
        for name in tables {
            if self.capture.columns_of(name).is_some() {
                let schema = self.shape(name);
                // It is changed also where the transaction ends otherwise than by a commit.
                self.touch(&schema);
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
            Change::Rewritten { table, columns } => {
                if self.captures_any(&table, &columns) {
                    let reason = "its rows were rewritten by ALTER TABLE, and the log does not \
                                  say how";
                    self.unread_tables(&[table], reason, out);
                }
            }
            Change::Dropped(table) => {
                self.programs_changed(out);
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
                self.programs_changed(out);
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

    /// Whether one of these columns, or any where none is named, is captured. Servers tell names of
    /// columns apart without their case.
    fn captures_any(&self, table: &TableName, columns: &[String]) -> bool {
        match self.capture.columns_of(table) {
            None => false,
            Some(Columns::All) => true,
            Some(Columns::Only(captured)) => {
                let same =
                    |one: &String, other: &String| one.to_lowercase() == other.to_lowercase();
                let is_captured = |name: &String| captured.iter().any(|known| same(known, name));
                columns.is_empty() || columns.iter().any(is_captured)
            }
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
        if let Some(group) = &mut self.group {
            group.holds_captured = true;
        }
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
