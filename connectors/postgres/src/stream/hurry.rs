use std::time::Duration;

use tokio::time::Instant;

use crate::position::Lsn;

/// Time between two questions how far the server has come.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// Time after which whoever is still in a hurry says so again.
const FORGOTTEN: Duration = Duration::from_millis(100);

/// Somebody waits for the stream to have read what the log held when they said so. A server that
/// has come to the end of its log, or reads what is of nobody's concern, says so only when it is
/// asked.
#[derive(Debug, Default)]
pub(super) struct Hurry {
    /// How often it has been heard of.
    heard: u64,
    until: Option<Instant>,
    last_asked: Option<Instant>,
    /// Where the server was at its last answer in this hurry.
    answered: Option<Lsn>,
}

impl Hurry {
    /// Somebody may have been in a hurry once more: this often by now.
    pub(super) fn hear(&mut self, hurries: u64, now: Instant) {
        if hurries != self.heard {
            *self = Self { heard: hurries, until: Some(now + FORGOTTEN), answered: None, ..*self };
        }
    }

    /// When the server is to be asked next.
    pub(super) fn due(&self) -> Option<Instant> {
        let until = self.until?;
        let next = self.last_asked.map_or(until - FORGOTTEN, |asked| asked + ASK_EVERY);
        (next <= until).then_some(next)
    }

    /// The server is told something: whether it is asked as well.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.last_asked = Some(now);
        }
        due
    }

    /// The server says where it is. When it has been there before it has nothing more to read.
    pub(super) fn hear_answer(&mut self, place: Lsn) {
        if self.until.is_some() && self.answered.replace(place) == Some(place) {
            self.until = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(1);

    #[test]
    fn the_server_is_asked_until_it_stands_still_and_never_too_often() {
        let begun = Instant::now();
        let mut hurry = Hurry::default();
        assert_eq!(hurry.due(), None);
        hurry.hear(1, begun);
        let mut asked = Vec::new();
        for step in 0..60_u32 {
            let now = begun + STEP * step;
            // Again and again, without a pause.
            hurry.hear(1 + u64::from(step.min(20)), now);
            if hurry.asks(now) {
                asked.push(step);
                hurry.hear_answer(Lsn(u64::from(step.min(30))));
            }
        }
        assert_eq!(asked, [0, 5, 10, 15, 20, 25, 30, 35]);
        assert_eq!(hurry.due(), None);
    }

    #[test]
    fn a_hurry_is_forgotten_when_nobody_repeats_it() {
        let begun = Instant::now();
        let mut hurry = Hurry::default();
        hurry.hear(1, begun);
        let asked = (0..1000).filter(|step| {
            let asks = hurry.asks(begun + STEP * *step);
            hurry.hear_answer(Lsn(u64::from(*step)));
            asks
        });
        assert_eq!(asked.count(), 21);
        assert_eq!(hurry.due(), None);
        hurry.hear(1, begun + STEP * 1000);
        assert_eq!(hurry.due(), None, "it is the same hurry");
    }
}
