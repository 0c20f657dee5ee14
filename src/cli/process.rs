use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use connector_api::{Error, Result};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use super::args::Cli;
use super::{Exit, Failure};
use crate::config::{Config, LogConfig};
use crate::fleet::{self, Outside};
use crate::http;
use crate::telemetry::{chain, panicked, start_logging};

/// How long what blocks may take to notice that nobody waits for it any more.
const LAST: Duration = Duration::from_secs(1);
/// How often it is looked whether the address of HTTP is free.
const LOOK: Duration = Duration::from_millis(500);

/// Starts writing log lines, as the command line says or else the configuration.
pub(super) fn start_logs(cli: &Cli, log: &LogConfig) {
    let level = cli.log_level.map_or(log.level, Into::into);
    start_logging(cli.log_format.unwrap_or(log.format), level);
}

/// Does `work` until it ends by itself, or until a signal asks for the end: then the channel it
/// was given turns true, and it may finish what it has begun. A second signal ends the process.
pub(super) fn until_signal<W, F>(work: W) -> std::result::Result<Exit, Failure>
where
    W: FnOnce(watch::Receiver<bool>) -> F,
    F: Future<Output = std::result::Result<Exit, Failure>>,
{
    let runtime = Runtime::new()
        .map_err(|error| Error::transient("threads cannot be started").because(error))?;
    let (stop, stopped) = watch::channel(false);
    let ended = runtime.block_on(async move {
        let mut signals = Signals::new()
            .map_err(|error| Error::transient("signals cannot be caught").because(error))?;
        let mut interrupted = false;
        let mut work = std::pin::pin!(work(stopped));
        loop {
            tokio::select! {
                done = &mut work => {
                    let done = done?;
                    return Ok(if interrupted { Exit::Interrupted } else { done });
                }
                exit = signals.next() => {
                    if *stop.borrow() {
                        warn!("ending at once: a second signal");
                        return Ok(Exit::Interrupted);
                    }
                    info!("ending: what was read is committed first");
                    interrupted = exit == Exit::Interrupted;
                    stop.send_replace(true);
                }
            }
        }
    });
    // Whoever still waits for an answer holds up nobody.
    runtime.shutdown_timeout(LAST);
    ended
}

/// Serves HTTP, if the configuration wants it, for as long as `work` lasts: from when no other
/// process has the address. One that stands by has the address of the one that works.
pub(super) async fn with_http<F>(
    config: &Config,
    outside: &Outside,
    work: F,
) -> std::result::Result<Exit, Failure>
where
    F: Future<Output = std::result::Result<Exit, Failure>>,
{
    let Some(address) = config.http else { return work.await };
    let listener = http::bind(address).await?;
    if listener.is_none() {
        let fix = "nothing, where that process has the same configuration; else give this one \
                   another address, or none: [http] listen = \"127.0.0.1:8643\"";
        warn!(
            %address,
            fix,
            "another process listens there, and answers whoever asks for status or metrics: this \
             one goes on without HTTP until the address is free"
        );
    }
    let (end, ended) = watch::channel(false);
    let server = tokio::spawn(serve(address, listener, outside.clone(), ended));
    let done = work.await;
    end.send_replace(true);
    let served = server.await.unwrap_or_else(|panic| Err(panicked("HTTP", panic)));
    if let Err(error) = served {
        warn!(error = %chain(&error), "status was not served to the end");
    }
    done
}

/// Serves HTTP until `ended` turns true, on an address that may not be free yet.
async fn serve(
    address: SocketAddr,
    listener: Option<TcpListener>,
    outside: Outside,
    mut ended: watch::Receiver<bool>,
) -> Result<()> {
    let listener = match listener {
        Some(listener) => listener,
        None => tokio::select! {
            listener = freed(address) => listener,
            () = fleet::ending(&mut ended) => return Ok(()),
        },
    };
    info!(%address, "serving /metrics, /healthz, /readyz and /v1/sellers");
    let served = http::serve(listener, outside, ended).await;
    served.map_err(|error| Error::transient("HTTP failed").because(error))
}

/// Waits until the address can be had.
async fn freed(address: SocketAddr) -> TcpListener {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Ok(Some(listener)) = http::bind(address).await {
            return listener;
        }
    }
}

/// The signals that ask for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate })
    }

    /// The next one, as the exit code it asks for.
    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Done,
        }
    }
}
