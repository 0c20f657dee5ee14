//! What consumers are told, and that it holds: the schemas, the rule, the example.

mod any;
mod broker;
mod contract;
mod document;
mod feed;
mod rule;
mod structure;

/// The program of the document, as it stands there.
#[path = "../../examples/consumer/main.rs"]
#[allow(dead_code, reason = "its entrance is run as a process of its own")]
mod consumer;
