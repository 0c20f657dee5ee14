//! SQL from code that may or may not be inside a runtime.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Value};

use crate::ServerError;
use crate::postgres::{on_own_runtime, repeat};

/// A row as text, `None` for NULL.
pub(super) type Row = Vec<Option<String>>;

impl From<mysql_async::Error> for ServerError {
    fn from(error: mysql_async::Error) -> Self {
        ServerError(match error {
            mysql_async::Error::Server(said) => {
                format!("{} ({}): {}", said.code, said.state, said.message)
            }
            other => other.to_string(),
        })
    }
}

/// Runs `sql`, one statement or many, on a connection of its own; the rows of all of them.
pub(super) fn run(opts: &Opts, sql: &str) -> Result<Vec<Row>, ServerError> {
    on_own_runtime(async || ask(opts, sql).await)
}

/// Tries until the server answers, `gave_up` says why it never will, or `limit` has passed.
pub(super) fn wait_for_answer(
    opts: &Opts,
    limit: Duration,
    gave_up: &(dyn Fn() -> Option<String> + Sync),
) -> Result<(), ServerError> {
    repeat(limit, async || {
        let Err(error) = ask(opts, "select 1").await else { return Ok(None) };
        gave_up().map_or(Ok(Some(error.0)), |reason| Err(ServerError(reason)))
    })
}

/// Asks `condition`, a query for one number, until it is 1 or `limit` has passed.
pub(super) fn wait_for_true(
    opts: &Opts,
    condition: &str,
    limit: Duration,
) -> Result<(), ServerError> {
    repeat(limit, async || {
        let rows = ask(opts, condition).await?;
        let answer = rows.into_iter().flatten().next().flatten();
        let is_true = answer.as_deref() == Some("1");
        Ok((!is_true).then(|| format!("{condition}: {answer:?}")))
    })
}

async fn ask(opts: &Opts, sql: &str) -> Result<Vec<Row>, ServerError> {
    let mut conn = Conn::new(opts.clone()).await?;
    let rows = rows_of(&mut conn, sql).await;
    // Unless it is said goodbye to, the server logs the end of a connection as a fault.
    drop(conn.disconnect().await);
    rows
}

async fn rows_of(conn: &mut Conn, sql: &str) -> Result<Vec<Row>, ServerError> {
    let mut rows = Vec::new();
    let mut result = conn.query_iter(sql).await?;
    while !result.is_empty() {
        result.for_each(|row| rows.push(row.unwrap_raw().into_iter().map(text).collect())).await?;
    }
    // The error of a later statement looks like the end of the results.
    result.drop_result().await?;
    Ok(rows)
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}
