//! Starts, restarts and stops sellers. It never sees a row.
//!
//! One process holds one shard of a sink: it opens the sink (which fences any earlier owner), runs
//! the writer and one task a seller, and begins anew from what is stored when the writer ends.

mod desk;
mod guard;
pub mod retry;
mod supervisor;

use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{Error, Fault, Result};
use guard::{Duty, Guards};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::config::{Config, SellerConfig};
use crate::progress::Lifecycle;
use crate::seller::{self, Headway};
use crate::shard::{self, Shard, Stopped, Tempo};
use crate::sink::{self, OpenError, Opened, Sink};
use crate::telemetry::{self, Telemetry};

pub use desk::{Desk, Refusal};
pub use supervisor::Outcome;

/// What the process is to do.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Stop when everything that was in the log at the start is committed.
    pub until_current: bool,
}

/// What the process shows to the outside and hears from there.
#[derive(Clone)]
pub struct Outside {
    /// What it shows.
    pub telemetry: Telemetry,
    /// Where it is asked.
    pub desk: Arc<Desk>,
}

/// Waits until the process is to end.
pub(crate) async fn ending(shutdown: &mut watch::Receiver<bool>) {
    // An error means that whoever could ask for the end has gone, which ends it too.
    drop(shutdown.wait_for(|ending| *ending).await);
}

/// A seller that needs somebody: `seller/source`, and why.
pub type Halted = (String, Error);

/// How long what was read may take to become durable once the process is to end. Less than the
/// ten seconds after which the impatient kill.
const GRACE: Duration = Duration::from_secs(8);

/// A sink that was open for this long, and had nothing to do, works.
const STEADY: Duration = Duration::from_secs(60);

/// Runs every seller until shutdown, until all are current, or until all are halted. Returns the
/// errors of those that are halted.
pub async fn run(
    config: &Config,
    sink: Box<dyn Sink>,
    outside: &Outside,
    goal: Goal,
    mut shutdown: watch::Receiver<bool>,
) -> Result<Vec<Halted>> {
    let work = work(config, sink, outside, goal, shutdown.clone());
    tokio::select! { biased;
        ended = work => ended,
        // Leaving is safe at any time: what is stored decides where the next start begins.
        () = async {
            ending(&mut shutdown).await;
            tokio::time::sleep(GRACE).await;
        } => {
            warn!("the sink does not take what was read; the next start reads it again");
            Ok(Vec::new())
        }
    }
}

async fn work(
    config: &Config,
    sink: Box<dyn Sink>,
    outside: &Outside,
    goal: Goal,
    mut shutdown: watch::Receiver<bool>,
) -> Result<Vec<Halted>> {
    let mut patience = retry::Patience::new(goal.until_current);
    // Beside the sink, which may be what keeps sellers from being relieved of their logs.
    let guards = Guards::start(config, outside);
    loop {
        let session =
            Session { config, outside, goal, shutdown: shutdown.clone(), guards: &guards };
        let opened = tokio::select! {
            opened = sink.open(sink::Shard(0)) => opened,
            () = ending(&mut shutdown) => return Ok(Vec::new()),
        };
        let error = match opened {
            Ok(opened) => {
                let (headway, begun) = (Headway::default(), Instant::now());
                let ended = session.run(opened, &headway).await;
                // That it opens is not all that a sink is for.
                if headway.is_any() || begun.elapsed() > STEADY {
                    patience.reset();
                }
                match ended {
                    Ok(halted) => return Ok(halted),
                    Err(Stopped::Fenced(error) | Stopped::GivenUp(error)) => return Err(error),
                    Err(Stopped::Reopen(error)) => error,
                }
            }
            Err(OpenError::Fenced(error)) => return Err(error),
            Err(OpenError::Failed(error)) => error,
        };
        let Some(delay) = patience.after(&error, Instant::now()) else { return Err(error) };
        guards.assign(match error.fault() {
            Fault::Held { .. } => Duty::StandingBy,
            _ => Duty::Waiting,
        });
        for seller in &config.sellers {
            outside.telemetry.board.enter(seller, waiting(&error));
        }
        if patience.is_news(&error) {
            warn!(error = %crate::telemetry::chain(&error), "the sink cannot be used yet");
        }
        tokio::select! {
            () = ending(&mut shutdown) => return Ok(Vec::new()),
            () = tokio::time::sleep(delay) => {}
        }
    }
}

fn log_halt(who: &str, error: &Error) {
    for one in error.each() {
        error!(who, error = %crate::telemetry::chain(one), fix = one.fix(), "halted");
    }
}

fn waiting(error: &Error) -> Lifecycle {
    match error.fault() {
        Fault::Held { by } => Lifecycle::StandingBy { holder: by.clone() },
        _ => Lifecycle::BackingOff { reason: error.to_string() },
    }
}

/// The time between one opening of the sink and the next.
struct Session<'a> {
    config: &'a Config,
    outside: &'a Outside,
    goal: Goal,
    shutdown: watch::Receiver<bool>,
    guards: &'a Guards,
}

impl Session<'_> {
    /// Ends when every seller has ended, or with the error of the writer.
    async fn run(self, opened: Opened, headway: &Headway) -> Result<Vec<Halted>, Stopped> {
        let Opened { writer, state, store } = opened;
        let source = |seller: &SellerConfig| (seller.seller.clone(), seller.source.name.clone());
        state.retain(&self.config.sellers.iter().map(source).collect());
        self.guards.assign(Duty::InCharge(store.clone()));
        let (shard, submissions) = Shard::new();
        let metrics = self.outside.telemetry.board.shard();
        let tempo = Tempo {
            interval: self.config.min_commit_interval,
            patience: self.goal.until_current.then_some(retry::FAILING_PATIENCE),
        };
        let mut writer = tokio::spawn(shard::run(writer, submissions, metrics, tempo));
        let mut sellers = JoinSet::new();
        for (nth, seller_config) in self.config.sellers.iter().enumerate() {
            sellers.spawn(supervisor::supervise(supervisor::Charge {
                config: seller_config.clone(),
                shard: shard.clone(),
                state: Arc::clone(&state),
                outside: self.outside.clone(),
                keep: seller::Keep::of(self.config, seller_config, store.as_deref()),
                goal: self.goal,
                shutdown: self.shutdown.clone(),
                buffer_bytes: self.config.buffer_bytes,
                relief: self.guards.relief(nth),
                headway: headway.of_another(),
            }));
        }
        // The writer ends when the last seller has let go of its shard.
        drop(shard);
        let panicked = |panic| telemetry::panicked("the writer", panic);
        let (mut halted, mut written) = (Vec::new(), false);
        while !sellers.is_empty() {
            tokio::select! { biased;
                ended = sellers.join_next() => match ended {
                    Some(Ok(Outcome::Halted(who, error))) => {
                        // The last one ends the process, and is told by whoever runs it.
                        if !sellers.is_empty() {
                            log_halt(&who, &error);
                        }
                        halted.push((who, error));
                    }
                    Some(Ok(Outcome::Ended)) | None => {}
                    Some(Err(panic)) => {
                        return Err(telemetry::panicked("a supervisor", panic).into());
                    }
                },
                // An error ends the sellers too: what is stored has to be read anew.
                ended = &mut writer, if !written => {
                    ended.map_err(panicked)??;
                    written = true;
                }
            }
        }
        info!("every seller has ended");
        if !written {
            writer.await.map_err(panicked)??;
        }
        Ok(halted)
    }
}
