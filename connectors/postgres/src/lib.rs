//! PostgreSQL 13 to 18 by logical replication: pgoutput, protocol 1, text, over a connection of
//! our own.
//!
//! | file | owns |
//! |---|---|
//! | `config` | URL, TLS settings, slot |
//! | `session` | login, TLS, queries on a replication connection; ordinary SQL |
//! | `stream` | the task that owns the socket, its frames and its timers |
//! | `decode` | pgoutput messages to row changes |
//! | `snapshot` | what is in tables already, in chunks |
//! | `types` | a type's text to a value; `TYPES.md` lists them |
//! | `doctor` | what the server must offer, and whether the log is whole |
//! | `position` | log positions and lineages |

mod config;
mod connector;
#[doc(hidden)]
pub mod decode;
mod doctor;
mod position;
mod session;
mod snapshot;
#[doc(hidden)]
pub mod stream;
mod types;

pub use config::{BadUrl, Host, PostgresConfig, Role, Slot, SslMode, Tls};
pub use connector::{PostgresConnector, slot_name};
