//! Servers that are not as they should be: everything is told at once, and the remedies help.

mod columns;
mod mistakes;

use connector_api::{Capture, CaptureTable, Columns, Finding, Severity, Survey, TableName};
use connector_mysql::MysqlConfig;
use connector_mysql::doctor::{self, Facts};
use connector_mysql::session::SqlClient;
use testbed::{Mysql, MysqlOptions, MysqlVersion, all_mysql_versions, mysql_or_skip};

use crate::support::{config, within};

const STOCK: &str = "
    create table stock (id int primary key, sku varchar(40), qty int, note text);
    create user tail@'%';";

fn capture(database: &str, tables: &[(&str, &[&str])]) -> Capture {
    let table = |(table, columns): &(&str, &[&str])| {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        let name = TableName::new(database, *table);
        CaptureTable { name, columns: Columns::Only(columns) }
    };
    Capture { tables: tables.iter().map(table).collect() }
}

/// A server of the test's own with a table and an account that may do nothing.
fn start(version: MysqlVersion, options: &MysqlOptions, test: &str) -> Option<Mysql> {
    let server = mysql_or_skip(version, options, test)?;
    server.execute(STOCK).unwrap();
    Some(server)
}

fn controlled() -> MysqlOptions {
    MysqlOptions::default().controlled()
}

/// What an account needs, and no more.
fn grant_all(server: &Mysql) {
    let monitor = monitor(server);
    server
        .execute(&format!(
            "grant replication slave, {monitor} on *.* to tail@'%';
             grant select on {}.* to tail@'%'",
            server.database()
        ))
        .unwrap();
}

fn monitor(server: &Mysql) -> &'static str {
    if server.version().is_mariadb() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" }
}

fn as_user(server: &Mysql, user: &str) -> MysqlConfig {
    config(&format!("{}?ssl-mode=disabled", server.url(user, server.database())))
}

async fn facts(config: &MysqlConfig, capture: &Capture) -> Facts {
    // Logging in is too much for the stack.
    let looking = Box::pin(async {
        let mut client = SqlClient::connect(config).await.unwrap();
        let facts = doctor::gather(&mut client, config, capture).await.unwrap();
        client.close().await;
        facts
    });
    within("a look at the server", looking).await
}

async fn findings(config: &MysqlConfig, capture: &Capture) -> Vec<Finding> {
    doctor::findings(&facts(config, capture).await, config, capture)
}

async fn blockers(config: &MysqlConfig, capture: &Capture) -> Vec<Finding> {
    let mut found = findings(config, capture).await;
    found.retain(|finding| finding.severity == Severity::Blocker);
    found
}

/// What of a remedy is SQL: the rest speaks to the person who reads it.
fn sql(fix: &str) -> Vec<&str> {
    let statement =
        |part: &&str| ["ALTER ", "GRANT ", "SET "].iter().any(|command| part.starts_with(command));
    fix.split(';').map(str::trim).take_while(statement).collect()
}

fn mend(server: &Mysql, findings: &[Finding]) {
    for statement in findings.iter().flat_map(|finding| sql(&finding.fix)) {
        server.execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

fn checks(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.check.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_nobody_has_prepared_is_told_everything_at_once_and_the_remedies_help() {
    for version in all_mysql_versions() {
        let options = controlled().setting("binlog_format", "STATEMENT");
        let Some(server) = start(version, &options, "an unprepared server") else { continue };
        let tail = as_user(&server, "tail");
        // Somebody who may do nothing cannot even open the database.
        server
            .execute("create table seen (id int primary key); grant select on seen to tail@'%'")
            .unwrap();
        let database = server.database();
        let wanted = capture(
            database,
            &[("stock", &["id", "qty"]), ("seen", &["id", "di"]), ("sen", &["id"])],
        );
        let found = blockers(&tail, &wanted).await;
        let monitor = format!("grant {}", monitor(&server));
        let all = [
            "grant REPLICATION SLAVE",
            &monitor,
            "binlog_format",
            "table shop.stock",
            "column shop.seen.di",
            "table shop.sen",
        ];
        assert_eq!(checks(&found), all, "{found:#?}");
        assert!(found[3].found.contains("may not see it"), "{:?}", found[3]);
        assert_eq!(found[4].fix, "did you mean id?");

        server.execute("create table sen (id int primary key)").unwrap();
        mend(&server, &found);
        let wanted =
            capture(database, &[("stock", &["id", "qty"]), ("seen", &["id"]), ("sen", &["id"])]);
        assert_eq!(blockers(&tail, &wanted).await, []);
        let gone = blockers(&tail, &capture(database, &[("stok", &["id"])])).await;
        assert!(gone[0].found.contains("may not see it"), "{gone:#?}");
        grant_all(&server);
        let gone = blockers(&tail, &capture(database, &[("stok", &["id"])])).await;
        assert!(gone[0].fix.ends_with("did you mean shop.stock?"), "{gone:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_what_it_needs_and_no_more_sees_all_there_is_to_know() {
    for version in all_mysql_versions() {
        let Some(server) = start(version, &controlled(), "a prepared server") else { continue };
        let tail = as_user(&server, "tail");
        grant_all(&server);
        let wanted = capture(server.database(), &[("stock", &["id", "qty"])]);
        let facts = facts(&tail, &wanted).await;
        let found = doctor::findings(&facts, &tail, &wanted);
        // The server's own default, which is good enough.
        let told = ["binlog_row_metadata"];
        assert_eq!(checks(&found), told, "{found:#?}");
        assert_eq!(found[0].severity, Severity::Note);
        assert!(facts.server().starts_with(&version.to_string()[..8]), "{}", facts.server());
        assert_eq!(
            doctor::coverage(&facts, &wanted),
            "database shop: logged\nreplicated changes: logged"
        );
        let known = doctor::server_facts(&facts, None, None).unwrap();
        let newest = known.logs.last().unwrap();
        let mut client = SqlClient::connect(&tail).await.unwrap();
        let (file, offset) = doctor::head(&mut client).await.unwrap().unwrap();
        assert_eq!((&newest.file, newest.size), (&file, offset));
        client.close().await;
        let [table] = &facts.tables()[..] else { panic!("{:?}", facts.tables()) };
        assert_eq!(table.name, TableName::new("shop", "stock"));
        assert_eq!(table.primary_key, ["id"]);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "sku", "qty", "note"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_log_says_so() {
    for version in all_mysql_versions() {
        let options = controlled().without_binlog();
        let Some(server) = start(version, &options, "no log") else { continue };
        grant_all(&server);
        let wanted = capture(server.database(), &[("stock", &["id", "qty"])]);
        let found = findings(&as_user(&server, "tail"), &wanted).await;
        assert_eq!(checks(&found), ["log_bin"], "{found:#?}");
        let mut client = SqlClient::connect(&as_user(&server, "tail")).await.unwrap();
        assert_eq!(doctor::head(&mut client).await.unwrap(), None);
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_leaves_out_is_told() {
    let left_out = [
        ("binlog_do_db", "crm", "crm: changes of shop are not"),
        ("binlog_ignore_db", "shop", "shop: changes of shop are not"),
    ];
    for version in all_mysql_versions() {
        for (setting, database, told) in left_out {
            let options = controlled().setting(setting, database);
            let Some(server) = start(version, &options, "databases left out") else { continue };
            grant_all(&server);
            let wanted = capture("shop", &[("stock", &["id"])]);
            let facts = facts(&as_user(&server, "tail"), &wanted).await;
            let found = doctor::findings(&facts, &as_user(&server, "tail"), &wanted);
            assert_eq!(found[0].check, setting, "{found:#?}");
            assert!(found[0].found.starts_with(told), "{found:#?}");
            let covered = doctor::coverage(&facts, &wanted);
            assert!(covered.starts_with("database shop: left out of the log"), "{covered}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_keeps_no_log_of_what_it_takes_over_is_told() {
    for version in all_mysql_versions() {
        let (setting, follow) = match version.is_mariadb() {
            true => ("log_slave_updates", "change master to master_host = '127.0.0.1'"),
            false => {
                ("log_replica_updates", "change replication source to source_host='127.0.0.1'")
            }
        };
        let options = controlled().setting(setting, "OFF").setting("replicate_do_db", "shop");
        let Some(server) = start(version, &options, "a replica") else { continue };
        grant_all(&server);
        let tail = as_user(&server, "tail");
        let wanted = capture("shop", &[("stock", &["id"])]);
        assert_eq!(blockers(&tail, &wanted).await, []);
        let alone = doctor::coverage(&facts(&tail, &wanted).await, &wanted);
        server.execute(follow).unwrap();
        if version.is_mariadb() {
            // It may not ask, and nothing else makes it look like one.
            assert_eq!(blockers(&tail, &wanted).await, []);
            server.execute("set global read_only = ON").unwrap();
            let found = findings(&tail, &wanted).await;
            let last = found.last().unwrap();
            assert_eq!((&*last.check, last.severity), (setting, Severity::Warning), "{found:#?}");
            mend(&server, &found);
        }
        let now = facts(&tail, &wanted).await;
        let found = doctor::findings(&now, &tail, &wanted);
        let told = [setting, "replication filters"];
        assert_eq!(checks(&found)[found.len() - 2..], told, "{found:#?}");
        let [.., off, filters] = &found[..] else { panic!("{found:#?}") };
        assert!(off.found.starts_with("OFF on a replica"), "{found:#?}");
        assert!(filters.found.contains("replicate_do_db = shop"), "{found:#?}");
        let told = Survey::coverage_change(&alone, &doctor::coverage(&now, &wanted)).unwrap();
        assert!(told.ends_with("replicated changes: left out of the log"), "{told}");
    }
}
