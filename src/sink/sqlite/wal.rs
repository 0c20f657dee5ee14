use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use connector_api::{Error, Result};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::open::classify;

/// Pages in the write-ahead log from which on they are folded back into the file, beside the
/// commits (8 MiB).
const FOLD_PAGES: i32 = 1000;
/// Pages from which on a commit does it itself, because the thread beside does not keep up
/// (128 MiB).
const FOLD_AT_ONCE_PAGES: i32 = 16_000;

/// Has the write-ahead log of `connection` folded back by a thread of its own: 8 MiB of pages take
/// longer to write and sync than a commit may take. The thread ends with the connection.
pub(super) fn fold_aside(connection: &mut Connection, path: &Path) -> Result<()> {
    let failed = |error| classify(&error, path, "opening it once more");
    let aside = Connection::open(path).map_err(failed)?;
    let (ask, asked) = sync_channel(1);
    let nearly_done = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&nearly_done);
    std::thread::Builder::new()
        .name("sqlite-wal".to_owned())
        .spawn(move || fold(&aside, &asked, &told))
        .map_err(|error| Error::transient("a thread cannot be started").because(error))?;
    let committed = move |wal: &mut Wal, pages| {
        committed(wal, pages, &ask, &nearly_done);
        // The commit is done whatever becomes of its log: an error here would be reported as its own.
        Ok(())
    };
    connection.wal_hook(Some(committed)).map_err(failed)
}

/// Called after each commit. What came while the thread beside was at work is folded here, between
/// two commits, so that the next one finds nothing left and begins the log anew.
fn committed(wal: &mut Wal, pages: i32, ask: &SyncSender<()>, nearly_done: &AtomicBool) {
    if pages >= FOLD_AT_ONCE_PAGES || nearly_done.swap(false, Ordering::Relaxed) {
        // The thread beside may be at it this moment; what stays is folded after a later commit.
        let _ = wal.checkpoint();
    } else if pages >= FOLD_PAGES {
        // One that is asked already need not be asked again.
        let _ = ask.try_send(());
    }
}

/// Folds as often as it is asked, without ever waiting for a reader or a commit. The second pass
/// has only what came during the first.
fn fold(aside: &Connection, asked: &Receiver<()>, nearly_done: &AtomicBool) {
    while asked.recv().is_ok() {
        let passes = "PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(PASSIVE);";
        match aside.execute_batch(passes) {
            Ok(()) => nearly_done.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log was not folded back; tried again");
            }
        }
    }
}
