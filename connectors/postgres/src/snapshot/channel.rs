use std::io;
use std::time::Duration;

use connector_api::{Error, Result};
use connector_transport::{Host, ReadBuffer, Wire};

use super::row::Row;
use crate::config::PostgresConfig;
use crate::session::{ServerMessage, Session};

/// Time without a byte from a server that has been asked something. It ends what takes too long by
/// itself, long before.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest message a server can send: its own limit for one allocation.
const LONGEST: usize = 1 << 30;

/// A connection that answers simple queries, several of them in one question. Whatever it returns
/// lies in its own buffer.
#[derive(Debug)]
pub(super) struct Channel {
    wire: Wire,
    buffer: ReadBuffer,
    /// Bytes of the answer that was given last.
    given: usize,
    /// Whether the answer to what was asked last has not ended yet.
    answering: bool,
    host: Host,
}

/// One message of an answer.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// A row of a query.
    Row(Row<'a>),
    /// One of the queries is answered.
    Done,
    /// The server could not do it, nor what followed in the same question.
    Failed(ServerMessage),
    /// Everything is answered.
    Ready,
}

impl Channel {
    pub(super) async fn connect(config: &PostgresConfig) -> Result<Self> {
        let (wire, arrived, host) = Session::connect_to_read(config).await?.into_parts();
        Ok(Self {
            wire,
            buffer: ReadBuffer::starting_with(&arrived),
            given: 0,
            answering: false,
            host,
        })
    }

    /// Asks; the answer is over with [`Answer::Ready`].
    pub(super) async fn ask(&mut self, sql: &str) -> Result<()> {
        let mut message = bytes::BytesMut::new();
        // Whoever asked before may not have waited for the answer.
        while self.answering {
            self.answer().await?;
        }
        postgres_protocol::message::frontend::query(sql, &mut message)
            .map_err(|error| Error::bug("a query cannot be written").because(error))?;
        self.wire.queue(&message);
        self.answering = true;
        let sent = self.wire.flush().await;
        sent.map_err(|error| self.broken(&error))
    }

    /// The next message of the answer.
    pub(super) async fn answer(&mut self) -> Result<Answer<'_>> {
        loop {
            self.buffer.consume(std::mem::take(&mut self.given));
            let size = self.frame().await?;
            self.given = size;
            let wanted = matches!(self.buffer.filled()[0], b'D' | b'C' | b'E' | b'Z');
            if wanted {
                break;
            }
        }
        self.answering = self.buffer.filled()[0] != b'Z';
        let frame = &self.buffer.filled()[..self.given];
        let body = &frame[5..];
        match frame[0] {
            b'D' => Row::read(body).map(Answer::Row).ok_or_else(|| malformed(&self.host)),
            b'C' => Ok(Answer::Done),
            b'E' => Ok(Answer::Failed(ServerMessage::parse(body))),
            _ => Ok(Answer::Ready),
        }
    }

    /// Every row of every query of one question.
    pub(super) async fn rows(
        &mut self,
        sql: &str,
    ) -> Result<Result<Vec<Vec<Option<String>>>, ServerMessage>> {
        self.ask(sql).await?;
        let (mut rows, mut failed) = (Vec::new(), None);
        loop {
            match self.answer().await? {
                Answer::Row(row) => {
                    let texts = row.texts().map(|texts| {
                        texts.into_iter().map(|cell| cell.map(str::to_owned)).collect()
                    });
                    rows.push(texts);
                }
                Answer::Done => {}
                Answer::Failed(message) => failed = Some(message),
                Answer::Ready => break,
            }
        }
        let rows: Option<Vec<_>> = rows.into_iter().collect();
        let rows = rows.ok_or_else(|| malformed(&self.host))?;
        Ok(failed.map_or(Ok(rows), Err))
    }

    /// Waits until a whole message lies at the beginning of the buffer; its size.
    async fn frame(&mut self) -> Result<usize> {
        loop {
            let filled = self.buffer.filled();
            let wanted = match filled.split_first_chunk::<5>() {
                None => 5,
                Some(([_, len @ ..], _)) => (u32::from_be_bytes(*len) as usize).saturating_add(1),
            };
            if !(5..=LONGEST).contains(&wanted) {
                let host = &self.host;
                return Err(Error::transient(format!("{host} sent a message of {wanted} bytes")));
            }
            if filled.len() >= wanted && filled.len() >= 5 {
                return Ok(wanted);
            }
            self.fill(wanted).await?;
        }
    }

    async fn fill(&mut self, wanted: usize) -> Result<()> {
        tokio::task::coop::consume_budget().await;
        loop {
            match self.wire.receive(self.buffer.room(wanted)) {
                Ok(0) => {
                    let host = &self.host;
                    return Err(Error::transient(format!("{host} closed the connection")));
                }
                Ok(count) => {
                    self.buffer.received(count);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let readable = self.wire.socket().readable();
                    let ready = tokio::time::timeout(SILENCE, readable).await;
                    let host = &self.host;
                    let silent = |_| {
                        let seconds = SILENCE.as_secs();
                        Error::transient(format!("{host} has been silent for {seconds} s"))
                    };
                    ready.map_err(silent)?.map_err(|error| self.broken(&error))?;
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    fn broken(&self, error: &io::Error) -> Error {
        Error::transient(format!("the connection to {} broke: {error}", self.host))
    }
}

impl Drop for Channel {
    /// Takes leave where that needs no waiting, so that the server's log has nothing to say about a
    /// lost connection.
    fn drop(&mut self) {
        self.wire.queue(b"X\x00\x00\x00\x04");
        let _ = self.wire.try_flush();
    }
}

fn malformed(host: &Host) -> Error {
    Error::definite(format!("{host} sent a row that is none"))
}
