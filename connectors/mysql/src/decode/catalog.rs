use std::collections::HashMap;

use connector_api::TableName;

/// A column as `information_schema.COLUMNS` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogColumn {
    /// `COLUMN_NAME`.
    pub name: String,
    /// `COLUMN_TYPE`: `int unsigned`, `enum('a','b')`.
    pub column_type: String,
    /// `CHARACTER_SET_NAME`; none for what is no text.
    pub charset: Option<String>,
    /// Whether it is a part of the primary key.
    pub is_key: bool,
}

/// What a log with `binlog_row_metadata=MINIMAL` does not say: columns in the order of the table.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    tables: HashMap<TableName, Vec<CatalogColumn>>,
    /// `lower_case_table_names` other than 0: names in statements are told apart in lower case.
    pub fold_case: bool,
}

impl Catalog {
    /// The columns of a table from here on in the log.
    pub fn define(&mut self, table: TableName, columns: Vec<CatalogColumn>) {
        self.tables.insert(table, columns);
    }

    pub(super) fn columns_of(&self, table: &TableName) -> Option<&[CatalogColumn]> {
        self.tables.get(table).map(Vec::as_slice)
    }

    /// What was handed in is not what the table is from here on.
    pub(super) fn forget(&mut self, table: &TableName) {
        self.tables.remove(table);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &TableName> {
        self.tables.keys()
    }
}

/// The labels in the definition of an ENUM or SET, in UTF-8.
pub(super) fn labels(column_type: &str) -> Option<Vec<Vec<u8>>> {
    let (_, list) = column_type.split_once('(')?;
    let mut bytes = list.bytes().peekable();
    let mut labels = Vec::new();
    loop {
        if bytes.next()? != b'\'' {
            return None;
        }
        let mut label = Vec::new();
        loop {
            match bytes.next()? {
                b'\'' if bytes.peek() == Some(&b'\'') => {
                    bytes.next();
                    label.push(b'\'');
                }
                b'\'' => break,
                b'\\' => label.push(match bytes.next()? {
                    b'0' => 0,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => other,
                }),
                byte => label.push(byte),
            }
        }
        labels.push(label);
        match bytes.next()? {
            b',' => {}
            b')' => return Some(labels),
            _ => return None,
        }
    }
}
