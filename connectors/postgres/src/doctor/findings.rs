use connector_api::{Capture, Columns, Finding, Identity, Severity, TableName};

use super::facts::{Facts, PublicationFacts, TableFacts};
use super::quote::identifier;
use crate::config::{PostgresConfig, Slot};

/// Everything on the server that is not as streaming needs it.
pub(crate) fn findings(facts: &Facts, config: &PostgresConfig, capture: &Capture) -> Vec<Finding> {
    let mut found = Vec::new();
    server(facts, config, &mut found);
    slot(facts, config, &mut found);
    match &facts.publication {
        Some(publication) => {
            operations(publication, config, &mut found);
            for wanted in &capture.tables {
                table(facts, publication, config, wanted, &mut found);
            }
        }
        None => found.push(missing_publication(facts, config, capture)),
    }
    found
}

fn blocker(check: &str, found: String, wanted: &str, fix: String) -> Finding {
    Finding {
        severity: Severity::Blocker,
        check: check.to_owned(),
        found,
        wanted: wanted.to_owned(),
        fix,
    }
}

fn server(facts: &Facts, config: &PostgresConfig, found: &mut Vec<Finding>) {
    if facts.version_number < 130_000 {
        let wanted = "13 or later";
        let fix = "upgrade the server, or use its standby of a later version".to_owned();
        found.push(blocker("server version", facts.version.clone(), wanted, fix));
    }
    if facts.wal_level != "logical" {
        let fix = "ALTER SYSTEM SET wal_level = 'logical'; then restart the server".to_owned();
        found.push(blocker("wal_level", facts.wal_level.clone(), "logical", fix));
    }
    if facts.in_recovery && facts.version_number < 160_000 {
        found.push(blocker(
            "server role",
            "a standby".to_owned(),
            "the primary (standbys can stream from 16 on)",
            "put the primary's host into the URL".to_owned(),
        ));
    }
    if !facts.may_replicate {
        let user = identifier(&config.user);
        found.push(blocker(
            "role",
            format!("{user} may not replicate"),
            "the REPLICATION attribute",
            format!("ALTER ROLE {user} REPLICATION;"),
        ));
    }
    let (used, limit) = facts.senders;
    if used >= limit {
        found.push(blocker(
            "max_wal_senders",
            format!("all {limit} are in use"),
            "a free one",
            format!("ALTER SYSTEM SET max_wal_senders = {}; then restart the server", limit + 5),
        ));
    }
}

fn slot(facts: &Facts, config: &PostgresConfig, found: &mut Vec<Finding>) {
    let (used, limit) = facts.slots;
    let Some(slot) = &facts.slot else {
        if used >= limit {
            found.push(blocker(
                "max_replication_slots",
                format!("all {limit} are in use"),
                "a free one",
                "drop a slot nobody uses (SELECT * FROM pg_replication_slots WHERE NOT active), \
                 or raise max_replication_slots and restart the server"
                    .to_owned(),
            ));
        }
        return;
    };
    let name = match &config.slot {
        Slot::Named(name) | Slot::Unconfirmed(name) => name.as_str(),
        Slot::Temporary => return,
    };
    if slot.plugin != "pgoutput" {
        found.push(blocker(
            &format!("slot {name}"),
            format!("plugin {}", slot.plugin),
            "plugin pgoutput",
            "name another slot in [source]".to_owned(),
        ));
    }
    if slot.database != config.database {
        found.push(blocker(
            &format!("slot {name}"),
            format!("of database {}", slot.database),
            &format!("of database {}", config.database),
            "name another slot in [source]".to_owned(),
        ));
    }
}

fn operations(publication: &PublicationFacts, config: &PostgresConfig, found: &mut Vec<Finding>) {
    let names = ["insert", "update", "delete", "truncate"];
    let missing: Vec<&str> = names
        .into_iter()
        .zip(publication.operations)
        .filter_map(|(name, published)| (!published).then_some(name))
        .collect();
    if !missing.is_empty() {
        let name = identifier(&config.publication);
        found.push(blocker(
            &format!("publication {name}"),
            format!("does not publish {}", missing.join(", ")),
            "insert, update, delete, truncate",
            format!("ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');"),
        ));
    }
}

fn missing_publication(facts: &Facts, config: &PostgresConfig, capture: &Capture) -> Finding {
    let named = |name: &TableName| !name.schema.contains('*') && !name.table.contains('*');
    let mut tables: Vec<String> = capture
        .tables
        .iter()
        .filter(|table| named(&table.name))
        .map(|table| qualified(&table.name))
        .collect();
    if tables.is_empty() {
        tables = facts.tables.iter().take(3).map(|t| qualified(&t.description.name)).collect();
    }
    let name = identifier(&config.publication);
    let list = if tables.is_empty() { "your_stock_table".to_owned() } else { tables.join(", ") };
    blocker(
        &format!("publication {name}"),
        "does not exist".to_owned(),
        "a publication of the captured tables",
        format!("CREATE PUBLICATION {name} FOR TABLE {list};"),
    )
}

fn table(
    facts: &Facts,
    publication: &PublicationFacts,
    config: &PostgresConfig,
    wanted: &connector_api::CaptureTable,
    found: &mut Vec<Finding>,
) {
    if wanted.name.schema.contains('*') || wanted.name.table.contains('*') {
        return;
    }
    let name = qualified(&wanted.name);
    let check = format!("table {name}");
    let Some(table) = facts.tables.iter().find(|table| table.description.name == wanted.name)
    else {
        found.push(blocker(
            &check,
            "does not exist, or the role may not see it".to_owned(),
            "the table of the mapping",
            "check the spelling of table in the seller's file, schema included".to_owned(),
        ));
        return;
    };
    if !matches!(table.kind.as_str(), "r" | "p") {
        found.push(blocker(
            &check,
            "is not a table".to_owned(),
            "a table: views have no log",
            "map the table behind it".to_owned(),
        ));
        return;
    }
    let publication_name = identifier(&config.publication);
    let Some(published) = publication.tables.iter().find(|table| table.name == wanted.name) else {
        let fix = if table.kind == "p" && !publication.via_root {
            format!(
                "ALTER PUBLICATION {publication_name} SET (publish_via_partition_root = true); \
                 and, unless it is in already, ALTER PUBLICATION {publication_name} \
                 ADD TABLE {name};"
            )
        } else {
            format!("ALTER PUBLICATION {publication_name} ADD TABLE {name};")
        };
        found.push(blocker(
            &check,
            format!("is not in publication {publication_name}"),
            "published",
            fix,
        ));
        return;
    };
    columns(table, &published.columns, wanted, config, found);
    identity(table, &check, found);
}

fn columns(
    table: &TableFacts,
    published: &[String],
    wanted: &connector_api::CaptureTable,
    config: &PostgresConfig,
    found: &mut Vec<Finding>,
) {
    let Columns::Only(names) = &wanted.columns else { return };
    let known = |name: &&String| table.description.columns.iter().any(|c| c.name == **name);
    let hidden: Vec<&str> = names
        .iter()
        .filter(known)
        .filter(|name| !published.contains(name))
        .filter(|name| table.description.columns.iter().any(|c| c.logged && c.name == **name))
        .map(String::as_str)
        .collect();
    if !hidden.is_empty() {
        let publication = identifier(&config.publication);
        found.push(blocker(
            &format!("table {}", qualified(&wanted.name)),
            format!("publication {publication} leaves out column {}", hidden.join(", ")),
            "every mapped column published",
            format!("add them to the table's column list in publication {publication}"),
        ));
    }
}

fn identity(table: &TableFacts, check: &str, found: &mut Vec<Finding>) {
    let description = &table.description;
    let keyless = match description.identity {
        Identity::Nothing => true,
        Identity::PrimaryKey => description.primary_key.is_empty(),
        Identity::Index | Identity::Full => false,
    };
    if keyless {
        let name = qualified(&description.name);
        found.push(blocker(
            check,
            "has no replica identity: the shop's own UPDATE and DELETE fail while it is published"
                .to_owned(),
            "a primary key, or REPLICA IDENTITY FULL",
            format!("ALTER TABLE {name} REPLICA IDENTITY FULL;"),
        ));
    }
}

fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.table))
}
