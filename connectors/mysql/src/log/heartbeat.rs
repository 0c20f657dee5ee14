use connector_api::Result;

use super::cursor::Cursor;
use super::format::Flavor;
use super::frame::Frame;

const END: u64 = 0;
const FILE: u64 = 1;
const POSITION: u64 = 2;
const POSITION_BYTES: usize = 8;

/// The server lives, and has read its log up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The name of the log file.
    pub file: &'a [u8],
    /// Where in that file; modulo 2^32 where the server has no room for more.
    pub position: u64,
}

impl<'a> Heartbeat<'a> {
    pub(super) fn read(frame: &Frame<'a>, body: &mut Cursor<'a>) -> Result<Self> {
        let mut position = u64::from(frame.header.next_position);
        // MariaDB puts what does not fit into the header before the name.
        if position == 0 && frame.flavor == Flavor::MariaDb && frame.body.len() > POSITION_BYTES {
            position = body.u64()?;
        }
        Ok(Self { file: body.rest(), position })
    }

    pub(super) fn read_v2(frame: &Frame<'a>, body: &mut Cursor<'a>) -> Result<Self> {
        let mut file = &[][..];
        let mut position = u64::from(frame.header.next_position);
        loop {
            let field = body.packed()?;
            if field == END {
                break;
            }
            let len = body.packed_len()?;
            let mut value = body.part(len)?;
            match field {
                FILE => file = value.rest(),
                POSITION => position = value.packed()?,
                _ => {}
            }
        }
        body.rest();
        Ok(Self { file, position })
    }
}
