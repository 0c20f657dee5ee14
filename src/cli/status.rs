use std::fmt::Write as _;

use connector_api::Error;

use super::client::Client;
use super::sink;
use super::{Exit, Failure, print};
use crate::config::{Config, SellerConfig};
use crate::http::SELLERS_PATH;
use crate::state::Recalled;
use crate::telemetry::{SnapshotProgress, SourceStatus};

/// Tells how every seller of the running process stands; when none runs, what is stored.
pub(super) fn status(config: &Config, json: bool) -> Result<Exit, Failure> {
    let (answer, statuses) = match running(config).and_then(|answer| ours(config, answer)) {
        Ok(told) => told,
        Err(failure) => {
            let Some(statuses) = stored(config)? else { return Err(failure) };
            eprintln!("no process could be asked, so this is what is stored: {}", failure.what());
            (serde_json::to_string(&statuses).expect("a status has only text keys"), statuses)
        }
    };
    match json {
        true => print(&format!("{answer}\n")),
        false => print(&table(&statuses)),
    }
}

/// What the running process says of itself.
fn running(config: &Config) -> Result<String, Failure> {
    let client = Client::of(config)?;
    let answer = client.get(SELLERS_PATH).and_then(|answer| match answer.status {
        200 => Ok(answer.body),
        status => Err(std::io::Error::other(format!("it says {status}"))),
    });
    answer.map_err(|error| {
        let what = format!("no running tailstock answers on {}: {error}", client.address);
        Failure::new(Exit::Failed, what, &start(config))
    })
}

fn start(config: &Config) -> String {
    format!("start it: tailstock --config {} run", config.file.display())
}

/// The answer as it is and as it is read, unless it is of a process of another configuration, which
/// has the address that this one's would have.
fn ours(config: &Config, answer: String) -> Result<(String, Vec<SourceStatus>), Failure> {
    let statuses: Vec<SourceStatus> = serde_json::from_str(&answer).map_err(|error| {
        let what = format!("what answers is no tailstock of this version: {error}");
        Failure::new(Exit::Failed, what, "ask with the version that runs")
    })?;
    let is_ours = |one: &SourceStatus| {
        let mut sellers = config.sellers.iter();
        sellers.any(|ours| ours.seller.as_str() == one.seller)
    };
    if statuses.iter().any(is_ours) {
        return Ok((answer, statuses));
    }
    let what = "what answers follows no seller of this configuration";
    Err(Failure::new(Exit::Failed, what, &start(config)))
}

/// What the store says of every seller; `None` where nothing is stored.
fn stored(config: &Config) -> Result<Option<Vec<SourceStatus>>, Failure> {
    let source = |seller: &SellerConfig| (seller.seller.clone(), seller.source.name.clone());
    let sources: Vec<_> = config.sellers.iter().map(source).collect();
    let Some(checkpoints) = sink::checkpoints(config, &sources)? else { return Ok(None) };
    let holder = sink::holder(config)?;
    let status = |(config, text): (&SellerConfig, Option<String>)| {
        let (seller, source) = (config.seller.as_str(), config.source.name.as_str());
        let decode = |text: String| Recalled::decode(&text, seller, source);
        let unusable = |error| Error::definite("what is stored cannot be read").because(error);
        let checkpoint =
            text.map(decode).transpose().map_err(unusable)?.and_then(Recalled::checkpoint);
        Ok(SourceStatus::stored(config, checkpoint.as_ref(), holder.clone()))
    };
    let statuses: Result<Vec<SourceStatus>, Error> =
        config.sellers.iter().zip(checkpoints).map(status).collect();
    Ok(Some(statuses?))
}

/// Whether the process that has the address is one of this configuration.
pub(super) fn is_ours(config: &Config) -> bool {
    running(config).and_then(|answer| ours(config, answer)).is_ok()
}

const COLUMNS: [&str; 10] = [
    "SELLER",
    "STATE",
    "LAG",
    "KEPT",
    "LEFT",
    "HEARD",
    "ROWS",
    "EVENTS",
    "DEAD LETTERS",
    "POSITION",
];

/// What is left until the server removes unread log: time, or else bytes it may write.
fn left(status: &SourceStatus) -> Option<String> {
    let hours = status.log_headroom_seconds.map(|seconds| format!("{} h", seconds / 3600));
    hours.or_else(|| status.log_headroom_bytes.map(bytes))
}

fn table(statuses: &[SourceStatus]) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(statuses.iter().map(|status| {
        let unknown = || "-".to_owned();
        [
            format!("{}/{}", status.seller, status.source),
            status.state.clone(),
            status.lag_bytes.map_or_else(unknown, bytes),
            status.retained_log_bytes.map_or_else(unknown, bytes),
            left(status).unwrap_or_else(unknown),
            status.last_contact_ms.map_or_else(unknown, |ms| format!("{} s ago", ms / 1000)),
            status.rows.to_string(),
            status.events.to_string(),
            status.dead_letters.to_string(),
            status.position.clone().unwrap_or_else(unknown),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for (nth, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let mut line = |indent: &str, words: &str| {
            writeln!(text, "{indent}{}", words.trim_end()).expect("writing to memory");
        };
        line("", &cells.join("  "));
        let Some(status) = nth.checked_sub(1).map(|nth| &statuses[nth]) else { continue };
        if let Some(reason) = &status.reason {
            line("  because: ", reason);
        }
        for fix in status.fix.iter().flat_map(|fix| fix.lines()) {
            line("  fix: ", fix);
        }
        if let Some(snapshot) = &status.snapshot {
            line("  snapshot: ", &progress(snapshot));
        }
        for (table, reason) in &status.dirty_tables {
            line("  not to be trusted: ", &format!("{table} ({reason})"));
        }
    }
    text
}

/// `public.stock, reading, 12000 of about 50000 rows (24 %)`.
pub(super) fn progress(snapshot: &SnapshotProgress) -> String {
    let SnapshotProgress { table, phase, rows, estimated_rows } = snapshot;
    let read = match (estimated_rows, snapshot.percent()) {
        (Some(about), Some(percent)) => format!("{rows} of about {about} rows ({percent} %)"),
        _ => format!("{rows} rows"),
    };
    format!("{table}, {phase}, {read}")
}

/// Bytes for people: `184 B`, `16.0 MiB`.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes.saturating_mul(10);
    let mut unit = "B";
    for larger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_halted_seller_is_shown_with_its_reason_and_fix() {
        let json = r#"[{"seller":"acme","source":"main","state":"halted",
            "since":"2026-11-21T00:00:00.000Z","reason":"no publication",
            "fix":"CREATE PUBLICATION tailstock","lag_bytes":1536,"retained_log_bytes":2048,
            "log_headroom_bytes":1024,"log_headroom_seconds":7300,"rows":3,"events":2,
            "dead_letters":0,"restarts":0,"dirty_tables":{"public.stock":"truncated"}}]"#;
        let statuses: Vec<SourceStatus> = serde_json::from_str(json).unwrap();
        let wanted = "\
SELLER     STATE   LAG      KEPT     LEFT  HEARD  ROWS  EVENTS  DEAD LETTERS  POSITION
acme/main  halted  1.5 KiB  2.0 KiB  2 h   -      3     2       0             -
  because: no publication
  fix: CREATE PUBLICATION tailstock
  not to be trusted: public.stock (truncated)
";
        assert_eq!(table(&statuses), wanted);
    }

    #[test]
    fn a_table_that_is_read_is_shown_with_how_far_it_is() {
        let snapshot = |rows, estimated_rows| SnapshotProgress {
            table: "public.stock".to_owned(),
            phase: "reading".to_owned(),
            rows,
            estimated_rows,
        };
        let shown = |rows, about| progress(&snapshot(rows, about));
        let half = "public.stock, reading, 500 of about 1000 rows (50 %)";
        assert_eq!(shown(500, Some(1000)), half);
        assert!(shown(2000, Some(1000)).ends_with("(99 %)"), "an estimate can be too low");
        assert_eq!(shown(7, Some(0)), "public.stock, reading, 7 rows");
        assert_eq!(shown(7, None), "public.stock, reading, 7 rows");
    }

    #[test]
    fn bytes_are_shown_in_the_unit_a_person_reads() {
        assert_eq!([bytes(0), bytes(1023), bytes(1024)], ["0 B", "1023 B", "1.0 KiB"]);
        assert_eq!(bytes(16 << 20), "16.0 MiB");
        assert_eq!(bytes(u64::MAX), "1677721.5 TiB");
    }
}
