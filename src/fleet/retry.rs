//! The one place that knows the `backoff` crate: exponential delays with jitter, without end.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Delays between tries. Grows until [`Delays::reset`].
#[derive(Debug)]
pub struct Delays(ExponentialBackoff);

/// Delays from 200 ms to 30 s.
pub fn delays() -> Delays {
    Delays(ExponentialBackoff {
        initial_interval: Duration::from_millis(200),
        current_interval: Duration::from_millis(200),
        // Full jitter: between nothing and twice the interval.
        randomization_factor: 1.0,
        multiplier: 2.0,
        max_interval: Duration::from_secs(15),
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    })
}

impl Delays {
    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().expect("without a time limit there is always a next delay")
    }

    /// There was progress: begin with short delays again.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_never_end_and_never_pass_half_a_minute() {
        let mut delays = delays();
        assert!((0..1000).all(|_| delays.next_delay() <= Duration::from_secs(30)));
        delays.reset();
        assert!(delays.next_delay() <= Duration::from_millis(400));
    }
}
