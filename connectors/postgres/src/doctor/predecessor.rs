use std::time::Duration;

use connector_api::Result;
use tokio_postgres::Client;

use super::facts::Holder;
use crate::config::PostgresConfig;
use crate::session::sql_error;

/// How often, and at what distance, it is looked whether a connection has ended.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Ends the walsender of a process that was in charge before this one and sleeps, or has gone
/// without the server's notice. Left alone it would hold the slot for `wal_sender_timeout`, and for
/// ever where that is off.
pub(crate) async fn end_predecessor(
    client: &Client,
    config: &PostgresConfig,
    slot: &str,
    holder: &Holder,
) -> Result<()> {
    // The process is looked up again by its name: its number may by now be somebody else's.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE pid = $1 AND application_name = $2";
    let free = "SELECT NOT active FROM pg_replication_slots WHERE slot_name = $1";
    let explain = |error| sql_error(error, config, "ending the connection of a predecessor");
    client.query(end, &[&holder.pid, &holder.application]).await.map_err(explain)?;
    tracing::info!(slot, holder = holder.described, "the connection of a predecessor is ended");
    for _ in 0..TRIES {
        let rows = client.query(free, &[&slot]).await.map_err(explain)?;
        if rows.first().is_none_or(|row| row.get(0)) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
