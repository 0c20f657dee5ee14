#![allow(clippy::unwrap_used)]

mod tables;

use connector_api::{
    CaptureTable, ColumnDescription, Columns, Identity, TableDescription, TableName,
};

use super::super::facts::{
    Access, Former, Generated, Holder, HostKind, PublicationFacts, PublishedTable, Server,
    SlotFacts, System, TableFacts, Usage,
};
use super::*;
use crate::config::Slot;
use crate::position::Lsn;

fn config() -> PostgresConfig {
    let slot = Slot::Named("acme".to_owned());
    PostgresConfig::parse("postgresql://Reader@db/shop", "tailstock", slot).unwrap()
}

fn capture(columns: &[&str]) -> Capture {
    let columns = Columns::Only(columns.iter().map(|name| (*name).to_owned()).collect());
    Capture { tables: vec![CaptureTable { name: TableName::new("public", "stock"), columns }] }
}

fn table() -> TableFacts {
    let column = |name: &str| ColumnDescription {
        name: name.to_owned(),
        type_name: "bigint".to_owned(),
        logged: true,
        omitted: false,
    };
    TableFacts {
        oid: 7,
        description: TableDescription {
            cascades: Vec::new(),
            name: TableName::new("public", "stock"),
            columns: ["id", "sku", "quantity"].map(column).to_vec(),
            primary_key: vec!["id".into()],
            identity: Identity::PrimaryKey,
        },
        columns: Vec::new(),
        kind: "r".into(),
        unlogged: false,
        root: None,
        identity: Some(vec!["id".into()]),
        generated: Generated::default(),
        leaves: Vec::new(),
        access: Access { key: vec!["id".into()], ..Access::default() },
    }
}

fn published() -> PublishedTable {
    PublishedTable {
        name: TableName::new("public", "stock"),
        root: None,
        revision: "7 8.1".into(),
        columns: vec!["id".into(), "sku".into(), "quantity".into()],
        listed: false,
        filter: None,
        filter_columns: Vec::new(),
    }
}

/// A server that is as it should be.
fn healthy() -> Facts {
    Facts {
        server: Server {
            version: "15.18".into(),
            version_number: 150_018,
            wal_level: "logical".into(),
            may_replicate: true,
            slots: Usage { used: 0, limit: 10 },
            senders: Usage { used: 0, limit: 10 },
            max_slot_wal_keep_mib: 50_000,
            wal_sender_timeout_ms: 60_000,
            ..Server::default()
        },
        system: Some(System { id: "7".into(), timeline: 1, forks: Vec::new() }),
        slot: None,
        former: None,
        publication: Some(PublicationFacts {
            revision: "5.1".into(),
            operations: [true; 4],
            via_root: false,
            generated: false,
            tables: vec![published()],
        }),
        tables: vec![table()],
    }
}

fn slot() -> SlotFacts {
    SlotFacts {
        plugin: Some("pgoutput".into()),
        database: Some("shop".into()),
        wal_status: Some("reserved".into()),
        ..SlotFacts::default()
    }
}

/// What is found when one thing is otherwise.
fn otherwise(change: impl Fn(&mut Facts)) -> Vec<Finding> {
    let mut facts = healthy();
    change(&mut facts);
    findings(&facts, &config(), &capture(&["id", "quantity"]))
}

/// The only finding when one thing is otherwise.
fn one(change: impl Fn(&mut Facts)) -> Finding {
    let mut found = otherwise(change);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn assert_blocks(finding: &Finding, check: &str, found: &str, fix: &str) {
    assert_eq!(finding.severity, Severity::Blocker, "{finding:#?}");
    assert_says(finding, check, found, fix);
}

fn assert_warns(finding: &Finding, check: &str, found: &str, fix: &str) {
    assert_eq!(finding.severity, Severity::Warning, "{finding:#?}");
    assert_says(finding, check, found, fix);
}

fn assert_says(finding: &Finding, check: &str, found: &str, fix: &str) {
    assert_eq!(finding.check, check);
    assert!(finding.found.contains(found), "wanted {found:?}: {finding:#?}");
    assert!(finding.fix.contains(fix), "wanted {fix:?}: {finding:#?}");
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(otherwise(|_| {}), []);
    assert_eq!(otherwise(|facts| facts.slot = Some(slot())), []);
}

#[test]
fn a_server_before_13_is_not_looked_at_any_further() {
    let old = one(|facts| {
        facts.server =
            Server { version: "12.22".into(), version_number: 120_022, ..Server::default() };
        facts.publication = None;
    });
    assert_blocks(&old, "server version", "12.22", "upgrade");
}

#[test]
fn a_server_newer_than_the_tested_ones_is_worth_a_note() {
    let newer = one(|facts| facts.server.version_number = 190_000);
    assert_eq!(newer.severity, Severity::Note);
    assert_eq!(newer.wanted, "13 to 18, which are tested");
}

#[test]
fn the_log_must_be_logical_and_the_fix_is_the_hosts_own() {
    let on = |host| {
        one(move |facts| {
            facts.server.wal_level = "replica".into();
            facts.server.host = host;
        })
    };
    let plain = on(HostKind::Plain);
    assert_blocks(&plain, "wal_level", "replica", "ALTER SYSTEM SET wal_level = 'logical';");
    assert!(on(HostKind::Rds).fix.contains("rds.logical_replication = 1"));
    assert!(on(HostKind::CloudSql).fix.contains("cloudsql.logical_decoding = on"));
    assert!(on(HostKind::Azure).fix.contains("server parameter"));
}

#[test]
fn a_standby_can_be_followed_from_16_on_and_not_without_care() {
    let of = |version: i32| {
        one(move |facts| {
            facts.server.in_recovery = true;
            facts.server.version_number = version;
        })
    };
    let fix = "target_session_attrs=primary";
    assert_blocks(&of(150_018), "server role", "a standby", fix);
    assert_eq!(of(160_000).severity, Severity::Warning);
}

#[test]
fn a_role_must_be_allowed_to_replicate() {
    let refused = one(|facts| facts.server.may_replicate = false);
    assert_blocks(&refused, "role", "\"Reader\"", "ALTER ROLE \"Reader\" REPLICATION;");
    let hosted = one(|facts| {
        facts.server.may_replicate = false;
        facts.server.host = HostKind::Rds;
    });
    assert_eq!(hosted.fix, "GRANT rds_replication TO \"Reader\";");
}

#[test]
fn there_must_be_a_free_sender_and_a_free_slot_unless_ours_exists() {
    let full = Usage { used: 10, limit: 10 };
    let senders = one(|facts| facts.server.senders = full);
    assert_blocks(&senders, "max_wal_senders", "all 10", "max_wal_senders = 15");
    let slots = one(|facts| facts.server.slots = full);
    assert_blocks(&slots, "max_replication_slots", "all 10", "max_replication_slots = 15");
    let ours = otherwise(|facts| {
        facts.server.slots = full;
        facts.slot = Some(slot());
    });
    assert_eq!(ours, []);
}

#[test]
fn limits_that_cost_the_shop_or_the_stream_are_told() {
    let unlimited = one(|facts| facts.server.max_slot_wal_keep_mib = -1);
    assert_eq!(unlimited.severity, Severity::Note);
    assert_says(&unlimited, "max_slot_wal_keep_size", "without limit", "max_slot_wal_keep_size");
    let small = one(|facts| facts.server.max_slot_wal_keep_mib = 64);
    assert_eq!(small.severity, Severity::Warning);
    assert!(small.found.starts_with("64 MB"), "{small:#?}");
    let patient = one(|facts| facts.server.wal_sender_timeout_ms = 0);
    assert_eq!(patient.severity, Severity::Warning);
    let hasty = one(|facts| facts.server.idle_slot_timeout_s = 3600);
    assert_eq!(hasty.severity, Severity::Warning);
    assert!(hasty.found.starts_with("3600 s"), "{hasty:#?}");
}

#[test]
fn a_slot_of_that_name_that_is_somebody_elses_is_left_alone() {
    let wanted = "name another slot in [source]";
    let of = |other: SlotFacts| one(move |facts| facts.slot = Some(other.clone()));
    let plugin = of(SlotFacts { plugin: Some("wal2json".into()), ..slot() });
    assert_blocks(&plugin, "slot acme", "plugin wal2json", wanted);
    let database = of(SlotFacts { database: Some("crm".into()), ..slot() });
    assert_blocks(&database, "slot acme", "database crm", wanted);
    let physical = of(SlotFacts { plugin: None, database: None, ..slot() });
    assert_blocks(&physical, "slot acme", "physical", wanted);
    let temporary = of(SlotFacts { temporary: true, ..slot() });
    assert_blocks(&temporary, "slot acme", "temporary", wanted);
    let two_phase = of(SlotFacts { two_phase: true, ..slot() });
    assert_blocks(&two_phase, "slot acme", "made with two_phase", wanted);
}

#[test]
fn a_slot_that_was_ours_under_another_name_is_to_be_dropped_or_named_again() {
    let idle = SlotFacts { confirmed: Some(Lsn(7)), ..slot() };
    let of = |system_id: &str, slot: SlotFacts| {
        let (system_id, name) = (system_id.to_owned(), "before".to_owned());
        otherwise(move |facts| {
            let (system_id, name, slot) = (system_id.clone(), name.clone(), slot.clone());
            facts.former = Some(Former { system_id, name, slot });
        })
    };
    let found = of("7", idle.clone());
    assert_blocks(&found[0], "slot before", "not the slot that is named now", "slot = \"before\"");
    assert!(found[0].fix.contains("SELECT pg_drop_replication_slot('before');"), "{found:#?}");
    let keeps_nothing = SlotFacts { wal_status: Some("lost".into()), ..idle.clone() };
    let read = SlotFacts { holder: Some(Holder::default()), ..idle.clone() };
    let anothers = SlotFacts { plugin: Some("wal2json".into()), ..idle.clone() };
    for (system, slot) in [("7", keeps_nothing), ("7", read), ("7", anothers), ("8", idle)] {
        assert_eq!(of(system, slot), []);
    }
}

#[test]
fn a_slot_that_loses_its_log_is_told_before_and_after() {
    let of = |other: SlotFacts| one(move |facts| facts.slot = Some(other.clone()));
    let fix = "max_slot_wal_keep_size";
    for (slot, words) in [
        (SlotFacts { wal_status: Some("lost".into()), ..slot() }, "has removed log"),
        (SlotFacts { invalidated: Some("wal_removed".into()), ..slot() }, "(wal_removed)"),
        (SlotFacts { wal_status: Some("unreserved".into()), ..slot() }, "next checkpoint"),
        (SlotFacts { safe_wal_bytes: Some(100 << 20), ..slot() }, "100 MB of log"),
    ] {
        let finding = of(slot);
        assert_eq!(finding.severity, Severity::Warning);
        assert_says(&finding, "slot acme", words, fix);
    }
    let roomy = SlotFacts { safe_wal_bytes: Some(40_000 << 20), ..slot() };
    assert_eq!(otherwise(|facts| facts.slot = Some(roomy.clone())), []);
}

#[test]
fn a_slot_that_a_standby_only_copies_cannot_be_read_there() {
    let found = otherwise(|facts| {
        facts.server.in_recovery = true;
        facts.server.version_number = 170_000;
        facts.slot = Some(SlotFacts { synced: true, ..slot() });
    });
    assert_blocks(&found[1], "slot acme", "in step with the primary's", "the primary's host");
}

#[test]
fn a_slot_to_read_without_confirming_is_never_made() {
    let config = PostgresConfig { slot: Slot::Unconfirmed("acme".into()), ..config() };
    let found = findings(&healthy(), &config, &capture(&["id"]));
    let fix = "SELECT pg_create_logical_replication_slot('acme', 'pgoutput');";
    assert_blocks(&found[0], "slot acme", "does not exist", fix);
}

#[test]
fn everything_is_told_at_once() {
    let found = otherwise(|facts| {
        facts.server.wal_level = "replica".into();
        facts.server.may_replicate = false;
        facts.publication = None;
        facts.tables[0].identity = None;
    });
    let checks: Vec<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, ["role", "wal_level", "publication tailstock", "table public.stock"]);
}
