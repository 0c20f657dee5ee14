use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connector_api::{Error, Result};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::SqliteOptions;
use super::lock::Lock;
use super::retention::Retention;
use super::schema::{APPLICATION_ID, FORMAT, TABLES, UPGRADES};

/// How long a foreign writer may hold the file before a commit is given up and tried again.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The file, open and ours.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) options: SqliteOptions,
    /// Written into the file when it was opened. Whoever opens it later writes another.
    pub(super) token: String,
    pub(super) retention: Retention,
    /// When the log is folded back, as far as it was said.
    pub(super) fold: Option<Fold>,
    _lock: ProcessLock,
}

/// How much log the commit that fills it folds back into the file, pages of 8 KiB: docs/decisions/
/// 0006-sqlite-sink.md has what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Fold {
    /// Little, so that no small commit waits long.
    Soon = 250,
    /// Much, so that pages which large commits write again and again are folded once.
    Late = 4000,
}

impl Fold {
    /// What suits a commit of so many events.
    pub(super) fn after(events: usize) -> Self {
        if events < 256 { Fold::Soon } else { Fold::Late }
    }
}

/// The lock that this process holds from the first opening on. A second opening takes over from
/// the writer of the first by its token.
pub(super) type ProcessLock = Arc<Mutex<Option<Lock>>>;

/// Opens the file, or makes it, and takes it over from whoever had it before.
pub(super) fn open(options: &SqliteOptions, lock: ProcessLock) -> Result<Database> {
    let path = &options.path;
    {
        let mut held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(Lock::take(path)?);
        }
    }
    let explain = |error: rusqlite::Error| classify(&error, path, "opening it");
    let mut connection = Connection::open(path).map_err(explain)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    check_format(&mut connection, path)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(explain)?;
    if mode != "wal" {
        return Err(Error::operator(
            format!("{} cannot use a write-ahead log (journal mode {mode})", path.display()),
            "put it on a local file system, not on a network share",
        ));
    }
    // 16 MiB of page cache hold the upper pages of both tables and the events of a large commit. A
    // log that a long reader has made grow is cut back to 64 MiB.
    let settings = "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
        PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(settings).map_err(explain)?;
    let token = token(&connection).map_err(explain)?;
    let transaction = connection.transaction().map_err(explain)?;
    let sql = "INSERT INTO owner VALUES (1, ?1) ON CONFLICT DO UPDATE SET token = ?1";
    transaction.execute(sql, [&token]).map_err(explain)?;
    transaction.commit().map_err(explain)?;
    let (options, retention) = (options.clone(), Retention::new(options.retention_days));
    Ok(Database { connection, options, token, retention, fold: None, _lock: lock })
}

/// Makes the tables in a new file, or brings those of an earlier version up to date; refuses a file
/// of another program or of a later version.
fn check_format(connection: &mut Connection, path: &Path) -> Result<()> {
    let explain = |error: rusqlite::Error| classify(&error, path, "reading its header");
    let number = |pragma: &str| {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i32>(0))
    };
    let application = number("application_id").map_err(explain)?;
    let format = number("user_version").map_err(explain)?;
    let objects: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(explain)?;
    if application == 0 && objects == 0 {
        let create = format!(
            "PRAGMA page_size = 8192; BEGIN IMMEDIATE; {TABLES}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
        );
        return connection.execute_batch(&create).map_err(explain);
    }
    if application != APPLICATION_ID {
        return Err(Error::operator(
            format!("{} is a database of another program", path.display()),
            "set sink.path to a file of its own",
        ));
    }
    let known = usize::try_from(format).ok().filter(|format| (1..=UPGRADES.len()).contains(format));
    match known {
        Some(format) => upgrade(connection, format).map_err(|error| {
            classify(&error, path, "bringing its tables to the layout of this version")
        }),
        None if format == FORMAT => Ok(()),
        None => Err(foreign(path, format)),
    }
}

fn foreign(path: &Path, format: i32) -> Error {
    let age = if format > FORMAT { "a later" } else { "an earlier" };
    Error::operator(
        format!(
            "{} was written by {age} version (format {format}, this one knows {FORMAT})",
            path.display()
        ),
        "run the version that wrote it, or set sink.path to another file to begin anew",
    )
}

/// From the layout of this format to the present one, in one step.
fn upgrade(connection: &mut Connection, format: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for layout in &UPGRADES[format - 1..] {
        transaction.execute_batch(layout)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    tracing::info!(from = format, to = FORMAT, "the tables have the layout of this version now");
    Ok(())
}

/// A token no earlier owner can have: SQLite's own random bytes.
fn token(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))
}

/// What SQLite's complaint means for the person who runs the process.
pub(super) fn classify(error: &rusqlite::Error, path: &Path, doing: &str) -> Error {
    let what = format!("{}: {doing}: {error}", path.display());
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::operator(
            what,
            "restore the file from a backup, or move it away to begin a new one, in either case \
             without its -wal and -shm files: what the backup does not hold is read from the \
             log again, or reported as a gap",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::operator(what, "make the file and its folder writable for tailstock's user")
        }
        Some(ErrorCode::DiskFull) => Error::transient(format!("{what} (free some disk space)")),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::transient(format!("{what} (another program is writing to it)"))
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => Error::transient(what),
        _ => Error::bug(what),
    }
}
