use connector_api::{Capture, TableName};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, Value};

use super::text;
use crate::doctor::facts::TableFacts;

/// Names of tables that a captured one which was not found may have been meant to be: those of its
/// database, and of the one that is connected to.
pub(super) async fn others(
    conn: &mut Conn,
    found: &[TableFacts],
    capture: &Capture,
    database: &str,
) -> Result<Vec<TableName>, Error> {
    let is_missing = |name: &TableName| {
        !name.schema.contains('*')
            && !name.table.contains('*')
            && !found.iter().any(|table| table.description.name == *name)
    };
    let missing = capture.tables.iter().map(|wanted| &wanted.name).filter(|name| is_missing(name));
    let mut schemas: Vec<&str> = missing.map(|name| &*name.schema).collect();
    if schemas.is_empty() {
        return Ok(Vec::new());
    }
    schemas.push(database);
    schemas.sort_unstable();
    schemas.dedup();
    let mut names = Vec::new();
    for schema in schemas {
        let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?";
        let rows: Vec<Row> = conn.exec(sql, vec![Value::from(schema)]).await?;
        let tables = rows.iter().filter_map(|row| text(row, 0));
        names.extend(tables.map(|table| TableName::new(schema, table)));
    }
    Ok(names)
}
