//! The stream and a server that is silent, broken, hostile, or only unusual.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use connector_api::{Batch, Capture, ChangeStream, Connector as _, Partial, Position, ResumePoint};
use connector_postgres::{PostgresConnector, Slot};

use crate::support::fake::{Fake, Said, Status, begin, commit, frame, keepalive, log};
use crate::support::{LIMIT, assert_error, config, open, point, within};

async fn read(stream: &mut Box<dyn ChangeStream>) -> Result<Batch, connector_api::Error> {
    within("a batch", stream.read()).await
}

/// Waits, and keeps the connection open, until the client ends it.
fn until_closed(mut client: crate::support::fake::Streaming) {
    while client.hear() != Said::Nothing {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_costs_the_time_it_is_given() {
    let fake = Fake::new();
    for rest in ["sslmode=disable", "sslmode=require"] {
        let config = config(&fake.url(&format!("{rest}&connect_timeout=1")));
        let error = open(&config).await.map(drop).unwrap_err();
        assert_error(&error, "let no one in for 1 s", None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_than_postgresql_is_recognised() {
    let fake = Fake::new();
    let config = config(&fake.url("sslmode=require"));
    let server = fake.accept(|mut client| client.write_all(b"HTTP/1.1 400 Bad Request").unwrap());
    let error = open(&config).await.map(drop).unwrap_err();
    assert_error(&error, "which PostgreSQL never does", Some("host and port"));
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_no_more_memory_than_a_login_needs() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.accept(|mut client| {
        client.write_all(b"R\x7f\xff\xff\xff").unwrap();
        let sent = (0..1000).take_while(|_| client.write_all(&[0; 1 << 20]).is_ok()).count();
        assert!(sent < 1000, "it took a gigabyte");
    });
    let error = open(&config).await.map(drop).unwrap_err();
    assert_error(&error, "sent a message of 2147483648 bytes", None);
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_asked_and_then_given_up() {
    let fake = Fake::new();
    let mut config = fake.config();
    config.silence_limit = Duration::from_secs(3);
    let server = fake.stream(|mut client| {
        let mut asked = false;
        while let Said::Status(status) = client.hear() {
            asked |= status.reply_now;
        }
        asked
    });
    let mut stream = open(&config).await.unwrap();
    let error = read(&mut stream).await.unwrap_err();
    assert_error(&error, "has been silent for 3 s", None);
    assert!(server.join().unwrap(), "it was asked first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_protocol_is_an_error_and_never_a_panic() {
    let cases: [(&[u8], &str); 8] = [
        (b"\xff\0\0\0\x04", "a frame of type 0xff"),
        (b"d\0\0\0\0", "a frame of 1 bytes"),
        (b"d\xff\xff\xff\xff", "a frame of 4294967296 bytes"),
        (b"d\0\0\0\x04", "ends too early"),
        (b"d\0\0\0\x05w", "ends too early"),
        (b"d\0\0\0\x08k\0\0\0", "ends too early"),
        (b"d\0\0\0\x05?", "a replication message of type 0x3f"),
        (b"d\0\0\0\x1ew\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0?", "type 0x3f"),
    ];
    for (bytes, told) in cases {
        let fake = Fake::new();
        let config = fake.config();
        let server = fake.stream(|mut client| {
            client.send(bytes);
            until_closed(client);
        });
        let mut stream = open(&config).await.unwrap();
        let error = read(&mut stream).await.unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
        server.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_is_transient_and_its_reason_has_no_row() {
    let shutdown = b"SFATAL\0C57P01\0Mterminating connection\0DKey (name)=(Alice)\0\0";
    let endings = [
        (frame(b'c', b""), "the server ended the stream"),
        (frame(b'E', shutdown), "terminating connection (57P01)"),
        (Vec::new(), "the server closed the stream"),
    ];
    for (ending, told) in endings {
        let fake = Fake::new();
        let config = fake.config();
        let server = fake.stream(move |mut client| client.send(&ending));
        let mut stream = open(&config).await.unwrap();
        let error = read(&mut stream).await.unwrap_err();
        assert_error(&error, told, None);
        assert!(!format!("{error:?}").contains("Alice"));
        server.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_at_once() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.stream(|mut client| {
        let begun = Instant::now();
        for round in 0..50 {
            client.send(&keepalive(0x10 + round, true));
            client.status();
        }
        begun.elapsed()
    });
    let stream = open(&config).await.unwrap();
    let took = tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap();
    // On its timer alone it would have answered once a second.
    assert!(took < Duration::from_secs(25), "{took:?}");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keepalive_moves_the_end_forward_and_never_back_nor_into_a_transaction() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.stream(|mut client| {
        client.send(&keepalive(0x50, false));
        client.send(&begin(0xf0, 7));
        client.send(&keepalive(0x60, false));
        client.send(&commit(0xf0, 0x100));
        client.send(&keepalive(0x80, false));
        client.send(&begin(0x110, 8));
        client.send(&keepalive(0x1000, false));
        client.send(&commit(0x110, 0x120));
        client.send(&keepalive(0x200, false));
        until_closed(client);
    });
    let mut stream = open(&config).await.unwrap();
    let mut ends = Vec::new();
    while ends.last().map(String::as_str) != Some("0/200") {
        ends.push(read(&mut stream).await.unwrap().end().to_string());
    }
    let allowed = ["0/50", "0/100", "0/120", "0/200"];
    let places: Vec<_> = ends.iter().map(|end| allowed.iter().position(|one| one == end)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{ends:?}");
    drop(stream);
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_before_a_partly_read_transaction_has_come_again() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.stream(|mut client| {
        // Sent while the server reads towards the end of that transaction.
        client.send(&keepalive(0x50, false));
        client.send(&begin(0xf0, 7));
        client.send(&commit(0xf0, 0x100));
        until_closed(client);
    });
    let capture = Capture::default();
    let partial = Some(Partial { txid: "7".to_owned(), rows: 0 });
    let from = ResumePoint { partial, ..point("0/0", &capture) };
    let connector = PostgresConnector::new(config);
    let mut stream = within("open", connector.open(from, capture)).await.unwrap();
    let batch = read(&mut stream).await.unwrap();
    assert_eq!(batch.end().as_str(), "0/100");
    drop(stream);
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_hears_what_was_confirmed_and_nothing_more() {
    for (slot, confirms) in
        [(Slot::Named("acme".to_owned()), true), (Slot::Unconfirmed("acme".to_owned()), false)]
    {
        let fake = Fake::new();
        let mut config = fake.config();
        config.slot = slot;
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let server = fake.stream(move |mut client| {
            for place in [0x100_u64, 0x200, 0x300] {
                client.send(&begin(place - 8, 1));
                client.send(&commit(place - 8, place));
            }
            client.send(&keepalive(0x400, true));
            let before = client.status();
            go.send(()).unwrap();
            let after: Vec<Status> = (0..3).map(|_| client.status()).collect();
            (before, after)
        });
        let mut stream = open(&config).await.unwrap();
        while read(&mut stream).await.unwrap().end().as_str() != "0/400" {}
        tokio::task::spawn_blocking(move || wait.recv().unwrap()).await.unwrap();
        stream.confirm(&Position::new("0/200"));
        stream.confirm(&Position::new("0/100"));
        let heard = tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap();
        let confirmed = if confirms { 0x200 } else { 0 };
        assert_eq!(heard.0.confirmed, 0);
        assert_eq!(heard.1.last().unwrap().confirmed, confirmed);
        assert!(heard.1.iter().all(|status| [0, confirmed].contains(&status.confirmed)));
        let head = stream.head();
        assert_eq!((head.position.as_str(), head.lag_bytes), ("0/400", 0x200));
        assert!(head.last_contact.elapsed() < LIMIT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_says_what_was_confirmed_and_takes_leave() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.stream(|mut client| {
        client.send(&begin(0xf0, 7));
        client.send(&commit(0xf0, 0x100));
        let mut last = None;
        loop {
            match client.hear() {
                Said::Status(status) => last = Some(status.confirmed),
                Said::Done => break,
                other => panic!("{other:?}"),
            }
        }
        // What it still had to say does not hold anybody up.
        client.send(&log(&vec![b'M'; 1 << 20]));
        (last, client.hear())
    });
    let mut stream = open(&config).await.unwrap();
    let batch = read(&mut stream).await.unwrap();
    stream.confirm(batch.end());
    within("close", stream.close()).await.unwrap();
    assert_eq!(server.join().unwrap(), (Some(0x100), Said::Terminate));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_a_server_that_does_not_listen() {
    let fake = Fake::new();
    let config = fake.config();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = fake.stream(move |client| {
        wait.recv().unwrap();
        drop(client);
    });
    let stream = open(&config).await.unwrap();
    within("close", stream.close()).await.unwrap();
    go.send(()).unwrap();
    server.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_closes_its_connection() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.stream(until_closed);
    let stream = open(&config).await.unwrap();
    drop(stream);
    tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_many_megabytes_passes_however_it_is_cut() {
    let fake = Fake::new();
    let config = fake.config();
    let server = fake.stream(|mut client| {
        let mut large = log(&vec![b'M'; 48 << 20]);
        large.extend_from_slice(&keepalive(0x500, false));
        for (nth, piece) in large.chunks(3_000_017).enumerate() {
            let (head, tail) = piece.split_at(nth.min(piece.len()));
            client.send(head);
            client.send(tail);
        }
        let mut rest = Vec::new();
        client.0.read_to_end(&mut rest).ok();
    });
    let mut stream = open(&config).await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().end().as_str(), "0/500");
    drop(stream);
    server.join().unwrap();
}
