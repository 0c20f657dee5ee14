use connector_api::TableName;

use super::Statement;
use super::cursor::Cursor;
use super::lexer::Token;

/// What stands behind `INSERT` or `REPLACE`.
pub(super) fn insert(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.skip(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]);
    Some(Statement::Dml { tables: vec![cursor.table()?] })
}

/// What stands behind `UPDATE`: any of the tables before `SET` may be the one that changes.
pub(super) fn update(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.skip(&["LOW_PRIORITY", "IGNORE"]);
    referenced(cursor, &["SET"])
}

/// What stands behind `DELETE`: one table, or several with those they are joined with, as the
/// ones to delete from may go by an alias.
pub(super) fn delete(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.skip(&["LOW_PRIORITY", "QUICK", "IGNORE", "HISTORY", "FROM"]);
    referenced(cursor, &["WHERE", "ORDER", "LIMIT", "RETURNING"])
}

/// What stands behind `WITH`: names for queries, and then what is done with them.
pub(super) fn behind_query_names(mut cursor: Cursor<'_>) -> Option<Statement> {
    loop {
        match cursor.next()? {
            Token::Sign(b'(') => cursor.skip_group(),
            token if token.is("UPDATE") => return update(cursor),
            token if token.is("DELETE") => return delete(cursor),
            token if token.is("INSERT") || token.is("REPLACE") => return insert(cursor),
            _ => {}
        }
    }
}

/// What stands behind `LOAD`: `DATA` or `XML` with a table somewhere behind.
pub(super) fn load(mut cursor: Cursor<'_>) -> Option<Statement> {
    if cursor.take(&["INDEX"]) {
        return Some(Statement::Other);
    }
    loop {
        if cursor.take(&["INTO", "TABLE"]) {
            return Some(Statement::Dml { tables: vec![cursor.table()?] });
        }
        cursor.next()?;
    }
}

/// More tables than a server joins, so that a statement of megabytes is not read for its names.
const TABLES_MAX: usize = 256;

/// The tables of a list of joins, up to one of the keywords in `until`. Those inside a derived
/// table are only read.
fn referenced(mut cursor: Cursor<'_>, until: &[&str]) -> Option<Statement> {
    let mut tables: Vec<TableName> = Vec::new();
    let mut expected = true;
    while let Some(token) = cursor.peek() {
        if expected {
            expected = false;
            if cursor.sign(b'(') {
                expected = !query(&mut cursor);
            } else if cursor.sign(b'{') {
                // The braces of ODBC: `{ OJ a LEFT OUTER JOIN b ... }`.
                cursor.next();
                expected = true;
            } else if cursor.take(&["LATERAL"]) {
                expected = true;
            } else {
                let table = cursor.table()?;
                if tables.len() == TABLES_MAX {
                    return None;
                }
                if !tables.contains(&table) {
                    tables.push(table);
                }
            }
            continue;
        }
        cursor.next();
        match token {
            Token::Sign(b'(') => cursor.skip_group(),
            Token::Sign(b',') => expected = true,
            Token::Word(_) if until.iter().any(|keyword| token.is(keyword)) => break,
            // Of a join's columns, or of the tables of a DELETE.
            _ if token.is("USING") => expected = cursor.peek() != Some(Token::Sign(b'(')),
            _ => expected = ["JOIN", "STRAIGHT_JOIN", "FROM"].iter().any(|word| token.is(word)),
        }
    }
    (!tables.is_empty()).then_some(Statement::Dml { tables })
}

/// Goes behind a query in the parenthesis just read, if there is one.
fn query(cursor: &mut Cursor<'_>) -> bool {
    let first = cursor.peek();
    let is = |word: &&str| first.is_some_and(|token| token.is(word));
    let found = ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(is);
    if found {
        cursor.skip_group();
    }
    found
}
