//! A server that is running already, named by a URL in the environment.

use mysql_async::Opts;
use tokio_postgres::Config;

/// The value of `variable` as a connection, if it is set.
pub(crate) fn postgres(variable: &str) -> Option<Result<Config, String>> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty())?;
    // The parser's own message names the offending part and never the whole value.
    let parsed = value.parse::<Config>();
    Some(parsed.map_err(|error| format!("{variable} is not a PostgreSQL URL: {error}")))
}

/// The value of `variable` as the way to a MySQL or MariaDB server, if it is set.
pub(crate) fn mysql(variable: &str) -> Option<Result<Opts, String>> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty())?;
    let parsed = Opts::from_url(&value);
    Some(parsed.map_err(|error| format!("{variable} is not a MySQL URL: {error}")))
}
