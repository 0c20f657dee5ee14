//! MariaDB's attribute COMPRESSED: a byte says how the rest is stored.

use flate2::{Decompress, FlushDecompress, Status};

use super::Unreadable;
use super::cursor::big_endian;

/// A value that inflates to more is refused: the log does not bound it, and memory is shared.
const INFLATED_MAX: usize = 64 << 20;
/// Deflate makes at most so many bytes of one.
const RATIO_MAX: usize = 1032;

/// High half of the first byte: stored as it is, or deflated.
const METHOD_STORED: u8 = 0;
const METHOD_ZLIB: u8 = 8;
/// Bit of the first byte: without the frame of zlib.
const BARE: u8 = 8;
/// Bits of the first byte: in how many bytes the length follows, the highest first.
const LENGTH_BYTES: u8 = 7;

fn malformed(what: &'static str) -> Unreadable {
    Unreadable::Malformed { type_name: "compressed value", what }
}

/// The value, in place or inflated into `out`.
pub(super) fn inflate<'v>(raw: &'v [u8], out: &'v mut Vec<u8>) -> Result<&'v [u8], Unreadable> {
    let Some((&head, rest)) = raw.split_first() else { return Ok(raw) };
    match head >> 4 {
        METHOD_STORED => return Ok(rest),
        METHOD_ZLIB => {}
        _ => return Err(malformed("the method is not known")),
    }
    let (len, deflated) = rest
        .split_at_checked(usize::from(head & LENGTH_BYTES))
        .filter(|(len, _)| (1..=4).contains(&len.len()))
        .ok_or_else(|| malformed("its length is missing"))?;
    let len = big_endian(len) as usize;
    if len > INFLATED_MAX {
        return Err(malformed("it inflates to more than 64 MiB"));
    }
    if len > deflated.len().saturating_mul(RATIO_MAX) {
        return Err(malformed("it is too short for its length"));
    }
    out.clear();
    // One byte more tells a value that is longer than it says.
    out.reserve(len + 1);
    let mut stream = Decompress::new(head & BARE == 0);
    let status = stream.decompress_vec(deflated, out, FlushDecompress::Finish);
    if !matches!(status, Ok(Status::StreamEnd)) || out.len() != len {
        return Err(malformed("it does not inflate to its length"));
    }
    Ok(out)
}
