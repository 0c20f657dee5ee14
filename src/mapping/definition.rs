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
    /// Other tables whose columns its expressions may name.
    pub lookups: Vec<Lookup>,
    /// Columns that are added up over all rows of a key; in quantities they stand for their sums.
    pub sum: Vec<String>,
    /// How long a removal waits for a later event of its key, milliseconds; 0 is not at all.
    pub removal_grace_ms: u64,
}

/// A `[[stock.lookup]]` block: columns that come from a row of another table, or from another row
/// of the same one.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The table that is looked up.
    pub table: TableName,
    /// Which of its rows count.
    pub filter: Option<Expression>,
    /// Columns of the looked-up table, each with what it must be equal to: an expression over the
    /// stock row.
    pub on: Vec<(String, Expression)>,
    /// Names that the expressions of the block may use as columns, each with what it stands for:
    /// an expression over the looked-up row.
    pub columns: Vec<(String, Expression)>,
    /// Whether a stock row without a looked-up row counts as gone.
    pub required: bool,
}

impl Lookup {
    /// The columns of the looked-up table that it needs, each once.
    pub fn columns_needed(&self) -> Vec<&str> {
        let values = self.columns.iter().map(|(_, expression)| expression);
        let mut needed: Vec<&str> = self.on.iter().map(|(column, _)| column.as_str()).collect();
        needed.extend(values.chain(&self.filter).flat_map(Expression::columns));
        needed.sort_unstable();
        needed.dedup();
        needed
    }
}

impl Definition {
    /// The lookup that gives this column, if one does.
    pub fn lookup_of(&self, column: &str) -> Option<usize> {
        let gives = |lookup: &Lookup| lookup.columns.iter().any(|(name, _)| name == column);
        self.lookups.iter().position(gives)
    }

    /// The lookups in an order in which each needs only what those before it have found; `Err`
    /// names one of those that need each other.
    pub fn lookup_order(&self) -> Result<Vec<usize>, usize> {
        let needs = |nth: usize| {
            let asked = self.lookups[nth].on.iter().flat_map(|(_, value)| value.columns());
            asked.filter_map(|column| self.lookup_of(column))
        };
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.lookups.len() {
            let left = (0..self.lookups.len()).filter(|nth| !order.contains(nth));
            let ready = left.clone().find(|nth| needs(*nth).all(|other| order.contains(&other)));
            match ready {
                Some(nth) => order.push(nth),
                None => return Err(left.min().unwrap_or(0)),
            }
        }
        Ok(order)
    }

    /// The columns of the stock table that it needs, in the order of their first use.
    pub fn columns_needed(&self) -> Vec<&str> {
        let own = self.expressions().into_iter().map(|(_, expression)| expression);
        let asked = self.lookups.iter().flat_map(|lookup| &lookup.on).map(|(_, value)| value);
        let mut needed: Vec<&str> = Vec::new();
        let named = own.chain(asked).flat_map(Expression::columns);
        for column in named.chain(self.sum.iter().map(String::as_str)) {
            if self.lookup_of(column).is_none() && !needed.contains(&column) {
                needed.push(column);
            }
        }
        needed
    }

    /// Whether what it says of a key depends on several rows.
    pub fn is_derived(&self) -> bool {
        !self.lookups.is_empty() || !self.sum.is_empty()
    }

    /// Whether it says something of the rows of this table.
    pub fn concerns(&self, table: &TableName) -> bool {
        self.table == *table || self.lookups.iter().any(|lookup| lookup.table == *table)
    }

    /// Every expression over the stock row and what is looked up for it, with the key it stands
    /// under.
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
