//! Metrics, health and status over HTTP, on loopback unless configured otherwise.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | Prometheus' text format |
//! | `/healthz` | 200 while the process is alive |
//! | `/readyz` | 200 when all sources stream, the sink takes it and no table is dirty; else 503 |
//! | `/v1/sellers` | how every source stands, a JSON array |
//! | `POST /v1/sellers/{seller}/sources/{source}/snapshot` | the tables to be read, once stored |
//!
//! Whoever reads sees names and numbers, which need no protection. Whoever asks for something must
//! do so from this machine, and must not be a web page that somebody on it has opened.

mod seats;
mod snapshot;
#[cfg(test)]
mod tests;

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use connector_api::{Error, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::fleet::Outside;

use seats::Seats;

pub use snapshot::{SnapshotAnswer, SnapshotOrder};

/// The path of the status of every source.
pub const SELLERS_PATH: &str = "/v1/sellers";

/// How long requests may finish after the end was called.
const GRACE: Duration = Duration::from_secs(1);

const INDEX: &str = "tailstock\n\n/metrics\n/healthz\n/readyz\n/v1/sellers\n";

/// The path of what is asked of one source.
pub fn snapshot_path(seller: &str, source: &str) -> String {
    format!("{SELLERS_PATH}/{seller}/sources/{source}/snapshot")
}

/// Takes the address; `None` while another process has it.
///
/// # Errors
/// An operator's, when nobody could listen there.
pub async fn bind(address: SocketAddr) -> Result<Option<TcpListener>> {
    let error = match TcpListener::bind(address).await {
        Ok(listener) => return Ok(Some(listener)),
        Err(error) => error,
    };
    let (found, fix) = match error.kind() {
        std::io::ErrorKind::AddrInUse => return Ok(None),
        std::io::ErrorKind::AddrNotAvailable => (
            "this machine has no such address",
            "use one it has: [http] listen = \"127.0.0.1:8642\"",
        ),
        std::io::ErrorKind::PermissionDenied => (
            "the system does not allow it",
            "use a port above 1023: [http] listen = \"127.0.0.1:8642\"",
        ),
        _ => ("the system refused", "use another address: [http] listen = \"127.0.0.1:8642\""),
    };
    let what = format!("cannot listen on {address}: {found}");
    Err(Error::operator(what, fix).because(error))
}

/// Answers requests until `stop` turns true, and a second longer those that have begun.
///
/// # Errors
/// When the listener itself fails.
pub async fn serve(
    listener: TcpListener,
    outside: Outside,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    serve_on(Seats::new(listener), outside, stop).await
}

async fn serve_on(
    listener: Seats,
    outside: Outside,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let finished = stopped(stop.clone());
    // Who asks is told apart by where from.
    let service = router(outside).into_make_service_with_connect_info::<snapshot::Ends>();
    let server = axum::serve(listener, service).with_graceful_shutdown(finished);
    let too_late = async {
        stopped(stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server => served,
        () = too_late => Ok(()),
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that nobody is left who could say it.
    drop(stop.wait_for(|stop| *stop).await);
}

fn router(outside: Outside) -> Router {
    Router::new()
        .route("/", get(async || INDEX))
        .route("/healthz", get(async || "alive\n"))
        .route("/metrics", get(metrics))
        .route("/readyz", get(readiness))
        .route(SELLERS_PATH, get(sellers))
        .route(&snapshot_path("{seller}", "{source}"), post(snapshot::take))
        .fallback(async || (StatusCode::NOT_FOUND, INDEX))
        .with_state(outside)
}

fn metrics(State(outside): State<Outside>) -> Ready<Response> {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    ready((content_type, outside.telemetry.board.render_metrics()).into_response())
}

fn readiness(State(outside): State<Outside>) -> Ready<Response> {
    let readiness = outside.telemetry.board.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    ready((status, Json(readiness)).into_response())
}

fn sellers(State(outside): State<Outside>) -> Ready<Response> {
    ready(Json(outside.telemetry.board.statuses()).into_response())
}
