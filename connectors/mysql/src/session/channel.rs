use std::io;

use connector_api::{Error, Result};
use connector_transport::{Host, ReadBuffer, Wire, handshake_error, is_tls};
use mysql_common::proto::MySerialize;

use crate::config::WORDS;

/// The bytes of a packet's header: a length of three bytes, and a number.
pub(crate) const HEADER_BYTES: usize = 4;
/// A packet of this length goes on in the next one.
pub(crate) const CONTINUED: usize = 0xff_ffff;

/// Packets in both directions, outside of a stream.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) wire: Wire,
    pub(super) host: Host,
    incoming: ReadBuffer,
    /// The number of the next packet, whichever side sends it.
    number: u8,
}

impl Channel {
    pub(super) fn new(wire: Wire, host: Host) -> Self {
        Self { wire, host, incoming: ReadBuffer::starting_with(&[]), number: 0 }
    }

    /// The next packet, without its header.
    pub(super) async fn packet(&mut self) -> Result<Vec<u8>> {
        let packet = self.peek().await?.to_vec();
        self.incoming.consume(HEADER_BYTES + packet.len());
        self.number = self.number.wrapping_add(1);
        Ok(packet)
    }

    /// Waits until the next packet is there, and leaves it there. Its length without the header.
    async fn arrival(&mut self) -> Result<usize> {
        loop {
            let mut wanted = HEADER_BYTES;
            let arrived = self.incoming.filled().split_first_chunk::<HEADER_BYTES>();
            if let Some((header, rest)) = arrived {
                let [low, middle, high, number] = *header;
                let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
                if number != self.number {
                    return Err(self.nonsense("a packet out of its turn"));
                }
                if len == CONTINUED {
                    return Err(self.nonsense("an answer that is too long"));
                }
                if rest.len() >= len {
                    return Ok(len);
                }
                wanted += len;
            }
            self.fill(wanted).await?;
        }
    }

    /// The next packet, which stays where it is.
    pub(super) async fn peek(&mut self) -> Result<&[u8]> {
        let len = self.arrival().await?;
        Ok(&self.incoming.filled()[HEADER_BYTES..HEADER_BYTES + len])
    }

    /// Sends the next packet of an exchange.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<()> {
        self.queue(payload)?;
        self.flush().await
    }

    /// Sends what is queued.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let Err(error) = self.wire.flush().await else { return Ok(()) };
        // A server that has closed the connection may have said why before.
        match self.wire.receive(&mut [0; 64]) {
            Err(said) if is_tls(&said) => Err(self.broken(&said)),
            _ => Err(self.broken(&error)),
        }
    }

    /// Puts the next packet of an exchange before those that are sent.
    pub(super) fn queue(&mut self, payload: &[u8]) -> Result<()> {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() >= CONTINUED {
            return Err(Error::bug("a request does not fit into a packet"));
        }
        let [low, middle, high, _] = len.to_le_bytes();
        self.wire.queue(&[low, middle, high, self.number]);
        self.wire.queue(payload);
        self.number = self.number.wrapping_add(1);
        Ok(())
    }

    /// Sends what the library writes as the next packet of an exchange.
    pub(super) async fn send_message(&mut self, message: &(impl MySerialize + Sync)) -> Result<()> {
        let mut payload = Vec::new();
        message.serialize(&mut payload);
        self.send(&payload).await
    }

    /// What is sent next begins a new exchange.
    pub(super) fn begin(&mut self) {
        self.number = 0;
    }

    /// What comes next is the answer to a request of one packet.
    pub(super) fn begin_answer(&mut self) {
        self.number = 1;
    }

    /// Whether what has arrived is no packet, or one that nobody waits for.
    pub(super) fn is_out_of_step(&self) -> bool {
        let number = self.incoming.filled().get(HEADER_BYTES - 1);
        number.is_some_and(|number| *number != self.number)
    }

    /// Whether bytes have arrived that nobody has asked for.
    pub(super) fn holds_data(&self) -> bool {
        !self.incoming.filled().is_empty()
    }

    /// The connection, and what has arrived of the answer to the last request.
    pub(super) fn into_parts(self) -> (Wire, Vec<u8>) {
        (self.wire, self.incoming.filled().to_vec())
    }

    /// The number of the next packet, and what has arrived of it and of those behind it.
    pub(super) fn arrived(&self) -> (u8, &[u8]) {
        (self.number, self.incoming.filled())
    }

    /// Lets go of bytes that were read as [`Self::arrived`] shows them.
    pub(super) fn consume(&mut self, count: usize) {
        self.incoming.consume(count);
    }

    /// Waits until more has arrived of something that takes this many bytes, as far as known.
    /// Cancel-safe.
    pub(super) async fn fill(&mut self, wanted: usize) -> Result<()> {
        loop {
            match self.wire.receive(self.incoming.room(wanted)) {
                Ok(0) => {
                    let what = format!("{} closed the connection", self.host);
                    return Err(Error::transient(what));
                }
                Ok(count) => {
                    self.incoming.received(count);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = self.wire.socket().readable().await;
                    ready.map_err(|error| self.broken(&error))?;
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// The server does not speak the protocol, or something between the two ends does not.
    pub(super) fn nonsense(&self, what: &str) -> Error {
        Error::transient(format!("{} sent {what}", self.host))
    }

    /// With TLS 1.3 the server's opinion of our certificate arrives after the handshake.
    fn broken(&self, error: &io::Error) -> Error {
        if is_tls(error) {
            return handshake_error(error, &self.host, &WORDS);
        }
        Error::transient(format!("the connection to {} broke: {error}", self.host))
    }
}
