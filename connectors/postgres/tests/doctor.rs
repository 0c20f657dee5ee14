//! What a survey finds wrong with a real server, whether the server agrees, and whether the remedy
//! helps.

mod tables;

use connector_api::{
    Capture, CaptureTable, Columns, Connector as _, Fault, Finding, Severity, TableName,
};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};
use testbed::{Postgres, PostgresOptions, StopMode};

use crate::support::{Reader, Shop};

fn capture(wanted: &[(&str, &[&str])]) -> Capture {
    let table = |(table, columns): &(&str, &[&str])| CaptureTable {
        name: TableName::new("public", *table),
        columns: Columns::Only(columns.iter().map(|&column| column.to_owned()).collect()),
    };
    Capture { tables: wanted.iter().map(table).collect() }
}

async fn blockers(config: &PostgresConfig, capture: &Capture) -> Vec<Finding> {
    let survey = PostgresConnector::new(config.clone()).survey(capture, None).await.unwrap();
    let blocks = |finding: &Finding| finding.severity == Severity::Blocker;
    survey.findings.into_iter().filter(blocks).collect()
}

/// What of a remedy is SQL: the rest speaks to the person who reads it.
fn sql(fix: &str) -> Vec<&str> {
    let statement = |part: &&str| {
        ["BEGIN", "ALTER ", "CREATE ", "GRANT ", "COMMIT"]
            .iter()
            .any(|command| part.starts_with(command))
    };
    fix.split(';').map(str::trim).take_while(statement).collect()
}

fn mend(server: &Postgres, findings: &[Finding]) {
    for finding in findings {
        for statement in sql(&finding.fix) {
            server.execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_nobody_has_prepared_is_told_everything_at_once_and_the_remedies_help() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().setting("wal_level", "replica");
        let Some(shop) = Shop::start_with(version, options, "unprepared") else { continue };
        shop.sql("drop publication tailstock; create table loose (id int); create role shop login");
        let config = PostgresConfig { user: "shop".to_owned(), ..shop.config() };
        let wanted = capture(&[("stock", &["id", "qtty"]), ("loose", &["id"]), ("gone", &["id"])]);
        let found = blockers(&config, &wanted).await;
        let told: Vec<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
        let all = [
            "role",
            "wal_level",
            "publication tailstock",
            "column public.stock.qtty",
            "table public.loose",
            "table public.gone",
        ];
        assert_eq!(told, all, "{found:#?}");
        assert_eq!(found[3].fix, "did you mean qty?");
        assert!(found[4].found.starts_with("has no primary key"), "{:?}", found[4]);
        // To look is not to touch.
        assert_eq!(shop.value("select count(*) from pg_replication_slots"), "0");
        assert_eq!(shop.value("select count(*) from pg_publication"), "0");

        shop.sql("create table gone (id int primary key)");
        mend(&shop.server, &found);
        shop.server.restart(StopMode::Fast).unwrap();
        let wanted = capture(&[("stock", &["id", "qty"]), ("loose", &["id"]), ("gone", &["id"])]);
        assert_eq!(blockers(&config, &wanted).await, []);
        // With that, a role that may replicate and nothing else suffices.
        let connector = PostgresConnector::new(config);
        let mut reader = Reader::start(&connector, wanted).await;
        shop.sql("insert into stock values (1, 5, 'a'); update stock set qty = 6");
        shop.sql("insert into loose values (1); update loose set id = 2");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=5",
                "update stock #1 id=1 qty=6",
                "insert loose #0 id=1",
                "update loose #1 [id=1] id=2",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_free_slot_or_sender_says_how_to_make_room() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default()
            .setting("max_replication_slots", "1")
            .setting("max_wal_senders", "1");
        let Some(shop) = Shop::start_with(version, options, "no room") else { continue };
        let wanted = capture(&[("stock", &["id"])]);
        let other = PostgresConfig { slot: Slot::Named("other".to_owned()), ..shop.config() };
        assert_eq!(blockers(&other, &wanted).await, []);
        let reader = Reader::start(&shop.connector(), wanted.clone()).await;
        let found = blockers(&other, &wanted).await;
        let told: Vec<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(told, ["max_replication_slots", "max_wal_senders"], "{found:#?}");
        // One of two ways.
        assert!(found[0].fix.contains("ALTER SYSTEM SET max_replication_slots = 6;"));
        shop.sql("alter system set max_replication_slots = 6");
        mend(&shop.server, &found[1..]);
        reader.close().await;
        shop.server.restart(StopMode::Fast).unwrap();
        let _reader = Reader::start(&shop.connector(), wanted.clone()).await;
        assert_eq!(blockers(&other, &wanted).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_not_ours_is_named_and_left_alone() {
    let theirs = [
        ("select pg_create_physical_replication_slot('acme')", "a physical slot"),
        ("select pg_create_logical_replication_slot('acme', 'test_decoding')", "test_decoding"),
    ];
    // It would send what the log protocol of old does not have.
    let two_phase = (
        "select pg_create_logical_replication_slot('acme', 'pgoutput', false, true)",
        "made with two_phase",
    );
    for shop in Shop::of_each_version("slots of others") {
        let wanted = capture(&[("stock", &["id"])]);
        let newer = (shop.server.version() >= testbed::PgVersion::V15).then_some(two_phase);
        for (made, told) in theirs.into_iter().chain(newer) {
            shop.sql(made);
            let found = blockers(&shop.config(), &wanted).await;
            assert_eq!(found.len(), 1, "{found:#?}");
            assert_eq!(found[0].check, "slot acme");
            assert!(found[0].found.contains(told), "{:?}", found[0]);
            let error = shop.connector().establish(&wanted).await.unwrap_err();
            assert!(matches!(error.fault(), Fault::Operator { .. }), "{error}");
            shop.sql("select pg_drop_replication_slot('acme')");
        }
        // One of ours, in another database.
        let mut elsewhere = shop.config();
        elsewhere.database = "template1".to_owned();
        PostgresConnector::new(elsewhere).establish(&Capture::default()).await.unwrap();
        let found = blockers(&shop.config(), &wanted).await;
        assert!(found[0].found.contains("of database template1"), "{found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_to_be_read_without_confirming_is_never_made() {
    for shop in Shop::of_each_version("unconfirmed slots") {
        let wanted = capture(&[("stock", &["id"])]);
        let slot = Slot::Unconfirmed("acme".to_owned());
        let config = PostgresConfig { slot, ..shop.config() };
        let found = blockers(&config, &wanted).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!((&*found[0].check, &*found[0].found), ("slot acme", "does not exist"));
        shop.connector().establish(&wanted).await.unwrap();
        assert_eq!(blockers(&config, &wanted).await, []);
    }
}
