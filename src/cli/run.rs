use std::sync::Arc;

use tokio::sync::watch;

use super::args::{Cli, RunArgs};
use super::{Exit, Failure, process, sink};
use crate::config::{Config, LogFormat};
use crate::fleet::{self, Desk, Goal, Outside};
use crate::progress::{Next, next_after};
use crate::seller::{self, Keep};
use crate::telemetry::Telemetry;

/// Follows every seller until told to stop.
pub(super) fn run(cli: &Cli, config: &Config, args: &RunArgs) -> Result<Exit, Failure> {
    process::start_logs(cli, &config.log);
    let desk = Arc::new(Desk::of(config));
    let outside = Outside { telemetry: Telemetry::default(), desk };
    let ended = process::until_signal(|stop| {
        process::with_http(config, &outside, follow(config, &outside, args, stop))
    });
    let for_programs = cli.log_format.unwrap_or(config.log.format) == LogFormat::Json;
    ended.map_err(|failure| if for_programs { failure.logged() } else { failure })
}

async fn follow(
    config: &Config,
    outside: &Outside,
    args: &RunArgs,
    stop: watch::Receiver<bool>,
) -> Result<Exit, Failure> {
    for seller in &config.sellers {
        outside.telemetry.board.seller(seller);
    }
    let sink = sink::open(config, &outside.telemetry.board)?;
    let mut halted = Vec::new();
    let mut ending = stop.clone();
    // A sink that cannot be asked is waited for below, with everybody else.
    let is_new = tokio::select! {
        is_new = sink.is_new() => is_new.unwrap_or(false),
        () = fleet::ending(&mut ending) => return Ok(Exit::Done),
    };
    if is_new {
        halted = tokio::select! {
            refused = refused(config) => refused,
            () = fleet::ending(&mut ending) => return Ok(Exit::Done),
        };
    }
    if halted.is_empty() {
        let goal = Goal { until_current: args.until_current };
        halted = fleet::run(config, sink, outside, goal, stop).await?;
    }
    if halted.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::of_sources(halted.iter().map(|(who, error)| (who.clone(), error))))
}

/// Every seller and its error, if none could be followed before a person has changed something:
/// then no store is made either.
async fn refused(config: &Config) -> Vec<fleet::Halted> {
    let mut refused = Vec::new();
    for seller in &config.sellers {
        match seller::preflight(seller, &Keep::of(config, seller, None)).await {
            Err(error) if next_after(error.fault()) == Next::Halt => {
                refused.push((format!("{}/{}", seller.seller, seller.source.name), error));
            }
            Ok(()) | Err(_) => return Vec::new(),
        }
    }
    refused
}
