//! Real servers for tailstock's tests, demo and benches.
//!
//! A test asks for a server and gets one of its own, on 127.0.0.1 and a free port, that is gone
//! when the value is dropped, and also when the test process is killed:
//!
//! ```no_run
//! use testbed::{PgVersion, PostgresOptions, postgres_or_skip};
//!
//! let options = PostgresOptions::default().setting("wal_sender_timeout", "4s");
//! let Some(server) = postgres_or_skip(PgVersion::V15, options, "a stalled sink keeps its slot")
//! else {
//!     return;
//! };
//! server.execute("create table stock (id int primary key, on_hand int)").expect("SQL");
//! ```
//!
//! Nothing here is asynchronous: every call blocks, also inside an asynchronous test.
//!
//! | file | answers |
//! |---|---|
//! | `postgres/` | how a cluster is made, started, spoken to and stopped |
//! | `mysql/` | the same for MySQL and MariaDB |
//! | `kafka/` | how a broker is fetched, started and stopped |
//! | `source/` | where the programs come from: environment, Docker, installed, unpacked tree |
//! | `place.rs` | where trees and data live on this machine, and who clears up after a crash |
//! | `account.rs` | who servers run as when the caller is root |
//! | `process.rs` | one server process, bound to the life of this one |

mod account;
mod kafka;
mod mysql;
mod place;
mod postgres;
mod process;
mod skip;
mod source;

pub use kafka::{Kafka, KafkaOptions};
pub use mysql::{Mysql, MysqlOptions, MysqlVersion, all_mysql_versions};
pub use postgres::{
    PgVersion, Postgres, PostgresOptions, ServerError, StartError, StopMode, TlsFiles, all_versions,
};
pub use skip::{
    kafka_or_skip, mysql_or_skip, postgres_or_skip, shared_mysql_or_skip, skip_unmounted,
};
