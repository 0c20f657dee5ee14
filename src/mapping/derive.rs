use std::collections::{BTreeSet, HashMap};

use super::block::{After, Block, Cause, Touch};
use super::field::Truth;
use super::level::measured;
use super::lookup::{Joined, LookupKey};
use super::memory::TableState;
use super::plan::{MappingPlan, Plan};
use super::row::Row;
use super::standing::{Arena, Key, Place, Standing, Unusable, standing};
use crate::state::{CachedRow, KeyHash, Owners, RowId};
use crate::stock::quantity::Decimal;
use crate::stock::{Basis, Operation, SellerId, SourceName};

/// A stock row under one derived mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Dependant {
    table: usize,
    mapping: usize,
    id: RowId,
}

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
struct Said {
    live: Option<Key>,
    sku: Option<Place>,
    asked: Vec<LookupKey>,
    /// The key that the row has under its new identity.
    successor: Option<Key>,
    /// Whether a row that it cannot be without is not there.
    orphan: bool,
    unusable: Option<Unusable>,
    /// Whether it is the row that changed, and not one that depends on it.
    own: bool,
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
    /// Applies the change of one row to everything that is remembered.
    pub(super) fn change(&mut self, change: RowMove) -> Derived {
        let table = change.table;
        self.previous.clear();
        let (own_old, own_new) =
            (change.old.clone(), change.new.as_ref().map(|(id, _)| id.clone()));
        let steps = self.steps(change.old, change.new, table);
        let dependants = self.dependants(table, &steps);
        let befores: Vec<Said> = dependants.iter().map(|one| self.say(one)).collect();
        for step in steps {
            self.store(table, step);
        }
        let mut afters: Vec<Said> = dependants.iter().map(|one| self.say(one)).collect();
        let mut out = Derived::default();
        let mut cascaded = Vec::new();
        let deleted = change.cause.operation == Operation::Delete;
        for ((dependant, before), after) in dependants.iter().zip(&befores).zip(&mut afters) {
            self.ask(dependant, before, after);
            after.own = dependant.table == table
                && [&own_old, &own_new].into_iter().flatten().any(|id| *id == dependant.id);
            if after.own && out.unusable.is_none() {
                out.unusable = after.unusable.clone();
            }
            if deleted && !after.own && after.orphan && !before.orphan {
                cascaded.push((dependant.table, dependant.id.clone()));
            }
        }
        if let (Some(old), Some(new)) = (&own_old, &own_new)
            && old != new
        {
            succeed(&dependants, &mut afters, (table, old, new));
        }
        self.touch_all(&dependants, (&befores, &afters), change.cause, &mut out);
        for (table, id) in cascaded {
            let cause = change.cause;
            self.change(RowMove { table, old: Some(id), new: None, cause });
        }
        out
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

    /// Every stock row of which something else may be said after these steps.
    fn dependants(&self, table: usize, steps: &[Step]) -> Vec<Dependant> {
        let plan = &self.plan.tables[table];
        let mut all = BTreeSet::new();
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
                for row in [&step.before, &step.after].into_iter().flatten() {
                    let Some(key) = lookup.found_by(row) else { continue };
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
        all.into_iter().collect()
    }

    /// Writes a row into the cache, and where it is found by lookups.
    fn store(&mut self, table: usize, step: Step) {
        for place in &self.plan.tables[table].looked_up_by {
            let lookup = self.plan.lookup(*place);
            let link = &mut self.tables[place.table].links[place.mapping][place.lookup];
            let mut found = std::mem::take(&mut link.found);
            if let Some(key) = step.before.as_ref().and_then(|row| lookup.found_by(row)) {
                found.remove(key, &step.id);
            }
            if let Some(key) = step.after.as_ref().and_then(|row| lookup.found_by(row)) {
                found.add(key, &step.id, &self.tables[table].rows);
            }
            self.tables[place.table].links[place.mapping][place.lookup].found = found;
        }
        if step.before.is_some() || step.after.is_some() {
            self.tables[table].rows.set(&step.id, step.after);
        }
    }

    fn say(&mut self, dependant: &Dependant) -> Said {
        let mapping = &self.plan.tables[dependant.table].mappings[dependant.mapping];
        let block = if mapping.coalesce { &mut *self.folding } else { &mut *self.immediate };
        let at = (dependant.table, dependant.mapping);
        let said = say(self.plan, self.tables, at, &dependant.id, (self.who, &mut block.arena));
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
        said
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

/// Moves one stock row from what was said of it to what is said of it now.
struct Toucher<'a> {
    mapping: &'a MappingPlan,
    state: &'a mut TableState,
    block: &'a mut Block,
    dependant: &'a Dependant,
    cause: Cause,
    previous: &'a Measures,
    room: usize,
    crowded: &'a mut BTreeSet<usize>,
    out: &'a mut Derived,
}

impl Toucher<'_> {
    fn transition(&mut self, before: &Said, after: &Said) {
        let same = |one: Key, other: Key| {
            self.block.arena.get(one.record) == self.block.arena.get(other.record)
        };
        match (before.live, after.live) {
            (Some(old), Some(new)) if same(old, new) => self.live(new),
            (old, new) => {
                if let Some(old) = old {
                    let successor = new.or(after.successor);
                    let successor = successor.filter(|new| !same(old, *new)).map(|key| key.record);
                    let cascade = after.orphan && self.cause.operation == Operation::Delete;
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
    (who, arena): ((&SellerId, &SourceName), &mut Arena),
) -> Said {
    let (state, mapping) = (&tables[at.0], &plan.tables[at.0].mappings[at.1]);
    let row = state.rows.get(id).map(Row::cached);
    let Some(row) = row.filter(|row| Joined::may_count(*row, mapping)) else {
        return Said::default();
    };
    let joined = Joined::of(row, mapping, &state.links[at.1], tables);
    let mut said = Said { orphan: joined.is_orphan(mapping), ..Said::default() };
    if !said.orphan {
        match standing(mapping, &joined, who, arena) {
            Ok(Standing::Live(key)) => said.live = Some(key),
            Ok(Standing::Unknown) => said.unusable = Some(Unusable::unseen()),
            Ok(Standing::Removed(_) | Standing::Outside) => {}
            Err(unusable) => said.unusable = Some(unusable),
        }
    }
    if said.live.is_some() {
        said.sku = mapping.sku.as_ref().and_then(|sku| arena.field(sku, &joined).ok());
    }
    said.asked = joined.asked;
    said
}

/// The rows behind each key of a derived mapping, `(table, mapping)`, and for each of its lookups
/// the rows behind what they look for.
pub(super) fn linked(
    plan: &Plan,
    tables: &[TableState],
    at: (usize, usize),
    who: (&SellerId, &SourceName),
) -> (Owners, Vec<Owners>) {
    let (state, mapping) = (&tables[at.0], &plan.tables[at.0].mappings[at.1]);
    let mut owners = Owners::default();
    let mut sought: Vec<Owners> = mapping.lookups.iter().map(|_| Owners::default()).collect();
    let mut arena = Arena::default();
    for row in state.rows.iter().filter(|row| Joined::may_count(Row::cached(row), mapping)) {
        arena.clear();
        let id = state.rows.id_of(row);
        let joined = Joined::of(Row::cached(row), mapping, &state.links[at.1], tables);
        if let Some(key) = live(mapping, &joined, who, &mut arena) {
            let key = KeyHash::of(arena.get(key.record).as_bytes());
            owners.add(key, &id, &state.rows);
        }
        for (sought, asked) in sought.iter_mut().zip(&joined.asked) {
            if let Some(key) = asked.known() {
                sought.add(key, &id, &state.rows);
            }
        }
    }
    (owners, sought)
}

/// The key that a row stands behind, if it does.
pub(super) fn live(
    mapping: &MappingPlan,
    joined: &Joined<'_>,
    who: (&SellerId, &SourceName),
    arena: &mut Arena,
) -> Option<Key> {
    match standing(mapping, joined, who, arena) {
        Ok(Standing::Live(key)) if !joined.is_orphan(mapping) => Some(key),
        _ => None,
    }
}

/// Whether a row is worth remembering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// No mapping and no lookup counts it.
    No,
    /// Nothing of what decides about it is known.
    Unknown,
    /// Some of what decides about it is known, and more is needed.
    Undecided,
    Yes,
}

/// Whether a row of a table is worth remembering: what filters leave out may be anybody's data.
pub(super) fn wants(plan: &Plan, table: usize, row: &CachedRow) -> Wanted {
    let plan_of = &plan.tables[table];
    if plan_of.keeps_all {
        return Wanted::Yes;
    }
    let view = Joined::alone(Row::cached(row));
    let mappings = plan_of.mappings.iter().filter(|mapping| mapping.derived);
    let filters = mappings.map(|mapping| &mapping.filter);
    let lookups = plan_of.looked_up_by.iter().map(|place| &plan.lookup(*place).filter);
    let wanted = filters.chain(lookups).map(|filter| {
        let Some(filter) = filter else { return Wanted::Yes };
        match filter.truth(&view) {
            Truth::True => Wanted::Yes,
            Truth::NotTrue => Wanted::No,
            Truth::Absent => {
                let width = plan_of.columns.len();
                let own = filter.places().into_iter().filter(|place| *place < width);
                let known: Vec<bool> =
                    own.map(|place| row.get(place) != connector_api::Value::Absent).collect();
                match (known.iter().all(|known| *known), known.contains(&true)) {
                    // What is missing is looked up.
                    (true, _) => Wanted::Yes,
                    (false, true) => Wanted::Undecided,
                    (false, false) => Wanted::Unknown,
                }
            }
        }
    });
    wanted.max().unwrap_or(Wanted::No)
}
