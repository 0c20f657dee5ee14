use std::collections::BTreeSet;

use connector_api::{Batch, Begin, RowChange, SourceEvent, TableName};

use super::block::{After, Block, Cause, Touch};
use super::change::{Change, Doubt, Images};
use super::complete::BYTES_MAX;
use super::definition::Kind;
use super::emit::{Emitter, Scratch};
use super::held::Held;
use super::level::Level;
use super::memory::{Outdated, TableState};
use super::notice::Notice;
use super::plan::{Plan, TablePlan};
use super::row::{Binding, Row};
use super::standing::Unusable;
use super::transaction::{Rejected, Transaction};
use super::watch::Watch;
use crate::state::{KeyHash, Owners, RowsDelta};
use crate::stock::encode::{Encoder, Records};
use crate::stock::{Provenance, SellerId, SourceName};

/// Why a table is to be read of which more has changed than is said at once.
const LOOKED_UP: &str = "more rows than can be published at once look up a row that changed";
const TOO_LONG: &str = "more than can be published at once follows from its rows";

/// Whose events are made.
#[derive(Debug, Clone)]
pub struct SourceIdentity {
    /// Tenant.
    pub seller: SellerId,
    /// Database of the tenant.
    pub source: SourceName,
    /// High part of every version.
    pub epoch: u32,
}

/// What happened to the rows of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Captured row changes.
    pub rows: u64,
    /// Of them, those that changed nothing a mapping speaks of.
    pub filtered: u64,
    /// Of them, those folded into a later state of their key.
    pub coalesced: u64,
}

/// Everything that follows from one batch.
#[derive(Debug, Default)]
pub struct Mapped {
    /// Encoded events.
    pub records: Records,
    /// Rows for the dead letters.
    pub rejected: Vec<Rejected>,
    /// For the control topic.
    pub notices: Vec<Notice>,
    /// Changed cached rows by table.
    pub rows: Vec<(String, RowsDelta)>,
    /// Numbers for metrics.
    pub counts: Counts,
    /// The source's commit time of the oldest transaction in the batch.
    pub oldest_committed_at_us: Option<i64>,
}

/// Maps batches to events. It changes its own state as it goes: a commit that fails is resent as
/// it is, and where that is impossible the mapper is thrown away and loaded anew from the store.
#[derive(Debug)]
pub struct Mapper {
    pub(super) source: SourceIdentity,
    pub(super) encoder: Encoder,
    pub(super) plan: Plan,
    pub(super) tables: Vec<TableState>,
    pub(super) outdated: Outdated,
    /// Whether rows went all at once of which the store has not been told.
    pub(super) lags: bool,
    pub(super) bindings: Vec<Binding>,
    pub(super) transaction: Transaction,
    pub(super) folding: Block,
    pub(super) immediate: Block,
    pub(super) held: Held,
    pub(super) scratch: Scratch,
    /// Memory for the next events.
    pub(super) blank: Records,
    pub(super) watch: Watch,
    /// Mappings that the row at hand is not for.
    pub(super) passed_over: Vec<usize>,
    /// Tables that a snapshot is due of.
    pub(super) dirty: BTreeSet<usize>,
    /// Whether rows were loaded that derived mappings have not been told of.
    pub(super) unlinked: bool,
    /// Whether rows are told apart otherwise than the plan has it.
    pub(super) outlived: bool,
    /// Whether rows are captured as an earlier plan had it.
    inherits: bool,
}

impl Mapper {
    /// A mapper that remembers nothing yet.
    pub fn new(source: SourceIdentity, encoder: Encoder, plan: Plan) -> Self {
        let tables = plan.tables.iter().map(TableState::new).collect();
        Self {
            source,
            encoder,
            plan,
            tables,
            outdated: Outdated::default(),
            lags: false,
            bindings: Vec::new(),
            transaction: Transaction::default(),
            folding: Block::default(),
            immediate: Block::default(),
            held: Held::default(),
            scratch: Scratch::default(),
            blank: Records::default(),
            passed_over: Vec::new(),
            unlinked: false,
            outlived: false,
            inherits: false,
            watch: Watch::default(),
            dirty: BTreeSet::new(),
        }
    }

    /// Names the tables that a snapshot is due of, as `schema.table`: what cannot be known of their
    /// rows is left to it.
    pub fn set_dirty<'a>(&mut self, tables: impl Iterator<Item = &'a String>) {
        let place = |name: &String| self.plan.tables.iter().position(|table| table.text == *name);
        self.dirty = tables.filter_map(place).collect();
    }

    /// Whether the rows to come are those of a transaction that was begun under an earlier plan,
    /// and are captured as that had it.
    pub fn set_inherits(&mut self, inherits: bool) {
        self.inherits = inherits;
    }

    /// Whether the log has come to where the rows of a table are told apart otherwise than the plan
    /// has it. Nothing but a plan made anew helps.
    pub fn is_outlived(&self) -> bool {
        self.outlived
    }

    /// Maps one batch.
    pub fn apply(&mut self, batch: &Batch) -> Mapped {
        let mut out = self.blank();
        self.link();
        self.forget_shapes();
        let mut open = false;
        for event in batch.events() {
            match event {
                SourceEvent::Begin(begin) => {
                    // The transaction before may have ended exactly with a block.
                    if begin.first_ordinal == 0 {
                        self.held.release(&self.tables, &mut out.records);
                    }
                    self.begin(batch, begin);
                    out.oldest_committed_at_us.get_or_insert(begin.committed_at_us);
                    open = true;
                }
                SourceEvent::Row(row) => self.row(batch, row, &mut out),
                SourceEvent::Commit => {
                    self.flush(batch, Which::Folding, &mut out);
                    self.held.release(&self.tables, &mut out.records);
                    open = false;
                }
                other => self.table_event(batch, other, &mut out),
            }
        }
        if open {
            self.flush(batch, Which::Folding, &mut out);
        }
        if batch.partial().is_none() {
            self.held.release(&self.tables, &mut out.records);
        }
        self.collect_rows(&mut out);
        out
    }

    fn begin(&mut self, batch: &Batch, begin: &Begin) {
        let txid = batch.text(begin.txid);
        let transaction = &mut self.transaction;
        transaction.capture = Provenance::Stream;
        transaction.first_ordinal = 0;
        transaction.coordinate = begin.coordinate;
        transaction.committed_at_us = begin.committed_at_us;
        transaction.txid.clear();
        transaction.txid.push_str(txid);
        transaction.position.clear();
        transaction.position.push_str(batch.text(begin.position));
        transaction.continues = batch.partial().is_some_and(|partial| partial.txid == txid);
    }

    fn table_event(&mut self, batch: &Batch, event: &SourceEvent, out: &mut Mapped) {
        let position = self.transaction.position.clone();
        let notice = match event {
            SourceEvent::TableCleared { table, cause, .. } => {
                let table = batch.table(*table).name.clone();
                self.clear(&table);
                Notice::ScopeCleared { table, position, cause: *cause }
            }
            SourceEvent::Unreadable { table, reason, .. } => {
                let table = batch.table(*table).name.clone();
                Notice::Unreadable { table, position, reason: reason.to_string() }
            }
            SourceEvent::SchemaChanged { table } => {
                let schema = batch.table(*table);
                let table = schema.name.clone();
                let mut known = self.bindings.iter().filter(|known| known.is_of_log);
                let last = known.rfind(|known| known.schema.name == table);
                if last.is_some_and(|last| last.is_rekeyed(schema)) {
                    self.rekey(&table, out);
                }
                let columns = schema.columns.iter().map(|column| column.name.clone()).collect();
                Notice::SchemaChanged { table, columns }
            }
            SourceEvent::Begin(_) | SourceEvent::Row(_) | SourceEvent::Commit => return,
        };
        out.notices.push(notice);
    }

    /// All rows of a table are gone: what was remembered of them goes too.
    pub(super) fn clear(&mut self, name: &TableName) {
        let Some(table) = self.plan.place_of(name) else { return };
        self.folding.forget(table);
        self.tables[table].rows.clear();
        self.tables[table].owners.iter_mut().for_each(Owners::clear);
        if self.plan.tables[table].derives {
            self.forget_derived(table);
        }
    }

    pub(super) fn row(&mut self, batch: &Batch, row: &RowChange, out: &mut Mapped) {
        out.counts.rows += 1;
        let Some(place) = bind(&mut self.bindings, batch, row.table, &self.plan) else {
            out.counts.filtered += 1;
            return;
        };
        let Ok(table) = self.bindings[place].table else {
            return self.unfit(batch, row, place, out);
        };
        let streams = self.transaction.capture == Provenance::Stream;
        self.look_at_key(place, table, out);
        let binding = &self.bindings[place];
        let plan = &self.plan.tables[table];
        let state = &mut self.tables[table];
        let images = Images::of(batch, row, binding, plan, &state.rows);
        let who = (&self.source.seller, &self.source.source);
        let mut doubt = None;
        if self.watch.is_of(table) && streams {
            self.watch.note(&self.transaction, plan, images.both(), who);
            doubt = Doubt::of(&images, plan, &state.rows);
        }
        let mut touched = false;
        for ((place, mapping), owners) in plan.mappings.iter().enumerate().zip(&mut state.owners) {
            // What stands in a ledger has been published when it came in, or before anybody asked.
            let is_past = mapping.kind == Kind::Movement && !streams;
            if mapping.derived || is_past || self.passed_over.contains(&place) {
                continue;
            }
            let block = if mapping.coalesce && mapping.kind == Kind::Level {
                &mut self.folding
            } else {
                &mut self.immediate
            };
            let (images, rows) = (&images, &state.rows);
            let mut change = Change { place, mapping, table, row, images, block, owners, rows };
            match change.apply(who) {
                Ok(Some(folded)) => {
                    out.counts.coalesced += u64::from(folded);
                    touched = true;
                }
                Ok(None) => {}
                // The snapshot that is due says the rest.
                Err(Unusable::Unseen(_)) if self.dirty.contains(&table) => {}
                Err(unusable) => {
                    touched = true;
                    let reason = unusable.into_reason();
                    out.rejected.push(self.transaction.reject(batch, row, reason));
                }
            }
        }
        if plan.derives {
            let moved = images.into_moved(plan, row);
            let derived = self.derive(moved, table, Cause::of(row), out.records.len());
            self.crowd(&derived.crowded, LOOKED_UP, out);
            out.counts.coalesced += derived.folded;
            touched |= derived.touched;
            if let Some(unusable) = derived.unusable {
                touched = true;
                let reason = unusable.into_reason();
                out.rejected.push(self.transaction.reject(batch, row, reason));
            }
        } else if plan.cached {
            images.remember(plan, &mut state.rows);
        }
        out.counts.filtered += u64::from(!touched);
        if let Some(doubt) = doubt {
            self.doubt(table, &doubt, out);
        }
        self.flush(batch, Which::Immediate, out);
    }

    /// More has changed in these tables than is said at once: it is said as they are read.
    fn crowd(&self, tables: &BTreeSet<usize>, reason: &str, out: &mut Mapped) {
        for table in tables {
            let table = self.plan.tables[*table].name.clone();
            let position = self.transaction.position.clone();
            let notice = Notice::Unreadable { table, position, reason: reason.to_owned() };
            if !out.notices.contains(&notice) {
                out.notices.push(notice);
            }
        }
    }

    /// A row of a table that lacks a column. What becomes of its rows meanwhile nobody knows.
    fn unfit(&mut self, batch: &Batch, row: &RowChange, place: usize, out: &mut Mapped) {
        let Err(missing) = &mut self.bindings[place].table else { return };
        let reason = match self.inherits {
            // What its mapping means has changed: the snapshot that is due says the rest.
            true if self.dirty.contains(&missing.table) => return self.watch.lose(missing.table),
            true => format!("column {} was not captured when this began", missing.column),
            false => format!("column {} is not in the table any more", missing.column),
        };
        out.rejected.push(self.transaction.reject(batch, row, reason.clone()));
        self.watch.lose(missing.table);
        if !std::mem::replace(&mut missing.told, true) {
            let (table, position) = (batch.table(row.table), self.transaction.position.clone());
            out.notices.push(Notice::Unreadable { table: table.name.clone(), position, reason });
        }
    }

    /// Part of a row is only known from before its table was begun to be read.
    fn doubt(&mut self, table: usize, doubt: &Doubt, out: &mut Mapped) {
        let state = &mut self.tables[table];
        if doubt.is_old {
            state.rows.doubt(&doubt.id);
        }
        // Under its new identity it may stand where all has been read already.
        let is_partial = doubt.is_old || !state.has_whole(&doubt.id);
        if doubt.has_moved && is_partial && state.rows.get(&doubt.id).is_some() {
            let table = self.plan.tables[table].name.clone();
            let position = self.transaction.position.clone();
            let reason = "a row got another primary key before it was read, and the log does not \
                          hold all of it";
            out.notices.push(Notice::Unreadable { table, position, reason: reason.to_owned() });
        }
    }

    /// Shapes pile up when a shop alters its tables all the time. Between batches nothing is left
    /// to be read with them.
    pub(super) fn forget_shapes(&mut self) {
        const KEPT: usize = 256;
        if self.bindings.len() > KEPT {
            self.bindings.clear();
        }
    }

    /// Makes an event of every touch that is left.
    pub(super) fn flush(&mut self, batch: &Batch, which: Which, out: &mut Mapped) {
        let block = match which {
            Which::Folding => &self.folding,
            Which::Immediate => &self.immediate,
        };
        let holds = which == Which::Folding && self.transaction.continues;
        let mut crowded = BTreeSet::new();
        for touch in block.touches() {
            let plan = &self.plan.tables[touch.table];
            let emitter = Emitter {
                source: &self.source,
                transaction: &self.transaction,
                table: plan,
                mapping: &plan.mappings[touch.mapping],
                arena: &block.arena,
            };
            let key = block.arena.get(touch.key.record);
            self.held.supersede(key);
            let (table, mapping) = (touch.table, touch.mapping);
            let derived = emitter.mapping.derived;
            if derived && out.records.bytes() > BYTES_MAX {
                crowded.insert(table);
                continue;
            }
            let level = derived
                .then(|| Level::of(&self.plan, &self.tables, (table, mapping), key.as_bytes()))
                .flatten();
            if let Some(level) = level {
                emitter.stated(touch, level.stated(), &mut self.scratch, |event| {
                    out.records.push(&self.encoder, event);
                });
                continue;
            }
            let row = row_behind((plan, &self.tables[table]), &self.bindings, batch, (touch, key));
            let (records, encoder) = (&mut out.records, &self.encoder);
            match row {
                Some((row, _)) if emitter.mapping.kind == Kind::Movement => {
                    emitter.movement(touch, &row, &mut self.scratch, |event| {
                        records.push(encoder, event)
                    })
                }
                Some((row, owners)) => {
                    emitter.level(touch, (&row, owners), &mut self.scratch, |event| {
                        records.push(encoder, event);
                    });
                }
                // Whatever hides it, a row that is there is not gone.
                None if emitter.is_there(touch) => {}
                None if emitter.mapping.grace_us == 0 && !holds => {
                    emitter.removed(touch, false, |event| records.push(encoder, event));
                }
                None => {
                    let grace_us = emitter.mapping.grace_us;
                    let early = self.held.is_full(grace_us);
                    let mut removal = Records::default();
                    emitter.removed(touch, early, |event| removal.push(encoder, event));
                    match early {
                        true => records.append(&removal),
                        false => self.held.hold(key, grace_us, removal),
                    }
                }
            }
        }
        match which {
            Which::Folding => self.folding.clear(),
            Which::Immediate => self.immediate.clear(),
        }
        self.crowd(&crowded, TOO_LONG, out);
    }
}

/// The row that speaks for a touched key, and how many stand behind it.
fn row_behind<'a>(
    (plan, state): (&'a TablePlan, &'a TableState),
    bindings: &'a [Binding],
    batch: &'a Batch,
    (touch, key): (&Touch, &str),
) -> Option<(Row<'a>, usize)> {
    if plan.mappings[touch.mapping].owned {
        let (row, owners) = state.owners[touch.mapping].of(KeyHash::of(key.as_bytes()))?;
        return Some((Row::cached(state.rows.behind(row)?), owners));
    }
    let row = touch.row.filter(|_| matches!(touch.after, After::Live))?;
    let shape = batch.table(row.table);
    let same = |binding: &&Binding| std::sync::Arc::ptr_eq(&binding.schema, shape);
    let binding = bindings.iter().find(same)?;
    let (image, before) = (batch.after(&row)?, batch.before(&row));
    let view = binding.row(image, None).behind(before);
    let id = if plan.cached { view.id(plan.identity_width) } else { None };
    let cached = id.and_then(|id| state.rows.get(&id));
    Some((binding.row(image, cached).behind(before), 1))
}

/// Which block of touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Folded per key until the block of the transaction ends.
    Folding,
    /// Published one by one.
    Immediate,
}

/// The place of the binding for a table of `batch`; `None` when no mapping speaks of it.
pub(super) fn bind(
    bindings: &mut Vec<Binding>,
    batch: &Batch,
    table: u32,
    plan: &Plan,
) -> Option<usize> {
    let schema = batch.table(table);
    let same = |binding: &Binding| std::sync::Arc::ptr_eq(&binding.schema, schema);
    if let Some(place) = bindings.iter().position(same) {
        return Some(place);
    }
    bindings.push(Binding::new(schema, &plan.tables)?);
    Some(bindings.len() - 1)
}
