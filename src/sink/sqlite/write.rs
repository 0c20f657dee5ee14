use std::collections::HashMap;

use connector_api::Error;
use rusqlite::{ErrorCode, Transaction, params};
use tokio::sync::mpsc;

use super::Command;
use super::open::{Database, classify};
use crate::sink::{Commit, CommitError, Part};
use crate::stock::encode::{Entry, RecordKind, Records, timestamp};

/// Events deleted by age in one go, so that tidying up never holds up a commit for long.
const RETIRED_AT_ONCE: u32 = 1000;

/// Commits until the other end is dropped.
pub(super) fn run(mut database: Database, mut inbox: mpsc::Receiver<Command>) {
    while let Some((commit, reply)) = inbox.blocking_recv() {
        let outcome = database.commit(&commit);
        let committed = outcome.is_ok();
        // Whoever does not wait for the answer reads what is stored.
        let _ = reply.send(outcome);
        if committed && inbox.is_empty() {
            database.retire();
        }
    }
}

impl Database {
    fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let path = self.options.path.clone();
        let before = |error: rusqlite::Error| {
            CommitError::NotCommitted(classify(&error, &path, "writing to it"))
        };
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(before)?;
        let owner: String = transaction
            .prepare_cached("SELECT token FROM owner")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(before)?;
        if owner != self.token {
            let what = format!("{} has been taken over by another process", path.display());
            return Err(CommitError::Fenced(Error::held(what, "another process")));
        }
        for part in &commit.parts {
            write_part(&transaction, part).map_err(before)?;
        }
        transaction.commit().map_err(|error| match error.sqlite_error_code() {
            // A busy or full COMMIT has written no commit record; after anything else one may be
            // in the log already (sqlite.org/lang_transaction.html, "Response to errors").
            Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull) => before(error),
            _ => CommitError::Unknown(classify(&error, &path, "committing")),
        })
    }

    /// Deletes some events past their time. Best effort: what stays is tried after a later commit.
    fn retire(&self) {
        let Some(days) = self.options.retention_days else { return };
        let sql = "DELETE FROM events WHERE seq IN (
                SELECT seq FROM events
                WHERE seq <= (SELECT min(seq) FROM events) + ?2
                AND committed_at < strftime('%Y-%m-%dT%H:%M:%f', 'now', ?1))";
        let age = format!("-{days} days");
        if let Err(error) = self.connection.execute(sql, params![age, RETIRED_AT_ONCE]) {
            tracing::warn!(%error, "events past their time could not be deleted");
        }
    }
}

fn write_part(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    let (seller, source) = (part.seller.as_str(), part.source.as_str());
    write_events(transaction, part)?;
    let mut control = transaction.prepare_cached(
        "INSERT INTO control (seller, source, kind, at, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for record in &part.control {
        let at = timestamp(record.at_us);
        control.execute(params![seller, source, record.kind.as_str(), at, record.value])?;
    }
    let mut dead_letters = transaction.prepare_cached(
        "INSERT INTO dlq (seller, source, table_name, position, reason, at, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for letter in &part.dead_letters {
        let at = timestamp(letter.at_us);
        let (table, position, reason) = (&letter.table, &letter.position, &letter.reason);
        dead_letters.execute(params![seller, source, table, position, reason, at, letter.value])?;
    }
    let mut keep = transaction.prepare_cached(
        "INSERT INTO rows VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET value = ?5",
    )?;
    let mut forget = transaction.prepare_cached(
        "DELETE FROM rows WHERE seller = ?1 AND source = ?2 AND table_name = ?3 AND pk = ?4",
    )?;
    for row in &part.rows {
        match &row.value {
            Some(value) => keep.execute(params![seller, source, row.table, row.pk, value])?,
            None => forget.execute(params![seller, source, row.table, row.pk])?,
        };
    }
    if let Some(checkpoint) = &part.checkpoint {
        let sql = "INSERT INTO checkpoints VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET value = ?3";
        transaction.prepare_cached(sql)?.execute(params![seller, source, checkpoint])?;
    }
    Ok(())
}

fn write_events(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    let (seller, source, records) = (part.seller.as_str(), part.source.as_str(), &part.records);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO events (id, seller, source, key, kind, version, committed_at, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    // One levels write a key and commit: the last event of each key, by its sequence number.
    let mut last: HashMap<&str, (&Entry, i64)> = HashMap::with_capacity(records.len());
    let mut id = String::with_capacity(32);
    for entry in records.iter() {
        use std::fmt::Write as _;
        id.clear();
        write!(id, "{:032x}", entry.id).expect("a string takes everything");
        let key = records.key(entry);
        let version = entry.version.to_text();
        let version = std::str::from_utf8(&version).expect("versions are hex digits");
        let value = std::str::from_utf8(records.value(entry)).expect("events are JSON text");
        let at = entry.committed_at_us.map(timestamp);
        let kind = entry.kind.as_str();
        insert.execute(params![id, seller, source, key, kind, version, at, value])?;
        if entry.kind != RecordKind::Movement {
            last.insert(key, (entry, transaction.last_insert_rowid()));
        }
    }
    write_levels(transaction, (seller, source), records, last)
}

fn write_levels(
    transaction: &Transaction<'_>,
    (seller, source): (&str, &str),
    records: &Records,
    last: HashMap<&str, (&Entry, i64)>,
) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO levels VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT DO UPDATE SET sku = ?5, on_hand = ?8, available = ?9, reserved = ?10,
             incoming = ?11, version = ?12, committed_at = ?13, event_seq = ?14
         WHERE ?12 > version",
    )?;
    let mut delete =
        transaction.prepare_cached("DELETE FROM levels WHERE key = ?1 AND version < ?2")?;
    for (key, (entry, seq)) in last {
        let version = entry.version.to_text();
        let version = std::str::from_utf8(&version).expect("versions are hex digits");
        if entry.kind == RecordKind::Removed {
            delete.execute(params![key, version])?;
            continue;
        }
        let [item, sku, location, bucket, on_hand, available, reserved, incoming] =
            records.columns(entry);
        let at = entry.committed_at_us.map(timestamp);
        let written = upsert.execute(params![
            key, seller, source, item, sku, location, bucket, on_hand, available, reserved,
            incoming, version, at, seq,
        ])?;
        assert!(written == 1, "the versions of a key must rise: {version} is not the greatest");
    }
    Ok(())
}
