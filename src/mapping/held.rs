use std::collections::{BTreeMap, BTreeSet};

use super::grace::Grace;
use super::memory::{TableState, has_owner};
use crate::state::RowsDelta;
use crate::stock::encode::Records;

/// Removals inside a transaction of several blocks wait for its commit: a shop that deletes and
/// re-inserts its stock in one large transaction never had it gone.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_key: BTreeMap<String, Records>,
    changed: BTreeSet<String>,
    bytes: usize,
    /// Those that wait longer.
    pub(super) grace: Grace,
}

/// Bytes of held removals past which they go out at once.
const LIMIT_BYTES: usize = 64 << 20;

/// Memory that a waiting removal takes, bytes: alike for one that was made and one that was stored.
pub(super) fn weight(key: &str, removal: &Records) -> usize {
    /// The texts that stand beside the event, and where each of them is.
    const BESIDE: usize = 512;
    BESIDE + 2 * key.len() + removal.values().map(str::len).sum::<usize>()
}

impl Held {
    /// The name under which held removals are stored beside the cached rows.
    pub(super) const TABLE: &'static str = "tailstock:held";

    /// Whether nothing more is held of what waits for so long after its commit, microseconds.
    pub(super) fn is_full(&self, grace_us: i64) -> bool {
        if grace_us > 0 { self.grace.is_full() } else { self.bytes >= LIMIT_BYTES }
    }

    /// The removal of `key` waits.
    pub(super) fn hold(&mut self, key: &str, grace_us: i64, removal: Records) {
        if grace_us > 0 {
            return self.grace.wait(key, grace_us, removal);
        }
        self.put(key, removal);
        self.changed.insert(key.to_owned());
    }

    fn put(&mut self, key: &str, removal: Records) {
        self.bytes += weight(key, &removal);
        let before = self.by_key.insert(key.to_owned(), removal);
        self.bytes -= before.map_or(0, |before| weight(key, &before));
    }

    /// A later event of `key` makes its held removal void.
    pub(super) fn supersede(&mut self, key: &str) {
        self.grace.supersede(key);
        if self.by_key.is_empty() {
            return;
        }
        if let Some(records) = self.by_key.remove(key) {
            self.bytes -= weight(key, &records);
            self.changed.insert(key.to_owned());
        }
    }

    /// The transaction is complete: what was held is true, but of keys behind which rows stand
    /// again of which a mapping that is silent has said nothing.
    pub(super) fn release(&mut self, tables: &[TableState], out: &mut Records) {
        if self.by_key.is_empty() {
            return;
        }
        for (key, records) in std::mem::take(&mut self.by_key) {
            if !has_owner(tables, &key) {
                out.append(&records);
            }
            self.changed.insert(key);
        }
        self.bytes = 0;
    }

    /// Takes back a stored removal.
    pub(super) fn load(&mut self, key: &str, stored: &str) -> Result<(), String> {
        let records = Records::decode(key, stored)
            .map_err(|error| format!("a held removal is damaged: {error}"))?;
        self.put(key, records);
        Ok(())
    }

    /// What changed since the last call, for the commit.
    pub(super) fn take_delta(&mut self) -> RowsDelta {
        let stored = |key: &String| {
            let records = self.by_key.get(key)?;
            let value = records.values().next().expect("a held removal is one record");
            Some(value.to_owned())
        };
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|key| {
                let value = stored(&key);
                (key, value)
            })
            .collect()
    }
}
