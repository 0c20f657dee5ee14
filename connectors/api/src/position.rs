use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Batch, Capture, TableLayout};

/// A place in a log, as text that only its connector reads.
///
/// There is no order: GTID sets are partial orders, and positions of two lineages say nothing
/// about each other. [`crate::Connector::covers`] answers for its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(Box<str>);

impl Position {
    /// The position that prints as `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a log. Positions of two lineages are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lineage(Box<str>);

impl Lineage {
    /// The lineage that prints as `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The transaction behind a position of which a part is committed downstream already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// The transaction's id as the database prints it.
    pub txid: String,
    /// How many of its captured changes are committed: the ordinal of the next one.
    pub rows: u32,
}

/// Where a stream is to continue, as a checkpoint remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// The log the position belongs to.
    pub lineage: Lineage,
    /// The end of the last complete transaction.
    pub position: Position,
    /// How far into the next transaction.
    pub partial: Option<Partial>,
    /// What was captured when the position was written: an open transaction is finished under it,
    /// because its rows were counted under it.
    pub capture: Capture,
    /// What the server was set to send when the position was written, as the connector prints it
    /// ([`crate::Survey::coverage`]). Another coverage means that changes may have been left out.
    pub coverage: String,
    /// What the log does not say of tables, as it is at `position` or was when that was surveyed.
    /// Empty where logs say it all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layouts: Vec<TableLayout>,
}

impl ResumePoint {
    /// A place between transactions, under a log and a server's settings of which nothing is known.
    pub fn new(lineage: Lineage, position: Position, capture: Capture) -> Self {
        Self {
            lineage,
            position,
            partial: None,
            capture,
            coverage: String::new(),
            layouts: Vec::new(),
        }
    }

    /// The place behind a batch of the log that this is a place of.
    pub fn follow(&mut self, batch: &Batch) {
        if self.position != *batch.end() {
            self.position = batch.end().clone();
        }
        self.partial = batch.partial().cloned();
        if let Some(layouts) = batch.layouts() {
            self.layouts = layouts.to_vec();
        }
    }

    /// Remembers tables as a survey found them ([`crate::Survey::layouts`]), but for those that
    /// were followed up to here: the log has said more of them, or will.
    pub fn acquaint(&mut self, found: &[TableLayout]) {
        for layout in found {
            let is_followed = self.capture.columns_of(&layout.name).is_some();
            match self.layouts.iter_mut().find(|known| known.name == layout.name) {
                Some(_) if is_followed => {}
                Some(outdated) => outdated.clone_from(layout),
                None => self.layouts.push(layout.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CaptureTable, Columns, TableName};

    #[test]
    fn a_table_that_was_followed_stays_as_the_log_has_described_it() {
        let layout = |table: &str, id: u32| TableLayout {
            name: TableName::new("public", table),
            id: Some(id),
            columns: Vec::new(),
        };
        let followed = |table: &str| CaptureTable {
            name: TableName::new("public", table),
            columns: Columns::All,
        };
        let mut point = ResumePoint {
            lineage: Lineage::new("7/1/slot"),
            position: Position::new("0/10"),
            partial: None,
            capture: Capture { tables: vec![followed("stock"), followed("quiet")] },
            coverage: String::new(),
            layouts: vec![layout("stock", 1), layout("let_go", 1)],
        };
        point.acquaint(&[layout("let_go", 2), layout("quiet", 2), layout("stock", 2)]);
        let expected = [layout("stock", 1), layout("let_go", 2), layout("quiet", 2)];
        assert_eq!(point.layouts, expected);
    }
}
