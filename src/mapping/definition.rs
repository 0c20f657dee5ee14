use connector_api::TableName;

use super::expression::Expression;
use crate::stock::Measure;

/// What the rows of a table state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How much there is.
    Level,
    /// By how much it changed: a ledger.
    Movement,
}

/// One `[[stock]]` block of a seller's file, parsed but not yet held against the tables.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name in events; the table's when none was given.
    pub name: String,
    /// The table.
    pub table: TableName,
    /// Level or movement.
    pub kind: Kind,
    /// Which rows count.
    pub filter: Option<Expression>,
    /// Which rows are gone although they are there.
    pub removed_when: Option<Expression>,
    /// The item's id.
    pub item: Expression,
    /// What the marketplace knows it by.
    pub sku: Option<Expression>,
    /// Global trade item number.
    pub gtin: Option<Expression>,
    /// The item this is a variant of.
    pub parent: Option<Expression>,
    /// The location's id; `_` when there is none.
    pub location: Option<Expression>,
    /// Lot, package, owner.
    pub bucket: Option<Expression>,
    /// The quantities that are mapped.
    pub quantities: Vec<(Measure, Expression)>,
    /// Which of them is read rather than derived; the first bare column when not given.
    pub measure: Option<Measure>,
    /// The change of a movement.
    pub delta: Option<Expression>,
    /// Whether the offer is enabled.
    pub active: Option<Expression>,
    /// Whether the quantities bind.
    pub tracked: Option<Expression>,
    /// UN/ECE recommendation 20 code.
    pub unit: String,
    /// Whether only the last state of a key within a transaction is published.
    pub coalesce: bool,
}

impl Definition {
    /// Whether it says something of the rows of this table.
    pub fn concerns(&self, table: &TableName) -> bool {
        self.table == *table
    }

    /// Every expression with the key it stands under.
    pub fn expressions(&self) -> Vec<(&'static str, &Expression)> {
        let mut all = vec![("item", &self.item)];
        let optional = [
            ("where", &self.filter),
            ("removed_when", &self.removed_when),
            ("sku", &self.sku),
            ("gtin", &self.gtin),
            ("parent", &self.parent),
            ("location", &self.location),
            ("bucket", &self.bucket),
            ("delta", &self.delta),
            ("active", &self.active),
            ("tracked", &self.tracked),
        ];
        all.extend(optional.into_iter().filter_map(|(key, field)| Some((key, field.as_ref()?))));
        all.extend(self.quantities.iter().map(|(measure, field)| (measure.as_str(), field)));
        all
    }
}
