//! Frames of a replication stream (PostgreSQL documentation, "Streaming Replication Protocol"):
//! a type byte, a length that counts itself, and what it holds.

use connector_api::{Error, Result};

use crate::position::Lsn;

/// The longest frame a server can send: its own limit for one allocation.
const LONGEST: usize = 1 << 30;

/// One frame, borrowed from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A piece of the log.
    Log {
        /// The server's end of the log when it was sent.
        server_end: Lsn,
        /// A pgoutput message.
        message: &'a [u8],
    },
    /// The server is alive.
    Keepalive {
        /// Everything up to here has been sent.
        server_end: Lsn,
        /// Whether it wants an answer at once.
        reply_now: bool,
    },
    /// The body of an ErrorResponse.
    Failed(&'a [u8]),
    /// The body of a NoticeResponse.
    Warned(&'a [u8]),
    /// The server has ended the stream.
    Done,
    /// Something that needs no attention, such as a changed parameter.
    Ignored,
}

/// What lies at the beginning of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A frame, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// More is needed: this many bytes in all, as far as known.
    Incomplete(usize),
}

/// Reads the frame at the beginning of `buffer`.
pub fn parse(buffer: &[u8]) -> Result<Parsed<'_>> {
    let Some((header, _)) = buffer.split_first_chunk::<5>() else {
        return Ok(Parsed::Incomplete(5));
    };
    let [tag, len @ ..] = *header;
    let size = u32::from_be_bytes(len) as usize + 1;
    if !(5..=LONGEST).contains(&size) {
        return Err(Error::transient(format!("the server sent a frame of {size} bytes")));
    }
    let Some(frame) = buffer.get(..size) else { return Ok(Parsed::Incomplete(size)) };
    let body = &frame[5..];
    let frame = match tag {
        b'd' => copy_data(body)?,
        b'E' => Frame::Failed(body),
        b'c' => Frame::Done,
        b'N' => Frame::Warned(body),
        b'S' | b'A' | b'C' | b'Z' => Frame::Ignored,
        other => {
            return Err(Error::transient(format!("the server sent a frame of type 0x{other:02x}")));
        }
    };
    Ok(Parsed::Frame(frame, size))
}

fn copy_data(body: &[u8]) -> Result<Frame<'_>> {
    let short = || Error::transient("the server sent a replication message that ends too early");
    let place = |at: usize| {
        let bytes = body.get(at..at + 8).ok_or_else(short)?;
        Ok(Lsn(u64::from_be_bytes(bytes.try_into().expect("eight bytes"))))
    };
    match body.first().ok_or_else(short)? {
        // XLogData: start, end, clock, message.
        b'w' => {
            Ok(Frame::Log { server_end: place(9)?, message: body.get(25..).ok_or_else(short)? })
        }
        // Primary keepalive: end, clock, whether to answer.
        b'k' => {
            let reply_now = *body.get(17).ok_or_else(short)? == 1;
            Ok(Frame::Keepalive { server_end: place(1)?, reply_now })
        }
        other => Err(Error::transient(format!(
            "the server sent a replication message of type 0x{other:02x}"
        ))),
    }
}

/// Where the log goes on behind a pgoutput Commit message; `None` for every other message.
pub(super) fn commit_end(message: &[u8]) -> Option<Lsn> {
    // Type, flags, the commit's own place, its end.
    let end = message.get(10..18).filter(|_| message[0] == b'C')?;
    Some(Lsn(u64::from_be_bytes(end.try_into().expect("eight bytes"))))
}

/// Appends a standby status update: everything up to `confirmed` is durable here, said at
/// `now_us`, microseconds since 2000. A zero position tells the server that we are alive, and
/// nothing else.
pub(super) fn write_status(confirmed: Lsn, now_us: i64, reply_now: bool, out: &mut Vec<u8>) {
    out.push(b'd');
    out.extend_from_slice(&38_u32.to_be_bytes());
    out.push(b'r');
    for _written_flushed_applied in 0..3 {
        out.extend_from_slice(&confirmed.0.to_be_bytes());
    }
    out.extend_from_slice(&now_us.to_be_bytes());
    out.push(u8::from(reply_now));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in any::<Vec<u8>>()) {
            if let Ok(Parsed::Frame(_, size)) = parse(&bytes) {
                prop_assert!(size <= bytes.len());
            }
        }

        #[test]
        fn a_frame_is_the_same_however_it_arrives(
            message in any::<Vec<u8>>(), end in any::<u64>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut frame = vec![b'd'];
            frame.extend_from_slice(&u32::try_from(message.len() + 29).unwrap().to_be_bytes());
            frame.push(b'w');
            frame.extend_from_slice(&[0; 8]);
            frame.extend_from_slice(&end.to_be_bytes());
            frame.extend_from_slice(&[0; 8]);
            frame.extend_from_slice(&message);
            let cut = cut.index(frame.len());
            prop_assert!(matches!(parse(&frame[..cut]).unwrap(), Parsed::Incomplete(_)));
            let whole = Frame::Log { server_end: Lsn(end), message: &message };
            prop_assert_eq!(parse(&frame).unwrap(), Parsed::Frame(whole, frame.len()));
        }
    }
}
