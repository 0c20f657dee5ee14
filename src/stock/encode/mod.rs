//! From an event to the bytes that are published.

mod json;
mod records;
mod schema;
mod time;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use json::Encoder;
pub use records::{Damaged, Entry, RecordKind, Records};
pub use schema::json_schema;
pub use time::timestamp;
