#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::mpsc;

use super::*;
use crate::host::Host;
use crate::tls::{Check, TlsSettings, WORDS, client_config};

const LIMIT: Duration = Duration::from_secs(20);

/// The other end of a wire, written to from a thread of its own.
type Peer = Box<dyn Write + Send>;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain,
    Encrypted,
    Unix,
}

const KINDS: [Kind; 3] = [Kind::Plain, Kind::Encrypted, Kind::Unix];

/// A wire and its peer. The folder holds what both need.
async fn pair(kind: Kind, folder: &std::path::Path) -> (Wire, Peer) {
    if let Kind::Unix = kind {
        let listener = UnixListener::bind(folder.join("socket")).unwrap();
        let wire = Wire::connect(&Host::Unix(folder.join("socket"))).await.unwrap();
        return (wire, Box::new(listener.accept().unwrap().0));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Host::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
    let mut wire = Wire::connect(&host).await.unwrap();
    let stream = listener.accept().unwrap().0;
    stream.set_nodelay(true).unwrap();
    let Kind::Encrypted = kind else { return (wire, Box::new(stream)) };
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let path = folder.join("ca.pem");
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let accepted = tokio::task::spawn_blocking(move || {
        let connection = rustls::ServerConnection::new(Arc::new(server)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream
    });
    let tls = TlsSettings {
        check: Check::AuthorityAndName,
        root_cert: Some(path),
        client: None,
        words: &WORDS,
    };
    wire.begin_tls(&client_config(&tls).unwrap(), &host, &WORDS).await.unwrap();
    (wire, Box::new(accepted.await.unwrap()))
}

/// Reads as the stream's task does, into a buffer of `room` bytes, until the peer closes.
async fn drain(mut wire: Wire, mut backlog: Backlog, room: usize, seen: mpsc::Sender<usize>) {
    let mut buffer = vec![0; room];
    loop {
        backlog.arrival(&wire).await.unwrap();
        let count = match wire.receive(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        backlog.received(count, &wire).unwrap();
        if count > 0 {
            seen.send(count).await.unwrap();
        }
    }
}

/// Sends `chunks` one after the other, each only once all before it have been read.
async fn ping_pong(kind: Kind, marked: bool, room: usize, chunks: Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let (wire, mut peer) = pair(kind, folder.path()).await;
    let backlog = Backlog { mark: if marked { MOST_MARK } else { 1 }, ..Backlog::new() };
    if marked {
        wire.socket().set_low_water_mark(MOST_MARK).unwrap();
    }
    let (seen, mut arrived) = mpsc::channel(1);
    let reader = tokio::spawn(drain(wire, backlog, room, seen));
    for chunk in chunks {
        let sending = tokio::task::spawn_blocking(move || {
            peer.write_all(&vec![7; chunk]).unwrap();
            peer.flush().unwrap();
            peer
        });
        let mut missing = chunk;
        while missing > 0 {
            let count = tokio::time::timeout(LIMIT, arrived.recv()).await;
            let count = count.unwrap_or_else(|_| panic!("{kind:?}: {missing} of {chunk} stuck"));
            missing -= count.unwrap();
        }
        peer = sending.await.unwrap();
    }
    reader.abort();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_is_ever_stuck_below_the_mark(
        kind in prop::sample::select(&KINDS[..]),
        marked in any::<bool>(),
        room in prop::sample::select(&[1_usize << 10, 5_000, 16 << 10, 256 << 10][..]),
        chunks in prop::collection::vec(
            prop_oneof![1_usize..100, 1_usize..70_000, 60_000_usize..400_000], 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(ping_pong(kind, marked, room, chunks));
    }
}

#[tokio::test]
async fn data_below_the_mark_is_hidden_from_readiness_and_found_by_asking() {
    for kind in [Kind::Plain, Kind::Encrypted] {
        let folder = tempfile::tempdir().unwrap();
        let (mut wire, mut peer) = pair(kind, folder.path()).await;
        let mut buffer = [0; 64];
        // What TLS itself has to say first is out of the way.
        while wire.receive(&mut buffer).is_ok() {}
        wire.socket().set_low_water_mark(MOST_MARK).unwrap();
        peer.write_all(b"few").unwrap();
        peer.flush().unwrap();
        let ready = wire.socket().readable();
        let ready = tokio::time::timeout(Duration::from_millis(100), ready).await;
        assert!(ready.is_err(), "{kind:?}: below the mark, and yet readable");
        assert_eq!(wire.receive(&mut buffer).unwrap(), 3);
    }
}

#[tokio::test]
async fn taking_the_mark_away_wakes_for_what_lay_below_it() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (wire, mut peer) = pair(kind, folder.path()).await;
        wire.socket().set_low_water_mark(MOST_MARK).unwrap();
        peer.write_all(b"few").unwrap();
        peer.flush().unwrap();
        wire.socket().set_low_water_mark(1).unwrap();
        tokio::time::timeout(LIMIT, wire.socket().readable()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_falls_idle_loses_its_mark_and_wakes_for_a_single_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wire, mut peer) = pair(Kind::Plain, folder.path()).await;
    let mut backlog = Backlog { mark: MOST_MARK, ..Backlog::new() };
    wire.socket().set_low_water_mark(MOST_MARK).unwrap();
    let mut buffer = [0; 64];
    backlog.arrival(&wire).await.unwrap();
    assert_eq!(wire.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    backlog.received(0, &wire).unwrap();
    assert_eq!(backlog.mark, 1);
    peer.write_all(b"1").unwrap();
    tokio::time::timeout(LIMIT, wire.socket().readable()).await.unwrap().unwrap();
    assert_eq!(wire.receive(&mut buffer).unwrap(), 1);
}

#[tokio::test]
async fn whoever_is_not_woken_for_what_lies_there_lets_others_have_their_turn() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (wire, mut peer) = pair(kind, folder.path()).await;
        wire.socket().set_low_water_mark(MOST_MARK).unwrap();
        let backlog = Backlog { mark: MOST_MARK, ..Backlog::new() };
        // More than the mark, and it may be more than the socket takes: nobody reads it.
        let writing = std::thread::spawn(move || drop(peer.write_all(&vec![7; 2 * MOST_MARK])));
        while wire.socket().waiting_bytes().unwrap() < MOST_MARK {
            tokio::task::yield_now().await;
        }
        let others = tokio::spawn(std::future::ready(()));
        for _ in 0..1_000 {
            tokio::time::timeout(LIMIT, backlog.arrival(&wire)).await.unwrap().unwrap();
        }
        assert!(others.is_finished(), "{kind:?}: nobody else had a turn");
        drop(wire);
        writing.join().unwrap();
    }
}

#[test]
fn the_mark_follows_a_steady_flow_only() {
    let mut backlog = Backlog::new();
    let begin = backlog.since;
    let tick = |count: u32| begin + TICK * count;
    assert_eq!(backlog.counted(8 << 20, tick(100)), None, "one burst after silence");
    assert_eq!(backlog.counted(2 * LEAST_MARK - 1, tick(101)), None, "little");
    assert_eq!(backlog.counted(1000, tick(101) + TICK / 2), None, "half a tick");
    assert_eq!(backlog.counted(1000, tick(102)), Some(512), "half of what a tick brings");
    assert_eq!(backlog.counted(1100, tick(103)), None, "about as much");
    assert_eq!(backlog.counted(40_000, tick(105)), Some(8192), "more");
    assert_eq!(backlog.counted(100_000, tick(1000)), None, "a pause of our own");
    assert_eq!(backlog.counted(1 << 30, tick(1001)), Some(MOST_MARK), "as much as can be");
    assert_eq!(backlog.counted(10, tick(1002)), Some(1), "it has drained");
}

#[tokio::test]
async fn a_peer_that_closes_is_noticed_under_the_mark() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (wire, peer) = pair(kind, folder.path()).await;
        wire.socket().set_low_water_mark(MOST_MARK).unwrap();
        let (seen, _arrived) = mpsc::channel(1);
        let backlog = Backlog { mark: MOST_MARK, ..Backlog::new() };
        drop(peer);
        tokio::time::timeout(LIMIT, drain(wire, backlog, 64, seen)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_queued_for_a_peer_that_does_not_read_waits_without_a_panic() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let (mut wire, peer) = pair(kind, folder.path()).await;
        let piece = vec![9; 1 << 20];
        let mut queued = 0;
        while !wire.has_outgoing() || queued < 4 << 20 {
            wire.queue(&piece);
            queued += piece.len();
            let _ = wire.try_flush();
        }
        assert!(wire.has_outgoing(), "{kind:?}");
        drop(peer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_what_was_read_works_while_more_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (wire, mut peer) = pair(Kind::Plain, folder.path()).await;
    wire.socket().set_low_water_mark(MOST_MARK).unwrap();
    let backlog = Backlog { mark: MOST_MARK, ..Backlog::new() };
    let writing = std::thread::spawn(move || drop(peer.write_all(&vec![7; 2 * MOST_MARK])));
    while wire.socket().waiting_bytes().unwrap() < MOST_MARK {
        tokio::task::yield_now().await;
    }
    // Either blocks its thread until the other one runs as well.
    let (reads, is_read) = std::sync::mpsc::channel();
    let (works, is_worked_on) = std::sync::mpsc::channel();
    let (hand_over, taken) = tokio::sync::oneshot::channel();
    let taker = tokio::spawn(async move {
        taken.await.unwrap();
        works.send(()).unwrap();
        is_read.recv_timeout(LIMIT).is_ok()
    });
    let reader = tokio::spawn(async move {
        // The taker waits by now, and is woken by this task.
        tokio::task::yield_now().await;
        hand_over.send(()).unwrap();
        backlog.arrival(&wire).await.unwrap();
        reads.send(()).unwrap();
        is_worked_on.recv_timeout(LIMIT).is_ok()
    });
    assert!(reader.await.unwrap(), "what was read lay there");
    assert!(taker.await.unwrap(), "nothing was read meanwhile");
    writing.join().unwrap();
}
