use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use serde::{Deserialize, Serialize};

use super::seats::Seats;
use crate::fleet::{Outside, Refusal};

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    peer: IpAddr,
    local: Option<IpAddr>,
}

impl Ends {
    /// Nobody else has the address that was connected to.
    fn are_of_one_machine(self) -> bool {
        self.peer.is_loopback() || self.local == Some(self.peer)
    }
}

impl Connected<IncomingStream<'_, Seats>> for Ends {
    fn connect_info(stream: IncomingStream<'_, Seats>) -> Self {
        let ip = |address: SocketAddr| address.ip().to_canonical();
        let local = stream.io().local_addr().ok().map(ip);
        Self { peer: ip(*stream.remote_addr()), local }
    }
}

/// What a client may ask for; without a body it is everything.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotOrder {
    /// `schema.table`; every table of the source when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// What it is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotAnswer {
    /// These tables will be read as a whole: it is stored.
    Tables(Vec<String>),
    /// None will, and why.
    Error(String),
}

/// `202` with the tables that will be read; `400` for a body that is none of ours, `403` for who is
/// not to ask, `404` for what does not exist, `409` for what the source refuses, `503` while it
/// cannot be asked.
pub(super) async fn take(
    State(outside): State<Outside>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    Path((seller, source)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(why) = check_sender(ends, &headers) {
        return refused(StatusCode::FORBIDDEN, why);
    }
    let order: SnapshotOrder = match &body[..] {
        [] => SnapshotOrder::default(),
        body => match serde_json::from_slice(body) {
            Ok(order) => order,
            Err(error) => {
                let what = format!("wanted {{\"table\": \"schema.table\"}} or nothing: {error}");
                return refused(StatusCode::BAD_REQUEST, what);
            }
        },
    };
    match outside.desk.snapshot(&seller, &source, order.table).await {
        Ok(tables) => (StatusCode::ACCEPTED, Json(SnapshotAnswer::Tables(tables))).into_response(),
        Err(refusal) => {
            let status = match &refusal {
                Refusal::Unknown(_) => StatusCode::NOT_FOUND,
                Refusal::Refused(_) => StatusCode::CONFLICT,
                Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            refused(status, refusal.to_string())
        }
    }
}

fn refused(status: StatusCode, why: String) -> Response {
    (status, Json(SnapshotAnswer::Error(why))).into_response()
}

/// A command on this machine, and no web page: a browser sends this type of content to another
/// origin only where that allows it, and names a page's own host whoever answers for it.
fn check_sender(ends: Ends, headers: &HeaderMap) -> Result<(), String> {
    if !ends.are_of_one_machine() {
        let peer = ends.peer;
        return Err(format!("{peer} is not this machine: ask from where tailstock runs"));
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(header::CONTENT_TYPE) != "application/json" {
        return Err("wanted the header content-type: application/json".to_owned());
    }
    let host = text(header::HOST);
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    if address.is_err() && name != "localhost" {
        return Err("wanted an address of this machine in the header host".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_asks_from_loopback_or_from_the_address_that_it_asks() {
        let own = |peer: [u8; 4], local: [u8; 4]| {
            Ends { peer: peer.into(), local: Some(local.into()) }.are_of_one_machine()
        };
        assert!(own([127, 0, 0, 1], [127, 0, 0, 1]));
        assert!(own([127, 0, 0, 2], [127, 0, 0, 1]));
        assert!(own([10, 0, 0, 5], [10, 0, 0, 5]));
        assert!(!own([10, 0, 0, 6], [10, 0, 0, 5]));
    }
}
