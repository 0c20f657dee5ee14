//! What we say: the canonical stock event.

mod event;
mod quality;
/// Exact decimals.
pub mod quantity;
mod version;

pub use event::{
    Basis, Change, EventKind, Item, Location, Measure, Operation, Origin, Provenance, Quantities,
    SellerId, SkuState, SourceName, StockEvent,
};
pub use quality::{Quality, QualityFlag};
pub use version::{SYNTHETIC_ORDINAL, Version};
