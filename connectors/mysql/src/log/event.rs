use connector_api::{Error, Result};

use super::cursor::Cursor;
use super::frame::Frame;
use super::gtid::Gtid;
use super::heartbeat::Heartbeat;
use super::kind::Kind;
use super::mariadb::{MariadbGtid, MariadbGtidList};
use super::payload::Payload;
use super::query::Query;
use super::rows::Rows;
use super::table_map::TableMap;

/// The parts of a branch of a distributed transaction's name are at most this long, in bytes.
const XA_PART_MAX: usize = 64;

/// What an event says. It borrows the bytes it came in.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// How the events behind it are written; [`super::Framing::format`] has it.
    FormatDescription,
    /// The log goes on in another file.
    Rotate(Rotate<'a>),
    /// The server was shut down.
    Stop,
    /// A statement, or a boundary of a transaction.
    Query(Query<'a>),
    /// The commit of a transaction, with its number in the server.
    Xid(u64),
    /// The end of the first phase of a distributed transaction.
    XaPrepare(XaPrepare<'a>),
    /// The beginning of a transaction in MySQL.
    Gtid(Gtid<'a>),
    /// The beginning of a transaction in MariaDB.
    MariadbGtid(MariadbGtid<'a>),
    /// What MariaDB has logged before this file.
    MariadbGtidList(MariadbGtidList<'a>),
    /// What MySQL has logged before this file: an encoded set.
    PreviousGtids(&'a [u8]),
    /// The events of a transaction, packed into one.
    TransactionPayload(Payload<'a>),
    /// The server lives, and has read the log up to here.
    Heartbeat(Heartbeat<'a>),
    /// The server itself does not know what is missing in its log.
    Incident(Incident<'a>),
    /// The table that rows behind it are of.
    TableMap(TableMap<'a>),
    /// Changed rows.
    Rows(Rows<'a>),
    /// What follows in the file is encrypted. A server sends it decrypted.
    StartEncryption,
    /// Nothing that concerns rows or positions, or a type that its server lets others pass over.
    Ignored(Kind),
    /// A type that is not known and may not be passed over: rows may be missing.
    Unknown(Kind),
}

/// The log goes on in another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Where it goes on in that file.
    pub position: u64,
    /// The file's name without its folder.
    pub file: &'a [u8],
    /// Whether a server made it up to tell where its stream begins.
    pub is_artificial: bool,
}

/// A branch of a distributed transaction at the end of its first phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XaPrepare<'a> {
    /// The branch commits at once: there is no second phase.
    pub one_phase: bool,
    /// The first part of its name, a number that says how the others are to be read.
    pub format_id: u32,
    /// The global part of its name.
    pub global: &'a [u8],
    /// The part of its name that is its own.
    pub branch: &'a [u8],
}

/// A hole in the log that the server knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident<'a> {
    /// The server's number for the cause; 1 is lost events.
    pub cause: u16,
    /// What the server says of it.
    pub message: &'a [u8],
}

impl<'a> Event<'a> {
    pub(super) fn read(frame: &Frame<'a>) -> Result<Self> {
        let kind = frame.header.kind;
        let mut body = Cursor::new(frame.body, frame.header.subject());
        let event = match kind {
            Kind::FORMAT_DESCRIPTION => return Ok(Self::FormatDescription),
            Kind::ROTATE => Self::Rotate(read_rotate(frame, &mut body)?),
            Kind::STOP => Self::Stop,
            Kind::QUERY | Kind::EXECUTE_LOAD_QUERY | Kind::MARIADB_QUERY_COMPRESSED => {
                Self::Query(Query::read(kind, &mut body)?)
            }
            Kind::XID => Self::Xid(body.u64()?),
            Kind::XA_PREPARE => Self::XaPrepare(read_xa_prepare(&mut body)?),
            Kind::GTID | Kind::ANONYMOUS_GTID => Self::Gtid(Gtid::read(kind, &mut body)?),
            Kind::GTID_TAGGED => Self::Gtid(Gtid::read_tagged(&mut body)?),
            Kind::MARIADB_GTID => Self::MariadbGtid(MariadbGtid::read(frame, &mut body)?),
            Kind::MARIADB_GTID_LIST => Self::MariadbGtidList(MariadbGtidList::read(&mut body)?),
            Kind::PREVIOUS_GTIDS => Self::PreviousGtids(body.rest()),
            Kind::TRANSACTION_PAYLOAD => Self::TransactionPayload(Payload::read(frame, &mut body)?),
            Kind::HEARTBEAT => Self::Heartbeat(Heartbeat::read(frame, &mut body)?),
            Kind::HEARTBEAT_V2 => Self::Heartbeat(Heartbeat::read_v2(frame, &mut body)?),
            Kind::INCIDENT => Self::Incident(read_incident(&mut body)?),
            Kind::TABLE_MAP => Self::TableMap(TableMap::read(frame, &mut body)?),
            Kind::MARIADB_START_ENCRYPTION => {
                body.rest();
                Self::StartEncryption
            }
            _ => match Rows::read(kind, &mut body)? {
                Some(rows) => Self::Rows(rows),
                None => return Ok(without_body(frame)),
            },
        };
        body.end()?;
        Ok(event)
    }
}

/// What is not read any further.
fn without_body<'a>(frame: &Frame<'a>) -> Event<'a> {
    let kind = frame.header.kind;
    match kind {
        // Values that a statement behind them uses; the statement itself is a QUERY.
        Kind::INTVAR
        | Kind::RAND
        | Kind::USER_VAR
        | Kind::BEGIN_LOAD_QUERY
        | Kind::APPEND_BLOCK
        | Kind::DELETE_FILE
        // Remarks on the rows behind them, and what replicas tell each other.
        | Kind::IGNORABLE
        | Kind::ROWS_QUERY
        | Kind::TRANSACTION_CONTEXT
        | Kind::VIEW_CHANGE
        | Kind::MARIADB_ANNOTATE_ROWS
        | Kind::MARIADB_BINLOG_CHECKPOINT => Event::Ignored(kind),
        _ if frame.header.is_ignorable() => Event::Ignored(kind),
        _ => Event::Unknown(kind),
    }
}

fn read_rotate<'a>(frame: &Frame<'a>, body: &mut Cursor<'a>) -> Result<Rotate<'a>> {
    let position = body.u64()?;
    let file = body.rest();
    if file.is_empty() {
        return Err(body.wrong("no name of the next log file"));
    }
    let is_artificial = frame.header.is_artificial() || frame.header.next_position == 0;
    Ok(Rotate { position, file, is_artificial })
}

fn read_xa_prepare<'a>(body: &mut Cursor<'a>) -> Result<XaPrepare<'a>> {
    let one_phase = body.u8()? != 0;
    let format_id = body.u32()?;
    let global = body.u32()? as usize;
    let branch = body.u32()? as usize;
    if global > XA_PART_MAX || branch > XA_PART_MAX {
        return Err(body.wrong(&format!(
            "parts of a name of {global} and {branch} bytes, and at most {XA_PART_MAX} are allowed"
        )));
    }
    let global = body.bytes(global)?;
    let branch = body.bytes(branch)?;
    Ok(XaPrepare { one_phase, format_id, global, branch })
}

fn read_incident<'a>(body: &mut Cursor<'a>) -> Result<Incident<'a>> {
    let cause = body.u16()?;
    let message = if body.is_at_end() { &[] } else { body_message(body)? };
    Ok(Incident { cause, message })
}

fn body_message<'a>(body: &mut Cursor<'a>) -> Result<&'a [u8], Error> {
    let len = usize::from(body.u8()?);
    body.bytes(len)
}
