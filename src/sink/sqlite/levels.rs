use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use crate::sink::LevelKey;
use crate::stock::encode::source_key;
use crate::stock::{SellerId, SourceName};

/// The levels of a source, sorted by key.
pub(super) fn read(
    connection: &Connection,
    seller: &SellerId,
    source: &SourceName,
) -> rusqlite::Result<Vec<LevelKey>> {
    // Everything that begins with `seller/source/`: the table is kept in the order of its keys, and
    // `0` is the character behind the slash.
    let source = source_key(seller, source);
    let sql = "SELECT key, version, table_name, sku FROM levels
        WHERE key > ?1 || '/' AND key < ?1 || '0' ORDER BY key";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([source], level)?.collect()
}

fn level(row: &Row<'_>) -> rusqlite::Result<LevelKey> {
    let version: String = row.get(1)?;
    let foreign = |error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error));
    Ok(LevelKey {
        key: row.get(0)?,
        version: version.parse().map_err(foreign)?,
        table: row.get(2)?,
        sku: row.get(3)?,
    })
}
