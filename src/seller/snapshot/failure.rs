use std::time::Instant;

use crate::fleet::retry::{Delays, delays};

/// How often a table is tried before others go first, which loses the rows of it that were read.
const TRIES_IN_A_ROW: u32 = 3;

/// Why a table could not be read, and when to try again.
pub(super) struct Failure {
    delays: Delays,
    pub(super) until: Instant,
    pub(super) said: String,
    /// How often, without a row in between.
    times: u32,
}

impl Default for Failure {
    fn default() -> Self {
        Self { delays: delays(), until: Instant::now(), said: String::new(), times: 0 }
    }
}

impl Failure {
    /// Once more. Returns whether others are to go first.
    pub(super) fn again(&mut self) -> bool {
        self.until = Instant::now() + self.delays.next_delay();
        self.times += 1;
        self.times >= TRIES_IN_A_ROW
    }
}
