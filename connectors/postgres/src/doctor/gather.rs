use connector_api::{Capture, Result, ResumePoint, TableName};
use tokio_postgres::{Client, Row};

use super::facts::{
    Facts, Former, Holder, HostKind, PublicationFacts, PublishedTable, Server, SlotFacts,
    TableFacts, Usage,
};
use crate::config::{PostgresConfig, Slot};
use crate::position::{LogIdentity, Lsn};
use crate::session::sql_error;

mod tables;

/// The first version that has what the queries below ask for.
const OLDEST: i32 = 130_000;

/// Asks the server, all but what only a walsender knows.
pub(crate) async fn gather(
    client: &Client,
    config: &PostgresConfig,
    capture: &Capture,
) -> Result<Facts> {
    let asked = ask(client, config, capture).await;
    asked.map_err(|error| sql_error(error, config, "looking at the server"))
}

/// The slot that kept the log for a checkpoint, where this configuration names another one now.
pub(crate) async fn former(
    client: &Client,
    config: &PostgresConfig,
    facts: &Facts,
    last: Option<&ResumePoint>,
) -> Result<Option<Former>> {
    let Some(known) = last.and_then(|last| LogIdentity::from_lineage(&last.lineage)) else {
        return Ok(None);
    };
    let now = match &config.slot {
        Slot::Named(name) | Slot::Unconfirmed(name) => Some(name),
        Slot::Temporary => None,
    };
    let version = facts.server.version_number;
    if version < OLDEST || now.is_none_or(|now| *now == known.slot) {
        return Ok(None);
    }
    let found = slot(client, &known.slot, version).await;
    let found = found.map_err(|error| sql_error(error, config, "looking at the former slot"))?;
    let LogIdentity { system_id, slot: name, .. } = known;
    Ok(found.map(|slot| Former { system_id, name, slot }))
}

async fn ask(
    client: &Client,
    config: &PostgresConfig,
    capture: &Capture,
) -> Result<Facts, tokio_postgres::Error> {
    let server = server(client).await?;
    let mut facts = Facts { server, ..Facts::default() };
    if facts.server.version_number < OLDEST {
        return Ok(facts);
    }
    let version = facts.server.version_number;
    if let Slot::Named(name) | Slot::Unconfirmed(name) = &config.slot {
        facts.slot = slot(client, name, version).await?;
    }
    facts.publication = publication(client, &config.publication, version).await?;
    let published = facts.publication.as_ref().map_or(&[][..], |found| &found.tables);
    facts.tables = tables::tables(client, capture, published).await?;
    Ok(facts)
}

async fn server(client: &Client) -> Result<Server, tokio_postgres::Error> {
    let sql = "SELECT current_setting('server_version'),
            current_setting('server_version_num')::int,
            pg_is_in_recovery(),
            current_setting('wal_level'),
            (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)
                OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'rds_replication'
                           AND pg_has_role(current_user, r.oid, 'member')),
            (SELECT count(*) FROM pg_replication_slots),
            current_setting('max_replication_slots')::bigint,
            (SELECT count(*) FROM pg_stat_replication),
            current_setting('max_wal_senders')::bigint,
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                 ELSE pg_current_wal_flush_lsn() END::text,
            (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
            (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'),
            (SELECT setting::bigint * CASE unit WHEN 'min' THEN 60 ELSE 1 END
             FROM pg_settings WHERE name = 'idle_replication_slot_timeout'),
            (SELECT min(name) FROM pg_settings WHERE name IN
                ('rds.logical_replication', 'cloudsql.logical_decoding', 'azure.extensions'))";
    let row = client.query_one(sql, &[]).await?;
    let host = match row.get::<_, Option<&str>>(13) {
        Some("rds.logical_replication") => HostKind::Rds,
        Some("cloudsql.logical_decoding") => HostKind::CloudSql,
        Some(_) => HostKind::Azure,
        None => HostKind::Plain,
    };
    Ok(Server {
        version: row.get(0),
        version_number: row.get(1),
        host,
        head: lsn(&row, 9).unwrap_or_default(),
        in_recovery: row.get(2),
        wal_level: row.get(3),
        may_replicate: row.get::<_, Option<bool>>(4).unwrap_or_default(),
        slots: Usage { used: row.get(5), limit: row.get(6) },
        senders: Usage { used: row.get(7), limit: row.get(8) },
        max_slot_wal_keep_mib: row.get::<_, Option<i64>>(10).unwrap_or(-1),
        wal_sender_timeout_ms: row.get::<_, Option<i64>>(11).unwrap_or_default(),
        idle_slot_timeout_s: row.get::<_, Option<i64>>(12).unwrap_or_default(),
    })
}

async fn slot(
    client: &Client,
    name: &str,
    version: i32,
) -> Result<Option<SlotFacts>, tokio_postgres::Error> {
    let invalidated = match version {
        170_000.. => "s.invalidation_reason",
        160_000.. => "CASE WHEN s.conflicting THEN 'conflict with recovery' END",
        _ => "NULL::text",
    };
    let synced = if version >= 170_000 { "s.synced" } else { "false" };
    let two_phase = if version >= 140_000 { "s.two_phase" } else { "false" };
    // Whose session it is may be hidden, its program's name never is.
    let sql = format!(
        "SELECT s.plugin::text, s.database::text, s.temporary, s.confirmed_flush_lsn::text,
            s.wal_status, s.safe_wal_size, {invalidated}, {synced}, s.active_pid,
            concat_ws(' ', coalesce(nullif(a.application_name, ''), 'a client'),
                CASE WHEN a.client_addr IS NOT NULL THEN 'from ' || host(a.client_addr)
                     WHEN a.backend_start IS NOT NULL THEN 'from the server''s machine' END,
                '(server process ' || s.active_pid || ')'),
            coalesce(a.application_name, ''), {two_phase}
         FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
         WHERE s.slot_name = $1"
    );
    let Some(row) = client.query_opt(&sql, &[&name]).await? else { return Ok(None) };
    Ok(Some(SlotFacts {
        plugin: row.get(0),
        database: row.get(1),
        temporary: row.get(2),
        confirmed: lsn(&row, 3),
        wal_status: row.get(4),
        safe_wal_bytes: row.get(5),
        invalidated: row.get(6),
        synced: row.get(7),
        holder: row.get::<_, Option<i32>>(8).map(|pid| Holder {
            described: row.get(9),
            pid,
            application: row.get(10),
        }),
        two_phase: row.get(11),
    }))
}

async fn publication(
    client: &Client,
    name: &str,
    version: i32,
) -> Result<Option<PublicationFacts>, tokio_postgres::Error> {
    let generated = if version >= 180_000 { "pubgencols = 's'" } else { "false" };
    let sql = format!(
        "SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, {generated}, oid,
            concat_ws('.', oid, xmin)
         FROM pg_publication WHERE pubname = $1"
    );
    let Some(row) = client.query_opt(&sql, &[&name]).await? else { return Ok(None) };
    let oid: u32 = row.get(6);
    let tables = client.query(&published_tables(version), &[&name, &oid]).await?;
    Ok(Some(PublicationFacts {
        revision: row.get(7),
        operations: [row.get(0), row.get(1), row.get(2), row.get(3)],
        via_root: row.get(4),
        generated: row.get(5),
        tables: tables.iter().map(published_table).collect(),
    }))
}

/// What is published, and by which entries of the catalog. Column lists, row filters and
/// publications of a whole schema came with 15, generated columns in the log with 18: the view of
/// 15 lists them all the same.
fn published_tables(version: i32) -> String {
    let columns = match version {
        180_000.. => "t.attnames::text[]",
        150_000.. => {
            "(SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attname = ANY(t.attnames) AND a.attgenerated = '')"
        }
        _ => {
            "(SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND a.attgenerated = '')"
        }
    };
    let (filter, listed, of_schema) = if version >= 150_000 {
        (
            "t.rowfilter",
            "bool_or(e.prattrs IS NOT NULL)",
            "(SELECT string_agg(concat_ws('.', s.oid, s.xmin), ' ' ORDER BY s.oid)
              FROM pg_publication_namespace s
              WHERE s.pnpubid = $2 AND s.pnnspid = c.relnamespace)",
        )
    } else {
        ("NULL::text", "false", "NULL::text")
    };
    format!(
        "SELECT n.nspname::text, c.relname::text, {columns}, {filter}, coalesce(m.listed, false),
            rn.nspname::text, r.relname::text,
            concat_ws(' ', c.oid, m.revision, {of_schema}), f.names
         FROM pg_publication_tables t
         JOIN pg_namespace n ON n.nspname = t.schemaname
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
         LEFT JOIN pg_class r ON c.relispartition AND r.oid = pg_partition_root(c.oid)
         LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
         LEFT JOIN LATERAL (
            SELECT {listed} AS listed,
                string_agg(concat_ws('.', e.oid, e.xmin), ' ' ORDER BY e.oid) AS revision
            FROM pg_publication_rel e WHERE e.prpubid = $2 AND (e.prrelid = c.oid
                OR e.prrelid IN (SELECT relid FROM pg_partition_ancestors(c.oid)))
         ) m ON true
         LEFT JOIN LATERAL (
            SELECT array_agg(a.attname::text ORDER BY a.attnum) AS names
            FROM pg_publication_rel e
            JOIN pg_depend d ON d.classid = 'pg_publication_rel'::regclass AND d.objid = e.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE e.prpubid = $2 AND e.prrelid = c.oid
         ) f ON true
         WHERE t.pubname = $1 ORDER BY n.nspname, c.relname"
    )
}

fn published_table(row: &Row) -> PublishedTable {
    let listed: bool = row.get(4);
    let filter: Option<String> = row.get(3);
    let speaks_of = row.get::<_, Option<Vec<String>>>(8).unwrap_or_default();
    PublishedTable {
        name: TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        columns: row.get::<_, Option<Vec<String>>>(2).unwrap_or_default(),
        listed,
        // The catalog does not say which of the two a column is named in.
        filter_columns: if filter.is_some() && !listed { speaks_of } else { Vec::new() },
        filter,
        root: table_name(row, 5),
        revision: row.get(7),
    }
}

/// A name in two columns, both NULL where there is none.
fn table_name(row: &Row, column: usize) -> Option<TableName> {
    let schema: Option<String> = row.get(column);
    Some(TableName::new(schema?, row.get::<_, Option<String>>(column + 1)?))
}

fn lsn(row: &Row, column: usize) -> Option<Lsn> {
    row.get::<_, Option<String>>(column).and_then(|text| text.parse().ok())
}
