mod access;
mod publication;
mod server;
mod slot;
mod table;

use connector_api::{Capture, Finding, Severity};

use super::Facts;
use crate::config::PostgresConfig;

/// The first version that is supported.
const OLDEST: i32 = 130_000;

/// Everything on the server that is not as streaming needs it.
pub(crate) fn findings(facts: &Facts, config: &PostgresConfig, capture: &Capture) -> Vec<Finding> {
    let mut report = Report { facts, config, found: Vec::new() };
    report.server();
    if facts.server.version_number >= OLDEST {
        report.slot();
        report.publication(capture);
        for wanted in &capture.tables {
            report.wanted(wanted);
        }
        report.snapshots(capture);
    }
    report.found
}

/// What was found so far.
struct Report<'a> {
    facts: &'a Facts,
    config: &'a PostgresConfig,
    found: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, severity: Severity, check: &str, [found, wanted, fix]: [String; 3]) {
        self.found.push(Finding { severity, check: check.to_owned(), found, wanted, fix });
    }

    /// It cannot work: what was found, what is wanted, how to get there.
    fn blocker(&mut self, check: &str, found: impl Into<String>, wanted: &str, fix: String) {
        self.add(Severity::Blocker, check, [found.into(), wanted.to_owned(), fix]);
    }

    fn warning(&mut self, check: &str, found: impl Into<String>, wanted: &str, fix: String) {
        self.add(Severity::Warning, check, [found.into(), wanted.to_owned(), fix]);
    }

    fn note(&mut self, check: &str, found: impl Into<String>, wanted: &str, fix: String) {
        self.add(Severity::Note, check, [found.into(), wanted.to_owned(), fix]);
    }
}

#[cfg(test)]
mod tests;
