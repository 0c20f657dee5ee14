use std::collections::BTreeMap;

use connector_api::{
    Capture, ColumnDescription, ColumnLayout, Identity, TableDescription, TableName,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, Row, Value};

use super::keys::{self, Keys};
use super::text;
use crate::doctor::facts::{Facts, TableFacts, is_blob, is_table};
use crate::doctor::grants::Reach;
use crate::doctor::quote::like;

/// A column as the catalog has it.
struct Column {
    name: String,
    column_type: String,
    is_key: bool,
    may_select: bool,
    ordinal: usize,
}

/// The captured tables that exist and can be seen, column by column.
pub(super) async fn tables(
    conn: &mut Conn,
    facts: &Facts,
    capture: &Capture,
) -> Result<Vec<TableFacts>, Error> {
    if capture.tables.is_empty() {
        return Ok(Vec::new());
    }
    conn.query_drop(SHOW_GENERATED_KEYS).await?;
    let kinds =
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES";
    let kinds = matching(conn, kinds, capture).await?;
    let columns = "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, COLUMN_KEY,
            PRIVILEGES, ORDINAL_POSITION
        FROM information_schema.COLUMNS";
    let mut columns = by_table(&matching(conn, columns, capture).await?, column);
    let keys = "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SEQ_IN_INDEX
        FROM information_schema.STATISTICS";
    let keys = by_table(&matching(conn, keys, capture).await?, keys::part);
    let mut tables: BTreeMap<TableName, TableFacts> = BTreeMap::new();
    for row in &kinds {
        let name = name_of(row);
        // A catalog may compare names without their case; the log does not.
        if capture.columns_of(&name).is_none() {
            continue;
        }
        let kind = text(row, 2).unwrap_or_default();
        let is_named = capture.tables.iter().any(|wanted| wanted.name == name);
        if !is_named && !is_for_patterns(&name, &kind) {
            continue;
        }
        let mut columns = columns.remove(&name).unwrap_or_default();
        columns.sort_unstable_by_key(|column| column.ordinal);
        columns.dedup_by_key(|column| column.ordinal);
        let parts = keys.get(&name).map(Vec::as_slice).unwrap_or_default();
        let mut table = table(facts, name.clone(), &columns, parts);
        table.kind = kind;
        table.engine = text(row, 3).unwrap_or_default();
        tables.entry(name).or_insert(table);
    }
    Ok(tables.into_values().collect())
}

/// A pattern stands for what a shop keeps in tables: not for views, nor for what the server says of
/// itself.
fn is_for_patterns(name: &TableName, kind: &str) -> bool {
    let of_server = ["information_schema", "mysql", "performance_schema", "sys"];
    is_table(kind) && !of_server.iter().any(|schema| name.schema.eq_ignore_ascii_case(schema))
}

fn table(facts: &Facts, name: TableName, columns: &[Column], parts: &[keys::Part]) -> TableFacts {
    let key: Vec<&str> =
        columns.iter().filter(|column| column.is_key).map(|column| &*column.name).collect();
    let Keys { primary_key, is_declared } = keys::identifying(&key, parts);
    // With a smaller image old rows are identified by what the server takes for a key.
    let whole = facts.log.row_image.starts_with("FULL");
    let identity = match (whole || primary_key.is_empty(), is_declared) {
        (true, _) => Identity::Full,
        (false, true) => Identity::PrimaryKey,
        (false, false) => Identity::Index,
    };
    // Of a row that nothing identifies all is logged, changed or not.
    let is_partial = !whole && !primary_key.is_empty();
    let may_lack = |column: &Column| {
        let is_kept = facts.log.row_image == "NOBLOB" && !is_blob(&column.column_type);
        is_partial && !is_kept && !primary_key.contains(&column.name)
    };
    let described = |column: &Column| ColumnDescription {
        name: column.name.clone(),
        type_name: column.column_type.clone(),
        // Both families log even what they compute when it is read.
        logged: true,
        omitted: may_lack(column),
    };
    let gaps = columns.iter().zip(1..).any(|(column, place)| column.ordinal != place);
    let unreadable = columns.iter().filter(|column| !column.may_select);
    TableFacts {
        kind: String::new(),
        engine: String::new(),
        unreadable: unreadable.map(|column| column.name.clone()).collect(),
        is_partly_hidden: gaps || facts.account.grants.reach(&name) == Reach::SomeColumns,
        cascades: Vec::new(),
        description: TableDescription {
            cascades: Vec::new(),
            name,
            columns: columns.iter().map(described).collect(),
            primary_key,
            identity,
        },
    }
}

/// Asks for the captured tables alone: a condition each, so that a server with thousands of tables
/// opens no other.
async fn matching(conn: &mut Conn, select: &str, capture: &Capture) -> Result<Vec<Row>, Error> {
    let (mut queries, mut params): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    for wanted in &capture.tables {
        let mut condition = |part: &str, name: &str| {
            if name.contains('*') {
                params.push(like(name).into());
                format!("{part} LIKE ? ESCAPE '!'")
            } else {
                params.push(name.into());
                format!("{part} = ?")
            }
        };
        let schema = condition("TABLE_SCHEMA", &wanted.name.schema);
        let table = condition("TABLE_NAME", &wanted.name.table);
        queries.push(format!("{select} WHERE {schema} AND {table}"));
    }
    conn.exec(queries.join(" UNION ALL "), Params::Positional(params)).await
}

fn name_of(row: &Row) -> TableName {
    TableName::new(text(row, 0).unwrap_or_default(), text(row, 1).unwrap_or_default())
}

fn by_table<T>(rows: &[Row], read: impl Fn(&Row) -> Option<T>) -> BTreeMap<TableName, Vec<T>> {
    let mut tables: BTreeMap<TableName, Vec<T>> = BTreeMap::new();
    for row in rows {
        tables.entry(name_of(row)).or_default().extend(read(row));
    }
    tables
}

fn column(row: &Row) -> Option<Column> {
    Some(Column {
        name: text(row, 2)?,
        column_type: text(row, 3)?,
        is_key: text(row, 4)?.eq_ignore_ascii_case("PRI"),
        may_select: text(row, 5)?.to_ascii_lowercase().contains("select"),
        ordinal: text(row, 6)?.parse().ok()?,
    })
}

/// The columns of a table as the log numbers them; `None` when there is no such table, or the
/// account sees only some of its columns, which says nothing of the places of the others.
pub async fn columns(
    conn: &mut Conn,
    table: &TableName,
) -> Result<Option<Vec<ColumnLayout>>, Error> {
    let rows = visible(conn, table).await?;
    let ordinal = |row: &Row| text(row, 4).and_then(|ordinal| ordinal.parse::<usize>().ok());
    let whole = rows.iter().zip(1..).all(|(row, place)| ordinal(row) == Some(place));
    if rows.is_empty() || !whole {
        return Ok(None);
    }
    let mut columns: Vec<ColumnLayout> = rows.iter().map(layout).collect();
    for nth in 1..=hashes(conn, table).await? {
        columns.push(ColumnLayout {
            name: format!("DB_ROW_HASH_{nth}"),
            type_name: "bigint(20) unsigned".to_owned(),
            charset: None,
            is_key: false,
        });
    }
    Ok(Some(columns))
}

/// The columns of a table that the account sees, which is enough where the log names them; `None`
/// when it sees none.
pub async fn visible_columns(
    conn: &mut Conn,
    table: &TableName,
) -> Result<Option<Vec<ColumnLayout>>, Error> {
    let rows = visible(conn, table).await?;
    Ok(Some(rows.iter().map(layout).collect()).filter(|columns: &Vec<_>| !columns.is_empty()))
}

async fn visible(conn: &mut Conn, table: &TableName) -> Result<Vec<Row>, Error> {
    conn.query_drop(SHOW_GENERATED_KEYS).await?;
    let sql = "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLUMN_KEY, ORDINAL_POSITION
        FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?
        ORDER BY ORDINAL_POSITION";
    conn.exec(sql, (&table.schema, &table.table)).await
}

fn layout(row: &Row) -> ColumnLayout {
    ColumnLayout {
        name: text(row, 0).unwrap_or_default(),
        type_name: text(row, 1).unwrap_or_default(),
        charset: text(row, 2),
        is_key: text(row, 3).is_some_and(|key| key.eq_ignore_ascii_case("PRI")),
    }
}

/// How many columns MariaDB has added behind those of the table, one for each unique index of long
/// values, which no catalog shows. In memory such an index is nothing out of the ordinary.
async fn hashes(conn: &mut Conn, table: &TableName) -> Result<u64, Error> {
    if conn.server_version() < (10, 0, 0) {
        return Ok(0);
    }
    let sql = "SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS
        WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_TYPE = 'HASH' AND NON_UNIQUE = 0
        AND (SELECT ENGINE FROM information_schema.TABLES
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?) <> 'MEMORY'";
    let (schema, name) = (&table.schema, &table.table);
    let row: Option<Row> = conn.exec_first(sql, (schema, name, schema, name)).await?;
    Ok(row.and_then(|row| text(&row, 0)?.parse().ok()).unwrap_or_default())
}

/// A MySQL server may make primary keys by itself and hide them from the catalog, but not from
/// the log. To MariaDB the comment is one.
pub(crate) const SHOW_GENERATED_KEYS: &str = "\
    SET /*!80030 SESSION show_gipk_in_create_table_and_information_schema = ON, */ \
    @tailstock = NULL";
