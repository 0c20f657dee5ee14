use connector_api::Result;

use super::cursor::Cursor;
use super::inflate::Content;
use super::kind::Kind;

const STATEMENT_END: u16 = 1;
/// The session had `foreign_key_checks = 0`: nothing cascades then.
const NO_FOREIGN_KEY_CHECKS: u16 = 2;
/// What servers put where no table is meant: an event that only ends its statement.
const NO_TABLE: [u64; 2] = [0x00ff_ffff, 0xffff_ffff_ffff];

/// What happened to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsOp {
    /// Each row is an image of after.
    Write,
    /// Each row is an image of before and one of after.
    Update,
    /// Each row is an image of before.
    Delete,
}

/// Changed rows of one table, still encoded.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// What happened to them.
    pub op: RowsOp,
    /// The number of the table in the last TABLE_MAP that had it.
    pub table_id: u64,
    /// Columns of the table, in the images or not.
    pub columns: usize,
    /// The columns in images of before, one bit each from the lowest of the first byte on. Empty
    /// where there are no such images.
    pub before: &'a [u8],
    /// The same for images of after.
    pub after: &'a [u8],
    /// JSON columns in images of after may be differences to those of before.
    pub has_partial_json: bool,
    /// The images, one row behind the other.
    pub data: Content<'a>,
    flags: u16,
}

/// How one type of event is written.
struct Layout {
    op: RowsOp,
    has_extra: bool,
    is_compressed: bool,
}

impl Layout {
    fn of(kind: Kind) -> Option<Self> {
        let (op, has_extra, is_compressed) = match kind {
            Kind::WRITE_ROWS_V1 => (RowsOp::Write, false, false),
            Kind::UPDATE_ROWS_V1 => (RowsOp::Update, false, false),
            Kind::DELETE_ROWS_V1 => (RowsOp::Delete, false, false),
            Kind::WRITE_ROWS => (RowsOp::Write, true, false),
            Kind::UPDATE_ROWS | Kind::PARTIAL_UPDATE_ROWS => (RowsOp::Update, true, false),
            Kind::DELETE_ROWS => (RowsOp::Delete, true, false),
            Kind::MARIADB_WRITE_ROWS_COMPRESSED_V1 => (RowsOp::Write, false, true),
            Kind::MARIADB_UPDATE_ROWS_COMPRESSED_V1 => (RowsOp::Update, false, true),
            Kind::MARIADB_DELETE_ROWS_COMPRESSED_V1 => (RowsOp::Delete, false, true),
            Kind::MARIADB_WRITE_ROWS_COMPRESSED => (RowsOp::Write, true, true),
            Kind::MARIADB_UPDATE_ROWS_COMPRESSED => (RowsOp::Update, true, true),
            Kind::MARIADB_DELETE_ROWS_COMPRESSED => (RowsOp::Delete, true, true),
            _ => return None,
        };
        Some(Self { op, has_extra, is_compressed })
    }
}

impl<'a> Rows<'a> {
    /// The last rows of their statement: table numbers have no meaning behind them.
    pub fn ends_statement(&self) -> bool {
        self.flags & STATEMENT_END != 0
    }

    /// Foreign keys were not looked at.
    pub fn ignores_foreign_keys(&self) -> bool {
        self.flags & NO_FOREIGN_KEY_CHECKS != 0
    }

    /// The event holds no rows and only ends its statement. The number alone does not say so:
    /// tables are counted up, and one may have come to have it.
    pub fn only_end_a_statement(&self) -> bool {
        NO_TABLE.contains(&self.table_id) && matches!(self.data, Content::Plain([]))
    }

    /// None when `kind` is not one of rows; nothing is read then.
    pub(super) fn read(kind: Kind, body: &mut Cursor<'a>) -> Result<Option<Self>> {
        let Some(Layout { op, has_extra, is_compressed }) = Layout::of(kind) else {
            return Ok(None);
        };
        let table_id = body.uint(6)?;
        let flags = body.u16()?;
        if has_extra {
            // The length counts itself.
            let len = usize::from(body.u16()?);
            let Some(len) = len.checked_sub(2) else {
                return Err(body.wrong(&format!("extra data of {len} bytes, less than 2")));
            };
            body.bytes(len)?;
        }
        let columns = body.packed_len()?;
        let bitmap = columns.div_ceil(8);
        let (before, after) = match op {
            RowsOp::Write => (&[][..], body.bytes(bitmap)?),
            RowsOp::Update => (body.bytes(bitmap)?, body.bytes(bitmap)?),
            RowsOp::Delete => (body.bytes(bitmap)?, &[][..]),
        };
        let data =
            if is_compressed { Content::read_deflated(body)? } else { Content::Plain(body.rest()) };
        let has_partial_json = kind == Kind::PARTIAL_UPDATE_ROWS;
        Ok(Some(Self { op, table_id, columns, before, after, has_partial_json, data, flags }))
    }
}
