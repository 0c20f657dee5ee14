//! From the bytes of one column in a row image to a [`connector_api::Value`]; `TYPES.md` lists
//! them all.
//!
//! Two questions are kept apart. How long a value is follows from its type and metadata alone
//! ([`Layout`]), so that what is not captured is stepped over and a value that cannot be read
//! never displaces the ones behind it. What it says ([`Reading`]) is asked only of captured
//! columns.

mod address;
mod ascii;
mod charset;
mod compressed;
mod cursor;
mod field;
mod json;
mod label;
mod layout;
mod number;
mod reading;
mod temporal;
mod wire;

use connector_api::BatchBuilder;

pub use charset::Charset;
pub use cursor::Cursor;
pub(crate) use field::{Encoding, Field, Fields};
use layout::Layout;
use reading::Reading;
pub(crate) use wire::Selected;

/// What the log and the catalog say of a column.
#[derive(Debug, Clone)]
pub struct Definition<'a> {
    /// Its type's code in the table map.
    pub code: u8,
    /// Its metadata in the table map: of two bytes the first is the low one; a single byte as it
    /// is; 0 for none.
    pub metadata: u16,
    /// Whether it is an integer without sign.
    pub unsigned: bool,
    /// Its character set, where known.
    pub charset: Option<Charset>,
    /// The labels of an ENUM or SET in `charset`, where known.
    pub labels: Option<&'a [Vec<u8>]>,
    /// The database's own name of the type (`COLUMN_TYPE` of `information_schema`), where known;
    /// empty otherwise. Alone tells MariaDB's INET4, INET6 and UUID from BINARY, and in the codes
    /// 7, 11 and 12 the digits of a second (`time(3) /* mariadb-5.3 */`), without which such a
    /// value is taken for a shorter one.
    pub type_name: &'a str,
}

/// How the values of one column are read. Built once for a table.
#[derive(Debug, Clone)]
pub struct ColumnType {
    layout: Layout,
    reading: Reading,
}

/// Memory for converting values, kept from one to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    text: String,
    bytes: Vec<u8>,
}

impl ColumnType {
    /// What a column's values are. [`Unreadable`] when not even their length is known: no row of
    /// the table can be read then. Everything else is said by [`Self::decode`], and only of
    /// columns that are wanted.
    pub fn new(definition: &Definition<'_>) -> Result<Self, Unreadable> {
        let real = layout::RealType::of(definition);
        let layout = Layout::of(&real, definition)?;
        let reading = Reading::of(&real, layout, definition).unwrap_or_else(Reading::Refused);
        Ok(Self { layout, reading })
    }

    /// Steps over a value.
    pub fn skip(&self, cursor: &mut Cursor<'_>) -> Result<(), Unreadable> {
        self.layout.take(cursor).map(drop)
    }

    /// Adds a value to the row being built. After every error but [`Unreadable::Short`] the cursor
    /// is behind the value, and nothing was added.
    pub fn decode(
        &self,
        cursor: &mut Cursor<'_>,
        scratch: &mut Scratch,
        out: &mut BatchBuilder,
    ) -> Result<(), Unreadable> {
        let raw = self.layout.take(cursor)?;
        self.reading.push(raw, scratch, out)
    }

    /// Steps over a value that the log gives as changes to the one before, as rows of
    /// `PARTIAL_UPDATE_ROWS` do with JSON, and says why it cannot be read.
    pub fn difference(&self, cursor: &mut Cursor<'_>) -> Unreadable {
        match self.skip(cursor) {
            Ok(()) => Unreadable::PartialJson,
            Err(error) => error,
        }
    }
}

/// Why a value cannot be read, to stand behind the name of its column. Never shows content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The row ends inside the value; what follows cannot be read either.
    #[error("the row image ends inside its value")]
    Short,
    /// A type whose length is not known.
    #[error("its type (code {code}, metadata {metadata:#06x}) is not one this connector knows")]
    Type {
        /// In the table map.
        code: u8,
        /// In the table map.
        metadata: u16,
    },
    /// A character set that cannot be converted.
    #[error(
        "its character set {name} is not one this connector converts; ALTER TABLE ... MODIFY it \
         with CHARACTER SET utf8mb4"
    )]
    Charset {
        /// As the server names it.
        name: String,
    },
    /// Text without a known character set.
    #[error(
        "its character set is not known: the log does not say it; SET GLOBAL \
         binlog_row_metadata=FULL makes it"
    )]
    CharsetMissing,
    /// ENUM or SET without known labels.
    #[error(
        "the labels of its {type_name} are not known: the log does not say them; SET GLOBAL \
         binlog_row_metadata=FULL makes it"
    )]
    LabelsMissing {
        /// `enum` or `set`.
        type_name: &'static str,
    },
    /// A number that stands for no label.
    #[error("its {type_name} holds a number that stands for none of its {labels} labels")]
    Label {
        /// `enum` or `set`.
        type_name: &'static str,
        /// How many there are.
        labels: usize,
    },
    /// Bytes that no server writes for this type.
    #[error("its bytes are not those of a {type_name}: {what}")]
    Malformed {
        /// As SQL spells it.
        type_name: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// Changes to a JSON document instead of the document.
    #[error(
        "the log holds only what changed in its JSON document; SET GLOBAL \
         binlog_row_value_options='' makes the server log documents whole"
    )]
    PartialJson,
}

#[cfg(test)]
mod tests;
