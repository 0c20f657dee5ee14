use std::collections::BTreeSet;

use connector_api::{Capture, CaptureTable, Columns, Severity, TableName};

use super::{Report, remedy};
use crate::doctor::facts::{TableFacts, is_blob, is_table};
use crate::doctor::grants::Reach;
use crate::doctor::quote::{identifier, qualified};

/// Engines that undo what is rolled back.
const TRANSACTIONAL: [&str; 5] = ["innodb", "rocksdb", "tokudb", "ndbcluster", "xtradb"];

impl TableFacts {
    pub(super) fn is_table(&self) -> bool {
        is_table(&self.kind)
    }

    fn has(&self, column: &str) -> bool {
        self.description.columns.iter().any(|known| known.name == column)
    }

    /// Whether a column is not to be seen, but may be there all the same.
    fn may_hide(&self, column: &str) -> bool {
        self.is_partly_hidden && !self.has(column) && self.nearest(column).is_none()
    }

    /// The column that may have been meant.
    fn nearest(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        let columns = self.description.columns.iter().map(|column| column.name.as_str());
        columns
            .map(|column| (strsim::osa_distance(&column.to_lowercase(), &name), column))
            .filter(|(distance, _)| *distance <= 1 + name.chars().count() / 4)
            .min()
            .map(|(_, nearest)| nearest)
    }

    /// Whether documents are captured.
    pub(super) fn has_documents(&self, capture: &Capture) -> bool {
        let table = &self.description;
        let wanted = capture.columns_of(&table.name);
        let is_json = |kind: &str| kind.eq_ignore_ascii_case("json");
        table.columns.iter().any(|column| {
            is_json(&column.type_name) && wanted.is_some_and(|all| is_wanted(all, &column.name))
        })
    }

    /// Whether a row image that is not full leaves out what is captured.
    pub(super) fn lacks_columns(&self, row_image: &str, capture: &Capture) -> bool {
        let table = &self.description;
        // FULL_NODUP leaves out of a new row what the old one says, and old rows are whole. So are
        // they without a key, whatever the image.
        let whole = table.primary_key.is_empty() || row_image.starts_with("FULL");
        let Some(wanted) = capture.columns_of(&table.name).filter(|_| !whole) else { return false };
        table.columns.iter().any(|column| {
            let is_left_out = row_image != "NOBLOB" || is_blob(&column.type_name);
            is_wanted(wanted, &column.name)
                && is_left_out
                && !table.primary_key.contains(&column.name)
        })
    }
}

fn is_wanted(wanted: &Columns, column: &str) -> bool {
    match wanted {
        Columns::All => true,
        Columns::Only(names) => names.iter().any(|name| name == column),
    }
}

/// Whether it is a name and not a pattern.
fn is_one(name: &TableName) -> bool {
    !name.schema.contains('*') && !name.table.contains('*')
}

impl Report<'_> {
    pub(super) fn tables(&mut self, capture: &Capture) {
        let mut judged = BTreeSet::new();
        for wanted in &capture.tables {
            let alone = Capture { tables: vec![wanted.clone()] };
            let is_meant =
                |table: &&TableFacts| alone.columns_of(&table.description.name).is_some();
            let meant: Vec<&TableFacts> = self.facts.tables.iter().filter(is_meant).collect();
            if meant.is_empty() && is_one(&wanted.name) {
                self.missing_table(&wanted.name);
            } else if meant.is_empty() {
                self.nothing_matches(wanted);
            }
            for table in meant {
                if judged.insert(&table.description.name) {
                    self.table(table, &wanted.columns, capture);
                }
            }
        }
    }

    fn nothing_matches(&mut self, wanted: &CaptureTable) {
        // One table of several may come later; without any there is nothing to stream.
        let severity = match self.facts.tables.is_empty() {
            true => Severity::Blocker,
            false => Severity::Warning,
        };
        let account = &self.facts.account.name;
        let found = format!("no table that {account} may see matches");
        let fix = "check the spelling of table in the seller's file, its prefix included, and \
                   grant SELECT on these tables";
        let check = format!("tables {}", wanted.name);
        self.add(severity, &check, [found, "a table at least".to_owned(), fix.to_owned()]);
    }

    fn missing_table(&mut self, name: &TableName) {
        let check = format!("table {}", qualified(name));
        let account = &self.facts.account;
        let plain = |name: &TableName| name.table.to_lowercase();
        let distance = |other: &TableName| strsim::osa_distance(&plain(other), &plain(name));
        let nearest = self
            .facts
            .others
            .iter()
            .map(|other| (distance(other), other))
            .filter(|(distance, _)| *distance <= 1 + name.table.chars().count() / 4)
            .min_by_key(|(distance, other)| (*distance, other.schema != name.schema));
        let hint = match nearest {
            Some((_, other)) => format!("; did you mean {}?", qualified(other)),
            None => String::new(),
        };
        let spelling =
            format!("check the spelling of table in the seller's file, database included{hint}");
        if account.grants.reach(name) == Reach::Nothing {
            let found = format!("does not exist, or {} may not see it", account.name);
            let grant = format!("GRANT SELECT ON {} TO {};", qualified(name), account.name);
            let fix = format!("{grant} where there is no such table, {spelling}");
            self.blocker(&check, found, "SELECT on the table of the mapping", fix);
            return;
        }
        self.blocker(&check, "does not exist", "the table of the mapping", spelling);
    }

    fn table(&mut self, table: &TableFacts, wanted: &Columns, capture: &Capture) {
        let name = qualified(&table.description.name);
        let check = format!("table {name}");
        if !table.is_table() {
            let fix = "map the table behind it".to_owned();
            self.blocker(&check, "is not a table", "a table: views have no log", fix);
            return;
        }
        if table.kind == "SYSTEM VERSIONED" {
            self.blocker(
                &check,
                "keeps its past itself: every update logs the old row as a new one beside the \
                 current",
                "a table of current rows alone",
                format!("ALTER TABLE {name} DROP SYSTEM VERSIONING; or map another table"),
            );
        }
        self.columns(table, wanted);
        self.access(table, wanted);
        self.key_access(table, wanted);
        self.engine(table, &check);
        if table.description.primary_key.is_empty() {
            self.warning(
                &check,
                "has no primary key: rows that are alike in every column cannot be told apart",
                "a primary key",
                format!("ALTER TABLE {name} ADD PRIMARY KEY (the columns that identify a row);"),
            );
        }
        self.cascades(table, capture);
    }

    /// Columns the capture names and the table does not have.
    fn columns(&mut self, table: &TableFacts, wanted: &Columns) {
        let Columns::Only(names) = wanted else { return };
        let qualified = qualified(&table.description.name);
        for name in names.iter().filter(|name| !table.has(name) && !table.may_hide(name)) {
            let check = format!("column {qualified}.{}", identifier(name));
            let fix = match table.nearest(name) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "name a column the table has".to_owned(),
            };
            self.blocker(&check, "does not exist", "a column of the table", fix);
        }
    }

    /// What the account may not read of a table.
    fn access(&mut self, table: &TableFacts, wanted: &Columns) {
        let account = &self.facts.account.name;
        let name = qualified(&table.description.name);
        let refused = table.unreadable.iter().filter(|column| is_wanted(wanted, column));
        let named: &[String] = match wanted {
            Columns::Only(names) => names,
            Columns::All => &[],
        };
        let unseen = named.iter().filter(|column| table.may_hide(column));
        let refused: Vec<String> = refused.chain(unseen).map(|name| identifier(name)).collect();
        if !refused.is_empty() {
            self.blocker(
                "grant SELECT",
                format!("{account} may not read {} of {name}", refused.join(", ")),
                "SELECT on every captured column",
                format!("GRANT SELECT ON {name} TO {account};"),
            );
        } else if table.is_partly_hidden && self.facts.log.row_metadata != "FULL" {
            let metadata = remedy::set(&self.facts.server, "binlog_row_metadata", "FULL");
            self.blocker(
                "grant SELECT",
                format!(
                    "{account} sees only some columns of {name}, and the log does not name them: \
                     nobody can tell which is which"
                ),
                "SELECT on the whole table, or binlog_row_metadata FULL",
                format!("GRANT SELECT ON {name} TO {account}; or {metadata}"),
            );
        }
    }

    /// What of the key the account may not read, though nobody captures it.
    fn key_access(&mut self, table: &TableFacts, wanted: &Columns) {
        let description = &table.description;
        let refused = table.unreadable.iter().filter(|column| {
            description.primary_key.contains(column) && !is_wanted(wanted, column)
        });
        let refused: Vec<String> = refused.map(|name| identifier(name)).collect();
        if refused.is_empty() {
            return;
        }
        let (name, account) = (qualified(&description.name), &self.facts.account.name);
        let columns = refused.join(", ");
        self.warning(
            "grant SELECT",
            format!(
                "{account} may not read {columns} of {name}, its key: it cannot be snapshotted"
            ),
            "SELECT on the columns of the key",
            format!("GRANT SELECT ({columns}) ON {name} TO {account};"),
        );
    }

    fn engine(&mut self, table: &TableFacts, check: &str) {
        let engine = table.engine.to_ascii_lowercase();
        let name = qualified(&table.description.name);
        let fix = format!("ALTER TABLE {name} ENGINE = InnoDB;");
        if engine == "memory" {
            let found = "its engine is MEMORY: a restart of the server empties it";
            self.warning(check, found, "a table that lasts", fix);
        } else if !engine.is_empty() && !TRANSACTIONAL.contains(&engine.as_str()) {
            let found = format!(
                "its engine {} has no transactions: changes stay when the shop rolls back, a \
                 crash of the server may lose them from the table or from the log, and whoever \
                 changes rows waits while a chunk of it is read",
                table.engine
            );
            self.warning(check, found, "an engine with transactions", fix);
        }
    }
}
