use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Error, Result};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};

use super::KafkaOptions;
use super::client::{self, Told, is_purged};
use super::fault::{self, Doing};
use super::records::Record;
use super::stored::PARTITION;
use super::topics::{Topic, Topics};

/// A producer of the library, and what its records are written into.
pub(super) struct Outlet {
    options: Arc<KafkaOptions>,
    topics: Arc<Topics>,
    producer: BaseProducer<Told>,
    /// Since when nothing that was written has been acknowledged as a whole.
    unanswered: Cell<Option<Instant>>,
}

/// Why a transaction did not commit.
pub(super) enum Undone {
    /// Nothing of it will be read, and the producer goes on.
    Aborted(Error),
    /// It may be read or not, and the producer can do nothing more.
    Unknown(Error),
    /// A later owner of the id, or the transaction's own time limit, has ended it.
    Fenced(Error),
}

/// How long a transaction may stay open, unless it is set: a broker may be restarted meanwhile.
const TRANSACTION_TIMEOUT_MS: &str = "60000";
/// How long one call may wait; it is repeated until [`GIVING_UP`].
const CALL: Duration = Duration::from_secs(1);
/// How often, and how long each time, a question is asked for the sake of a connection.
const ANSWERS: u32 = 4;
const ANSWER: Duration = Duration::from_millis(50);
/// How long the end of a transaction is asked for. Longer than the cluster keeps it open, so that
/// what is read afterwards is decided.
const GIVING_UP: Duration = Duration::from_secs(90);
/// How long a commit, or the end of its transaction, may take without a word.
const LONG: Duration = Duration::from_secs(3);
/// Between two looks whether records are acknowledged. Short against the milliseconds that takes;
/// four times shorter, looking took a tenth of a core at 5,000 events/s.
const NAP: Duration = Duration::from_micros(200);
/// How many looks also wake the library's threads, which wait in whole milliseconds: p50 is 2.9 ms
/// with them and 3.9 ms without, at 5,000 events/s without transactions.
const WAKE_UPS: u32 = 4;

/// What is waited for, and told of when it takes long: once, and once more for every reason that
/// comes to light only then.
struct Waiting {
    since: Instant,
    told: BTreeSet<String>,
}

impl Waiting {
    fn begin() -> Self {
        Self { since: Instant::now(), told: BTreeSet::new() }
    }

    fn is_long(&self) -> bool {
        self.since.elapsed() > LONG
    }

    fn is_news(&mut self, reason: &str) -> bool {
        let says_something = !reason.is_empty() || self.told.is_empty();
        self.is_long() && says_something && self.told.insert(fault::plain(reason))
    }

    /// Whether to ask once more for the end of a transaction: the cluster ends one only when every
    /// partition of it can be written.
    fn goes_on(&mut self, reason: &str) -> bool {
        if self.is_news(reason) {
            tracing::warn!(reason, "the cluster does not end a transaction; asking until it does");
        }
        self.since.elapsed() < GIVING_UP
    }
}

/// How long a producer may go without an acknowledgement of what is written, however often that
/// was tried. What is written once is given up after a minute, unless it is set otherwise.
const LONGEST: Duration = Duration::from_secs(55);

impl Outlet {
    /// A producer under this transactional id, which ends what an earlier one has begun.
    pub(super) fn transactional(
        options: &Arc<KafkaOptions>,
        topics: &Arc<Topics>,
        id: &str,
    ) -> Result<Self> {
        let defaults = [("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)];
        let outlet = Self::new(options, topics, &defaults, Some(id))?;
        let what = format!("taking the transactional id {id}");
        let doing = Doing { what: &what, options };
        let producer = &outlet.producer;
        // OAUTHBEARER asks for its token through the queue that polling serves.
        outlet.serve();
        // It looks for a broker every 500 ms, unless there is a connection to one. What is wrong
        // with them is said below.
        let topic = topics.name(Topic::Checkpoints);
        let answers = |_| producer.client().fetch_watermarks(topic, PARTITION, ANSWER).is_ok();
        let _ = (0..ANSWERS).any(answers);
        let deadline = Instant::now() + 3 * client::PATIENCE;
        loop {
            let outcome = producer.init_transactions(CALL);
            outlet.serve();
            match outcome {
                Ok(()) => return Ok(outlet),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && Instant::now() < deadline => {}
                Err(error) => {
                    let told = producer.client().context();
                    return client::answer(told, doing, || Err(error));
                }
            }
        }
    }

    /// A producer whose records are read as soon as they are written, each of them once.
    pub(super) fn idempotent(options: &Arc<KafkaOptions>, topics: &Arc<Topics>) -> Result<Self> {
        Self::new(options, topics, &[("message.timeout.ms", TRANSACTION_TIMEOUT_MS)], None)
    }

    fn new(
        options: &Arc<KafkaOptions>,
        topics: &Arc<Topics>,
        defaults: &[(&str, &str)],
        id: Option<&str>,
    ) -> Result<Self> {
        let request_bytes = topics.request_bytes.clamp(1000, 1_000_000_000).to_string();
        let mut all = vec![
            // Without it the first record of a commit goes alone and the rest follows in small
            // requests; once a partition has five of them under way, the library's thread asks
            // without a pause whether it may send, and takes the brokers' core where they share
            // one: at 5,000 events/s p99 was 70 to 400 ms, with it 20 ms.
            ("linger.ms", "0.5"),
            // Events are alike: three times fewer bytes, and drains are a third faster.
            ("compression.type", "lz4"),
            ("statistics.interval.ms", "5000"),
        ];
        all.extend_from_slice(defaults);
        let mut config = client::config(options, &all);
        config.set("enable.idempotence", "true").set("acks", "all");
        // What sink.properties say of it is part of this.
        config.set("message.max.bytes", request_bytes);
        if let Some(id) = id {
            config.set("transactional.id", id);
        }
        let producer = config
            .create_with_context(Told::new(options))
            .map_err(|error| client::not_created(&error))?;
        let (options, topics) = (Arc::clone(options), Arc::clone(topics));
        Ok(Self { options, topics, producer, unanswered: Cell::new(None) })
    }

    /// Serves everything the library has to tell: reports, its log, requests for a token. Without a
    /// wait one poll serves one of them, and calls that end transactions wait until none is left.
    pub(super) fn serve(&self) {
        let deadline = Instant::now() + CALL;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.producer.poll(Duration::ZERO);
        }
    }

    /// All of `records`, or none of them.
    pub(super) fn commit(&self, records: &[Record<'_>]) -> Result<(), Undone> {
        let begun = Instant::now();
        self.producer.begin_transaction().map_err(|error| self.ended("beginning", &error))?;
        if let Err(error) = self.write(records) {
            if self.has_waited_in_vain() {
                return Err(Undone::Unknown(error));
            }
            let stale = self.is_stale();
            return Err(match self.abort(error) {
                // What the topics are has to be looked at again, or this would fail for ever.
                Undone::Aborted(error) if stale => Undone::Unknown(error),
                undone => undone,
            });
        }
        let written = begun.elapsed();
        let mut ending = Waiting::begin();
        loop {
            // Nothing is queued any more, so that this does not wait for the library's flush, which
            // polls in steps of 100 ms.
            let outcome = self.producer.commit_transaction(CALL);
            self.serve();
            match outcome {
                Ok(()) => {
                    let ended = begun.elapsed() - written;
                    tracing::debug!(records = records.len(), ?written, ?ended, "committed");
                    return Ok(());
                }
                Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                    let error = KafkaError::Transaction(error);
                    return Err(self.abort(self.told("committing", &error)));
                }
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && ending.goes_on(&error.string()) => {}
                Err(error) => return Err(self.ended("committing", &error)),
            }
        }
    }

    /// Writes records and waits until every one is acknowledged by all in-sync replicas. Only
    /// delivery reports say so: a flush succeeds although records were dropped.
    pub(super) fn write(&self, records: &[Record<'_>]) -> Result<()> {
        let told = self.producer.client().context();
        told.expect_reports();
        self.unanswered.set(self.unanswered.get().or_else(|| Some(Instant::now())));
        for record in records {
            self.send(record)?;
        }
        // Every record is reported by `message.timeout.ms` at the latest, which for a transaction
        // is its own time limit; and only by polling.
        let mut waiting = Waiting::begin();
        for looks in 0_u32.. {
            self.producer.poll(Duration::ZERO);
            if self.producer.in_flight_count() == 0 {
                break;
            }
            if looks < WAKE_UPS {
                // Only wakes the library's threads; what it answers is not believed.
                let _ = self.producer.flush(Duration::ZERO);
            }
            if waiting.is_long() {
                let reason = told.error().map(|(_, reason)| reason).unwrap_or_default();
                if waiting.is_news(&reason) {
                    let what = "the cluster acknowledges nothing; waiting until it does";
                    tracing::warn!(reason, "{what}");
                }
            }
            super::nap(NAP);
        }
        match told.failure() {
            None if told.acknowledged() == records.len() => {
                // What was complained of is over.
                told.take_error();
                self.unanswered.set(None);
                Ok(())
            }
            None => {
                let (got, sent) = (told.acknowledged(), records.len());
                Err(Error::transient(format!("{got} of {sent} records were acknowledged")))
            }
            Some(failure) => {
                let what = format!("writing to {}", failure.topic);
                let request_bytes = self.topics.request_bytes;
                if fault::is_of_size(failure.code) && self.options.may_be_resized(request_bytes) {
                    let told = format!("{what}: {}; looking what it takes by now", failure.code);
                    return Err(Error::transient(told));
                }
                Err(self.classified(&what, failure.code, &failure.code.to_string()))
            }
        }
    }

    fn send(&self, record: &Record<'_>) -> Result<()> {
        let topic = self.topics.name(record.topic);
        let mut out = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(record.partition)
            .key(record.key.as_ref());
        if let Some(value) = &record.value {
            out = out.payload(value.as_ref());
        }
        if let Some(headers) = &record.headers {
            out = out.headers(headers.clone());
        }
        loop {
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                // The library's queue is bounded; reports make room in it.
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    out = back;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    // That a partition is not there any more is said here where it is known.
                    let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                    self.producer.client().context().not_written(code, topic);
                    return Err(self.told(&format!("writing to {topic}"), &error));
                }
            }
        }
    }

    /// The end of the transaction was never asked for, so that nothing of it can become visible.
    fn abort(&self, why: Error) -> Undone {
        // Why records were purged is known to the transaction alone, which says so when it is asked
        // to commit.
        let purged = self.producer.client().context().failure();
        let why = match purged.filter(|failure| is_purged(failure.code)) {
            None => why,
            Some(_) => match self.producer.commit_transaction(Duration::ZERO) {
                Err(error) => self.told("writing", &error),
                Ok(()) => why,
            },
        };
        if self.is_fenced() {
            return Undone::Fenced(why);
        }
        self.producer.purge(PurgeConfig::default().queue().inflight());
        let mut ending = Waiting::begin();
        loop {
            self.serve();
            match self.producer.abort_transaction(CALL) {
                Ok(()) => return Undone::Aborted(why),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && ending.goes_on(&why.to_string()) => {}
                Err(error) => return self.ended("taking back a transaction", &error),
            }
        }
    }

    /// Nothing more can be done with this producer.
    fn ended(&self, what: &str, error: &KafkaError) -> Undone {
        let fenced = self.is_fenced() || error.rdkafka_error_code().is_some_and(fault::is_fenced);
        let error = self.told(what, error);
        if fenced { Undone::Fenced(error) } else { Undone::Unknown(error) }
    }

    /// Whether a record was refused because its topic is not what it was.
    pub(super) fn is_stale(&self) -> bool {
        let failure = self.producer.client().context().failure();
        failure.is_some_and(|failure| fault::is_of_topics(failure.code))
    }

    /// Whether records were not acknowledged for as long as a transaction may last. The library
    /// may have forgotten every broker where one that came back answered that there is none
    /// (librdkafka issue 5301), and then waits for ever; a producer that is made anew does not.
    pub(super) fn has_waited_in_vain(&self) -> bool {
        let failure = self.producer.client().context().failure();
        let is_unanswered = failure.is_some_and(|it| it.code == Code::MessageTimedOut);
        is_unanswered && self.unanswered.get().is_some_and(|since| since.elapsed() >= LONGEST)
    }

    /// As if it had been tried for as long as it may be.
    #[cfg(test)]
    pub(super) fn wait_longer(&self) {
        self.unanswered.set(Instant::now().checked_sub(LONGEST));
    }

    /// How many partitions the producer takes a topic to have, once it has asked.
    #[cfg(test)]
    pub(super) fn partitions(&self, topic: super::topics::Topic) -> usize {
        let (client, name) = (self.producer.client(), self.topics.name(topic));
        let metadata = client.fetch_metadata(Some(name), CALL).expect("the broker is there");
        metadata.topics()[0].partitions().len()
    }

    /// Whether the library has met an error after which this producer does nothing more.
    pub(super) fn is_finished(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    fn is_fenced(&self) -> bool {
        self.producer.client().fatal_error().is_some_and(|(code, _)| fault::is_fenced(code))
    }

    fn told(&self, what: &str, error: &KafkaError) -> Error {
        fault::of_error(Doing { what, options: &self.options }, error)
    }

    fn classified(&self, what: &str, code: Code, reason: &str) -> Error {
        fault::classify(Doing { what, options: &self.options }, code, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_told_once_and_once_more_for_every_other_reason() {
        let mut waiting = Waiting::begin();
        assert!(!waiting.is_news("hung up (after 1ms)"), "it has not taken long");
        waiting.since = Instant::now().checked_sub(2 * LONG).expect("the machine runs that long");
        let reasons = ["", "", "hung up (after 2ms)", "", "hung up (after 3ms)", "refused", ""];
        let news = reasons.map(|reason| waiting.is_news(reason));
        assert_eq!(news, [true, false, true, false, false, true, false]);
    }
}
