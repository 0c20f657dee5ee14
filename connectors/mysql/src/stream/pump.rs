use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_api::{Batch, BatchBuilder, Error, Result};
use tokio::sync::{mpsc, watch};

use super::lookup::Lookup;
use super::reader::{Arrived, HEARTBEATS_MISSED, LogReader};
use super::reopen::{is_heartbeat, is_known};
use super::scan::Mark;
use super::{Opening, Shared};
use crate::config::MysqlConfig;
use crate::decode::{Catalog, Decoded, Decoder};
use crate::log::{Event, Frame, Framing, Kind, Unpacker};
use crate::position::LogPosition;

/// Whoever the task works for has gone.
pub(super) struct Closed;

/// What ends the task in the middle of an event.
pub(super) enum Stop {
    Closed,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// The task that owns the socket.
pub(super) struct Pump {
    pub(super) reader: LogReader,
    pub(super) framing: Framing,
    unpacker: Unpacker,
    pub(super) work: Work,
    pub(super) shared: Arc<Mutex<Shared>>,
    silence_limit: Duration,
    /// When the first file was begun, until it has been checked.
    pub(super) created: Option<u32>,
    /// Events behind the decoder's place that were read: MariaDB 11.8 writes those of a transaction
    /// without their places.
    pub(super) unplaced: u64,
    /// Those of them that come again, once the dump has sent the head of its file again.
    pub(super) again: Option<u64>,
    /// The server whose log it is.
    pub(super) config: MysqlConfig,
}

/// What becomes of an event once it has been taken from the wire.
pub(super) struct Work {
    pub(super) decoder: Decoder,
    pub(super) builder: BatchBuilder,
    /// What did not fit in the middle of an event, oldest first.
    pub(super) full: VecDeque<Batch>,
    lookup: Lookup,
    /// How to read the log beside the stream.
    pub(super) beside: MysqlConfig,
    batches: mpsc::Sender<Batch>,
    pub(super) closed: watch::Receiver<bool>,
}

/// Both ends of what the task shares with the stream.
type Ends = (mpsc::Sender<Batch>, watch::Receiver<bool>, Arc<Mutex<Shared>>);

impl Pump {
    pub(super) fn new(
        reader: LogReader,
        opening: Opening,
        config: &MysqlConfig,
        (batches, closed, shared): Ends,
    ) -> Result<Self> {
        let Opening { from, capture, fold_case, same_file, .. } = opening;
        let start = LogPosition::from_position(&from.position)?;
        let catalog = Catalog::new(&from.layouts, fold_case);
        let mut decoder = Decoder::new(&from, capture.clone(), catalog)?;
        if !same_file {
            decoder.begins_behind_transactions();
        }
        let work = Work {
            builder: BatchBuilder::new(&from.position),
            decoder,
            full: VecDeque::new(),
            beside: config.beside(),
            lookup: Lookup::new(config, capture, fold_case),
            batches,
            closed,
        };
        Ok(Self {
            created: Some(start.created).filter(|_| same_file),
            reader,
            framing: Framing::default(),
            unpacker: Unpacker::default(),
            work,
            shared,
            silence_limit: config.heartbeat * HEARTBEATS_MISSED,
            unplaced: 0,
            again: None,
            config: config.clone(),
        })
    }

    pub(super) async fn run(mut self) -> Result<()> {
        match self.pump().await {
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Closed) | Ok(()) => Ok(()),
        }
    }

    async fn pump(&mut self) -> Result<(), Stop> {
        loop {
            self.decode().await?;
            let has_room = !self.work.builder.is_full();
            let deadline = self.reader.last_contact() + self.silence_limit;
            let batches = self.work.batches.clone();
            tokio::select! { biased;
                // 1. The end.
                () = ending(&mut self.work.closed) => return Err(Stop::Closed),
                // 2. Whoever is ready for a batch gets what there is.
                permit = batches.reserve(), if self.work.builder.is_ready() => {
                    let Ok(permit) = permit else { return Err(Stop::Closed) };
                    permit.send(self.work.builder.take());
                }
                // 3. The log.
                outcome = self.reader.more(), if has_room => match outcome {
                    Err(ended) if self.reader.was_left() => self.reopen(ended).await?,
                    outcome => outcome?,
                },
                // 4. A server that is there says so.
                () = tokio::time::sleep_until(deadline), if has_room => {
                    let seconds = self.silence_limit.as_secs();
                    let what = format!("the server has been silent for {seconds} s");
                    return Err(Error::transient(what).into());
                }
            }
            if !has_room {
                // A reader that has stopped reading cannot hear.
                self.reader.was_deaf();
            }
        }
    }

    /// Decodes whole events until there is none, or the batch is full.
    async fn decode(&mut self) -> Result<(), Stop> {
        let mut is_new = false;
        while !self.work.builder.is_full() {
            let bytes = match self.reader.arrived()? {
                None => break,
                Some(Arrived::Event(bytes)) => bytes,
                Some(Arrived::End) => {
                    return Err(Error::transient("the server ended the stream").into());
                }
            };
            let frame = self.framing.frame(bytes)?;
            is_new = true;
            if frame.header.kind == Kind::FORMAT_DESCRIPTION {
                begins_as_expected(&mut self.created, &frame)?;
            }
            if is_known(&mut self.again, &frame) {
                continue;
            }
            // The decoder reads the body: nobody else does, unless there is more in it.
            if self.work.event(&frame).await? == Decoded::Packed
                && let Event::TransactionPayload(payload) = frame.event()?
            {
                let mut inside = payload.events(&mut self.unpacker)?;
                while let Some(frame) = inside.read_event()? {
                    let _ = self.work.event(&frame).await?;
                    if self.work.builder.is_full() {
                        self.work.hand_over().await?;
                    }
                }
            }
            let is_unplaced = frame.header.next_position == 0 && self.work.builder.is_open();
            if !is_heartbeat(&frame) {
                self.unplaced = if is_unplaced { self.unplaced + 1 } else { 0 };
            }
        }
        if is_new {
            self.tell();
        }
        Ok(())
    }

    fn tell(&self) {
        let LogPosition { file, offset, created, .. } = self.work.decoder.end();
        let mut shared = self.shared.lock().expect("no holder panics");
        shared.last_contact = self.reader.last_contact().into_std();
        let end = &mut shared.server_end;
        if end.file != *file {
            end.file = file.clone();
        }
        (end.offset, end.created) = (*offset, *created);
    }
}

impl Work {
    /// Decodes one event; what fills more than a batch goes out at once.
    async fn event(&mut self, frame: &Frame<'_>) -> Result<Decoded, Stop> {
        let decoded = self.decode(frame)?;
        match decoded {
            // All but a few.
            Decoded::Whole | Decoded::Packed if self.full.is_empty() => Ok(decoded),
            _ => self.finish(frame, decoded).await,
        }
    }

    fn decode(&mut self, frame: &Frame<'_>) -> Result<Decoded> {
        let full = &mut self.full;
        self.decoder.event(frame, &mut self.builder, &mut |batch| full.push_back(batch))
    }

    /// Sends what is full, and finds out what the event lacks.
    async fn finish(&mut self, frame: &Frame<'_>, first: Decoded) -> Result<Decoded, Stop> {
        let mut decoded = first;
        loop {
            self.send_full().await?;
            match decoded {
                Decoded::Whole | Decoded::Packed => return Ok(decoded),
                Decoded::Full => self.hand_over().await?,
                Decoded::Recalls(place) => {
                    Box::pin(self.recall(&place)).await?;
                    return Ok(Decoded::Whole);
                }
                asks => {
                    let (file, offset) = self.decoder.here();
                    let here = Mark { file: file.clone(), offset };
                    self.find_out(asks, here).await?;
                }
            }
            decoded = self.decode(frame)?;
        }
    }

    /// Finds out what an event lacks that stands `here`.
    pub(super) async fn find_out(&mut self, lacks: Decoded, here: Mark) -> Result<(), Stop> {
        let is_named = matches!(lacks, Decoded::LacksTypes(_));
        match lacks {
            Decoded::Lacks(table) | Decoded::LacksTypes(table) => {
                let columns = tokio::select! { biased;
                    () = ending(&mut self.closed) => return Err(Stop::Closed),
                    columns = self.lookup.columns(&table, here, is_named) => columns?,
                };
                self.decoder.answer(table, columns, &mut self.builder);
            }
            Decoded::Suspects => {
                let suspects = tokio::select! { biased;
                    () = ending(&mut self.closed) => return Err(Stop::Closed),
                    suspects = self.lookup.suspects() => suspects?,
                };
                self.decoder.suspects(suspects);
            }
            Decoded::Whole | Decoded::Full | Decoded::Packed | Decoded::Recalls(_) => {}
        }
        Ok(())
    }

    /// Hands over what did not fit.
    pub(super) async fn send_full(&mut self) -> Result<(), Stop> {
        while let Some(batch) = self.full.pop_front() {
            self.send(batch).await?;
        }
        Ok(())
    }

    pub(super) async fn hand_over(&mut self) -> Result<(), Stop> {
        let batch = self.builder.take();
        Ok(self.send(batch).await?)
    }

    async fn send(&mut self, batch: Batch) -> Result<(), Closed> {
        tokio::select! { biased;
            () = ending(&mut self.closed) => Err(Closed),
            sent = self.batches.send(batch) => sent.map_err(|_| Closed),
        }
    }
}

/// Returns when the stream is to be closed, or has gone.
pub(super) async fn ending(closed: &mut watch::Receiver<bool>) {
    // An error is a sender that has gone, which ends the stream as well.
    let _ = closed.wait_for(|closed| *closed).await;
}

/// The file is the one that was looked at: another log may have taken its name since.
fn begins_as_expected(created: &mut Option<u32>, frame: &Frame<'_>) -> Result<()> {
    match created.take() {
        Some(created) if created != frame.header.timestamp && frame.header.timestamp != 0 => {
            Err(Error::transient(
                "another log of the same name has come to answer since it was \
                                  looked at",
            ))
        }
        _ => Ok(()),
    }
}
