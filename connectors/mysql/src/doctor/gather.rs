use connector_api::Capture;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row, Value};

use super::facts::{Account, Facts, HostKind, Retention};
use super::grants::Grants;
use super::quote::account;
use crate::config::MysqlConfig;
use crate::position::LogFile;

mod cascades;
mod keys;
mod names;
mod replication;
mod settings;
mod status;
mod tables;

pub use status::head;
pub(crate) use tables::SHOW_GENERATED_KEYS;
pub use tables::{columns, visible_columns};

/// What servers answer to who may not ask, and to what they do not have: no access to a database,
/// to a table, to a column; a privilege is missing; the log is off; there is no such table.
pub(crate) const REFUSED: [u16; 8] = [1044, 1045, 1142, 1143, 1227, 1370, 1381, 1146];

/// Asks the server. What the account may not see is left out, not an error.
pub async fn gather(
    conn: &mut Conn,
    config: &MysqlConfig,
    capture: &Capture,
) -> Result<Facts, Error> {
    // All those questions are too much for the caller's stack.
    Box::pin(ask(conn, config, capture)).await
}

async fn ask(conn: &mut Conn, config: &MysqlConfig, capture: &Capture) -> Result<Facts, Error> {
    let settings = settings::ask(conn).await?;
    let (server, log) = (settings.server(), settings.log());
    let mut facts = Facts { server, log, ..Facts::default() };
    if !facts.server.is_supported() {
        return Ok(facts);
    }
    facts.replication.filters = settings.filters();
    account_and_gtids(conn, &mut facts).await?;
    if facts.log.is_on {
        facts.log.files = status::files(conn).await?;
        if let Some(status) = status::status(conn).await? {
            facts.log.head = status.head;
            facts.log.do_db = status.do_db;
            facts.log.ignore_db = status.ignore_db;
        }
    }
    if matches!(facts.server.host, HostKind::Rds | HostKind::Aurora) {
        facts.log.retention = retention_of_rds(conn).await?;
    }
    replication::ask(conn, &mut facts).await?;
    facts.tables = tables::tables(conn, &facts, capture).await?;
    if !facts.log.has_cascades {
        cascades::ask(conn, &mut facts.tables).await?;
    }
    facts.others = names::others(conn, &facts.tables, capture, &config.database).await?;
    Ok(facts)
}

async fn account_and_gtids(conn: &mut Conn, facts: &mut Facts) -> Result<(), Error> {
    let sql = if facts.server.is_mariadb() {
        "SELECT CURRENT_USER(), @@GLOBAL.gtid_binlog_state, @@GLOBAL.gtid_slave_pos"
    } else {
        "SELECT CURRENT_USER(), @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged"
    };
    let row: Option<Row> = conn.query_first(sql).await?;
    // MySQL breaks long sets into lines.
    let said = |nth| row.as_ref().and_then(|row| text(row, nth)).unwrap_or_default();
    let [current, executed, rest] = [said(0), said(1), said(2)].map(|text| text.replace('\n', ""));
    let grants = grants(conn).await?;
    facts.account = Account { name: account(&current), grants };
    facts.log.executed = executed;
    if facts.server.is_mariadb() {
        facts.replication.has_followed = !rest.is_empty();
    } else {
        facts.log.purged = rest;
    }
    Ok(())
}

async fn grants(conn: &mut Conn) -> Result<Grants, Error> {
    let lines = permitted(conn, "SHOW GRANTS").await?.unwrap_or_default();
    let lines: Vec<String> = lines.iter().filter_map(|row| text(row, 0)).collect();
    Ok(Grants::parse(lines.iter().map(String::as_str)))
}

/// Whether the account has each of these privileges on everything there is.
pub(crate) async fn has_everywhere(conn: &mut Conn, privileges: &[&str]) -> Result<bool, Error> {
    let grants = grants(conn).await?;
    Ok(!grants.is_partly_revoked() && privileges.iter().all(|name| grants.has(&[name])))
}

/// On RDS the settings of the server say nothing: its own tool removes files.
async fn retention_of_rds(conn: &mut Conn) -> Result<Retention, Error> {
    let sql = "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'";
    let Some(rows) = permitted(conn, sql).await? else { return Ok(Retention::Unknown) };
    let hours = rows.first().and_then(|row| text(row, 0)).and_then(|hours| hours.parse().ok());
    Ok(Retention::Seconds(hours.unwrap_or(0_u64).saturating_mul(3600)))
}

/// The rows of a query, or `None` where the account may not ask it.
async fn permitted(conn: &mut Conn, sql: &str) -> Result<Option<Vec<Row>>, Error> {
    match conn.query(sql).await {
        Ok(rows) => Ok(Some(rows)),
        Err(Error::Server(error)) if REFUSED.contains(&error.code) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A cell as text; `None` for NULL.
pub(crate) fn text(row: &Row, column: usize) -> Option<String> {
    match row.as_ref(column)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

/// A cell by the name of its column, in either case.
fn named(row: &Row, name: &str) -> Option<String> {
    let columns = row.columns_ref();
    let is_it = |column: &mysql_async::Column| column.name_str().eq_ignore_ascii_case(name);
    text(row, columns.iter().position(is_it)?)
}

/// A list of names as servers print it.
fn listed(names: &str) -> Vec<String> {
    let names = names.split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn log_file(row: &Row) -> Option<(LogFile, u64)> {
    Some((text(row, 0)?.parse().ok()?, text(row, 1)?.parse().ok()?))
}
