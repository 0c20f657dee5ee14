use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Error, Fault, Result};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::fair::Fair;
use crate::fleet::retry;
use crate::sink::{Commit, CommitError, Committed, Part, ShardWriter};
use crate::stock::encode::Records;
use crate::stock::{SellerId, SourceName};
use crate::telemetry::ShardMetrics;

/// Bytes of one commit; what does not fit goes into the next.
const COMMIT_BYTES: usize = 3 << 20;

/// How long a sink may take to note that its owner has gone.
const PARTING: Duration = Duration::from_secs(2);

/// A part on its way to the sink.
#[derive(Debug)]
pub struct Submission {
    /// What is to be committed.
    pub part: Part,
    /// The seller's own number of it, handed back when it is durable.
    pub number: u64,
    /// Where the receipt goes.
    pub receipts: mpsc::UnboundedSender<Receipt>,
}

/// The part of this number, and all of the same source before it, are durable.
#[derive(Debug)]
pub struct Receipt {
    /// See [`Submission::number`].
    pub number: u64,
    /// The buffer its events were in, if nobody else holds it.
    pub spare: Records,
}

/// A way to the writer of one shard. Unbounded in count because every seller bounds the bytes it
/// has under way.
#[derive(Debug, Clone)]
pub struct Shard {
    inbox: mpsc::UnboundedSender<Submission>,
}

impl Shard {
    /// A shard and the receiving end for [`run`].
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Submission>) {
        let (inbox, submissions) = mpsc::unbounded_channel();
        (Self { inbox }, submissions)
    }

    /// Hands a part to the writer. An error means that the writer has stopped: what is stored has
    /// to be read anew before anything else is submitted.
    pub fn submit(&self, submission: Submission) -> Result<()> {
        let stopped = |_| Error::transient("the sink is being opened anew");
        self.inbox.send(submission).map_err(stopped)
    }

    /// Waits until everything a source has submitted is durable, whoever submitted it. A seller
    /// that begins again reads what is stored only after this, or it would read the same log twice.
    pub async fn settle(&self, seller: &SellerId, source: &SourceName) -> Result<()> {
        let (receipts, mut receipt) = mpsc::unbounded_channel();
        let part = Part::empty(seller.clone(), source.clone());
        self.submit(Submission { part, number: 0, receipts })?;
        let stopped = || Error::transient("the sink is being opened anew");
        receipt.recv().await.map(|_| ()).ok_or_else(stopped)
    }
}

/// Why a writer stopped before its sellers did.
#[derive(Debug)]
pub enum Stopped {
    /// What is stored is not known, or has to be looked at by a person: the shard is to be opened
    /// again, and to be read anew.
    Reopen(Error),
    /// Another owner has the shard. Opening it would take it back, and the other would do the same
    /// in its turn.
    Fenced(Error),
    /// The sink has taken nothing for as long as was to be waited, and opening it again would not
    /// tell whether it does.
    GivenUp(Error),
}

/// When commits are made, and for how long in vain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tempo {
    /// At most one commit in this time; with zero the next one begins the moment the previous one
    /// has finished.
    pub interval: Duration,
    /// For how long a commit is tried that the sink does not take; without it for ever.
    pub patience: Option<Duration>,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Reopen(error)
    }
}

/// Commits submissions until every [`Shard`] is dropped.
pub async fn run(
    writer: Box<dyn ShardWriter>,
    submissions: mpsc::UnboundedReceiver<Submission>,
    metrics: ShardMetrics,
    tempo: Tempo,
) -> Result<(), Stopped> {
    let ended = commit_all(writer, submissions, &metrics, tempo).await;
    metrics.pending(None);
    ended
}

/// Tells a sink that its owner goes: in vain where it answers nobody, which holds up no end.
pub async fn leave(writer: &mut dyn ShardWriter) {
    drop(tokio::time::timeout(PARTING, writer.end()).await);
}

async fn commit_all(
    mut writer: Box<dyn ShardWriter>,
    mut submissions: mpsc::UnboundedReceiver<Submission>,
    metrics: &ShardMetrics,
    Tempo { interval, patience }: Tempo,
) -> Result<(), Stopped> {
    let mut queue = Fair::default();
    let mut behind = Behind::default();
    let mut previous: Option<Instant> = None;
    loop {
        if queue.is_empty() {
            tokio::select! {
                submission = submissions.recv() => match submission {
                    Some(submission) => push(&mut queue, submission),
                    None => {
                        behind.finish(metrics).await?;
                        leave(writer.as_mut()).await;
                        return Ok(());
                    }
                },
                outcome = behind.next(), if !behind.is_empty() => {
                    behind.durable(outcome, metrics)?;
                    continue;
                }
            }
        }
        if let Some(previous) = previous.filter(|_| !interval.is_zero()) {
            tokio::time::sleep(interval.saturating_sub(previous.elapsed())).await;
        }
        while let Ok(submission) = submissions.try_recv() {
            push(&mut queue, submission);
        }
        let taken = queue.take(COMMIT_BYTES, |submission| submission.part.bytes());
        let mut receipts = Vec::with_capacity(taken.len());
        let mut parts = Vec::with_capacity(taken.len());
        for submission in taken {
            receipts.push((submission.receipts, submission.number));
            parts.push(submission.part);
        }
        let commit = Arc::new(Commit { parts });
        let since = Instant::now();
        previous = Some(since);
        let waiting = Waiting { since, receipts, commit };
        metrics.pending(behind.since().or(Some(since)));
        match commit_until_sent(writer.as_mut(), &waiting.commit, metrics, patience).await? {
            Committed::Durable => waiting.durable(metrics),
            Committed::Published(stored) => behind.0.push_back((stored, waiting)),
        }
        behind.durable_by_now(metrics)?;
        metrics.pending(behind.since());
    }
}

/// Who waits for a commit.
struct Waiting {
    since: Instant,
    receipts: Vec<(mpsc::UnboundedSender<Receipt>, u64)>,
    commit: Arc<Commit>,
}

impl Waiting {
    fn durable(self, metrics: &ShardMetrics) {
        metrics.committed(self.since.elapsed());
        let parts = Arc::into_inner(self.commit).map(|commit| commit.parts).unwrap_or_default();
        let spares = parts.into_iter().map(|part| part.records);
        let spares = spares.chain(std::iter::repeat_with(Records::default));
        for ((to, number), spare) in self.receipts.into_iter().zip(spares) {
            // A seller that has gone needs no receipt: it will read what is stored.
            let _ = to.send(Receipt { number, spare });
        }
    }
}

/// Whether what was published is durable.
type Stored = oneshot::Receiver<Result<(), CommitError>>;
/// As a sink answers, or not at all when its thread has ended.
type Outcome = Result<Result<(), CommitError>, oneshot::error::RecvError>;

/// Commits that are published and not yet durable, in their order.
#[derive(Default)]
struct Behind(VecDeque<(Stored, Waiting)>);

impl Behind {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the first one was begun.
    fn since(&self) -> Option<Instant> {
        self.0.front().map(|(_, waiting)| waiting.since)
    }

    /// The outcome of the first one. Cancel-safe.
    async fn next(&mut self) -> Outcome {
        match self.0.front_mut() {
            Some((stored, _)) => stored.await,
            None => std::future::pending().await,
        }
    }

    fn durable(&mut self, outcome: Outcome, metrics: &ShardMetrics) -> Result<(), Stopped> {
        match outcome {
            Ok(Ok(())) => {
                if let Some((_, waiting)) = self.0.pop_front() {
                    waiting.durable(metrics);
                }
                metrics.pending(self.since());
                Ok(())
            }
            Ok(Err(CommitError::Fenced(error))) => Err(Stopped::Fenced(error)),
            Ok(Err(error)) => Err(Stopped::Reopen(error.into())),
            Err(_) => Err(Stopped::Reopen(Error::bug("the sink answered nothing"))),
        }
    }

    fn durable_by_now(&mut self, metrics: &ShardMetrics) -> Result<(), Stopped> {
        while let Some((stored, _)) = self.0.front_mut() {
            match stored.try_recv() {
                Ok(outcome) => self.durable(Ok(outcome), metrics)?,
                Err(oneshot::error::TryRecvError::Empty) => return Ok(()),
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(Stopped::Reopen(Error::bug("the sink answered nothing")));
                }
            }
        }
        Ok(())
    }

    async fn finish(mut self, metrics: &ShardMetrics) -> Result<(), Stopped> {
        while !self.is_empty() {
            let outcome = self.next().await;
            self.durable(outcome, metrics)?;
        }
        Ok(())
    }
}

fn push(queue: &mut Fair<String, Submission>, submission: Submission) {
    let owner = format!("{}/{}", submission.part.seller, submission.part.source);
    queue.push(owner, submission);
}

/// Resends the same commit for as long as the sink says that nothing of it is stored and that this
/// may pass by itself, or for as long as there is patience.
async fn commit_until_sent(
    writer: &mut dyn ShardWriter,
    commit: &Arc<Commit>,
    metrics: &ShardMetrics,
    patience: Option<Duration>,
) -> Result<Committed, Stopped> {
    let mut delays = retry::delays();
    let mut failures = 0_u32;
    let mut failing_since = None;
    loop {
        match writer.commit(Arc::clone(commit)).await {
            Ok(committed) => {
                if failures > 0 {
                    info!(failures, "the sink takes commits again");
                }
                return Ok(committed);
            }
            Err(CommitError::NotCommitted(error)) if *error.fault() == Fault::Transient => {
                failures += 1;
                let delay = delays.next_delay();
                warn!(error = %crate::telemetry::chain(&error), ?delay, "nothing was committed");
                metrics.failed(&error);
                let now = Instant::now();
                let failing = now - *failing_since.get_or_insert(now);
                if patience.is_some_and(|patience| failing >= patience) {
                    return Err(Stopped::GivenUp(error));
                }
                tokio::time::sleep(delay).await;
            }
            Err(CommitError::NotCommitted(error) | CommitError::Unknown(error)) => {
                return Err(Stopped::Reopen(error));
            }
            Err(CommitError::Fenced(error)) => return Err(Stopped::Fenced(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Clock(Arc<std::sync::Mutex<Vec<Instant>>>);

    #[async_trait::async_trait]
    impl ShardWriter for Clock {
        async fn commit(&mut self, _: Arc<Commit>) -> Result<Committed, CommitError> {
            self.0.lock().unwrap().push(Instant::now());
            Ok(Committed::Durable)
        }
    }

    struct Damaged;

    #[async_trait::async_trait]
    impl ShardWriter for Damaged {
        async fn commit(&mut self, _: Arc<Commit>) -> Result<Committed, CommitError> {
            Err(CommitError::NotCommitted(Error::operator("the file is damaged", "restore it")))
        }
    }

    #[tokio::test]
    async fn a_sink_that_needs_a_person_is_not_asked_again() {
        let (shard, submissions) = Shard::new();
        let metrics = crate::telemetry::StatusBoard::default().shard();
        let writer = tokio::spawn(run(Box::new(Damaged), submissions, metrics, Tempo::default()));
        assert!(shard.settle(&SellerId::new("acme"), &SourceName::new("main")).await.is_err());
        let Err(Stopped::Reopen(error)) = writer.await.unwrap() else { panic!("it went on") };
        assert!(matches!(error.fault(), Fault::Operator { .. }), "{error}");
    }

    /// Refuses everything until it is told to take it.
    struct Refusing(tokio::sync::watch::Receiver<bool>);

    #[async_trait::async_trait]
    impl ShardWriter for Refusing {
        async fn commit(&mut self, _: Arc<Commit>) -> Result<Committed, CommitError> {
            match *self.0.borrow() {
                true => Ok(Committed::Durable),
                false => Err(CommitError::NotCommitted(Error::transient("the disk is full"))),
            }
        }
    }

    #[tokio::test]
    async fn a_sink_that_refuses_every_commit_is_told_until_it_takes_one() {
        let (shard, submissions) = Shard::new();
        let board = crate::telemetry::StatusBoard::default();
        let metrics = board.shard();
        let (takes, refuses) = tokio::sync::watch::channel(false);
        let refusing = Box::new(Refusing(refuses));
        let writer = tokio::spawn(run(refusing, submissions, metrics.clone(), Tempo::default()));
        let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
        let settled = tokio::spawn(async move { shard.settle(&seller, &source).await });
        let error = loop {
            match metrics.oldest() {
                Some((_, Some(error))) => break error,
                _ => tokio::task::yield_now().await,
            }
        };
        assert_eq!(error, "the disk is full");
        takes.send(true).unwrap();
        settled.await.unwrap().unwrap();
        writer.await.unwrap().unwrap();
        assert_eq!(metrics.oldest(), None);
    }

    #[tokio::test]
    async fn a_run_with_an_end_gives_up_a_sink_that_takes_nothing() {
        let (shard, submissions) = Shard::new();
        let metrics = crate::telemetry::StatusBoard::default().shard();
        let (_takes, refuses) = tokio::sync::watch::channel(false);
        let tempo = Tempo { patience: Some(Duration::from_millis(20)), ..Tempo::default() };
        let refusing = Box::new(Refusing(refuses));
        let writer = tokio::spawn(run(refusing, submissions, metrics, tempo));
        let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
        assert!(shard.settle(&seller, &source).await.is_err());
        let Err(Stopped::GivenUp(error)) = writer.await.unwrap() else { panic!("it went on") };
        assert_eq!(error.to_string(), "the disk is full");
    }

    /// Publishes at once, and hands out who waits until that is durable.
    struct Later(mpsc::UnboundedSender<oneshot::Sender<Result<(), CommitError>>>);

    #[async_trait::async_trait]
    impl ShardWriter for Later {
        async fn commit(&mut self, _: Arc<Commit>) -> Result<Committed, CommitError> {
            let (stored, receipt) = oneshot::channel();
            self.0.send(stored).unwrap();
            Ok(Committed::Published(receipt))
        }
    }

    #[tokio::test]
    async fn what_is_published_is_under_way_until_it_is_durable() {
        let (shard, submissions) = Shard::new();
        let metrics = crate::telemetry::StatusBoard::default().shard();
        let (later, mut published) = mpsc::unbounded_channel();
        let later = Box::new(Later(later));
        let writer = tokio::spawn(run(later, submissions, metrics.clone(), Tempo::default()));
        let mut waiting = Vec::new();
        let mut oldest = Vec::new();
        for _ in 0..2 {
            let shard = shard.clone();
            let settle =
                async move { shard.settle(&SellerId::new("acme"), &SourceName::new("main")).await };
            let settled = tokio::spawn(settle);
            waiting.push((settled, published.recv().await.unwrap()));
            oldest.push(metrics.oldest().unwrap().0);
        }
        assert_eq!(oldest[0], oldest[1], "the first one is not durable yet");
        for (settled, stored) in waiting {
            stored.send(Ok(())).unwrap();
            settled.await.unwrap().unwrap();
        }
        drop(shard);
        writer.await.unwrap().unwrap();
        assert_eq!(metrics.oldest(), None);
    }

    #[tokio::test]
    async fn with_an_interval_commits_keep_their_distance() {
        let interval = Duration::from_millis(30);
        let times = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (shard, submissions) = Shard::new();
        let metrics = crate::telemetry::StatusBoard::default().shard();
        let clock = Box::new(Clock(Arc::clone(&times)));
        let tempo = Tempo { interval, patience: None };
        let writer = tokio::spawn(run(clock, submissions, metrics, tempo));
        for _ in 0..3 {
            shard.settle(&SellerId::new("acme"), &SourceName::new("main")).await.unwrap();
        }
        drop(shard);
        writer.await.unwrap().unwrap();
        let times = times.lock().unwrap();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= interval), "{times:?}");
        assert_eq!(times.len(), 3);
    }
}
