//! What a server says of its triggers, views and routines: which captured tables they name.

use connector_api::{Capture, TableName};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Error, Row};

use crate::decode::Suspects;
use crate::doctor;
use crate::session::SqlClient;
use crate::statement::{Dialect, named_in};

/// Everything that may change tables which a statement does not name: where it is, its text, and
/// the `sql_mode` its text is to be read with.
const PROGRAMS: [&str; 3] = [
    "SELECT TRIGGER_SCHEMA, ACTION_STATEMENT, SQL_MODE FROM information_schema.TRIGGERS",
    "SELECT TABLE_SCHEMA, VIEW_DEFINITION, '' FROM information_schema.VIEWS",
    "SELECT ROUTINE_SCHEMA, ROUTINE_DEFINITION, SQL_MODE FROM information_schema.ROUTINES",
];

/// Schemas that come with the server.
const OF_THE_SERVER: [&str; 4] = ["mysql", "sys", "information_schema", "performance_schema"];

/// What lets an account see all of them, with their texts. Without it a server leaves out what the
/// account may not see, and does not say so.
const NEEDED: [&str; 3] = ["TRIGGER", "SHOW VIEW", "SELECT"];

/// The captured tables that may change when a statement names another one.
pub(super) async fn ask(
    client: &mut SqlClient,
    capture: &Capture,
    fold_case: bool,
) -> Result<Suspects, Error> {
    let tables = match named(client, capture, fold_case).await? {
        Some(named) => named,
        None => all(client, capture).await?,
    };
    let as_of = doctor::head(client).await?;
    Ok(Suspects { tables, as_of })
}

/// Those that something names; `None` when not everything can be seen.
async fn named(
    client: &mut SqlClient,
    capture: &Capture,
    fold_case: bool,
) -> Result<Option<Vec<TableName>>, Error> {
    if !doctor::has_everywhere(client, &NEEDED).await? {
        return Ok(None);
    }
    let captured =
        |schema: &str, table: &str| capture.columns_of(&TableName::new(schema, table)).is_some();
    let mut tables = Vec::new();
    for sql in PROGRAMS {
        let rows: Vec<Row> = client.query(sql).await?;
        for row in &rows {
            let said = |nth| doctor::text(row, nth);
            let schema = said(0).unwrap_or_default();
            if OF_THE_SERVER.contains(&&*schema) {
                continue;
            }
            let Some(text) = said(1).filter(|text| !text.is_empty()) else { return Ok(None) };
            let modes = said(2).unwrap_or_default();
            let dialect = Dialect {
                schema: &schema,
                ansi_quotes: modes.split(',').any(|mode| mode == "ANSI_QUOTES"),
                no_backslash_escapes: modes.split(',').any(|mode| mode == "NO_BACKSLASH_ESCAPES"),
                fold_case,
            };
            tables.extend(named_in(text.as_bytes(), &dialect, &captured));
        }
    }
    tables.sort();
    tables.dedup();
    Ok(Some(tables))
}

/// All captured tables that there are.
async fn all(client: &mut SqlClient, capture: &Capture) -> Result<Vec<TableName>, Error> {
    let sql = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
        WHERE TABLE_TYPE NOT LIKE '%VIEW'";
    let rows: Vec<Row> = client.query(sql).await?;
    let name = |row: &Row| Some(TableName::new(doctor::text(row, 0)?, doctor::text(row, 1)?));
    let mut tables: Vec<TableName> = rows.iter().filter_map(name).collect();
    tables.retain(|table| capture.columns_of(table).is_some());
    tables.sort();
    Ok(tables)
}
