use connector_api::RowChange;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::standing::{Arena, Key, Place};
use crate::stock::quantity::Decimal;
use crate::stock::{Basis, Operation};

/// What a touch leaves of its key.
#[derive(Debug, Clone, Copy)]
pub(super) enum After {
    /// A row stands behind it.
    Live,
    /// Its row is gone, or went on under another key.
    Gone {
        /// The record key the row has now.
        successor: Option<Place>,
        /// The SKU it last had, as far as known.
        sku: Option<Place>,
        /// Whether the source has not said so: a row that it cannot be without is gone.
        cascade: bool,
    },
}

/// The last change of one key within a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub(super) key: Key,
    pub(super) table: usize,
    pub(super) mapping: usize,
    /// The change of the row that speaks for the key, where the log alone says what it is.
    pub(super) row: Option<RowChange>,
    pub(super) cause: Cause,
    pub(super) after: After,
    /// The measure before the block, and how it is known.
    pub(super) previous: Option<(Decimal, Basis)>,
    /// Row changes folded into this one, itself included.
    pub(super) rows: u32,
}

/// What an event is published for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    /// Low part of the version.
    pub(super) ordinal: u32,
    /// What happened to the row.
    pub(super) operation: Operation,
}

impl Cause {
    pub(super) fn of(row: &RowChange) -> Self {
        let operation = match row.op {
            connector_api::Op::Insert => Operation::Insert,
            connector_api::Op::Update => Operation::Update,
            connector_api::Op::Delete => Operation::Delete,
        };
        Self { ordinal: row.ordinal, operation }
    }
}

/// The touches of one block of a transaction, the last for each key, in the order they came.
///
/// A block, not a batch, is the unit of folding: where a block ends depends on the log alone, so
/// a replay folds the same rows.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) arena: Arena,
    touches: Vec<Option<Touch>>,
    /// The hash of a key and a mapping, and the place of its last touch.
    by_key: HashTable<(u128, usize)>,
}

impl Block {
    /// Adds a touch; an earlier one of the same key and mapping is folded into it. Returns how
    /// many rows were folded away.
    pub(super) fn touch(&mut self, mut touch: Touch) -> u32 {
        let hash = self.hash(touch.key, touch.mapping);
        let place = self.touches.len();
        let same = |known: &(u128, usize)| known.0 == hash;
        let earlier = match self.by_key.entry(short(hash), same, |known| short(known.0)) {
            Entry::Occupied(mut known) => {
                let (_, at) = std::mem::replace(known.get_mut(), (hash, place));
                self.touches[at].take()
            }
            Entry::Vacant(vacant) => {
                vacant.insert((hash, place));
                None
            }
        };
        let folded = earlier.map_or(0, |earlier| earlier.rows);
        if let Some(earlier) = earlier {
            touch.previous = earlier.previous;
            touch.rows += earlier.rows;
        }
        self.touches.push(Some(touch));
        folded
    }

    /// Room that its touches take, in touches.
    pub(super) fn len(&self) -> usize {
        self.touches.len()
    }

    /// Whether a key of a mapping was touched already.
    pub(super) fn has(&self, key: Key, mapping: usize) -> bool {
        let hash = self.hash(key, mapping);
        let at = self.by_key.find(short(hash), |known| known.0 == hash);
        at.is_some_and(|(_, at)| self.touches[*at].is_some())
    }

    fn hash(&self, key: Key, mapping: usize) -> u128 {
        let record = self.arena.get(key.record).as_bytes();
        xxhash_rust::xxh3::xxh3_128_with_seed(record, mapping as u64)
    }

    /// The touches left, oldest first.
    pub(super) fn touches(&self) -> impl Iterator<Item = &Touch> {
        self.touches.iter().flatten()
    }

    /// Forgets the touches of a table: its rows went all at once.
    pub(super) fn forget(&mut self, table: usize) {
        for touch in &mut self.touches {
            if touch.as_ref().is_some_and(|touch| touch.table == table) {
                *touch = None;
            }
        }
        self.by_key.clear();
    }

    /// Forgets the touches of a mapping.
    pub(super) fn silence(&mut self, table: usize, mapping: usize) {
        for touch in &mut self.touches {
            if touch.as_ref().is_some_and(|one| (one.table, one.mapping) == (table, mapping)) {
                *touch = None;
            }
        }
    }

    /// Forgets everything, and keeps as much memory as an ordinary block needs.
    pub(super) fn clear(&mut self) {
        const KEPT: usize = 16 << 10;
        self.arena.clear();
        self.touches.clear();
        self.touches.shrink_to(KEPT);
        self.by_key.clear();
        self.by_key.shrink_to(KEPT, |known| short(known.0));
    }
}

/// A hash is its own hash.
fn short(hash: u128) -> u64 {
    hash as u64
}
