//! What we remember between commits: the checkpoint of a source, its cached rows and the owners
//! of its keys. Everything here is written in the commit of the events it caused.

mod checkpoint;
mod forgotten;
mod owners;
mod rows;

pub use checkpoint::{
    Checkpoint, MappingRevision, SnapshotPhase, TableSnapshot, UnusableCheckpoint,
};
pub use forgotten::{Recalled, epoch_of, forgotten};
pub use owners::Owners;
pub use rows::{CachedRow, RowId, RowsDelta, TableRows, UnusableRow};
