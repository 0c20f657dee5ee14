//! The connector against real servers.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod binlog;
mod images;
mod recorded;
mod replica;
mod values;
