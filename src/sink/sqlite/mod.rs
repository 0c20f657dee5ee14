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
//! | `stored` | checkpoints and cached rows, read back |
//! | `levels` | what is published and lives |
//! | `retention` | events that have had their time |

mod levels;
mod lock;
mod open;
mod retention;
mod schema;
mod stored;
mod tables;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use connector_api::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::{Commit, CommitError, Committed, OpenError, Opened, Shard, ShardWriter, Sink};
pub use lock::holder;
use stored::Reader;
pub use stored::checkpoints;

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
