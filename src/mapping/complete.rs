use std::collections::BTreeSet;

use connector_api::TableName;

use super::block::Cause;
use super::change::Moved;
use super::derive::{Derived, Deriver, Measures, RowMove};
use super::lookup::linked;
use super::mapper::{Mapped, Mapper};
use super::notice::Notice;
use super::plan::LookupPlace;
use super::standing::Unusable;
use super::wanted::{Wanted, wants};
use crate::state::{CachedRow, Owners};
use crate::stock::Provenance;

/// Events of one batch past which no more are made of a change of a looked-up row: the table whose
/// rows look it up is read again, in pieces. A batch has few thousand rows, so that only what
/// follows from them can be as much.
const EVENTS_MAX: usize = if cfg!(test) { 1_000 } else { 100_000 };

/// The same in bytes of events, or of what is written about keys to make them: a text that is
/// looked up may be of any length.
pub(super) const BYTES_MAX: usize = if cfg!(test) { 8 << 20 } else { 128 << 20 };

/// Derived mappings: what is remembered of them, and when they speak.
impl Mapper {
    /// These tables have not been read whole since they were first mapped, or since all their rows
    /// went at once. A mapping with lookups or sums is silent until each of its tables is
    /// [`Self::completed`].
    pub fn set_incomplete(&mut self, tables: &BTreeSet<TableName>) {
        for (plan, state) in self.plan.tables.iter().zip(&mut self.tables) {
            state.complete = !tables.contains(&plan.name);
        }
        self.decide_who_speaks();
    }

    /// A table has been read whole. Returns the tables of the mappings that speak from now on:
    /// every key of them is due, see [`Self::publish_all`].
    pub fn completed(&mut self, table: &TableName) -> Vec<TableName> {
        let Some(place) = self.plan.place_of(table) else { return Vec::new() };
        self.link();
        self.tables[place].complete = true;
        let silent: Vec<Vec<bool>> = self.tables.iter().map(|state| state.speaks.clone()).collect();
        self.decide_who_speaks();
        let begins = |place: &usize| {
            let now = &self.tables[*place].speaks;
            now.iter().zip(&silent[*place]).any(|(now, before)| *now && !before)
        };
        let tables = (0..self.tables.len()).filter(begins);
        tables.map(|place| self.plan.tables[place].name.clone()).collect()
    }

    fn decide_who_speaks(&mut self) {
        for table in 0..self.tables.len() {
            for (place, mapping) in self.plan.tables[table].mappings.iter().enumerate() {
                let complete = |table: usize| self.tables[table].complete;
                let speaks = !mapping.derived
                    || (complete(table) && mapping.lookups.iter().all(|one| complete(one.table)));
                self.tables[table].speaks[place] = speaks;
                if !speaks {
                    self.folding.silence(table, place);
                }
            }
        }
    }

    /// Tells the derived mappings of the rows that were loaded.
    pub(super) fn link(&mut self) {
        if !std::mem::take(&mut self.unlinked) {
            return;
        }
        for table in 0..self.tables.len() {
            for place in self.plan.tables[table].looked_up_by.clone() {
                self.find_all(table, place);
            }
        }
        for table in 0..self.tables.len() {
            for mapping in 0..self.plan.tables[table].mappings.len() {
                self.seek_all(table, mapping);
            }
        }
    }

    fn find_all(&mut self, table: usize, place: LookupPlace) {
        let lookup = self.plan.lookup(place);
        let mut found = Owners::default();
        let rows = &self.tables[table].rows;
        for row in rows.iter() {
            if let Some(key) = lookup.found_by(row) {
                found.add(key, &rows.id_of(row), rows);
            }
        }
        self.tables[place.table].links[place.mapping][place.lookup].found = found;
    }

    fn seek_all(&mut self, table: usize, mapping: usize) {
        if !self.plan.tables[table].mappings[mapping].derived {
            return;
        }
        let who = (&self.source.seller, &self.source.source);
        let (owners, sought) = linked(&self.plan, &self.tables, (table, mapping), who);
        let state = &mut self.tables[table];
        state.owners[mapping] = owners;
        for (link, sought) in state.links[mapping].iter_mut().zip(sought) {
            link.sought = sought;
        }
    }

    /// Every row of a table that others depend on is gone at once, and comes back when it has been
    /// read again: until then the mappings that need it are silent.
    pub(super) fn forget_derived(&mut self, table: usize) {
        self.tables[table].complete = false;
        self.decide_who_speaks();
        self.unlinked = true;
        self.link();
    }

    /// Looks, at a row of the log, whether rows are still identified by what the plan has it. Until
    /// a table has been read the log may be older than the plan.
    pub(super) fn look_at_key(&mut self, binding: usize, table: usize, out: &mut Mapped) {
        let binding = &mut self.bindings[binding];
        binding.is_of_log |= self.transaction.capture == Provenance::Stream;
        if binding.is_of_log && binding.is_keyed_otherwise && self.tables[table].complete {
            let name = self.plan.tables[table].name.clone();
            self.rekey(&name, out);
        }
    }

    /// What is remembered of a table is known by what identifies nothing any more.
    pub(super) fn rekey(&mut self, name: &TableName, out: &mut Mapped) {
        self.clear(name);
        if let Some(table) = self.plan.place_of(name) {
            self.tables[table].complete = false;
        }
        self.outlived = true;
        let (table, position) = (name.clone(), self.transaction.position.clone());
        out.notices.push(Notice::Rekeyed { table, position });
    }

    /// Whether a row counts for a lookup and does not say what it is found by.
    fn is_nameless(&self, table: usize, row: &CachedRow) -> bool {
        let mut lookups = self.plan.tables[table].looked_up_by.iter();
        lookups.any(|place| self.plan.lookup(*place).lacks_name(row))
    }

    /// What a change of one row means for the derived mappings, where so many events were
    /// published already.
    pub(super) fn derive(
        &mut self,
        moved: Moved,
        table: usize,
        cause: Cause,
        published: usize,
    ) -> Derived {
        self.link();
        let Moved { known, old, new, gone } = moved;
        let due = self.dirty.contains(&table) || !self.tables[table].complete;
        if let Some((_, row)) = new.as_ref().filter(|_| !known) {
            match wants(&self.plan, table, row) {
                // Those who look for it cannot be told from others.
                Wanted::Yes if self.is_nameless(table, row) => {
                    let unusable = (!due).then(Unusable::unseen);
                    return Derived { unusable, ..Derived::default() };
                }
                Wanted::No | Wanted::Yes => {}
                // The snapshot that is due reads the row as it is then.
                Wanted::Unknown | Wanted::Undecided if due => return Derived::default(),
                // Every row that matters is remembered. This one is not, and the change did not
                // make it matter.
                Wanted::Unknown => return Derived::default(),
                Wanted::Undecided => {
                    return Derived { unusable: Some(Unusable::unseen()), ..Derived::default() };
                }
            }
        }
        if gone.is_some() && known {
            // Rows that were read and not published yet may have gone with it.
            for place in &self.plan.tables[table].looked_up_by {
                let lookup = self.plan.lookup(*place);
                if lookup.required && lookup.cascades {
                    self.watch.lose(place.table);
                }
            }
        }
        let mut deriver = Deriver {
            plan: &self.plan,
            tables: &mut self.tables,
            who: (&self.source.seller, &self.source.source),
            folding: &mut self.folding,
            immediate: &mut self.immediate,
            tells: self.transaction.capture == Provenance::Stream,
            previous: Measures::new(),
            room: EVENTS_MAX.saturating_sub(published),
            crowded: BTreeSet::new(),
        };
        let mut derived = deriver.change(RowMove { table, old, new, gone, cause });
        derived.crowded = deriver.crowded;
        // The snapshot that is due says the rest.
        derived.unusable.take_if(|why| due && matches!(why, Unusable::Unseen(_)));
        derived
    }
}
