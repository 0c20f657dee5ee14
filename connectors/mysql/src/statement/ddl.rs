use super::cursor::Cursor;
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
    about_others(&cursor)
}

/// What else `CREATE`, `ALTER` and `DROP` are about, by the first word behind them.
const OTHERS: [&str; 13] = [
    "EVENT",
    "INSTANCE",
    "LOGFILE",
    "PREPARE",
    "REFERENCE",
    "RESOURCE",
    "ROLE",
    "SEQUENCE",
    "SERVER",
    "TABLESPACE",
    "TEMPORARY",
    "UNDO",
    "USER",
];

/// The same of what runs when a statement is on something else.
const PROGRAMS: [&str; 12] = [
    "AGGREGATE",
    "ALGORITHM",
    "DEFINER",
    "FUNCTION",
    "JSON",
    "LIBRARY",
    "MATERIALIZED",
    "PACKAGE",
    "PROCEDURE",
    "SQL",
    "TRIGGER",
    "VIEW",
];

/// What a statement means that is about no table, if it is known.
pub(super) fn about_others(cursor: &Cursor<'_>) -> Option<Statement> {
    let next = cursor.peek()?;
    let is_one_of = |words: &[&str]| words.iter().any(|word| next.is(word));
    match (is_one_of(&PROGRAMS), is_one_of(&OTHERS)) {
        (true, _) => Some(Statement::Programs),
        (_, true) => Some(Statement::Other),
        _ => None,
    }
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
    if let Some(others) = about_others(&cursor) {
        return Some(others);
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
pub(super) fn wait(cursor: &mut Cursor<'_>) {
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
