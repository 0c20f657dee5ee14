use std::fmt;

use serde::Serialize;

use crate::place::Sink;
use crate::process::Usage;

/// What one run of one contender took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) rows_per_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) peak_rss_mib: f64,
}

impl Figures {
    #[allow(clippy::cast_precision_loss, reason = "row counts fit a float's 52 bits")]
    pub(crate) fn new(rows: u64, usage: Usage) -> Self {
        let Usage { seconds, cpu_s, peak_rss_mib } = usage;
        Self { rows_per_s: rows as f64 / seconds, cpu_s, peak_rss_mib }
    }

    /// The run in the middle, by speed.
    pub(crate) fn median(runs: &[Figures]) -> Figures {
        let mut runs = runs.to_vec();
        runs.sort_unstable_by(|a, b| a.rows_per_s.total_cmp(&b.rows_per_s));
        runs[runs.len() / 2]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rows_per_s, cpu_s, peak_rss_mib } = self;
        write!(f, "{rows_per_s:>9.0} rows/s {cpu_s:>6.2} CPU s {peak_rss_mib:>6.1} MiB")
    }
}

/// One line of the written file.
#[derive(Debug, Default, Serialize)]
struct Line {
    workload: String,
    contender: &'static str,
    /// The part of the rows that is captured; what is read and not captured counts as a row too.
    #[serde(skip_serializing_if = "Option::is_none")]
    captured_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_mib: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p999_ms: Option<f64>,
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Milliseconds in order.
struct Times(Vec<f64>);

impl Times {
    fn of(times_ms: &[f64]) -> Self {
        let mut sorted = times_ms.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Self(sorted)
    }

    fn at(&self, thousandth: usize) -> Option<f64> {
        let place = (self.0.len() * thousandth / 1000).min(self.0.len().saturating_sub(1));
        self.0.get(place).map(|ms| hundredths(*ms))
    }

    fn line(&self, sink: Sink) -> Line {
        Line {
            contender: sink.name(),
            p50_ms: self.at(500),
            p99_ms: self.at(990),
            p999_ms: self.at(999),
            ..Line::default()
        }
    }

    /// Of each percentile the one in the middle of the rounds.
    fn medians(contender: &'static str, rounds: &[Vec<f64>]) -> Line {
        let rounds: Vec<Times> = rounds.iter().map(|times| Times::of(times)).collect();
        let median = |thousandth| {
            let of_rounds: Option<Vec<f64>> =
                rounds.iter().map(|times| times.at(thousandth)).collect();
            of_rounds.and_then(|of_rounds| Times::of(&of_rounds).at(500))
        };
        let [p50_ms, p99_ms, p999_ms] = [500, 990, 999].map(median);
        Line { contender, p50_ms, p99_ms, p999_ms, ..Line::default() }
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Line>);

impl Report {
    /// The medians of each contender; the first is the peer.
    pub(crate) fn add_drain(
        &mut self,
        workload: &str,
        captured_share: Option<f64>,
        medians: &[(&'static str, Figures)],
    ) {
        let peer = medians[0].1.rows_per_s;
        for (contender, figures) in medians {
            self.0.push(Line {
                workload: workload.to_owned(),
                contender,
                captured_share: captured_share.map(hundredths),
                rows_per_s: Some(figures.rows_per_s.round()),
                ratio: Some(hundredths(figures.rows_per_s / peer)),
                cpu_s: Some(figures.cpu_s),
                peak_rss_mib: Some(figures.peak_rss_mib.round()),
                ..Line::default()
            });
        }
    }

    /// Milliseconds from the commit in the shop to the moment an event could be read.
    pub(crate) fn add_latency(&mut self, sink: Sink, rate: u32, latencies_ms: &[f64]) {
        let times = Times::of(latencies_ms);
        self.0.push(Line { workload: format!("latency-{rate}"), ..times.line(sink) });
    }

    /// Milliseconds from a process's start to its first event, and its memory.
    pub(crate) fn add_start(&mut self, workload: &str, sink: Sink, begun: &crate::start::Begun) {
        let line = Times::of(&begun.first_event_ms).line(sink);
        self.0.push(Line {
            workload: workload.to_owned(),
            peak_rss_mib: Some(begun.peak_rss_mib.round()),
            ..line
        });
    }

    /// Milliseconds that the statements of writers took in each round, without tailstock and with
    /// it, and what it did meanwhile. The ratio is that of the ninety-ninth percentiles.
    pub(crate) fn add_writers(
        &mut self,
        workload: &str,
        without: &[Vec<f64>],
        with: &[Vec<f64>],
        meanwhile: Figures,
    ) {
        let without = Times::medians("without", without);
        let with = Times::medians("with", with);
        let ratio = without.p99_ms.zip(with.p99_ms).map(|(without, with)| with / without);
        let workload = workload.to_owned();
        self.0.push(Line { workload: workload.clone(), ratio: Some(1.0), ..without });
        self.0.push(Line {
            workload,
            ratio: ratio.map(hundredths),
            rows_per_s: Some(meanwhile.rows_per_s.round()),
            cpu_s: Some(meanwhile.cpu_s),
            peak_rss_mib: Some(meanwhile.peak_rss_mib.round()),
            ..with
        });
    }

    pub(crate) fn write(&self, path: &str) {
        let path = std::path::Path::new(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, serde_json::to_string_pretty(&self.0).unwrap()).unwrap();
        println!("written to {}", path.display());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |number: Option<f64>, digits: usize| {
            number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
        };
        let head = ["workload", "contender", "rows/s", "ratio", "CPU s", "MiB"];
        let [a, b, c, d, e, g] = head;
        writeln!(f, "{a:<24} {b:<19} {c:>9} {d:>6} {e:>7} {g:>6}      p50 ms  p99 ms p99.9 ms")?;
        for line in &self.0 {
            writeln!(
                f,
                "{:<24} {:<19} {:>9} {:>6} {:>7} {:>6}     {:>7} {:>7} {:>8}",
                line.workload,
                line.contender,
                cell(line.rows_per_s, 0),
                cell(line.ratio, 2),
                cell(line.cpu_s, 2),
                cell(line.peak_rss_mib, 0),
                cell(line.p50_ms, 2),
                cell(line.p99_ms, 2),
                cell(line.p999_ms, 2),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rows_per_s: f64) -> Figures {
        Figures { rows_per_s, cpu_s: 1.5, peak_rss_mib: 20.4 }
    }

    #[test]
    fn the_median_is_the_run_in_the_middle_by_speed() {
        let runs = [figures(300.0), figures(100.0), figures(200.0)];
        assert!((Figures::median(&runs).rows_per_s - 200.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_drain_is_compared_with_the_peer_of_the_same_run() {
        let mut report = Report::default();
        report.add_drain("w1", Some(0.8), &[("peer", figures(100.0)), ("discard", figures(251.0))]);
        let written = serde_json::to_value(&report.0).unwrap();
        assert_eq!(
            written[1],
            serde_json::json!({
                "workload": "w1", "contender": "discard", "captured_share": 0.8,
                "rows_per_s": 251.0, "ratio": 2.51, "cpu_s": 1.5, "peak_rss_mib": 20.0,
            })
        );
    }

    #[test]
    fn writers_are_compared_by_the_medians_of_their_rounds() {
        let mut report = Report::default();
        let rounds = |slowest: [f64; 3]| slowest.map(|slowest| vec![0.2, slowest, 0.1]);
        let (without, with) = (rounds([2.0, 9.0, 1.0]), rounds([3.0, 2.5, 8.0]));
        report.add_writers("postgres-snapshot-writers", &without, &with, figures(100.4));
        let written = serde_json::to_value(&report.0).unwrap();
        let line = |contender: &str, ratio: f64, slowest: f64| {
            serde_json::json!({
                "workload": "postgres-snapshot-writers", "contender": contender, "ratio": ratio,
                "p50_ms": 0.2, "p99_ms": slowest, "p999_ms": slowest,
            })
        };
        assert_eq!(written[0], line("without", 1.0, 2.0));
        let mut with = line("with", 1.5, 3.0);
        with["rows_per_s"] = 100.0.into();
        with["cpu_s"] = 1.5.into();
        with["peak_rss_mib"] = 20.0.into();
        assert_eq!(written[1], with);
    }

    #[test]
    fn percentiles_are_of_sorted_times_and_none_of_no_times() {
        let times: Vec<f64> = (0..1000).rev().map(f64::from).collect();
        let times = Times::of(&times);
        assert_eq!(
            [500, 990, 999, 1000].map(|at| times.at(at)),
            [500.0, 990.0, 999.0, 999.0].map(Some)
        );
        assert_eq!(Times::of(&[]).at(500), None);
    }
}
