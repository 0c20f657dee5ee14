//! How long to wait after an error, and when to give up. The one place that knows the `backoff`
//! crate: exponential delays with jitter, without end.

use std::time::{Duration, Instant};

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use connector_api::Error;

use crate::progress::{Next, next_after};

/// How often it is looked at first whether a holder has gone.
const HELD_DELAY: Duration = Duration::from_millis(500);
/// How long a run with an end of its own waits for a holder, and a seller looks often. A server
/// takes a moment to notice that a killed process has gone, so what it held is not given up at
/// once; who still holds it then may do so for ever.
const HELD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a run with an end of its own goes on without progress: a restart of the server passes,
/// and a job that never ends tells nobody that it cannot.
pub(super) const FAILING_PATIENCE: Duration = Duration::from_secs(60);

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

/// What to do after one error after the other, until there is progress.
#[derive(Debug)]
pub(super) struct Patience {
    delays: Delays,
    held_since: Option<Instant>,
    failing_since: Option<Instant>,
    /// Whether the run is to end by itself, and so must not wait for ever.
    ends: bool,
    /// Whether each look is a login at somebody's server.
    spares: bool,
    said: String,
}

impl Patience {
    /// With a sink: a process that stands by takes over as soon as it can.
    pub(super) fn new(ends: bool) -> Self {
        Self {
            delays: delays(),
            held_since: None,
            failing_since: None,
            ends,
            spares: false,
            said: String::new(),
        }
    }

    /// With a seller's server.
    pub(super) fn of_server(ends: bool) -> Self {
        Self { spares: true, ..Self::new(ends) }
    }

    /// There was progress.
    pub(super) fn reset(&mut self) {
        self.delays.reset();
        self.held_since = None;
        self.failing_since = None;
        self.said.clear();
    }

    /// How long to wait after `error`; `None` is to halt.
    pub(super) fn after(&mut self, error: &Error, now: Instant) -> Option<Duration> {
        match next_after(error.fault()) {
            Next::Halt => None,
            Next::Retry => {
                self.held_since = None;
                let since = *self.failing_since.get_or_insert(now);
                let waits = !self.ends || now - since < FAILING_PATIENCE;
                waits.then(|| self.delays.next_delay())
            }
            Next::StandBy => {
                let since = *self.held_since.get_or_insert(now);
                let is_new = now - since < HELD_PATIENCE;
                let more = (self.spares && !is_new).then(|| self.delays.next_delay());
                (!self.ends || is_new).then(|| HELD_DELAY + more.unwrap_or_default())
            }
        }
    }

    /// Whether `error` is news: the same words again and again help nobody.
    pub(super) fn is_news(&mut self, error: &Error) -> bool {
        let said = error.to_string();
        let news = said != self.said;
        self.said = said;
        news
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_with_an_end_gives_up_what_fails_again_and_again() {
        let error = Error::transient("the server is away");
        let start = Instant::now();
        let (mut service, mut job) = (Patience::new(false), Patience::new(true));
        for seconds in [0, 59, 61, 10_000] {
            let now = start + Duration::from_secs(seconds);
            assert!(service.after(&error, now).is_some());
            assert_eq!(job.after(&error, now).is_some(), seconds < 60);
        }
        job.reset();
        assert!(job.after(&error, start + Duration::from_secs(10_001)).is_some());
    }

    #[test]
    fn a_holder_is_waited_for_and_only_a_run_with_an_end_gives_up() {
        let held = Error::held("the slot is in use", "another process");
        let start = Instant::now();
        let (mut service, mut job) = (Patience::new(false), Patience::new(true));
        for seconds in [0, 9, 11, 10_000] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(service.after(&held, now), Some(HELD_DELAY));
            assert_eq!(job.after(&held, now).is_some(), seconds < 10);
        }
    }

    #[test]
    fn a_server_whose_log_a_stranger_holds_is_asked_ever_less_often() {
        let held = Error::held("the slot is in use", "another process");
        let start = Instant::now();
        let mut patience = Patience::of_server(false);
        let mut now = start;
        while now - start < HELD_PATIENCE {
            assert_eq!(patience.after(&held, now), Some(HELD_DELAY));
            now += HELD_DELAY;
        }
        let mut looks = 0;
        while now - start < Duration::from_secs(3600) {
            let delay = patience.after(&held, now).unwrap();
            assert!((HELD_DELAY..=HELD_DELAY + Duration::from_secs(30)).contains(&delay));
            now += delay;
            looks += 1;
        }
        assert!(looks < 600, "{looks} looks in an hour");
        patience.reset();
        assert_eq!(patience.after(&held, now), Some(HELD_DELAY));
    }

    #[test]
    fn the_same_words_are_said_once() {
        let mut patience = Patience::new(false);
        let (one, other) = (Error::transient("a"), Error::transient("b"));
        let news = [&one, &one, &other, &one].map(|error| patience.is_news(error));
        assert_eq!(news, [true, false, true, true]);
    }

    #[test]
    fn delays_never_end_and_never_pass_half_a_minute() {
        let mut delays = delays();
        assert!((0..1000).all(|_| delays.next_delay() <= Duration::from_secs(30)));
        delays.reset();
        assert!(delays.next_delay() <= Duration::from_millis(400));
    }
}
