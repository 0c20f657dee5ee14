//! What a server says of the log behind a checkpoint after somebody has been at it: whole, or not
//! provably so; and that nothing is ever streamed past what is missing.

use connector_api::{Connector as _, Continuity, Error, Fault, Position, ResumePoint, Severity};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};
use testbed::{PostgresOptions, StopMode};

use crate::support::{Reader, Shop, tables, within};

/// Reads a row, confirms it and goes away; another row waits.
async fn away(shop: &Shop) -> ResumePoint {
    let mut reader = shop.stream(&["stock"]).await;
    shop.sql("insert into stock values (1)");
    reader.expect(&["insert stock #0 id=1 qty=null note=null"]).await;
    reader.confirm();
    let point = reader.close().await;
    shop.wait_for_free_slot();
    shop.sql("insert into stock values (2)");
    point
}

async fn judge(shop: &Shop, point: &ResumePoint) -> Continuity {
    let survey = shop.connector().survey(&tables(&["stock"]), Some(point)).await;
    survey.unwrap().continuity
}

/// Where the log can be followed from, after a break for this reason.
async fn broken(shop: &Shop, point: &ResumePoint, why: &str) -> Option<Position> {
    match judge(shop, point).await {
        Continuity::Broken { reason, from } if reason.contains(why) => from,
        other => panic!("wanted {why:?}: {other:?}"),
    }
}

/// The server itself would begin behind what is missing, without a word.
async fn refused(shop: &Shop, point: &ResumePoint) -> Error {
    let opened = Reader::resume(&shop.connector(), point.clone()).await;
    opened.err().expect("a stream past what is missing")
}

/// A row that is written now arrives behind `point`, and is the first that does.
async fn goes_on(shop: &Shop, point: ResumePoint) -> ResumePoint {
    let id = shop.value("select max(id) + 1 from stock");
    let mut reader = shop.resume(point).await;
    shop.sql(&format!("insert into stock values ({id})"));
    reader.expect(&[&format!("insert stock #0 id={id} qty=null note=null")]).await;
    let point = reader.close().await;
    shop.wait_for_free_slot();
    point
}

fn confirmed(shop: &Shop) -> Position {
    let slot = "select confirmed_flush_lsn from pg_replication_slots where slot_name = 'acme'";
    Position::new(shop.value(slot))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_moved_dropped_or_made_anew_is_a_gap() {
    for shop in Shop::of_each_version("a slot that somebody has been at") {
        let point = away(&shop).await;
        assert_eq!(judge(&shop, &point).await, Continuity::Intact);

        shop.sql("select pg_replication_slot_advance('acme', pg_current_wal_lsn())");
        let from = broken(&shop, &point, "ahead of the checkpoint").await;
        assert_eq!(from, Some(confirmed(&shop)));
        let error = refused(&shop, &point).await;
        assert_eq!(*error.fault(), Fault::Transient, "it is looked at again: {error}");
        let position = from.unwrap();
        let point = goes_on(&shop, ResumePoint { position, ..point }).await;

        shop.sql("select pg_drop_replication_slot('acme')");
        shop.sql("insert into stock values (100)");
        assert_eq!(broken(&shop, &point, "slot acme is gone").await, None);
        refused(&shop, &point).await;
        let made = shop.connector().establish(&tables(&["stock"])).await.unwrap();
        let from = broken(&shop, &point, "ahead of the checkpoint").await;
        assert_eq!(from.as_ref(), Some(&made.position));
        refused(&shop, &point).await;
        assert_eq!(judge(&shop, &made).await, Continuity::Intact);
        let point = goes_on(&shop, made).await;
        assert_eq!(judge(&shop, &point).await, Continuity::Intact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_became_somebody_elses_is_a_gap_and_left_alone() {
    for shop in Shop::of_each_version("somebody else's slot") {
        let point = away(&shop).await;
        shop.sql("select pg_drop_replication_slot('acme')");
        shop.sql("select pg_create_physical_replication_slot('acme')");
        assert_eq!(broken(&shop, &point, "was made for something else").await, None);
        refused(&shop, &point).await;
        let survey = shop.connector().survey(&tables(&["stock"]), Some(&point)).await.unwrap();
        let found = survey.findings.iter().find(|finding| finding.check == "slot acme").unwrap();
        assert_eq!(found.severity, Severity::Blocker);
        let error = shop.connector().establish(&tables(&["stock"])).await.unwrap_err();
        assert!(matches!(error.fault(), Fault::Operator { .. }), "{error}");
        assert_eq!(shop.value("select slot_type from pg_replication_slots"), "physical");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_keeps_log_under_a_former_name_is_told_of_and_no_other_made() {
    for shop in Shop::of_each_version("a former slot") {
        let point = away(&shop).await;
        let slot = Slot::Named("renamed".to_owned());
        let renamed = PostgresConnector::new(PostgresConfig { slot, ..shop.config() });
        let told = async || {
            let survey = renamed.survey(&tables(&["stock"]), Some(&point)).await.unwrap();
            survey.findings.into_iter().find(|finding| finding.check == "slot acme")
        };
        let found = told().await.unwrap();
        assert_eq!(found.severity, Severity::Blocker, "{found:?}");
        assert!(found.fix.contains("slot = \"acme\""), "{found:?}");
        assert!(found.fix.contains("SELECT pg_drop_replication_slot('acme');"), "{found:?}");
        assert_eq!(
            shop.value("select string_agg(slot_name, ' ') from pg_replication_slots"),
            "acme"
        );
        assert_eq!(judge(&shop, &point).await, Continuity::Intact);
        shop.sql("select pg_drop_replication_slot('acme')");
        assert_eq!(told().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_log_the_server_has_removed_is_a_gap_and_made_again() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default()
            .setting("max_slot_wal_keep_size", "1MB")
            .setting("min_wal_size", "32MB");
        let Some(shop) = Shop::start_with(version, options, "lost log") else { continue };
        let point = away(&shop).await;
        for _ in 0..4 {
            shop.sql("insert into stock select max(id) + 1 from stock");
            shop.sql("select pg_switch_wal()");
        }
        shop.sql("checkpoint");
        shop.wait_until("select wal_status = 'lost' from pg_replication_slots");
        assert_eq!(broken(&shop, &point, "slot acme is of no use any more").await, None);
        let survey = shop.connector().survey(&tables(&["stock"]), Some(&point)).await.unwrap();
        let found = survey.findings.iter().find(|finding| finding.check == "slot acme").unwrap();
        assert_eq!(found.severity, Severity::Warning);
        // As where it is removed between a look and the stream.
        let error = refused(&shop, &point).await;
        assert_eq!(*error.fault(), Fault::Transient, "it is looked at again: {error}");
        let made = shop.connector().establish(&tables(&["stock"])).await.unwrap();
        assert_eq!(judge(&shop, &made).await, Continuity::Intact);
        goes_on(&shop, made).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stopped_or_crashed_has_lost_nothing() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().controlled().durable();
        let Some(shop) = Shop::start_with(version, options, "an interruption") else { continue };
        let mut point = away(&shop).await;
        let mut waiting = 2;
        for mode in [StopMode::Fast, StopMode::Immediate] {
            shop.server.restart(mode).unwrap();
            shop.sql(&format!("insert into stock values ({})", waiting + 1));
            assert_eq!(judge(&shop, &point).await, Continuity::Intact);
            let mut reader = shop.resume(point).await;
            for id in [waiting, waiting + 1] {
                let line = format!("insert stock #0 id={id} qty=null note=null");
                assert_eq!(reader.line().await, line);
            }
            // Read, and not confirmed.
            point = reader.close().await;
            shop.wait_for_free_slot();
            waiting += 2;
            shop.sql(&format!("insert into stock values ({waiting})"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_under_the_same_address_is_a_gap() {
    let options = PostgresOptions::default();
    for version in testbed::all_versions() {
        let Some(shop) = Shop::start(version, "two servers") else { continue };
        let own = options.clone().own_identity();
        let other = Shop::start_with(version, own, "two servers").unwrap();
        let point = away(&shop).await;
        let elsewhere = away(&other).await;
        let from = broken(&other, &point, "another server answers").await;
        assert_eq!(from, Some(elsewhere.position));
        let error = refused(&other, &point).await;
        assert_eq!(*error.fault(), Fault::Transient, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_changed_while_away_is_a_gap() {
    let restricting = "alter publication tailstock set (publish = 'insert, update, delete')";
    let and_back = "alter publication tailstock set (publish = 'insert, update, delete, truncate')";
    let changes: [&[&str]; 4] = [
        &["alter publication tailstock drop table stock"],
        // Back again: what happened in between was not sent.
        &[
            "alter publication tailstock drop table stock",
            "alter publication tailstock add table stock",
        ],
        &[restricting, and_back],
        &["drop publication tailstock", "create publication tailstock for table stock"],
    ];
    let newer = "alter publication tailstock set table stock where (id > 0)";
    for shop in Shop::of_each_version("changed publications") {
        let with_filters = shop.server.version() >= testbed::PgVersion::V15;
        let newer: &[&str] = if with_filters { &[newer] } else { &[restricting] };
        for change in changes.into_iter().chain([newer]) {
            shop.sql("drop publication tailstock; create publication tailstock for table stock");
            shop.sql("delete from stock");
            let mut reader = shop.resume(away(&shop).await).await;
            // Durable, and the server has not heard of it.
            reader.expect(&["insert stock #0 id=2 qty=null note=null"]).await;
            let point = reader.close().await;
            shop.wait_for_free_slot();
            change.iter().for_each(|sql| shop.sql(sql));
            let from = broken(&shop, &point, "the publication has changed while away").await;
            assert_eq!(from.as_ref(), Some(&point.position), "it does not come again");
            assert_ne!(from, Some(confirmed(&shop)));
            shop.sql("select pg_drop_replication_slot('acme')");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_change_the_captured_tables_changes_is_no_gap() {
    for shop in Shop::of_each_version("harmless changes") {
        shop.sql(
            "create table other (id int primary key); create table third (id int primary key)",
        );
        shop.sql("drop publication tailstock; create publication tailstock for table stock, other");
        let point = away(&shop).await;
        for harmless in [
            "alter publication tailstock add table third",
            "alter publication tailstock drop table other",
            "alter table stock add more int",
            "alter table stock replica identity full",
            "create publication another for all tables",
            // Rewrites the catalog, as an anti-wraparound vacuum does.
            "vacuum (full, freeze) pg_publication_rel",
            "vacuum (full, freeze) pg_publication",
            "vacuum (full, freeze) stock",
            "analyze",
        ] {
            shop.sql(harmless);
            assert_eq!(judge(&shop, &point).await, Continuity::Intact, "{harmless}");
        }
        let mut reader = shop.resume(point).await;
        reader.expect(&["insert stock #0 id=2 qty=null note=null"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_without_a_checkpoint_is_adopted_where_it_stands() {
    for shop in Shop::of_each_version("adopted slots") {
        let capture = tables(&["stock"]);
        let looked = async || shop.connector().survey(&capture, None).await.unwrap().continuity;
        assert_eq!(looked().await, Continuity::New);
        let point = away(&shop).await;
        assert_eq!(looked().await, Continuity::Adopted(point.position.clone()));
        let adopted = shop.connector().establish(&capture).await.unwrap();
        assert_eq!((&adopted.position, &adopted.lineage), (&point.position, &point.lineage));
        let mut reader = within("open", Reader::resume(&shop.connector(), adopted)).await.unwrap();
        reader.expect(&["insert stock #0 id=2 qty=null note=null"]).await;
    }
}
