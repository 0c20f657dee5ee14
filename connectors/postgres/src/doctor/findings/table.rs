use connector_api::{CaptureTable, Columns, Identity, TableName};

use super::Report;
use super::publication::is_one;
use crate::doctor::facts::{LeafIdentity, PublicationFacts, PublishedTable, TableFacts};
use crate::doctor::identifier;
use crate::doctor::quote::qualified;

impl Report<'_> {
    /// A table of the capture, or the tables its pattern stands for.
    pub(super) fn wanted(&mut self, wanted: &CaptureTable) {
        let facts = self.facts;
        let Some(table) = facts.tables.iter().find(|t| t.description.name == wanted.name) else {
            if is_one(&wanted.name) {
                self.missing_table(&wanted.name);
            }
            return;
        };
        let check = format!("table {}", qualified(&wanted.name));
        if !matches!(&*table.kind, "r" | "p") {
            let fix = "map the table behind it".to_owned();
            self.blocker(&check, "is not a table", "a table: views have no log", fix);
            return;
        }
        if table.unlogged {
            let fix = format!("ALTER TABLE {} SET LOGGED;", qualified(&wanted.name));
            let found = "is unlogged: its changes are not in the log";
            self.blocker(&check, found, "a logged table", fix);
            return;
        }
        self.columns(table, wanted);
        let Some(publication) = &facts.publication else {
            self.identity(table, &check);
            return;
        };
        match publication.tables.iter().find(|published| published.name == wanted.name) {
            None => self.unpublished(table, publication),
            Some(published) => {
                self.filter(published, &check);
                self.sent_columns(table, published, wanted);
                self.old_rows(table, published, publication);
            }
        }
        self.identity(table, &check);
    }

    fn missing_table(&mut self, name: &TableName) {
        let tables = self.facts.publication.iter().flat_map(|found| &found.tables);
        let distance = |other: &TableName| strsim::osa_distance(&other.table, &name.table);
        let nearest = tables
            .map(|other| (distance(&other.name), &other.name))
            .filter(|(distance, _)| *distance <= 1 + name.table.chars().count() / 4)
            .min_by_key(|(distance, other)| (*distance, other.schema != name.schema));
        let hint = match nearest {
            Some((_, other)) => format!("; did you mean {}?", qualified(other)),
            None => String::new(),
        };
        self.blocker(
            &format!("table {}", qualified(name)),
            "does not exist",
            "the table of the mapping",
            format!("check the spelling of table in the seller's file, schema included{hint}"),
        );
    }

    fn unpublished(&mut self, table: &TableFacts, publication: &PublicationFacts) {
        let name = qualified(&table.description.name);
        let check = format!("table {name}");
        let publication_name = identifier(&self.config.publication);
        let published = |name: &TableName| publication.tables.iter().any(|t| t.name == *name);
        let its_partitions = |other: &PublishedTable| {
            other.root.as_ref().is_some_and(|root| *root == table.description.name)
        };
        let via_root = format!(
            "ALTER PUBLICATION {publication_name} SET (publish_via_partition_root = true);"
        );
        if let Some(root) = table.root.as_ref().filter(|root| published(root)) {
            let found = format!("its changes come as those of {}", qualified(root));
            let fix = format!(
                "name {} as table in the seller's file, or ALTER PUBLICATION {publication_name} \
                 SET (publish_via_partition_root = false);",
                qualified(root)
            );
            self.blocker(&check, found, "changes under its own name", fix);
        } else if publication.tables.iter().any(its_partitions) {
            let found = "its changes come as those of its partitions";
            self.blocker(&check, found, "changes under its own name", via_root);
        } else {
            let mut fix = format!("ALTER PUBLICATION {publication_name} ADD TABLE {name};");
            if table.kind == "p" && !publication.via_root {
                fix = format!("{via_root} {fix}");
            }
            let found = format!("is not in publication {publication_name}");
            self.blocker(&check, found, "published", fix);
        }
    }

    /// Columns the capture names and the table does not have, or the log does not carry.
    fn columns(&mut self, table: &TableFacts, wanted: &CaptureTable) {
        let Columns::Only(names) = &wanted.columns else { return };
        let columns = &table.description.columns;
        for name in names {
            let check = format!("column {}.{}", qualified(&wanted.name), identifier(name));
            if !columns.iter().any(|column| column.name == *name) {
                let nearest = columns
                    .iter()
                    .map(|column| (strsim::osa_distance(&column.name, name), &column.name))
                    .filter(|(distance, _)| *distance <= 1 + name.chars().count() / 4)
                    .min();
                let fix = match nearest {
                    Some((_, nearest)) => format!("did you mean {nearest}?"),
                    None => "name a column the table has".to_owned(),
                };
                self.blocker(&check, "does not exist", "a column of the table", fix);
            }
        }
    }

    /// Columns the capture names and the publication does not send.
    fn sent_columns(
        &mut self,
        table: &TableFacts,
        published: &PublishedTable,
        wanted: &CaptureTable,
    ) {
        let Columns::Only(names) = &wanted.columns else { return };
        let exists = |name: &String| table.description.columns.iter().any(|c| c.name == *name);
        let missing: Vec<String> = names
            .iter()
            .filter(|name| exists(name) && !published.columns.contains(name))
            .map(|name| identifier(name))
            .collect();
        let publication = identifier(&self.config.publication);
        if missing.is_empty() {
            return;
        }
        let name = qualified(&wanted.name);
        let check = format!("columns {} of {name}", missing.join(", "));
        if published.listed {
            let sent = published.columns.iter().map(|name| identifier(name));
            let columns: Vec<String> = sent.chain(missing).collect();
            let filter = match &published.filter {
                Some(filter) => format!(" WHERE ({filter})"),
                None => String::new(),
            };
            // SET TABLE would drop every other table of the publication.
            let fix = format!(
                "BEGIN; ALTER PUBLICATION {publication} DROP TABLE {name}; \
                 ALTER PUBLICATION {publication} ADD TABLE {name} ({}){filter}; COMMIT;",
                columns.join(", ")
            );
            let found = format!("left out of publication {publication}");
            self.blocker(&check, found, "every mapped column published", fix);
            return;
        }
        let mut fix = "map the expression that generates it".to_owned();
        if self.facts.server.version_number >= 180_000 && table.generated.stored {
            fix = format!(
                "ALTER PUBLICATION {publication} SET (publish_generated_columns = stored); or {fix}"
            );
        }
        let found = "generated, and not in the log";
        self.blocker(&check, found, "columns that the log carries", fix);
    }

    fn filter(&mut self, published: &PublishedTable, check: &str) {
        if let Some(filter) = &published.filter {
            let found = format!("rows outside of {filter} are not sent");
            let fix = "leave it if that is what you want".to_owned();
            self.note(check, found, "every row of the shop's stock", fix);
        }
    }
}

/// What the server needs to write of old rows.
impl Report<'_> {
    fn identity(&mut self, table: &TableFacts, check: &str) {
        let name = qualified(&table.description.name);
        let fails = "the shop's own UPDATE and DELETE fail while it is published";
        let wanted = "a primary key, or REPLICA IDENTITY FULL";
        if table.identity.is_none() {
            let why = match table.description.identity {
                Identity::Nothing => "has replica identity NOTHING",
                Identity::Index => "has lost the index that was its replica identity",
                _ if table.description.primary_key.is_empty() => "has no primary key",
                _ => "has a deferrable primary key, which identifies no row",
            };
            let has_key = !table.description.primary_key.is_empty();
            let cheapest = match table.description.identity {
                Identity::Nothing if has_key => "DEFAULT",
                _ => "FULL",
            };
            let fix = format!("ALTER TABLE {name} REPLICA IDENTITY {cheapest};");
            self.blocker(check, format!("{why}: {fails}"), wanted, fix);
        }
        for leaf in &table.leaves {
            let partition = qualified(&leaf.name);
            match leaf.identity {
                LeafIdentity::AsRoot => {}
                LeafIdentity::Missing => self.blocker(
                    &format!("table {partition}"),
                    format!("a partition of {name} without a replica identity: {fails}"),
                    wanted,
                    format!("ALTER TABLE {partition} REPLICA IDENTITY FULL;"),
                ),
                LeafIdentity::Other => self.warning(
                    &format!("table {partition}"),
                    format!(
                        "identifies rows otherwise than {name}: columns of its old rows come \
                             as NULL, or not at all"
                    ),
                    "the replica identity of its root",
                    format!("set the replica identity of {partition} as that of {name} is set"),
                ),
            }
        }
    }

    /// A publication that keeps back part of what identifies a row makes the server refuse changes.
    fn old_rows(
        &mut self,
        table: &TableFacts,
        published: &PublishedTable,
        publication: &PublicationFacts,
    ) {
        let name = qualified(&table.description.name);
        let (check, publication_name) =
            (format!("table {name}"), identifier(&self.config.publication));
        let fails = "the shop's own UPDATE and DELETE fail";
        let full = table.description.identity == Identity::Full;
        let identity = table.identity.as_deref().unwrap_or_default();
        let whole = format!(
            "ALTER PUBLICATION {publication_name} DROP TABLE {name}; ALTER PUBLICATION \
             {publication_name} ADD TABLE {name};"
        );
        let hidden = |name: &String| !published.columns.contains(name);
        if published.listed && (full || identity.iter().any(hidden)) {
            let found = format!("its column list does not cover the replica identity: {fails}");
            self.blocker(&check, found, "a list with the replica identity, or none", whole.clone());
        }
        let beside: Vec<&str> = published
            .filter_columns
            .iter()
            .filter(|column| !identity.contains(column))
            .map(String::as_str)
            .collect();
        if !beside.is_empty() {
            let found = format!(
                "its row filter uses {}, outside of the replica identity: {fails}",
                beside.join(", ")
            );
            let fix = format!(
                "ALTER TABLE {name} REPLICA IDENTITY FULL; or, without the filter, {whole}"
            );
            self.blocker(&check, found, "a filter of the replica identity's columns", fix);
        }
        let newest = self.facts.server.version_number >= 180_000;
        if newest && full && table.generated.computed {
            self.blocker(
                &check,
                format!("has virtual generated columns and REPLICA IDENTITY FULL: {fails}"),
                "a replica identity without generated columns",
                format!("ALTER TABLE {name} REPLICA IDENTITY DEFAULT;"),
            );
        } else if newest && full && table.generated.stored && !publication.generated {
            self.blocker(
                &check,
                format!("has generated columns that are not published: {fails}"),
                "publish_generated_columns = stored, with REPLICA IDENTITY FULL",
                format!(
                    "ALTER PUBLICATION {publication_name} SET (publish_generated_columns = stored);"
                ),
            );
        }
        if table.kind == "p" {
            self.warning(
                &check,
                "TRUNCATE, DROP and DETACH of a partition are not in the log",
                "the shop empties partitions by DELETE, or the table as a whole",
                "after such a statement have the table read anew".to_owned(),
            );
        }
    }
}
