use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::{Quality, Version};
use crate::stock::quantity::Decimal;

/// A tenant's name, the first part of every key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SellerId(Arc<str>);

/// One database of a tenant, the second part of every key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// The name as given in the seller's file.
            pub fn new(name: &str) -> Self {
                Self(name.into())
            }

            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(SellerId);
name!(SourceName);

/// What an event states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind<'a> {
    /// The state of the key after the change.
    Level,
    /// A change of the key by a ledger row; no state.
    Movement,
    /// The source no longer has the key. Not the same as a quantity of zero.
    Removed {
        /// The record key that the row has now, when its key changed.
        successor: Option<&'a str>,
    },
}

/// How the event came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the event itself")]
pub enum Provenance {
    Stream,
    Snapshot,
    Poll,
    Reconcile,
}

/// How sure `sku` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the event itself")]
pub enum SkuState {
    Resolved,
    Missing,
    Ambiguous,
    Pending,
}

/// The thing in stock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Item<'a> {
    /// Source-native and stable.
    pub id: &'a str,
    /// What the marketplace knows it by.
    pub sku: Option<&'a str>,
    /// How sure `sku` is; `None` when the mapping has no SKU.
    pub sku_state: Option<SkuState>,
    /// Global trade item number.
    pub gtin: Option<&'a str>,
    /// The item this is a variant of.
    pub parent: Option<&'a str>,
}

/// Where it is in stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// Source-native; `_` when the source has a single stock.
    pub id: &'a str,
    /// `warehouse`, `store`, `channel`, `aggregate`, `unknown`.
    pub kind: Option<&'a str>,
}

/// One of the core quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the words of the event itself")]
pub enum Measure {
    OnHand,
    Available,
    Reserved,
    Incoming,
}

impl Measure {
    /// The name in events and in seller files.
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::OnHand => "on_hand",
            Measure::Available => "available",
            Measure::Reserved => "reserved",
            Measure::Incoming => "incoming",
        }
    }
}

/// The core quantities by [`Measure`]; `None` is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Physically there.
    pub on_hand: Option<Decimal>,
    /// Free to sell.
    pub available: Option<Decimal>,
    /// Promised.
    pub reserved: Option<Decimal>,
    /// Expected.
    pub incoming: Option<Decimal>,
}

impl Quantities {
    /// One of them.
    pub fn get(&self, measure: Measure) -> Option<Decimal> {
        match measure {
            Measure::OnHand => self.on_hand,
            Measure::Available => self.available,
            Measure::Reserved => self.reserved,
            Measure::Incoming => self.incoming,
        }
    }

    /// Sets one of them.
    pub fn set(&mut self, measure: Measure, quantity: Option<Decimal>) {
        match measure {
            Measure::OnHand => self.on_hand = quantity,
            Measure::Available => self.available = quantity,
            Measure::Reserved => self.reserved = quantity,
            Measure::Incoming => self.incoming = quantity,
        }
    }
}

/// Where `previous` and `delta` come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the event itself")]
pub enum Basis {
    BeforeImage,
    Cache,
    SourceLedger,
}

/// How the state came about, as far as known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Signed change of the event's measure.
    pub delta: Option<Decimal>,
    /// The measure before.
    pub previous: Option<Decimal>,
    /// Where the two come from.
    pub basis: Option<Basis>,
    /// Row changes folded into this event, when more than one.
    pub rows: Option<u32>,
}

/// The change at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the event itself")]
pub enum Operation {
    Insert,
    Update,
    Delete,
    Truncate,
    Read,
}

/// Where an event comes from. Engine and database are the source's and known to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `schema.table`.
    pub table: &'a str,
    /// What happened to the row.
    pub operation: Operation,
    /// The transaction's id as the database prints it.
    pub transaction: Option<&'a str>,
    /// The transaction's place in the log as the database prints it.
    pub position: &'a str,
    /// The row's ordinal in its transaction.
    pub row: u32,
    /// The mapping and its revision: `public.stock@1`.
    pub mapping: &'a str,
}

/// One stock event. Seller and source are the encoder's.
#[derive(Debug, Clone, PartialEq)]
pub struct StockEvent<'a> {
    /// What it states.
    pub kind: EventKind<'a>,
    /// How it came to be known.
    pub capture: Provenance,
    /// The thing.
    pub item: Item<'a>,
    /// The place.
    pub location: Location<'a>,
    /// Lot, package, owner.
    pub bucket: Option<&'a str>,
    /// How much.
    pub quantity: Quantities,
    /// Which quantity is read, not derived.
    pub measure: Option<Measure>,
    /// UN/ECE recommendation 20.
    pub unit: &'a str,
    /// Whether the offer is enabled at the source.
    pub active: Option<bool>,
    /// Whether the quantities bind the seller.
    pub tracked: Option<bool>,
    /// How the state came about.
    pub change: Change,
    /// Order among the key's events.
    pub version: Version,
    /// Commit time of the source, microseconds since 1970 UTC.
    pub committed_at_us: Option<i64>,
    /// Where it comes from.
    pub origin: Origin<'a>,
    /// How good the numbers are.
    pub quality: Quality,
}
