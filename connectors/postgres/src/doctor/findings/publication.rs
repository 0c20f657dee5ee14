use connector_api::{Capture, TableName};

use super::Report;
use crate::doctor::identifier;
use crate::doctor::quote::qualified;

impl Report<'_> {
    pub(super) fn publication(&mut self, capture: &Capture) {
        let name = identifier(&self.config.publication);
        let check = format!("publication {name}");
        let Some(publication) = &self.facts.publication else {
            let list = self.wanted_tables(capture);
            let root = match self.facts.tables.iter().any(|table| table.kind == "p") {
                true => " WITH (publish_via_partition_root = true)",
                false => "",
            };
            let fix = format!("CREATE PUBLICATION {name} FOR TABLE {list}{root};");
            self.blocker(&check, "does not exist", "a publication of the captured tables", fix);
            return;
        };
        let names = ["insert", "update", "delete", "truncate"];
        let missing: Vec<&str> = names
            .into_iter()
            .zip(publication.operations)
            .filter_map(|(name, published)| (!published).then_some(name))
            .collect();
        if !missing.is_empty() {
            let found = format!("does not publish {}", missing.join(", "));
            let all = "insert, update, delete, truncate";
            let fix = format!("ALTER PUBLICATION {name} SET (publish = '{all}');");
            self.blocker(&check, found, all, fix);
        }
    }

    /// For the statement that makes a publication.
    fn wanted_tables(&self, capture: &Capture) -> String {
        let named = capture.tables.iter().map(|table| &table.name).filter(|name| is_one(name));
        let mut tables: Vec<String> = named.map(qualified).collect();
        if tables.is_empty() {
            let found = self.facts.tables.iter().filter(|t| matches!(&*t.kind, "r" | "p"));
            tables = found.take(3).map(|table| qualified(&table.description.name)).collect();
        }
        if tables.is_empty() { "your_stock_table".to_owned() } else { tables.join(", ") }
    }
}

/// Whether it is a name and not a pattern.
pub(super) fn is_one(name: &TableName) -> bool {
    !name.schema.contains('*') && !name.table.contains('*')
}
