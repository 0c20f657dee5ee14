//! Who the server proves to be.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use testbed::{PostgresOptions, TlsFiles};

use crate::support::certificates::Authority;
use crate::support::fake::{Fake, frame, read_frame, read_startup};
use crate::support::{assert_reached, assert_refused, config, open, server};

const ROLE: &str = "
    set password_encryption = 'scram-sha-256';
    create role scram replication login password 'secret';
";

/// A URL of the role `scram`, whose login is bound to the TLS channel.
fn url(host: &str, port: u16, rest: &str) -> connector_postgres::PostgresConfig {
    config(&format!("postgresql://scram:secret@{host}:{port}/postgres?{rest}"))
}

fn options(files: TlsFiles) -> PostgresOptions {
    PostgresOptions::default().tls(files).hba("hostssl all scram 127.0.0.1/32 scram-sha-256")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_checks_what_it_says() {
    let authority = Authority::new();
    let files = authority.server(authority.sign("server", &["localhost"]));
    let Some(server) = server(options(files), "TLS modes") else { return };
    server.execute(ROLE).unwrap();
    let port = server.port();
    let root = format!("sslrootcert={}", authority.root().display());
    let other = Authority::new();
    let strange = format!("sslrootcert={}", other.root().display());
    let unknown = "signed by an authority that is not known";

    assert_reached(&url("localhost", port, &root), "verify-full by default").await;
    assert_reached(&url("127.0.0.1", port, &format!("sslmode=verify-ca&{root}")), "ca").await;
    assert_reached(&url("127.0.0.1", port, "sslmode=require"), "require").await;

    let wrong_name = url("127.0.0.1", port, &root);
    assert_refused(&wrong_name, "is for another name", Some("subjectAltName")).await;
    for mode in ["verify-ca", "verify-full"] {
        let config = url("localhost", port, &format!("sslmode={mode}&{strange}"));
        assert_refused(&config, unknown, Some("sslrootcert")).await;
    }
    // The authorities of the system know nothing of ours.
    assert_refused(&url("localhost", port, "sslrootcert=system"), unknown, Some("sslrootcert"))
        .await;
    let clear = url("127.0.0.1", port, "sslmode=disable");
    assert_refused(&clear, "(28000)", Some("sslmode=verify-full if that server wants TLS")).await;
    let missing = url("localhost", port, "sslrootcert=/nowhere/ca.pem");
    assert_refused(&missing, "/nowhere/ca.pem cannot be read", Some("PEM file")).await;
    let (_, key) = authority.sign("unrelated", &["x"]);
    let no_certificate = url("localhost", port, &format!("sslrootcert={}", key.display()));
    assert_refused(&no_certificate, "holds no certificate", Some("BEGIN CERTIFICATE")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_the_certificate_is_a_name() {
    let authority = Authority::new();
    let files = authority.server(authority.sign("server", &["127.0.0.1"]));
    let Some(server) = server(options(files), "verify-full to an address") else { return };
    server.execute(ROLE).unwrap();
    let root = format!("sslrootcert={}", authority.root().display());
    assert_reached(&url("127.0.0.1", server.port(), &root), "an address").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_its_own_authority_is_trusted_when_it_is_given() {
    let authority = Authority::new();
    let (certificate, key) = authority.self_signed("own", &["localhost"]);
    let root = format!("sslrootcert={}", certificate.display());
    let files = TlsFiles { certificate, key, client_ca: None };
    let Some(server) = server(options(files), "self-signed certificate") else { return };
    server.execute(ROLE).unwrap();
    let port = server.port();
    assert_reached(&url("localhost", port, &root), "its own authority").await;
    assert_reached(&url("127.0.0.1", port, &format!("{root}&sslmode=verify-ca")), "ca").await;
    let wrong_name = url("127.0.0.1", port, &root);
    assert_refused(&wrong_name, "is for another name", Some("subjectAltName")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    let expired = authority.sign_with("expired", &["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let Some(server) = server(options(authority.server(expired)), "expired certificate") else {
        return;
    };
    let root = format!("sslrootcert={}", authority.root().display());
    let config = url("localhost", server.port(), &root);
    assert_refused(&config, "has expired", Some("renewed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_bound_to_the_channel_whatever_signed_the_certificate() {
    let authority = Authority::new();
    let kinds = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384];
    for (nth, kind) in kinds.into_iter().enumerate() {
        let issuer = Authority::with_key(kind);
        let files = authority.server(issuer.sign(&format!("server{nth}"), &["localhost"]));
        let Some(server) = server(options(files), "channel binding") else { return };
        server.execute(ROLE).unwrap();
        let root = format!("sslrootcert={}", issuer.root().display());
        assert_reached(&url("localhost", server.port(), &root), "bound").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_told_from_one_that_is_away() {
    let Some(server) = server(PostgresOptions::default().controlled(), "no TLS") else { return };
    let config = url("127.0.0.1", server.port(), "sslmode=require");
    assert_refused(&config, "does not offer TLS", Some("ssl = on")).await;
}

/// What a client answers to a server that offers these mechanisms under TLS.
async fn chosen(offered: &'static [u8]) -> Vec<u8> {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server", &["127.0.0.1"]);
    let fake = Fake::new();
    let root = authority.root().display().to_string();
    let config = config(&fake.url(&format!("sslrootcert={root}")).replace("reader", "r:secret"));
    let server = fake.accept(move |mut client| {
        client.read_exact(&mut [0; 8]).unwrap();
        client.write_all(b"S").unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certificate).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(tls)).unwrap();
        let mut client = rustls::StreamOwned::new(connection, client);
        read_startup(&mut client);
        let mut offer = 10_u32.to_be_bytes().to_vec();
        offer.extend_from_slice(offered);
        client.write_all(&frame(b'R', &offer)).unwrap();
        client.flush().unwrap();
        read_frame(&mut client).unwrap().1
    });
    assert!(open(&config).await.is_err());
    server.join().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_strongest_login_that_is_offered_is_taken() {
    let both = chosen(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0").await;
    assert!(both.starts_with(b"SCRAM-SHA-256-PLUS\0"));
    assert!(both.windows(24).any(|part| part == b"p=tls-server-end-point,,"));
    // It says that it could have bound the login, so that nobody can hide the offer.
    let plain = chosen(b"SCRAM-SHA-256\0\0").await;
    assert!(plain.starts_with(b"SCRAM-SHA-256\0"));
    assert!(plain.windows(3).any(|part| part == b"y,,"));
}
