//! MySQL and MariaDB binlogs: from the bytes of a log to row changes.

pub mod log;
