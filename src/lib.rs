//! tailstock: change data capture from sellers' shop databases to one stream of stock events.
//!
//! The way of a row, and the map of the house:
//!
//! ```text
//!  seller DB --log--> ChangeStream ---> seller --------> shard writer ---> Kafka | SQLite
//!                     connectors/*      src/seller        src/shard + src/sink
//!                     decode only the   map, remember,    ONE atomic commit:
//!                     mapped columns    encode            events + levels + rows + checkpoint
//!                          ^                                   |
//!                          +---------- confirm(position) <-----+   only after that commit
//! ```
//!
//! | folder | owns | pure |
//! |---|---|---|
//! | [`stock`] | what we say: event, key, quantity, version, quality flags, encodings | yes |
//! | [`mapping`] | what a row means: SQL expressions, the plan of a mapping, applying it | yes |
//! | [`state`] | what we remember: checkpoint, cached rows, owners of keys | yes |
//! | [`progress`] | what is safe: ledger, resume decision, lifecycle | yes |
//! | [`config`] | files to checked types, secrets | |
//! | [`seller`] | one seller's stream loop | |
//! | [`shard`] | what sellers share: the group-commit writer | |
//! | [`fleet`] | starts, restarts and stops sellers; never sees a row | |
//! | [`sink`] | the atomic commit: Kafka, SQLite, discard | |
//! | [`http`], [`telemetry`], [`cli`] | metrics, health and API; logs; one file a command | |
//!
//! Pure folders know no clock, no I/O, no logging and no database; a test enforces it.
//! Invariant, per lineage of a log: confirmed <= checkpointed <= published-durable <= read.

pub mod cli;
pub mod config;
pub mod fleet;
pub mod http;
pub mod mapping;
pub mod progress;
pub mod seller;
pub mod shard;
pub mod sink;
pub mod state;
pub mod stock;
pub mod telemetry;
