use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use connector_api::{Error, Fault, Result};
use tokio::sync::oneshot;
use tracing::warn;

use super::owner::{self, Owned};
use super::records::Plan;
use super::transaction::Outlet;
use super::writer::{Commits, Over, check_memory, gone};
use crate::fleet::retry;
use crate::sink::{Commit, CommitError, Committed};

/// Between two checkpoints. Nobody waits for one but the server's log and the sellers' buffers, and
/// a transaction costs the brokers more than the events behind it.
const INTERVAL: Duration = Duration::from_millis(50);

/// A commit whose events are out, and who waits for its checkpoint.
type Published = (Arc<Commit>, oneshot::Sender<Result<(), CommitError>>);

/// Events without a transaction, each batch followed by its checkpoint in one of its own. What was
/// published behind the last checkpoint is published again after a crash, with the same bytes.
pub(super) struct AtLeastOnce {
    pub(super) outlet: Outlet,
    plan: Plan,
    /// `None` when nothing will come any more.
    behind: Option<mpsc::Sender<Published>>,
    /// Ends when everything that came is stored.
    checkpoints: Option<JoinHandle<Checkpoints>>,
    /// Why checkpoints can no longer be stored.
    over: Arc<OnceLock<Over>>,
}

impl AtLeastOnce {
    /// Starts the thread that stores checkpoints behind what is published. A second thread, so that
    /// the next events do not wait for the checkpoint of these.
    pub(super) fn start(owned: Owned) -> Result<Self> {
        let outlet = owned.outlet()?;
        let plan = owned.plan();
        // Bounded in bytes by the sellers, who wait for receipts.
        let (behind, published) = mpsc::channel();
        let over = Arc::new(OnceLock::new());
        let mut checkpoints =
            Checkpoints { owned, stored: Instant::now(), over: Arc::clone(&over) };
        let run = move || {
            checkpoints.run(&published);
            checkpoints
        };
        let checkpoints = std::thread::Builder::new()
            .name("kafka-behind".to_owned())
            .spawn(run)
            .map_err(|error| Error::transient("a thread cannot be started").because(error))?;
        let (behind, checkpoints) = (Some(behind), Some(checkpoints));
        Ok(Self { outlet, plan, behind, checkpoints, over })
    }

    /// Why nothing can be committed any more. What the checkpoints have met comes first: that
    /// somebody else has the shard is not to be mistaken for something that opening it mends.
    fn ended(&self, error: CommitError) -> CommitError {
        self.over.get().map_or(error, Over::again)
    }
}

impl Commits for AtLeastOnce {
    fn commit(&mut self, commit: &Arc<Commit>) -> Result<Committed, CommitError> {
        if let Some(over) = self.over.get() {
            return Err(over.again());
        }
        check_memory(&self.plan, &commit.parts)?;
        let records = self.plan.published(commit);
        let begun = Instant::now();
        let outcome = self.outlet.write(&records);
        tracing::debug!(records = records.len(), written = ?begun.elapsed(), "published");
        if let Err(error) = outcome {
            // Of an idempotent producer that has met a fatal error nothing more can be had.
            let outlet = &self.outlet;
            let is_over = outlet.is_finished() || outlet.is_stale() || outlet.has_waited_in_vain();
            return Err(match is_over {
                true => self.ended(CommitError::Unknown(error)),
                false => CommitError::NotCommitted(error),
            });
        }
        let (stored, receipt) = oneshot::channel();
        let sent = self.behind.as_ref().map(|behind| behind.send((Arc::clone(commit), stored)));
        match sent {
            Some(Ok(())) => Ok(Committed::Published(receipt)),
            _ => Err(self.ended(gone())),
        }
    }

    fn end(&mut self) {
        drop(self.behind.take());
        // One that panicked has said so.
        let ended = self.checkpoints.take().and_then(|checkpoints| checkpoints.join().ok());
        if let Some(mut checkpoints) = ended.filter(|_| self.over.get().is_none()) {
            checkpoints.owned.leave();
        }
    }

    fn idle(&mut self) {
        self.outlet.serve();
    }
}

/// Stores what is remembered of everything that is published by now, again and again.
struct Checkpoints {
    owned: Owned,
    /// When the last one was begun.
    stored: Instant,
    over: Arc<OnceLock<Over>>,
}

impl Checkpoints {
    fn run(&mut self, published: &mpsc::Receiver<Published>) {
        while let Some(waiting) = self.next(published) {
            self.stored = Instant::now();
            let outcome = self.store(&waiting);
            let mut receipts = waiting.into_iter().map(|(_, receipt)| receipt);
            // A writer that has gone reads what is stored.
            match outcome {
                Ok(()) => receipts.for_each(|receipt| drop(receipt.send(Ok(())))),
                // Told to the first, and to whoever commits anything more.
                Err(error) => {
                    // Set once: this is the end of it.
                    let _ = self.over.set(Over::of(&error));
                    let _ = receipts.next().map(|receipt| receipt.send(Err(error)));
                    return;
                }
            }
        }
    }

    /// Everything that waits, at least one; `None` when nothing will come any more.
    fn next(&self, published: &mpsc::Receiver<Published>) -> Option<Vec<Published>> {
        let first = loop {
            match published.recv_timeout(super::writer::IDLE) {
                Ok(first) => break first,
                Err(mpsc::RecvTimeoutError::Timeout) => self.owned.idle(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            }
        };
        super::nap(INTERVAL.saturating_sub(self.stored.elapsed()));
        Some(std::iter::once(first).chain(published.try_iter()).collect())
    }

    fn store(&mut self, waiting: &[Published]) -> Result<(), CommitError> {
        let plan = self.owned.plan();
        let parts = waiting.iter().flat_map(|(commit, _)| &commit.parts);
        let begun = self.owned.levels_begin(parts.clone());
        let mut records = plan.remembered(parts);
        records.extend(begun.as_ref().map(owner::topics_record));
        let mut delays = retry::delays();
        loop {
            // Whoever has nothing to remember asks whether the shard is still ours.
            let outcome = match records.is_empty() {
                true => self.owned.renew(),
                false => self.owned.commit(&records),
            };
            match outcome {
                Err(CommitError::NotCommitted(error)) if *error.fault() == Fault::Transient => {
                    let delay = delays.next_delay();
                    warn!(error = %crate::telemetry::chain(&error), ?delay, "no checkpoint stored");
                    super::nap(delay);
                }
                Err(CommitError::NotCommitted(error)) => return Err(CommitError::Unknown(error)),
                outcome => {
                    if outcome.is_ok() {
                        self.owned.recorded(begun);
                    }
                    return outcome;
                }
            }
        }
    }
}
