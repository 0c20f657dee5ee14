use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use connector_api::{Error, Fault, Result};
use tokio::sync::oneshot;

use super::owner::{self, Owned};
use super::records::{Plan, Unremembered};
use super::relaxed;
use crate::config::Delivery;
use crate::sink::{Commit, CommitError, Committed, Part, ShardWriter};

/// How often the library's events are served while there is nothing to commit.
pub(super) const IDLE: Duration = Duration::from_millis(500);

/// On its way to the thread, and where the answer goes.
enum Command {
    Commit(Arc<Commit>, oneshot::Sender<Result<Committed, CommitError>>),
    End(oneshot::Sender<()>),
}

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
            let mut exactly = ExactlyOnce { owned, over: None };
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
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Commit(commit, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn end(&mut self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.try_send(Command::End(reply)).is_ok() {
            // A thread that has ended has nothing to say.
            drop(answer.await);
        }
    }
}

/// What the thread does with commits.
pub(super) trait Commits {
    /// Commits, or says why not. After `Unknown` or `Fenced` it refuses everything.
    fn commit(&mut self, commit: &Arc<Commit>) -> Result<Committed, CommitError>;
    /// Says that nothing more will be committed.
    fn end(&mut self);
    /// Serves the library.
    fn idle(&mut self);
}

fn serve(inbox: &mpsc::Receiver<Command>, to: &mut impl Commits) {
    loop {
        match inbox.recv_timeout(IDLE) {
            // Whoever does not wait for the answer reads what is stored.
            Ok(Command::Commit(commit, reply)) => drop(reply.send(to.commit(&commit))),
            Ok(Command::End(reply)) => {
                to.end();
                // Nor is who has gone told of it.
                let _ = reply.send(());
                return;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => to.idle(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Everything of a commit in one transaction.
struct ExactlyOnce {
    owned: Owned,
    over: Option<Over>,
}

impl Commits for ExactlyOnce {
    fn commit(&mut self, commit: &Arc<Commit>) -> Result<Committed, CommitError> {
        if let Some(over) = &self.over {
            return Err(over.again());
        }
        let plan = self.owned.plan();
        check_memory(&plan, &commit.parts)?;
        let mut records = plan.published(commit);
        records.extend(plan.remembered(&commit.parts));
        let begun = self.owned.levels_begin(&commit.parts);
        records.extend(begun.as_ref().map(owner::topics_record));
        // Whoever has nothing to commit asks whether the shard is still ours.
        let outcome = match records.is_empty() {
            true => self.owned.renew(),
            false => self.owned.commit(&records),
        };
        if let Err(error @ (CommitError::Unknown(_) | CommitError::Fenced(_))) = &outcome {
            self.over = Some(Over::of(error));
        }
        outcome.map(|()| {
            self.owned.recorded(begun);
            Committed::Durable
        })
    }

    fn end(&mut self) {
        if self.over.is_none() {
            self.owned.leave();
        }
    }

    fn idle(&mut self) {
        self.owned.idle();
    }
}

/// Refuses what cannot be remembered behind a commit.
pub(super) fn check_memory(plan: &Plan, parts: &[Part]) -> Result<(), CommitError> {
    let Some(found) = plan.cannot_remember(parts) else { return Ok(()) };
    let Unremembered { topic, part, table } = found;
    let what = match table {
        Some(table) => format!("a row of its table {table}"),
        None => "its checkpoint".to_owned(),
    };
    let (topic, limit) = (plan.topics.name(topic), plan.topics.record_bytes);
    let (seller, source) = (part.seller.as_str(), part.source.as_str());
    Err(CommitError::NotCommitted(Error::operator(
        format!(
            "{seller}/{source}: what is to be remembered of {what} is larger than the {limit} \
             bytes that {topic} takes"
        ),
        "raise max.message.bytes of the topics of tailstock",
    )))
}

/// What a writer says that has nothing more to say: why, whoever asks.
#[derive(Debug)]
pub(super) struct Over {
    is_fenced: bool,
    what: String,
    fault: Fault,
}

impl Over {
    /// As this error has it.
    pub(super) fn of(error: &CommitError) -> Self {
        let (CommitError::NotCommitted(said)
        | CommitError::Unknown(said)
        | CommitError::Fenced(said)) = error;
        let is_fenced = matches!(error, CommitError::Fenced(_));
        Self { is_fenced, what: said.to_string(), fault: said.fault().clone() }
    }

    pub(super) fn again(&self) -> CommitError {
        let what = self.what.as_str();
        let error = match &self.fault {
            Fault::Transient => Error::transient(what),
            Fault::Definite => Error::definite(what),
            Fault::Operator { fix } => Error::operator(what, fix),
            Fault::Held { by } => Error::held(what, by),
            Fault::Bug => Error::bug(what),
        };
        if self.is_fenced { CommitError::Fenced(error) } else { CommitError::Unknown(error) }
    }
}

/// What is said of a thread that is not there any more.
pub(super) fn gone() -> CommitError {
    CommitError::Unknown(Error::bug("the shard has to be opened again"))
}
