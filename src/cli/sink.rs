//! The wiring: which sink a configuration means. The only place that names one.
#![cfg_attr(
    not(all(feature = "kafka", feature = "sqlite")),
    allow(unused_variables, reason = "of a sink that is not built in")
)]

#[cfg(not(all(feature = "kafka", feature = "sqlite")))]
use super::Exit;
use super::Failure;
#[cfg(feature = "kafka")]
use crate::config::KafkaConfig;
use crate::config::{Config, SinkConfig};
#[cfg(feature = "kafka")]
use crate::sink::Shard;
#[cfg(feature = "kafka")]
use crate::sink::kafka::{self, Kafka, KafkaOptions};
#[cfg(feature = "sqlite")]
use crate::sink::sqlite::{self, Sqlite, SqliteOptions};
use crate::sink::{Discard, Sink};
use crate::stock::{SellerId, SourceName};
use crate::telemetry::StatusBoard;

/// The sink, which asks nobody before its shard is taken.
pub(super) fn open(config: &Config, board: &StatusBoard) -> Result<Box<dyn Sink>, Failure> {
    match &config.sink {
        SinkConfig::Discard => Ok(Box::new(Discard::default())),
        #[cfg(feature = "sqlite")]
        SinkConfig::Sqlite(sqlite) => Ok(Box::new(Sqlite::new(SqliteOptions {
            path: sqlite.path.clone(),
            retention_days: sqlite.retention_days,
        }))),
        #[cfg(feature = "kafka")]
        SinkConfig::Kafka(kafka) => Ok(Box::new(Kafka::new(options(config, kafka, board)))),
        #[cfg(not(all(feature = "kafka", feature = "sqlite")))]
        _ => Err(not_built_in()),
    }
}

/// What is stored of sources, beside the process that stores it; `None` where nothing is.
pub(super) fn checkpoints(
    config: &Config,
    sources: &[(SellerId, SourceName)],
) -> Result<Option<Vec<Option<String>>>, Failure> {
    match &config.sink {
        SinkConfig::Discard => Ok(None),
        #[cfg(feature = "sqlite")]
        SinkConfig::Sqlite(store) => Ok(sqlite::checkpoints(&store.path, sources)?),
        #[cfg(feature = "kafka")]
        SinkConfig::Kafka(kafka) => {
            // Nobody asks a command for its metrics.
            let options = options(config, kafka, &StatusBoard::default());
            Ok(kafka::checkpoints(&options, sources)?)
        }
        #[cfg(not(all(feature = "kafka", feature = "sqlite")))]
        _ => Err(not_built_in()),
    }
}

/// Who works with what is stored, or may do so, for people.
pub(super) fn holder(config: &Config) -> Result<Option<String>, Failure> {
    match &config.sink {
        SinkConfig::Discard => Ok(None),
        #[cfg(feature = "sqlite")]
        SinkConfig::Sqlite(store) => {
            Ok(sqlite::holder(&store.path).map(|holder| format!("held by {holder}")))
        }
        #[cfg(feature = "kafka")]
        SinkConfig::Kafka(kafka) => {
            let options = options(config, kafka, &StatusBoard::default());
            let holder = kafka::holder(&options, Shard(0))?;
            Ok(holder.map(|holder| format!("may be held by {holder}")))
        }
        #[cfg(not(all(feature = "kafka", feature = "sqlite")))]
        _ => Err(not_built_in()),
    }
}

#[cfg(feature = "kafka")]
fn options(config: &Config, kafka: &KafkaConfig, board: &StatusBoard) -> KafkaOptions {
    KafkaOptions::new(config.name.clone(), kafka.clone(), board.brokers())
}

#[cfg(not(all(feature = "kafka", feature = "sqlite")))]
fn not_built_in() -> Failure {
    let what = "this program was built without the sink it is to write to";
    Failure::new(Exit::Usage, what, "build it with the features kafka and sqlite")
}
