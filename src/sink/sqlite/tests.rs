mod faults;
mod folding;
mod levels;
mod speed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use connector_api::Fault;
use rusqlite::{Connection, params};

use super::stored::NEXT_ROWS;
use super::*;
use crate::sink::{ControlKind, ControlRecord, DeadLetter, LevelKey, Part, RowEntry, ShardState};
use crate::stock::encode::{Encoder, Records, timestamp};
use crate::stock::quantity::Decimal;
use crate::stock::{
    Change, EventKind, Item, Location, Operation, Origin, Provenance, Quality, Quantities,
    SellerId, SourceName, StockEvent, Version,
};
use crate::telemetry::now_us;

const NOW_US: i64 = 1_700_000_000_000_000;

/// What an event says: a level where there is a quantity, else a removal.
pub(super) type Said = (String, u32, Option<i64>);

fn record(seller: &SellerId, said: &Said, records: &mut Records) {
    let (item, ordinal, on_hand) = said;
    let encoder = Encoder::new(seller, &SourceName::new("main"), "test", "shop");
    let kind = match on_hand {
        Some(_) => EventKind::Level,
        None => EventKind::Removed { successor: None },
    };
    let on_hand = on_hand.map(Decimal::from_int);
    let event = StockEvent {
        kind,
        capture: Provenance::Stream,
        item: Item { id: item, ..Item::default() },
        location: Location { id: "_", kind: None },
        bucket: None,
        quantity: Quantities { on_hand, ..Quantities::default() },
        measure: None,
        unit: "EA",
        active: None,
        tracked: None,
        change: Change::default(),
        version: Version { epoch: 1, coordinate: 1, ordinal: *ordinal },
        committed_at_us: Some(NOW_US),
        origin: Origin {
            table: "public.stock",
            operation: Operation::Update,
            transaction: None,
            position: "0/1",
            row: *ordinal,
            mapping: "stock@1",
        },
        quality: Quality::default(),
    };
    records.push(&encoder, &event);
}

/// The part of a seller, with a checkpoint that names its last event.
pub(super) fn part(seller: &str, events: impl Iterator<Item = Said>) -> Part {
    let seller = SellerId::new(seller);
    let mut records = Records::default();
    let mut checkpoint = None;
    for said in events {
        record(&seller, &said, &mut records);
        checkpoint = Some(format!("checkpoint {}", said.1));
    }
    Part { records, checkpoint, ..Part::empty(seller, SourceName::new("main")) }
}

/// A commit of one level and a checkpoint.
fn commit(item: &str, ordinal: u32, on_hand: i64) -> Arc<Commit> {
    let events = [(item.to_owned(), ordinal, Some(on_hand))];
    Arc::new(Commit { parts: vec![part("acme", events.into_iter())] })
}

fn database(path: &Path, retention_days: Option<u32>) -> open::Database {
    let options = SqliteOptions { path: path.to_owned(), retention_days };
    open::open(&options, open::ProcessLock::default()).unwrap()
}

fn sink(path: &Path) -> Sqlite {
    Sqlite::new(SqliteOptions { path: path.to_owned(), retention_days: None })
}

pub(super) async fn writer(path: &Path) -> Box<dyn ShardWriter> {
    sink(path).open(Shard(0)).await.unwrap().writer
}

async fn refused(path: &Path) -> Error {
    match sink(path).open(Shard(0)).await {
        Err(OpenError::Failed(error)) => error,
        _ => panic!("it opened, or was fenced"),
    }
}

/// The same of a file whose last writer lets go of it in a moment.
async fn refused_once_free(path: &Path) -> Error {
    loop {
        let error = refused(path).await;
        if !matches!(error.fault(), Fault::Held { .. }) {
            return error;
        }
        tokio::task::yield_now().await;
    }
}

pub(super) fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stock.db");
    (folder, path)
}

fn levels(path: &Path) -> BTreeMap<String, String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT item, on_hand FROM levels").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn is_operator(error: &Error) -> bool {
    matches!(error.fault(), Fault::Operator { .. })
}

#[test]
fn a_file_that_is_just_being_made_holds_nothing_and_is_no_error() {
    let (_folder, path) = file();
    let stored =
        || checkpoints(&path, &[(SellerId::new("acme"), SourceName::new("main"))]).unwrap();
    assert_eq!(stored(), None);
    std::fs::write(&path, "").unwrap();
    assert_eq!(stored(), None);
    drop(database(&path, None));
    assert_eq!(stored(), Some(vec![None]));
}

#[test]
fn every_commit_is_synced_to_disk() {
    let (_folder, path) = file();
    let database = database(&path, None);
    let pragma = |name: &str| {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        database.connection.query_row(&format!("PRAGMA {name}"), [], read).unwrap()
    };
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".to_owned()));
}

#[tokio::test]
async fn a_commit_that_returned_is_in_the_files_and_comes_back_with_its_checkpoint() {
    let (_folder, path) = file();
    let Opened { mut writer, state, .. } = sink(&path).open(Shard(0)).await.unwrap();
    writer.commit(commit("A", 1, 5)).await.unwrap();
    // The files as a crash would leave them: the writer is still running.
    let copies = tempfile::tempdir().unwrap();
    for name in ["stock.db", "stock.db-wal"] {
        std::fs::copy(path.with_file_name(name), copies.path().join(name)).unwrap();
    }
    let copy = levels(&copies.path().join("stock.db"));
    assert_eq!(copy, BTreeMap::from([("A".to_owned(), "5".to_owned())]));
    let stored = state.load(&SellerId::new("acme"), &SourceName::new("main")).await.unwrap();
    assert_eq!(stored.checkpoint.as_deref(), Some("checkpoint 1"));
}

#[tokio::test]
async fn many_cached_rows_come_back_each_once_and_those_of_others_stay() {
    let (_folder, path) = file();
    let Opened { mut writer, state, .. } = sink(&path).open(Shard(0)).await.unwrap();
    let rows = |seller: &str| {
        let row = |nth: u32| RowEntry {
            table: format!("public.stock{}", nth % 2),
            pk: nth.to_string(),
            value: Some(format!("{seller} {nth}")),
        };
        (0..10_000).map(row).collect::<Vec<_>>()
    };
    let part = |seller: &str| Part {
        rows: rows(seller),
        ..Part::empty(SellerId::new(seller), SourceName::new("main"))
    };
    let parts = ["acma", "acme", "acmf"].map(part).into();
    writer.commit(Arc::new(Commit { parts })).await.unwrap();
    let mut stored = state.load(&SellerId::new("acme"), &SourceName::new("main")).await.unwrap();
    let by_place = |row: &RowEntry| (row.table.clone(), row.pk.clone());
    let (mut read, mut expected) = (stored.all_rows().await.unwrap(), rows("acme"));
    read.sort_by_key(by_place);
    expected.sort_by_key(by_place);
    assert!(read == expected, "{} rows", read.len());
    let connection = Connection::open(&path).unwrap();
    let plan: String = connection
        .query_row(&format!("EXPLAIN QUERY PLAN {NEXT_ROWS}"), ["", "", "", "", "1"], |row| {
            row.get(3)
        })
        .unwrap();
    assert_eq!(
        plan,
        "SEARCH rows USING PRIMARY KEY (seller=? AND source=? AND (table_name,pk)>(?,?))"
    );
}

#[tokio::test]
async fn everything_of_a_part_is_stored_together() {
    let (_folder, path) = file();
    let Opened { mut writer, state, .. } = sink(&path).open(Shard(0)).await.unwrap();
    let row = |pk: &str, value: Option<&str>| RowEntry {
        table: "public.stock".to_owned(),
        pk: pk.to_owned(),
        value: value.map(str::to_owned),
    };
    let part = |rows| Part {
        control: vec![ControlRecord {
            kind: ControlKind::Gap,
            at_us: NOW_US,
            value: "{}".to_owned(),
        }],
        dead_letters: vec![DeadLetter {
            table: "public.stock".to_owned(),
            position: "0/1".to_owned(),
            reason: "item is NULL".to_owned(),
            at_us: NOW_US,
            value: "{}".to_owned(),
        }],
        rows,
        ..Part::empty(SellerId::new("acme"), SourceName::new("main"))
    };
    let first = part(vec![row("1", Some("a")), row("2", Some("b"))]);
    let second = part(vec![row("1", None), row("2", Some("c"))]);
    writer.commit(Arc::new(Commit { parts: vec![first] })).await.unwrap();
    writer.commit(Arc::new(Commit { parts: vec![second] })).await.unwrap();
    let mut stored = state.load(&SellerId::new("acme"), &SourceName::new("main")).await.unwrap();
    assert_eq!(stored.all_rows().await.unwrap(), [row("2", Some("c"))]);
    let connection = Connection::open(&path).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((count("control"), count("dlq")), (2, 2));
}

#[tokio::test]
async fn a_second_process_is_told_who_holds_the_file() {
    let (_folder, path) = file();
    let _first = writer(&path).await;
    let error = refused(&path).await;
    let me = format!("tailstock, process {} on ", std::process::id());
    assert!(matches!(error.fault(), Fault::Held { by } if by.starts_with(&me)), "{error}");
    let link = path.with_file_name("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(refused(&link).await.fault(), Fault::Held { .. }));
}

#[tokio::test]
async fn a_file_opened_anew_by_its_own_process_fences_the_writer_before() {
    let (_folder, path) = file();
    let sink = sink(&path);
    let Opened { writer: mut first, .. } = sink.open(Shard(0)).await.unwrap();
    first.commit(commit("A", 1, 5)).await.unwrap();
    let Opened { writer: mut second, .. } = sink.open(Shard(0)).await.unwrap();
    let outcome = first.commit(commit("A", 2, 6)).await;
    assert!(matches!(outcome, Err(CommitError::Fenced(_))), "{outcome:?}");
    second.commit(commit("A", 3, 7)).await.unwrap();
    drop(sink);
    assert!(matches!(refused(&path).await.fault(), Fault::Held { .. }), "the second still runs");
    drop(second);
    assert_eq!(levels(&path)["A"], "7");
}

#[tokio::test]
async fn an_owner_that_slept_through_a_takeover_writes_nothing() {
    let (_folder, path) = file();
    let mut sleeper = writer(&path).await;
    sleeper.commit(commit("A", 1, 5)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute("UPDATE owner SET token = 'another'", []).unwrap();
    let outcome = sleeper.commit(commit("A", 2, 6)).await;
    assert!(matches!(outcome, Err(CommitError::Fenced(_))), "{outcome:?}");
    let outcome = sleeper.commit(commit("A", 2, 6)).await;
    assert!(matches!(outcome, Err(CommitError::Unknown(_))), "it has to be opened again");
    assert_eq!(levels(&path)["A"], "5");
}

#[test]
fn a_level_gives_way_to_a_newer_state_only() {
    let (_folder, path) = file();
    let mut database = database(&path, None);
    database.commit(&commit("A", 5, 50)).unwrap();
    database.commit(&commit("A", 4, 40)).unwrap();
    assert_eq!(levels(&path)["A"], "50");
    let said = |ordinal, on_hand| ("A".to_owned(), ordinal, on_hand);
    let parts = vec![part("acme", [said(7, Some(70)), said(6, Some(60))].into_iter())];
    database.commit(&Commit { parts }).unwrap();
    assert_eq!(levels(&path)["A"], "70");
    let parts = vec![part("acme", [said(3, None)].into_iter())];
    database.commit(&Commit { parts }).unwrap();
    assert_eq!(levels(&path)["A"], "70");
    let parts = vec![part("acme", [said(8, None)].into_iter())];
    database.commit(&Commit { parts }).unwrap();
    assert_eq!(levels(&path), BTreeMap::new());
}

#[test]
fn the_view_shows_each_level_with_its_event() {
    let (_folder, path) = file();
    let mut database = database(&path, None);
    database.commit(&commit("A", 1, 5)).unwrap();
    database.commit(&commit("A", 2, 6)).unwrap();
    let sql = "SELECT on_hand, value ->> '$.quantity.on_hand', version, value ->> '$.version'
               FROM current";
    let row: [String; 4] = Connection::open(&path)
        .unwrap()
        .query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
        .unwrap();
    assert_eq!((&row[0], &row[2]), (&row[1], &row[3]));
    assert_eq!(row[0], "6");
}

/// Makes every note of what was published look as if it were of 2020.
fn age(database: &open::Database) {
    database.connection.execute("UPDATE published SET at = '2020-01-01T00'", []).unwrap();
}

fn count(database: &open::Database, from: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {from}");
    database.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn events_go_some_days_after_they_were_published_and_levels_stay() {
    let (_folder, path) = file();
    let mut database = database(&path, Some(30));
    for ordinal in 1..50 {
        database.commit(&commit("A", ordinal, 5)).unwrap();
    }
    // Committed at their source in 2023, but published now.
    database.retention.retire(&database.connection).unwrap();
    assert_eq!((count(&database, "events"), count(&database, "published")), (49, 1));

    age(&database);
    database.connection.execute("UPDATE published SET seq = 40", []).unwrap();
    database.retention = retention::Retention::new(Some(30));
    database.retention.retire(&database.connection).unwrap();
    assert_eq!(count(&database, "events"), 9);

    // A note up to the newest event leaves that one: sequence numbers go on from it.
    database.commit(&commit("A", 50, 5)).unwrap();
    age(&database);
    database.retention = retention::Retention::new(Some(30));
    database.retention.retire(&database.connection).unwrap();
    assert_eq!(count(&database, "events"), 1);
    database.commit(&commit("A", 51, 5)).unwrap();
    assert_eq!(count(&database, "events WHERE seq IN (50, 51)"), 2);
    assert_eq!(levels(&path)["A"], "5");
}

#[test]
fn events_outlive_a_clock_that_was_wrong_when_they_were_published() {
    let (_folder, path) = file();
    let mut database = database(&path, Some(30));
    for ordinal in 1..50 {
        database.commit(&commit("A", ordinal, 5)).unwrap();
    }
    let note = |database: &open::Database, seq: i64, at: &str| {
        let sql = "INSERT OR REPLACE INTO published VALUES (?1, ?2)";
        database.connection.execute(sql, params![seq, at]).unwrap();
    };
    let left = |database: &mut open::Database| {
        database.retention = retention::Retention::new(Some(30));
        database.retention.retire(&database.connection).unwrap();
        count(database, "events")
    };
    database.connection.execute("DELETE FROM published", []).unwrap();
    note(&database, 40, &timestamp(now_us() - 24 * 3_600_000_000));
    note(&database, 49, "1970-01-01T00");
    assert_eq!(left(&mut database), 49, "those up to 40 are of yesterday, the others are younger");

    note(&database, 20, "2999-01-01T00");
    note(&database, 30, "2020-01-01T00");
    assert_eq!(left(&mut database), 19, "a note of the future keeps nothing");
}

#[test]
fn events_are_kept_for_ever_where_nobody_says_how_long() {
    let (_folder, path) = file();
    let mut database = database(&path, None);
    database.commit(&commit("A", 1, 5)).unwrap();
    database.commit(&commit("A", 2, 5)).unwrap();
    age(&database);
    database.retention.retire(&database.connection).unwrap();
    assert_eq!(count(&database, "events"), 2);
}
