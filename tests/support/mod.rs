//! What the end-to-end tests stand on: a shop on a real server, tailstock as a real process, and
//! its output read as a consumer would.

#[cfg(feature = "kafka")]
mod broker;
mod connection;
mod process;
mod published;
mod shop;

#[cfg(feature = "kafka")]
pub use broker::{Record, Topics, own_cluster, shared_broker};
pub use connection::Connection;
pub use process::{Tailstock, Workspace, readiness};
pub use published::{Event, Published, State, assert_exactly, by_key, by_version};
pub use shop::{Engine, Shop, Stop};

use std::time::{Duration, Instant};

/// `full` runs the counts the project promises, everything else the reduced ones of every change.
pub fn is_full_size() -> bool {
    std::env::var("TAILSTOCK_TEST_SIZE").is_ok_and(|size| size == "full")
}

/// Waits until `condition` holds; fails naming `what` after `deadline`.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        poll.tick().await;
    }
}

/// A small seeded generator, so that a failing run can be repeated from its printed seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of `TAILSTOCK_SEED`, or of the clock. Prints the seed.
    pub fn from_environment(test: &str) -> Self {
        let given = std::env::var("TAILSTOCK_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            u64::try_from(now.unwrap().as_micros()).unwrap()
        };
        let seed = given.unwrap_or_else(clock);
        println!("{test}: repeat with TAILSTOCK_SEED={seed}");
        Self::new(seed)
    }

    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
