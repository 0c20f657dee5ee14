use connector_api::TableName;

use super::block::{After, Cause, Touch};
use super::chunk::Synthetic;
use super::derive::live;
use super::emit::Emitter;
use super::level::Level;
use super::lookup::Joined;
use super::mapper::{Mapped, Mapper};
use super::row::Row;
use crate::stock::Operation;

/// A key of a derived mapping.
struct Due {
    record: Box<str>,
    mapping: usize,
}

impl Mapper {
    /// What is said of the keys of a table's derived mappings, from the key behind `after` on and
    /// `limit` of them at most, in the order of the keys. Also returns the last of them when there
    /// are more. Uses up as many synthetic versions as it publishes keys.
    pub fn publish_all(
        &mut self,
        table: &TableName,
        after: Option<&str>,
        limit: usize,
        at: &Synthetic<'_>,
    ) -> (Mapped, Option<String>) {
        let mut out = Mapped::default();
        let Some(place) = self.plan.place_of(table) else { return (out, None) };
        self.link();
        self.synthesize(at);
        let (due, more) = self.due_keys(place, after, limit);
        for (nth, due) in due.iter().enumerate() {
            self.publish(place, due, nth, &mut out);
        }
        self.folding.clear();
        self.collect_rows(&mut out);
        let last = due.last().filter(|_| more).map(|due| due.record.to_string());
        (out, last)
    }

    /// The keys that come next, and whether there are more.
    fn due_keys(&self, table: usize, after: Option<&str>, limit: usize) -> (Vec<Due>, bool) {
        let mappings = self.plan.tables[table].mappings.iter().enumerate();
        let derived = mappings.filter(|(_, mapping)| mapping.derived).map(|(place, _)| place);
        let state = &self.tables[table];
        let mut keys: Vec<(&[u8], usize)> = derived
            .filter(|mapping| state.speaks[*mapping])
            .flat_map(|mapping| state.owners[mapping].keys().map(move |key| (key, mapping)))
            .filter(|(key, _)| after.is_none_or(|after| *key > after.as_bytes()))
            .collect();
        let more = keys.len() > limit;
        if more {
            keys.select_nth_unstable(limit);
            keys.truncate(limit);
        }
        keys.sort_unstable();
        let due = |(key, mapping): (&[u8], usize)| {
            let record = std::str::from_utf8(key).expect("keys are percent-encoded");
            Due { record: record.into(), mapping }
        };
        (keys.into_iter().map(due).collect(), more)
    }

    fn publish(&mut self, table: usize, due: &Due, nth: usize, out: &mut Mapped) {
        let plan = &self.plan.tables[table];
        let (mapping, state) = (&plan.mappings[due.mapping], &self.tables[table]);
        let who = (&self.source.seller, &self.source.source);
        let record = due.record.as_bytes();
        let owner = state.owners[due.mapping].of(record).and_then(|(id, _)| state.rows.get(id));
        let Some(row) = owner else { return };
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
        let Some(level) = Level::of(&self.plan, &self.tables, at, record) else { return };
        let emitter = Emitter {
            source: &self.source,
            transaction: &self.transaction,
            table: plan,
            mapping,
            arena: &self.folding.arena,
        };
        self.held.supersede(&due.record);
        emitter.stated(&touch, level.stated(), &mut self.scratch, |event| {
            out.records.push(&self.encoder, event);
        });
    }
}
