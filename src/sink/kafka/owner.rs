use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Error, Result};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::KafkaOptions;
use super::records::{Plan, Record};
use super::stored::{self, Contents};
use super::topics::{Topic, Topics};
use super::transaction::{Outlet, Undone};
use crate::sink::{CommitError, Shard};
use crate::telemetry::now_us;

/// How the keys of what is not a source's begin; no source's key contains the character.
pub(super) const PREFIX: &str = "#";
const OWNER: &str = "owner/";
const PARTITIONS: &str = "partitions";
/// The form of what is stored.
const FORMAT: u32 = 1;
/// How long a later owner may take from fencing an earlier one to saying who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);

/// Who has taken a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    format: u32,
    token: String,
    host: String,
    process: u32,
    since_us: i64,
}

impl Owner {
    fn new() -> Self {
        // The keys of a hasher are random bytes of the operating system.
        let token = RandomState::new().build_hasher().finish();
        Self {
            format: FORMAT,
            token: format!("{token:016x}"),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            process: std::process::id(),
            since_us: now_us(),
        }
    }
}

/// A shard that is ours, until somebody else takes it.
pub(super) struct Owned {
    pub(super) options: Arc<KafkaOptions>,
    pub(super) topics: Arc<Topics>,
    shard: Shard,
    owner: Owner,
    /// Used strictly in turn.
    ids: [Outlet; 2],
}

/// Takes a shard: no earlier owner can commit from here on, and a later one finds our name.
pub(super) fn take(
    options: &Arc<KafkaOptions>,
    topics: &Arc<Topics>,
    shard: Shard,
) -> Result<Owned> {
    let id = |turn: &str| {
        let id = format!("{}-{}-{turn}", options.name, shard.0);
        Outlet::transactional(options, topics, &id)
    };
    // Each takes half a second where an earlier owner has left a transaction open.
    let [first, second] = std::thread::scope(|scope| {
        let both = ["a", "b"].map(|turn| scope.spawn(move || id(turn)));
        both.map(|one| one.join().unwrap_or_else(|_| Err(Error::bug("taking a shard panicked"))))
    });
    let ids = [first?, second?];
    let (options, topics) = (Arc::clone(options), Arc::clone(topics));
    let mut owned = Owned { options, topics, shard, owner: Owner::new(), ids };
    owned.renew()?;
    Ok(owned)
}

impl Owned {
    /// Compares the topics with what they were when something was first written to them, and
    /// remembers them.
    pub(super) fn record_partitions(
        &mut self,
        recorded: Option<&BTreeMap<String, i32>>,
    ) -> Result<()> {
        let counts = self.topics.counts();
        let accepted = self.options.config.partitions;
        let moved = |(name, before): (&String, &i32)| {
            let now = *counts.get(name)?;
            let is_accepted = accepted == Some(now);
            (now != *before && !is_accepted).then(|| {
                Error::operator(
                    format!(
                        "topic {name} has {now} partitions and had {before}: the events of an \
                         item would go on in another partition, before or behind the earlier ones"
                    ),
                    format!(
                        "set sink.partitions = {now} once every consumer has read to the end, or \
                         set sink.topic_prefix for new topics"
                    ),
                )
            })
        };
        let errors: Vec<Error> = recorded.into_iter().flatten().filter_map(moved).collect();
        if let Some(error) = Error::all(errors) {
            return Err(error);
        }
        if recorded == Some(&counts) {
            return Ok(());
        }
        let value = serde_json::to_string(&counts).expect("counts have only text keys");
        Ok(self.record(&format!("{PREFIX}{PARTITIONS}"), &value)?)
    }

    /// Says who owns the shard. That it succeeds proves that nobody else has taken it.
    pub(super) fn renew(&mut self) -> Result<(), CommitError> {
        let value = serde_json::to_string(&self.owner).expect("an owner has only text keys");
        self.record(&owner_key(&self.options.name, self.shard), &value)
    }

    fn record(&mut self, key: &str, value: &str) -> Result<(), CommitError> {
        let (key, value) = (key.as_bytes().into(), Some(value.as_bytes().into()));
        self.commit(&[Record::private(Topic::Checkpoints, key, value)])
    }

    /// Commits under the id whose turn it is.
    pub(super) fn commit(&mut self, records: &[Record<'_>]) -> Result<(), CommitError> {
        let outcome = self.ids[0].commit(records);
        self.ids.swap(0, 1);
        outcome.map_err(|undone| self.why(undone))
    }

    /// Serves the library while nothing is committed.
    pub(super) fn idle(&self) {
        self.ids.iter().for_each(Outlet::serve);
    }

    /// A producer beside the transactional ones.
    pub(super) fn outlet(&self) -> Result<Outlet> {
        Outlet::idempotent(&self.options, &self.topics)
    }

    /// How commits become records.
    pub(super) fn plan(&self) -> Plan {
        let config = &self.options.config;
        Plan { topics: Arc::clone(&self.topics), levels: config.levels, headers: config.headers }
    }

    /// What the end of a transaction means for who owns the shard. A transaction that lasted longer
    /// than its time limit is ended with the same words as that of an earlier owner; only what a
    /// later owner has stored tells the two apart.
    fn why(&self, undone: Undone) -> CommitError {
        let error = match undone {
            Undone::Aborted(error) => return CommitError::NotCommitted(error),
            Undone::Unknown(error) => return CommitError::Unknown(error),
            Undone::Fenced(error) => error,
        };
        let deadline = Instant::now() + INTRODUCTION;
        loop {
            match self.other_owner() {
                Ok(Some(other)) => {
                    let who = format!("process {} on {}", other.process, other.host);
                    let what = format!("shard {} has been taken over by {who}", self.shard.0);
                    return CommitError::Fenced(Error::held(what, who));
                }
                Ok(None) if Instant::now() < deadline => {}
                Ok(None) => {
                    warn!("a transaction outlived its time limit; the shard is taken again");
                    return CommitError::Unknown(error);
                }
                Err(unread) => return CommitError::Unknown(unread),
            }
            super::nap(Duration::from_millis(100));
        }
    }

    fn other_owner(&self) -> Result<Option<Owner>> {
        let contents = stored::read(&self.options, &[Topic::Checkpoints])?;
        let key = owner_key(&self.options.name, self.shard);
        let owner = contents.owners.get(&key[PREFIX.len()..]).cloned();
        Ok(owner.filter(|owner| owner.token != self.owner.token))
    }
}

fn owner_key(name: &str, shard: Shard) -> String {
    format!("{PREFIX}{OWNER}{name}/{}", shard.0)
}

/// Takes in a record of `topic` that is not a source's; `key` is what stands behind [`PREFIX`].
pub(super) fn apply(
    contents: &mut Contents,
    topic: &str,
    key: &str,
    value: Option<&str>,
) -> Result<()> {
    let damaged = |error: serde_json::Error| {
        Error::operator(
            format!("topic {topic} holds what this version cannot read"),
            "run the version that wrote it, or a later one",
        )
        .because(error)
    };
    match (key, value) {
        (PARTITIONS, Some(value)) => {
            contents.partitions = Some(serde_json::from_str(value).map_err(damaged)?);
        }
        (key, Some(value)) if key.starts_with(OWNER) => {
            let owner = serde_json::from_str(value).map_err(damaged)?;
            contents.owners.insert(key.to_owned(), owner);
        }
        // What a later version keeps beside these is no concern of this one.
        _ => {}
    }
    Ok(())
}
