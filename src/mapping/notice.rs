use connector_api::{ClearCause, TableName};

/// Something that happened to a table as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Every row went at once.
    ScopeCleared {
        /// The table.
        table: TableName,
        /// The transaction's place in the log.
        position: String,
        /// How.
        cause: ClearCause,
    },
    /// A change could not be read as rows.
    Unreadable {
        /// The table.
        table: TableName,
        /// The transaction's place in the log.
        position: String,
        /// Why.
        reason: String,
    },
    /// Rows are identified by something else now: nothing is remembered of them any more.
    Rekeyed {
        /// The table.
        table: TableName,
        /// The transaction's place in the log.
        position: String,
    },
    /// The table's rows have another shape now.
    SchemaChanged {
        /// The table.
        table: TableName,
        /// Its captured columns.
        columns: Vec<String>,
    },
}

impl Notice {
    /// The table it is about.
    pub fn table(&self) -> &TableName {
        match self {
            Self::ScopeCleared { table, .. }
            | Self::Unreadable { table, .. }
            | Self::Rekeyed { table, .. }
            | Self::SchemaChanged { table, .. } => table,
        }
    }
}
