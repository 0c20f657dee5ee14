use connector_api::Result;

use super::pump::{Stop, Work};
use super::reader::{Arrived, LogReader};
use crate::decode::Decoded;
use crate::log::{Event, Frame, Framing, Unpacker};
use crate::position::Prepared;
use crate::session::Session;

impl Work {
    /// Reads the changes of a distributed transaction where they stand, on a connection beside the
    /// stream's.
    pub(super) async fn recall(&mut self, place: &Prepared) -> Result<(), Stop> {
        let are_there = self.read_again(place).await?;
        let full = &mut self.full;
        let mut keep = |batch| full.push_back(batch);
        self.decoder.recalled(are_there, &mut self.builder, &mut keep)?;
        self.send_full().await
    }

    async fn read_again(&mut self, place: &Prepared) -> Result<bool, Stop> {
        let mut session = Session::connect(&self.beside).await?;
        if !session.lists(&place.file).await? {
            return Ok(false);
        }
        let mut reader = LogReader::of_what_is_there(session, &place.file, place.offset).await?;
        let (mut framing, mut unpacker) = (Framing::default(), Unpacker::default());
        loop {
            let bytes = match reader.arrived()? {
                None => {
                    reader.more_in_time().await?;
                    continue;
                }
                Some(Arrived::End) => return Ok(false),
                Some(Arrived::Event(bytes)) => bytes,
            };
            let frame = framing.frame(bytes)?;
            self.recall_event(&frame).await?;
            match frame.event()? {
                Event::XaPrepare(_) => return Ok(true),
                Event::TransactionPayload(payload) => {
                    let mut inside = payload.events(&mut unpacker)?;
                    while let Some(frame) = inside.read_event()? {
                        self.recall_event(&frame).await?;
                        if let Event::XaPrepare(_) = frame.event()? {
                            return Ok(true);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    async fn recall_event(&mut self, frame: &Frame<'_>) -> Result<(), Stop> {
        loop {
            let full = &mut self.full;
            let mut keep = |batch| full.push_back(batch);
            let decoded = self.decoder.recall(frame, &mut self.builder, &mut keep)?;
            self.send_full().await?;
            match decoded {
                Decoded::Lacks(table) => self.look_up(table).await?,
                Decoded::Full => self.hand_over().await?,
                Decoded::Suspects => self.ask_for_suspects().await?,
                _ => return Ok(()),
            }
        }
    }
}
