use connector_api::{Capture, Severity};

use super::Report;
use crate::doctor::facts::TableFacts;
use crate::doctor::quote::{identifier, qualified};

impl Report<'_> {
    /// Rows that foreign keys delete or change behind the log's back.
    pub(super) fn cascades(&mut self, table: &TableFacts, capture: &Capture) {
        if self.facts.log.has_cascades {
            return;
        }
        let child = qualified(&table.description.name);
        for cascade in &table.cascades {
            let parent = qualified(&cascade.parent);
            let is_followed = capture.columns_of(&cascade.parent).is_some();
            let severity = if is_followed { Severity::Note } else { Severity::Warning };
            let found = format!(
                "its foreign key {} to {parent} is {}: rows of {child} that go or change with \
                 their {parent} do so without a trace in the log",
                identifier(&cascade.constraint),
                cascade.rules.join(" ")
            );
            let wanted = format!("{parent} followed too, whose own changes are in the log");
            let newer = match self.facts.server.is_mariadb() {
                true => "",
                false => "; MySQL 9.6 and later log them",
            };
            let fix = match is_followed {
                true => format!(
                    "require {parent} in what is mapped of {child}, so that its rows go with \
                     theirs{newer}"
                ),
                false => format!(
                    "map {parent} too, or have the shop delete and change the rows of {child} \
                     itself{newer}"
                ),
            };
            self.add(severity, &format!("table {child}"), [found, wanted, fix]);
        }
    }
}
