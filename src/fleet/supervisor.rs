use std::sync::Arc;
use std::time::Instant;

use connector_api::{Error, Result};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Goal, Outside, guard, retry};
use crate::config::SellerConfig;
use crate::progress::Lifecycle;
use crate::seller::{self, Ended, Headway, Seller, Start, Surroundings};
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
    pub(super) headway: Headway,
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
    let mut patience = retry::Patience::of_server(charge.goal.until_current);
    let mut tries = 0;
    loop {
        if tries == 0 {
            // Later it is what it was: an outage has one beginning.
            charge.outside.telemetry.board.enter(&charge.config, Lifecycle::Starting);
        }
        let mut relief = charge.relief.clone();
        let ended = tokio::select! { biased;
            () = begins(&mut relief) => Err(guard::relieved()),
            ended = attempt(&charge, tries) => ended,
        };
        tries = tries.saturating_add(1);
        let error = match ended {
            Ok(ended) => {
                info!(seller = seller.as_str(), source = source.as_str(), ?ended, "stopped");
                charge.outside.telemetry.board.enter(&charge.config, Lifecycle::Stopped);
                return Outcome::Ended;
            }
            Err(error) => error,
        };
        if charge.headway.take() {
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
            let (seller, source) = (seller.as_str(), source.as_str());
            warn!(seller, source, error = %chain(&error), "trying again until it works");
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

/// One try behind so many, in a task of its own so that a panic ends only the try.
async fn attempt(charge: &Charge, tries: u32) -> Result<Ended> {
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
        headway: charge.headway.clone(),
    };
    let (state, board) = (Arc::clone(&charge.state), Arc::clone(&charge.outside.telemetry.board));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let config = &surroundings.config;
        let mut shutdown = surroundings.shutdown.clone();
        let started = tokio::select! {
            started = begin(&surroundings, state.as_ref(), tries) => started?,
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

/// From what is stored to an open stream.
async fn begin(surroundings: &Surroundings, state: &dyn ShardState, tries: u32) -> Result<Start> {
    let Surroundings { config, keep, shard, .. } = surroundings;
    shard.settle(&config.seller, &config.source.name).await?;
    if tries > 0 {
        // What is stored may be much to read, again and again for a server that is away.
        seller::reach(config, keep).await?;
    }
    let stored = state.load(&config.seller, &config.source.name).await?;
    seller::start(surroundings, stored).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Loader};
    use crate::shard::Tempo;
    use crate::sink::{Discard, LevelKey, Stored};
    use crate::stock::{SellerId, SourceName};
    use crate::telemetry::Telemetry;

    /// Counts how often what is stored is read.
    #[derive(Default)]
    struct Counted(AtomicU32);

    #[async_trait::async_trait]
    impl ShardState for Counted {
        async fn load(&self, seller: &SellerId, source: &SourceName) -> Result<Stored> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Discard::default().load(seller, source).await
        }

        async fn levels(&self, _: &SellerId, _: &SourceName) -> Result<Vec<LevelKey>> {
            Ok(Vec::new())
        }
    }

    fn configuration() -> Config {
        let folder = tempfile::tempdir().unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let main = "name = 'test'\nsellers = 'acme.toml'\n[sink]\nkind = 'discard'\n";
        let seller = format!(
            "seller = 'acme'\n[source]\nkind = 'postgres'\nurl = 'postgresql://u@{nobody}/x'\n\
             [[stock]]\ntable = 'public.stock'\nitem = 'id'\non_hand = 'qty'\n"
        );
        std::fs::write(folder.path().join("main.toml"), main).unwrap();
        std::fs::write(folder.path().join("acme.toml"), seller).unwrap();
        Loader::alone().load(&folder.path().join("main.toml")).unwrap()
    }

    #[tokio::test]
    async fn a_server_that_is_away_does_not_have_what_is_stored_read_again_and_again() {
        let config = configuration();
        let outside = Outside {
            telemetry: Telemetry::default(),
            desk: Arc::new(super::super::Desk::of(&config)),
        };
        let (shard, submissions) = Shard::new();
        let metrics = outside.telemetry.board.shard();
        let writer = Box::new(Discard::default());
        tokio::spawn(crate::shard::run(writer, submissions, metrics, Tempo::default()));
        let state = Arc::new(Counted::default());
        let (stop, shutdown) = watch::channel(false);
        let (_relief, relief) = watch::channel(false);
        let seller = config.sellers[0].clone();
        let charge = Charge {
            keep: seller::Keep::of(&config, &seller, None),
            config: seller,
            shard,
            state: Arc::clone(&state) as Arc<dyn ShardState>,
            outside: outside.clone(),
            goal: Goal { until_current: false },
            shutdown,
            buffer_bytes: config.buffer_bytes,
            relief,
            headway: Headway::default(),
        };
        let supervised = tokio::spawn(supervise(charge));
        let mut look = tokio::time::interval(Duration::from_millis(10));
        let tried = || outside.telemetry.board.statuses().first().map_or(0, |it| it.restarts);
        while tried() < 3 {
            look.tick().await;
        }
        stop.send_replace(true);
        assert!(matches!(supervised.await.unwrap(), Outcome::Ended));
        assert_eq!(state.0.load(Ordering::Relaxed), 1);
    }
}
