use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::held::weight;
use super::mapper::{Mapped, Mapper};
use super::memory::has_owner;
use crate::state::RowsDelta;
use crate::stock::encode::Records;

/// Removals that wait for a later event of their key: a shop that deletes its rows and inserts
/// them again in another transaction never had its stock gone.
///
/// The time begins when the removal was read, not when the source committed it: behind a lag the
/// row that voids it follows in the log at once, however long ago both were committed.
#[derive(Debug, Default)]
pub(super) struct Grace {
    by_key: BTreeMap<Arc<str>, Waiting>,
    /// When the grace of each of them is over, the next one first.
    by_deadline: BTreeSet<(i64, Arc<str>)>,
    changed: BTreeSet<String>,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    removal: Records,
    grace_us: i64,
    /// When it is over, microseconds since 1970 UTC.
    deadline_us: i64,
}

/// In place of a deadline until somebody said what time it is.
const UNSAID: i64 = i64::MIN;

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    grace_us: i64,
    event: String,
}

/// Bytes of waiting removals past which later ones go out at once.
const LIMIT_BYTES: usize = 64 << 20;

impl Grace {
    /// The name under which waiting removals are stored beside the cached rows.
    pub(super) const TABLE: &'static str = "tailstock:grace";

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= LIMIT_BYTES
    }

    /// The removal of `key` waits for so long.
    pub(super) fn wait(&mut self, key: &str, grace_us: i64, removal: Records) {
        self.changed.insert(key.to_owned());
        self.put(key, grace_us, removal);
    }

    fn put(&mut self, key: &str, grace_us: i64, removal: Records) {
        self.take(key);
        self.bytes += weight(key, &removal);
        let key: Arc<str> = key.into();
        self.by_deadline.insert((UNSAID, Arc::clone(&key)));
        self.by_key.insert(key, Waiting { removal, grace_us, deadline_us: UNSAID });
    }

    fn take(&mut self, key: &str) -> Option<Waiting> {
        let (key, waiting) = self.by_key.remove_entry(key)?;
        self.bytes -= weight(&key, &waiting.removal);
        self.by_deadline.remove(&(waiting.deadline_us, key));
        Some(waiting)
    }

    /// Whether the removal of `key` waits.
    pub(super) fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// A later event of `key` makes its waiting removal void.
    pub(super) fn supersede(&mut self, key: &str) {
        if self.take(key).is_some() {
            self.changed.insert(key.to_owned());
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        self.by_deadline.first().map(|(deadline_us, _)| *deadline_us)
    }

    /// Those whose time is over go out, but for keys behind which rows stand again.
    fn due(&mut self, now_us: i64, stands: impl Fn(&str) -> bool, out: &mut Records) {
        while self.next_deadline().is_some_and(|deadline_us| deadline_us <= now_us) {
            let Some((deadline_us, key)) = self.by_deadline.pop_first() else { return };
            let Some(waiting) = self.by_key.get_mut(&key) else { continue };
            if deadline_us == UNSAID {
                waiting.deadline_us = now_us.saturating_add(waiting.grace_us);
                self.by_deadline.insert((waiting.deadline_us, key));
            } else {
                if !stands(&key) {
                    out.append(&waiting.removal);
                }
                self.supersede(&key);
            }
        }
    }

    /// Takes back a stored removal. Its time begins anew: what voids it may stand in the log that
    /// has grown since.
    pub(super) fn load(&mut self, key: &str, stored: &str) -> Result<(), String> {
        let damaged = |error: String| format!("a waiting removal is damaged: {error}");
        let Stored { grace_us, event } =
            serde_json::from_str(stored).map_err(|error| damaged(error.to_string()))?;
        let removal = Records::decode(key, &event).map_err(|error| damaged(error.to_string()))?;
        self.put(key, grace_us, removal);
        Ok(())
    }

    /// What changed since the last call, for the commit.
    pub(super) fn take_delta(&mut self) -> RowsDelta {
        let stored = |key: &String| {
            let waiting = self.by_key.get(key.as_str())?;
            let event = waiting.removal.values().next().expect("a waiting removal is one record");
            let event = event.to_owned();
            let stored = Stored { grace_us: waiting.grace_us, event };
            Some(serde_json::to_string(&stored).expect("numbers and text can be written"))
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

impl Mapper {
    /// When [`Self::due`] is to be called next, microseconds since 1970 UTC: at once when that has
    /// passed. `None` when no removal waits.
    pub fn next_deadline(&self) -> Option<i64> {
        self.held.grace.next_deadline()
    }

    /// The waiting removals whose grace is over by `now_us`, with the versions they had in the
    /// log. Not to be called inside a transaction.
    pub fn due(&mut self, now_us: i64) -> Mapped {
        let mut out = Mapped::default();
        // A mapping that is silent has said nothing of a row that came back.
        let stands = |key: &str| has_owner(&self.tables, key);
        self.held.grace.due(now_us, stands, &mut out.records);
        self.collect_rows(&mut out);
        out
    }
}
