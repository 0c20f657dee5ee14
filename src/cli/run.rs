use tokio::sync::watch;

use super::args::{Cli, RunArgs};
use super::{Exit, Failure, process};
use crate::config::{Config, LogFormat, SinkConfig};
use crate::fleet::{self, Goal};
use crate::progress::{Next, next_after};
use crate::seller::{self, Keep};
#[cfg(feature = "sqlite")]
use crate::sink::sqlite::{Sqlite, SqliteOptions};
use crate::sink::{Discard, Sink};
use crate::telemetry::Telemetry;

/// Follows every seller until told to stop.
pub(super) fn run(cli: &Cli, config: &Config, args: &RunArgs) -> Result<Exit, Failure> {
    process::start_logs(cli, &config.log);
    let telemetry = Telemetry::default();
    let ended = process::until_signal(|stop| {
        process::with_http(config, &telemetry, follow(config, &telemetry, args, stop))
    });
    let for_programs = cli.log_format.unwrap_or(config.log.format) == LogFormat::Json;
    ended.map_err(|failure| if for_programs { failure.logged() } else { failure })
}

async fn follow(
    config: &Config,
    telemetry: &Telemetry,
    args: &RunArgs,
    stop: watch::Receiver<bool>,
) -> Result<Exit, Failure> {
    for seller in &config.sellers {
        telemetry.board.seller(seller);
    }
    let mut halted = Vec::new();
    if is_first_start(config) {
        let mut ending = stop.clone();
        halted = tokio::select! {
            refused = refused(config) => refused,
            () = fleet::ending(&mut ending) => return Ok(Exit::Done),
        };
    }
    if halted.is_empty() {
        let goal = Goal { until_current: args.until_current };
        halted = fleet::run(config, sink(config)?, telemetry, goal, stop).await?;
    }
    if halted.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::of_sources(halted.iter().map(|(who, error)| (who.clone(), error))))
}

/// Whether there is no store yet.
fn is_first_start(config: &Config) -> bool {
    matches!(&config.sink, SinkConfig::Sqlite(store) if !store.path.exists())
}

/// Every seller and its error, if none could be followed before a person has changed something:
/// then no store is made either.
async fn refused(config: &Config) -> Vec<fleet::Halted> {
    let mut refused = Vec::new();
    for seller in &config.sellers {
        match seller::preflight(seller, &Keep::of(config, seller)).await {
            Err(error) if next_after(error.fault()) == Next::Halt => {
                refused.push((format!("{}/{}", seller.seller, seller.source.name), error));
            }
            Ok(()) | Err(_) => return Vec::new(),
        }
    }
    refused
}

fn sink(config: &Config) -> Result<Box<dyn Sink>, Failure> {
    match &config.sink {
        SinkConfig::Discard => Ok(Box::new(Discard::default())),
        #[cfg(feature = "sqlite")]
        SinkConfig::Sqlite(sqlite) => Ok(Box::new(Sqlite::new(SqliteOptions {
            path: sqlite.path.clone(),
            retention_days: sqlite.retention_days,
        }))),
        #[cfg(not(feature = "sqlite"))]
        SinkConfig::Sqlite(_) => {
            let what = "this program was built without the SQLite sink";
            Err(Failure::new(Exit::Usage, what, "build it with the feature sqlite"))
        }
    }
}
