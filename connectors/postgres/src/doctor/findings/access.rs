use connector_api::{Capture, Columns, KEYLESS_BYTES};

use super::Report;
use crate::doctor::facts::TableFacts;
use crate::doctor::identifier;
use crate::doctor::quote::qualified;

impl Report<'_> {
    /// Tables whose changes can be followed, and whose rows cannot be read as they are.
    pub(super) fn snapshots(&mut self, capture: &Capture) {
        let facts = self.facts;
        let published = facts.publication.iter().flat_map(|found| &found.tables);
        for table in published {
            let name = &table.name;
            let Some(columns) = capture.columns_of(name) else { continue };
            let Some(found) = facts.tables.iter().find(|t| t.description.name == *name) else {
                continue;
            };
            let access = &found.access;
            let is_wanted = |column: &&String| match columns {
                Columns::All => true,
                Columns::Only(names) => names.contains(column) || access.key.contains(column),
            };
            let kept_back: Vec<String> =
                access.kept_back.iter().filter(is_wanted).map(|name| identifier(name)).collect();
            if access.shut || !kept_back.is_empty() {
                self.kept_back(found, &kept_back.join(", "));
            }
            if access.hides_rows {
                self.hidden_rows(found);
            }
            if access.key.is_empty() {
                self.keyless(found);
            }
        }
    }

    fn kept_back(&mut self, table: &TableFacts, kept_back: &str) {
        let (name, user) = (qualified(&table.description.name), identifier(&self.config.user));
        let mut fixes = Vec::new();
        if table.access.shut {
            let schema = identifier(&table.description.name.schema);
            fixes.push(format!("GRANT USAGE ON SCHEMA {schema} TO {user};"));
        }
        let mut found = format!("{user} may not look into its schema");
        if !kept_back.is_empty() {
            fixes.push(format!("GRANT SELECT ({kept_back}) ON {name} TO {user};"));
            found = format!("cannot be taken: {user} may not read {kept_back}");
        }
        let wanted = "SELECT on the mapped columns and the key, to read what is there already";
        self.warning(&format!("snapshot of {name}"), found, wanted, fixes.join(" "));
    }

    fn hidden_rows(&mut self, table: &TableFacts) {
        let (name, user) = (qualified(&table.description.name), identifier(&self.config.user));
        self.warning(
            &format!("snapshot of {name}"),
            format!("cannot be taken: row level security may hide rows from {user}"),
            "a role that sees every row",
            format!("ALTER ROLE {user} BYPASSRLS;"),
        );
    }

    fn keyless(&mut self, table: &TableFacts) {
        let name = qualified(&table.description.name);
        let mib = KEYLESS_BYTES >> 20;
        self.warning(
            &format!("snapshot of {name}"),
            format!("there is no key to read it by in pieces: it is read at once, up to {mib} MiB"),
            "a primary key, or a unique index of NOT NULL columns",
            format!("ALTER TABLE {name} ADD PRIMARY KEY (...);"),
        );
    }
}
