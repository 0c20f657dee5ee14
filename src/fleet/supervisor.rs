use std::sync::Arc;
use std::time::Instant;

use connector_api::{Error, Result};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Goal, Outside, guard, retry};
use crate::config::SellerConfig;
use crate::progress::Lifecycle;
use crate::seller::{self, Ended, Seller, Surroundings};
use crate::shard::Shard;
use crate::sink::ShardState;
use crate::telemetry::{chain, panicked};

/// One seller in the care of a supervisor.
pub(super) struct Charge {
    pub(super) config: SellerConfig,
    pub(super) shard: Shard,
    pub(super) state: Arc<dyn ShardState>,
    pub(super) outside: Outside,
    pub(super) keep: seller::Keep,
    pub(super) goal: Goal,
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) buffer_bytes: usize,
    /// True while its server is relieved of the log: nobody follows it meanwhile.
    pub(super) relief: watch::Receiver<bool>,
}

/// How a seller ended.
#[derive(Debug)]
pub enum Outcome {
    /// On request, or at the end it was to reach.
    Ended,
    /// It needs somebody.
    Halted(String, Error),
}

/// Keeps one seller going: retries what may pass, halts on what a person must change. A panic is
/// a bug of that seller and of no other.
pub(super) async fn supervise(charge: Charge) -> Outcome {
    let (seller, source) = (charge.config.seller.clone(), charge.config.source.name.clone());
    let metrics = charge.outside.telemetry.board.seller(&charge.config);
    let mut patience = retry::Patience::new(charge.goal.until_current);
    loop {
        charge.outside.telemetry.board.enter(&charge.config, Lifecycle::Starting);
        let rows_before = metrics.rows_read();
        let mut relief = charge.relief.clone();
        let ended = tokio::select! { biased;
            () = begins(&mut relief) => Err(guard::relieved()),
            ended = attempt(&charge) => ended,
        };
        let error = match ended {
            Ok(ended) => {
                info!(%seller, %source, ?ended, "stopped");
                charge.outside.telemetry.board.enter(&charge.config, Lifecycle::Stopped);
                return Outcome::Ended;
            }
            Err(error) => error,
        };
        if metrics.rows_read() > rows_before {
            patience.reset();
        }
        let Some(delay) = patience.after(&error, Instant::now()) else {
            let reasons: Vec<String> = error.each().map(|one| chain(one).to_string()).collect();
            let fixes: Vec<&str> = error.each().filter_map(Error::fix).collect();
            let (reason, fix) = (reasons.join("; "), fixes.join("\n"));
            let fix = (!fix.is_empty()).then_some(fix);
            charge.outside.telemetry.board.enter(&charge.config, Lifecycle::Halted { reason, fix });
            return Outcome::Halted(format!("{seller}/{source}"), error);
        };
        if patience.is_news(&error) {
            warn!(%seller, %source, error = %chain(&error), "trying again until it works");
        }
        charge.outside.telemetry.board.enter(&charge.config, super::waiting(&error));
        metrics.restarted();
        let mut shutdown = charge.shutdown.clone();
        tokio::select! {
            () = super::ending(&mut shutdown) => return Outcome::Ended,
            () = async {
                tokio::time::sleep(delay).await;
                // Whoever could still relieve the server has gone, or has done so.
                drop(relief.wait_for(|relieves| !relieves).await);
            } => {}
        }
    }
}

/// Waits until the server is relieved of its log, which as a rule it never is.
async fn begins(relief: &mut watch::Receiver<bool>) {
    if relief.wait_for(|relieves| *relieves).await.is_err() {
        std::future::pending().await
    }
}

/// One try, in a task of its own so that a panic ends only the try.
async fn attempt(charge: &Charge) -> Result<Ended> {
    let surroundings = Surroundings {
        config: charge.config.clone(),
        keep: charge.keep.clone(),
        shard: charge.shard.clone(),
        state: Arc::clone(&charge.state),
        metrics: charge.outside.telemetry.board.seller(&charge.config),
        shutdown: charge.shutdown.clone(),
        until_current: charge.goal.until_current,
        buffer_bytes: charge.buffer_bytes,
        requests: charge.outside.desk.attend(&charge.config),
    };
    let (state, board) = (Arc::clone(&charge.state), Arc::clone(&charge.outside.telemetry.board));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let config = &surroundings.config;
        surroundings.shard.settle(&config.seller, &config.source.name).await?;
        let stored = state.load(&config.seller, &config.source.name).await?;
        let mut shutdown = surroundings.shutdown.clone();
        let started = tokio::select! {
            started = seller::start(&surroundings, stored) => started?,
            () = super::ending(&mut shutdown) => return Ok(Ended::Shutdown),
        };
        board.enter(config, Lifecycle::Streaming);
        Seller::new(surroundings, started).follow().await
    });
    match tasks.join_next().await.expect("one task was spawned") {
        Ok(ended) => ended,
        Err(panic) => Err(panicked("the seller's task", panic)),
    }
}
