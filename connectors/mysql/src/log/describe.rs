//! What a TABLE_MAP adds to the shape of its table: `binlog_row_metadata`, MINIMAL or FULL.
//!
//! Each part speaks of the columns of some types only, in their order, so a column that is counted
//! among the wrong ones would shift all behind it.

use connector_api::Result;

use super::cursor::Cursor;
use super::format::Flavor;
use super::table_map::{Column, TableMap, types};

const SIGNEDNESS: u8 = 1;
const DEFAULT_CHARSET: u8 = 2;
const COLUMN_CHARSET: u8 = 3;
const COLUMN_NAME: u8 = 4;
const SET_LABELS: u8 = 5;
const ENUM_LABELS: u8 = 6;
const GEOMETRY_TYPE: u8 = 7;
const SIMPLE_KEY: u8 = 8;
const KEY_WITH_PREFIX: u8 = 9;
const LABELS_DEFAULT_CHARSET: u8 = 10;
const LABELS_COLUMN_CHARSET: u8 = 11;
const VISIBILITY: u8 = 12;
const VECTOR_DIMENSIONS: u8 = 13;

/// The labels an ENUM can have; a SET has less.
const LABELS_MAX: u64 = 65_535;

impl<'a> TableMap<'a> {
    /// Adds to `columns`, which are this table's, what the log says of them beyond their types.
    ///
    /// # Errors
    /// A description that does not fit the columns. They are as good as undescribed then.
    pub fn describe(&self, columns: &mut [Column<'a>]) -> Result<()> {
        let mut optional = self.optional.clone();
        while !optional.is_at_end() {
            let part = optional.u8()?;
            let len = optional.packed_len()?;
            let mut value = optional.part(len)?;
            self.describe_part(part, &mut value, columns)?;
        }
        Ok(())
    }

    fn describe_part(
        &self,
        part: u8,
        value: &mut Cursor<'a>,
        columns: &mut [Column<'a>],
    ) -> Result<()> {
        let texts = |column: &Column<'_>| is_text(column, self.flavor);
        match part {
            SIGNEDNESS => {
                bits(value, columns, is_number, |column, set| column.is_unsigned = Some(set))?;
            }
            VISIBILITY => {
                bits(value, columns, |_| true, |column, set| column.is_visible = Some(set))?;
            }
            DEFAULT_CHARSET => default_charset(value, columns, texts)?,
            LABELS_DEFAULT_CHARSET => default_charset(value, columns, has_labels)?,
            COLUMN_CHARSET => numbers(value, columns, texts, |it| &mut it.collation)?,
            LABELS_COLUMN_CHARSET => numbers(value, columns, has_labels, |it| &mut it.collation)?,
            GEOMETRY_TYPE => numbers(value, columns, is_spatial, |it| &mut it.geometry)?,
            VECTOR_DIMENSIONS => numbers(value, columns, is_vector, |it| &mut it.dimensions)?,
            COLUMN_NAME => {
                for column in columns {
                    column.name = Some(value.packed_bytes()?);
                }
            }
            SET_LABELS => labels(value, columns, |column| column.label_type() == types::SET)?,
            ENUM_LABELS => labels(value, columns, |column| column.label_type() == types::ENUM)?,
            SIMPLE_KEY => key(value, columns, false)?,
            KEY_WITH_PREFIX => key(value, columns, true)?,
            _ => drop(value.rest()),
        }
        value.end()
    }
}

impl Column<'_> {
    /// The type, where an ENUM or SET hides behind STRING.
    fn label_type(&self) -> u8 {
        let [real, _] = self.meta.to_le_bytes();
        match self.kind {
            types::STRING if matches!(real, types::ENUM | types::SET) => real,
            kind => kind,
        }
    }
}

/// A YEAR has a sign to the server, if not to all who read its logs: who does not count it reads
/// the signs of the columns behind it wrong.
fn is_number(column: &Column<'_>) -> bool {
    use types::*;
    let whole = [TINY, SHORT, INT24, LONG, LONGLONG, YEAR];
    whole.contains(&column.kind) || [NEWDECIMAL, FLOAT, DOUBLE].contains(&column.kind)
}

fn is_text(column: &Column<'_>, flavor: Flavor) -> bool {
    use types::*;
    match column.label_type() {
        STRING | VAR_STRING | VARCHAR | BLOB => true,
        MARIADB_BLOB_COMPRESSED | MARIADB_VARCHAR_COMPRESSED => true,
        // Both are built on blobs, and each family counts one of them.
        GEOMETRY => flavor == Flavor::MariaDb,
        VECTOR => flavor == Flavor::MySql,
        _ => false,
    }
}

fn has_labels(column: &Column<'_>) -> bool {
    matches!(column.label_type(), types::ENUM | types::SET)
}

fn is_spatial(column: &Column<'_>) -> bool {
    column.kind == types::GEOMETRY
}

fn is_vector(column: &Column<'_>) -> bool {
    column.kind == types::VECTOR
}

/// One bit a column, from the highest of the first byte on.
fn bits<'a>(
    value: &mut Cursor<'a>,
    columns: &mut [Column<'a>],
    among: impl Fn(&Column<'_>) -> bool,
    set: impl Fn(&mut Column<'a>, bool),
) -> Result<()> {
    let mut byte = 0;
    for (nth, column) in columns.iter_mut().filter(|column| among(column)).enumerate() {
        if nth % 8 == 0 {
            byte = value.u8()?;
        }
        set(column, byte >> (7 - nth % 8) & 1 == 1);
    }
    Ok(())
}

/// One number a column.
fn numbers<'a>(
    value: &mut Cursor<'a>,
    columns: &mut [Column<'a>],
    among: impl Fn(&Column<'_>) -> bool,
    field: impl for<'c> Fn(&'c mut Column<'a>) -> &'c mut Option<u32>,
) -> Result<()> {
    for column in columns.iter_mut().filter(|column| among(column)) {
        *field(column) = Some(number(value)?);
    }
    Ok(())
}

/// The collation of most of the columns, then those that have another by their place among them.
fn default_charset<'a>(
    value: &mut Cursor<'a>,
    columns: &mut [Column<'a>],
    among: impl Fn(&Column<'_>) -> bool,
) -> Result<()> {
    let most = number(value)?;
    let mut meant: Vec<_> = columns.iter_mut().filter(|column| among(column)).collect();
    for column in &mut meant {
        column.collation = Some(most);
    }
    while !value.is_at_end() {
        let nth = value.packed_len()?;
        let collation = number(value)?;
        let Some(column) = meant.get_mut(nth) else {
            return Err(value.wrong(&format!("a collation for text column {nth}")));
        };
        column.collation = Some(collation);
    }
    Ok(())
}

fn labels<'a>(
    value: &mut Cursor<'a>,
    columns: &mut [Column<'a>],
    among: impl Fn(&Column<'_>) -> bool,
) -> Result<()> {
    for column in columns.iter_mut().filter(|column| among(column)) {
        let count = value.packed()?;
        if count > LABELS_MAX {
            return Err(value.wrong(&format!("{count} labels, where {LABELS_MAX} are possible")));
        }
        let mut labels = Vec::new();
        for _ in 0..count {
            labels.push(value.packed_bytes()?);
        }
        column.labels = Some(labels);
    }
    Ok(())
}

/// The columns of the primary key in its order, with how much of each if that is said.
fn key<'a>(value: &mut Cursor<'a>, columns: &mut [Column<'a>], has_prefix: bool) -> Result<()> {
    let mut place = 0_u16;
    while !value.is_at_end() {
        let nth = value.packed_len()?;
        let prefix = if has_prefix { number(value)? } else { 0 };
        let Some(column) = columns.get_mut(nth) else {
            return Err(value.wrong(&format!("column {nth} in its primary key")));
        };
        column.key = Some(place);
        column.key_prefix = (prefix > 0).then_some(prefix);
        place = place.saturating_add(1);
    }
    Ok(())
}

fn number(value: &mut Cursor<'_>) -> Result<u32> {
    let number = value.packed()?;
    u32::try_from(number).map_err(|_| value.wrong(&format!("the number {number}")))
}
