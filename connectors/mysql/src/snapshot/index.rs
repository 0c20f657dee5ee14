//! The indexes of a table, by which it can be read in order.

use connector_api::TableName;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Row};

use crate::doctor::named;

/// How an index finds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// In order.
    Tree,
    /// In order of the beginnings of values alone.
    Beginnings,
    /// Otherwise, or not at all.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) is_unique: bool,
    pub(super) kind: Method,
    /// In its order.
    pub(super) parts: Vec<IndexPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexPart {
    pub(super) column: String,
    pub(super) descending: bool,
}

impl Index {
    /// Those that the account may see.
    pub(super) async fn of(conn: &mut Conn, table: &TableName) -> Result<Vec<Self>, Error> {
        let sql = "SELECT * FROM information_schema.STATISTICS
            WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX";
        let rows: Vec<Row> = conn.exec(sql, (&table.schema, &table.table)).await?;
        let mut indexes: Vec<Self> = Vec::new();
        for row in &rows {
            if named(row, "TABLE_NAME").as_ref() == Some(&table.table) {
                add(&mut indexes, row);
            }
        }
        Ok(indexes)
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.kind == Method::Tree
    }
}

fn add(indexes: &mut Vec<Index>, row: &Row) {
    let said = |name: &str| named(row, name).unwrap_or_default();
    let name = said("INDEX_NAME");
    if indexes.last().is_none_or(|last| last.name != name) {
        let is_unique = said("NON_UNIQUE") == "0";
        indexes.push(Index { name, is_unique, kind: Method::Tree, parts: Vec::new() });
    }
    let Some(index) = indexes.last_mut() else { return };
    // What is computed has no column; what nobody may use is said by a word of each family.
    let is_usable = said("INDEX_TYPE") == "BTREE"
        && named(row, "COLUMN_NAME").is_some()
        && named(row, "IS_VISIBLE").is_none_or(|visible| visible == "YES")
        && named(row, "IGNORED").is_none_or(|ignored| ignored == "NO");
    if !is_usable {
        index.kind = Method::Other;
    } else if named(row, "SUB_PART").is_some() && index.kind == Method::Tree {
        index.kind = Method::Beginnings;
    }
    let descending = said("COLLATION") == "D";
    index.parts.push(IndexPart { column: said("COLUMN_NAME"), descending });
}
