//! A server that is broken, hostile, or only unusual.

use std::io::Write as _;

use connector_api::Error;
use connector_mysql::session::DumpFrom;

use crate::support::dump::Dump;
use crate::support::fake::{Client, Fake, greeting, packet};
use crate::support::{ask, assert_error};

/// What a client says about a server that plays this.
async fn told(play: impl FnOnce(Client) + Send + 'static) -> Error {
    let fake = Fake::new();
    let config = fake.config("ssl-mode=disabled");
    let server = fake.accept(play);
    let told = ask(&config).await.unwrap_err();
    server.join().unwrap();
    told
}

/// What a client says about a server that plays this in a dump.
async fn told_of_dump(play: impl FnOnce(Client) + Send + 'static) -> Error {
    let fake = Fake::new();
    let config = fake.config("ssl-mode=disabled");
    let server = fake.dump(play);
    let from = DumpFrom { file: "log.1".to_owned(), offset: 4, ends_with_the_log: false };
    let told = match Dump::open(&config, &from).await {
        Ok(mut dump) => dump.rest().await.map(drop).unwrap_err(),
        Err(told) => told,
    };
    server.join().unwrap();
    told
}

/// The ROTATE that a stream begins with: header, position, file.
fn rotate() -> Vec<u8> {
    let mut event = vec![0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0x20, 0];
    event.extend_from_slice(&4_u64.to_le_bytes());
    event.extend_from_slice(b"log.1");
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_than_a_database_is_recognised() {
    let http = told(|mut client| client.0.write_all(b"HTTP/1.1 400 Bad Request").unwrap()).await;
    assert_error(&http, "did not begin as MySQL and MariaDB do", Some("host and port"));
    let old = told(|mut client| client.send(0, b"\x09 3.23")).await;
    assert_error(&old, "did not begin as MySQL and MariaDB do", Some("host and port"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_nobody_in_says_why() {
    let full = told(|mut client| client.send(0, b"\xff\x10\x04Too many connections")).await;
    assert_error(&full, "Too many connections (1040)", None);
    let strange = told(|mut client| client.send(0, b"\xff\x6a\x04Host is not allowed")).await;
    assert_error(&strange, "(1130)", Some("CREATE USER 'reader'@'%'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_way_to_log_in_is_named() {
    for plugin in ["auth_gssapi_client", "parsec", "dialog", "mysql_clear_password"] {
        let error = told(move |mut client| {
            client.send(0, &greeting("mysql_native_password"));
            client.hear();
            let mut switch = vec![0xfe];
            switch.extend_from_slice(format!("{plugin}\0nonce\0").as_bytes());
            client.send(2, &switch);
        })
        .await;
        assert_error(&error, &format!("log in by {plugin}, which"), Some("ALTER USER 'reader'"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_that_is_none_is_an_error() {
    let error = told(|mut client| {
        client.send(0, &greeting("caching_sha2_password"));
        client.hear();
        client.send(2, &[1, 4]);
        assert_eq!(client.hear(), [2]);
        client.send(4, b"\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    })
    .await;
    assert_error(&error, "public key that cannot be read", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_no_more_memory_than_a_login_needs() {
    let error = told(|mut client| client.0.write_all(&[0xff, 0xff, 0xff, 0, 10]).unwrap()).await;
    assert_error(&error, "an answer that is too long", None);
    let half = told(|mut client| client.0.write_all(&[0xfe, 0xff, 0xff, 0, 10]).unwrap()).await;
    assert_error(&half, "closed the connection", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_breaks_off_is_taken_up_again() {
    let half = told_of_dump(|mut client| {
        client.send(1, &rotate());
        client.0.write_all(&packet(2, &rotate())[..20]).unwrap();
    });
    assert_error(&half.await, "closed the stream", None);
    let nothing = told_of_dump(drop);
    assert_error(&nothing.await, "closed the connection", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_skips_a_packet_is_an_error() {
    let skipped = told_of_dump(|mut client| {
        client.send(1, &rotate());
        client.send(3, &rotate());
    });
    assert_error(&skipped.await, "packet 3 of the stream instead of packet 2", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_that_never_ends_is_an_error() {
    let endless = told_of_dump(|mut client| {
        client.send(1, &rotate());
        client.0.write_all(&[0xff, 0xff, 0xff, 2, 0, 1, 2, 3]).unwrap();
    });
    assert_error(&endless.await, "closed the stream", None);
    let strange = told_of_dump(|mut client| {
        client.send(1, &rotate());
        client.0.write_all(&[0xff, 0xff, 0xff, 2, 9, 1, 2, 3]).unwrap();
    });
    assert_error(&strange.await, "type 0x09", None);
}
