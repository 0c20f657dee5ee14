use std::collections::HashMap;
use std::sync::Arc;

use connector_api::{ColumnLayout, TableLayout, TableName};

use crate::log::Column;

const ENUM: u8 = 247;
const SET: u8 = 248;
const STRING: u8 = 254;

/// What a log does not say: columns in the order of the table. Where it names them, those are
/// enough that an account sees.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    tables: HashMap<TableName, Known>,
    /// `lower_case_table_names` other than 0: names in statements are told apart in lower case.
    pub fold_case: bool,
}

/// What is known of a table from here on in the log.
#[derive(Debug, Clone)]
enum Known {
    Layout {
        columns: Vec<ColumnLayout>,
        /// It was looked up for rows that have not come by yet.
        is_answer: bool,
    },
    /// Why it cannot be known.
    Refused(String),
}

/// Whether the columns of a table are known.
pub(super) enum Found<'c> {
    /// One for each in the log, where there is one.
    Columns(Vec<Option<&'c ColumnLayout>>),
    Refused(&'c str),
    /// They have to be looked up.
    Nothing,
}

impl Catalog {
    /// What was remembered of tables, with places in a log where it is true.
    pub fn new(layouts: &[TableLayout], fold_case: bool) -> Self {
        let known = |layout: &TableLayout| {
            let columns = layout.columns.clone();
            (layout.name.clone(), Known::Layout { columns, is_answer: false })
        };
        Self { tables: layouts.iter().map(known).collect(), fold_case }
    }

    /// The columns of a table, as they are in the log from here on.
    pub(super) fn define(&mut self, layout: TableLayout) {
        let known = Known::Layout { columns: layout.columns, is_answer: true };
        self.tables.insert(layout.name, known);
    }

    /// Nothing can be said of the columns of a table, from here on to its next change.
    pub(super) fn refuse(&mut self, table: TableName, why: String) {
        self.tables.insert(table, Known::Refused(why));
    }

    /// The columns of a table that the log shows as `seen`, and of which it `lacks` something. What
    /// was looked up and does not fit is refused, what is older is looked up anew.
    pub(super) fn columns_of(
        &mut self,
        table: &TableName,
        seen: &[Column<'_>],
        lacks: &dyn Fn(&Column<'_>) -> bool,
    ) -> Found<'_> {
        let Some(known) = self.tables.get_mut(table) else { return Found::Nothing };
        if let Known::Layout { columns, is_answer } = known {
            match (differs(seen, columns, lacks), *is_answer) {
                (None, _) => *is_answer = false,
                (Some(_), false) => return Found::Nothing,
                (Some(difference), true) => *known = Known::Refused(difference),
            }
        }
        match known {
            Known::Layout { columns, .. } => Found::Columns(matched(seen, columns)),
            Known::Refused(why) => Found::Refused(why),
        }
    }

    /// What was known is not what the table is from here on. Returns whether anything was.
    pub(super) fn forget(&mut self, table: &TableName) -> bool {
        self.tables.remove(table).is_some()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &TableName> {
        self.tables.keys()
    }

    /// What is to be remembered, in a fixed order.
    pub(super) fn layouts(&self) -> Arc<[TableLayout]> {
        let layout = |(name, known): (&TableName, &Known)| match known {
            Known::Layout { columns, .. } => {
                Some(TableLayout { name: name.clone(), id: None, columns: columns.clone() })
            }
            Known::Refused(_) => None,
        };
        let mut layouts: Vec<TableLayout> = self.tables.iter().filter_map(layout).collect();
        layouts.sort_by(|one, other| one.name.cmp(&other.name));
        layouts.into()
    }
}

/// What is known of each column of the log: by its name, or by its place where that is not said.
fn matched<'c>(seen: &[Column<'_>], known: &'c [ColumnLayout]) -> Vec<Option<&'c ColumnLayout>> {
    let found = |(nth, column): (usize, &Column<'_>)| match column.name {
        Some(name) => known.iter().find(|known| known.name.as_bytes() == name),
        None => known.get(nth),
    };
    seen.iter().enumerate().map(found).collect()
}

/// How the columns in the log are not those that are known, if they are not.
fn differs(
    seen: &[Column<'_>],
    known: &[ColumnLayout],
    lacks: &dyn Fn(&Column<'_>) -> bool,
) -> Option<String> {
    const ALTERED: &str = "it was altered in between; SET GLOBAL binlog_row_metadata=FULL makes \
                           the log say the names of columns";
    if seen.iter().any(|column| column.name.is_none()) && seen.len() != known.len() {
        return Some(format!(
            "the log has {} columns and the database defines {}: {ALTERED}",
            seen.len(),
            known.len()
        ));
    }
    seen.iter().zip(matched(seen, known)).find_map(|(column, known)| match known {
        Some(ColumnLayout { name, type_name, .. }) if !fits(column, type_name) => Some(format!(
            "the log has another type in the place of column {name} {type_name}: {ALTERED}"
        )),
        None if lacks(column) => Some(format!(
            "the log does not say all of the type of column {}, and the database does not show it: \
             it was altered in between, or the account has no SELECT on it",
            String::from_utf8_lossy(column.name.unwrap_or_default())
        )),
        _ => None,
    })
}

/// Whether a column of the log can be of this type. What is not known can be anything.
fn fits(column: &Column<'_>, type_name: &str) -> bool {
    let end = type_name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(type_name.len());
    let codes: &[u8] = match &type_name[..end].to_ascii_lowercase()[..] {
        "tinyint" => &[1],
        "smallint" => &[2],
        "mediumint" => &[9],
        "int" => &[3],
        "bigint" => &[8],
        "float" => &[4],
        "double" => &[5],
        "decimal" => &[0, 246],
        "bit" => &[16],
        "date" => &[10, 14],
        "time" => &[11, 19],
        "datetime" => &[12, 18],
        "timestamp" => &[7, 17],
        "year" => &[13],
        "enum" => &[ENUM],
        "set" => &[SET],
        "tinytext" | "text" | "mediumtext" | "longtext" | "tinyblob" | "blob" | "mediumblob"
        | "longblob" => &[140, 249, 250, 251, 252],
        "varchar" | "varbinary" => &[15, 141, 253],
        _ => return true,
    };
    codes.contains(&real_kind(column))
}

/// ENUM and SET are written as strings that say so in their metadata.
pub(super) fn real_kind(column: &Column<'_>) -> u8 {
    let [first, _] = column.meta.to_le_bytes();
    let packed = column.kind == STRING && first != 0;
    if packed { first | 0x30 } else { column.kind }
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
