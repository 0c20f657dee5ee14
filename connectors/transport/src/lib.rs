//! What a replication connection is made of, whichever server is at its other end.
//!
//! | file | owns |
//! |---|---|
//! | `connections` | how many there may be |
//! | `host` | where a server listens |
//! | `socket` | reading bytes without being woken for each of them |
//! | `wire` | bytes in both directions, in the clear or under TLS |
//! | `tls`, `verify` | who the server must prove to be, and what is said when it does not |
//! | `read_buffer` | what has arrived and is not decoded yet |
//! | `backlog` | how many bytes are worth being woken for |
//! | `task` | the task that reads, and what it has ready |
//! | `url` | where a database is, as people write it |

mod backlog;
mod connections;
mod host;
mod read_buffer;
mod socket;
mod task;
mod tls;
mod url;
mod verify;
mod wire;

pub use backlog::Backlog;
pub use connections::{Connections, Place};
pub use host::Host;
pub use read_buffer::ReadBuffer;
pub use socket::Socket;
pub use task::ReaderTask;
pub use tls::{Check, TlsSettings, Words, client_config, handshake_error, is_tls, not_offered};
pub use url::{BadUrl, Family, Parts, decode};
pub use wire::Wire;
