use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use connector_api::{Result, TableName};
use tracing::info;

use super::due::{TOO_GREAT, count, incomplete, is_untouched, meaning_of};
use super::reading::Reading;
use super::{SWEPT_AT_ONCE, Seller, record};
use crate::mapping::{DerivedKey, Mapped, Vanished};
use crate::sink::{ControlKind, LevelKey};
use crate::state::TableSnapshot;
use crate::stock::Version;
use crate::telemetry::now_us;

/// What follows when every row of a table has been read.
pub(super) enum After {
    /// The derived keys of these tables are published, from behind a key on.
    Publish { tables: Vec<TableName>, after: Option<DerivedKey> },
    /// Published keys that no row may stand behind are sought.
    Keys(Sweep),
}

/// Published keys that no row may stand behind.
pub(super) struct Sweep {
    /// Everything submitted up to here has to be durable before the sink is asked.
    behind: u64,
    /// Keys published since.
    pub(super) published: HashSet<u128>,
    /// What is left of the sink's answer.
    old: Option<VecDeque<LevelKey>>,
}

impl Seller {
    /// Every row has been read. What is remembered and was not seen goes, then what is derived from
    /// the rows is published, then what is published and has no row goes. After a restart all of
    /// it begins anew.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let snapshot = self.checkpoint.snapshot.as_ref().expect("a snapshot is under way");
        let (number, text) = (snapshot.number, snapshot.table.clone());
        let table = self.snapshots.order.iter().find(|table| table.to_string() == text).cloned();
        match (self.snapshots.after.take(), &table) {
            (None, Some(table)) => self.sweep_rows(table, number),
            (None, None) => self.sweep_keys_next(None),
            (Some(After::Publish { mut tables, after }), table) => match tables.last() {
                Some(next) => {
                    let (next, position) = (next.clone(), self.checkpoint.point.position.clone());
                    let at = self.synthetic(position.as_str(), now_us())?;
                    let (mapped, after) = self.mapper.publish_all(&next, after, SWEPT_AT_ONCE, &at);
                    if after.is_none() {
                        tables.pop();
                    }
                    self.snapshots.after = Some(After::Publish { tables, after });
                    self.swept(mapped, SWEPT_AT_ONCE)
                }
                None => self.sweep_keys_next(table.as_ref()),
            },
            (Some(After::Keys(sweep)), table) => self.sweep_keys(sweep, table.as_ref()),
        }
    }

    fn sweep_rows(&mut self, table: &TableName, number: u32) -> Result<()> {
        let position = self.checkpoint.point.position.clone();
        let at = self.synthetic(position.as_str(), now_us())?;
        self.mapper.begin_snapshot(table, number);
        if let Some(mapped) = self.mapper.sweep_rows(table, &at, SWEPT_AT_ONCE) {
            return self.swept(mapped, SWEPT_AT_ONCE);
        }
        self.mapper.end_snapshot();
        // Those of the table itself too, though they may have spoken before: a key that is said
        // nothing of is taken for one without a row.
        let mut tables = self.mapper.completed(table);
        tables.retain(|other| other != table);
        tables.push(table.clone());
        self.snapshots.after = Some(After::Publish { tables, after: None });
        self.sweep()
    }

    /// From here on it is noted which keys are published, and once all that was submitted before
    /// is durable the sink is asked for the others.
    fn sweep_keys_next(&mut self, table: Option<&TableName>) -> Result<()> {
        let snapshot = self.checkpoint.snapshot.as_ref().expect("a snapshot is under way");
        // Whatever makes its mappings silent from here on marks the table, and ends its snapshot.
        if is_untouched(&self.checkpoint, snapshot) || self.is_silent(&snapshot.table) {
            return self.complete(table);
        }
        self.snapshots.reading = None;
        let behind = self.ledger.last();
        let sweep = Sweep { behind, published: HashSet::new(), old: None };
        self.snapshots.after = Some(After::Keys(sweep));
        self.sweep()
    }

    fn sweep_keys(&mut self, mut sweep: Sweep, table: Option<&TableName>) -> Result<()> {
        let snapshot = self.checkpoint.snapshot.as_ref().expect("a snapshot is under way");
        let text = snapshot.table.clone();
        let Some(old) = &mut sweep.old else {
            if self.snapshots.reading.is_none() && self.ledger.is_durable(sweep.behind) {
                let config = &self.surroundings.config;
                let (seller, source) = (config.seller.clone(), config.source.name.clone());
                let state = Arc::clone(&self.surroundings.state);
                self.snapshots.reading = Some(Reading::of_levels(state, seller, source));
            }
            self.snapshots.after = Some(After::Keys(sweep));
            return match self.snapshots.reading.as_mut().and_then(Reading::try_next) {
                Some(found) => self.found(found),
                None => Ok(()),
            };
        };
        let piece: Vec<LevelKey> = old.drain(..old.len().min(SWEPT_AT_ONCE)).collect();
        if piece.is_empty() {
            return self.complete(table);
        }
        let position = self.checkpoint.point.position.clone();
        let at = self.synthetic(position.as_str(), now_us())?;
        let hash = |key: &str| xxhash_rust::xxh3::xxh3_128(key.as_bytes());
        let gone = piece.iter().filter(|old| !sweep.published.contains(&hash(&old.key)));
        let gone = gone.map(|old| Vanished { key: &old.key, sku: old.sku.as_deref() });
        let mapped = self.mapper.sweep_keys(&text, gone, &at);
        self.snapshots.after = Some(After::Keys(sweep));
        self.swept(mapped, piece.len())
    }

    fn swept(&mut self, mapped: Mapped, used: usize) -> Result<()> {
        self.use_up(used)?;
        let snapshot = self.checkpoint.snapshot.as_mut().expect("a snapshot is under way");
        count(snapshot, &mapped.records);
        self.submit_read(mapped)
    }

    /// Keeps of what is published the keys of the table that is being read which were last said
    /// before its snapshot began.
    pub(super) fn compare(&mut self, levels: Vec<LevelKey>) {
        self.snapshots.reading = None;
        let snapshot = self.checkpoint.snapshot.as_ref();
        let (Some(snapshot), Some(After::Keys(sweep))) = (snapshot, &mut self.snapshots.after)
        else {
            return;
        };
        let since: Option<Version> = snapshot.since.parse().ok();
        let is_old = |level: &LevelKey| {
            level.table == snapshot.table && since.is_some_and(|since| level.version < since)
        };
        sweep.old = Some(levels.into_iter().filter(is_old).collect());
        self.snapshots.failed.remove(&snapshot.table);
    }

    /// Whether the mappings of a table wait for others to be read, which look it up too.
    fn is_silent(&self, table: &str) -> bool {
        let plan = self.mapper.plan();
        let incomplete = incomplete(&self.checkpoint, plan, &self.surroundings.config);
        plan.looks_up(table, &incomplete)
    }

    /// The table can be relied on again, or only its rows: then it is read once more for its keys.
    fn complete(&mut self, table: Option<&TableName>) -> Result<()> {
        let snapshot = self.checkpoint.snapshot.take().expect("a snapshot is under way");
        let is_silent = self.is_silent(&snapshot.table);
        if !is_silent {
            self.checkpoint.dirty_tables.remove(&snapshot.table);
        }
        match table {
            Some(table) => {
                let plan = self.mapper.plan();
                let meaning = meaning_of(&self.surroundings.config, plan, table);
                self.checkpoint.complete.insert(table.to_string(), meaning);
            }
            None => drop(self.checkpoint.complete.remove(&snapshot.table)),
        }
        self.retable();
        let TableSnapshot { table, told, rows, keys, removed, sums, .. } = snapshot;
        if is_silent || (!told && removed == 0) {
            // Its levels cannot be trusted before it is read again. Or of a ledger, or a table that
            // no mapping speaks of: there was nothing to find.
            return self.submit(Mapped::default(), Vec::new());
        }
        info!(table, rows, levels = keys, removed, "a table has been read");
        let sums: BTreeMap<_, _> = sums.into_iter().filter(|(_, sum)| sum != TOO_GREAT).collect();
        let value = serde_json::json!({
            "table": table, "position": self.checkpoint.point.position.as_str(),
            "rows": rows, "levels": keys, "removed": removed, "sums": sums,
        });
        self.submit(Mapped::default(), vec![record(ControlKind::SnapshotCompleted, &value)])
    }
}
