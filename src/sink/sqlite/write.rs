use connector_api::Error;
use rusqlite::{ErrorCode, TransactionBehavior};
use tokio::sync::mpsc;

use super::Command;
use super::open::{Database, Fold, classify};
use super::tables::{self, Written};
use crate::sink::{Commit, CommitError};

/// Commits until the other end is dropped, or until it is not known what is stored or whose it is.
pub(super) fn run(mut database: Database, mut inbox: mpsc::Receiver<Command>) {
    while let Some((commit, reply)) = inbox.blocking_recv() {
        let outcome = database.commit(&commit);
        let committed = outcome.is_ok();
        let over = matches!(outcome, Err(CommitError::Unknown(_) | CommitError::Fenced(_)));
        if over {
            // Closed before the answer, so that whoever opens the file next finds it free.
            drop(database);
            let _ = reply.send(outcome);
            return;
        }
        // Whoever does not wait for the answer reads what is stored.
        let _ = reply.send(outcome);
        if committed {
            database.tidy_up();
        }
    }
}

impl Database {
    /// One transaction for all of it.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let outcome = self.try_commit(commit);
        let what = match outcome {
            Ok(()) => return Ok(()),
            Err(CommitError::NotCommitted(error)) if !self.connection.is_autocommit() => error,
            Err(error) => return Err(error),
        };
        // Neither committed nor rolled back: only a new connection gets rid of it.
        Err(CommitError::Unknown(what))
    }

    fn try_commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let path = &self.options.path;
        let before = |error: rusqlite::Error| {
            CommitError::NotCommitted(classify(&error, path, "writing to it"))
        };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(before)?;
        let owner: String = transaction
            .prepare_cached("SELECT token FROM owner")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(before)?;
        if owner != self.token {
            let what = format!("{} has been taken over by another process", path.display());
            return Err(CommitError::Fenced(Error::held(what, "another process")));
        }
        let written = tables::write(&transaction, commit).map_err(before)?;
        let mark = match written.events {
            0 => None,
            _ => self.retention.mark(&transaction, written.last_seq).map_err(before)?,
        };
        transaction.commit().map_err(|error| match error.sqlite_error_code() {
            // A busy or full COMMIT is as if it had not been tried: what it wrote of the log is
            // written over. After anything else the end of the transaction may be on disk.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull) => before(error),
            _ => CommitError::Unknown(classify(&error, path, "committing")),
        })?;
        self.retention.committed(written.events, mark);
        report(&written);
        self.fold(Fold::after(written.events));
        Ok(())
    }

    /// Says from where on the next commits fold the log back. That it cannot be said is no reason
    /// to fail a commit that has succeeded.
    fn fold(&mut self, fold: Fold) {
        if self.fold != Some(fold) {
            let said = self.connection.pragma_update(None, "wal_autocheckpoint", fold as u16);
            self.fold = said.is_ok().then_some(fold);
        }
    }

    /// What can wait until after a commit. Best effort: it is tried again after a later one.
    fn tidy_up(&mut self) {
        if let Err(error) = self.retention.retire(&self.connection) {
            tracing::warn!(%error, "events past their time could not be deleted");
        }
    }
}

/// Consumers drop what is not newer than what they have, and so do the levels; but it is a mistake
/// of ours, and it must not stop the sellers who have no part in it.
fn report(written: &Written) {
    if written.stale > 0 {
        tracing::error!(events = written.stale, "a bug: versions of a key did not rise");
    }
}
