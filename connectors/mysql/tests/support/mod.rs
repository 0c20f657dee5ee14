//! What every module needs.

mod shop;

use std::time::Duration;

use connector_api::{Capture, CaptureTable, Columns, TableName};

pub use connector_api::conformance::{Reader, within};
pub use shop::Shop;

/// Nothing here takes this long; what does will never come.
pub const LIMIT: Duration = Duration::from_secs(60);

/// These tables of the shop, all their columns.
pub fn tables(schema: &str, names: &[&str]) -> Capture {
    let table =
        |name: &&str| CaptureTable { name: TableName::new(schema, *name), columns: Columns::All };
    Capture { tables: names.iter().map(table).collect() }
}
