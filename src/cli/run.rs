use tokio::sync::watch;

use super::args::{Cli, RunArgs};
use super::{Exit, Failure, process};
use crate::config::Config;
use crate::telemetry::Telemetry;

/// Follows every seller until told to stop.
pub(super) fn run(cli: &Cli, config: &Config, args: &RunArgs) -> Result<Exit, Failure> {
    process::start_logs(cli, &config.log);
    let telemetry = Telemetry::default();
    process::until_signal(|stop| {
        process::with_http(config, &telemetry, follow(config, &telemetry, args, stop))
    })
}

async fn follow(
    config: &Config,
    telemetry: &Telemetry,
    args: &RunArgs,
    mut stop: watch::Receiver<bool>,
) -> Result<Exit, Failure> {
    for seller in &config.sellers {
        telemetry.board.seller(seller);
    }
    if !args.until_current {
        drop(stop.wait_for(|stop| *stop).await);
    }
    Ok(Exit::Done)
}
