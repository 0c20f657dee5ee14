use std::collections::BTreeSet;

use connector_api::{Capture, Severity};

use super::{Report, remedy};
use crate::doctor::coverage::logs;
use crate::doctor::facts::{HostKind, Retention, TableFacts};
use crate::doctor::quote::qualified;

/// An outage that ends a day later must not be a gap.
const SHORT_SECONDS: u64 = 24 * 3600;

impl Report<'_> {
    pub(super) fn log(&mut self, capture: &Capture) {
        let facts = self.facts;
        if !facts.log.is_on {
            let fix = remedy::switch_log_on(&facts.server);
            self.blocker("log_bin", "OFF: the server keeps no log", "ON", fix);
            return;
        }
        self.format();
        self.databases(capture);
        self.row_image(capture);
        self.differences(capture);
        self.retention();
        self.names();
    }

    fn format(&mut self) {
        let (server, log) = (&self.facts.server, &self.facts.log);
        let fix = || remedy::set_for_sessions(server, "binlog_format", "ROW");
        match log.format.as_str() {
            "ROW" => {}
            "MIXED" => self.warning(
                "binlog_format",
                "MIXED: most changes are in the log as SQL text, which cannot be followed. A table \
                 that is changed so has to be read anew each time, and so have all tables that \
                 triggers, views or routines may change with it: every captured one, unless the \
                 account may see all of these (TRIGGER, SHOW VIEW and SELECT on *.*)",
                "ROW",
                fix(),
            ),
            other => {
                let found = format!("{other}: changes are in the log as SQL text");
                self.blocker("binlog_format", found, "ROW", fix());
            }
        }
        if log.checksum == "NONE" {
            let found = "NONE: damage to the log goes unnoticed";
            let fix = remedy::set(server, "binlog_checksum", "CRC32");
            self.note("binlog_checksum", found, "CRC32", fix);
        }
    }

    /// Databases that are left out of the log.
    fn databases(&mut self, capture: &Capture) {
        let log = &self.facts.log;
        let named = capture.tables.iter().map(|wanted| &wanted.name.schema);
        let found = self.facts.tables.iter().map(|table| &table.description.name.schema);
        let databases: BTreeSet<&String> =
            named.filter(|name| !name.contains('*')).chain(found).collect();
        for database in databases.into_iter().filter(|name| !logs(self.facts, name)) {
            let restart = "from my.cnf, then restart the server";
            let (setting, listed, fix) = if log.do_db.is_empty() {
                let fix = format!("remove binlog_ignore_db = {database} {restart}");
                ("binlog_ignore_db", &log.ignore_db, fix)
            } else {
                let add = format!("add a line binlog_do_db = {database}");
                let fix = format!("{add}, or remove all of them {restart}");
                ("binlog_do_db", &log.do_db, fix)
            };
            let found = format!("{}: changes of {database} are not in the log", listed.join(", "));
            self.blocker(setting, found, "every captured database in the log", fix);
        }
    }

    /// What rows in the log lack of the captured columns.
    fn row_image(&mut self, capture: &Capture) {
        let log = &self.facts.log;
        let lacking = self.names_of(|table| table.lacks_columns(&log.row_image, capture));
        if lacking.is_empty() {
            return;
        }
        let found = format!(
            "{}: an update of {} does not bring the columns it leaves as they are; what was never \
             seen of them is published without, flagged",
            log.row_image, lacking,
        );
        let fix = remedy::set_for_sessions(&self.facts.server, "binlog_row_image", "FULL");
        self.warning("binlog_row_image", found, "FULL", fix);
    }

    /// Documents of which only differences are in the log.
    fn differences(&mut self, capture: &Capture) {
        let tables = self.names_of(|table| table.has_documents(capture));
        if !self.facts.log.partial_json || tables.is_empty() {
            return;
        }
        let setting = "binlog_row_value_options";
        let found = format!(
            "PARTIAL_JSON: an update of {tables} may bring only what changed in a document, which \
             cannot be read without the rest"
        );
        let fix = remedy::set_for_sessions(&self.facts.server, setting, "''");
        self.blocker(setting, found, "nothing", fix);
    }

    fn names_of(&self, is_meant: impl Fn(&TableFacts) -> bool) -> String {
        let meant = self.facts.tables.iter().filter(|table| table.is_table() && is_meant(table));
        let names: Vec<String> = meant.map(|table| qualified(&table.description.name)).collect();
        names.join(", ")
    }

    fn retention(&mut self) {
        let server = &self.facts.server;
        let fix = remedy::keep_files(server);
        let (check, wanted) = match server.host {
            HostKind::Rds | HostKind::Aurora => {
                ("binlog retention hours", "at least 24, better 168")
            }
            _ if server.is_mariadb() && server.number < (10, 6, 0) => {
                ("expire_logs_days", "at least 1, better 7")
            }
            _ => ("binlog_expire_logs_seconds", "at least 86400, better 604800"),
        };
        match self.facts.log.retention {
            Retention::Seconds(seconds) if seconds < SHORT_SECONDS => {
                let hours = seconds as f64 / 3600.0;
                let found = format!("{hours:.1} hours: a longer outage of tailstock is a gap");
                self.warning(check, found, wanted, fix);
            }
            Retention::Unknown => {
                let found = "cannot be seen; it is 0 unless somebody has set it";
                self.note(check, found, wanted, fix);
            }
            Retention::Seconds(_) | Retention::Forever => {}
        }
    }

    /// How the log names columns and transactions.
    fn names(&mut self) {
        let (server, log) = (&self.facts.server, &self.facts.log);
        if !server.is_mariadb() && log.gtid_mode != "ON" {
            let found = format!(
                "{}: after a failover, or once the file of the checkpoint is purged, nothing \
                 proves that no change is missing; a table is snapshotted seconds after the stream \
                 has come so far, and a commit that takes longer from the log to its tables may be \
                 missed",
                log.gtid_mode
            );
            self.warning("gtid_mode", found, "ON", remedy::name_transactions(server));
        }
        if log.counts_alone {
            let found = "ON: a node of a Galera cluster, each of which counts transactions for \
                         itself. Behind another node nothing proves that no change is missing: \
                         that is a gap, and the tables are read anew";
            let fix = "name one node in the URL, and no other hosts or load balancer".to_owned();
            self.note("wsrep_on", found, "one node that is followed", fix);
        }
        if log.row_metadata != "FULL" {
            let setting = "binlog_row_metadata";
            let found = format!(
                "{}: columns are not named in the log, so that rows from before an ALTER TABLE \
                 may be unreadable behind it",
                log.row_metadata
            );
            let fix = remedy::set(server, setting, "FULL");
            self.add(Severity::Note, setting, [found, "FULL".to_owned(), fix]);
        }
    }
}
