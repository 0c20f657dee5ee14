//! A dump, read as the stream's task reads one.

use std::io;

use connector_api::{Error, Result};
use connector_mysql::MysqlConfig;
use connector_mysql::log::{Flavor, Framing, Header, Kind};
use connector_mysql::session::{Doing, DumpFrom, Session};
use connector_mysql::stream::packet::{Packet, Packets};
use connector_transport::{ReadBuffer, Wire};

use super::within;

pub struct Dump {
    wire: Wire,
    buffer: ReadBuffer,
    packets: Packets,
    framing: Framing,
    config: MysqlConfig,
    flavor: Flavor,
}

impl Dump {
    pub async fn open(config: &MysqlConfig, from: &DumpFrom) -> Result<Self> {
        let opening = async {
            let session = Session::connect(config).await?;
            let flavor = session.flavor();
            let (wire, arrived) = session.dump(from).await?;
            let buffer = ReadBuffer::starting_with(&arrived);
            let (packets, framing) = (Packets::new(), Framing::default());
            Ok(Self { wire, buffer, packets, framing, config: config.clone(), flavor })
        };
        within("a dump", Box::pin(opening)).await
    }

    /// The header of the next event, its size and checksum proved; `None` where the log ends.
    pub async fn next(&mut self) -> Result<Option<Header>> {
        let event = self.event().await?;
        event.map(|event| Header::read(&event)).transpose()
    }

    /// The bytes of the next event, its size and checksum proved; `None` where the log ends.
    pub async fn event(&mut self) -> Result<Option<Vec<u8>>> {
        within("an event", self.next_patiently()).await
    }

    async fn next_patiently(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let (packet, taken) = self.packets.next(self.buffer.filled())?;
            let wanted = match packet {
                Packet::Event(event) => {
                    self.framing.frame(event)?;
                    let event = event.to_vec();
                    self.buffer.consume(taken);
                    return Ok(Some(event));
                }
                Packet::Failed(told) => {
                    return Err(told.classify(&Doing::Streaming, &self.config, self.flavor));
                }
                Packet::Ended => return Ok(None),
                Packet::Incomplete(wanted) => wanted,
            };
            self.buffer.consume(taken);
            match self.wire.receive(self.buffer.room(wanted)) {
                Ok(0) => return Err(Error::transient("the server closed the stream")),
                Ok(count) => self.buffer.received(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wire.socket().readable().await.unwrap();
                }
                Err(error) => return Err(Error::transient(format!("the stream broke: {error}"))),
            }
        }
    }

    /// The kinds and sizes of all events up to the end of the log.
    pub async fn rest(&mut self) -> Result<Vec<(Kind, u32)>> {
        let mut events = Vec::new();
        while let Some(header) = self.next().await? {
            events.push((header.kind, header.size));
        }
        Ok(events)
    }
}

/// How many of these events have changed rows.
pub fn changes(events: &[(Kind, u32)]) -> usize {
    let changes = [Kind::WRITE_ROWS, Kind::WRITE_ROWS_V1];
    events.iter().filter(|(kind, _)| changes.contains(kind)).count()
}
