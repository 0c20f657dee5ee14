use std::collections::BTreeSet;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use connector_api::Error;
use serde_json::json;
use tokio::sync::watch;

use super::args::SnapshotArgs;
use super::client::Client;
use super::store::Store;
use super::{Exit, Failure, print, process, status, target};
use crate::config::{Config, SellerConfig};
use crate::fleet;
use crate::http::{SELLERS_PATH, SnapshotAnswer, SnapshotOrder, snapshot_path};
use crate::mapping::{Plan, STAR, is_meant};
use crate::seller::UNREADABLE;
use crate::sink::Part;
use crate::state::{Checkpoint, Recalled};
use crate::telemetry::SourceStatus;

/// Between two looks how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// Has tables read as a whole: by the running process, or at the next start.
pub(super) fn snapshot(config: &Config, args: &SnapshotArgs) -> Result<Exit, Failure> {
    let seller = target::of(config, &args.target)?;
    let order = SnapshotOrder { table: args.table.clone() };
    let path = snapshot_path(seller.seller.as_str(), seller.source.name.as_str());
    let body = serde_json::to_string(&order).expect("an order has only text keys");
    let report = Report { seller, json: args.json };
    let Ok(client) = Client::of(config) else {
        return remembered(config, &report, args);
    };
    let answer = match client.post(&path, &body) {
        Ok(answer) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return remembered(config, &report, args);
        }
        Err(error) => {
            let what = format!("what listens on {} does not answer: {error}", client.address);
            return Err(Failure::new(Exit::Failed, what, ""));
        }
    };
    if answer.status == 404 && !status::is_ours(config) {
        return remembered(config, &report, args);
    }
    let tables = match serde_json::from_str(&answer.body) {
        Ok(SnapshotAnswer::Tables(tables)) => tables,
        Ok(SnapshotAnswer::Error(why)) => {
            let exit = if answer.status == 404 { Exit::Usage } else { Exit::Failed };
            return Err(Failure::new(exit, why, ""));
        }
        Err(error) => {
            let what = format!("what answers is no tailstock of this version: {error}");
            return Err(Failure::new(Exit::Failed, what, "ask with the version that runs"));
        }
    };
    if args.no_wait {
        return report.done(&tables, "requested");
    }
    process::until_signal(async |stop| report.wait(client, &tables, stop).await)
}

/// No process can be asked: the store is, so that the next one finds it.
fn remembered(config: &Config, report: &Report<'_>, args: &SnapshotArgs) -> Result<Exit, Failure> {
    let tables = tables(report.seller, args.table.as_deref())?;
    process::until_signal(async |_| {
        let name = report.name();
        let unknown = || {
            let what = format!("nothing is stored of {name} yet");
            let fix = format!("start it: tailstock --config {} run", config.file.display());
            Failure::new(Exit::Failed, what, &fix)
        };
        let mut store = Store::take(config, args.take_over).await?.ok_or_else(unknown)?;
        let stored = store.load(report.seller).await?;
        let lacking = stored.lacking;
        let stored = stored.checkpoint.ok_or_else(unknown)?;
        let (seller, source) = (&report.seller.seller, &report.seller.source.name);
        let unusable = |error| Error::definite("what is stored cannot be read").because(error);
        let recalled = Recalled::decode(&stored, seller.as_str(), source.as_str());
        let mut checkpoint = recalled.map_err(unusable)?.checkpoint().ok_or_else(unknown)?;
        let tables = those_of(&checkpoint, &tables);
        checkpoint.doubt(&lacking);
        for table in &tables {
            checkpoint.taint(table.clone(), "asked for".to_owned());
        }
        let checkpoint = Some(checkpoint.encode());
        store.commit(Part { checkpoint, ..Part::empty(seller.clone(), source.clone()) }).await?;
        store.end().await;
        report.done(&tables, "remembered")
    })
}

/// The tables that are meant, of those the mappings of a seller read.
fn tables(seller: &SellerConfig, wanted: Option<&str>) -> Result<Vec<String>, Failure> {
    let captured = Plan::tables_of(&seller.definitions).tables;
    let known: Vec<String> = captured.iter().map(|table| table.name.to_string()).collect();
    match wanted {
        None => Ok(known),
        Some(table) if known.iter().any(|one| is_meant(one, table)) => Ok(vec![table.to_owned()]),
        Some(table) => {
            let what = format!("no mapping of {} reads a table {table}", seller.seller);
            let fix = format!("name one of {}", known.join(", "));
            Err(Failure::new(Exit::Usage, what, &fix))
        }
    }
}

/// The tables of a source that these names and patterns stand for.
fn those_of(checkpoint: &Checkpoint, wanted: &[String]) -> Vec<String> {
    let captured = checkpoint.point.capture.tables.iter().map(|table| table.name.to_string());
    let patterns = || wanted.iter().filter(|name| name.contains(STAR));
    let meant = captured.filter(|name| patterns().any(|pattern| is_meant(pattern, name)));
    let named = wanted.iter().filter(|name| !name.contains(STAR)).cloned();
    let tables: BTreeSet<String> = named.chain(meant).collect();
    tables.into_iter().collect()
}

/// What the person at the terminal is told.
struct Report<'a> {
    seller: &'a SellerConfig,
    json: bool,
}

impl Report<'_> {
    fn name(&self) -> String {
        format!("{}/{}", self.seller.seller, self.seller.source.name)
    }

    fn done(&self, tables: &[String], state: &str) -> Result<Exit, Failure> {
        if self.json {
            let seller = self.seller.seller.as_str();
            let source = self.seller.source.name.as_str();
            let told =
                json!({ "seller": seller, "source": source, "tables": tables, "state": state });
            return print(&format!("{told}\n"));
        }
        let what = match state {
            "requested" => "will be read as a whole",
            "remembered" => "will be read as a whole at the next start; no process runs",
            _ => "read as a whole",
        };
        print(&format!("{}: {what}: {}\n", self.name(), tables.join(", ")))
    }

    /// Until all tables have been read, with a line that tells how far they are.
    async fn wait(
        &self,
        client: Client,
        tables: &[String],
        mut stop: watch::Receiver<bool>,
    ) -> Result<Exit, Failure> {
        let mut look = tokio::time::interval(LOOK);
        let mut told = BTreeSet::new();
        let mut line = Line { shows: !self.json && std::io::stderr().is_terminal() };
        loop {
            tokio::select! {
                () = fleet::ending(&mut stop) => return Ok(Exit::Interrupted),
                _ = look.tick() => {}
            }
            let status = self.status(client)?;
            if let (Some(reason), "halted") = (&status.reason, status.state.as_str()) {
                let what = format!("{} is halted: {reason}", self.name());
                let fix = status.fix.as_deref().unwrap_or_default();
                return Err(Failure::new(Exit::Operator, what, fix));
            }
            for (table, why) in unreadable(&status, tables) {
                if told.insert(table.clone()) {
                    line.say(&format!("{}: {table} is to be read: {why}", self.name()));
                }
            }
            let left = left_of(&status, tables);
            if left == 0 {
                drop(line);
                return self.done(tables, "completed");
            }
            let now = match &status.snapshot {
                Some(snapshot) => status::progress(snapshot),
                None => status.state.replace('_', " "),
            };
            line.show(&format!("{left} of {} to read: {now}", tables.len()));
        }
    }

    fn status(&self, client: Client) -> Result<SourceStatus, Failure> {
        let gone = |error: String| {
            let what = format!("the process does not answer any more: {error}");
            Failure::new(Exit::Failed, what, "what has not been read is read at the next start")
        };
        let answer = client.get(SELLERS_PATH).map_err(|error| gone(error.to_string()))?;
        let all: Vec<SourceStatus> =
            serde_json::from_str(&answer.body).map_err(|error| gone(error.to_string()))?;
        let (seller, source) = (&self.seller.seller, &self.seller.source.name);
        let ours =
            |one: &SourceStatus| one.seller == seller.as_str() && one.source == source.as_str();
        all.into_iter().find(ours).ok_or_else(|| gone(format!("it does not know {}", self.name())))
    }
}

/// How many of these tables have not been read: of a process that does not know yet, all.
fn left_of(status: &SourceStatus, tables: &[String]) -> usize {
    let is_marked = |table: &&String| status.dirty_tables.contains_key(*table);
    if status.is_told() { tables.iter().filter(is_marked).count() } else { tables.len() }
}

/// Those of these tables that cannot be read, and why.
fn unreadable<'s>(
    status: &'s SourceStatus,
    tables: &[String],
) -> impl Iterator<Item = (&'s String, &'s String)> {
    let marked = status.dirty_tables.iter();
    marked.filter(|(table, why)| tables.contains(table) && why.contains(UNREADABLE))
}

/// A line at the terminal that is written over; gone when dropped.
struct Line {
    shows: bool,
}

impl Line {
    fn show(&mut self, text: &str) {
        if self.shows {
            let mut terminal = std::io::stderr().lock();
            // Whoever closed the terminal does not look.
            drop(write!(terminal, "\r\u{1b}[K{text}").and_then(|()| terminal.flush()));
        }
    }
}

impl Line {
    /// Says what is to stay, at the terminal or not.
    fn say(&mut self, text: &str) {
        self.show("");
        drop(writeln!(std::io::stderr(), "{text}"));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.show("");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn status(position: Option<&str>, dirty: &serde_json::Value) -> SourceStatus {
        let told = json!({
            "seller": "acme", "source": "main", "state": "streaming", "position": position,
            "rows": 0, "events": 0, "dead_letters": 0, "restarts": 0, "dirty_tables": dirty,
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn a_process_that_does_not_know_its_checkpoint_yet_has_read_no_table() {
        let tables = ["public.stock".to_owned(), "public.item".to_owned()];
        let marked = json!({ "public.stock": "asked for" });
        for (position, dirty, left) in [
            (None, json!({}), 2),
            (Some("0/1"), marked, 1),
            (Some("0/1"), json!({ "public.other": "asked for" }), 0),
        ] {
            assert_eq!(left_of(&status(position, &dirty), &tables), left, "{position:?} {dirty}");
        }
    }

    #[test]
    fn of_tables_that_are_waited_for_those_are_told_that_cannot_be_read() {
        let why = format!("asked for{UNREADABLE}permission denied");
        let dirty = json!({ "public.stock": why, "public.item": "asked for", "other": why });
        let status = status(Some("0/1"), &dirty);
        let tables = ["public.stock".to_owned(), "public.item".to_owned()];
        let told: Vec<_> = unreadable(&status, &tables).collect();
        assert_eq!(told, [(&tables[0], &why)]);
    }
}
