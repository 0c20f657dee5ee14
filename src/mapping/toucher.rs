use std::collections::BTreeSet;

use super::block::{After, Block, Cause, Touch};
use super::derive::{Dependant, Derived, Measures, Said};
use super::memory::TableState;
use super::plan::MappingPlan;
use super::standing::Key;
use crate::state::KeyHash;

/// Moves one stock row from what was said of it to what is said of it now.
pub(super) struct Toucher<'a> {
    pub(super) mapping: &'a MappingPlan,
    pub(super) state: &'a mut TableState,
    pub(super) block: &'a mut Block,
    pub(super) dependant: &'a Dependant,
    pub(super) cause: Cause,
    pub(super) previous: &'a Measures,
    pub(super) room: usize,
    pub(super) crowded: &'a mut BTreeSet<usize>,
    pub(super) out: &'a mut Derived,
}

impl Toucher<'_> {
    pub(super) fn transition(&mut self, before: &Said, after: &Said) {
        let same = |one: Key, other: Key| {
            self.block.arena.get(one.record) == self.block.arena.get(other.record)
        };
        match (before.live, after.live) {
            (Some(old), Some(new)) if same(old, new) => self.live(new),
            (old, new) => {
                if let Some(old) = old {
                    let successor = new.or(after.successor);
                    let successor = successor.filter(|new| !same(old, *new)).map(|key| key.record);
                    let cascade = after.taken;
                    self.gone(old, After::Gone { successor, sku: before.sku, cascade });
                }
                if let Some(new) = new {
                    self.live(new);
                }
            }
        }
    }

    fn live(&mut self, key: Key) {
        let hash = KeyHash::of(self.block.arena.get(key.record).as_bytes());
        let owners = &mut self.state.owners[self.dependant.mapping];
        owners.add(hash, &self.dependant.id, &self.state.rows);
        self.touch(key, After::Live);
    }

    /// A row that did not speak for its key says nothing by leaving it, unless all of them do.
    fn gone(&mut self, key: Key, after: After) {
        let hash = KeyHash::of(self.block.arena.get(key.record).as_bytes());
        let owners = &mut self.state.owners[self.dependant.mapping];
        let id = &self.dependant.id;
        let spoke = owners.of(hash).is_none_or(|(owner, _)| owner == id.hash());
        owners.remove(hash, id);
        if spoke || !self.mapping.sums.is_empty() {
            self.touch(key, after);
        }
    }

    fn touch(&mut self, key: Key, after: After) {
        let (table, mapping) = (self.dependant.table, self.dependant.mapping);
        if !self.state.speaks[mapping] {
            return;
        }
        if self.block.len() >= self.room {
            self.crowded.insert(table);
            return;
        }
        let record = self.block.arena.get(key.record).to_owned();
        let previous = self.previous.get(&(table, mapping, record)).copied().flatten();
        let cause = self.cause;
        let touch = Touch { key, table, mapping, row: None, cause, after, previous, rows: 1 };
        self.out.folded += u64::from(self.block.touch(touch));
        self.out.touched = true;
    }
}
