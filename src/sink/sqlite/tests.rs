use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use connector_api::Fault;
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::sink::{ControlKind, ControlRecord, DeadLetter, Part};
use crate::stock::encode::{Encoder, Records};
use crate::stock::quantity::Decimal;
use crate::stock::{
    Change, EventKind, Item, Location, Operation, Origin, Provenance, Quality, Quantities,
    StockEvent, Version,
};

const NOW_US: i64 = 1_700_000_000_000_000;

fn record(records: &mut Records, item: &str, ordinal: u32, on_hand: Option<i64>) {
    let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
    let encoder = Encoder::new(&seller, &source, "test", "shop");
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
        version: Version { epoch: 1, coordinate: 1, ordinal },
        committed_at_us: Some(NOW_US),
        origin: Origin {
            table: "public.stock",
            operation: Operation::Update,
            transaction: None,
            position: "0/1",
            row: ordinal,
            mapping: "stock@1",
        },
        quality: Quality::default(),
    };
    records.push(&encoder, &event);
}

/// A part of levels and removals: item, ordinal, quantity.
pub(super) fn part(events: impl Iterator<Item = (String, u32, Option<i64>)>) -> Part {
    let mut records = Records::default();
    let mut last = 0;
    for (item, ordinal, on_hand) in events {
        record(&mut records, &item, ordinal, on_hand);
        last = ordinal;
    }
    let checkpoint = Some(format!("checkpoint {last}"));
    let part = Part::empty(SellerId::new("acme"), SourceName::new("main"));
    Part { records, checkpoint, ..part }
}

/// A commit of one level and a checkpoint.
fn commit(item: &str, ordinal: u32, on_hand: i64) -> Arc<Commit> {
    let events = [(item.to_owned(), ordinal, Some(on_hand))];
    Arc::new(Commit { parts: vec![part(events.into_iter())] })
}

fn sink(path: &Path) -> Sqlite {
    Sqlite::new(SqliteOptions { path: path.to_owned(), retention_days: None })
}

pub(super) async fn writer(path: &Path) -> Box<dyn ShardWriter> {
    sink(path).open(Shard(0)).await.unwrap().0
}

async fn refused(path: &Path) -> Error {
    match sink(path).open(Shard(0)).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
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
fn every_commit_is_synced_to_disk() {
    let (_folder, path) = file();
    let options = SqliteOptions { path, retention_days: None };
    let database = open::open(&options).unwrap();
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
    let (mut writer, state) = sink(&path).open(Shard(0)).await.unwrap();
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
async fn everything_of_a_part_is_stored_together() {
    let (_folder, path) = file();
    let (mut writer, state) = sink(&path).open(Shard(0)).await.unwrap();
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
    let stored = state.load(&SellerId::new("acme"), &SourceName::new("main")).await.unwrap();
    assert_eq!(stored.rows, [row("2", Some("c"))]);
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
    let me = format!("tailstock, process {}", std::process::id());
    assert!(matches!(error.fault(), Fault::Held { by } if by.starts_with(&me)), "{error}");
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
    assert_eq!(levels(&path)["A"], "5");
}

#[tokio::test]
async fn a_file_that_another_program_writes_to_is_tried_again_with_nothing_stored() {
    let (_folder, path) = file();
    let mut writer = writer(&path).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = writer.commit(commit("A", 1, 5)).await;
    let Err(CommitError::NotCommitted(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(*error.fault(), Fault::Transient);
    other.execute_batch("ROLLBACK").unwrap();
    writer.commit(commit("A", 1, 5)).await.unwrap();
    assert_eq!(levels(&path)["A"], "5");
}

#[tokio::test]
async fn files_that_are_not_ours_are_left_alone() {
    let (folder, path) = file();
    std::fs::write(&path, "not a database at all, but long enough to be read as one").unwrap();
    let error = refused(&path).await;
    assert!(is_operator(&error) && error.to_string().contains("not a database"), "{error}");

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = refused(&foreign).await;
    assert!(is_operator(&error) && error.to_string().contains("another program"), "{error}");

    let newer = folder.path().join("newer.db");
    drop(writer(&newer).await);
    Connection::open(&newer).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = refused(&newer).await;
    assert!(is_operator(&error) && error.to_string().contains("later version"), "{error}");

    let nowhere = folder.path().join("missing/stock.db");
    assert!(is_operator(&refused(&nowhere).await));
}

#[tokio::test]
async fn a_damaged_file_needs_a_person_and_is_not_written_to() {
    let (_folder, path) = file();
    {
        let mut writer = writer(&path).await;
        for ordinal in 1..200 {
            writer.commit(commit(&format!("item {ordinal}"), ordinal, 5)).await.unwrap();
        }
    }
    let checkpoint = Connection::open(&path).unwrap();
    checkpoint.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(checkpoint);
    let mut bytes = std::fs::read(&path).unwrap();
    // Every page but the first, which says what the file is.
    bytes[8192..].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let error = match sink(&path).open(Shard(0)).await {
        Err(error) => error,
        Ok((mut writer, _)) => match writer.commit(commit("A", 1, 5)).await {
            Err(CommitError::NotCommitted(error) | CommitError::Unknown(error)) => error,
            other => panic!("{other:?}"),
        },
    };
    assert!(is_operator(&error), "{error}");
}

/// A small file system of its own; `None` where this process may not mount one.
fn small_disk(folder: &Path) -> Option<impl Drop> {
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        println!("skipped: a_full_disk: this process may not mount a file system");
    }
    mounted.then(|| Unmount(folder.to_owned()))
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_goes_on_when_there_is_room() {
    let (folder, path) = file();
    let Some(_disk) = small_disk(folder.path()) else { return };
    let mut writer = writer(&path).await;
    let filler = folder.path().join("filler");
    std::fs::write(&filler, vec![0; 300 << 10]).unwrap();
    let mut ordinal = 0;
    let error = loop {
        ordinal += 1;
        match writer.commit(commit(&format!("item {ordinal}"), ordinal, 5)).await {
            Ok(()) => {}
            Err(CommitError::NotCommitted(error)) => break error,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(error.to_string().contains("free some disk space"), "{error}");
    assert_eq!(levels(&path).len() as u32, ordinal - 1);
    std::fs::remove_file(filler).unwrap();
    writer.commit(commit(&format!("item {ordinal}"), ordinal, 5)).await.unwrap();
    assert_eq!(levels(&path).len() as u32, ordinal);
}

#[tokio::test]
async fn events_past_their_time_go_and_levels_stay() {
    let (_folder, path) = file();
    let options = SqliteOptions { path: path.clone(), retention_days: Some(30) };
    let (mut writer, _) = Sqlite::new(options).open(Shard(0)).await.unwrap();
    for ordinal in 1..50 {
        writer.commit(commit("A", ordinal, 5)).await.unwrap();
    }
    // The last commit's own events may still be there: they go after the next one.
    let connection = Connection::open(&path).unwrap();
    let left: i64 =
        connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert!(left <= 1, "{left} events of 2023 are left");
    assert_eq!(levels(&path)["A"], "5");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn levels_are_the_folded_events_whatever_is_reopened(
        steps in prop::collection::vec((0u8..5, prop::option::of(-9i64..9), any::<bool>()), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_folder, path) = file();
        let mut model = BTreeMap::new();
        runtime.block_on(async {
            let mut open = writer(&path).await;
            for (ordinal, (item, on_hand, reopen)) in (1..).zip(&steps) {
                let mut records = Records::default();
                record(&mut records, &item.to_string(), ordinal, *on_hand);
                let part = Part::empty(SellerId::new("acme"), SourceName::new("main"));
                let commit = Commit { parts: vec![Part { records, ..part }] };
                open.commit(Arc::new(commit)).await.unwrap();
                match on_hand {
                    Some(on_hand) => model.insert(item.to_string(), on_hand.to_string()),
                    None => model.remove(&item.to_string()),
                };
                if *reopen {
                    drop(open);
                    open = reopened(&path).await;
                }
            }
        });
        prop_assert_eq!(levels(&path), model);
    }
}

/// The thread of the writer before lets go of the lock when it has ended.
async fn reopened(path: &Path) -> Box<dyn ShardWriter> {
    loop {
        match sink(path).open(Shard(0)).await {
            Ok((writer, _)) => return writer,
            Err(error) if matches!(error.fault(), Fault::Held { .. }) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
