//! The binlog: from foreign bytes to events that borrow them.
//!
//! | file | owns |
//! |---|---|
//! | `kind`, `header` | what every event begins with |
//! | `format` | FORMAT_DESCRIPTION: who wrote the log, and whether its events carry checksums |
//! | `frame` | one event out of its bytes: its size and its checksum, proved |
//! | `file` | a whole log file as a run of events |
//! | `event` | [`Event`]: what an event says |
//! | `table_map`, `describe` | the shape of a table, and what `binlog_row_metadata` adds to it |
//! | `rows` | changed rows, their values still encoded |
//! | `query`, `gtid`, `mariadb`, `payload`, `heartbeat` | the other bodies |
//! | `inflate` | what a server has compressed |
//!
//! Any bytes may come in. Every read is checked, nothing is allocated for a length that is only
//! stated, and what does not fit is an error that says where. Column values are not read here.

mod cursor;
mod describe;
mod event;
mod file;
mod format;
mod frame;
mod gtid;
mod header;
mod heartbeat;
mod inflate;
mod kind;
mod mariadb;
mod payload;
mod query;
mod rows;
mod table_map;
#[cfg(test)]
mod tests;

pub use event::{Event, Incident, Rotate, XaPrepare};
pub use file::{Ending, LogFile};
pub use format::{Flavor, Format};
pub use frame::{Frame, Framing};
pub use gtid::{Gtid, GtidOwner};
pub use header::{HEADER_BYTES, Header};
pub use heartbeat::Heartbeat;
pub use inflate::Content;
pub use kind::Kind;
pub use mariadb::{MariadbGtid, MariadbGtidList};
pub use payload::{Payload, PayloadEvents, Unpacker};
pub use query::Query;
pub use rows::{Rows, RowsOp};
pub use table_map::{Column, TableMap};

/// The largest event that is read, in bytes: servers allow packets of 1 GiB, with some room for
/// what stands around one.
pub const EVENT_BYTES_MAX: u64 = (1 << 30) + (1 << 16);
