//! The indexes of a table, by which it can be read in order.

use connector_api::TableName;

use crate::doctor::literal;
use crate::session::{Row, Session, Table, Unanswered};

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
    pub(super) async fn of(
        session: &mut Session,
        table: &TableName,
    ) -> Result<Vec<Self>, Unanswered> {
        let sql = format!(
            "SELECT * FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} \
             AND TABLE_NAME = {} ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            literal(&table.schema),
            literal(&table.table)
        );
        let found = session.rows(&sql).await?;
        let mut indexes: Vec<Self> = Vec::new();
        for row in &found.rows {
            let said = Said { table: &found, row };
            if said.of("TABLE_NAME") == Some(&*table.table) {
                add(&mut indexes, &said);
            }
        }
        Ok(indexes)
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.kind == Method::Tree
    }
}

/// What is said of a part of an index, by the names of the columns: not every server has all.
struct Said<'t> {
    table: &'t Table,
    row: &'t Row,
}

impl<'t> Said<'t> {
    fn of(&self, name: &str) -> Option<&'t str> {
        self.row.get(self.table.column(name)?)?.as_deref()
    }
}

fn add(indexes: &mut Vec<Index>, said: &Said<'_>) {
    let named = |name: &str| said.of(name).unwrap_or_default().to_owned();
    let name = named("INDEX_NAME");
    if indexes.last().is_none_or(|last| last.name != name) {
        let is_unique = said.of("NON_UNIQUE") == Some("0");
        indexes.push(Index { name, is_unique, kind: Method::Tree, parts: Vec::new() });
    }
    let Some(index) = indexes.last_mut() else { return };
    // What is computed has no column; what nobody may use is said by a word of each family.
    let is_usable = said.of("INDEX_TYPE") == Some("BTREE")
        && said.of("COLUMN_NAME").is_some()
        && said.of("IS_VISIBLE").is_none_or(|visible| visible == "YES")
        && said.of("IGNORED").is_none_or(|ignored| ignored == "NO");
    if !is_usable {
        index.kind = Method::Other;
    } else if said.of("SUB_PART").is_some() && index.kind == Method::Tree {
        index.kind = Method::Beginnings;
    }
    let descending = said.of("COLLATION") == Some("D");
    index.parts.push(IndexPart { column: named("COLUMN_NAME"), descending });
}
