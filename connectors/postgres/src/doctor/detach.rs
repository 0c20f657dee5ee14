use connector_api::{Detached, Error, Result};
use tokio_postgres::Client;

use super::Facts;
use super::establish::drop_slot;
use super::quote::identifier;
use crate::config::{PostgresConfig, Slot};
use crate::session::sql_error;

/// What was granted to the current role, as statements that take it back. A role that owns
/// something, or may do everything, was not made for us: nothing of it is to be taken back.
const GRANTED: &str = "
    WITH role AS (
        SELECT oid, rolname FROM pg_roles r
        WHERE rolname = current_user AND NOT rolsuper
            AND NOT EXISTS (SELECT FROM pg_class WHERE relowner = r.oid)
            AND NOT EXISTS (SELECT FROM pg_database WHERE datdba = r.oid)
    ), granted AS (
        SELECT 1 AS place, format('TABLE %I.%I', n.nspname, c.relname) AS what
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, role
        WHERE EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = role.oid)
            OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a
                       WHERE t.attrelid = c.oid AND a.grantee = role.oid)
        UNION ALL
        SELECT 2, format('SCHEMA %I', n.nspname) FROM pg_namespace n, role
        WHERE EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = role.oid)
        UNION ALL
        SELECT 3, format('DATABASE %I', d.datname) FROM pg_database d, role
        WHERE EXISTS (SELECT FROM aclexplode(d.datacl) a WHERE a.grantee = role.oid)
    )
    SELECT statement FROM (
        SELECT place, format('REVOKE ALL ON %s FROM %I;', what, rolname) FROM granted, role
        UNION ALL
        SELECT 4, format('DROP ROLE %I;', rolname) FROM role
    ) AS undo (place, statement) ORDER BY place, statement";

/// Drops the slot, so that the server keeps no log for us any more, and tells what is left.
pub(crate) async fn detach(
    client: &Client,
    config: &PostgresConfig,
    facts: &Facts,
) -> Result<Detached> {
    let done = match &config.slot {
        Slot::Temporary => "there was no slot but that of a connection".to_owned(),
        Slot::Unconfirmed(name) => format!("slot {name} was not made here and is left as it is"),
        Slot::Named(name) => drop_ours(client, config, facts, name).await?,
    };
    let mut left = Vec::new();
    if facts.publication.is_some() {
        left.push(format!("DROP PUBLICATION {};", identifier(&config.publication)));
    }
    let granted = client.query(GRANTED, &[]).await;
    let granted = granted.map_err(|error| sql_error(error, config, "asking what was granted"))?;
    left.extend(granted.iter().map(|row| row.get::<_, String>(0)));
    Ok(Detached { done: vec![done], left })
}

async fn drop_ours(
    client: &Client,
    config: &PostgresConfig,
    facts: &Facts,
    name: &str,
) -> Result<String> {
    let Some(slot) = &facts.slot else { return Ok(format!("there is no slot {name}")) };
    if !slot.is_ours(&config.database) {
        return Ok(format!("slot {name} was made for something else and is left as it is"));
    }
    if let Some(holder) = &slot.holder {
        let who = &holder.described;
        return Err(Error::held(format!("slot {name} is in use by {who}"), who));
    }
    drop_slot(client, config, name).await?;
    Ok(format!("slot {name} is dropped: the server keeps no log for it any more"))
}
