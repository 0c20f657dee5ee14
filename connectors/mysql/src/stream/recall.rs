use connector_api::Result;

use super::pump::{Stop, Work};
use super::reader::{Arrived, LogReader};
use super::scan::Mark;
use crate::decode::Decoded;
use crate::log::{Event, Frame, Framing, Unpacker};
use crate::position::Prepared;
use crate::session::Session;

/// How far the changes of a distributed transaction were read.
enum Again {
    Whole,
    /// They are not to be had any more.
    Gone,
    /// This has to be known of an event before it is handed over again.
    Asks(Decoded),
}

impl Work {
    /// Reads the changes of a distributed transaction where they stand, on a connection beside the
    /// stream's. What they lack is asked for when that is closed: a source may have no other.
    pub(super) async fn recall(&mut self, place: &Prepared) -> Result<(), Stop> {
        let mut passed = 0;
        let are_there = loop {
            match self.read_again(place, &mut passed).await? {
                Again::Whole => break true,
                Again::Gone => break false,
                Again::Asks(decoded) => {
                    let here = Mark { file: place.file.clone(), offset: place.offset };
                    self.find_out(decoded, here).await?;
                }
            }
        };
        let full = &mut self.full;
        let mut keep = |batch| full.push_back(batch);
        self.decoder.recalled(are_there, &mut self.builder, &mut keep)?;
        self.send_full().await
    }

    /// Decodes the events behind those that were `passed`.
    async fn read_again(&mut self, place: &Prepared, passed: &mut u64) -> Result<Again, Stop> {
        let mut session = Session::connect(&self.beside).await?;
        if !session.lists(&place.file).await? {
            return Ok(Again::Gone);
        }
        let mut reader = LogReader::of_what_is_there(session, &place.file, place.offset).await?;
        let (mut framing, mut unpacker) = (Framing::default(), Unpacker::default());
        let mut seen = Seen { count: 0, passed };
        loop {
            let bytes = match reader.arrived()? {
                None => {
                    reader.more_in_time().await?;
                    continue;
                }
                Some(Arrived::End) => return Ok(Again::Gone),
                Some(Arrived::Event(bytes)) => bytes,
            };
            let frame = framing.frame(bytes)?;
            if let Some(ending) = self.recall_event(&frame, &mut seen).await? {
                return Ok(ending);
            }
            if let Event::TransactionPayload(payload) = frame.event()? {
                let mut inside = payload.events(&mut unpacker)?;
                while let Some(frame) = inside.read_event()? {
                    if let Some(ending) = self.recall_event(&frame, &mut seen).await? {
                        return Ok(ending);
                    }
                }
            }
        }
    }

    /// Decodes an event, unless it was before. Returns what ends the reading, if this does.
    async fn recall_event(
        &mut self,
        frame: &Frame<'_>,
        seen: &mut Seen<'_>,
    ) -> Result<Option<Again>, Stop> {
        seen.count += 1;
        if seen.count <= *seen.passed {
            return Ok(None);
        }
        loop {
            let full = &mut self.full;
            let mut keep = |batch| full.push_back(batch);
            let decoded = self.decoder.recall(frame, &mut self.builder, &mut keep)?;
            self.send_full().await?;
            match decoded {
                Decoded::Whole | Decoded::Packed | Decoded::Recalls(_) => break,
                Decoded::Full => self.hand_over().await?,
                asks => return Ok(Some(Again::Asks(asks))),
            }
        }
        *seen.passed = seen.count;
        Ok(matches!(frame.event()?, Event::XaPrepare(_)).then_some(Again::Whole))
    }
}

/// Which of the events it is.
struct Seen<'p> {
    count: u64,
    /// So many were decoded on an earlier connection.
    passed: &'p mut u64,
}
