use std::path::{Path, PathBuf};

use super::Secret;
use super::outside::{FILE, Outside, section_finished};
use super::problem::{Problem, Text};
use super::raw::{Key, Property, Section, nearest};

/// An Apache Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port,host:port`: where the cluster is first looked for.
    pub brokers: String,
    /// How often a consumer may see an event.
    pub delivery: Delivery,
    /// Whether the last level of every key is published too.
    pub levels: bool,
    /// What records carry beside key and value.
    pub headers: Headers,
    /// Begins the name of every topic.
    pub topic_prefix: String,
    /// Partitions of the topics of events and levels; `None` is what the topics have, or
    /// [`KafkaConfig::PARTITIONS_DEFAULT`] where they are to be created.
    pub partitions: Option<i32>,
    /// Copies of a topic that is created; `None` is 3, or all brokers where there are fewer.
    pub replication_factor: Option<i32>,
    /// A file with the bearer token of SASL OAUTHBEARER, read anew whenever a token is due.
    pub oauth_token: Option<PathBuf>,
    /// Properties of librdkafka. Any of them may be a secret.
    pub properties: Vec<(String, Secret)>,
}

impl KafkaConfig {
    /// Partitions of a topic that is created, unless something else is asked for.
    pub const PARTITIONS_DEFAULT: i32 = 1;
}

/// How often a consumer may see an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Once, for every consumer that reads only what is committed.
    ExactlyOnce,
    /// At least once, sooner; repetitions have equal ids and bytes.
    AtLeastOnce,
}

/// What records carry beside key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// Nothing.
    None,
    /// The attributes of CloudEvents 1.0 in binary mode.
    CloudEvents,
}

const BROKERS: Key = Key {
    name: "brokers",
    wanted: "the brokers first asked, host:port, with commas between",
    example: "brokers = \"kafka-1.example:9092,kafka-2.example:9092\"",
};
const DELIVERY: Key = Key {
    name: "delivery",
    wanted: "\"exactly_once\" or \"at_least_once\"",
    example: "delivery = \"exactly_once\"",
};
const LEVELS: Key = Key { name: "levels", wanted: "true or false", example: "levels = true" };
const HEADERS: Key =
    Key { name: "headers", wanted: "\"none\" or \"cloudevents\"", example: "headers = \"none\"" };
const TOPIC_PREFIX: Key = Key {
    name: "topic_prefix",
    wanted: "at most 200 of the characters a-z, A-Z, 0-9, ., _ and -",
    example: "topic_prefix = \"staging.\"",
};
const PARTITIONS: Key = Key {
    name: "partitions",
    wanted: "whole partitions from 1 to 10000",
    example: "partitions = 12",
};
const REPLICATION_FACTOR: Key = Key {
    name: "replication_factor",
    wanted: "whole copies from 1 to 100",
    example: "replication_factor = 3",
};
const OAUTH_TOKEN: Key = Key {
    name: "oauth_token",
    wanted: "{ file = ... }: the file holds the token and is read again before it expires",
    example: "oauth_token = { file = \"/run/secrets/kafka-token\" }",
};
const PROPERTIES: Key = Key {
    name: "properties",
    wanted: "a section of librdkafka's properties",
    example: "[sink.properties] with \"security.protocol\" = \"SASL_SSL\" below it",
};

/// Properties that are part of what is promised, and what says the same here.
const OURS: [(&str, &str); 16] = [
    ("bootstrap.servers", "say it with sink.brokers"),
    ("metadata.broker.list", "say it with sink.brokers"),
    ("acks", "remove it: every commit waits for all in-sync replicas"),
    ("request.required.acks", "remove it: every commit waits for all in-sync replicas"),
    ("enable.idempotence", "remove it: it is always on"),
    ("transactional.id", "remove it: the ids come from `name`"),
    ("isolation.level", "remove it: what is stored is read as it was committed"),
    ("group.id", "remove it: it comes from `name`"),
    ("enable.auto.commit", "remove it: checkpoints are stored with the events"),
    ("auto.offset.reset", "remove it: what is stored is read from its first record on"),
    ("delivery.report.only.error", "remove it: what counts is the report of every record"),
    ("partitioner", "remove it: all records of an item go to one partition"),
    ("allow.auto.create.topics", "remove it: a topic that was deleted is not to come back empty"),
    ("enable.gapless.guarantee", "remove it: transactions and delivery reports guarantee more"),
    ("max.in.flight", "remove it: it is 5, the most that keeps the order"),
    ("max.in.flight.requests.per.connection", "remove it: it is 5, the most that keeps the order"),
];

/// Properties that hold a secret.
const SECRETS: [&str; 5] = [
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Properties that name a file.
const FILES: [&str; 5] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// What most clusters want said; a mistyped property is likely to be one of them.
const USUAL: [&str; 22] = [
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "compression.type",
    "compression.level",
    "client.rack",
    "linger.ms",
    "batch.size",
    "message.max.bytes",
    "message.timeout.ms",
    "transaction.timeout.ms",
    "socket.timeout.ms",
    "broker.address.family",
];

/// How the library begins what it says of a property it does not have.
const UNKNOWN: &str = "No such configuration property";

pub(super) fn read(section: &Section<'_>, outside: &Outside<'_>) -> Option<KafkaConfig> {
    let brokers =
        section.required_text(&BROKERS).and_then(|text| expanded(section, outside, &text));
    let brokers = brokers.and_then(|text| checked_brokers(section, text));
    let deliveries =
        [("exactly_once", Delivery::ExactlyOnce), ("at_least_once", Delivery::AtLeastOnce)];
    // Every key is looked at, whatever is wrong with another one: a key that nobody asked for would
    // be called unknown.
    let delivery = word_or(section, &DELIVERY, &deliveries, Delivery::ExactlyOnce);
    let headers = [("none", Headers::None), ("cloudevents", Headers::CloudEvents)];
    let headers = word_or(section, &HEADERS, &headers, Headers::None);
    let count = |key: &Key, most| section.number(key, 1..=most).and_then(|n| i32::try_from(n).ok());
    let (partitions, replication_factor) =
        (count(&PARTITIONS, 10_000), count(&REPLICATION_FACTOR, 100));
    let prefix = match section.text(&TOPIC_PREFIX) {
        Some(prefix) => checked_prefix(section, prefix),
        None => Some(String::new()),
    };
    let levels = section.flag(&LEVELS).unwrap_or(true);
    let oauth_token = section.section(&OAUTH_TOKEN).map(|section| token_file(section, outside));
    let properties = properties(section, outside);
    Some(KafkaConfig {
        brokers: brokers?.text,
        delivery: delivery?,
        levels,
        headers: headers?,
        topic_prefix: prefix?,
        partitions,
        replication_factor,
        oauth_token: oauth_token.flatten(),
        properties: properties?,
    })
}

/// One of a closed set of words, or what stands for no word.
fn word_or<T: Copy>(
    section: &Section<'_>,
    key: &Key,
    words: &[(&str, T)],
    without: T,
) -> Option<T> {
    let word = section.word(key, words);
    if section.has(key.name) { word } else { Some(without) }
}

fn expanded(section: &Section<'_>, outside: &Outside<'_>, text: &Text) -> Option<Text> {
    match outside.expand(text) {
        Ok(expanded) => Some(Text { text: expanded, place: text.place.clone() }),
        Err(problem) => {
            section.report(problem);
            None
        }
    }
}

fn checked_brokers(section: &Section<'_>, text: Text) -> Option<Text> {
    let wrong = |broker: &&str| {
        let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let plain = !broker.contains("://") && !broker.contains('@');
        !plain || port.is_none_or(|(_, port)| !port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    let Some(broker) = text.text.split(',').map(str::trim).find(wrong) else { return Some(text) };
    let properties = "in [sink.properties]";
    let (found, fix) = if broker.contains('@') {
        // What stands before it may be a password.
        ("a name before an `@`".to_owned(), format!("say who is asking with sasl.* {properties}"))
    } else if let Some((_, host)) = broker.split_once("://") {
        let fix = format!("write {host:?}; encryption is \"security.protocol\" {properties}");
        (format!("{broker:?}"), fix)
    } else if !broker.is_empty() && !broker.contains(':') {
        (format!("{broker:?} without a port"), format!("write \"{broker}:9092\", if it is 9092"))
    } else {
        (format!("{broker:?}"), BROKERS.example.to_owned())
    };
    section.report(Problem::at(&text.place, found, BROKERS.wanted, fix));
    None
}

fn checked_prefix(section: &Section<'_>, prefix: Text) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if prefix.text.len() <= 200 && prefix.text.bytes().all(legal) {
        return Some(prefix.text);
    }
    section.report(prefix.problem(TOPIC_PREFIX.wanted, TOPIC_PREFIX.example));
    None
}

/// The file of a token; its content is read when it is needed, because it changes.
fn token_file(section: Section<'_>, outside: &Outside<'_>) -> Option<PathBuf> {
    if !section.has(FILE.name) {
        let (place, wanted) = (section.own_place(), OAUTH_TOKEN.wanted);
        section.report(Problem::at(&place, "no `file`", wanted, OAUTH_TOKEN.example));
        return None;
    }
    let file = section.filled_text(&FILE);
    let path = file.map(|file| outside.expand(&file).map(|path| outside.path(&path)));
    match path {
        Some(path) => section_finished(section, path),
        None => {
            section.finish();
            None
        }
    }
}

/// Every property, or nothing when one of them has been reported.
fn properties(section: &Section<'_>, outside: &Outside<'_>) -> Option<Vec<(String, Secret)>> {
    let Some(section) = section.section(&PROPERTIES) else { return Some(Vec::new()) };
    let mut checked = Vec::new();
    let mut right = true;
    for mut property in section.properties(outside) {
        if is_file(&property) {
            property.value =
                property.value.map(|value| Secret::new(outside.path_text(value.expose())));
        }
        if let Err(problem) = check(&property, outside) {
            section.report(problem);
            right = false;
        }
        match property.value {
            Some(value) => checked.push((property.name, value)),
            // It has been reported where it was read.
            None => right = false,
        }
    }
    right.then_some(checked)
}

/// Whether it names a file, and not a word of the library.
fn is_file(Property { name, value, .. }: &Property) -> bool {
    let is_probe = || value.as_ref().is_some_and(|value| value.expose() == "probe");
    FILES.contains(&name.as_str()) && !is_probe()
}

fn check(property: &Property, outside: &Outside<'_>) -> Result<(), Problem> {
    let Property { name, place, value, secret } = property;
    let (name, secret) = (name.as_str(), *secret);
    // The library takes what it knows of topics under this name too.
    let plain = name.strip_prefix("topic.").unwrap_or(name);
    if let Some((_, fix)) = OURS.iter().find(|(ours, _)| *ours == plain) {
        let wanted = "properties that tailstock does not set itself";
        return Err(Problem::at(place, format!("`{name}`"), wanted, *fix));
    }
    let Some(value) = value else { return Ok(()) };
    if SECRETS.contains(&name) && !secret {
        let wanted = "{ file = ... } or { env = ... }: a secret does not stand in this file";
        let fix = format!(
            "put it into a file of its own: \"{name}\" = {{ file = \"/run/secrets/kafka\" }} or \
             {{ env = \"KAFKA_SECRET\" }}"
        );
        return Err(Problem::at(place, "a secret in plain text", wanted, fix));
    }
    // The library says only which of its own libraries has failed.
    if is_file(property) && !secret && !Path::new(value.expose()).exists() {
        let found = format!("{:?}, which does not exist", value.expose());
        let fix = "name the file from the folder of this file, or by its whole path";
        return Err(Problem::at(place, found, "a file that tailstock may read", fix));
    }
    let Err(said) = (outside.loader().check_property)(name, value.expose()) else { return Ok(()) };
    let manual = "https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md";
    if said.starts_with(UNKNOWN) {
        let fix = match nearest(name, USUAL.into_iter().chain(SECRETS)) {
            Some(near) => format!("did you mean \"{near}\"? All of them: {manual}"),
            None => format!("remove it; all of them: {manual}"),
        };
        return Err(Problem::at(place, "an unknown property", "one of librdkafka", fix));
    }
    // What the library says may repeat the value.
    let found = match secret {
        true => "a value that librdkafka refuses".to_owned(),
        false => format!("a value that librdkafka refuses ({})", said.trim()),
    };
    Err(Problem::at(place, found, "a value it takes", format!("see {manual}")))
}
