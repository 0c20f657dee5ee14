//! A table as the catalog describes it, and how it is read.

use std::sync::Arc;

use connector_api::{Column, Error, KEYLESS_BYTES, Result, TableName, TableSchema};

use super::cursor::{Key, Kind, Part};
use super::index::{self, Index};
use super::quote;
use crate::doctor::{literal, qualified};
use crate::session::{Row, Session, Table, Unanswered};

/// A column as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) column_type: String,
    pub(super) charset: Option<String>,
    pub(super) is_key: bool,
    pub(super) may_select: bool,
    pub(super) is_nullable: bool,
}

impl Described {
    /// The name of its type, in lower case.
    pub(super) fn base(&self) -> &str {
        let end = self.column_type.find(|c: char| !c.is_ascii_alphanumeric());
        &self.column_type[..end.unwrap_or(self.column_type.len())]
    }
}

/// Whether the type of this name is one of integers.
pub(super) fn is_integer(base: &str) -> bool {
    matches!(base, "tinyint" | "smallint" | "mediumint" | "int" | "bigint")
}

fn said(row: &Row, nth: usize) -> Option<String> {
    row.get(nth).cloned().flatten()
}

/// What may change between two chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) columns: Vec<Described>,
    /// `InnoDB`; nothing for what is no table.
    pub(super) engine: String,
}

impl Shape {
    /// `None` when there is no such table, or the account may see nothing of it.
    pub(super) async fn of(
        session: &mut Session,
        table: &TableName,
    ) -> Result<Option<Self>, Unanswered> {
        Ok(Self::from(session.rows(&Self::question(table)).await?, table))
    }

    /// The same, and the transaction ends behind the question.
    pub(super) async fn at_the_end(
        session: &mut Session,
        table: &TableName,
    ) -> Result<Option<Self>, Unanswered> {
        let [shape, ended] = session.rows_of([&Self::question(table), "COMMIT"]).await?;
        ended?;
        Ok(Self::from(shape?, table))
    }

    fn question(table: &TableName) -> String {
        let (schema, name) = (literal(&table.schema), literal(&table.table));
        format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLUMN_KEY, PRIVILEGES,
                IS_NULLABLE, TABLE_SCHEMA, TABLE_NAME,
                (SELECT ENGINE FROM information_schema.TABLES
                    WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {name})
            FROM information_schema.COLUMNS
            WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {name}
            ORDER BY ORDINAL_POSITION"
        )
    }

    fn from(answer: Table, table: &TableName) -> Option<Self> {
        let mut rows = answer.rows;
        // A catalog may compare names without their case; the log does not.
        rows.retain(|row| said(row, 6).as_ref() == Some(&table.schema));
        rows.retain(|row| said(row, 7).as_ref() == Some(&table.table));
        let engine = said(rows.first()?, 8).unwrap_or_default();
        let columns = rows.iter().filter_map(|row| {
            Some(Described {
                name: said(row, 0)?,
                column_type: said(row, 1)?,
                charset: said(row, 2),
                is_key: said(row, 3)?.eq_ignore_ascii_case("PRI"),
                may_select: said(row, 4)?.to_ascii_lowercase().contains("select"),
                is_nullable: said(row, 5)?.eq_ignore_ascii_case("YES"),
            })
        });
        Some(Self { columns: columns.collect(), engine })
    }

    fn column(&self, name: &str) -> Option<&Described> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// How a table is read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: TableName,
    /// The columns that were asked for.
    pub(super) wanted: Vec<String>,
    pub(super) shape: Shape,
    pub(super) schema: Arc<TableSchema>,
    /// What is selected: the captured columns, and behind them what else the key needs.
    pub(super) selected: Vec<String>,
    /// `None` for a table that has to be read at once.
    pub(super) key: Option<Key>,
    /// Where the values of the key stand in what is selected.
    pub(super) key_places: Vec<usize>,
    /// Rows of a chunk that are likely to fit into its bytes.
    pub(super) likely_rows: u32,
}

/// Rows of the first chunk, from which on it is known how large they are.
const FIRST_ROWS: u32 = 128;

impl Plan {
    /// Of a table that is there.
    pub(super) async fn new(
        session: &mut Session,
        table: &TableName,
        wanted: &[String],
        shape: Shape,
    ) -> Result<Self, Unanswered> {
        let indexes = Index::of(session, table).await?;
        let key = key(&shape, &indexes);
        let captured: Vec<&Described> =
            shape.columns.iter().filter(|column| wanted.contains(&column.name)).collect();
        let has_key = shape.columns.iter().any(|column| column.is_key);
        let columns = captured.iter().map(|column| Column {
            name: column.name.clone(),
            type_name: column.column_type.clone(),
            identity: column.is_key || !has_key,
        });
        let schema = Arc::new(TableSchema { name: table.clone(), columns: columns.collect() });
        let mut selected: Vec<String> =
            captured.iter().map(|column| quote::column(&column.name)).collect();
        let mut key_places = Vec::new();
        for part in key.iter().flat_map(|key| &key.parts) {
            let expression = part.kind.selected(&part.name);
            let known = selected.iter().position(|known| *known == expression);
            key_places.push(known.unwrap_or(selected.len()));
            if known.is_none() {
                selected.push(expression);
            }
        }
        if selected.is_empty() {
            selected.push("1".to_owned());
        }
        let (name, wanted) = (table.clone(), wanted.to_vec());
        let likely_rows = FIRST_ROWS;
        Ok(Self { name, wanted, shape, schema, selected, key, key_places, likely_rows })
    }

    /// Columns of the key and those wanted that the account may not select, of those it sees.
    pub(super) fn unreadable(&self) -> Vec<&str> {
        let parts = self.key.iter().flat_map(|key| &key.parts).map(|part| &*part.name);
        let wanted = self.schema.columns.iter().map(|column| &*column.name);
        let may_not = |name: &&str| !self.shape.column(name).is_some_and(|known| known.may_select);
        let mut names: Vec<&str> = wanted.chain(parts).filter(may_not).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Columns that were asked for and that the account does not see, if they are there at all.
    pub(super) fn unseen(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().map(|name| &**name).filter(|name| self.shape.column(name).is_none())
    }

    /// Every column that has to be granted.
    pub(super) fn needed(&self) -> Vec<&str> {
        let parts = self.key.iter().flat_map(|key| &key.parts).map(|part| &*part.name);
        let mut names: Vec<&str> = self.wanted.iter().map(|name| &**name).chain(parts).collect();
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(*name));
        names
    }

    /// Whether rows are read as of one moment, whatever happens in the meantime.
    pub(super) fn has_read_view(&self) -> bool {
        let engine = self.shape.engine.to_ascii_lowercase();
        ["innodb", "rocksdb", "tokudb"].contains(&&*engine)
    }

    /// Whether a moment of it can be told as a place of MariaDB's log.
    pub(super) fn is_innodb(&self) -> bool {
        self.shape.engine.eq_ignore_ascii_case("innodb")
    }

    /// Takes from a chunk how many rows are likely to fill one.
    pub(super) fn learn(&mut self, rows: u32, bytes: usize, chunk_bytes: usize) {
        const FASTER: u32 = 8;
        let average = (bytes / rows.max(1) as usize).max(1);
        let fit = u32::try_from(chunk_bytes / average).unwrap_or(u32::MAX).saturating_add(1);
        self.likely_rows = fit.min(self.likely_rows.saturating_mul(FASTER));
    }
}

/// What the rows are told apart and read in order by: the primary key, or a unique index without
/// NULL that the server can go through. A primary key of beginnings of texts tells rows apart, but
/// gives no order.
fn key(shape: &Shape, indexes: &[Index]) -> Option<Key> {
    let is_ordered = |index: &&Index| index.is_ordered();
    let is_unique = |index: &&Index| {
        let not_null = |name: &String| shape.column(name).is_none_or(|column| !column.is_nullable);
        index.is_unique && index.parts.iter().all(|part| not_null(&part.column))
    };
    let primary = indexes.iter().find(|index| index.name == "PRIMARY");
    let best = primary.filter(is_ordered).or_else(|| {
        let mut unique: Vec<&Index> = indexes.iter().filter(is_ordered).filter(is_unique).collect();
        unique.sort_by_key(|index| index.parts.len());
        unique.first().copied()
    });
    let part = |name: &str, descending| {
        let column = shape.column(name);
        let kind = column
            .map_or(Kind::Bytes, |column| Kind::of(&column.column_type, column.charset.as_deref()));
        Part { name: name.to_owned(), kind, descending }
    };
    if let Some(index) = best {
        let parts = index.parts.iter().map(|of| part(&of.column, of.descending));
        return Some(Key { index: Some(index.name.clone()), parts: parts.collect() });
    }
    let marked = shape.columns.iter().filter(|column| column.is_key);
    let parts: Vec<Part> = match primary.filter(|index| !index.parts.is_empty()) {
        Some(index) if index.kind != index::Method::Other => {
            index.parts.iter().map(|of| part(&of.column, false)).collect()
        }
        Some(_) => Vec::new(),
        // An index that the account may not see.
        None if indexes.is_empty() => marked.map(|column| part(&column.name, false)).collect(),
        None => Vec::new(),
    };
    (!parts.is_empty()).then_some(Key { index: None, parts })
}

/// What the catalog says of the table beside its columns.
pub(super) struct Size {
    /// `BASE TABLE`, `VIEW` ...
    pub(super) kind: String,
    pub(super) bytes: Option<u64>,
    pub(super) rows: Option<u64>,
}

impl Size {
    pub(super) async fn of(
        session: &mut Session,
        table: &TableName,
    ) -> Result<Option<Self>, Unanswered> {
        let sql = format!(
            "SELECT TABLE_TYPE, DATA_LENGTH, TABLE_ROWS FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            literal(&table.schema),
            literal(&table.table)
        );
        let row = session.rows(&sql).await?.first();
        if row.is_empty() {
            return Ok(None);
        }
        let number = |nth| said(&row, nth).and_then(|number| number.parse().ok());
        let (bytes, rows) = (number(1), number(2));
        Ok(Some(Self { kind: said(&row, 0).unwrap_or_default(), bytes, rows }))
    }

    /// A table without a key is read at once, or not at all.
    pub(super) fn check_keyless(&self, table: &TableName, account: &str) -> Result<()> {
        let bytes = self.bytes.unwrap_or(0);
        if bytes <= KEYLESS_BYTES as u64 {
            return Ok(());
        }
        Err(too_large(table, &format!("{} MiB", bytes >> 20), account))
    }
}

/// A table without a key that is more than what is read at once.
pub(super) fn too_large(table: &TableName, size: &str, account: &str) -> Error {
    let name = qualified(table);
    let most = KEYLESS_BYTES >> 20;
    Error::operator(
        format!(
            "table {name} has neither a primary key nor a unique index without NULL that \
             {account} may see, and holds {size}: without one it has to be read at once, of which \
             {most} MiB are the most"
        ),
        format!(
            "ALTER TABLE {name} ADD PRIMARY KEY (the columns that identify a row); or where it has \
             a key, GRANT SELECT ON {name} TO {account};"
        ),
    )
}
