use connector_api::Error;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::KafkaOptions;

/// What was under way when something went wrong, and with whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doing<'a> {
    /// As the middle of a sentence: `creating topics`.
    pub(super) what: &'a str,
    pub(super) options: &'a KafkaOptions,
}

/// What an error of the cluster or of the library means for the person who runs the process.
/// `reason` is what the library says of it.
pub(super) fn classify(doing: Doing<'_>, code: Code, reason: &str) -> Error {
    let Doing { what, options } = doing;
    let brokers = &options.config.brokers;
    let reason = in_words(code, reason);
    let told = format!("Kafka at {brokers}: {what}: {reason}");
    let acl = |of: &str| {
        format!("kafka-acls.sh --bootstrap-server {brokers} --add --allow-principal User:NAME {of}")
    };
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed if options.has_been_let_in() => {
            Error::transient(format!("{told} (it was let in before and tries again; {LOGIN})"))
        }
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            Error::operator(told, LOGIN)
        }
        Code::SSL if reason == UNTRUSTED => Error::operator(
            told,
            "set \"ssl.ca.location\" in [sink.properties] to a PEM file with the certificate of \
             the authority that signed the brokers', or with the broker's own where it signed that \
             itself; in sink.brokers write a name that stands in it, or give up checking the name \
             (\"ssl.endpoint.identification.algorithm\" = \"none\")",
        ),
        Code::SSL => Error::operator(
            told,
            "check security.protocol and the ssl.* properties in [sink.properties]; \
             ssl.ca.location names the file of the authority that signed the brokers' certificates",
        ),
        Code::TopicAuthorizationFailed => {
            let prefix = match options.config.topic_prefix.as_str() {
                "" => "'*'".to_owned(),
                prefix => format!("{prefix} --resource-pattern-type prefixed"),
            };
            let of = "--operation Create --operation Describe --operation DescribeConfigs \
                      --operation Read --operation Write --topic";
            Error::operator(told, acl(&format!("{of} {prefix}")))
        }
        Code::TransactionalIdAuthorizationFailed => {
            let ids = format!("{}- --resource-pattern-type prefixed", options.name);
            let of = "--operation Describe --operation Write --transactional-id";
            Error::operator(told, acl(&format!("{of} {ids}")))
        }
        Code::ClusterAuthorizationFailed => {
            Error::operator(told, acl("--operation IdempotentWrite --operation Create --cluster"))
        }
        Code::InvalidTransactionTimeout => Error::operator(
            told,
            "lower \"transaction.timeout.ms\" in [sink.properties], or raise \
             transaction.max.timeout.ms of the brokers",
        ),
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => Error::operator(
            told,
            "raise max.message.bytes of that topic; or set \"message.max.bytes\" in \
             [sink.properties] to what it takes, or allow DescribeConfigs of the topics, so that \
             nothing larger is sent",
        ),
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => Error::transient(format!(
            "{told} (fewer replicas are in sync than the topic's min.insync.replicas wants)"
        )),
        Code::KafkaStorageError => {
            Error::transient(format!("{told} (look at the broker's disk and its log)"))
        }
        _ => Error::transient(told),
    }
}

/// What the library says, in words that say what is wrong where its own do not.
fn in_words(code: Code, reason: &str) -> String {
    match () {
        () if reason.contains("SSL connection closed by peer") => NO_TLS.to_owned(),
        () if reason.contains("certificate verify failed") => UNTRUSTED.to_owned(),
        () if hung_up(code, reason) => HUNG_UP.to_owned(),
        () if reason.contains("Invalid response size") => NO_BROKER.to_owned(),
        () if reason.starts_with("Meta data fetch error")
            && code == Code::BrokerTransportFailure =>
        {
            SILENT.to_owned()
        }
        () => plain(reason),
    }
}

/// What an error that has a code of its own means.
pub(super) fn of_error(doing: Doing<'_>, error: &KafkaError) -> Error {
    let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
    let reason = match error {
        KafkaError::Transaction(error) => error.string(),
        error => error.to_string(),
    };
    classify(doing, code, &reason)
}

/// Whether the library says that a later owner of a transactional id has begun.
pub(super) fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// Whether a record was refused because its topic is not what it was when the shard was taken.
pub(super) fn is_of_topics(code: Code) -> bool {
    matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
        || is_of_size(code)
}

/// Whether a record was refused because it is larger than its topic takes.
pub(super) fn is_of_size(code: Code) -> bool {
    matches!(code, Code::MessageSizeTooLarge | Code::InvalidMessageSize)
}

const LOGIN: &str = "check security.protocol and the sasl.* properties in [sink.properties]";

/// A broker that wants to be talked to in another way says nothing of it.
const HUNG_UP: &str = "whoever is there hangs up; a broker that wants TLS or a login does so when \
                       it is asked without (security.protocol in [sink.properties]), and so does \
                       a program that is no broker";

/// The library does not tell one from the other.
const UNTRUSTED: &str = "the broker's certificate was signed by no authority that is known, or is \
                         for another name than the one it is reached by";
const NO_TLS: &str = "whoever is there hangs up when TLS begins; a broker does so on a port \
                      without TLS (security.protocol in [sink.properties])";
const NO_BROKER: &str = "whoever is there does not answer as a broker does";
const SILENT: &str = "nobody answers";

/// Whether the other side ended a connection. The library names the moment it noticed, which
/// differs from time to time.
fn hung_up(code: Code, reason: &str) -> bool {
    let moments = ["Disconnected", "Send failed: ", "Receive failed: ", "Connection reset"];
    let ended = moments.iter().any(|moment| reason.contains(moment));
    // That all brokers are down and nothing besides is what is told of connections that ended.
    code == Code::AllBrokersDown || (code == Code::BrokerTransportFailure && ended)
}

/// What the library says, without the thread it says it from and without the time it took, which
/// would make the same words new each time.
pub(super) fn plain(reason: &str) -> String {
    let reason = match reason.split_once("]: ") {
        Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
        _ => reason,
    };
    let end = reason.find(" (after ").unwrap_or(reason.len());
    reason[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ends_is_told_alike_whenever_it_is_noticed() {
        for reason in [
            "localhost:9092/bootstrap: Send failed: Broken pipe (after 0ms in state APIVERSION)",
            "localhost:9092/1: Disconnected: verify that security.protocol is right (after 3ms)",
            "localhost:9092/1: Receive failed: Connection reset by peer",
        ] {
            assert!(hung_up(Code::BrokerTransportFailure, reason), "{reason}");
        }
        let refused = "localhost:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused";
        assert!(!hung_up(Code::BrokerTransportFailure, refused));
    }

    #[test]
    fn the_same_failure_is_told_in_the_same_words() {
        let of = |ms| {
            plain(&format!(
                "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to \
                 ipv4#127.0.0.1:1 failed: Connection refused (after {ms}ms in state CONNECT)"
            ))
        };
        assert_eq!(of(0), of(17));
        let wanted =
            "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused";
        assert_eq!(of(3), wanted);
    }
}
