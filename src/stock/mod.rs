//! What we say: the canonical stock event.

/// From an event to the bytes that are published.
pub mod encode;
mod event;
/// Record keys.
pub mod key;
mod quality;
/// Exact decimals.
pub mod quantity;
mod version;

pub use event::{
    Basis, Change, EventKind, Item, Location, Measure, Operation, Origin, Provenance, Quantities,
    SellerId, SkuState, SourceName, StockEvent,
};
pub use quality::{Quality, QualityFlag};
pub use version::{NotAVersion, SYNTHETIC_ORDINAL, Version, VersionText};
