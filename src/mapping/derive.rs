use std::collections::{BTreeSet, HashMap};

use super::block::{Block, Cause};
use super::complete::BYTES_MAX;
use super::level::measured;
use super::lookup::{Joined, LookupKey};
use super::memory::TableState;
use super::plan::{LookupPlace, Plan};
use super::row::Row;
use super::standing::{Arena, Key, Place, Standing, Unusable, standing};
use super::toucher::Toucher;
use super::wanted::{Wanted, wants};
use crate::state::{CachedRow, KeyHash, RowId};
use crate::stock::quantity::Decimal;
use crate::stock::{Basis, Operation, SellerId, SourceName};

/// A stock row under one derived mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dependant {
    pub(super) table: usize,
    pub(super) mapping: usize,
    pub(super) id: RowId,
}

/// Stock rows that look for one thing, more of them than there is room to say something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Crowd {
    place: LookupPlace,
    key: KeyHash,
}

/// Rows of a crowd that are followed at once.
const AT_ONCE: usize = if cfg!(test) { 100 } else { 1_000 };

/// One row before and after a change.
struct Step {
    id: RowId,
    before: Option<CachedRow>,
    after: Option<CachedRow>,
}

/// A change of one row of a table that others depend on.
pub(super) struct RowMove {
    pub(super) table: usize,
    pub(super) old: Option<RowId>,
    pub(super) new: Option<(RowId, CachedRow)>,
    /// The row that went, where the server may have taken along what refers to it.
    pub(super) gone: Option<CachedRow>,
    pub(super) cause: Cause,
}

/// What came of a change.
#[derive(Debug, Default)]
pub(super) struct Derived {
    /// Whether a key was touched.
    pub(super) touched: bool,
    /// Earlier touches that were folded into these.
    pub(super) folded: u64,
    /// Why the row that changed cannot be mapped.
    pub(super) unusable: Option<Unusable>,
    /// Tables of which more has changed than is said at once.
    pub(super) crowded: BTreeSet<usize>,
}

/// Measures before a change, by table, mapping and record key.
pub(super) type Measures = HashMap<(usize, usize, String), Option<(Decimal, Basis)>>;

/// What one stock row says at one moment.
#[derive(Default)]
pub(super) struct Said {
    pub(super) live: Option<Key>,
    /// Before a change: a key that goes has it last.
    pub(super) sku: Option<Place>,
    asked: Vec<LookupKey>,
    /// The key that the row has under its new identity.
    pub(super) successor: Option<Key>,
    /// Whether the server has taken it away with one that it refers to.
    pub(super) taken: bool,
    unusable: Option<Unusable>,
    /// Whether it is the row that changed, and not one that depends on it.
    own: bool,
}

/// A change that is being followed.
struct Followed {
    table: usize,
    old: Option<RowId>,
    new: Option<RowId>,
    steps: Vec<Step>,
    cause: Cause,
    out: Derived,
    /// Rows that the server has taken away with the one that changed.
    taken: BTreeSet<(usize, RowId)>,
}

impl Followed {
    /// Whether a row is the one that changed, as it was or as it is.
    fn is_of(&self, dependant: &Dependant) -> bool {
        let mut own = [&self.old, &self.new].into_iter().flatten();
        dependant.table == self.table && own.any(|id| *id == dependant.id)
    }
}

/// Follows what a change of one row means for all rows that depend on it: says of each of them
/// what was said of it before and what is said of it now, from the cached rows alone, and touches
/// the keys in between.
pub(super) struct Deriver<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tables: &'a mut [TableState],
    pub(super) who: (&'a SellerId, &'a SourceName),
    pub(super) folding: &'a mut Block,
    pub(super) immediate: &'a mut Block,
    /// Whether events tell what was before: those of a snapshot do not.
    pub(super) tells: bool,
    /// What was before.
    pub(super) previous: Measures,
    /// Touches that a block may have.
    pub(super) room: usize,
    /// Tables of which something has changed that there was no room to say.
    pub(super) crowded: BTreeSet<usize>,
}

impl Deriver<'_> {
    /// Applies the change of one row to everything that is remembered, and takes the rows that
    /// cannot be without it for deleted, those of each before the next. A loop: rows that look up
    /// rows of their own table may make a chain of any length.
    pub(super) fn change(&mut self, change: RowMove) -> Derived {
        let cause = change.cause;
        let Followed { out, taken, .. } = self.step(change);
        let mut due: Vec<(usize, RowId)> = taken.into_iter().rev().collect();
        while let Some((table, id)) = due.pop() {
            let gone = self.tables[table].rows.get(&id).cloned();
            let followed = self.step(RowMove { table, old: Some(id), new: None, gone, cause });
            due.extend(followed.taken.into_iter().rev());
        }
        out
    }

    fn step(&mut self, change: RowMove) -> Followed {
        let RowMove { table, old, new, gone, cause } = change;
        self.previous.clear();
        let out = Derived::default();
        let taken = gone.map_or_else(BTreeSet::new, |gone| self.taken(table, old.as_ref(), &gone));
        let (own_old, own_new) = (old.clone(), new.as_ref().map(|(id, _)| id.clone()));
        let steps = self.steps(old, new, table);
        let (dependants, crowds) = self.dependants(table, &steps);
        let (old, new) = (own_old, own_new);
        let mut followed = Followed { table, old, new, steps, cause, out, taken };
        let befores = self.befores(&dependants);
        if befores.is_none() {
            dependants.chunks(AT_ONCE).for_each(|piece| self.pass(piece, &mut followed));
        }
        crowds.into_iter().for_each(|crowd| self.pass_all(crowd, &mut followed));
        self.store(&followed);
        if let Some(befores) = befores {
            let mut afters = Vec::with_capacity(dependants.len());
            for dependant in &dependants {
                let said = self.say(dependant, false);
                self.measure(dependant, &said);
                afters.push(said);
            }
            self.follow(&dependants, (&befores, &mut afters), &mut followed);
        }
        followed
    }

    /// What is said of rows before a change; `None` when there is no room for it.
    fn befores(&mut self, dependants: &[Dependant]) -> Option<Vec<Said>> {
        let mark = self.mark();
        let mut befores = Vec::with_capacity(dependants.len());
        for dependant in dependants {
            if self.folding.arena.len() + self.immediate.arena.len() > BYTES_MAX {
                self.back_to(mark);
                self.previous.clear();
                return None;
            }
            let said = self.say(dependant, true);
            self.measure(dependant, &said);
            befores.push(said);
        }
        Some(befores)
    }

    /// Follows a change for a crowd, in pieces.
    fn pass_all(&mut self, Crowd { place, key }: Crowd, followed: &mut Followed) {
        let mut last: Option<RowId> = None;
        loop {
            let state = &self.tables[place.table];
            let sought = &state.links[place.mapping][place.lookup].sought;
            let rows = sought.rows_behind(key, last.as_ref());
            let ids = rows.filter_map(|row| Some(state.rows.id_of(state.rows.behind(row)?)));
            let ids = ids.filter(|id| last.as_ref().is_none_or(|last| id > last));
            let (table, mapping) = (place.table, place.mapping);
            let piece: Vec<Dependant> =
                ids.take(AT_ONCE).map(|id| Dependant { table, mapping, id }).collect();
            let Some(end) = piece.last() else { return };
            last = Some(end.id.clone());
            self.pass(&piece, followed);
        }
    }

    /// Follows a change that is not stored yet for rows of which there is no room to say anything:
    /// what they look for and which keys they stand behind is remembered, and their tables are
    /// crowded.
    fn pass(&mut self, piece: &[Dependant], followed: &mut Followed) {
        let (mark, room) = (self.mark(), std::mem::take(&mut self.room));
        let befores: Vec<Said> = piece.iter().map(|one| self.say(one, false)).collect();
        self.store(followed);
        let mut afters: Vec<Said> = piece.iter().map(|one| self.say(one, false)).collect();
        self.follow(piece, (&befores, &mut afters), followed);
        self.take_back(followed);
        self.back_to(mark);
        self.room = room;
    }

    /// Moves rows from what was said of them to what is said of them now.
    fn follow(
        &mut self,
        dependants: &[Dependant],
        (befores, afters): (&[Said], &mut [Said]),
        followed: &mut Followed,
    ) {
        for ((dependant, before), after) in dependants.iter().zip(befores).zip(&mut *afters) {
            self.ask(dependant, before, after);
            after.own = followed.is_of(dependant);
            if after.own && followed.out.unusable.is_none() {
                followed.out.unusable = after.unusable.clone();
            }
            after.taken = !followed.taken.is_empty()
                && followed.taken.contains(&(dependant.table, dependant.id.clone()));
        }
        if let (Some(old), Some(new)) = (&followed.old, &followed.new)
            && old != new
        {
            succeed(dependants, afters, (followed.table, old, new));
        }
        self.touch_all(dependants, (befores, afters), followed.cause, &mut followed.out);
    }

    fn steps(
        &self,
        old: Option<RowId>,
        new: Option<(RowId, CachedRow)>,
        table: usize,
    ) -> Vec<Step> {
        let rows = &self.tables[table].rows;
        let step = |id: RowId, after| Step { before: rows.get(&id).cloned(), id, after };
        let replaced = new.as_ref().map(|(id, _)| id.clone());
        let gone = old.filter(|old| replaced.as_ref() != Some(old)).map(|id| step(id, None));
        let kept = new.map(|(id, row)| {
            let wanted = wants(self.plan, table, &row) > Wanted::No;
            step(id, wanted.then_some(row))
        });
        gone.into_iter().chain(kept).collect()
    }

    /// Every stock row of which something else may be said after these steps, and those of which
    /// there is no room to say it.
    fn dependants(&self, table: usize, steps: &[Step]) -> (Vec<Dependant>, Vec<Crowd>) {
        let plan = &self.plan.tables[table];
        let room = self.room.saturating_sub(self.folding.len().max(self.immediate.len()));
        let (mut all, mut crowds) = (BTreeSet::new(), Vec::new());
        for step in steps {
            for (mapping, _) in plan.mappings.iter().enumerate().filter(|(_, one)| one.derived) {
                all.insert(Dependant { table, mapping, id: step.id.clone() });
            }
            for place in &plan.looked_up_by {
                let lookup = self.plan.lookup(*place);
                if let (Some(before), Some(after)) = (&step.before, &step.after)
                    && lookup.same(before, after)
                {
                    continue;
                }
                let link = &self.tables[place.table].links[place.mapping][place.lookup];
                let both = [&step.before, &step.after].into_iter().flatten();
                let mut keys: Vec<KeyHash> = both.filter_map(|row| lookup.found_by(row)).collect();
                keys.dedup();
                for key in keys {
                    let count = link.sought.of(key).map_or(0, |(_, count)| count);
                    let crowd = Crowd { place: *place, key };
                    if all.len() + count > room && count > 0 && !crowds.contains(&crowd) {
                        crowds.push(crowd);
                    }
                    if crowds.contains(&crowd) {
                        continue;
                    }
                    let rows = &self.tables[place.table].rows;
                    let seekers = link.sought.rows(key).filter_map(|row| rows.behind(row));
                    all.extend(seekers.map(|row| Dependant {
                        table: place.table,
                        mapping: place.mapping,
                        id: rows.id_of(row),
                    }));
                }
            }
        }
        (all.into_iter().collect(), crowds)
    }

    /// Writes rows into the cache, and where they are found by lookups.
    fn store(&mut self, followed: &Followed) {
        for Step { id, before, after } in &followed.steps {
            self.put((followed.table, id), before.as_ref(), after.as_ref());
        }
    }

    /// As it was before [`Self::store`].
    fn take_back(&mut self, followed: &Followed) {
        for Step { id, before, after } in followed.steps.iter().rev() {
            self.put((followed.table, id), after.as_ref(), before.as_ref());
        }
    }

    fn put(
        &mut self,
        (table, id): (usize, &RowId),
        before: Option<&CachedRow>,
        after: Option<&CachedRow>,
    ) {
        for place in &self.plan.tables[table].looked_up_by {
            let lookup = self.plan.lookup(*place);
            let link = &mut self.tables[place.table].links[place.mapping][place.lookup];
            let mut found = std::mem::take(&mut link.found);
            if let Some(key) = before.and_then(|row| lookup.found_by(row)) {
                found.remove(key, id);
            }
            if let Some(key) = after.and_then(|row| lookup.found_by(row)) {
                found.add(key, id, &self.tables[table].rows);
            }
            self.tables[place.table].links[place.mapping][place.lookup].found = found;
        }
        if before.is_some() || after.is_some() {
            self.tables[table].rows.set(id, after.cloned());
        }
    }

    /// The ends of what is written about keys.
    fn mark(&self) -> [usize; 2] {
        [self.folding.arena.len(), self.immediate.arena.len()]
    }

    /// Forgets what was written behind a mark.
    fn back_to(&mut self, [folding, immediate]: [usize; 2]) {
        self.folding.arena.truncate(folding);
        self.immediate.arena.truncate(immediate);
    }

    /// What a stock row says now, with its SKU where somebody may want it.
    fn say(&mut self, dependant: &Dependant, with_sku: bool) -> Said {
        let mapping = &self.plan.tables[dependant.table].mappings[dependant.mapping];
        let block = if mapping.coalesce { &mut *self.folding } else { &mut *self.immediate };
        let at = (dependant.table, dependant.mapping);
        let writes = (self.who, &mut block.arena, with_sku);
        say(self.plan, self.tables, at, &dependant.id, writes)
    }

    /// Notes the measure that a key has, if events of it tell what was before.
    fn measure(&mut self, dependant: &Dependant, said: &Said) {
        let at = (dependant.table, dependant.mapping);
        let mapping = &self.plan.tables[at.0].mappings[at.1];
        let block = if mapping.coalesce { &*self.folding } else { &*self.immediate };
        let speaks = self.tables[at.0].speaks[at.1];
        // All rows of the key are added up for that, and only the first of a block counts.
        if let Some(key) = said.live.filter(|key| self.tells && speaks && !block.has(*key, at.1)) {
            let record = block.arena.get(key.record);
            let (plan, tables) = (self.plan, &*self.tables);
            self.previous.entry((at.0, at.1, record.to_owned())).or_insert_with(|| {
                let number = measured(plan, tables, at, record.as_bytes());
                number.map(|number| (number, Basis::Cache))
            });
        }
    }

    /// Remembers what a stock row looks for now.
    fn ask(&mut self, dependant: &Dependant, before: &Said, after: &Said) {
        let state = &mut self.tables[dependant.table];
        let links = &mut state.links[dependant.mapping];
        for (nth, link) in links.iter_mut().enumerate() {
            let [old, new] =
                [before, after].map(|said| said.asked.get(nth).copied().and_then(LookupKey::known));
            if old == new {
                continue;
            }
            if let Some(key) = old {
                link.sought.remove(key, &dependant.id);
            }
            if let Some(key) = new {
                link.sought.add(key, &dependant.id, &state.rows);
            }
        }
    }

    fn touch_all(
        &mut self,
        dependants: &[Dependant],
        (befores, afters): (&[Said], &[Said]),
        cause: Cause,
        out: &mut Derived,
    ) {
        let mut order: Vec<(String, usize)> = Vec::with_capacity(dependants.len());
        for (nth, dependant) in dependants.iter().enumerate() {
            if let Some(key) = afters[nth].live.or(befores[nth].live) {
                order.push((self.arena(dependant).get(key.record).to_owned(), nth));
            }
        }
        order.sort_unstable();
        for (_, nth) in order {
            let dependant = &dependants[nth];
            let mut toucher = Toucher {
                mapping: &self.plan.tables[dependant.table].mappings[dependant.mapping],
                state: &mut self.tables[dependant.table],
                block: if self.plan.tables[dependant.table].mappings[dependant.mapping].coalesce {
                    self.folding
                } else {
                    self.immediate
                },
                dependant,
                cause,
                previous: &self.previous,
                room: self.room,
                crowded: &mut self.crowded,
                out,
            };
            if !afters[nth].own && afters[nth].live.is_some() {
                toucher.cause.operation = Operation::Update;
            }
            toucher.transition(&befores[nth], &afters[nth]);
        }
    }

    fn arena(&self, dependant: &Dependant) -> &Arena {
        let mapping = &self.plan.tables[dependant.table].mappings[dependant.mapping];
        if mapping.coalesce { &self.folding.arena } else { &self.immediate.arena }
    }
}

/// A row that is known by something else now went on under the key that it has there.
fn succeed(
    dependants: &[Dependant],
    afters: &mut [Said],
    (table, old, new): (usize, &RowId, &RowId),
) {
    let place = |mapping: usize, id: &RowId| {
        let is_it = |one: &Dependant| (one.table, one.mapping, &one.id) == (table, mapping, id);
        dependants.iter().position(is_it)
    };
    for (nth, dependant) in dependants.iter().enumerate() {
        if dependant.table == table && dependant.id == *old {
            let new = place(dependant.mapping, new);
            afters[nth].successor = new.and_then(|new| afters[new].live);
        }
    }
}

/// What one stock row says under one mapping, `(table, mapping)`, from the cached rows.
fn say(
    plan: &Plan,
    tables: &[TableState],
    at: (usize, usize),
    id: &RowId,
    (who, arena, with_sku): ((&SellerId, &SourceName), &mut Arena, bool),
) -> Said {
    let (state, mapping) = (&tables[at.0], &plan.tables[at.0].mappings[at.1]);
    let row = state.rows.get(id).map(Row::cached);
    let Some(row) = row.filter(|row| Joined::may_count(*row, mapping)) else {
        return Said::default();
    };
    let joined = Joined::of(row, mapping, &state.links[at.1], tables);
    let orphan = joined.is_orphan(mapping);
    let mut said = Said::default();
    if !orphan && joined.is_unclear(mapping) {
        said.unusable = Some(Unusable::unseen());
    } else if !orphan {
        match standing(mapping, &joined, who, arena) {
            Ok(Standing::Live(key)) => said.live = Some(key),
            Ok(Standing::Unknown) => said.unusable = Some(Unusable::unseen()),
            Ok(Standing::Removed(_) | Standing::Outside) => {}
            Err(unusable) => said.unusable = Some(unusable),
        }
    }
    if with_sku && said.live.is_some() {
        said.sku = mapping.sku.as_ref().and_then(|sku| arena.field(sku, &joined).ok());
    }
    said.asked = joined.asked;
    said
}
