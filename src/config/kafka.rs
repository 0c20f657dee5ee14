use std::path::PathBuf;

use super::Secret;
use super::outside::{FILE, Outside, section_finished};
use super::problem::{Problem, Text};
use super::raw::{Key, Property, Section};

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
    pub const PARTITIONS_DEFAULT: i32 = 12;
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

const DESCRIPTION: &str = "see \
    https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md";

/// Properties that are part of what is promised, and what says the same here.
const OURS: [(&str, &str); 13] = [
    ("bootstrap.servers", "say it with sink.brokers"),
    ("metadata.broker.list", "say it with sink.brokers"),
    ("acks", "remove it: every commit waits for all in-sync replicas"),
    ("request.required.acks", "remove it: every commit waits for all in-sync replicas"),
    ("enable.idempotence", "remove it: it is always on"),
    ("transactional.id", "remove it: the ids come from `name`"),
    ("isolation.level", "remove it: what is stored is read as it was committed"),
    ("group.id", "remove it: it comes from `name`"),
    ("enable.auto.commit", "remove it: checkpoints are stored with the events"),
    ("partitioner", "remove it: all records of an item go to one partition"),
    ("enable.gapless.guarantee", "remove it: transactions and delivery reports guarantee more"),
    ("max.in.flight", "remove it: it is 5, the most that keeps the order"),
    ("max.in.flight.requests.per.connection", "remove it: it is 5, the most that keeps the order"),
];

pub(super) fn read(section: &Section<'_>, outside: &Outside<'_>) -> Option<KafkaConfig> {
    let brokers =
        section.required_text(&BROKERS).and_then(|text| expanded(section, outside, &text));
    let brokers = brokers.and_then(|text| checked_brokers(section, text));
    let deliveries =
        [("exactly_once", Delivery::ExactlyOnce), ("at_least_once", Delivery::AtLeastOnce)];
    let delivery = match section.has(DELIVERY.name) {
        true => section.word(&DELIVERY, &deliveries)?,
        false => Delivery::ExactlyOnce,
    };
    let headers = match section.has(HEADERS.name) {
        true => section
            .word(&HEADERS, &[("none", Headers::None), ("cloudevents", Headers::CloudEvents)])?,
        false => Headers::None,
    };
    let count = |key: &Key, most| section.number(key, 1..=most).and_then(|n| i32::try_from(n).ok());
    let (partitions, replication_factor) =
        (count(&PARTITIONS, 10_000), count(&REPLICATION_FACTOR, 100));
    let prefix = match section.text(&TOPIC_PREFIX) {
        Some(prefix) => checked_prefix(section, prefix)?,
        None => String::new(),
    };
    let levels = section.flag(&LEVELS).unwrap_or(true);
    let oauth_token = section.section(&OAUTH_TOKEN).map(|section| token_file(section, outside));
    let properties = properties(section, outside)?;
    Some(KafkaConfig {
        brokers: brokers?.text,
        delivery,
        levels,
        headers,
        topic_prefix: prefix,
        partitions,
        replication_factor,
        oauth_token: oauth_token.flatten(),
        properties,
    })
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
    let is_broker = |broker: &str| {
        let port = broker.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let plain = !broker.contains("://") && !broker.contains('@');
        plain && port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if text.text.split(',').all(is_broker) {
        return Some(text);
    }
    section.report(text.problem(BROKERS.wanted, BROKERS.example));
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
    let file = section.required_text(&FILE);
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
    for Property { name, place, value, secret } in section.properties(outside) {
        let ours = OURS.iter().find(|(ours, _)| *ours == name);
        let problem = match (ours, value) {
            (Some((_, fix)), _) => {
                Some(Problem::at(&place, format!("`{name}`"), "a property that is not ours", *fix))
            }
            // It has been reported where it was read.
            (None, None) => {
                right = false;
                None
            }
            (None, Some(value)) => {
                let said = (outside.loader().check_property)(&name, value.expose());
                checked.push((name.clone(), value));
                // What the library says may repeat the value.
                let found =
                    |what: String| if secret { "a value it refuses".to_owned() } else { what };
                let wanted = "a property of librdkafka with a value it takes";
                said.err().map(|what| Problem::at(&place, found(what), wanted, DESCRIPTION))
            }
        };
        if let Some(problem) = problem {
            section.report(problem);
            right = false;
        }
    }
    right.then_some(checked)
}
