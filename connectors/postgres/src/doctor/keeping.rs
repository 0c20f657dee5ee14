use connector_api::{Error, LogKeeping, Result};
use tokio_postgres::Client;

use super::Facts;
use super::establish::drop_slot;
use super::predecessor::end_predecessor;
use crate::config::{PostgresConfig, Slot};
use crate::session::sql_error;

/// How much log the slot holds, and how much more it may. A slot of another's making is its own
/// affair, and one that is not there holds nothing.
pub(crate) async fn log_keeping(client: &Client, config: &PostgresConfig) -> Result<LogKeeping> {
    let Slot::Named(name) = &config.slot else { return Ok(LogKeeping::default()) };
    let sql = "SELECT greatest(0, pg_wal_lsn_diff(
                CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                     ELSE pg_current_wal_lsn() END, restart_lsn))::bigint,
            safe_wal_size,
            (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') >= 0
        FROM pg_replication_slots WHERE slot_name = $1";
    let found = client.query_opt(sql, &[&name]).await;
    let found = found.map_err(|error| sql_error(error, config, "asking for the slot's log"))?;
    let Some(row) = found else { return Ok(LogKeeping::default()) };
    // A slot whose log is lost has no place, and holds nothing any more.
    let bytes =
        |column| row.get::<_, Option<i64>>(column).map(|bytes| bytes.max(0).cast_unsigned());
    Ok(LogKeeping {
        retained_bytes: Some(bytes(0).unwrap_or(0)),
        is_limited: row.get::<_, Option<bool>>(2).unwrap_or(false),
        headroom_bytes: bytes(1),
        ..LogKeeping::default()
    })
}

/// Drops the slot, although a connection of ours may read it.
pub(crate) async fn release(client: &Client, config: &PostgresConfig, facts: &Facts) -> Result<()> {
    let (Slot::Named(name), Some(slot)) = (&config.slot, &facts.slot) else { return Ok(()) };
    if !slot.is_ours(&config.database) {
        return Ok(());
    }
    if let Some(holder) = &slot.holder {
        if holder.application != config.shown_name() {
            let who = &holder.described;
            return Err(Error::held(format!("slot {name} is in use by {who}"), who));
        }
        end_predecessor(client, config, name, holder).await?;
    }
    drop_slot(client, config, name).await
}
