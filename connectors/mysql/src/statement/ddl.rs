use connector_api::TableName;

use super::cursor::Cursor;
use super::lexer::Token;
use super::{Change, Source, Statement};

/// What stands behind `CREATE`.
pub(super) fn create(mut cursor: Cursor<'_>) -> Option<Statement> {
    let replace = cursor.take(&["OR", "REPLACE"]);
    if cursor.take(&["TEMPORARY"]) {
        return Some(Statement::Other);
    }
    if cursor.take(&["TABLE"]) {
        return create_table(cursor, replace);
    }
    if cursor.take(&["DATABASE"]) || cursor.take(&["SCHEMA"]) {
        let dropped = |name| Statement::Ddl(vec![Change::SchemaDropped(name)]);
        return if replace { cursor.identifier().map(dropped) } else { Some(Statement::Other) };
    }
    cursor.skip(&["ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"]);
    if cursor.take(&["INDEX"]) {
        return index(cursor);
    }
    // Views, routines, triggers, accounts: their bodies name tables and change none.
    is_about_others(&cursor).then_some(Statement::Other)
}

/// What else `CREATE`, `ALTER` and `DROP` are about, by the first word behind them.
const OTHERS: [&str; 25] = [
    "AGGREGATE",
    "ALGORITHM",
    "DEFINER",
    "EVENT",
    "FUNCTION",
    "INSTANCE",
    "JSON",
    "LIBRARY",
    "LOGFILE",
    "MATERIALIZED",
    "PACKAGE",
    "PREPARE",
    "PROCEDURE",
    "REFERENCE",
    "RESOURCE",
    "ROLE",
    "SEQUENCE",
    "SERVER",
    "SQL",
    "TABLESPACE",
    "TEMPORARY",
    "TRIGGER",
    "UNDO",
    "USER",
    "VIEW",
];

fn is_about_others(cursor: &Cursor<'_>) -> bool {
    cursor.peek().is_some_and(|token| OTHERS.iter().any(|keyword| token.is(keyword)))
}

fn create_table(mut cursor: Cursor<'_>, replace: bool) -> Option<Statement> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let table = cursor.table()?;
    let mut changes = Vec::new();
    if replace {
        changes.push(Change::Dropped(table.clone()));
    }
    let source = source(cursor)?;
    changes.push(Change::Created { table, source, if_not_exists });
    Some(Statement::Ddl(changes))
}

/// Where a new table comes from. A column of a keyword's name is in quotes, so that the keyword
/// in the clear begins a query.
fn source(mut cursor: Cursor<'_>) -> Option<Source> {
    let mut like = cursor;
    like.sign(b'(');
    if like.take(&["LIKE"]) {
        return like.table().map(Source::Like);
    }
    let mut behind_as = false;
    while let Some(token) = cursor.next() {
        let begins = |words: &[&str]| words.iter().any(|word| token.is(word));
        if begins(&["SELECT"]) || behind_as && begins(&["WITH", "TABLE", "VALUES"]) {
            return Some(Source::Query);
        }
        behind_as = token.is("AS");
    }
    Some(Source::Columns)
}

/// `CREATE INDEX name ... ON table` and `DROP INDEX name ON table`.
fn index(mut cursor: Cursor<'_>) -> Option<Statement> {
    loop {
        if cursor.take(&["ON"]) {
            return Some(Statement::Ddl(vec![Change::Altered(cursor.table()?)]));
        }
        cursor.next()?;
    }
}

/// What stands behind `DROP`.
pub(super) fn drop(mut cursor: Cursor<'_>) -> Option<Statement> {
    if cursor.take(&["TABLE"]) || cursor.take(&["TABLES"]) {
        cursor.take(&["IF", "EXISTS"]);
        let dropped = cursor.tables()?.into_iter().map(Change::Dropped).collect();
        return Some(Statement::Ddl(dropped));
    }
    if cursor.take(&["DATABASE"]) || cursor.take(&["SCHEMA"]) {
        cursor.take(&["IF", "EXISTS"]);
        return Some(Statement::Ddl(vec![Change::SchemaDropped(cursor.identifier()?)]));
    }
    cursor.skip(&["ONLINE", "OFFLINE", "SPATIAL"]);
    if is_about_others(&cursor) {
        return Some(Statement::Other);
    }
    if cursor.take(&["INDEX"]) { index(cursor) } else { None }
}

/// What stands behind `RENAME`. The pairs are carried out one after the other, so that names may
/// be swapped.
pub(super) fn rename(mut cursor: Cursor<'_>) -> Option<Statement> {
    if cursor.take(&["USER"]) {
        return Some(Statement::Other);
    }
    if !cursor.take(&["TABLE"]) && !cursor.take(&["TABLES"]) {
        return None;
    }
    cursor.take(&["IF", "EXISTS"]);
    let mut changes = Vec::new();
    loop {
        let from = cursor.table()?;
        wait(&mut cursor);
        if !cursor.take(&["TO"]) {
            return None;
        }
        changes.push(Change::Renamed { from, to: cursor.table()? });
        if !cursor.sign(b',') {
            return cursor.at_end().then_some(Statement::Ddl(changes));
        }
    }
}

/// How long to wait for a lock, which MariaDB lets a statement say.
fn wait(cursor: &mut Cursor<'_>) {
    if cursor.take(&["WAIT"]) {
        cursor.next();
    }
    cursor.skip(&["NOWAIT"]);
}

/// What stands behind `TRUNCATE`.
pub(super) fn truncate(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.take(&["TABLE"]);
    Some(Statement::Ddl(vec![Change::Truncated(cursor.table()?)]))
}

/// What stands behind `ALTER`.
pub(super) fn alter(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.skip(&["ONLINE", "OFFLINE", "IGNORE"]);
    if cursor.take(&["TABLE"]) {
        return alter_table(cursor);
    }
    if cursor.take(&["DATABASE"]) || cursor.take(&["SCHEMA"]) {
        // Without a name it is the default schema, and what follows is an option.
        let mut named = cursor;
        let options =
            ["CHARACTER", "CHARSET", "COLLATE", "COMMENT", "DEFAULT", "ENCRYPTION", "READ"];
        let option = named.next().is_some_and(|token| options.iter().any(|word| token.is(word)));
        let schema = if option { cursor.schema() } else { cursor.identifier()? };
        return Some(Statement::Ddl(vec![Change::SchemaAltered(schema)]));
    }
    is_about_others(&cursor).then_some(Statement::Other)
}

/// What follows `ALTER TABLE`: parts with commas between them, each of which may change what
/// happens to the table.
fn alter_table(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.take(&["IF", "EXISTS"]);
    let table = cursor.table()?;
    wait(&mut cursor);
    let (mut altered, mut moved, mut renamed) = (false, Vec::new(), None);
    loop {
        match part(&mut cursor)? {
            Part::Plain => altered = true,
            Part::Renamed(to) => renamed = Some(to),
            Part::RowsMoved(other) => {
                moved.push(Change::RowsMoved(table.clone()));
                moved.extend(other);
            }
        }
        if !next_part(&mut cursor) {
            break;
        }
    }
    let altered = altered.then(|| Change::Altered(table.clone()));
    let renamed = renamed.map(|to| Change::Renamed { from: table, to });
    Some(Statement::Ddl(altered.into_iter().chain(moved).chain(renamed).collect()))
}

/// One part of an `ALTER TABLE`.
enum Part {
    /// Columns, keys, options.
    Plain,
    /// The table gets this name.
    Renamed(TableName),
    /// Rows come or go, and this is what happens to the table on the other side.
    RowsMoved(Option<Change>),
}

/// Reads the beginning of a part; `None` when it ends too early.
fn part(cursor: &mut Cursor<'_>) -> Option<Part> {
    if cursor.take(&["RENAME"]) {
        if ["COLUMN", "INDEX", "KEY"].iter().any(|keyword| cursor.take(&[keyword])) {
            return Some(Part::Plain);
        }
        if !cursor.sign(b'=') {
            cursor.skip(&["TO", "AS"]);
        }
        return cursor.table().map(Part::Renamed);
    }
    if cursor.take(&["EXCHANGE", "PARTITION"]) || cursor.take(&["CONVERT", "PARTITION"]) {
        cursor.identifier()?;
        if !cursor.take(&["WITH", "TABLE"]) && !cursor.take(&["TO", "TABLE"]) {
            return None;
        }
        return Some(Part::RowsMoved(Some(Change::RowsMoved(cursor.table()?))));
    }
    if cursor.take(&["CONVERT", "TABLE"]) {
        return Some(Part::RowsMoved(Some(Change::Dropped(cursor.table()?))));
    }
    let drops = cursor.take(&["DROP", "PARTITION"]) || cursor.take(&["TRUNCATE", "PARTITION"]);
    if drops || cursor.take(&["DISCARD"]) || cursor.take(&["IMPORT"]) {
        return Some(Part::RowsMoved(None));
    }
    Some(Part::Plain)
}

/// Goes behind the comma before the next part, if there is one.
fn next_part(cursor: &mut Cursor<'_>) -> bool {
    while let Some(token) = cursor.next() {
        match token {
            Token::Sign(b',') => return true,
            Token::Sign(b'(') => cursor.skip_group(),
            _ => {}
        }
    }
    false
}
