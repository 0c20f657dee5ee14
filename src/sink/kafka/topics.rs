use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use connector_api::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use tracing::{info, warn};

use super::KafkaOptions;
use super::client::{self, PATIENCE, Told, ask};
use super::fault::{self, Doing};
use super::stored;
use crate::config::KafkaConfig;

/// What is published, and what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Events,
    Levels,
    Control,
    DeadLetters,
    Checkpoints,
    Rows,
}

impl Topic {
    pub(super) const ALL: [Topic; 6] = [
        Topic::Events,
        Topic::Levels,
        Topic::Control,
        Topic::DeadLetters,
        Topic::Checkpoints,
        Topic::Rows,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Topic::Events => "stock.events.v1",
            Topic::Levels => "stock.levels.v1",
            Topic::Control => "stock.control.v1",
            Topic::DeadLetters => "stock.dlq.v1",
            Topic::Checkpoints => "tailstock.checkpoints",
            Topic::Rows => "tailstock.rows",
        }
    }

    /// Settings of the topic where it is created. What is read back as a whole at every takeover
    /// has small segments, because the newest one is never compacted.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Topic::Events | Topic::Control | Topic::DeadLetters => &[("cleanup.policy", "delete")],
            Topic::Levels => &[("cleanup.policy", "compact")],
            Topic::Checkpoints | Topic::Rows => &[
                ("cleanup.policy", "compact"),
                ("segment.bytes", "16777216"),
                ("min.cleanable.dirty.ratio", "0.1"),
            ],
        }
    }

    /// What the topic's cleanup must not be, and what comes of it.
    fn forbidden_cleanup(self) -> (&'static str, &'static str) {
        match self {
            Topic::Events | Topic::Control | Topic::DeadLetters => {
                ("compact", "all but the last record of a key would be removed")
            }
            Topic::Levels => ("delete", "levels that have not changed for long would be removed"),
            Topic::Checkpoints | Topic::Rows => {
                ("delete", "what a seller goes on from would be removed")
            }
        }
    }

    fn partitions_wanted(self, config: &KafkaConfig) -> i32 {
        match self {
            Topic::Events | Topic::Levels => {
                config.partitions.unwrap_or(KafkaConfig::PARTITIONS_DEFAULT)
            }
            // Few records, whose order among each other helps who reads them.
            Topic::Control | Topic::DeadLetters => 1,
            // One for each shard.
            Topic::Checkpoints | Topic::Rows => 1,
        }
    }
}

/// The topics of an installation as they are on the cluster.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    names: [String; 6],
    partitions: [i32; 6],
    /// Bytes that a record's key, value and headers may have together.
    pub(super) record_bytes: usize,
    /// The greatest request the topics take, bytes.
    pub(super) request_bytes: usize,
}

/// Of a topic's limit, what a batch of one record needs besides key, value and headers.
const BATCH_OVERHEAD: usize = 512;
/// What a topic takes unless it is set otherwise, bytes.
const MESSAGE_BYTES_DEFAULT: usize = 1_048_588;

impl Topics {
    /// Topics of one partition.
    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        let names = Topic::ALL.map(|topic| topic.name().to_owned());
        Self { names, partitions: [1; 6], record_bytes: 1000, request_bytes: 1000 }
    }

    pub(super) fn name(&self, topic: Topic) -> &str {
        &self.names[topic as usize]
    }

    pub(super) fn partitions(&self, topic: Topic) -> i32 {
        self.partitions[topic as usize]
    }

    /// Partition counts by topic, as they are recorded.
    pub(super) fn counts(&self) -> BTreeMap<String, i32> {
        let count = |topic: Topic| (self.name(topic).to_owned(), self.partitions(topic));
        let written = Topic::ALL.into_iter().filter(|topic| self.partitions(*topic) > 0);
        written.map(count).collect()
    }
}

/// The topics this installation writes to.
fn used(options: &KafkaOptions) -> impl Iterator<Item = Topic> {
    let levels = options.config.levels;
    Topic::ALL.into_iter().filter(move |topic| levels || *topic != Topic::Levels)
}

fn names(options: &KafkaOptions) -> [String; 6] {
    Topic::ALL.map(|topic| options.topic(topic))
}

/// Whether nothing of this installation is on the cluster yet.
pub(super) fn are_missing(options: &KafkaOptions, consumer: &BaseConsumer<Told>) -> Result<bool> {
    let counts = counts(options, consumer, &options.topic(Topic::Checkpoints))?;
    Ok(counts.0.is_none())
}

/// Looks at the topics, creates those that are missing, and refuses what would lose something.
pub(super) fn prepare(options: &KafkaOptions, consumer: &BaseConsumer<Told>) -> Result<Topics> {
    let names = names(options);
    let mut missing = Vec::new();
    let mut brokers = 1;
    let mut partitions = [0; 6];
    for topic in used(options) {
        let (count, nodes) = counts(options, consumer, &names[topic as usize])?;
        brokers = nodes;
        match count {
            Some(count) => partitions[topic as usize] = count,
            None => missing.push(topic),
        }
    }
    let admin: AdminClient<Told> = client::config(options, &[])
        .create_with_context(Told::new(options))
        .map_err(|error| client::not_created(&error))?;
    let admin = Admin { options, admin, names: &names };
    if !missing.is_empty() && !missing.contains(&Topic::Checkpoints) {
        let recorded = stored::read(options, &[Topic::Checkpoints])?.found.partitions;
        admin.refuse_deleted(&missing, &recorded.unwrap_or_default(), brokers)?;
    }
    admin.create(&missing, brokers)?;
    for topic in missing {
        partitions[topic as usize] = topic.partitions_wanted(&options.config);
        await_topic(options, consumer, &names[topic as usize])?;
    }
    check_partitions(options, &names, partitions)?;
    let request_bytes = admin.check_settings()?.min(own_limit(options));
    let record_bytes = request_bytes.saturating_sub(BATCH_OVERHEAD);
    Ok(Topics { names, partitions, record_bytes, request_bytes })
}

/// The greatest request that sink.properties allow, bytes.
fn own_limit(options: &KafkaOptions) -> usize {
    let set = options.config.properties.iter().filter(|(name, _)| name == "message.max.bytes");
    let bytes = set.filter_map(|(_, value)| value.expose().parse().ok()).next_back();
    bytes.unwrap_or(usize::MAX)
}

/// The number of a topic's partitions, `None` where there is no such topic, and of brokers.
fn counts(
    options: &KafkaOptions,
    consumer: &BaseConsumer<Told>,
    name: &str,
) -> Result<(Option<i32>, usize)> {
    let doing = Doing { what: "asking for its topics", options };
    let metadata = ask(consumer, doing, |wait| consumer.fetch_metadata(Some(name), wait))?;
    let brokers = metadata.brokers().len();
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok((None, brokers));
    };
    match topic.error().map(Code::from) {
        None | Some(Code::NoError | Code::LeaderNotAvailable) => {
            let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
            Ok(((count > 0).then_some(count), brokers))
        }
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Ok((None, brokers)),
        Some(code) => {
            let what = format!("asking for topic {name}");
            Err(fault::classify(Doing { what: &what, options }, code, &code.to_string()))
        }
    }
}

/// Waits until a new topic can be written: its partitions get leaders one after the other.
fn await_topic(options: &KafkaOptions, consumer: &BaseConsumer<Told>, name: &str) -> Result<()> {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let doing = Doing { what: "asking for a new topic", options };
        let metadata = ask(consumer, doing, |wait| consumer.fetch_metadata(Some(name), wait))?;
        let led = metadata.topics().iter().any(|topic| {
            let partitions = topic.partitions();
            !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0)
        });
        if led {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = format!("the new topic {name} has partitions without a leader");
            return Err(fault::classify(doing, Code::LeaderNotAvailable, &what));
        }
        super::nap(Duration::from_millis(20));
    }
}

/// Refuses partition counts that would not be what they were meant to be.
fn check_partitions(options: &KafkaOptions, names: &[String; 6], counts: [i32; 6]) -> Result<()> {
    let mut errors = Vec::new();
    for topic in used(options) {
        let (name, count) = (&names[topic as usize], counts[topic as usize]);
        let wanted = match topic {
            Topic::Events | Topic::Levels => options.config.partitions,
            Topic::Checkpoints | Topic::Rows => Some(1),
            Topic::Control | Topic::DeadLetters => None,
        };
        let Some(wanted) = wanted.filter(|wanted| *wanted != count) else { continue };
        let fix = match topic {
            Topic::Checkpoints | Topic::Rows => {
                "set sink.topic_prefix, so that tailstock creates topics of its own".to_owned()
            }
            _ => format!("set sink.partitions = {count}, or sink.topic_prefix for other topics"),
        };
        let what = format!("topic {name} has {count} partitions, wanted: {wanted}");
        errors.push(Error::operator(what, fix));
    }
    Error::all(errors).map_or(Ok(()), Err)
}

struct Admin<'a> {
    options: &'a KafkaOptions,
    admin: AdminClient<Told>,
    names: &'a [String; 6],
}

impl Admin<'_> {
    /// A topic as we would create it.
    fn new_topic(&self, topic: Topic, partitions: i32, brokers: usize) -> NewTopic<'_> {
        let brokers = i32::try_from(brokers).unwrap_or(i32::MAX).max(1);
        let copies = self.options.config.replication_factor.unwrap_or(brokers.min(3));
        let name = &self.names[topic as usize];
        let mut new = NewTopic::new(name, partitions, TopicReplication::Fixed(copies));
        for (key, value) in topic.settings() {
            new = new.set(key, value);
        }
        if copies > 2 { new.set("min.insync.replicas", "2") } else { new }
    }

    /// What was there once and has gone is not made again unasked: what it held is lost to whoever
    /// has not read it, and somebody has to know.
    fn refuse_deleted(
        &self,
        missing: &[Topic],
        recorded: &BTreeMap<String, i32>,
        brokers: usize,
    ) -> Result<()> {
        let deleted = |topic: &Topic| {
            let name = &self.names[*topic as usize];
            let new = self.new_topic(*topic, *recorded.get(name)?, brokers);
            let what = match topic {
                Topic::Rows | Topic::Levels => format!(
                    "topic {name} has been deleted; once it is there again, every table is read \
                     anew for what was in it"
                ),
                _ => format!(
                    "topic {name} has been deleted, with what its consumers had not read; \
                     tailstock does not publish it again"
                ),
            };
            Some(Error::operator(what, command(&self.options.config.brokers, &new)))
        };
        Error::all(missing.iter().filter_map(deleted)).map_or(Ok(()), Err)
    }

    /// Whether these questions are asked without a token: the library asks for one through a queue
    /// that its client for questions of this kind does not serve.
    fn cannot_log_in(&self) -> bool {
        self.options.config.oauth_token.is_some()
    }

    /// Creates the topics that are missing; where that is forbidden, says how somebody else does.
    fn create(&self, missing: &[Topic], brokers: usize) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let new = |topic: &Topic| {
            self.new_topic(*topic, topic.partitions_wanted(&self.options.config), brokers)
        };
        let topics: Vec<NewTopic<'_>> = missing.iter().map(new).collect();
        if self.cannot_log_in() {
            let (brokers, names) = (&self.options.config.brokers, names_of(&topics));
            let what = "and the client library creates no topics where it logs in by OAUTHBEARER";
            return Err(Error::operator(
                format!("Kafka at {brokers}: there are no topics {names}, {what}"),
                commands(brokers, &topics),
            ));
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let doing = Doing { what: "creating topics", options: self.options };
        let answers = futures_block_on(self.admin.create_topics(&topics, &options))
            .map_err(|error| fault::of_error(doing, &error))?;
        let mut refused: Vec<(Code, Vec<NewTopic<'_>>)> = Vec::new();
        for (outcome, topic) in answers.into_iter().zip(topics) {
            let code = match outcome {
                Ok(name) => {
                    info!(topic = name, "created");
                    continue;
                }
                Err((_, code)) => code,
            };
            if code == Code::TopicAlreadyExists {
                info!(topic = topic.name, "exists by now");
                continue;
            }
            match refused.iter_mut().find(|(known, _)| *known == code) {
                Some((_, topics)) => topics.push(topic),
                None => refused.push((code, vec![topic])),
            }
        }
        let errors = refused.iter().map(|(code, topics)| self.not_created(*code, topics));
        Error::all(errors).map_or(Ok(()), Err)
    }

    /// Why topics were not created, all of them for the same reason.
    fn not_created(&self, code: Code, topics: &[NewTopic<'_>]) -> Error {
        let what = format!("creating topics {}", names_of(topics));
        let doing = Doing { what: &what, options: self.options };
        let passes =
            matches!(code, Code::RequestTimedOut | Code::NotController | Code::OperationTimedOut);
        if passes {
            return fault::classify(doing, code, &code.to_string());
        }
        let brokers = &self.options.config.brokers;
        let (told, fix) = match code {
            Code::InvalidReplicationFactor => (
                "the cluster has fewer brokers than sink.replication_factor".to_owned(),
                "lower sink.replication_factor, or leave it out".to_owned(),
            ),
            _ => (code.to_string(), commands(brokers, topics)),
        };
        Error::operator(format!("Kafka at {brokers}: {what}: {told}"), fix)
    }

    /// Refuses settings under which something would be lost, warns of others, and returns the
    /// greatest request that every topic takes, bytes.
    fn check_settings(&self) -> Result<usize> {
        if self.cannot_log_in() {
            warn!("the settings of the topics are not checked where OAUTHBEARER is the login");
            return Ok(MESSAGE_BYTES_DEFAULT);
        }
        let specifier = |topic: Topic| ResourceSpecifier::Topic(&self.names[topic as usize]);
        let topics: Vec<ResourceSpecifier<'_>> = used(self.options).map(specifier).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let answers = match futures_block_on(self.admin.describe_configs(&topics, &options)) {
            Ok(answers) => answers,
            Err(error) => {
                warn!(%error, "the settings of the topics cannot be checked");
                return Ok(MESSAGE_BYTES_DEFAULT);
            }
        };
        let (mut errors, mut at_risk, mut limit) = (Vec::new(), Vec::new(), usize::MAX);
        for (topic, described) in used(self.options).zip(answers) {
            let name = &self.names[topic as usize];
            let described = match described {
                Ok(described) => described,
                Err(error) => {
                    warn!(topic = name, %error, "its settings cannot be checked");
                    limit = limit.min(MESSAGE_BYTES_DEFAULT);
                    continue;
                }
            };
            let value = |key: &str| described.get(key).and_then(|entry| entry.value.clone());
            let bytes = value("max.message.bytes").and_then(|bytes| bytes.parse().ok());
            limit = limit.min(bytes.unwrap_or(MESSAGE_BYTES_DEFAULT));
            let copies = value("min.insync.replicas").and_then(|copies| copies.parse::<u32>().ok());
            if copies.is_some_and(|copies| copies < 2) {
                at_risk.push(name.as_str());
            }
            let (forbidden, consequence) = topic.forbidden_cleanup();
            let cleanup = value("cleanup.policy").unwrap_or_default();
            if cleanup.split(',').any(|policy| policy.trim() == forbidden) {
                errors.push(self.wrong_cleanup(topic, &cleanup, consequence));
            }
        }
        if !at_risk.is_empty() {
            let topics = at_risk.join(", ");
            warn!(
                topics,
                fix = "replication factor 3 and min.insync.replicas = 2",
                "a commit may be on one broker only, and is lost with its disk"
            );
        }
        Error::all(errors).map_or(Ok(limit), Err)
    }

    fn wrong_cleanup(&self, topic: Topic, cleanup: &str, consequence: &str) -> Error {
        let name = &self.names[topic as usize];
        let wanted = topic.settings()[0].1;
        let brokers = &self.options.config.brokers;
        Error::operator(
            format!("topic {name} has cleanup.policy = {cleanup}, wanted: {wanted}; {consequence}"),
            format!(
                "kafka-configs.sh --bootstrap-server {brokers} --alter --entity-type topics \
                 --entity-name {name} --add-config cleanup.policy={wanted}"
            ),
        )
    }
}

fn names_of(topics: &[NewTopic<'_>]) -> String {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
    names.join(", ")
}

fn commands(brokers: &str, topics: &[NewTopic<'_>]) -> String {
    let commands: Vec<String> = topics.iter().map(|topic| command(brokers, topic)).collect();
    commands.join("\n")
}

/// The command that creates a topic as we would.
fn command(brokers: &str, topic: &NewTopic<'_>) -> String {
    let copies = match topic.replication {
        TopicReplication::Fixed(copies) => copies,
        TopicReplication::Variable(_) => 1,
    };
    let mut command = format!(
        "kafka-topics.sh --bootstrap-server {brokers} --create --topic {} --partitions {} \
         --replication-factor {copies}",
        topic.name, topic.num_partitions
    );
    for (key, value) in &topic.config {
        command += &format!(" --config {key}={value}");
    }
    command
}

/// Waits for what the library's own threads finish.
fn futures_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}
