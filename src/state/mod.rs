//! What we remember between commits: the checkpoint of a source, its cached rows and the owners
//! of its keys. Everything here is written in the commit of the events it caused.
//!
//! Of a cached row the row itself is kept and nothing twice: beside its values it costs at most 150
//! bytes, the owner of its key included, and a test counts them.

mod checkpoint;
mod forgotten;
mod id;
mod owners;
mod row;
mod rows;

pub use checkpoint::{
    Checkpoint, MappingRevision, SnapshotPhase, TableSnapshot, UnusableCheckpoint,
};
pub use forgotten::{Recalled, epoch_of, forgotten};
pub use id::{RowHash, RowId};
pub use owners::{KeyHash, Owners};
pub use row::{CachedRow, UnusableRow};
pub use rows::{RowsDelta, TableRows};
