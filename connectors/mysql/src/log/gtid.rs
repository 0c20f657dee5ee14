use connector_api::Result;

use super::cursor::Cursor;
use super::kind::Kind;

const TAG_BYTES_MAX: usize = 32;
/// Says that logical clocks follow.
const LOGICAL_CLOCKS: u8 = 2;
/// A commit time has seven bytes, of which the highest bit says that another follows.
const COMMIT_TIME_BYTES: usize = 7;
const ANOTHER_TIME: u64 = 1 << 55;

/// The beginning of a transaction in MySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gtid<'a> {
    /// The transaction's name, or none while the server gives none.
    pub owner: Option<GtidOwner<'a>>,
    /// Whether the transaction holds nothing but row changes.
    pub rows_only: bool,
    /// The logical clock of the last transaction it depends on.
    pub last_committed: u64,
    /// Its own logical clock.
    pub sequence_number: u64,
    /// When the server that sends it committed it, in microseconds since 1970; from MySQL 8.0 on.
    pub committed_at_us: Option<u64>,
    /// When the server that ran it first committed it, in microseconds since 1970.
    pub first_committed_at_us: Option<u64>,
    /// Bytes of the transaction in the log, this event included; from MySQL 8.0 on.
    pub transaction_bytes: Option<u64>,
}

/// What a transaction is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GtidOwner<'a> {
    /// The server that ran it first.
    pub uuid: [u8; 16],
    /// The tag in the name, in ASCII; mostly empty.
    pub tag: &'a [u8],
    /// Its number under that server and tag, from 1.
    pub number: u64,
}

impl<'a> Gtid<'a> {
    pub(super) fn read(kind: Kind, body: &mut Cursor<'a>) -> Result<Self> {
        let flags = body.u8()?;
        let uuid = body.array()?;
        let number = body.u64()?;
        let owner = match kind {
            Kind::ANONYMOUS_GTID => None,
            _ => Some(GtidOwner { uuid, tag: &[], number: checked_number(number, body)? }),
        };
        let mut gtid = Self {
            owner,
            rows_only: flags & 1 == 0,
            last_committed: 0,
            sequence_number: 0,
            committed_at_us: None,
            first_committed_at_us: None,
            transaction_bytes: None,
        };
        // Each version has added to the end: clocks in 5.7, times and length in 8.0.
        if body.is_at_end() {
            return Ok(gtid);
        }
        let clocks = body.u8()?;
        if clocks != LOGICAL_CLOCKS {
            return Err(body.wrong(&format!("clocks of the unknown type {clocks}")));
        }
        gtid.last_committed = body.u64()?;
        gtid.sequence_number = body.u64()?;
        if body.is_at_end() {
            return Ok(gtid);
        }
        let time = body.uint(COMMIT_TIME_BYTES)?;
        let committed = time & !ANOTHER_TIME;
        let first = if time == committed { committed } else { body.uint(COMMIT_TIME_BYTES)? };
        gtid.committed_at_us = Some(committed);
        gtid.first_committed_at_us = Some(first);
        if !body.is_at_end() {
            gtid.transaction_bytes = Some(body.packed()?);
        }
        // The versions of the servers, and whatever comes after MySQL 9.
        body.rest();
        Ok(gtid)
    }

    /// GTID_TAGGED: a message of numbered fields, of which defaults are left out.
    pub(super) fn read_tagged(body: &mut Cursor<'a>) -> Result<Self> {
        let version = varint(body)?;
        if version != 1 && version != 0 {
            return Err(body.wrong(&format!("message format {version}, and only 1 is known")));
        }
        let _size = varint(body)?;
        let last_needed = varint(body)?;
        let mut fields = Fields::default();
        while !body.is_at_end() {
            let number = varint(body)?;
            if !fields.read(number, body)? {
                if number <= last_needed {
                    return Err(body.wrong(&format!("the unknown field {number} that is needed")));
                }
                // Fields do not say how long they are: what is behind an unknown one is unknown.
                body.rest();
            }
        }
        let uuid = fields.uuid.ok_or_else(|| body.wrong("no server UUID"))?;
        let number = fields.number.and_then(|number| u64::try_from(number).ok());
        let number = checked_number(number.unwrap_or(0), body)?;
        Ok(Self {
            owner: Some(GtidOwner { uuid, tag: fields.tag, number }),
            rows_only: fields.flags & 1 == 0,
            last_committed: fields.last_committed,
            sequence_number: fields.sequence_number,
            committed_at_us: fields.committed_at_us,
            first_committed_at_us: fields.first_committed_at_us.or(fields.committed_at_us),
            transaction_bytes: fields.transaction_bytes,
        })
    }
}

fn checked_number(number: u64, body: &Cursor<'_>) -> Result<u64> {
    if number == 0 || i64::try_from(number).is_err() {
        return Err(body.wrong(&format!("the transaction number {number}")));
    }
    Ok(number)
}

/// What a tagged event has said so far.
#[derive(Debug, Default)]
struct Fields<'a> {
    flags: u64,
    uuid: Option<[u8; 16]>,
    number: Option<i64>,
    tag: &'a [u8],
    last_committed: u64,
    sequence_number: u64,
    committed_at_us: Option<u64>,
    first_committed_at_us: Option<u64>,
    transaction_bytes: Option<u64>,
}

impl<'a> Fields<'a> {
    /// Whether the field is known.
    fn read(&mut self, field: u64, body: &mut Cursor<'a>) -> Result<bool> {
        match field {
            0 => self.flags = varint(body)?,
            1 => {
                let mut uuid = [0; 16];
                for byte in &mut uuid {
                    let value = varint(body)?;
                    *byte = u8::try_from(value)
                        .map_err(|_| body.wrong(&format!("{value} as a byte of a UUID")))?;
                }
                self.uuid = Some(uuid);
            }
            2 => self.number = Some(signed_varint(body)?),
            3 => self.tag = read_tag(body)?,
            4 => self.last_committed = clock(body)?,
            5 => self.sequence_number = clock(body)?,
            6 => self.committed_at_us = Some(varint(body)?),
            7 => self.first_committed_at_us = Some(varint(body)?),
            8 => self.transaction_bytes = Some(varint(body)?),
            // The versions of the servers, and the ticket of a group of commits.
            9..=11 => drop(varint(body)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn read_tag<'a>(body: &mut Cursor<'a>) -> Result<&'a [u8]> {
    let len = usize::try_from(varint(body)?).unwrap_or(usize::MAX);
    if len > TAG_BYTES_MAX {
        return Err(body.wrong(&format!("a tag of {len} bytes, and {TAG_BYTES_MAX} are allowed")));
    }
    body.bytes(len)
}

fn clock(body: &mut Cursor<'_>) -> Result<u64> {
    let clock = signed_varint(body)?;
    u64::try_from(clock).map_err(|_| body.wrong(&format!("the logical clock {clock}")))
}

/// The ones at the low end of the first byte count the bytes behind it; what is left is the value,
/// lowest byte first.
fn varint(body: &mut Cursor<'_>) -> Result<u64> {
    let first = body.u8()?;
    let more = first.trailing_ones() as usize;
    if more >= 8 {
        return body.u64();
    }
    let high = body.uint(more)?;
    let low = u64::from(first) >> (more + 1);
    // With seven bytes behind it the first one has no bit left for the value.
    Ok(low | high << (7 - more))
}

/// The lowest bit is the sign, and the rest counts from 0 upwards or from -1 downwards.
fn signed_varint(body: &mut Cursor<'_>) -> Result<i64> {
    let value = varint(body)?;
    let magnitude = (value >> 1) as i64;
    Ok(if value & 1 == 0 { magnitude } else { !magnitude })
}
