use connector_api::Result;

use super::cursor::Cursor;
use super::event::XaPrepare;
use super::frame::Frame;

const STANDALONE: u8 = 1;
const GROUP_COMMIT: u8 = 2;
const TRANSACTIONAL: u8 = 4;
const DDL: u8 = 32;
const PREPARED_XA: u8 = 64;
const COMPLETED_XA: u8 = 128;

/// The bits of a list's first number that are its length; the others are flags.
const LIST_LEN: u32 = (1 << 28) - 1;
const LIST_ENTRY_BYTES: usize = 16;

/// The beginning of a transaction in MariaDB, or of a statement that is one by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MariadbGtid<'a> {
    /// The domain it is ordered in.
    pub domain: u32,
    /// The server that ran it first.
    pub server: u32,
    /// Its number in its domain.
    pub sequence: u64,
    /// Exactly one statement follows, without a commit behind it.
    pub is_standalone: bool,
    /// The statement changes the shape of something.
    pub is_ddl: bool,
    /// It can be rolled back; without this a table without transactions may be in it.
    pub is_transactional: bool,
    /// It ends the first phase of a distributed transaction.
    pub prepares_xa: bool,
    /// It ends the second phase of a distributed transaction, either way.
    pub completes_xa: bool,
    /// The branch that is meant, when it is one of a distributed transaction.
    pub xa: Option<XaPrepare<'a>>,
}

impl<'a> MariadbGtid<'a> {
    pub(super) fn read(frame: &Frame<'a>, body: &mut Cursor<'a>) -> Result<Self> {
        let sequence = body.u64()?;
        let domain = body.u32()?;
        let flags = body.u8()?;
        if flags & GROUP_COMMIT != 0 {
            let _commit_id = body.u64()?;
        }
        let xa = if flags & (PREPARED_XA | COMPLETED_XA) == 0 {
            None
        } else {
            let format_id = body.u32()?;
            let global = usize::from(body.u8()?);
            let branch = usize::from(body.u8()?);
            let global = body.bytes(global)?;
            let branch = body.bytes(branch)?;
            Some(XaPrepare { one_phase: false, format_id, global, branch })
        };
        // Engines, threads and the two halves of an ALTER: none of them changes what rows mean.
        body.rest();
        Ok(Self {
            domain,
            server: frame.header.server_id,
            sequence,
            is_standalone: flags & STANDALONE != 0,
            is_ddl: flags & DDL != 0,
            is_transactional: flags & TRANSACTIONAL != 0,
            prepares_xa: flags & PREPARED_XA != 0,
            completes_xa: flags & COMPLETED_XA != 0,
            xa,
        })
    }
}

/// What MariaDB has logged before a file: for every domain and server the last transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MariadbGtidList<'a> {
    entries: &'a [[u8; LIST_ENTRY_BYTES]],
}

impl<'a> MariadbGtidList<'a> {
    /// Domain, server and sequence of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> + 'a {
        self.entries.iter().map(|&[a, b, c, d, e, f, g, h, sequence @ ..]| {
            let domain = u32::from_le_bytes([a, b, c, d]);
            let server = u32::from_le_bytes([e, f, g, h]);
            (domain, server, u64::from_le_bytes(sequence))
        })
    }

    pub(super) fn read(body: &mut Cursor<'a>) -> Result<Self> {
        let len = body.u32()? & LIST_LEN;
        let bytes = body.rest();
        let (entries, rest) = bytes.as_chunks();
        // An empty list is padded to the size a list had in the first versions.
        let is_padding = len == 0 && bytes.len() < LIST_ENTRY_BYTES;
        if is_padding || (entries.len() as u64 == u64::from(len) && rest.is_empty()) {
            return Ok(Self { entries });
        }
        Err(body.wrong(&format!("{} bytes for a list of {len} transactions", bytes.len())))
    }
}
