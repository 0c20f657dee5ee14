//! Servers that take over from others.

use connector_api::{Connector as _, Continuity, Fault, Position, ResumePoint, Severity};
use connector_postgres::{PostgresConfig, PostgresConnector};
use testbed::{PgVersion, PostgresOptions, StopMode};

use crate::support::{LIMIT, Reader, Shelf, Shop, tables};

const REPLAYED: &str = "select pg_last_wal_replay_lsn() >= ";

fn standby_of(shop: &Shop) -> Shop {
    Shop { server: shop.server.standby(&PostgresOptions::default()).unwrap() }
}

/// Waits until everything written so far has arrived at the standby.
fn catch_up(shop: &Shop, standby: &Shop) {
    let end = shop.value("select pg_current_wal_lsn()");
    standby.wait_until(&format!("{REPLAYED} '{end}'"));
}

fn promote(standby: &Shop) {
    standby.sql("select pg_promote()");
    standby.wait_until("select not pg_is_in_recovery()");
}

async fn judge(shop: &Shop, point: &ResumePoint) -> Continuity {
    let survey = shop.connector().survey(&tables(&["stock"]), Some(point)).await;
    survey.unwrap().continuity
}

fn assert_broken(found: &Continuity, why: &str) {
    let told = matches!(found, Continuity::Broken { reason, .. } if reason.contains(why));
    assert!(told, "wanted {why:?}: {found:?}");
}

/// A server, a reader of its slot, and a standby that has the slot too, as it can from 17 on.
async fn in_step(version: PgVersion, test: &str) -> Option<(Shop, Reader, Shop)> {
    if version < PgVersion::V17 {
        return None;
    }
    let shop = Shop::start_with(version, PostgresOptions::default().controlled(), test)?;
    shop.sql("select pg_create_physical_replication_slot('standby')");
    shop.sql("select pg_create_logical_replication_slot('acme', 'pgoutput', false, false, true)");
    let mut reader = shop.stream(&["stock"]).await;
    let standby = standby_in_step(&shop, &mut reader).await;
    Some((shop, reader, standby))
}

/// A standby that has the slot too. `reader` reads the primary's.
async fn standby_in_step(shop: &Shop, reader: &mut Reader) -> Shop {
    let standby = standby_of(shop);
    let port = shop.server.port();
    let primary = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    standby.server.set("primary_conninfo", &primary).unwrap();
    standby.server.set("primary_slot_name", "standby").unwrap();
    standby.server.set("hot_standby_feedback", "on").unwrap();
    let here = "select exists (select from pg_replication_slots where not temporary)";
    let begun = std::time::Instant::now();
    while standby.value(here) != "t" {
        assert!(begun.elapsed() < LIMIT, "the slot does not reach the standby");
        // The primary's slot has to pass the place where the standby's can begin.
        shop.sql("select pg_log_standby_snapshot()");
        let end = Position::new(shop.value("select pg_current_wal_lsn()"));
        reader.until(&shop.connector(), &end).await;
        reader.confirm();
        let position = &reader.point.position;
        let confirmed = format!("select bool_or(confirmed_flush_lsn >= '{position}')");
        shop.wait_until(&format!("{confirmed} from pg_replication_slots"));
        catch_up(shop, &standby);
        // Refuses as long as the standby is behind.
        let _ = standby.server.execute("select pg_sync_replication_slots()");
    }
    standby
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_no_gap_up_to_the_fork_and_a_gap_behind_it() {
    for version in testbed::all_versions() {
        let Some((shop, reader, standby)) = in_step(version, "promotion").await else { continue };
        let before = reader.close().await;
        shop.wait_for_free_slot();

        let survey = standby.connector().survey(&before.capture, Some(&before)).await.unwrap();
        let blocked = |check: &str| {
            let mut found = survey.findings.iter();
            found.any(|one| one.severity == Severity::Blocker && one.check == check)
        };
        assert!(blocked("slot acme"), "a copy cannot be read: {:?}", survey.findings);

        shop.sql("insert into stock values (1001)");
        catch_up(&shop, &standby);
        promote(&standby);
        // The old primary has not heard of it.
        shop.sql("insert into stock values (2001)");
        let mut reader = shop.resume(before.clone()).await;
        let lines = [1001, 2001].map(|id| format!("insert stock #0 id={id} qty=null note=null"));
        reader.expect(&[&lines[0], &lines[1]]).await;
        let behind = reader.close().await;

        assert_broken(&judge(&standby, &behind).await, &format!("{}", behind.position));
        standby.sql("insert into stock select id from generate_series(3000, 4000) id");
        let Continuity::Broken { reason, from: Some(fork) } = judge(&standby, &behind).await else {
            panic!("something is missing, and the fork is known");
        };
        assert!(reason.contains(&format!("timeline 1 was left at {fork}, ")), "{reason}");
        let Continuity::Renumbered { reason, .. } = judge(&standby, &before).await else {
            panic!("everything behind {} is there", before.position);
        };
        assert!(reason.contains("from timeline 1 to 2"), "{reason}");

        // A stream of the old lineage is not opened unawares.
        let opened = Reader::resume(&standby.connector(), before.clone()).await;
        let error = opened.err().expect("a stream of another timeline");
        assert_eq!(*error.fault(), Fault::Transient, "{error}");
        let survey = standby.connector().survey(&before.capture, Some(&before)).await.unwrap();
        let lineage = survey.lineage;
        let mut reader = standby.resume(ResumePoint { lineage: lineage.clone(), ..before }).await;
        reader.expect(&[&lines[0]]).await;
        assert_eq!(reader.line().await, "insert stock #0 id=3000 qty=null note=null");
        reader.close().await;
        standby.wait_for_free_slot();
        // What was read before the fork does not come again.
        let from_fork = ResumePoint { lineage, position: fork, ..behind };
        let mut reader = standby.resume(from_fork).await;
        assert_eq!(reader.line().await, "insert stock #0 id=3000 qty=null note=null");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_has_not_replayed_up_to_the_checkpoint_is_looked_at_again() {
    for version in testbed::all_versions() {
        let started = in_step(version, "a standby behind").await;
        let Some((shop, mut reader, standby)) = started else { continue };
        standby.sql("select pg_wal_replay_pause()");
        standby.wait_until("select pg_get_wal_replay_pause_state() = 'paused'");
        shop.sql("insert into stock values (1001)");
        reader.expect(&["insert stock #0 id=1001 qty=null note=null"]).await;
        let point = reader.close().await;
        let survey = standby.connector().survey(&point.capture, Some(&point)).await;
        let error = survey.expect_err("neither whole nor broken");
        assert_eq!(*error.fault(), Fault::Transient, "{error}");
        assert!(error.to_string().contains("has replayed its log up to"), "{error}");
        standby.sql("select pg_wal_replay_resume()");
        catch_up(&shop, &standby);
        assert_eq!(judge(&standby, &point).await, Continuity::Intact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_server_without_the_slot_is_a_gap() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(shop) = Shop::start_with(version, options, "no slot") else { continue };
        let reader = shop.stream(&["stock"]).await;
        let standby = standby_of(&shop);
        let point = reader.close().await;
        catch_up(&shop, &standby);
        let survey = standby.connector().survey(&point.capture, Some(&point)).await.unwrap();
        let role = survey.findings.iter().find(|found| found.check == "server role").unwrap();
        let blocks = version < PgVersion::V16;
        assert_eq!(role.severity == Severity::Blocker, blocks, "{role:?}");
        promote(&standby);
        let found = judge(&standby, &point).await;
        assert_broken(&found, "slot acme is gone");
        let made = standby.connector().establish(&point.capture).await.unwrap();
        assert_broken(&judge(&standby, &point).await, "ahead of the checkpoint");
        assert_eq!(judge(&standby, &made).await, Continuity::Intact);
        let mut reader = standby.resume(made).await;
        standby.sql("insert into stock values (1)");
        reader.expect(&["insert stock #0 id=1 qty=null note=null"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_that_is_behind_the_checkpoint_is_a_gap() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(shop) = Shop::start_with(version, options, "restored copy") else { continue };
        let mut reader = shop.stream(&["stock"]).await;
        let copy = standby_of(&shop);
        // It ends its recovery as a copy of files does that has no more log: without a promotion.
        // The program reads what it is sent: the server is told of a pipe that breaks.
        copy.sql("copy (select 1) to program 'cat > /dev/null; rm standby.signal'");
        copy.server.restart(StopMode::Fast).unwrap();
        assert_eq!(copy.value("select pg_is_in_recovery()"), "f");
        shop.sql("insert into stock select id from generate_series(1, 2000) id");
        let mut line = String::new();
        while !line.contains("#1999") {
            line = reader.line().await;
        }
        let point = reader.close().await;
        copy.connector().establish(&point.capture).await.unwrap();
        assert_broken(&judge(&copy, &point).await, "it was restored");
    }
}

/// An old primary that comes back beside the new one is not the one to read.
#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_from_the_server_whose_log_is_read() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(shop) = Shop::start_with(version, options, "read beside") else { continue };
        shop.sql("create role tail login replication; grant select on stock to tail");
        let standby = standby_of(&shop);
        catch_up(&shop, &standby);
        promote(&standby);
        standby.sql("insert into stock values (1)");
        let hosts = [shop.config().hosts, standby.config().hosts].concat();
        let user = "tail".to_owned();
        let connector = PostgresConnector::new(PostgresConfig { hosts, user, ..shop.config() });
        shop.server.stop(StopMode::Fast).unwrap();
        let reader = Reader::start(&connector, tables(&["stock"])).await;
        shop.server.start_again().unwrap();
        let mut shelf = Shelf::of(&connector, "stock", &["id"]).await;
        assert_eq!(shelf.whole(10).await, ["id=1"], "PostgreSQL {version}");
        standby.server.stop(StopMode::Immediate).unwrap();
        let error = connector.snapshot_reader().await.err().expect("the other is not read");
        assert_eq!(*error.fault(), Fault::Transient, "{error}");
        drop(reader);
    }
}
