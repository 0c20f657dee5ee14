use connector_api::Result;

use super::cursor::Cursor;
use super::inflate::Content;
use super::kind::Kind;

const ANSI_QUOTES: u64 = 4;

/// A statement, or a boundary of a transaction: `BEGIN`, `COMMIT`, DDL, XA, DML as text.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The session that ran it.
    pub thread_id: u32,
    /// The error the statement ended with, or 0.
    pub error_code: u16,
    /// The default schema, in UTF-8; empty where the session had none.
    pub schema: &'a [u8],
    /// The character set the text is in: the number of a collation, if the event says.
    pub charset: Option<u16>,
    /// The session's sql_mode as the server numbers its bits, if the event says.
    pub sql_mode: Option<u64>,
    /// The schemas of all tables that the statement may change, by whatever way, if the event says:
    /// MySQL does, of up to 16.
    pub schemas: Option<Vec<&'a [u8]>>,
    /// The text, in `charset`.
    pub text: Content<'a>,
}

impl<'a> Query<'a> {
    /// Whether `"` quotes names and not text.
    pub fn has_ansi_quotes(&self) -> bool {
        self.sql_mode.is_some_and(|mode| mode & ANSI_QUOTES != 0)
    }

    pub(super) fn read(kind: Kind, body: &mut Cursor<'a>) -> Result<Self> {
        let thread_id = body.u32()?;
        let _seconds_taken = body.u32()?;
        let schema_len = usize::from(body.u8()?);
        let error_code = body.u16()?;
        let status_len = usize::from(body.u16()?);
        if kind == Kind::EXECUTE_LOAD_QUERY {
            // The file, where its name stands in the text, and what to do with duplicates.
            body.bytes(4 + 4 + 4 + 1)?;
        }
        let status = body.part(status_len)?;
        let schema = body.bytes(schema_len)?;
        let zero = body.u8()?;
        if zero != 0 {
            return Err(body.wrong(&format!("0x{zero:02x} behind the schema's name")));
        }
        let text = if kind == Kind::MARIADB_QUERY_COMPRESSED {
            Content::read_deflated(body)?
        } else {
            Content::Plain(body.rest())
        };
        let Status { charset, sql_mode, schemas } = Status::read(status)?;
        Ok(Self { thread_id, error_code, schema, charset, sql_mode, schemas, text })
    }
}

/// The settings of the session that bear on how the text is read.
#[derive(Debug, Default)]
struct Status<'a> {
    charset: Option<u16>,
    sql_mode: Option<u64>,
    schemas: Option<Vec<&'a [u8]>>,
}

impl<'a> Status<'a> {
    /// Servers write them in one order, these before any that is newer, and nobody knows the
    /// length of one that is newer than he is: reading ends there.
    fn read(mut cursor: Cursor<'a>) -> Result<Self> {
        let mut status = Self::default();
        while !cursor.is_at_end() {
            match cursor.u8()? {
                // flags2, auto_increment, master_data_written
                0 | 3 | 10 => skip(&mut cursor, 4)?,
                1 => status.sql_mode = Some(cursor.u64()?),
                // The catalog, with a zero byte behind it in servers before 5.0.4.
                2 => {
                    let len = usize::from(cursor.u8()?);
                    skip(&mut cursor, len + 1)?;
                }
                4 => {
                    status.charset = Some(cursor.u16()?);
                    skip(&mut cursor, 4)?;
                }
                // The time zone, the catalog.
                5 | 6 => {
                    let len = usize::from(cursor.u8()?);
                    skip(&mut cursor, len)?;
                }
                // lc_time_names, charset_database
                7 | 8 => skip(&mut cursor, 2)?,
                // table_map_for_update
                9 => skip(&mut cursor, 8)?,
                // The account that runs it: a name, a host.
                11 => {
                    for _ in 0..2 {
                        let len = usize::from(cursor.u8()?);
                        skip(&mut cursor, len)?;
                    }
                }
                12 => {
                    status.schemas = schemas(&mut cursor)?;
                    break;
                }
                _ => break,
            }
        }
        Ok(status)
    }
}

/// `None` where there are too many to be listed.
fn schemas<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Vec<&'a [u8]>>> {
    const TOO_MANY: u8 = 254;
    let count = cursor.u8()?;
    if count == 0 || count == TOO_MANY {
        return Ok(None);
    }
    let mut rest = cursor.rest();
    let mut schemas = Vec::new();
    for _ in 0..count {
        let Some(len) = rest.iter().position(|byte| *byte == 0) else {
            return Err(cursor.wrong("a name of a schema that does not end"));
        };
        schemas.push(&rest[..len]);
        rest = &rest[len + 1..];
    }
    Ok(Some(schemas))
}

fn skip(cursor: &mut Cursor<'_>, len: usize) -> Result<()> {
    cursor.bytes(len).map(drop)
}
