//! What consumers are told, and that it holds: the schemas, the rule, the example.

mod any;
mod broker;
mod contract;
mod document;
mod feed;
mod rule;
mod structure;
