use super::block::{After, Touch};
use super::expression::Columns;
use super::field::{Field, Text};
use super::mapper::SourceIdentity;
use super::plan::{MappingPlan, TablePlan};
use super::row::Row;
use super::standing::{Arena, Place};
use super::transaction::Transaction;
use crate::stock::quantity::Decimal;
use crate::stock::{
    Basis, Change, EventKind, Item, Location, Operation, Origin, Provenance, Quality, QualityFlag,
    Quantities, SkuState, StockEvent, Version,
};

/// Buffers for texts that are read only when an event is made.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    sku: String,
    gtin: String,
    parent: String,
}

/// What is said of a key, beside the fields of `row`.
pub(super) struct Stated<'a, R> {
    pub(super) row: &'a R,
    pub(super) quantity: Quantities,
    pub(super) quality: Quality,
    /// Whether several rows could have given the SKU.
    pub(super) ambiguous: bool,
}

/// What all events of one transaction share.
pub(super) struct Emitter<'a> {
    pub(super) source: &'a SourceIdentity,
    pub(super) transaction: &'a Transaction,
    pub(super) table: &'a TablePlan,
    pub(super) mapping: &'a MappingPlan,
    pub(super) arena: &'a Arena,
}

impl Emitter<'_> {
    /// Whether the log alone says that the row of a key is there.
    pub(super) fn is_there(&self, touch: &Touch) -> bool {
        matches!(touch.after, After::Live) && !self.mapping.owned
    }

    /// The state of a key, read from `row`; `owners` live rows stand behind it.
    pub(super) fn level<R>(
        &self,
        touch: &Touch,
        (row, owners): (&Row<'_>, usize),
        scratch: &mut Scratch,
        emit: impl FnOnce(&StockEvent<'_>) -> R,
    ) -> R {
        let mut quality = Quality::default();
        let mut quantity = Quantities::default();
        for (measure, field) in &self.mapping.quantities {
            quantity.set(*measure, field.number(row, &mut quality));
        }
        if owners > 1 {
            quality.set(QualityFlag::SkuDuplicate);
        }
        if self.table.identity_width == 0 {
            quality.set(QualityFlag::NoPrimaryKey);
        }
        let stated = Stated { row, quantity, quality, ambiguous: false };
        self.stated(touch, stated, scratch, emit)
    }

    /// The state of a key whose quantities are reckoned already.
    pub(super) fn stated<R>(
        &self,
        touch: &Touch,
        stated: Stated<'_, impl Columns>,
        scratch: &mut Scratch,
        emit: impl FnOnce(&StockEvent<'_>) -> R,
    ) -> R {
        let Stated { row, quantity, mut quality, ambiguous } = stated;
        let measured = self.mapping.measure.and_then(|measure| quantity.get(measure));
        let change = self.change(touch, measured);
        let truth = |field: &Option<Field>| field.as_ref().and_then(|field| field.flag(row));
        let (active, tracked) = (truth(&self.mapping.active), truth(&self.mapping.tracked));
        if tracked == Some(false) {
            quality.set(QualityFlag::Untracked);
        }
        let mut item = self.item(touch.key.item, row, scratch, &mut quality);
        if ambiguous && item.sku.is_some() {
            item.sku_state = Some(SkuState::Ambiguous);
        }
        let event = StockEvent {
            kind: EventKind::Level,
            item,
            quantity,
            measure: self.mapping.measure,
            active,
            tracked,
            change,
            quality,
            ..self.bare(touch)
        };
        emit(&event)
    }

    /// A key that is gone.
    pub(super) fn removed<R>(
        &self,
        touch: &Touch,
        early: bool,
        emit: impl FnOnce(&StockEvent<'_>) -> R,
    ) -> R {
        let (successor, sku, cascade) = match touch.after {
            After::Gone { successor, sku, cascade } => (successor, sku, cascade),
            After::Live => (None, None, false),
        };
        let mut quality = Quality::default();
        if cascade {
            quality.set(QualityFlag::CascadeInferred);
        }
        if early {
            quality.set(QualityFlag::Partial);
        }
        let successor = successor.map(|place| self.arena.get(place));
        let sku = sku.map(|place| self.arena.get(place)).filter(|sku| !sku.is_empty());
        let item = Item { sku, ..self.bare(touch).item };
        let kind = EventKind::Removed { successor };
        let change = self.change(touch, None);
        emit(&StockEvent { kind, item, change, quality, ..self.bare(touch) })
    }

    /// A ledger row.
    pub(super) fn movement<R>(
        &self,
        touch: &Touch,
        row: &Row<'_>,
        scratch: &mut Scratch,
        emit: impl FnOnce(&StockEvent<'_>) -> R,
    ) -> R {
        let mut quality = Quality::default();
        let delta = self.mapping.delta.as_ref().and_then(|delta| {
            let mut sign = Quality::default();
            let delta = delta.number(row, &mut sign);
            quality.merge(sign.without(QualityFlag::Negative));
            delta
        });
        let item = self.item(touch.key.item, row, scratch, &mut quality);
        let basis = Some(Basis::SourceLedger);
        let change = Change { delta, basis, ..Change::default() };
        emit(&StockEvent { kind: EventKind::Movement, item, change, quality, ..self.bare(touch) })
    }

    /// A snapshot says how things are, not how they came about.
    fn change(&self, touch: &Touch, measured: Option<Decimal>) -> Change {
        if self.transaction.capture != Provenance::Stream {
            return Change::default();
        }
        let (previous, basis) = touch.previous.unzip();
        let delta = measured.zip(previous).and_then(|(now, before)| now.checked_sub(before).ok());
        Change { delta, previous, basis, rows: (touch.rows > 1).then_some(touch.rows) }
    }

    /// Everything that needs no row.
    fn bare<'b>(&'b self, touch: &Touch) -> StockEvent<'b> {
        let text = |place: Place| self.arena.get(place);
        StockEvent {
            kind: EventKind::Level,
            capture: self.transaction.capture,
            item: Item { id: text(touch.key.item), ..Item::default() },
            location: Location { id: text(touch.key.location), kind: None },
            bucket: touch.key.bucket.map(text),
            quantity: Quantities::default(),
            measure: None,
            unit: &self.mapping.unit,
            active: None,
            tracked: None,
            change: Change::default(),
            version: Version {
                epoch: self.source.epoch,
                coordinate: self.transaction.coordinate,
                ordinal: self.transaction.first_ordinal + touch.cause.ordinal,
            },
            committed_at_us: Some(self.transaction.committed_at_us),
            origin: Origin {
                table: &self.table.text,
                operation: match self.transaction.capture {
                    Provenance::Stream => touch.cause.operation,
                    _ => Operation::Read,
                },
                transaction: self.transaction.id(),
                position: &self.transaction.position,
                row: touch.cause.ordinal,
                mapping: &self.mapping.label,
            },
            quality: Quality::default(),
        }
    }

    fn item<'b>(
        &'b self,
        id: Place,
        row: &impl Columns,
        scratch: &'b mut Scratch,
        quality: &mut Quality,
    ) -> Item<'b> {
        let mut item = Item { id: self.arena.get(id), ..Item::default() };
        let Scratch { sku, gtin, parent } = scratch;
        if let Some(field) = &self.mapping.sku {
            sku.clear();
            match field.text(row, sku) {
                Text::Written if !sku.is_empty() => {
                    item.sku = Some(sku);
                    item.sku_state = Some(SkuState::Resolved);
                }
                Text::Absent => quality.set(QualityFlag::Partial),
                Text::Written | Text::Null => {
                    item.sku_state = Some(SkuState::Missing);
                    quality.set(QualityFlag::SkuMissing);
                }
            }
        }
        item.gtin = self.mapping.gtin.as_ref().and_then(|field| read(field, row, gtin));
        item.parent = self.mapping.parent.as_ref().and_then(|field| read(field, row, parent));
        item
    }
}

fn read<'b>(field: &Field, row: &impl Columns, buffer: &'b mut String) -> Option<&'b str> {
    buffer.clear();
    match field.text(row, buffer) {
        // Columns that may not be NULL are empty where there is nothing.
        Text::Written if !buffer.is_empty() => Some(buffer),
        Text::Written | Text::Null | Text::Absent => None,
    }
}

/// A published key that no row stands behind.
pub(super) struct Departed<'a> {
    pub(super) key: &'a str,
    pub(super) sku: Option<&'a str>,
    /// `schema.table`
    pub(super) table: &'a str,
    /// What is known of that table, if a mapping still speaks of it.
    pub(super) plan: Option<&'a TablePlan>,
    /// Place among those of one commit.
    pub(super) ordinal: u32,
}

/// The removal of a key of which nothing but the key is known.
pub(super) fn departed<R>(
    gone: &Departed<'_>,
    epoch: u32,
    transaction: &Transaction,
    emit: impl FnOnce(&StockEvent<'_>) -> R,
) {
    let parts: Vec<_> = gone.key.split('/').filter_map(crate::stock::key::decode).collect();
    let [_, _, item, location, bucket @ ..] = parts.as_slice() else { return };
    let mapping = gone.plan.and_then(|plan| plan.mappings.first());
    emit(&StockEvent {
        kind: EventKind::Removed { successor: None },
        capture: transaction.capture,
        item: Item { id: item, sku: gone.sku, ..Item::default() },
        location: Location { id: location, kind: None },
        bucket: bucket.first().map(AsRef::as_ref),
        quantity: Quantities::default(),
        measure: None,
        unit: mapping.map_or("EA", |mapping| &mapping.unit),
        active: None,
        tracked: None,
        change: Change::default(),
        version: Version {
            epoch,
            coordinate: transaction.coordinate,
            ordinal: transaction.first_ordinal + gone.ordinal,
        },
        committed_at_us: Some(transaction.committed_at_us),
        origin: Origin {
            table: gone.table,
            operation: Operation::Read,
            transaction: None,
            position: &transaction.position,
            row: gone.ordinal,
            mapping: mapping.map_or(gone.table, |mapping| &mapping.label),
        },
        quality: Quality::default(),
    });
}
