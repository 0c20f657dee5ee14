//! What the person who runs the process is told, and what is stored, when the file cannot be used.

use std::process::Command;

use super::*;

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
    let error = refused_once_free(&newer).await;
    assert!(is_operator(&error) && error.to_string().contains("later version"), "{error}");

    let older = folder.path().join("older.db");
    drop(writer(&older).await);
    Connection::open(&older).unwrap().execute_batch("PRAGMA user_version = 0").unwrap();
    let error = refused_once_free(&older).await;
    assert!(is_operator(&error) && error.to_string().contains("earlier version"), "{error}");

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
        Err(OpenError::Failed(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(Opened { mut writer, .. }) => match writer.commit(commit("A", 1, 5)).await {
            Err(CommitError::NotCommitted(error) | CommitError::Unknown(error)) => error,
            other => panic!("{other:?}"),
        },
    };
    assert!(is_operator(&error), "{error}");
}

/// A file system of one mebibyte, unmounted when dropped; `None` where this process may not mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, test: &str) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let mounted = run("mount", &options, folder);
        if !mounted {
            testbed::skip_unmounted(test);
        }
        mounted.then(|| Self(folder.to_owned()))
    }

    fn make_read_only(&self) {
        assert!(run("mount", &["-o", "remount,ro"], &self.0), "files are open for writing");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The thread of a writer may not have closed its files yet.
        run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, options: &[&str], folder: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(options).arg(folder).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_goes_on_when_there_is_room() {
    let test = "a_full_disk_stores_nothing_and_goes_on_when_there_is_room";
    let (folder, path) = file();
    let Some(_disk) = SmallDisk::mount(folder.path(), test) else { return };
    let mut writer = writer(&path).await;
    let filler = folder.path().join("filler");
    std::fs::write(&filler, vec![0; 300 << 10]).unwrap();
    let mut ordinal = 0;
    let error = loop {
        ordinal += 1;
        match writer.commit(commit(&format!("item {ordinal}"), ordinal, 5)).await {
            Ok(_) => {}
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
async fn a_file_that_may_not_be_written_needs_a_person() {
    let test = "a_file_that_may_not_be_written_needs_a_person";
    let (folder, path) = file();
    let Some(disk) = SmallDisk::mount(folder.path(), test) else { return };
    database(&path, None).commit(&commit("A", 1, 5)).unwrap();
    disk.make_read_only();
    let error = refused(&path).await;
    assert!(is_operator(&error), "{error}");
}

#[tokio::test]
async fn a_new_file_without_room_for_its_tables_is_tried_again() {
    let test = "a_new_file_without_room_for_its_tables_is_tried_again";
    let (folder, path) = file();
    let Some(_disk) = SmallDisk::mount(folder.path(), test) else { return };
    let filler = folder.path().join("filler");
    std::fs::write(&filler, vec![0; 1000 << 10]).unwrap();
    let error = refused(&path).await;
    assert_eq!(*error.fault(), Fault::Transient, "{error}");
    std::fs::remove_file(filler).unwrap();
    let mut writer = writer(&path).await;
    writer.commit(commit("A", 1, 5)).await.unwrap();
}

#[test]
fn a_reader_in_the_middle_of_its_work_holds_up_no_commit() {
    let (_folder, path) = file();
    let mut database = database(&path, None);
    database.commit(&commit("A", 1, 5)).unwrap();
    let reader = Connection::open(&path).unwrap();
    let read = || reader.query_row("SELECT on_hand FROM levels", [], |row| row.get(0)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let before: String = read();
    let mut ordinal = 1;
    // Until the log is full and cannot be folded back because of the reader.
    while log_bytes(&path) < 40 << 20 {
        let said = |at: u32| ("A".to_owned(), ordinal + at, Some(i64::from(ordinal + at)));
        let parts = vec![part("acme", (1..=100).map(said))];
        database.commit(&Commit { parts }).unwrap();
        ordinal += 100;
    }
    let after: String = read();
    assert_eq!((before.as_str(), after.as_str()), ("5", "5"), "one transaction sees one state");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(levels(&path)["A"], ordinal.to_string());
}

fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(path.with_file_name("stock.db-wal")).unwrap().len()
}
