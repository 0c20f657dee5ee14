//! What sellers share: one writer that commits whatever is queued the moment the previous commit
//! has finished. Alone when idle, thousands of events under load; no timer delays an event.

mod fair;
mod writer;

pub use writer::{Receipt, Shard, Stopped, Submission, Tempo, leave, run};
