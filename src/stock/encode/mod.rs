//! From an event to the bytes that are published.

mod asyncapi;
mod cloudevents;
mod json;
mod records;
mod remark;
mod schema;
mod time;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use asyncapi::asyncapi;
pub use cloudevents::{CloudEvents, Header, Remark};
pub use json::Encoder;
pub use records::{Damaged, Entry, RecordKind, Records};
pub use remark::{Rejection, control_value, dead_letter_value, source_key};
pub use schema::json_schema;
pub use time::timestamp;
