use std::fmt;
use std::io::Read;

use connector_api::{Error, Result};
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{DCtx, ResetDirective};

use super::EVENT_BYTES_MAX;
use super::cursor::Cursor;
use super::format::Flavor;
use super::frame::Frame;
use super::header::{HEADER_BYTES, Header, Subject};
use super::kind::Kind;

const END: u64 = 0;
const SIZE: u64 = 1;
const COMPRESSION: u64 = 2;
const INFLATED_SIZE: u64 = 3;
const ZSTD: u64 = 0;
const UNCOMPRESSED: u64 = 255;

/// The events of a transaction, packed into one.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Bytes of the events inside, as the server states them.
    pub inflated: u64,
    bytes: &'a [u8],
    is_compressed: bool,
    flavor: Flavor,
    subject: Subject,
}

impl<'a> Payload<'a> {
    pub(super) fn read(frame: &Frame<'a>, body: &mut Cursor<'a>) -> Result<Self> {
        let mut size = None;
        let mut compression = None;
        let mut inflated = None;
        loop {
            let field = body.packed()?;
            if field == END {
                break;
            }
            let len = body.packed_len()?;
            let mut value = body.part(len)?;
            match field {
                SIZE => size = Some(value.packed()?),
                COMPRESSION => compression = Some(value.packed()?),
                INFLATED_SIZE => inflated = Some(value.packed()?),
                _ => {}
            }
        }
        let bytes = body.rest();
        if size != Some(bytes.len() as u64) {
            return Err(body
                .wrong(&format!("a payload of {} bytes and {size:?} stated for it", bytes.len())));
        }
        let (is_compressed, inflated) = match (compression, inflated) {
            (Some(ZSTD), Some(inflated)) => (true, inflated),
            (Some(UNCOMPRESSED), inflated) => (false, inflated.unwrap_or(bytes.len() as u64)),
            (Some(ZSTD), None) => return Err(body.wrong("no size of its payload inflated")),
            (other, _) => {
                return Err(
                    body.wrong(&format!("a payload compressed by the unknown algorithm {other:?}"))
                );
            }
        };
        let subject = frame.header.subject();
        Ok(Self { inflated, bytes, is_compressed, flavor: frame.flavor, subject })
    }

    /// The events inside, one after the other. One is in memory at a time, beside the window of the
    /// compression, which is 128 MiB at most and mostly 2.
    ///
    /// # Errors
    /// When zstd cannot be started.
    pub fn events<'u>(&self, unpacker: &'u mut Unpacker) -> Result<PayloadEvents<'u>>
    where
        'a: 'u,
    {
        let Unpacker { context, event } = unpacker;
        let input = if self.is_compressed {
            // The last payload may not have been read to its end.
            context.reset(ResetDirective::SessionOnly).map_err(|code| {
                Error::bug(format!("zstd cannot be started again: its error {code}"))
            })?;
            Input::Zstd(Decoder::with_context(self.bytes, context))
        } else {
            Input::Plain(self.bytes)
        };
        Ok(PayloadEvents { payload: *self, input, event, read: 0 })
    }
}

/// What it takes to unpack payloads, kept from one to the next: with compression on, every
/// transaction is one.
#[derive(Default)]
pub struct Unpacker {
    context: DCtx<'static>,
    event: Vec<u8>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

enum Input<'a> {
    Plain(&'a [u8]),
    Zstd(Decoder<'a, &'a [u8]>),
}

impl Input<'_> {
    fn append(&mut self, bytes: u64, into: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Plain(input) => input.take(bytes).read_to_end(into),
            Self::Zstd(input) => input.take(bytes).read_to_end(into),
        }
    }
}

/// The events inside a payload.
pub struct PayloadEvents<'a> {
    payload: Payload<'a>,
    input: Input<'a>,
    event: &'a mut Vec<u8>,
    /// Inflated bytes so far.
    read: u64,
}

impl fmt::Debug for PayloadEvents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadEvents")
            .field("payload", &self.payload)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl PayloadEvents<'_> {
    /// The next event. They have no checksums of their own, and their positions mean nothing.
    ///
    /// # Errors
    /// A payload that does not inflate, or to other than its stated size, or not to events, or to
    /// none: rows would be missing.
    pub fn read_event(&mut self) -> Result<Option<Frame<'_>>> {
        self.event.clear();
        if self.read == self.payload.inflated {
            return self.end().map(|()| None);
        }
        let left = self.payload.inflated - self.read;
        if left < HEADER_BYTES as u64 {
            return Err(self.wrong(&format!("states {left} bytes behind its last event")));
        }
        self.fill(HEADER_BYTES as u64)?;
        let header = Header::read(self.event)?;
        let size = u64::from(header.size);
        if size > left.min(EVENT_BYTES_MAX) {
            return Err(self.wrong(&format!(
                "holds an event of type {} and {size} bytes, where {left} are left",
                header.kind.0
            )));
        }
        let never = [Kind::TRANSACTION_PAYLOAD, Kind::FORMAT_DESCRIPTION, Kind::ROTATE];
        if never.contains(&header.kind) {
            return Err(self.wrong(&format!("holds a {}, which never is in one", header.kind)));
        }
        self.fill(size - HEADER_BYTES as u64)?;
        let body = &self.event[HEADER_BYTES..];
        Ok(Some(Frame { header, body, flavor: self.payload.flavor }))
    }

    fn fill(&mut self, bytes: u64) -> Result<()> {
        let found = self.input.append(bytes, self.event);
        let found = found.map_err(|error| self.damaged().because(error))? as u64;
        self.read += found;
        if found < bytes {
            return Err(self.wrong(&format!(
                "inflates to {} bytes, and {} are stated",
                self.read, self.payload.inflated
            )));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.payload.inflated == 0 {
            return Err(self.wrong("holds no events"));
        }
        let more = self.input.append(1, self.event);
        if more.map_err(|error| self.damaged().because(error))? > 0 {
            return Err(self.wrong(&format!(
                "inflates to more than the {} bytes that are stated",
                self.payload.inflated
            )));
        }
        Ok(())
    }

    fn damaged(&self) -> Error {
        self.wrong("does not inflate: it is damaged")
    }

    fn wrong(&self, what: &str) -> Error {
        Error::definite(format!("{} {what}", self.payload.subject))
    }
}
