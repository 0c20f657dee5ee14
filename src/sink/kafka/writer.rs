use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use connector_api::{Error, Result};
use tokio::sync::oneshot;

use super::owner::Owned;
use super::records::{Plan, Record};
use super::relaxed;
use crate::config::Delivery;
use crate::sink::{Commit, CommitError, Committed, Part, ShardWriter};

/// How often the library's events are served while there is nothing to commit.
pub(super) const IDLE: Duration = Duration::from_millis(500);

/// A commit on its way to the thread, and where the answer goes.
pub(super) type Command = (Arc<Commit>, oneshot::Sender<Result<Committed, CommitError>>);

/// The way to the thread that owns the producers.
struct Writer {
    commands: mpsc::SyncSender<Command>,
}

/// Starts the thread that commits for as long as its writer lives.
pub(super) fn start(owned: Owned) -> Result<Box<dyn ShardWriter>> {
    // One commit is under way and one may wait; the shard's writer sends no more.
    let (commands, inbox) = mpsc::sync_channel(1);
    let delivery = owned.options.config.delivery;
    let run: Box<dyn FnOnce() + Send> = match delivery {
        Delivery::ExactlyOnce => {
            let mut exactly = ExactlyOnce { owned, dead: false };
            Box::new(move || serve(&inbox, &mut exactly))
        }
        Delivery::AtLeastOnce => {
            let mut relaxed = relaxed::AtLeastOnce::start(owned)?;
            Box::new(move || serve(&inbox, &mut relaxed))
        }
    };
    std::thread::Builder::new()
        .name("kafka".to_owned())
        .spawn(run)
        .map_err(|error| Error::transient("a thread cannot be started").because(error))?;
    Ok(Box::new(Writer { commands }))
}

#[async_trait]
impl ShardWriter for Writer {
    async fn commit(&mut self, commit: Arc<Commit>) -> Result<Committed, CommitError> {
        let gone = || CommitError::Unknown(Error::bug("the shard has to be opened again"));
        let (reply, answer) = oneshot::channel();
        self.commands.try_send((commit, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What the thread does with commits.
pub(super) trait Commits {
    /// Commits, or says why not. After `Unknown` or `Fenced` it refuses everything.
    fn commit(&mut self, commit: &Arc<Commit>) -> Result<Committed, CommitError>;
    /// Serves the library.
    fn idle(&mut self);
}

fn serve(inbox: &mpsc::Receiver<Command>, to: &mut impl Commits) {
    loop {
        match inbox.recv_timeout(IDLE) {
            // Whoever does not wait for the answer reads what is stored.
            Ok((commit, reply)) => drop(reply.send(to.commit(&commit))),
            Err(mpsc::RecvTimeoutError::Timeout) => to.idle(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Everything of a commit in one transaction.
struct ExactlyOnce {
    owned: Owned,
    dead: bool,
}

impl Commits for ExactlyOnce {
    fn commit(&mut self, commit: &Arc<Commit>) -> Result<Committed, CommitError> {
        if self.dead {
            return Err(over());
        }
        let plan = self.owned.plan();
        let mut records = plan.published(commit);
        records.extend(memorable(&plan, &commit.parts)?);
        // Whoever has nothing to commit asks whether the shard is still ours.
        let outcome = match records.is_empty() {
            true => self.owned.renew(),
            false => self.owned.commit(&records),
        };
        self.dead = matches!(outcome, Err(CommitError::Unknown(_) | CommitError::Fenced(_)));
        outcome.map(|()| Committed::Durable)
    }

    fn idle(&mut self) {
        self.owned.idle();
    }
}

/// What is remembered behind a commit, if it can be.
pub(super) fn memorable<'c>(
    plan: &Plan,
    parts: &'c [Part],
) -> Result<Vec<Record<'c>>, CommitError> {
    let records = plan.remembered(parts);
    match plan.too_large_to_remember(&records) {
        None => Ok(records),
        Some(record) => {
            let (topic, limit) = (plan.topics.name(record.topic), plan.topics.record_bytes);
            Err(CommitError::NotCommitted(Error::operator(
                format!("a record for {topic} is larger than the {limit} bytes the topics take"),
                "raise max.message.bytes of the topics of tailstock",
            )))
        }
    }
}

/// What a writer says that has nothing more to say.
pub(super) fn over() -> CommitError {
    CommitError::Unknown(Error::bug("the shard has to be opened again"))
}
