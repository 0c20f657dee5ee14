use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Error, Fault, Result};
use rdkafka::consumer::BaseConsumer;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::client::{PATIENCE, Told};
use super::records::{Plan, Record};
use super::scan;
use super::stored::{self, Contents, PARTITION};
use super::topics::{Topic, Topics};
use super::transaction::{Outlet, Undone};
use super::whole::{Ends, Found, Whole};
use super::{Isolation, KafkaOptions};
use crate::sink::{CommitError, OpenError, Part, Shard};
use crate::stock::encode::{Entry, RecordKind, timestamp};
use crate::telemetry::now_us;

/// How the keys of what is not a source's begin; no source's key contains the character.
pub(super) const PREFIX: &str = "#";
const OWNER: &str = "owner/";
const PARTITIONS: &str = "partitions";
const TOPICS: &str = "topics";
const MARK: &str = "mark";
/// The form of what is stored.
const FORMAT: u32 = 1;
/// How long a later owner may take from fencing an earlier one to saying who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// How long it is tried to read who that is.
const UNREAD: Duration = Duration::from_secs(90);

/// Who has taken a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    format: u32,
    token: String,
    host: String,
    process: u32,
    /// Among which processes its number counts. Earlier versions did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    among: Option<String>,
    since_us: i64,
    /// Whether it has said that it commits nothing more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
}

impl Owner {
    fn new() -> Self {
        let (host, process, since_us) = (this_host(), std::process::id(), now_us());
        let (token, among) = (token(), these_processes());
        Self { format: FORMAT, token, host, process, among, since_us, ended: false }
    }

    /// Whether it is known that it has gone. Where numbers of processes mean others than here, in
    /// another container or on another machine of the same name, it is not.
    fn has_gone(&self) -> bool {
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        // One that may not be asked is there.
        let is_there =
            process.is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH));
        let is_comparable = self.among.is_some() && self.among == these_processes();
        self.ended || (self.host == this_host() && is_comparable && !is_there)
    }

    fn who(&self) -> String {
        let since = timestamp(self.since_us);
        format!("process {} on {}, which took it at {since}", self.process, self.host)
    }
}

/// The start of the machine, and the namespace that numbers of processes are of: `None` where the
/// system does not say.
fn these_processes() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// 16 hex digits that nothing else has.
fn token() -> String {
    // The keys of a hasher are random bytes of the operating system.
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Who took the shard last, unless it is known to have gone.
pub(super) fn holder(options: &KafkaOptions, shard: Shard) -> Result<Option<String>> {
    let contents = stored::read(options, &[Topic::Checkpoints])?;
    let key = owner_key(&options.name, shard);
    let owner = contents.owners.get(&key[PREFIX.len()..]).map(|(_, owner)| owner);
    Ok(owner.filter(|owner| !owner.has_gone()).map(Owner::who))
}

/// Where the last owner of this name is recorded; before everything where there was none.
fn place_of(contents: &Contents, name: &str, shard: Shard) -> i64 {
    let key = owner_key(name, shard);
    contents.owners.get(&key[PREFIX.len()..]).map_or(-1, |(place, _)| *place)
}

/// Refuses a shard that an installation of another name has taken behind this place, unless it is
/// known to have gone: nothing would shut it out, and both would publish everything.
pub(super) fn refuse_others(
    contents: &Contents,
    options: &KafkaOptions,
    shard: Shard,
    behind: i64,
) -> Result<()> {
    let of_shard = |key: &str| {
        let (name, number) = key.strip_prefix(OWNER)?.rsplit_once('/')?;
        let is_another = number == shard.0.to_string() && name != options.name;
        is_another.then(|| name.to_owned())
    };
    let others = contents.owners.iter().filter_map(|(key, (place, owner))| {
        let is_at_work = *place > behind && !owner.has_gone();
        is_at_work.then(|| of_shard(key)).flatten().map(|name| (*place, name, owner))
    });
    // The last one can be started again in any case.
    let Some((_, other, owner)) = others.max_by_key(|(place, ..)| *place) else { return Ok(()) };
    Err(Error::operator(
        format!(
            "the topics are those of the installation {other:?}, and this one is {:?}; it may be \
             at work: {}",
            options.name,
            owner.who()
        ),
        format!(
            "give this installation topics of its own (sink.topic_prefix), or its former name \
             (name = {other:?}); to rename it end that process first, and if it was killed, start \
             and stop it once under its former name"
        ),
    ))
}

/// A time in which this process had a shard, or was about to.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    token: String,
    /// Where in the checkpoints' topic the record of a later owner can stand at the earliest.
    later_from: i64,
}

impl Tenure {
    /// Who has taken the shard since. What stands before [`Tenure::later_from`] is of earlier
    /// owners, who have been shut out; this process may be one of them.
    fn later(
        &self,
        options: &KafkaOptions,
        shard: Shard,
        what: Isolation,
    ) -> Result<Option<Owner>> {
        let contents = stored::read_as(options, &[Topic::Checkpoints], what)?;
        let key = owner_key(&options.name, shard);
        let owner = contents.owners.get(&key[PREFIX.len()..]);
        let is_later =
            |(place, owner): &&(i64, Owner)| *place >= self.later_from && owner.token != self.token;
        Ok(owner.filter(is_later).map(|(_, owner)| owner.clone()))
    }
}

/// Refuses to take a shard back that somebody else has taken since this process had it, whatever
/// it was that ended its own work. Whoever cannot read who has it does not take it either.
pub(super) fn refuse_replaced(options: &KafkaOptions, shard: Shard) -> Result<(), OpenError> {
    let Some(tenure) = options.tenure.lock().expect("no holder panics").clone() else {
        return Ok(());
    };
    // A transaction of our own may still be open, and holds up who reads what is committed.
    if tenure.later(options, shard, Isolation::Uncommitted)?.is_none() {
        return Ok(());
    }
    match tenure.later(options, shard, Isolation::Committed)? {
        Some(later) => Err(OpenError::Fenced(taken_over(shard, &later))),
        None => Ok(()),
    }
}

fn taken_over(shard: Shard, later: &Owner) -> Error {
    let who = format!("process {} on {}", later.process, later.host);
    Error::held(format!("shard {} has been taken over by {who}", shard.0), who)
}

/// A shard that is ours, until somebody else takes it.
pub(super) struct Owned {
    pub(super) options: Arc<KafkaOptions>,
    pub(super) topics: Arc<Topics>,
    shard: Shard,
    owner: Owner,
    tenure: Tenure,
    /// What is recorded of the topics.
    whole: Option<Whole>,
    /// Used strictly in turn.
    ids: [Outlet; 2],
}

/// Refuses topics that are not what was recorded of them, and what cannot be understood: whoever
/// could not work with the shard does not shut out who can. An open transaction holds up nobody.
/// Returns where an earlier owner of this name is recorded.
pub(super) fn refuse_moved(
    options: &KafkaOptions,
    topics: &Topics,
    shard: Shard,
    asking: &BaseConsumer<Told>,
) -> Result<i64> {
    end_of_checkpoints(options, asking)?;
    let stored = stored::read_as(options, &[Topic::Checkpoints], Isolation::Uncommitted)?;
    check_partitions(options, topics, stored.found.partitions.as_ref())?;
    let before = place_of(&stored, &options.name, shard);
    if refuse_others(&stored, options, shard, before).is_err() {
        // What may yet be taken back is no owner.
        let stored = stored::read_as(options, &[Topic::Checkpoints], Isolation::Committed)?;
        refuse_others(&stored, options, shard, before)?;
    }
    Ok(before)
}

/// Takes a shard: no earlier owner can commit from here on, and a later one finds our name.
pub(super) fn take(
    options: &Arc<KafkaOptions>,
    topics: &Arc<Topics>,
    shard: Shard,
    asking: &BaseConsumer<Told>,
) -> Result<Owned, OpenError> {
    let mut owned = shut_out(options, topics, shard, asking)?;
    *options.tenure.lock().expect("no holder panics") = Some(owned.tenure.clone());
    owned.renew()?;
    Ok(owned)
}

/// Shuts every earlier owner out.
pub(super) fn shut_out(
    options: &Arc<KafkaOptions>,
    topics: &Arc<Topics>,
    shard: Shard,
    asking: &BaseConsumer<Told>,
) -> Result<Owned> {
    // Before anybody is shut out: whoever takes the shard from us writes behind it, however long
    // this process is suspended in the middle.
    let later_from = end_of_checkpoints(options, asking)?;
    let id = |turn| Outlet::transactional(options, topics, &transactional_id(options, shard, turn));
    // Each takes half a second where an earlier owner has left a transaction open.
    let [first, second] = std::thread::scope(|scope| {
        let both = ["a", "b"].map(|turn| scope.spawn(move || id(turn)));
        both.map(|one| one.join().unwrap_or_else(|_| Err(Error::bug("taking a shard panicked"))))
    });
    let ids = [first?, second?];
    let (options, topics) = (Arc::clone(options), Arc::clone(topics));
    let owner = Owner::new();
    let tenure = Tenure { token: owner.token.clone(), later_from };
    Ok(Owned { options, topics, shard, owner, tenure, whole: None, ids })
}

/// Compares the topics with what they were when something was first written to them.
pub(super) fn check_partitions(
    options: &KafkaOptions,
    topics: &Topics,
    recorded: Option<&BTreeMap<String, i32>>,
) -> Result<()> {
    let counts = topics.counts();
    let accepted = options.config.partitions;
    let moved = |(name, before): (&String, &i32)| {
        let now = *counts.get(name)?;
        let is_accepted = accepted == Some(now);
        let fix = match options.config.levels {
            // Earlier levels would stay in their partitions, beside later ones of the same keys.
            true => "set sink.topic_prefix for new topics".to_owned(),
            false => format!(
                "set sink.partitions = {now} once every consumer has read to the end, or set \
                 sink.topic_prefix for new topics"
            ),
        };
        (now != *before && !is_accepted).then(|| {
            Error::operator(
                format!(
                    "topic {name} has {now} partitions and had {before}: the events of an item \
                     would go on in another partition, before or behind the earlier ones"
                ),
                fix,
            )
        })
    };
    let errors = recorded.into_iter().flatten().filter_map(moved);
    Error::all(errors).map_or(Ok(()), Err)
}

/// A topic that has just been created may be without a leader for a moment.
fn end_of_checkpoints(options: &KafkaOptions, asking: &BaseConsumer<Told>) -> Result<i64> {
    let begun = Instant::now();
    loop {
        match scan::ends_of(options, asking, (Topic::Checkpoints, PARTITION)) {
            Ok((_, end)) => return Ok(end),
            Err(error) if *error.fault() == Fault::Transient && begun.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
        super::nap(Duration::from_millis(20));
    }
}

/// Other topics on the same cluster are another installation's, which nobody here may shut out. No
/// name and no prefix contains the `@`.
fn transactional_id(options: &KafkaOptions, shard: Shard, turn: &str) -> String {
    let KafkaOptions { name, config, .. } = options;
    let id = format!("{name}-{}-{turn}", shard.0);
    match config.topic_prefix.as_str() {
        "" => id,
        prefix => format!("{id}@{prefix}"),
    }
}

impl Owned {
    /// Looks whether the topics still have what was written to them, and remembers how they are:
    /// in one step, so that nobody finds one of these records without the others.
    pub(super) fn record_topics(
        &mut self,
        found: Found,
        asking: &BaseConsumer<Told>,
    ) -> Result<Whole, OpenError> {
        let ends = Ends::ask(&self.options, &self.topics, asking)?;
        let (marked, recorded) = (found.mark.clone(), found.whole.clone());
        let counts = self.topics.counts();
        let is_counted = found.partitions.as_ref() == Some(&counts);
        let whole = Whole::of(found, ends, &self.topics, token());
        let mut records = Vec::new();
        if !is_counted {
            let value = serde_json::to_string(&counts).expect("counts have only text keys");
            records.push(private(Topic::Checkpoints, &format!("{PREFIX}{PARTITIONS}"), &value));
        }
        if marked.as_deref() != Some(whole.mark()) {
            records.push(private(Topic::Rows, &format!("{PREFIX}{MARK}"), whole.mark()));
        }
        if recorded.as_ref() != Some(&whole) {
            records.push(topics_record(&whole));
        }
        if !records.is_empty() {
            self.commit(&records)?;
        }
        if recorded.is_some_and(|before| before.round() < whole.round()) {
            let topics = whole.lacking_since(whole.round() - 1).join(", ");
            warn!(topics, "made anew, or not written for a while: what they lack is read again");
        }
        self.whole = Some(whole.clone());
        Ok(whole)
    }

    /// What is to be recorded together with the first levels: that there are some.
    pub(super) fn levels_begin<'p>(
        &self,
        parts: impl IntoIterator<Item = &'p Part>,
    ) -> Option<Whole> {
        let whole = self.whole.as_ref()?.with_levels()?;
        let is_level = |entry: &Entry| entry.kind != RecordKind::Movement;
        parts.into_iter().any(|part| part.records.iter().any(is_level)).then_some(whole)
    }

    /// What was recorded of the topics with a commit.
    pub(super) fn recorded(&mut self, whole: Option<Whole>) {
        self.whole = whole.or(self.whole.take());
    }

    /// Says who owns the shard. That it succeeds proves that nobody else has taken it.
    pub(super) fn renew(&mut self) -> Result<(), CommitError> {
        let value = serde_json::to_string(&self.owner).expect("an owner has only text keys");
        self.record(&owner_key(&self.options.name, self.shard), &value)
    }

    /// Says that nothing more is committed. Who is not heard is taken for one that is at work.
    pub(super) fn leave(&mut self) {
        let owner = Owner { ended: true, ..self.owner.clone() };
        let value = serde_json::to_string(&owner).expect("an owner has only text keys");
        let key = owner_key(&self.options.name, self.shard);
        drop(self.ids[0].commit(&[private(Topic::Checkpoints, &key, &value)]));
    }

    /// Takes back that it owns the shard.
    pub(super) fn withdraw(&mut self) {
        let key = owner_key(&self.options.name, self.shard).into_bytes();
        drop(self.ids[0].commit(&[Record::private(Topic::Checkpoints, key.into(), None)]));
    }

    fn record(&mut self, key: &str, value: &str) -> Result<(), CommitError> {
        self.commit(&[private(Topic::Checkpoints, key, value)])
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
        let round = self.whole.as_ref().map_or(0, Whole::round);
        let topics = Arc::clone(&self.topics);
        Plan { topics, levels: config.levels, headers: config.headers, round }
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
        let begun = Instant::now();
        loop {
            match self.tenure.later(&self.options, self.shard, Isolation::Committed) {
                Ok(Some(later)) => return CommitError::Fenced(taken_over(self.shard, &later)),
                Ok(None) if begun.elapsed() < INTRODUCTION => {}
                Ok(None) => {
                    let ids = transactional_id(&self.options, self.shard, "*");
                    warn!(
                        ids,
                        "a transaction outlived its time limit, or something else uses the \
                         transactional ids; the shard is taken again"
                    );
                    return CommitError::Unknown(error);
                }
                // Whoever cannot read who has the shard must not take it from them.
                Err(unread) if *unread.fault() == Fault::Transient && begun.elapsed() < UNREAD => {}
                Err(unread) => return CommitError::Unknown(unread),
            }
            super::nap(Duration::from_millis(100));
        }
    }
}

/// What is recorded of the topics.
pub(super) fn topics_record<'r>(whole: &Whole) -> Record<'r> {
    private(Topic::Checkpoints, &format!("{PREFIX}{TOPICS}"), &whole.encode())
}

fn private<'r>(topic: Topic, key: &str, value: &str) -> Record<'r> {
    let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    Record::private(topic, key.into(), Some(value.into()))
}

fn owner_key(name: &str, shard: Shard) -> String {
    format!("{PREFIX}{OWNER}{name}/{}", shard.0)
}

/// Takes in a record that is not a source's, from this place in a topic; `key` is what stands
/// behind [`PREFIX`].
pub(super) fn apply(
    contents: &mut Contents,
    (topic, place): (&str, i64),
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
            contents.found.partitions = Some(serde_json::from_str(value).map_err(damaged)?);
        }
        (TOPICS, Some(value)) => {
            contents.found.whole = Some(Whole::decode(value).map_err(damaged)?);
        }
        (MARK, Some(value)) => contents.found.mark = Some(value.to_owned()),
        (key, Some(value)) if key.starts_with(OWNER) => {
            let owner = serde_json::from_str(value).map_err(damaged)?;
            contents.owners.insert(key.to_owned(), (place, owner));
        }
        (key, None) if key.starts_with(OWNER) => drop(contents.owners.remove(key)),
        // What a later version keeps beside these is no concern of this one.
        _ => {}
    }
    Ok(())
}
