#![allow(clippy::unwrap_used)]

mod snapshots;
mod tables;

use connector_api::{
    CaptureTable, ColumnDescription, Columns, Identity, TableDescription, TableName,
};

use super::super::facts::{
    Account, Facts, HostKind, Log, Replica, Replication, Retention, Server, TableFacts,
};
use super::super::grants::Grants;
use super::*;
use crate::log::Flavor;

fn config() -> MysqlConfig {
    MysqlConfig::parse("mysql://tail@db/shop", 77).unwrap()
}

fn table_of(name: &str, columns: &[&str]) -> CaptureTable {
    let columns = Columns::Only(columns.iter().map(|name| (*name).to_owned()).collect());
    CaptureTable { name: TableName::new("shop", name), columns }
}

fn capture(columns: &[&str]) -> Capture {
    Capture { tables: vec![table_of("stock", columns)] }
}

fn table(name: &str) -> TableFacts {
    let column = |(name, kind): (&str, &str)| ColumnDescription {
        name: name.to_owned(),
        type_name: kind.to_owned(),
        logged: true,
        omitted: false,
    };
    let columns =
        [("id", "bigint"), ("sku", "varchar(40)"), ("quantity", "int"), ("attributes", "json")];
    TableFacts {
        description: TableDescription {
            cascades: Vec::new(),
            name: TableName::new("shop", name),
            columns: columns.map(column).to_vec(),
            primary_key: vec!["id".into()],
            identity: Identity::Full,
        },
        kind: "BASE TABLE".into(),
        engine: "InnoDB".into(),
        unreadable: Vec::new(),
        is_partly_hidden: false,
        cascades: Vec::new(),
    }
}

const GRANTS: [&str; 2] = [
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `tail`@`%`",
    "GRANT SELECT ON `shop`.* TO `tail`@`%`",
];

/// A server that is as it should be.
fn healthy() -> Facts {
    Facts {
        server: Server {
            version: "8.4.6".into(),
            number: (8, 4, 6),
            id: 1,
            uuid: Some("3e11fa47-71ca-11e1-9e33-c80aa9429562".into()),
            ..Server::default()
        },
        log: Log {
            is_on: true,
            format: "ROW".into(),
            row_image: "FULL".into(),
            row_metadata: "FULL".into(),
            checksum: "CRC32".into(),
            retention: Retention::Seconds(2_592_000),
            head: Some(("binlog.000002".parse().unwrap(), 157)),
            files: Some(Vec::new()),
            gtid_mode: "ON".into(),
            has_replicated: true,
            ..Log::default()
        },
        account: Account { name: "'tail'@'%'".into(), grants: Grants::parse(GRANTS) },
        replication: Replication { is_replica: Some(false), ..Replication::default() },
        tables: vec![table("stock")],
        others: Vec::new(),
    }
}

fn mariadb() -> Facts {
    let mut facts = healthy();
    facts.server.flavor = Flavor::MariaDb;
    facts.server.version = "10.11.19-MariaDB".into();
    facts.server.number = (10, 11, 19);
    facts.server.uuid = None;
    facts.log.gtid_mode = String::new();
    facts
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

#[test]
fn a_password_that_whoever_answers_may_learn_is_warned_of() {
    let found = |url: &str, facts: &Facts| {
        let config = MysqlConfig::parse(url, 77).unwrap();
        findings(facts, &config, &capture(&["id", "quantity"]))
    };
    for mode in ["disabled", "preferred"] {
        let url = format!("mysql://tail:secret@db/shop?ssl-mode={mode}");
        let warned = found(&url, &healthy());
        assert_eq!(warned.len(), 1, "{warned:#?}");
        assert_eq!(warned[0].severity, Severity::Warning);
        assert_says(&warned[0], "ssl-mode", mode, "verify-ca");
    }
    let mut facts = healthy();
    for url in [
        "mysql://tail:secret@db/shop",
        "mysql://tail:secret@127.0.0.1/shop?ssl-mode=disabled",
        "mysql://tail@db/shop?ssl-mode=disabled",
    ] {
        assert!(found(url, &facts).is_empty(), "{url}");
    }
    facts = mariadb();
    assert!(found("mysql://tail:secret@db/shop?ssl-mode=disabled", &facts).is_empty());
}

fn assert_blocks(finding: &Finding, check: &str, found: &str, fix: &str) {
    assert_eq!(finding.severity, Severity::Blocker, "{finding:#?}");
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
    assert_eq!(findings(&mariadb(), &config(), &capture(&["id", "quantity"])), []);
}

#[test]
fn a_server_that_is_too_old_is_not_looked_at_any_further() {
    let of = |flavor, version: &str, number| {
        one(|facts| {
            *facts = Facts::default();
            facts.server.flavor = flavor;
            facts.server.version = version.to_owned();
            facts.server.number = number;
        })
    };
    let old = of(Flavor::MySql, "5.7.44-log", (5, 7, 44));
    assert_blocks(&old, "server version", "MySQL 5.7.44", "upgrade");
    let old = of(Flavor::MariaDb, "10.3.39-MariaDB", (10, 3, 39));
    assert_blocks(&old, "server version", "MariaDB 10.3.39", "upgrade");
    assert_eq!(old.wanted, "10.5 or later");
}

#[test]
fn a_server_newer_than_the_tested_ones_is_worth_a_note() {
    let newer = one(|facts| facts.server.number = (10, 1, 0));
    assert_eq!(newer.severity, Severity::Note);
    assert_eq!(newer.wanted, "8.0 to 9.7, which are tested");
}

#[test]
fn without_a_log_nothing_else_of_it_is_judged_and_the_remedy_is_the_hosts_own() {
    let on = |host| {
        one(move |facts| {
            facts.log = Log { format: "STATEMENT".into(), ..Log::default() };
            facts.server.host = host;
        })
    };
    assert_blocks(&on(HostKind::Plain), "log_bin", "OFF", "skip_log_bin");
    assert!(on(HostKind::Rds).fix.contains("backup retention period"));
    assert!(on(HostKind::Aurora).fix.contains("parameter group of the cluster"));
    assert!(on(HostKind::CloudSql).fix.contains("--enable-bin-log"));
    assert!(on(HostKind::Azure).fix.contains("primary"));
}

#[test]
fn changes_must_be_logged_as_rows_and_sessions_must_know() {
    let statement = one(|facts| facts.log.format = "STATEMENT".into());
    let fix = "SET PERSIST binlog_format = ROW; then have the shop connect anew";
    assert_blocks(&statement, "binlog_format", "STATEMENT", fix);
    let mixed = one(|facts| facts.log.format = "MIXED".into());
    assert_eq!(mixed.severity, Severity::Warning);
    let hosted = one(|facts| {
        facts.log.format = "MIXED".into();
        facts.server.host = HostKind::Rds;
    });
    assert!(hosted.fix.contains("parameter group of the instance"), "{hosted:#?}");
    let mut maria = mariadb();
    maria.log.format = "MIXED".into();
    let found = findings(&maria, &config(), &capture(&["id"]));
    assert_says(&found[0], "binlog_format", "MIXED", "SET GLOBAL binlog_format = ROW; and");
}

#[test]
fn each_grant_that_is_missing_is_told_as_it_is_given() {
    let with = |lines: [&str; 2]| one(|facts| facts.account.grants = Grants::parse(lines));
    let refused = with([GRANTS[1], "GRANT USAGE ON *.* TO `tail`@`%`"]);
    let fix = "GRANT REPLICATION SLAVE ON *.* TO 'tail'@'%';";
    assert_blocks(&refused, "grant REPLICATION SLAVE", "'tail'@'%' may not", fix);
    let blind = one(|facts| facts.log.files = None);
    let fix = "GRANT REPLICATION CLIENT ON *.* TO 'tail'@'%';";
    assert_blocks(&blind, "grant REPLICATION CLIENT", "which files", fix);
    let mut maria = mariadb();
    maria.log.head = None;
    let found = findings(&maria, &config(), &capture(&["id"]));
    let fix = "GRANT BINLOG MONITOR ON *.* TO 'tail'@'%';";
    assert_blocks(&found[0], "grant BINLOG MONITOR", "where it ends", fix);
}

#[test]
fn a_captured_database_must_be_in_the_log() {
    let ignored = one(|facts| facts.log.ignore_db = vec!["shop".into(), "tmp".into()]);
    let told = "shop, tmp: changes of shop are not";
    assert_blocks(&ignored, "binlog_ignore_db", told, "remove binlog_ignore_db = shop");
    let left_out = one(|facts| facts.log.do_db = vec!["crm".into()]);
    let told = "crm: changes of shop are not";
    assert_blocks(&left_out, "binlog_do_db", told, "add a line binlog_do_db = shop");
    assert_eq!(otherwise(|facts| facts.log.do_db = vec!["shop".into()]), []);
}

#[test]
fn a_replica_must_log_what_it_takes_over() {
    let off = |facts: &mut Facts| {
        facts.log.has_replicated = false;
        facts.replication.is_replica = Some(true);
    };
    let told = "OFF on a replica";
    assert_blocks(&one(off), "log_replica_updates", told, "log_replica_updates = ON under");
    let older = one(|facts| {
        off(facts);
        facts.server.number = (8, 0, 25);
    });
    assert_eq!(older.check, "log_slave_updates");
    let mut maria = mariadb();
    maria.log.has_replicated = false;
    maria.replication.is_replica = None;
    assert_eq!(findings(&maria, &config(), &capture(&["id"])), []);
    maria.replication.has_followed = true;
    let found = findings(&maria, &config(), &capture(&["id"]));
    assert_eq!(found[0].severity, Severity::Warning);
    assert_says(&found[0], "log_slave_updates", "may not see", "GRANT SLAVE MONITOR");
    let filtered = one(|facts| {
        facts.replication.is_replica = Some(true);
        facts.replication.filters = ["replicate_do_db = crm".to_owned()].into();
    });
    assert_says(&filtered, "replication filters", "replicate_do_db = crm", "remove the filter");
}

#[test]
fn a_short_memory_is_a_warning_and_an_unknown_one_a_note() {
    let kept = |host, retention| {
        one(move |facts| {
            facts.server.host = host;
            facts.log.retention = retention;
        })
    };
    let short = kept(HostKind::Plain, Retention::Seconds(5400));
    assert_eq!(short.severity, Severity::Warning);
    let fix = "SET PERSIST binlog_expire_logs_seconds = 604800;";
    assert_says(&short, "binlog_expire_logs_seconds", "1.5 hours", fix);
    let none = kept(HostKind::Rds, Retention::Seconds(0));
    let fix = "CALL mysql.rds_set_configuration('binlog retention hours', 168);";
    assert_says(&none, "binlog retention hours", "0.0 hours", fix);
    assert_eq!(kept(HostKind::Aurora, Retention::Unknown).severity, Severity::Note);
    assert_eq!(otherwise(|facts| facts.log.retention = Retention::Forever), []);
    let mut maria = mariadb();
    maria.server.number = (10, 5, 29);
    maria.log.retention = Retention::Seconds(3600);
    let found = findings(&maria, &config(), &capture(&["id"]));
    assert_says(&found[0], "expire_logs_days", "1.0 hours", "SET GLOBAL expire_logs_days = 7;");
}

#[test]
fn what_makes_the_log_less_certain_is_told() {
    let gtids = one(|facts| facts.log.gtid_mode = "OFF".into());
    assert_eq!(gtids.severity, Severity::Warning);
    assert_says(&gtids, "gtid_mode", "OFF", "gtid_mode = OFF_PERMISSIVE;");
    let cluster = one(|facts| facts.log.counts_alone = true);
    assert_eq!(cluster.severity, Severity::Note);
    assert_says(&cluster, "wsrep_on", "a node of a Galera cluster", "name one node");
    let unnamed = one(|facts| facts.log.row_metadata = "MINIMAL".into());
    assert_eq!(unnamed.severity, Severity::Note);
    let fix = "SET PERSIST binlog_row_metadata = FULL;";
    assert_says(&unnamed, "binlog_row_metadata", "MINIMAL", fix);
    let unchecked = one(|facts| facts.log.checksum = "NONE".into());
    assert_eq!(unchecked.severity, Severity::Note);
}

#[test]
fn a_server_without_an_id_sends_nothing_and_two_readers_need_two() {
    let fix = "SET PERSIST server_id = 1;";
    assert_blocks(&one(|facts| facts.server.id = 0), "server_id", "refuses", fix);
    let clash = one(|facts| {
        let replica = |server_id| Replica { server_id, address: "10.0.0.7:3306".into() };
        facts.replication.replicas = vec![replica(76), replica(77)];
    });
    assert_eq!(clash.severity, Severity::Warning);
    assert_says(&clash, "server id", "77 is a replica's at 10.0.0.7:3306 too", "another");
}
