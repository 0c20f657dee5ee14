use connector_api::{
    Capture, ColumnDescription, Error, Identity, Result, TableDescription, TableName,
};
use tokio_postgres::{Client, Row};

use crate::config::{PostgresConfig, Slot};
use crate::position::Lsn;
use crate::session::sql_error;

/// What the catalog says of our slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotFacts {
    pub(crate) plugin: String,
    pub(crate) database: String,
    pub(crate) active_pid: Option<i32>,
    /// Who holds it, for people.
    pub(crate) holder: Option<String>,
    pub(crate) confirmed: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub(crate) wal_status: Option<String>,
}

/// What the catalog says of the publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PublicationFacts {
    /// insert, update, delete, truncate.
    pub(crate) operations: [bool; 4],
    pub(crate) via_root: bool,
    /// Published tables with the columns and the filter that apply.
    pub(crate) tables: Vec<PublishedTable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedTable {
    pub(crate) name: TableName,
    pub(crate) columns: Vec<String>,
    pub(crate) filter: Option<String>,
}

/// A captured table and what decides how its changes arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableFacts {
    pub(crate) description: TableDescription,
    /// `r` a table, `p` a partitioned one; views and the like cannot be published.
    pub(crate) kind: String,
}

/// Everything that is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: String,
    /// `150018` for 15.18.
    pub(crate) version_number: i32,
    pub(crate) system_id: String,
    pub(crate) timeline: u32,
    pub(crate) head: Lsn,
    pub(crate) in_recovery: bool,
    pub(crate) wal_level: String,
    pub(crate) may_replicate: bool,
    pub(crate) slots: (i64, i64),
    pub(crate) senders: (i64, i64),
    pub(crate) slot: Option<SlotFacts>,
    pub(crate) publication: Option<PublicationFacts>,
    pub(crate) tables: Vec<TableFacts>,
    /// Where the timelines before the current one ended.
    pub(crate) forks: Vec<(u32, Lsn)>,
}

/// Asks the server.
pub(crate) async fn gather(
    client: &Client,
    config: &PostgresConfig,
    capture: &Capture,
) -> Result<Facts> {
    let failed = |error| sql_error(error, config, "looking at the server");
    let mut facts = Facts::default();
    server(client, &mut facts).await.map_err(failed)?;
    facts.slot = match &config.slot {
        Slot::Named(name) | Slot::Unconfirmed(name) => slot(client, name).await.map_err(failed)?,
        Slot::Temporary => None,
    };
    facts.publication = publication(client, config, &facts).await.map_err(failed)?;
    facts.tables = tables(client, capture, &facts).await.map_err(failed)?;
    Ok(facts)
}

async fn server(client: &Client, facts: &mut Facts) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT current_setting('server_version'),
            current_setting('server_version_num')::int,
            (SELECT system_identifier::text FROM pg_control_system()),
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
            (SELECT timeline_id FROM pg_control_checkpoint())::int";
    let row = client.query_one(sql, &[]).await?;
    facts.version = row.get(0);
    facts.version_number = row.get(1);
    facts.system_id = row.get(2);
    facts.in_recovery = row.get(3);
    facts.wal_level = row.get(4);
    facts.may_replicate = row.get(5);
    facts.slots = (row.get(6), row.get(7));
    facts.senders = (row.get(8), row.get(9));
    facts.head = lsn(&row, 10).unwrap_or_default();
    facts.timeline = u32::try_from(row.get::<_, i32>(11)).unwrap_or_default();
    Ok(())
}

async fn slot(client: &Client, name: &str) -> Result<Option<SlotFacts>, tokio_postgres::Error> {
    let sql = "SELECT s.plugin::text, s.database::text, s.active_pid, s.confirmed_flush_lsn::text,
            s.wal_status,
            concat_ws(' ', coalesce(nullif(r.application_name, ''), 'a client'),
                'from', coalesce(r.client_addr::text, 'this machine'),
                '(server process ' || s.active_pid || ')')
        FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
        WHERE s.slot_name = $1";
    let Some(row) = client.query_opt(sql, &[&name]).await? else { return Ok(None) };
    let active_pid: Option<i32> = row.get(2);
    Ok(Some(SlotFacts {
        plugin: row.get::<_, Option<String>>(0).unwrap_or_default(),
        database: row.get::<_, Option<String>>(1).unwrap_or_default(),
        active_pid,
        holder: active_pid.map(|_| row.get(5)),
        confirmed: lsn(&row, 3),
        wal_status: row.get(4),
    }))
}

async fn publication(
    client: &Client,
    config: &PostgresConfig,
    facts: &Facts,
) -> Result<Option<PublicationFacts>, tokio_postgres::Error> {
    let sql = "SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot
        FROM pg_publication WHERE pubname = $1";
    let Some(row) = client.query_opt(sql, &[&config.publication]).await? else { return Ok(None) };
    // Column lists and row filters came with 15.
    let parts = if facts.version_number >= 150_000 {
        "attnames::text[], rowfilter"
    } else {
        "(SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
          WHERE attrelid = format('%I.%I', schemaname, tablename)::regclass
          AND attnum > 0 AND NOT attisdropped), NULL::text"
    };
    let sql = format!(
        "SELECT schemaname::text, tablename::text, {parts} FROM pg_publication_tables
         WHERE pubname = $1 ORDER BY 1, 2"
    );
    let rows = client.query(&sql, &[&config.publication]).await?;
    let table = |row: &Row| PublishedTable {
        name: TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        columns: row.get::<_, Option<Vec<String>>>(2).unwrap_or_default(),
        filter: row.get(3),
    };
    Ok(Some(PublicationFacts {
        operations: [row.get(0), row.get(1), row.get(2), row.get(3)],
        via_root: row.get(4),
        tables: rows.iter().map(table).collect(),
    }))
}

async fn tables(
    client: &Client,
    capture: &Capture,
    facts: &Facts,
) -> Result<Vec<TableFacts>, tokio_postgres::Error> {
    // Stored generated columns travel from 18 on, when the publication says so.
    let sql = "SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relreplident::text,
            a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated::text,
            (SELECT array_position(i.indkey::int[], a.attnum::int)
             FROM pg_index i WHERE i.indrelid = c.oid AND
                CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        ORDER BY 1, 2, a.attnum";
    let rows = client.query(sql, &[]).await?;
    let mut tables: Vec<TableFacts> = Vec::new();
    let mut key: Vec<(i32, String)> = Vec::new();
    for row in &rows {
        let name = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        if capture.columns_of(&name).is_none() {
            continue;
        }
        if tables.last().is_none_or(|last| last.description.name != name) {
            finish(tables.last_mut(), &mut key);
            tables.push(TableFacts {
                description: TableDescription {
                    name: name.clone(),
                    columns: Vec::new(),
                    primary_key: Vec::new(),
                    identity: identity(row.get(3)),
                },
                kind: row.get(2),
            });
        }
        let (column, generated): (String, String) = (row.get(4), row.get(6));
        if let Some(place) = row.get::<_, Option<i32>>(7) {
            key.push((place, column.clone()));
        }
        let published = facts
            .publication
            .as_ref()
            .and_then(|publication| publication.tables.iter().find(|table| table.name == name));
        let listed = published.is_some_and(|table| table.columns.contains(&column));
        let logged = generated.is_empty() || (facts.version_number >= 180_000 && listed);
        if let Some(table) = tables.last_mut() {
            let type_name = row.get(5);
            table.description.columns.push(ColumnDescription { name: column, type_name, logged });
        }
    }
    finish(tables.last_mut(), &mut key);
    Ok(tables)
}

/// Puts the identifying columns into key order.
fn finish(table: Option<&mut TableFacts>, key: &mut Vec<(i32, String)>) {
    key.sort_unstable();
    let columns = key.drain(..).map(|(_, column)| column);
    if let Some(table) = table {
        table.description.primary_key = columns.collect();
    }
}

fn identity(code: &str) -> Identity {
    match code {
        "f" => Identity::Full,
        "n" => Identity::Nothing,
        "i" => Identity::Index,
        _ => Identity::PrimaryKey,
    }
}

fn lsn(row: &Row, column: usize) -> Option<Lsn> {
    row.get::<_, Option<String>>(column).and_then(|text| text.parse().ok())
}

/// What `TIMELINE_HISTORY` sent: lines of timeline, the place where it ended, and a reason.
pub(crate) fn parse_forks(history: &str) -> Result<Vec<(u32, Lsn)>> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let timeline = words.next()?.parse().ok()?;
        Some((timeline, words.next()?.parse().ok()?))
    };
    history
        .lines()
        .filter(|text| !text.trim().is_empty() && !text.trim_start().starts_with('#'))
        .map(|text| line(text).ok_or_else(|| Error::definite("an unreadable timeline history")))
        .collect()
}
