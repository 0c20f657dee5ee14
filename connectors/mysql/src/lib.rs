//! MySQL and MariaDB by their binlogs, over a connection of our own: from the bytes of a log to row
//! changes.
//!
//! | module | owns |
//! |---|---|
//! | `config` | URL, TLS settings |
//! | `session` | login, TLS, queries, the switch to a dump; ordinary SQL |
//! | `doctor` | what the server must offer, and what decides whether its log is whole |
//! | `stream` | the task that owns the socket, and what the log leaves out |
//! | `log` | framing, checksums, and every event that is no row |
//! | `snapshot` | what is in tables already, chunk by chunk |
//! | `value` | one column of a row image, as `TYPES.md` says |
//! | `statement` | what the text of a statement means for captured tables |
//! | `position` | places and GTID sets, and whether a log can be continued |
//! | `decode` | events in their order to batches of row changes |
//! | `server_id` | the number by which a server knows a reader |

mod config;
mod connector;
pub mod decode;
#[doc(hidden)]
pub mod doctor;
pub mod log;
pub mod position;
mod server_id;
#[doc(hidden)]
pub mod session;
mod snapshot;
pub mod statement;
#[doc(hidden)]
pub mod stream;
pub mod value;

pub use config::{BadUrl, Host, MysqlConfig, SslMode, Tls};
pub use connector::MysqlConnector;
pub use server_id::{server_id, temporary_server_id};

#[cfg(test)]
mod fixtures;
