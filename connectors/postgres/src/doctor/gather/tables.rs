use connector_api::{
    Capture, ColumnDescription, ColumnLayout, Identity, TableDescription, TableName,
};
use tokio_postgres::{Client, Row};

use super::{PublishedTable, TableFacts, table_name};
use crate::doctor::facts::{Access, Generated, Leaf, LeafIdentity};
use crate::snapshot::KEY_INDEX;
use crate::types::type_as_logged;

/// The captured tables that exist, column by column.
pub(super) async fn tables(
    client: &Client,
    capture: &Capture,
    published: &[PublishedTable],
) -> Result<Vec<TableFacts>, tokio_postgres::Error> {
    let sql = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text,
            c.relpersistence::text, c.relreplident::text, rn.nspname::text, r.relname::text,
            a.attname::text, format_type(a.atttypid, a.atttypmod), a.attgenerated::text,
            array_position((pk.indkey::int2[])[0 : pk.indnkeyatts - 1], a.attnum),
            coalesce(pk.indimmediate, false),
            array_position((ri.indkey::int2[])[0 : ri.indnkeyatts - 1], a.attnum),
            NOT has_schema_privilege(n.oid, 'USAGE'),
            has_column_privilege(c.oid, a.attnum, 'SELECT'), row_security_active(c.oid),
            array_position((best.indkey::int2[])[0 : best.indnkeyatts - 1], a.attnum),
            a.atttypid, a.atttypmod
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_index pk ON pk.indrelid = c.oid AND pk.indisprimary
        LEFT JOIN pg_index ri ON ri.indrelid = c.oid AND ri.indisreplident
        LEFT JOIN LATERAL ({KEY_INDEX}) best ON true
        LEFT JOIN pg_class r ON c.relispartition AND r.oid = pg_partition_root(c.oid)
        LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
          AND EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS wanted(schema, name)
                      WHERE n.nspname LIKE wanted.schema AND c.relname LIKE wanted.name)
        ORDER BY n.nspname, c.relname, a.attnum"
    );
    let schemas: Vec<String> = capture.tables.iter().map(|t| like(&t.name.schema)).collect();
    let names: Vec<String> = capture.tables.iter().map(|t| like(&t.name.table)).collect();
    let rows = client.query(&sql, &[&schemas, &names]).await?;
    let mut tables: Vec<TableFacts> =
        rows.chunk_by(|a, b| a.get::<_, u32>(0) == b.get::<_, u32>(0)).map(table).collect();
    for table in &mut tables {
        let name = &table.description.name;
        let sent = published.iter().find(|published| published.name == *name);
        for column in &mut table.description.columns {
            let listed = sent.is_some_and(|sent| sent.columns.contains(&column.name));
            column.logged = column.logged || listed;
        }
    }
    leaves(client, &mut tables).await?;
    Ok(tables)
}

/// A pattern as SQL's LIKE has it.
fn like(pattern: &str) -> String {
    let mut like = String::new();
    for char in pattern.chars() {
        match char {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', char]),
            other => like.push(other),
        }
    }
    like
}

/// A table from the rows of its columns.
fn table(columns: &[Row]) -> TableFacts {
    let first = &columns[0];
    let name = |row: &Row| row.get::<_, String>(8);
    let generated = |kind: &str| columns.iter().any(|row| row.get::<_, &str>(10) == kind);
    let key = |place: usize| {
        let mut key: Vec<(i32, String)> = columns
            .iter()
            .filter_map(|row| Some((row.get::<_, Option<i32>>(place)?, name(row))))
            .collect();
        key.sort_unstable();
        let names: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        (!names.is_empty()).then_some(names)
    };
    let (primary, chosen) = (key(11), key(13));
    let kind = identity_kind(first.get(5));
    let identity = match kind {
        Identity::Full => Some(columns.iter().map(name).collect()),
        Identity::Nothing => None,
        Identity::Index => chosen.clone(),
        // The server does not take a deferrable key for an identity.
        Identity::PrimaryKey => primary.clone().filter(|_| first.get(12)),
    };
    let is_key = |name: &String| identity.as_ref().is_some_and(|names| names.contains(name));
    let layout = |row: &Row| ColumnLayout {
        name: name(row),
        type_name: type_as_logged(row.get(18), row.get::<_, i32>(19)),
        charset: None,
        is_key: is_key(&name(row)),
    };
    // Old rows tell of the chosen index's columns and not of the primary key's.
    let primary_key = if kind == Identity::Index { chosen.or(primary) } else { primary };
    let column = |row: &Row| ColumnDescription {
        name: name(row),
        type_name: row.get(9),
        logged: row.get::<_, &str>(10).is_empty(),
        omitted: false,
    };
    TableFacts {
        oid: first.get(0),
        description: TableDescription {
            cascades: Vec::new(),
            name: TableName::new(first.get::<_, String>(1), first.get::<_, String>(2)),
            columns: columns.iter().map(column).collect(),
            primary_key: primary_key.unwrap_or_default(),
            identity: kind,
        },
        columns: columns.iter().map(layout).collect(),
        kind: first.get(3),
        unlogged: first.get::<_, &str>(4) != "p",
        root: table_name(first, 6),
        identity,
        generated: Generated { stored: generated("s"), computed: generated("v") },
        leaves: Vec::new(),
        access: Access {
            shut: first.get(14),
            kept_back: columns.iter().filter(|row| !row.get::<_, bool>(15)).map(name).collect(),
            hides_rows: first.get(16),
            key: key(17).unwrap_or_default(),
        },
    }
}

fn identity_kind(code: &str) -> Identity {
    match code {
        "f" => Identity::Full,
        "n" => Identity::Nothing,
        "i" => Identity::Index,
        _ => Identity::PrimaryKey,
    }
}

/// How the partitions of partitioned tables identify rows: it is theirs that counts.
async fn leaves(client: &Client, tables: &mut [TableFacts]) -> Result<(), tokio_postgres::Error> {
    let roots: Vec<u32> = tables.iter().filter(|t| t.kind == "p").map(|t| t.oid).collect();
    if roots.is_empty() {
        return Ok(());
    }
    let sql = "SELECT root.oid, n.nspname::text, c.relname::text,
            c.relreplident = root.relreplident,
            CASE c.relreplident
                WHEN 'f' THEN true
                WHEN 'd' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
                                      AND i.indisprimary AND i.indimmediate)
                WHEN 'i' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
                                      AND i.indisreplident)
                ELSE false END
        FROM pg_class root, LATERAL pg_partition_tree(root.oid) part
        JOIN pg_class c ON c.oid = part.relid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE root.oid = ANY($1) AND part.isleaf AND c.relkind = 'r'
        ORDER BY n.nspname, c.relname";
    for row in &client.query(sql, &[&roots]).await? {
        let identity = match (row.get(4), row.get(3)) {
            (false, _) => LeafIdentity::Missing,
            (true, true) => LeafIdentity::AsRoot,
            (true, false) => LeafIdentity::Other,
        };
        let name = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        let root = tables.iter_mut().find(|table| table.oid == row.get::<_, u32>(0));
        root.expect("asked for by number").leaves.push(Leaf { name, identity });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_in_sql_what_it_matches_here() {
        assert_eq!(like("wp_*"), "wp\\_%");
        assert_eq!(like("50%"), "50\\%");
        assert_eq!(like("a\\b"), "a\\\\b");
    }
}
