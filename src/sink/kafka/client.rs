use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use connector_api::{Error, Result};
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{NoCustomPartitioner, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::KafkaOptions;
use super::fault::{self, Doing};
use super::statistics::Statistics;
use super::token;

/// What a client of the library is told besides the answers to its calls.
#[derive(Debug)]
pub(super) struct Told {
    /// The last error that is not a consequence of another.
    error: Mutex<Option<(Code, String)>>,
    failure: Mutex<Option<Failure>>,
    acknowledged: AtomicUsize,
    statistics: Statistics,
    token: Option<std::path::PathBuf>,
    /// Why the token that is due cannot be had. The library tells of it once; what follows from it,
    /// and would hide it, it tells again and again.
    no_token: Mutex<Option<String>>,
}

/// A record that was not written.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) topic: String,
}

impl Told {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Self {
            error: Mutex::default(),
            failure: Mutex::default(),
            acknowledged: AtomicUsize::new(0),
            statistics: Statistics::new(options.metrics.clone()),
            token: options.config.oauth_token.clone(),
            no_token: Mutex::default(),
        }
    }

    /// The last error, or what it follows from.
    pub(super) fn error(&self) -> Option<(Code, String)> {
        self.no_token().or_else(|| self.error.lock().expect("no holder panics").clone())
    }

    /// Takes the last error. That there is no token is said until there is one.
    pub(super) fn take_error(&self) -> Option<(Code, String)> {
        let last = self.error.lock().expect("no holder panics").take();
        self.no_token().or(last)
    }

    fn no_token(&self) -> Option<(Code, String)> {
        let reason = self.no_token.lock().expect("no holder panics").clone();
        reason.map(|reason| (Code::Authentication, reason))
    }

    /// Forgets the delivery reports of an earlier batch.
    pub(super) fn expect_reports(&self) {
        self.acknowledged.store(0, Ordering::Relaxed);
        *self.failure.lock().expect("no holder panics") = None;
    }

    /// A record for this topic was given up, or not even taken.
    pub(super) fn not_written(&self, code: Code, topic: &str) {
        let mut failure = self.failure.lock().expect("no holder panics");
        if failure.as_ref().is_none_or(|known| is_purged(known.code) && !is_purged(code)) {
            *failure = Some(Failure { code, topic: topic.to_owned() });
        }
    }

    /// Records acknowledged since [`Told::expect_reports`].
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The first record that was not written, with the reason rather than what followed from it.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().expect("no holder panics").clone()
    }
}

/// Whether a record was given up because of something else.
pub(super) fn is_purged(code: Code) -> bool {
    matches!(code, Code::PurgeQueue | Code::PurgeInflight)
}

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as Level;
        // What the library complains of it mends by itself, or hands out as the answer to a call,
        // where it is told with its consequence.
        match level {
            Level::Emerg | Level::Alert | Level::Critical => {
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            Level::Error | Level::Warning | Level::Notice | Level::Info | Level::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.statistics.take(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        // A reader has the name of a group because the library wants one; it looks for the group's
        // coordinator, and nothing hangs on whether it may.
        if code == Code::GroupAuthorizationFailed {
            return;
        }
        let mut last = self.error.lock().expect("no holder panics");
        // That all brokers are down follows from why each of them is.
        if code != Code::AllBrokersDown || last.is_none() {
            *last = Some((code, reason.to_owned()));
        }
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> std::result::Result<OAuthToken, Box<dyn std::error::Error>> {
        let token = token::read(self.token.as_deref());
        *self.no_token.lock().expect("no holder panics") = token.as_ref().err().cloned();
        token.map_err(Into::into)
    }
}

impl rdkafka::consumer::ConsumerContext for Told {}

impl ProducerContext<NoCustomPartitioner> for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        let Err((error, record)) = report else {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.not_written(error.rdkafka_error_code().unwrap_or(Code::Fail), record.topic());
    }
}

/// What every client of this sink is configured with; `defaults` give way to what the user says.
pub(super) fn config(options: &KafkaOptions, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.config.brokers)
        .set("client.id", &options.name)
        // A broker that comes back is found at once; the library's defaults are made for thousands
        // of clients of one that is overloaded.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "500")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        // Of debugging it tells only what the property `debug` asks for.
        .set_log_level(RDKafkaLogLevel::Debug);
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    for (name, value) in &options.config.properties {
        config.set(name, value.expose());
    }
    // Where brokers make topics that are asked for, one that was deleted would be back, empty,
    // before anybody knows.
    config.set("allow.auto.create.topics", "false");
    config
}

/// What the library says of one property, for a check without a cluster.
pub fn check_property(name: &str, value: &str) -> std::result::Result<(), String> {
    let config = match ClientConfig::new().set(name, value).create_native_config() {
        Err(KafkaError::ClientConfig(_, what, ..)) => return Err(what),
        Err(error) => return Err(error.to_string()),
        Ok(config) => config,
    };
    // It keeps the last 32 bits of a greater number, and says nothing.
    let number = |text: &str| text.trim().parse::<i128>().ok();
    let kept = config.get(name).ok().and_then(|kept| number(&kept));
    match number(value).zip(kept) {
        Some((given, kept)) if given != kept => Err("the number is too great".to_owned()),
        _ => Ok(()),
    }
}

/// A client that could not be made: what contradicts what in its configuration.
pub(super) fn not_created(error: &KafkaError) -> Error {
    let what = match error {
        KafkaError::ClientCreation(what) => what.clone(),
        KafkaError::ClientConfig(_, what, ..) => what.clone(),
        other => other.to_string(),
    };
    Error::operator(
        format!("librdkafka cannot work with sink.properties: {what}"),
        "mend that property; see \
         https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md",
    )
}

/// How the cluster answers a question that is asked while `doing` something, or why it does not.
pub(super) fn answer<T>(
    told: &Told,
    doing: Doing<'_>,
    ask: impl FnOnce() -> KafkaResult<T>,
) -> Result<T> {
    ask().map_err(|error| match told.take_error().filter(|_| is_silence(&error)) {
        Some((code, reason)) => fault::classify(doing, code, &reason),
        None => fault::of_error(doing, &error),
    })
}

/// The answer to a question that is asked, with the time it has, again and again: why a broker is
/// not reached, and that it wants a token, is told only between questions.
pub(super) fn ask<T>(
    consumer: &BaseConsumer<Told>,
    doing: Doing<'_>,
    mut question: impl FnMut(Duration) -> KafkaResult<T>,
) -> Result<T> {
    let told = consumer.client().context();
    let begun = Instant::now();
    let mut wait = FIRST_WAIT;
    if told.token.is_some() {
        serve(consumer);
    }
    loop {
        let outcome = question(wait);
        let silent = outcome.as_ref().is_err_and(is_silence);
        if silent {
            serve(consumer);
        }
        let left = ANSWERED.saturating_sub(begun.elapsed());
        let final_word = told.error().is_some_and(|(code, reason)| {
            let is_for_a_person = fault::classify(doing, code, &reason).fix().is_some();
            is_for_a_person || begun.elapsed() > EXPLAINED
        });
        if !silent || final_word || left.is_zero() {
            return answer(told, doing, || outcome);
        }
        wait = (2 * wait).min(left);
    }
}

/// Serves what the library has to tell. Without a wait one line of its log would be all. No
/// partition is assigned, so that this takes no record.
fn serve(consumer: &BaseConsumer<Told>) {
    while consumer.poll(Duration::from_millis(5)).is_some() {}
}

/// Whether a question was not answered in time, which says less than why the broker was not
/// reached.
fn is_silence(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code().unwrap_or(Code::Fail),
        Code::BrokerTransportFailure | Code::OperationTimedOut | Code::AllBrokersDown
    )
}

/// How long a cluster may take to answer a question that costs it nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a question is asked again and again. Shorter, because whoever gets no answer asks all
/// over again, and because nothing is told and nobody can end us meanwhile.
const ANSWERED: Duration = Duration::from_secs(6);
/// How long it may take where it is known why a broker is not reached: another one may answer.
const EXPLAINED: Duration = Duration::from_secs(2);
/// How long the first question waits; most are answered within milliseconds. A client that has just
/// heard of the brokers lets go of the one it was told of, and a question that meets this is not
/// answered at all.
const FIRST_WAIT: Duration = Duration::from_millis(50);
