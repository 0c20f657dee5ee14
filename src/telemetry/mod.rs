//! What this process tells about itself: log lines, metrics, and how every source stands.
//!
//! | file | owns |
//! |---|---|
//! | `names` | every metric's name and meaning |
//! | `metrics` | the registry, and counters resolved once for each source |
//! | `status` | the [`StatusBoard`]: how every source stands, for status, health and gauges |
//! | `process` | memory and processor time of this process |
//! | `logging` | log lines |
//!
//! A label is a seller's or a source's name, both of which stand in a file; never a value of a row.

mod logging;
mod metrics;
pub mod names;
mod process;
mod status;

pub use logging::start_logging;
pub use metrics::{Metrics, SourceCounters};
pub use status::{Readiness, SourceReport, SourceStatus, StatusBoard};
