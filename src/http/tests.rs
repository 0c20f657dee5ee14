#![allow(clippy::unwrap_used)]

use std::time::Instant;

use connector_api::{Fault, Head, Position};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::progress::Lifecycle;
use crate::stock::{SellerId, SourceName};
use crate::telemetry::{SourceReport, names};

struct Server {
    address: SocketAddr,
    board: Arc<StatusBoard>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let board = Arc::new(StatusBoard::default());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Arc::clone(&board), stopped));
        Self { address, board, stop, task }
    }

    fn report(&self) -> Arc<SourceReport> {
        self.board.source(&SellerId::new("acme"), &SourceName::new("main"))
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: here\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
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
    let report = server.report();
    assert_eq!(server.get("/readyz").await.0, 503);
    report.enter(Lifecycle::Streaming);
    assert_eq!(server.get("/readyz").await.0, 200);
    report.dirty_tables(vec!["public.stock".into()]);
    let (status, body) = server.get("/readyz").await;
    assert!(status == 503 && body.contains("public.stock"), "{body}");
    report.dirty_tables(Vec::new());
    report.enter(halted());
    let (status, body) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("no publication") && body.contains("CREATE PUBLICATION"), "{body}");
}

#[tokio::test]
async fn the_status_of_a_source_tells_what_is_known_and_nothing_else() {
    let server = Server::start().await;
    let report = server.report();
    let (_, body) = server.get(SELLERS_PATH).await;
    assert!(!body.contains("position") && !body.contains("lag_bytes"), "{body}");
    report.enter(Lifecycle::Streaming);
    report.counters.rows_read.inc_by(3);
    report.confirmed(&Position::new("0/16B3748"));
    let position = Position::new("0/16B3800");
    report.head(&Head { position, lag_bytes: 184, last_contact: Instant::now() });
    let (status, body) = server.get(SELLERS_PATH).await;
    assert_eq!(status, 200);
    let all: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(all[0]["seller"], "acme");
    assert_eq!(all[0]["state"], "streaming");
    assert_eq!(all[0]["position"], "0/16B3748");
    assert_eq!(all[0]["lag_bytes"], 184);
    assert_eq!(all[0]["rows"], 3);
}

#[tokio::test]
async fn metrics_carry_seller_and_source_and_one_state() {
    let server = Server::start().await;
    let report = server.report();
    report.enter(Lifecycle::Streaming);
    report.counters.rows_read.inc_by(7);
    report.counters.commit_to_published_seconds.observe(0.004);
    server.board.metrics().commits.inc();
    server.board.metrics().commit_seconds.observe(0.001);
    let (status, body) = server.get("/metrics").await;
    assert_eq!(status, 200);
    let labels = r#"{seller="acme",source="main"}"#;
    assert!(body.contains(&format!("{}{labels} 7\n", names::ROWS_READ.name)), "{body}");
    let state = |state: &str| format!(r#"{{seller="acme",source="main",state="{state}"}}"#);
    assert!(body.contains(&format!("{}{} 1\n", names::SELLER_STATE.name, state("streaming"))));
    assert!(body.contains(&format!("{}{} 0\n", names::SELLER_STATE.name, state("halted"))));
    assert!(!body.contains(names::LAG_BYTES.name), "unknown, so not there");
    for name in names::ALL {
        let unknown = [names::LAG_BYTES.name, names::WAL_RETAINED_BYTES.name];
        let there = body.contains(&format!("# HELP {} ", name.name));
        let unheard = names::LAST_CONTACT_SECONDS.name == name.name;
        assert!(there || unheard || unknown.contains(&name.name), "{} is missing", name.name);
    }
}

#[tokio::test]
async fn every_state_of_the_lifecycle_has_a_gauge() {
    let server = Server::start().await;
    let report = server.report();
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
        report.enter(state);
        assert!(server.get("/metrics").await.1.contains(&gauge), "{gauge}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_told_with_its_fix() {
    let server = Server::start().await;
    let error = bind(server.address).await.unwrap_err();
    assert!(error.to_string().contains("another process listens there"), "{error}");
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
