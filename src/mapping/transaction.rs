use connector_api::{Batch, RowChange};

use super::row::write_json;
use crate::stock::Provenance;

/// The transaction being mapped.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) coordinate: u64,
    pub(super) committed_at_us: i64,
    pub(super) txid: String,
    pub(super) position: String,
    /// Whether more of it follows in a later batch.
    pub(super) continues: bool,
    /// Whether it is one of the log, or rows that were read.
    pub(super) capture: Provenance,
    /// Added to the ordinals of its rows.
    pub(super) first_ordinal: u32,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            coordinate: 0,
            committed_at_us: 0,
            txid: String::new(),
            position: String::new(),
            continues: false,
            capture: Provenance::Stream,
            first_ordinal: 0,
        }
    }
}

impl Transaction {
    /// Its id; rows that were read have none.
    pub(super) fn id(&self) -> Option<&str> {
        (self.capture == Provenance::Stream).then_some(&self.txid)
    }

    /// The row as a dead letter: mapped columns only.
    pub(super) fn reject(&self, batch: &Batch, row: &RowChange, reason: String) -> Rejected {
        let schema = batch.table(row.table);
        let image = batch.after(row).or_else(|| batch.before(row));
        let mut columns = vec![b'{'];
        let values = image.iter().flat_map(|image| image.values());
        for (column, value) in schema.columns.iter().zip(values) {
            if value == connector_api::Value::Absent {
                continue;
            }
            if columns.len() > 1 {
                columns.push(b',');
            }
            write_json(connector_api::Value::Text(&column.name), &mut columns);
            columns.push(b':');
            write_json(value, &mut columns);
        }
        columns.push(b'}');
        Rejected {
            table: schema.name.to_string(),
            position: self.position.clone(),
            row: row.ordinal,
            reason,
            columns: String::from_utf8(columns).expect("JSON is text"),
        }
    }
}

/// A row that could not be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// `schema.table`.
    pub table: String,
    /// Its transaction's place in the log.
    pub position: String,
    /// Its ordinal in the transaction.
    pub row: u32,
    /// Why, for people.
    pub reason: String,
    /// The mapped columns as a JSON object.
    pub columns: String,
}
