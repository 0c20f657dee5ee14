use std::time::Duration;

/// Rows of the first chunk.
const FIRST_ROWS: u32 = 500;
/// Rows of a chunk at most.
const MOST_ROWS: u32 = 8_000;
/// What the server should need for a chunk: long enough that asking costs little, short enough that
/// no transaction of ours is ever one of the shop's long ones.
const GOAL: Duration = Duration::from_millis(60);
/// The longest pause between two chunks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How fast a table is read: up to a limit, and as fast as the server lets it without a sign of
/// strain. The sign is the server's own time for a row, against the best it has shown: when that
/// grows, the pause between chunks grows with it, and a server that takes four times as long as it
/// could is left alone for three times as long as it works for us.
#[derive(Debug, Clone)]
pub struct Pace {
    rows: u32,
    most_rows: u32,
    rows_per_s: u32,
    best_ns_per_row: Option<u64>,
}

impl Pace {
    /// A pace with no more than so many rows a second, and no more at once than in a fortieth of it:
    /// a server is not to feel them as a burst. At 20,000 rows/s on two cores the p99 of a shop's
    /// updates was 2.0 ms beside chunks of 2,000 rows, and is 0.8 ms beside chunks of 500.
    pub fn new(rows_per_s: u32) -> Self {
        let most_rows = MOST_ROWS.min((rows_per_s / 40).max(1));
        Self { rows: FIRST_ROWS.min(most_rows), most_rows, rows_per_s, best_ns_per_row: None }
    }

    /// Rows of the next chunk at most.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// How long to leave the server alone after a chunk of `rows` that took it so long.
    pub fn pause_after(&mut self, rows: u32, took: Duration) -> Duration {
        let strain = self.strain(rows, took);
        let wanted = took.mul_f64((strain - 1.0).clamp(0.0, 10.0));
        let fair = f64::from(rows) / f64::from(self.rows_per_s.max(1));
        let capped = Duration::from_secs_f64(fair).saturating_sub(took);
        if took > GOAL {
            self.rows = (self.rows / 2).max(FIRST_ROWS.min(self.most_rows));
        } else if took < GOAL / 2 {
            // However few rows came: a filter may have left out the others.
            self.rows = (self.rows * 2).min(self.most_rows);
        }
        wanted.min(LONGEST_PAUSE).max(capped)
    }

    /// The server's time for a row against the best it has shown, at least 1. Chunks of a few rows
    /// are mostly the asking itself and say nothing.
    fn strain(&mut self, rows: u32, took: Duration) -> f64 {
        if rows < FIRST_ROWS / 2 {
            return 1.0;
        }
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / u64::from(rows);
        let best = self.best_ns_per_row.map_or(ns, |best| best.min(ns)).max(1);
        // The best is forgotten by a hundredth a chunk: rows differ along a table.
        self.best_ns_per_row = Some(best + best / 100 + 1);
        let strain = ns as f64 / best as f64;
        // Up to half as much again is the ordinary noise of a server with something to do.
        if strain < 1.5 { 1.0 } else { strain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_at_ease_is_never_left_waiting() {
        let mut pace = Pace::new(10_000_000);
        for _ in 0..50 {
            let rows = pace.rows();
            let took = Duration::from_micros(u64::from(rows) * 3);
            assert_eq!(pace.pause_after(rows, took), Duration::ZERO);
        }
        assert_eq!(pace.rows(), MOST_ROWS);
    }

    #[test]
    fn a_server_that_slows_down_is_left_alone_in_proportion() {
        let mut pace = Pace::new(10_000_000);
        for _ in 0..20 {
            pace.pause_after(pace.rows(), Duration::from_millis(10));
        }
        let rows = pace.rows();
        let pause = pace.pause_after(rows, Duration::from_millis(40));
        assert!(pause > Duration::from_millis(100), "{pause:?}");
        let pause = pace.pause_after(rows, Duration::from_secs(60));
        assert_eq!(pause, LONGEST_PAUSE);
        assert!(pace.rows() < rows, "a slow server is asked for less at once");
    }

    #[test]
    fn a_cap_on_rows_is_kept() {
        let mut pace = Pace::new(1_000);
        let (mut rows, mut time) = (0, Duration::ZERO);
        for _ in 0..40 {
            let asked = pace.rows();
            let took = Duration::from_millis(1);
            time += took + pace.pause_after(asked, took);
            rows += asked;
        }
        let rate = f64::from(rows) / time.as_secs_f64();
        assert!((500.0..=1_001.0).contains(&rate), "{rate}");
    }
}
