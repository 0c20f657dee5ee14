use std::collections::HashMap;

use rusqlite::{CachedStatement, Transaction, params};

use crate::sink::{Commit, Part};
use crate::stock::encode::{Entry, RecordKind, Records, timestamp};

/// What a commit has written so far.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Events.
    pub(super) events: usize,
    /// The sequence number of the last of them.
    pub(super) last_seq: i64,
    /// States that were not newer than the level they came for.
    pub(super) stale: usize,
}

/// Writes everything of a commit but its end.
pub(super) fn write(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<Written> {
    let mut to = Statements::prepare(transaction)?;
    let mut written = Written::default();
    let mut states = Vec::new();
    let mut checkpoints = HashMap::new();
    for part in &commit.parts {
        let source = (part.seller.as_str(), part.source.as_str());
        for entry in part.records.iter() {
            written.last_seq = to.event(transaction, source, &part.records, entry)?;
            written.events += 1;
            if entry.kind != RecordKind::Movement {
                states.push(State { part, entry, seq: written.last_seq });
            }
        }
        to.remarks(part)?;
        to.rows(part)?;
        if let Some(checkpoint) = &part.checkpoint {
            checkpoints.insert(source, checkpoint);
        }
    }
    // The newest state of each key is its level. Neighbouring keys share pages, so in key order.
    states.sort_by(|a, b| (a.key(), a.entry.version).cmp(&(b.key(), b.entry.version)));
    let mut states = states.iter().peekable();
    while let Some(state) = states.next() {
        if states.peek().is_none_or(|next| next.key() != state.key()) && !to.level(state)? {
            written.stale += 1;
        }
    }
    for ((seller, source), checkpoint) in checkpoints {
        to.checkpoint.execute(params![seller, source, checkpoint])?;
    }
    commit.parts.iter().try_for_each(|part| forget(transaction, part))?;
    Ok(written)
}

/// Takes out what is not to be known any more.
fn forget(transaction: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    for key in &part.forgets.levels {
        transaction.prepare_cached("DELETE FROM levels WHERE key = ?1")?.execute([key])?;
    }
    Ok(())
}

/// What an event says of its key.
struct State<'c> {
    part: &'c Part,
    entry: &'c Entry,
    seq: i64,
}

impl State<'_> {
    fn key(&self) -> &str {
        self.part.records.key(self.entry)
    }
}

/// One statement a table and purpose, looked up once a commit.
struct Statements<'t> {
    event: CachedStatement<'t>,
    level: CachedStatement<'t>,
    no_level: CachedStatement<'t>,
    control: CachedStatement<'t>,
    dead_letter: CachedStatement<'t>,
    row: CachedStatement<'t>,
    no_row: CachedStatement<'t>,
    checkpoint: CachedStatement<'t>,
}

impl<'t> Statements<'t> {
    fn prepare(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        let prepare = |sql| transaction.prepare_cached(sql);
        Ok(Self {
            event: prepare(
                "INSERT INTO events (id, seller, source, key, kind, version, committed_at, value)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            level: prepare(
                "INSERT INTO levels
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT DO UPDATE SET sku = ?5, on_hand = ?8, available = ?9, reserved = ?10,
                     incoming = ?11, version = ?12, committed_at = ?13, event_seq = ?14,
                     table_name = ?15
                 WHERE ?12 > version",
            )?,
            no_level: prepare("DELETE FROM levels WHERE key = ?1 AND version < ?2")?,
            control: prepare(
                "INSERT INTO control (seller, source, kind, at, value) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            dead_letter: prepare(
                "INSERT INTO dlq (seller, source, table_name, position, reason, at, value)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            row: prepare(
                "INSERT INTO rows VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET value = ?5",
            )?,
            no_row: prepare(
                "DELETE FROM rows
                 WHERE seller = ?1 AND source = ?2 AND table_name = ?3 AND pk = ?4",
            )?,
            checkpoint: prepare(
                "INSERT INTO checkpoints VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = ?3",
            )?,
        })
    }

    /// Adds an event and returns its sequence number.
    fn event(
        &mut self,
        transaction: &Transaction<'_>,
        (seller, source): (&str, &str),
        records: &Records,
        entry: &Entry,
    ) -> rusqlite::Result<i64> {
        let (id, version) = (records.id(entry), records.version(entry));
        let (key, kind) = (records.key(entry), entry.kind.as_str());
        let value = records.value(entry);
        let at = records.committed_at(entry);
        self.event.execute(params![id, seller, source, key, kind, version, at, value])?;
        Ok(transaction.last_insert_rowid())
    }

    /// Makes a state the level of its key. Returns false where the level is as new already.
    fn level(&mut self, state: &State<'_>) -> rusqlite::Result<bool> {
        let State { part, entry, seq } = state;
        let (records, key) = (&part.records, state.key());
        let version = records.version(entry);
        if entry.kind == RecordKind::Removed {
            self.no_level.execute([key, version])?;
            return Ok(true);
        }
        let (seller, source) = (part.seller.as_str(), part.source.as_str());
        let [item, sku, location, bucket, on_hand, available, reserved, incoming] =
            records.columns(entry);
        let at = records.committed_at(entry);
        let table = records.table(entry).unwrap_or_default();
        let written = self.level.execute(params![
            key, seller, source, item, sku, location, bucket, on_hand, available, reserved,
            incoming, version, at, seq, table,
        ])?;
        Ok(written == 1)
    }

    /// Control records and dead letters.
    fn remarks(&mut self, part: &Part) -> rusqlite::Result<()> {
        let (seller, source) = (part.seller.as_str(), part.source.as_str());
        for record in &part.control {
            let (kind, at) = (record.kind.as_str(), timestamp(record.at_us));
            self.control.execute(params![seller, source, kind, at, record.value])?;
        }
        for letter in &part.dead_letters {
            let (table, position, reason) = (&letter.table, &letter.position, &letter.reason);
            let at = timestamp(letter.at_us);
            let values = params![seller, source, table, position, reason, at, letter.value];
            self.dead_letter.execute(values)?;
        }
        Ok(())
    }

    fn rows(&mut self, part: &Part) -> rusqlite::Result<()> {
        let (seller, source) = (part.seller.as_str(), part.source.as_str());
        for row in &part.rows {
            match &row.value {
                Some(value) => {
                    self.row.execute(params![seller, source, row.table, row.pk, value])?;
                }
                None => {
                    self.no_row.execute(params![seller, source, row.table, row.pk])?;
                }
            }
        }
        Ok(())
    }
}
