use connector_api::{Batch, Op, RowChange};

use super::block::{After, Block, Cause, Touch};
use super::definition::Kind;
use super::plan::{MappingPlan, TablePlan};
use super::row::{Binding, Row};
use super::standing::{Key, Standing, Unusable, standing};
use crate::state::{CachedRow, KeyHash, Owners, RowId, TableRows};
use crate::stock::quantity::Decimal;
use crate::stock::{Basis, Quality, SellerId, SourceName};

/// A row before and after its change, completed from the cache.
pub(super) struct Images<'a> {
    binding: &'a Binding,
    before: Option<connector_api::RowImage<'a>>,
    after: Option<connector_api::RowImage<'a>>,
    old_id: Option<RowId>,
    new_id: Option<RowId>,
    cached: Option<CachedRow>,
    is_new: bool,
}

impl<'a> Images<'a> {
    pub(super) fn of(
        batch: &'a Batch,
        row: &RowChange,
        binding: &'a Binding,
        plan: &TablePlan,
        rows: &TableRows,
    ) -> Self {
        let (before, after) = (batch.before(row), batch.after(row));
        let is_new = row.op == Op::Insert;
        let (old_id, new_id, cached) = (None, None, None);
        let mut images = Self { binding, before, after, old_id, new_id, cached, is_new };
        if plan.cached || plan.mappings.iter().any(|mapping| mapping.owned) {
            let id = |image| binding.row(image, None).id(plan.identity_width);
            let whole = |image| binding.row(image, None).behind(before).id(plan.identity_width);
            images.new_id = after.and_then(whole);
            // An update without an old image kept its identity.
            images.old_id = before.and_then(id).or_else(|| images.new_id.clone());
            images.cached = images.old_id.as_ref().and_then(|id| rows.get(id)).cloned();
        }
        images
    }

    /// The row before and after as the log alone says.
    pub(super) fn both(&self) -> [Option<Row<'_>>; 2] {
        let row = |image| self.binding.row(image, None);
        [self.before.map(row), self.after.map(|image| row(image).behind(self.before))]
    }

    fn row_before(&self) -> Option<Row<'_>> {
        match (self.before, &self.cached) {
            (Some(image), cached) => Some(self.binding.row(image, cached.as_ref())),
            (None, Some(cached)) => Some(Row::cached(cached)),
            (None, None) => None,
        }
    }

    fn row_after(&self) -> Option<Row<'_>> {
        // Whatever had its identity before, a new row is another one.
        let cached = self.cached.as_ref().filter(|_| !self.is_new);
        let row = |image| self.binding.row(image, cached).behind(self.before);
        self.after.map(row)
    }

    /// The change without its images.
    pub(super) fn into_moved(self, plan: &TablePlan, row: &RowChange) -> Moved {
        let takes_along = row.op == Op::Delete && !row.ignores_foreign_keys;
        let gone = self.row_before().filter(|_| takes_along && !plan.looked_up_by.is_empty());
        let gone = gone.map(|row| row.to_cached(plan.columns.len()));
        let row = self.row_after().map(|row| row.to_cached(plan.columns.len()));
        let Self { old_id, new_id, cached, .. } = self;
        Moved { known: cached.is_some(), old: old_id, new: new_id.zip(row), gone }
    }

    /// Writes the row as it is now into the cache.
    pub(super) fn remember(&self, plan: &TablePlan, rows: &mut TableRows) {
        let new = self.row_after().zip(self.new_id.as_ref());
        if let Some(old) = self.old_id.as_ref().filter(|old| new.is_none_or(|(_, id)| id != *old)) {
            rows.set(old, None);
        }
        if let Some((row, id)) = new {
            rows.set(id, Some(row.to_cached(plan.columns.len())));
        }
    }
}

/// A row of which the log says a part, while its table is being read.
pub(super) struct Doubt {
    pub(super) id: RowId,
    /// Whether the rest of it is known from before that.
    pub(super) is_old: bool,
    /// Whether it was known by something else.
    pub(super) has_moved: bool,
}

impl Doubt {
    /// What is to be doubted of a row that has just changed.
    pub(super) fn of(images: &Images<'_>, plan: &TablePlan, rows: &TableRows) -> Option<Self> {
        let (old, new) = (images.old_id.as_ref()?, images.new_id.as_ref()?);
        let [_, after] = images.both();
        let is_partial = !after?.is_whole(plan.columns.len());
        let is_old = images.cached.is_some() && !images.is_new && !rows.is_seen(old);
        let has_moved = old != new;
        let doubt = Self { id: new.clone(), is_old, has_moved };
        (is_partial && (is_old || has_moved)).then_some(doubt)
    }
}

/// What a row was known by, and what it is now.
pub(super) struct Moved {
    /// Whether it was remembered.
    pub(super) known: bool,
    pub(super) old: Option<RowId>,
    pub(super) new: Option<(RowId, CachedRow)>,
    /// The row that went, where the server may have taken along what refers to it.
    pub(super) gone: Option<CachedRow>,
}

/// One row change under one mapping.
pub(super) struct Change<'a, 'b> {
    pub(super) place: usize,
    pub(super) mapping: &'a MappingPlan,
    pub(super) table: usize,
    pub(super) row: &'a RowChange,
    pub(super) images: &'a Images<'a>,
    pub(super) block: &'b mut Block,
    pub(super) owners: &'b mut Owners,
    pub(super) rows: &'b TableRows,
}

impl Change<'_, '_> {
    /// Touches the keys the change concerns. Returns how many earlier rows were folded away, or
    /// `None` when it concerns no key.
    pub(super) fn apply(&mut self, who: (&SellerId, &SourceName)) -> Result<Option<u32>, Unusable> {
        if self.mapping.kind == Kind::Movement && self.row.op != Op::Insert {
            // Ledgers are tidied up: deleting settled rows is no movement. Rewriting one is.
            let is_rewritten = self.row.op == Op::Update && self.is_rewritten(who);
            let why = || Unusable::Row("a ledger row was changed after the fact".to_owned());
            return if is_rewritten { Err(why()) } else { Ok(None) };
        }
        let images = self.images;
        let arena = &mut self.block.arena;
        let new = match images.row_after() {
            Some(row) => standing(self.mapping, &row, who, arena),
            None => Ok(Standing::Outside),
        };
        let old = match images.row_before() {
            Some(row) => standing(self.mapping, &row, who, arena).unwrap_or(Standing::Outside),
            None => Standing::Unknown,
        };
        let (new, unusable) = match new {
            Ok(new) => (new, None),
            Err(unusable) => (Standing::Outside, Some(unusable)),
        };
        let outcome = self.transition(old, new)?;
        unusable.map_or(Ok(outcome), Err)
    }

    /// Whether a row of a ledger counts, or counted, and may not say what it said.
    fn is_rewritten(&mut self, who: (&SellerId, &SourceName)) -> bool {
        let (images, mapping) = (self.images, self.mapping);
        let arena = &mut self.block.arena;
        let mut says = |row: Option<Row<'_>>| {
            let row = row?;
            let standing = standing(mapping, &row, who, arena);
            let key = match standing {
                Ok(Standing::Outside | Standing::Removed(_)) => return Some(None),
                Ok(Standing::Live(key)) => arena.get(key.record).to_owned(),
                Ok(Standing::Unknown) | Err(_) => return None,
            };
            let delta = mapping.delta.as_ref();
            let delta = delta.map(|delta| delta.number(&row, &mut Quality::default()));
            Some(Some((key, delta)))
        };
        match (says(images.row_before()), says(images.row_after())) {
            (Some(before), Some(after)) => before != after,
            (None, Some(None)) => false,
            _ => true,
        }
    }

    fn transition(&mut self, old: Standing, new: Standing) -> Result<Option<u32>, Unusable> {
        match (old, new) {
            (_, Standing::Unknown) => Err(Unusable::unseen()),
            (Standing::Live(old), Standing::Live(new)) if self.same(old, new) => {
                Ok(Some(self.live(new, true)))
            }
            (Standing::Live(old), Standing::Live(new)) => {
                let folded = self.gone(old, Some(new)).unwrap_or(0);
                Ok(Some(folded + self.live(new, false)))
            }
            (Standing::Live(old), _) => Ok(self.gone(old, None)),
            // The key is what identifies the row, so an update without an old image kept it.
            (_, Standing::Live(new)) => Ok(Some(self.live(new, false))),
            // Marked as gone: what it was before can only have been this key.
            (Standing::Unknown, Standing::Removed(key)) if self.row.op == Op::Update => {
                Ok(self.gone(key, None))
            }
            (Standing::Unknown, _) if self.row.op == Op::Delete => Err(Unusable::Unseen(
                "the key of the deleted row is not known: the row was not seen before, and the \
                 table's replica identity does not hold the key",
            )),
            _ => Ok(None),
        }
    }

    fn same(&self, a: Key, b: Key) -> bool {
        self.block.arena.get(a.record) == self.block.arena.get(b.record)
    }

    fn hash(&self, key: Key) -> KeyHash {
        KeyHash::of(self.block.arena.get(key.record).as_bytes())
    }

    /// The row stands behind `key` now.
    fn live(&mut self, key: Key, kept: bool) -> u32 {
        let previous = if kept || self.mapping.owned { self.previous(key) } else { None };
        if let Some(id) = self.images.new_id.as_ref().filter(|_| self.mapping.owned) {
            let hash = self.hash(key);
            // The key stayed, but not what the row is known by.
            if let Some(old) = self.images.old_id.as_ref().filter(|old| kept && *old != id) {
                self.owners.remove(hash, old);
            }
            self.owners.add(hash, id, self.rows);
        }
        self.touch(key, After::Live, previous)
    }

    /// The row no longer stands behind `key`. A row that did not speak for the key says nothing
    /// by leaving it.
    fn gone(&mut self, key: Key, successor: Option<Key>) -> Option<u32> {
        let previous = self.previous(key);
        if self.mapping.owned {
            let (hash, id) = (self.hash(key), self.images.old_id.as_ref());
            let owner = self.owners.of(hash).map(|(owner, _)| owner);
            let spoke = owner.is_none_or(|owner| id.is_some_and(|id| id.hash() == owner));
            if let Some(id) = id {
                self.owners.remove(hash, id);
            }
            if !spoke {
                return None;
            }
        }
        let sku = match (&self.mapping.sku, self.images.row_before()) {
            (Some(sku), Some(row)) => self.block.arena.field(sku, &row).ok(),
            _ => None,
        };
        let successor = successor.map(|key| key.record);
        Some(self.touch(key, After::Gone { successor, sku, cascade: false }, previous))
    }

    fn touch(&mut self, key: Key, after: After, previous: Option<(Decimal, Basis)>) -> u32 {
        let (table, mapping, row) = (self.table, self.place, Some(*self.row));
        let cause = Cause::of(self.row);
        self.block.touch(Touch { key, table, mapping, row, cause, after, previous, rows: 1 })
    }

    /// The measure of `key` as it was, when the log or the cache says: that of the row that spoke
    /// for the key.
    fn previous(&self, key: Key) -> Option<(Decimal, Basis)> {
        let measure = self.mapping.measure?;
        let (_, field) = self.mapping.quantities.iter().find(|(name, _)| *name == measure)?;
        let number = |row: &Row<'_>| field.number(row, &mut Quality::default());
        if self.mapping.owned {
            let (owner, _) = self.owners.of(self.hash(key))?;
            return Some((number(&Row::cached(self.rows.behind(owner)?))?, Basis::Cache));
        }
        let basis = match self.images.before {
            Some(_) if self.images.cached.is_none() => Basis::BeforeImage,
            _ => Basis::Cache,
        };
        Some((number(&self.images.row_before()?)?, basis))
    }
}
