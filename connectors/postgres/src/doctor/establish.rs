use std::time::Duration;

use connector_api::{Error, Result};
use tokio_postgres::Client;

use super::Facts;
use super::quote::literal;
use crate::config::PostgresConfig;
use crate::position::Lsn;
use crate::session::{ServerMessage, SqlClient, sql_error};

/// Time after which somebody is told which transactions are waited for.
pub(crate) const WORTH_TELLING: Duration = Duration::from_secs(60);
/// How they are found, and ended.
pub(crate) const SEE_TRANSACTIONS: &str = "see what holds them up: SELECT pid, state, query FROM \
    pg_stat_activity WHERE backend_xid IS NOT NULL; SELECT transaction, gid, prepared FROM \
    pg_prepared_xacts; one that was forgotten ends with ROLLBACK PREPARED";

/// Sees to it that the server keeps the log for us, and says from where on. A slot of ours that is
/// of use is taken as it is, one whose log is lost is made again; any other is not ours to touch.
pub(crate) async fn establish(
    client: &SqlClient,
    config: &PostgresConfig,
    facts: &Facts,
    slot: &str,
) -> Result<Lsn> {
    if let Some(found) = &facts.slot {
        if let Some(confirmed) = found.usable_from(&config.database) {
            return Ok(confirmed);
        }
        if !found.is_ours(&config.database) {
            return Err(Error::operator(
                format!("slot {slot} was made for something else"),
                "name another slot in [source]",
            ));
        }
        client.in_time(drop_slot(client, config, slot)).await?;
    }
    create_slot(client, config, facts, slot).await
}

/// Drops a slot that nobody reads; one that is not there is as good as dropped.
pub(super) async fn drop_slot(client: &Client, config: &PostgresConfig, slot: &str) -> Result<()> {
    let sql = format!("SELECT pg_drop_replication_slot({})", literal(slot));
    let dropped = client.batch_execute(&sql).await;
    match dropped.map_err(|error| (ServerMessage::of_sql(&error), error)) {
        // Somebody was faster.
        Err((Some(said), _)) if said.code == "42704" => Ok(()),
        Err((_, error)) => Err(sql_error(error, config, &format!("dropping slot {slot}"))),
        Ok(()) => Ok(()),
    }
}

/// Waits for a slot that is being made. The server does that once every transaction has ended that
/// is open now, however long that takes.
pub(crate) async fn made<T>(config: &PostgresConfig, making: impl Future<Output = T>) -> T {
    let mut making = std::pin::pin!(making);
    match tokio::time::timeout(WORTH_TELLING, &mut making).await {
        Ok(made) => made,
        Err(_) => {
            let database = &config.database;
            let fix = SEE_TRANSACTIONS;
            tracing::warn!(
                database,
                fix,
                "a slot is made once the transactions open now have ended"
            );
            making.await
        }
    }
}

async fn create_slot(
    client: &SqlClient,
    config: &PostgresConfig,
    facts: &Facts,
    slot: &str,
) -> Result<Lsn> {
    let failed = |error: tokio_postgres::Error| match ServerMessage::of_sql(&error) {
        Some(said) if said.code == "42710" => {
            Error::transient(format!("another process has just made slot {slot}"))
        }
        _ => sql_error(error, config, &format!("creating slot {slot}")),
    };
    // If we are gone by the time the slot is made, nobody would use it.
    let patience = "SET statement_timeout = 0; SET lock_timeout = 0;";
    client.in_time(async { client.batch_execute(patience).await.map_err(failed) }).await?;
    if facts.server.version_number >= 140_000 {
        let looks = "SET client_connection_check_interval = '5s'";
        // Not every system a server runs on can tell it, and such a server refuses this.
        client.in_time(async { Ok(client.batch_execute(looks).await.is_ok()) }).await?;
    }
    let sql = "SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput')";
    let row = made(config, client.query_one(sql, &[&slot])).await.map_err(failed)?;
    let lsn = row.get::<_, String>(0);
    lsn.parse().map_err(|error| {
        Error::definite(format!("the server put slot {slot} at {lsn:?}")).because(error)
    })
}
