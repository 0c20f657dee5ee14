//! SQL from code that may or may not be inside a runtime.

use std::fmt;
use std::time::{Duration, Instant};

use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

/// A row as text, `None` for NULL.
pub(super) type Row = Vec<Option<String>>;

/// What a server answered that was not wanted, or why it could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError(pub(crate) String);

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ServerError {}

impl From<std::io::Error> for ServerError {
    fn from(error: std::io::Error) -> Self {
        ServerError(error.to_string())
    }
}

impl From<String> for ServerError {
    fn from(text: String) -> Self {
        ServerError(text)
    }
}

impl From<tokio_postgres::Error> for ServerError {
    fn from(error: tokio_postgres::Error) -> Self {
        let said = error.as_db_error().map(|said| {
            let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{}: {}{detail}", said.code().code(), said.message())
        });
        ServerError(said.unwrap_or_else(|| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        }))
    }
}

/// Runs `sql`, one statement or many, on a connection of its own.
pub(super) fn run(config: &Config, sql: &str) -> Result<Vec<Row>, ServerError> {
    on_own_runtime(|| ask(config, sql))
}

/// Tries until the server answers, `gave_up` says why it never will, or `limit` has passed.
pub(super) fn wait_for_answer(
    config: &Config,
    limit: Duration,
    gave_up: &(dyn Fn() -> Option<String> + Sync),
) -> Result<(), ServerError> {
    repeat(limit, async || {
        let Err(error) = ask(config, "select 1").await else { return Ok(None) };
        gave_up().map_or(Ok(Some(error.0)), |reason| Err(ServerError(reason)))
    })
}

/// Asks `condition`, a query for one boolean, until it is true or `limit` has passed.
pub(super) fn wait_for_true(
    config: &Config,
    condition: &str,
    limit: Duration,
) -> Result<(), ServerError> {
    repeat(limit, async || {
        let rows = ask(config, condition).await?;
        let answer = rows.into_iter().flatten().next().flatten();
        let is_true = answer.as_deref() == Some("t");
        Ok((!is_true).then(|| format!("{condition}: {answer:?}")))
    })
}

/// Tries again and again until `attempt` has nothing more to complain of; fails with its last
/// complaint when `limit` has passed, and at once with an error.
pub(crate) fn repeat(
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<Option<String>, ServerError> + Send,
) -> Result<(), ServerError> {
    on_own_runtime(async || {
        let deadline = Instant::now() + limit;
        while let Some(last) = attempt().await? {
            if Instant::now() > deadline {
                return Err(ServerError(format!("waited in vain; last answer: {last}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    })
}

async fn ask(config: &Config, sql: &str) -> Result<Vec<Row>, ServerError> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let answer = client.simple_query(sql).await;
    drop(client);
    // Until the connection has ended, its backend may still hold the database.
    drop(driver.await);
    let rows = answer?.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// A thread with a runtime of its own: the caller may be inside one, where blocking is refused.
pub(crate) fn on_own_runtime<T: Send>(
    work: impl AsyncFnOnce() -> Result<T, ServerError> + Send,
) -> Result<T, ServerError> {
    let body = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    };
    std::thread::scope(|scope| scope.spawn(body).join())
        .unwrap_or_else(|_| Err(ServerError("the thread that asks panicked".to_owned())))
}
