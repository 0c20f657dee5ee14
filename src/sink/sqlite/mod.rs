//! The embedded sink: one SQLite file, written by one thread of one process.
//!
//! WAL with `synchronous = FULL`, one transaction a commit. A lock file beside the database is held
//! by the process that works, and a token in the database is checked inside every transaction, so
//! that neither a second process nor one that slept through a takeover can write.
//!
//! | file | owns |
//! |---|---|
//! | this one | the sink, and the way to its thread |
//! | `lock` | one process at a time |
//! | `open` | a file that is ours, its settings, and what its errors mean for people |
//! | `schema` | the tables |
//! | `tables` | what goes into them in one commit |
//! | `write` | the transaction: all or nothing, or not known |
//! | `levels` | what is published and lives |
//! | `retention` | events that have had their time |

mod levels;
mod lock;
mod open;
mod retention;
mod schema;
mod tables;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use connector_api::{Error, Result};
use rusqlite::OpenFlags;
use tokio::sync::{mpsc, oneshot};

use super::{
    Commit, CommitError, Committed, LevelKey, OpenError, Opened, RowEntry, Shard, ShardState,
    ShardWriter, Sink, Stored,
};
use crate::stock::{SellerId, SourceName};

/// Where the file is and how long its events are kept.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Days an event is kept after it was published; `None` for ever.
    pub retention_days: Option<u32>,
}

/// The embedded sink.
#[derive(Debug)]
pub struct Sqlite {
    options: SqliteOptions,
    lock: open::ProcessLock,
}

impl Sqlite {
    /// A sink that opens its file when its shard is taken.
    pub fn new(options: SqliteOptions) -> Self {
        Self { options, lock: open::ProcessLock::default() }
    }
}

#[async_trait]
impl Sink for Sqlite {
    async fn is_new(&self) -> Result<bool> {
        Ok(!self.options.path.exists())
    }

    /// The lock of the file tells.
    async fn holder(&self, _: Shard) -> Result<Option<String>> {
        Ok(None)
    }

    async fn open(&self, _: Shard) -> Result<Opened, OpenError> {
        let (options, lock) = (self.options.clone(), Arc::clone(&self.lock));
        let path = options.path.clone();
        let (ready, opened) = oneshot::channel();
        // One commit is under way and one may wait; the shard's writer sends no more.
        let (commands, inbox) = mpsc::channel(1);
        std::thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || match open::open(&options, lock) {
                Ok(database) => {
                    if ready.send(Ok(())).is_ok() {
                        write::run(database, inbox);
                    }
                }
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(|error| Error::transient("a thread cannot be started").because(error))?;
        opened.await.map_err(|_| Error::bug("the SQLite thread ended while opening"))??;
        let (writer, state) = (Box::new(Writer { commands }), Arc::new(Reader { path }));
        Ok(Opened { writer, state, store: None })
    }
}

/// A commit on its way to the thread, and where the answer goes.
type Command = (Arc<Commit>, oneshot::Sender<Result<(), CommitError>>);

struct Writer {
    commands: mpsc::Sender<Command>,
}

#[async_trait]
impl ShardWriter for Writer {
    async fn commit(&mut self, commit: Arc<Commit>) -> Result<Committed, CommitError> {
        let gone = || CommitError::Unknown(Error::bug("the SQLite file has to be opened again"));
        let (reply, answer) = oneshot::channel();
        self.commands.send((commit, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map(|()| Committed::Durable)
    }
}

/// Reads what is stored through a connection of its own, so that a large cache of one seller does
/// not hold up the commits of the others.
struct Reader {
    path: PathBuf,
}

#[async_trait]
impl ShardState for Reader {
    async fn load(&self, seller: &SellerId, source: &SourceName) -> Result<Stored> {
        let (seller, source) = (seller.clone(), source.clone());
        self.read(move |path| load(path, seller.as_str(), source.as_str())).await
    }

    async fn levels(&self, seller: &SellerId, source: &SourceName) -> Result<Vec<LevelKey>> {
        let (seller, source) = (seller.clone(), source.clone());
        self.read(move |path| levels::read(&reading(path)?, &seller, &source)).await
    }
}

impl Reader {
    /// Reads where it holds up nothing else.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        let work = move || {
            work(&path).map_err(|error| open::classify(&error, &path, "reading what is stored"))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|panic| crate::telemetry::panicked("reading what is stored", panic))?
    }
}

/// The stored checkpoints of sources, in their order, for commands beside the process that writes
/// the file. `None` when there is no file yet.
pub fn checkpoints(
    path: &Path,
    sources: &[(SellerId, SourceName)],
) -> Result<Option<Vec<Option<String>>>> {
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> rusqlite::Result<Vec<Option<String>>> {
        let connection = reading(path)?;
        let of = |(seller, source): &(SellerId, SourceName)| {
            stored_checkpoint(&connection, seller.as_str(), source.as_str())
        };
        sources.iter().map(of).collect()
    };
    read().map(Some).map_err(|error| open::classify(&error, path, "reading what is stored"))
}

fn reading(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    Ok(connection)
}

fn stored_checkpoint(
    connection: &rusqlite::Connection,
    seller: &str,
    source: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM checkpoints WHERE seller = ?1 AND source = ?2";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([seller, source])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

fn load(path: &Path, seller: &str, source: &str) -> rusqlite::Result<Stored> {
    let connection = reading(path)?;
    let transaction = connection.unchecked_transaction()?;
    let checkpoint = stored_checkpoint(&transaction, seller, source)?;
    let sql = "SELECT table_name, pk, value FROM rows WHERE seller = ?1 AND source = ?2";
    let mut statement = transaction.prepare(sql)?;
    let rows = statement.query_map([seller, source], |row| {
        Ok(RowEntry { table: row.get(0)?, pk: row.get(1)?, value: Some(row.get(2)?) })
    })?;
    Ok(Stored { checkpoint, rows: rows.collect::<rusqlite::Result<_>>()? })
}
