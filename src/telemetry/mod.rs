//! What this process tells about itself: log lines, metrics, and how every source stands.
//!
//! | file | owns |
//! |---|---|
//! | `names` | every metric's name and meaning |
//! | `metrics` | the registry, and counters resolved once for each source |
//! | `status` | the [`StatusBoard`]: how every source stands, for status, health and gauges |
//! | `stall` | whether the sink takes what is committed |
//! | `snapshot` | how far a table is that is read as a whole |
//! | `process` | memory and processor time of this process |
//! | `logging` | log lines |
//! | `panics` | what is told of a panic |
//!
//! A label is a seller's or a source's name, both of which stand in a file; never a value of a row.

mod logging;
mod metrics;
pub mod names;
mod panics;
mod process;
mod snapshot;
mod stall;
mod status;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

pub use logging::start_logging;
pub use metrics::{BrokerMetrics, ShardMetrics};
pub use panics::{keep_panics_quiet, panicked};
pub use snapshot::{SnapshotProgress, SnapshotStatus};
pub use status::{Readiness, SellerMetrics, SourceStatus, StatusBoard};

/// Everything a part of the process needs to tell about itself. Clones are the same one.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// How every source stands, and the metrics.
    pub board: Arc<StatusBoard>,
}

/// Microseconds since 1970 UTC by this machine's clock.
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// An error with everything that caused it, on one line.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> Chain<'a> {
    Chain(error)
}

/// See [`chain`].
pub struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
