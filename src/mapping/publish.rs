use std::collections::BinaryHeap;

use connector_api::TableName;

use super::block::{After, Cause, Touch};
use super::chunk::Synthetic;
use super::emit::Emitter;
use super::level::Level;
use super::lookup::{Joined, live};
use super::mapper::{Mapped, Mapper};
use super::row::Row;
use crate::state::KeyHash;
use crate::stock::Operation;

/// A key of a derived mapping of a table. They are published in the order of what stands for them:
/// how a key is written only its rows say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DerivedKey {
    key: KeyHash,
    mapping: usize,
}

/// Bytes of events past which a piece of them ends, though it be few.
const PIECE_BYTES: usize = 4 << 20;

impl Mapper {
    /// What is said of the keys of a table's derived mappings, from the key behind `after` on and
    /// `limit` of them at most. Also returns the last of them when there are more. Uses up as many
    /// synthetic versions as it publishes keys.
    pub fn publish_all(
        &mut self,
        table: &TableName,
        after: Option<DerivedKey>,
        limit: usize,
        at: &Synthetic<'_>,
    ) -> (Mapped, Option<DerivedKey>) {
        let mut out = Mapped::default();
        let Some(place) = self.plan.place_of(table) else { return (out, None) };
        self.link();
        self.synthesize(at);
        let (mut due, mut more) = self.due_keys(place, after, limit);
        for nth in 0..due.len() {
            if out.records.bytes() > PIECE_BYTES {
                due.truncate(nth);
                more = true;
                break;
            }
            self.publish(place, due[nth], nth, &mut out);
        }
        self.folding.clear();
        self.collect_rows(&mut out);
        (out, due.last().copied().filter(|_| more))
    }

    /// The keys that come next, and whether there are more.
    fn due_keys(
        &self,
        table: usize,
        after: Option<DerivedKey>,
        limit: usize,
    ) -> (Vec<DerivedKey>, bool) {
        let mappings = self.plan.tables[table].mappings.iter().enumerate();
        let derived = mappings.filter(|(_, mapping)| mapping.derived).map(|(place, _)| place);
        let state = &self.tables[table];
        let keys = derived
            .filter(|mapping| state.speaks[*mapping])
            .flat_map(|mapping| {
                let keys = state.owners[mapping].keys();
                keys.map(move |key| DerivedKey { key, mapping })
            })
            .filter(|key| after.is_none_or(|after| *key > after));
        // One more than is wanted says whether there are more.
        let mut next = BinaryHeap::with_capacity(limit + 1);
        for key in keys {
            if next.len() <= limit {
                next.push(key);
            } else if let Some(mut last) = next.peek_mut().filter(|last| key < **last) {
                *last = key;
            }
        }
        let mut due = next.into_sorted_vec();
        let more = due.len() > limit;
        due.truncate(limit);
        (due, more)
    }

    fn publish(&mut self, table: usize, due: DerivedKey, nth: usize, out: &mut Mapped) {
        let plan = &self.plan.tables[table];
        let (mapping, state) = (&plan.mappings[due.mapping], &self.tables[table]);
        let who = (&self.source.seller, &self.source.source);
        let owner = state.owners[due.mapping].of(due.key);
        let Some(row) = owner.and_then(|(row, _)| state.rows.behind(row)) else { return };
        let joined = Joined::of(Row::cached(row), mapping, &state.links[due.mapping], &self.tables);
        let Some(key) = live(mapping, &joined, who, &mut self.folding.arena) else { return };
        let ordinal = u32::try_from(nth).expect("keys are published in pieces");
        let touch = Touch {
            key,
            table,
            mapping: due.mapping,
            row: None,
            cause: Cause { ordinal, operation: Operation::Read },
            after: After::Live,
            previous: None,
            rows: 1,
        };
        let at = (table, due.mapping);
        let record = self.folding.arena.get(key.record);
        let level = Level::of(&self.plan, &self.tables, at, record.as_bytes());
        let Some(level) = level else { return };
        let emitter = Emitter {
            source: &self.source,
            transaction: &self.transaction,
            table: plan,
            mapping,
            arena: &self.folding.arena,
        };
        self.held.supersede(record);
        emitter.stated(&touch, level.stated(), &mut self.scratch, |event| {
            out.records.push(&self.encoder, event);
        });
    }
}
