use std::fmt;

use serde::{Deserialize, Serialize};

/// A table's name as its database spells it, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Schema (PostgreSQL) or database (MySQL, MariaDB).
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// A name of its two parts.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Which columns of a captured table are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Columns {
    /// Every column the log has.
    All,
    /// Only these, by name. A row image holds them in the table's own column order.
    Only(Vec<String>),
}

/// One table that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureTable {
    /// Its name; `*` in either part stands for any run of characters.
    pub name: TableName,
    /// Its columns.
    pub columns: Columns,
}

/// The tables and columns the mappings need. Everything else is skipped by length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Wanted tables; the first whose name matches decides.
    pub tables: Vec<CaptureTable>,
}

impl Capture {
    /// The columns wanted of `name`, if the table is captured at all.
    pub fn columns_of(&self, name: &TableName) -> Option<&Columns> {
        self.tables
            .iter()
            .find(|wanted| {
                matches(wanted.name.schema.as_bytes(), name.schema.as_bytes())
                    && matches(wanted.name.table.as_bytes(), name.table.as_bytes())
            })
            .map(|wanted| &wanted.columns)
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of bytes.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// One captured column as the log sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name, unquoted.
    pub name: String,
    /// The database's own name of the type, for people.
    pub type_name: String,
    /// Whether old row images carry it (part of the replica identity). Of no column where one that
    /// does is not captured: the others identify no row.
    pub identity: bool,
}

/// A captured table as the log describes it right now: the captured columns only, in the table's
/// own order. A row image of this table has one cell for each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Name.
    pub name: TableName,
    /// Captured columns.
    pub columns: Vec<Column>,
}

impl TableSchema {
    /// The place of a column in this table's row images.
    pub fn index_of(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|candidate| candidate.name == column)
    }
}

/// What an old row image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// The primary key's columns.
    PrimaryKey,
    /// The columns of another unique index.
    Index,
    /// Every column.
    Full,
    /// Nothing: updates and deletes cannot be followed.
    Nothing,
}

/// A column as the database's catalog describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDescription {
    /// Name, unquoted.
    pub name: String,
    /// The database's own name of the type, for people.
    pub type_name: String,
    /// Whether the log carries it (a generated column may be left out).
    pub logged: bool,
    /// Whether the log leaves it out of updates that do not change it. Not of what PostgreSQL
    /// stores out of line, which is never small.
    pub omitted: bool,
}

/// A table as the database's catalog describes it, all columns included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescription {
    /// Name.
    pub name: TableName,
    /// Every column.
    pub columns: Vec<ColumnDescription>,
    /// Names of the primary key's columns in key order; empty without one.
    pub primary_key: Vec<String>,
    /// What old row images hold.
    pub identity: Identity,
    /// Tables whose deleted rows delete rows of this one, without a word of those in the log.
    pub cascades: Vec<TableName>,
}

/// A table's columns in the order of its rows: what a log has to be read with that does not itself
/// say the names of columns, and what a table is compared with whose changes the log does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLayout {
    /// Schema and table.
    pub name: TableName,
    /// The database's own number of the table, where it counts: another number is another table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// All of them, captured or not.
    pub columns: Vec<ColumnLayout>,
}

/// A column of a [`TableLayout`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnLayout {
    /// Its name.
    pub name: String,
    /// The database's own name of its type, with everything that belongs to it.
    pub type_name: String,
    /// What its text is encoded in; none for what is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// Whether it is a part of the primary key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_key: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(schema: &str, table: &str) -> Capture {
        let name = TableName::new(schema, table);
        Capture { tables: vec![CaptureTable { name, columns: Columns::All }] }
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let captured = |pattern: &str, table: &str| {
            capture("public", pattern).columns_of(&TableName::new("public", table)).is_some()
        };
        assert!(captured("*", "stock"));
        assert!(captured("wp_*postmeta", "wp_2_postmeta"));
        assert!(captured("a*b*c", "aXbYbc"));
        assert!(!captured("stock", "stocks"));
        assert!(!captured("a*b", "aXc"));
        assert!(!captured("", "stock"));
    }
}
