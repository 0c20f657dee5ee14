#![allow(clippy::unwrap_used)]

mod orders;
mod seats;

use std::sync::Arc;
use std::time::Instant;

use axum::serve::Listener as _;
use connector_api::{Capture, Fault, Head, Lineage, LogKeeping, Position, ResumePoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::{Config, Loader, SellerConfig};
use crate::fleet::Desk;
use crate::progress::Lifecycle;
use crate::state::{Checkpoint, MappingRevision};
use crate::telemetry::{SellerMetrics, SnapshotStatus, StatusBoard, Telemetry, names};

struct Server {
    address: SocketAddr,
    outside: Outside,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    async fn start_on(address: SocketAddr) -> Self {
        Self::serve(Seats::new(bind(address).await.unwrap().unwrap()))
    }

    async fn with_seats(most: usize, patience: Duration) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap().unwrap();
        Self::serve(Seats::of(listener, most, patience))
    }

    fn serve(listener: Seats) -> Self {
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk::of(&configuration()));
        let outside = Outside { telemetry: Telemetry::default(), desk };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve_on(listener, outside.clone(), stopped));
        Self { address, outside, stop, task }
    }

    fn board(&self) -> &StatusBoard {
        &self.outside.telemetry.board
    }

    fn metrics(&self) -> SellerMetrics {
        self.board().seller(&acme())
    }

    fn enter(&self, state: Lifecycle) {
        self.board().enter(&acme(), state);
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path} HTTP/1.0\r\nHost: here\r\n\r\n")).await
    }

    async fn send(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

fn acme() -> SellerConfig {
    configuration().sellers.remove(0)
}

fn configuration() -> Config {
    let folder = tempfile::tempdir().unwrap();
    let main = "name = 'test'\nsellers = 'acme.toml'\n[sink]\nkind = 'discard'\n";
    let seller = "seller = 'acme'\n[source]\nkind = 'postgres'\nurl = 'postgresql://nowhere'\n\
                  [[stock]]\ntable = 'public.stock'\nitem = 'id'\non_hand = 'qty'\n";
    std::fs::write(folder.path().join("main.toml"), main).unwrap();
    std::fs::write(folder.path().join("acme.toml"), seller).unwrap();
    Loader::alone().load(&folder.path().join("main.toml")).unwrap()
}

fn head() -> Head {
    Head { position: Position::new("0/16B3800"), lag_bytes: 184, last_contact: Instant::now() }
}

fn checkpoint() -> Checkpoint {
    let point =
        ResumePoint::new(Lineage::new("7/1"), Position::new("0/16B3748"), Capture::default());
    Checkpoint::first("acme", "main", point, MappingRevision { number: 1, hash: "0".into() })
}

fn halted() -> Lifecycle {
    Lifecycle::Halted { reason: "no publication".into(), fix: Some("CREATE PUBLICATION".into()) }
}

#[tokio::test]
async fn a_process_is_alive_before_anything_streams_but_not_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await, (200, "alive\n".to_owned()));
    assert_eq!(server.get("/readyz").await.0, 503);
    assert_eq!(server.get("/nowhere").await.0, 404);
}

#[tokio::test]
async fn ready_means_that_every_source_streams_and_no_table_is_dirty() {
    let server = Server::start().await;
    server.enter(Lifecycle::Starting);
    assert_eq!(server.get("/readyz").await.0, 503);
    server.enter(Lifecycle::Streaming);
    assert_eq!(server.get("/readyz").await.0, 503, "nobody has said yet what cannot be trusted");
    server.metrics().follows(&head(), None, &checkpoint());
    assert_eq!(server.get("/readyz").await.0, 200);
    let mut dirty = checkpoint();
    dirty.dirty_tables.insert("public.stock".into(), "truncated".into());
    server.metrics().follows(&head(), None, &dirty);
    let (status, body) = server.get("/readyz").await;
    assert!(status == 503 && body.contains("public.stock"), "{body}");
    server.metrics().follows(&head(), None, &checkpoint());
    server.enter(halted());
    let (status, body) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("no publication") && body.contains("CREATE PUBLICATION"), "{body}");
}

#[tokio::test]
async fn a_sink_that_takes_nothing_for_long_is_not_ready_and_says_why() {
    let server = Server::start().await;
    server.enter(Lifecycle::Streaming);
    server.metrics().follows(&head(), None, &checkpoint());
    let (shard, begun) = (server.board().shard(), Instant::now());
    shard.pending(Some(begun));
    shard.failed(&connector_api::Error::transient("stock.db is full"));
    assert_eq!(server.get("/readyz").await.0, 200, "a moment is nothing");
    let long_ago = begun.checked_sub(Duration::from_secs(11)).unwrap();
    shard.pending(Some(long_ago));
    let (status, body) = server.get("/readyz").await;
    assert!(status == 503 && body.contains("takes no commits: it has not answered"), "{body}");
    shard.failed(&connector_api::Error::transient("stock.db is full"));
    shard.pending(Some(long_ago));
    let (_, body) = server.get(SELLERS_PATH).await;
    for told in ["backing_off", "takes no commits: stock.db is full", "fix", "\"lag_bytes\":184"] {
        assert!(body.contains(told), "{told}: {body}");
    }
    server.enter(halted());
    let (_, body) = server.get(SELLERS_PATH).await;
    assert!(body.contains("no publication") && !body.contains("stock.db"), "{body}");
    server.enter(Lifecycle::Streaming);
    shard.pending(None);
    assert_eq!(server.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn how_far_behind_a_source_is_that_does_not_stream_is_unknown() {
    let server = Server::start().await;
    let unconfirmed = names::OLDEST_UNCONFIRMED_SECONDS;
    for state in [Lifecycle::Starting, halted(), Lifecycle::Stopped] {
        server.enter(Lifecycle::Streaming);
        server.metrics().follows(&head(), None, &checkpoint());
        let body = server.get("/metrics").await.1;
        for gauge in [names::LAG_BYTES, unconfirmed] {
            assert!(body.contains(&format!("{}{{", gauge.name)), "{body}");
        }
        server.enter(state);
        // A stream that is just being ended may still speak.
        server.metrics().follows(&head(), Some(0), &checkpoint());
        let body = server.get("/metrics").await.1;
        for gauge in [names::LAG_BYTES, unconfirmed] {
            assert!(!body.contains(&format!("{}{{", gauge.name)), "{body}");
        }
        assert!(!server.get(SELLERS_PATH).await.1.contains("lag_bytes"));
        server.enter(Lifecycle::Streaming);
        assert!(!server.get(SELLERS_PATH).await.1.contains("lag_bytes"), "not until it is told");
    }
}

#[tokio::test]
async fn the_status_of_a_source_tells_what_is_known_and_nothing_else() {
    let server = Server::start().await;
    server.enter(Lifecycle::Streaming);
    let (_, body) = server.get(SELLERS_PATH).await;
    assert!(!body.contains("position") && !body.contains("lag_bytes"), "{body}");
    let metrics = server.metrics();
    metrics.mapped(3, 1, 0);
    metrics.committed(2, 1);
    metrics.follows(&head(), Some(crate::telemetry::now_us() - 60_000_000), &checkpoint());
    let (status, body) = server.get(SELLERS_PATH).await;
    assert_eq!(status, 200);
    let all: serde_json::Value = serde_json::from_str(&body).unwrap();
    let acme = &all[0];
    assert_eq!((&acme["seller"], &acme["state"]), (&"acme".into(), &"streaming".into()));
    assert_eq!((&acme["position"], &acme["lag_bytes"]), (&"0/16B3748".into(), &184.into()));
    assert_eq!((&acme["rows"], &acme["events"]), (&3.into(), &2.into()));
    assert!(acme["oldest_unconfirmed_ms"].as_u64().unwrap() >= 60_000);
    // What a stream does not hear of is asked beside it.
    metrics.log_kept(LogKeeping { unread_bytes: Some(1000), ..LogKeeping::default() });
    let (_, body) = server.get(SELLERS_PATH).await;
    assert!(body.contains("\"lag_bytes\":1184"), "{body}");
}

#[tokio::test]
async fn metrics_carry_seller_and_source_and_every_name_is_there() {
    let server = Server::start().await;
    server.enter(Lifecycle::Streaming);
    let metrics = server.metrics();
    let unknown =
        [names::LAG_BYTES, names::LAST_CONTACT_SECONDS, names::OLDEST_UNCONFIRMED_SECONDS];
    let (_, body) = server.get("/metrics").await;
    for name in unknown {
        assert!(!body.contains(name.name), "{} is unknown, so it is not there", name.name);
    }
    metrics.mapped(7, 0, 0);
    metrics.published(4_000);
    metrics.follows(&head(), None, &checkpoint());
    server.board().shard().committed(Duration::from_millis(1));
    server.board().brokers().answered("kafka:9092", Duration::from_millis(1));
    server.board().brokers().failed("kafka:9092", "timeout", 1);
    let snapshot = SnapshotStatus {
        table: "public.stock".to_owned(),
        phase: "reading",
        rows: 0,
        estimated_rows: None,
    };
    metrics.snapshot(Some(snapshot));
    metrics.log_kept(LogKeeping {
        retained_bytes: Some(1),
        unread_bytes: Some(4),
        is_limited: true,
        headroom_bytes: Some(2),
        headroom_seconds: Some(3),
    });
    let (status, body) = server.get("/metrics").await;
    assert_eq!(status, 200);
    let line = format!(r#"{}{{seller="acme",source="main"}} 7"#, names::ROWS_READ.name);
    assert!(body.lines().any(|found| found == line), "{body}");
    for name in names::ALL {
        assert!(body.contains(&format!("# HELP {} ", name.name)), "{} is missing", name.name);
    }
}

#[tokio::test]
async fn a_table_that_is_read_is_in_the_status_and_its_rows_are_counted_once() {
    let server = Server::start().await;
    let metrics = server.metrics();
    let set = |table: &str, rows| {
        let table = table.to_owned();
        let phase = "reading";
        metrics.snapshot(Some(SnapshotStatus { table, phase, rows, estimated_rows: Some(100) }));
    };
    // The second table goes on where an earlier process ended, and then begins anew.
    for (table, rows) in [("a", 0), ("a", 40), ("a", 40), ("a", 60), ("b", 50), ("b", 55), ("b", 0)]
    {
        set(table, rows);
    }
    let gauge = |name: names::Name| format!(r#"{}{{seller="acme",source="main"}}"#, name.name);
    let body = server.get("/metrics").await.1;
    assert!(body.contains(&format!("{} 65\n", gauge(names::SNAPSHOT_ROWS))), "{body}");
    assert!(body.contains(&format!("{} 1\n", gauge(names::SNAPSHOT_ACTIVE))), "{body}");
    let all: serde_json::Value = serde_json::from_str(&server.get(SELLERS_PATH).await.1).unwrap();
    let wanted = r#"{"estimated_rows":100,"phase":"reading","rows":0,"table":"b"}"#;
    assert_eq!(all[0]["snapshot"], serde_json::from_str::<serde_json::Value>(wanted).unwrap());
    metrics.snapshot(None);
    let body = server.get("/metrics").await.1;
    assert!(body.contains(&format!("{} 0\n", gauge(names::SNAPSHOT_ACTIVE))), "{body}");
    assert!(!server.get(SELLERS_PATH).await.1.contains("snapshot"));
}

#[tokio::test]
async fn every_state_of_the_lifecycle_has_a_gauge() {
    let server = Server::start().await;
    let states = [
        Lifecycle::Starting,
        Lifecycle::Streaming,
        Lifecycle::BackingOff { reason: String::new() },
        Lifecycle::StandingBy { holder: String::new() },
        halted(),
        Lifecycle::Stopped,
    ];
    for state in states {
        let gauge = format!(r#"state="{}"}} 1"#, state.as_str());
        server.enter(state);
        let body = server.get("/metrics").await.1;
        assert_eq!(body.matches("tailstock_seller_state{").count(), 6);
        assert!(body.contains(&gauge) && body.matches("\"} 1\n").count() == 2, "{gauge}");
    }
}

#[tokio::test]
async fn only_an_address_in_use_may_be_had_later() {
    let server = Server::start().await;
    assert!(bind(server.address).await.unwrap().is_none());
    // Of the addresses for documentation, which are no machine's.
    let error = bind("192.0.2.1:8642".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("this machine has no such address"), "{error}");
    assert!(matches!(error.fault(), Fault::Operator { fix } if fix.contains("listen =")));
}

#[tokio::test]
async fn a_client_that_keeps_its_connection_does_not_hold_up_the_end() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    server.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap().unwrap();
}
