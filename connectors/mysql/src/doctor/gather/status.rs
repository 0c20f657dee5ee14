use mysql_async::{Conn, Error, Row};

use super::{listed, log_file, permitted, text};
use crate::position::{ListedLog, LogFile};

/// Where the log ends, and which databases are in it.
pub(super) struct Status {
    pub(super) head: Option<(LogFile, u64)>,
    pub(super) do_db: Vec<String>,
    pub(super) ignore_db: Vec<String>,
}

/// `None` when the account may not ask.
pub(super) async fn status(conn: &mut Conn) -> Result<Option<Status>, Error> {
    let Some(row) = status_row(conn).await? else { return Ok(None) };
    let databases = |column| listed(&text(&row, column).unwrap_or_default());
    Ok(Some(Status { head: log_file(&row), do_db: databases(2), ignore_db: databases(3) }))
}

async fn status_row(conn: &mut Conn) -> Result<Option<Row>, Error> {
    // MariaDB has kept the old name, and counts from 10.
    let sql = match conn.server_version() {
        (8, 2.., _) | (9, ..) => "SHOW BINARY LOG STATUS",
        _ => "SHOW MASTER STATUS",
    };
    Ok(permitted(conn, sql).await?.and_then(|rows| rows.into_iter().next()))
}

/// Where the log ends: file and offset. `None` when it is off, or the account may not ask.
pub async fn head(conn: &mut Conn) -> Result<Option<(LogFile, u64)>, Error> {
    Ok(status(conn).await?.and_then(|status| status.head))
}

/// The files of the log, oldest first; `None` when the account may not ask.
pub(super) async fn files(conn: &mut Conn) -> Result<Option<Vec<ListedLog>>, Error> {
    let rows = permitted(conn, "SHOW BINARY LOGS").await?;
    let files = |(file, size)| ListedLog { file, size };
    Ok(rows.map(|rows| rows.iter().filter_map(log_file).map(files).collect()))
}
