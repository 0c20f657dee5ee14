//! What the text of a QUERY event means for captured tables.
//!
//! No parser of SQL: it reads as far into a statement as it takes to know which tables it changes
//! and how. What it does not understand it calls [`Statement::Unknown`] when a captured table is
//! named, and [`Statement::Other`] when none is; nothing is an error.

use connector_api::TableName;

use cursor::Cursor;
use lexer::Token;

mod alter;
mod cursor;
mod ddl;
mod dml;
mod lexer;
mod transaction;

pub(crate) use transaction::unhex;
pub use transaction::{Xa, XaStep, Xid};

/// How a session spells its statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect<'s> {
    /// The default schema, as the event names it.
    pub schema: &'s str,
    /// `ANSI_QUOTES` in the session's `sql_mode`: double quotes hold names.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES` in the session's `sql_mode`.
    pub no_backslash_escapes: bool,
    /// `lower_case_table_names` other than 0: names are told apart in lower case.
    pub fold_case: bool,
}

/// The meaning of a statement. Names are unquoted and have their schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A transaction begins.
    Begin,
    /// The transaction is committed.
    Commit,
    /// The transaction is rolled back.
    Rollback,
    /// A savepoint of this name, in lower case, is set.
    Savepoint(String),
    /// Everything since the savepoint of this name, in lower case, is rolled back.
    RollbackTo(String),
    /// The savepoint of this name, in lower case, is forgotten.
    Release(String),
    /// A step of a distributed transaction.
    Xa(Xa),
    /// Tables are changed as a whole, in this order. Temporary tables are none.
    Ddl(Vec<Change>),
    /// Rows are changed by text instead of row events. Which tables lie behind a view, and which
    /// are changed by a trigger, the text does not say.
    Dml {
        /// The tables whose rows change, and perhaps aliases of theirs. Empty when the statement
        /// names none, as a call of a function: it may change any.
        tables: Vec<TableName>,
    },
    /// Not understood, but it names captured tables: anything may have happened to them.
    Unknown {
        /// The captured tables it names.
        tables: Vec<TableName>,
    },
    /// Triggers, views or routines come, go or change: from here on a statement on one table may
    /// change others than before.
    Programs,
    /// In a character set that cannot be read: it may be anything.
    Illegible,
    /// Nothing that matters to a captured table.
    Other,
}

/// What a statement does to a table, or to all tables of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A table was made.
    Created {
        /// The new table.
        table: TableName,
        /// Where its columns and rows come from.
        source: Source,
        /// With `IF NOT EXISTS`: an existing table of that name stays as it is.
        if_not_exists: bool,
    },
    /// Columns, keys or options changed.
    Altered(TableName),
    /// Rows may hold other values than before, or have gone, and the log has no row that says so.
    Rewritten {
        /// The table.
        table: TableName,
        /// The columns in question; empty where it may be any, or whole rows.
        columns: Vec<String>,
    },
    /// A table went away, if there was one.
    Dropped(TableName),
    /// A table has another name now.
    Renamed {
        /// Its name before.
        from: TableName,
        /// Its name after.
        to: TableName,
    },
    /// All rows went away.
    Truncated(TableName),
    /// Rows came or went with a partition or a tablespace.
    RowsMoved(TableName),
    /// A schema went away with all its tables.
    SchemaDropped(String),
    /// A schema's defaults changed; its tables stay as they are.
    SchemaAltered(String),
}

/// Where a new table's columns and rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The statement says its columns; it has no rows.
    Columns,
    /// The columns of another table; it has no rows.
    Like(TableName),
    /// A query, whose rows are not in the log where the statement is.
    Query,
}

/// Reads the text of a QUERY event, in UTF-8: that of a client in another character set is to be
/// converted first. `captured` says of a schema and a table, in the server's case, whether the
/// table is captured.
pub fn classify(
    text: &[u8],
    dialect: &Dialect<'_>,
    captured: &dyn Fn(&str, &str) -> bool,
) -> Statement {
    // How servers begin and end every transaction that has no XID event.
    match text {
        b"BEGIN" => return Statement::Begin,
        b"COMMIT" => return Statement::Commit,
        _ => {}
    }
    let cursor = Cursor::new(text, dialect);
    understand(cursor, 0).unwrap_or_else(|| mentions(cursor, captured))
}

/// `None` when it is not understood.
fn understand(mut cursor: Cursor<'_>, depth: u8) -> Option<Statement> {
    let start = cursor;
    match cursor.keyword().as_str() {
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            transaction::read(start)
        }
        "XA" => transaction::xa(cursor).map(Statement::Xa),
        "CREATE" => ddl::create(cursor),
        "ALTER" => alter::read(cursor),
        "DROP" => ddl::drop(cursor),
        "RENAME" => ddl::rename(cursor),
        "TRUNCATE" => ddl::truncate(cursor),
        "INSERT" | "REPLACE" => dml::insert(cursor),
        "UPDATE" => dml::update(cursor),
        "DELETE" => dml::delete(cursor),
        "LOAD" => dml::load(cursor),
        "WITH" => dml::behind_query_names(cursor),
        // What they run is known by name only.
        "CALL" | "DO" | "SELECT" => Some(Statement::Dml { tables: Vec::new() }),
        "SET" if cursor.take(&["STATEMENT"]) => {
            // One level is all a server accepts.
            let rest = behind_settings(cursor).filter(|_| depth == 0)?;
            understand(rest, depth + 1)
        }
        "ANALYZE" | "CHECK" | "CHECKSUM" | "OPTIMIZE" => {
            cursor.skip(&["LOCAL", "NO_WRITE_TO_BINLOG"]);
            (cursor.take(&["TABLE"]) || cursor.take(&["TABLES"])).then_some(Statement::Other)
        }
        "CACHE" | "CHANGE" | "DEALLOCATE" | "FLUSH" | "GRANT" | "INSTALL" | "KILL" | "LOCK"
        | "PREPARE" | "PURGE" | "RESET" | "REVOKE" | "SET" | "SHOW" | "UNINSTALL" | "UNLOCK"
        | "USE" => Some(Statement::Other),
        "" if start.at_end() => Some(Statement::Other),
        _ => None,
    }
}

/// The captured tables that the body of a trigger, a view or a routine names.
pub(crate) fn named_in(
    text: &[u8],
    dialect: &Dialect<'_>,
    captured: &dyn Fn(&str, &str) -> bool,
) -> Vec<TableName> {
    match mentions(Cursor::new(text, dialect), captured) {
        Statement::Unknown { tables } => tables,
        _ => Vec::new(),
    }
}

/// The statement behind `SET STATEMENT name = value, ... FOR`.
fn behind_settings(mut cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    loop {
        match cursor.next()? {
            Token::Sign(b'(') => cursor.skip_group(),
            token if token.is("FOR") => return Some(cursor),
            _ => {}
        }
    }
}

/// Looks for captured tables in a statement that nobody understands.
fn mentions(mut cursor: Cursor<'_>, captured: &dyn Fn(&str, &str) -> bool) -> Statement {
    let mut tables = Vec::new();
    let default = cursor.schema();
    let mut before: Option<String> = None;
    while cursor.peek().is_some() {
        let Some(name) = cursor.identifier() else {
            // A dot keeps what stands before it.
            if !cursor.sign(b'.') {
                cursor.next();
                before = None;
            }
            continue;
        };
        for schema in [before.as_deref(), Some(&default)].into_iter().flatten() {
            let table = || TableName::new(schema, name.as_str());
            if captured(schema, &name) && !tables.contains(&table()) {
                tables.push(table());
            }
        }
        before = Some(name);
    }
    if tables.is_empty() { Statement::Other } else { Statement::Unknown { tables } }
}

#[cfg(test)]
mod tests;
