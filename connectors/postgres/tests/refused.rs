//! Every way not to be let in, each told so that it can be mended.

use std::time::Duration;

use connector_api::{Capture, Connector as _, Error, Fault};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};
use testbed::{PostgresOptions, StopMode};

use crate::support::fake::Fake;
use crate::support::{
    assert_error, assert_reached, assert_refused, config, open, point, server, survey, within,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_told_with_its_remedy() {
    let options = PostgresOptions::default()
        .hba("host all reader,plain 127.0.0.1/32 scram-sha-256")
        .hba("host all postgres 127.0.0.1/32 trust");
    let Some(server) = server(options, "refused logins") else { return };
    server
        .execute(
            "set password_encryption = 'scram-sha-256';
             create role reader replication login password 'secret';
             create role plain login password 'secret';
             create role \"Bad\"\"Name\" login",
        )
        .unwrap();
    let url = |login: &str, database: &str| {
        let port = server.port();
        config(&format!("postgresql://{login}@127.0.0.1:{port}/{database}?sslmode=disable"))
    };
    assert_reached(&url("reader:secret", "postgres"), "the right password").await;
    let refused = assert_refused;
    refused(&url("reader:wrong", "postgres"), "(28P01)", Some("password for reader")).await;
    refused(&url("nobody:x", "postgres"), "(28000)", Some("pg_hba.conf")).await;
    let quoted = Some("ALTER ROLE \"Bad\"\"Name\" LOGIN REPLICATION");
    refused(&url("Bad%22Name", "postgres"), "(28000)", quoted).await;
    refused(&url("reader:secret", "nowhere"), "(3D000)", Some("existing database")).await;
    refused(&url("reader", "postgres"), "none is configured", Some("password = {")).await;

    // Ordinary SQL lets it in: the survey has a finding instead.
    let plain = url("plain:secret", "postgres");
    survey(&plain).await.unwrap();
    let error = open(&plain).await.map(drop).unwrap_err();
    assert_error(&error, "(42501)", Some("ALTER ROLE plain REPLICATION;"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_error() {
    let options = PostgresOptions::default().hba("host all all 127.0.0.1/32 scram-sha-256");
    let Some(server) = server(options, "secrets") else { return };
    let port = server.port();
    let url = format!("postgresql://reader:hunter2@127.0.0.1:{port}/postgres?sslmode=disable");
    let error = open(&config(&url)).await.map(drop).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

/// Whatever it is that the server is asked for.
const WAYS: [&str; 7] =
    ["survey", "establish", "open", "log_keeping", "release_log", "detach", "snapshot_reader"];

async fn go(way: &str, config: PostgresConfig) -> Result<(), Error> {
    let (connector, nothing) = (PostgresConnector::new(config), Capture::default());
    let going = async {
        match way {
            "survey" => connector.survey(&nothing, None).await.map(drop),
            "establish" => connector.establish(&nothing).await.map(drop),
            "open" => connector.open(point("0/0", &nothing), nothing).await.map(drop),
            "log_keeping" => connector.log_keeping(None).await.map(drop),
            "release_log" => connector.release_log().await,
            "detach" => connector.detach().await.map(drop),
            _ => connector.snapshot_reader().await.map(drop),
        }
    };
    within(way, going).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_the_password_in_the_clear() {
    for way in WAYS {
        let fake = Fake::new();
        let config = PostgresConfig { password: Some("hunter2".to_owned()), ..fake.config() };
        let asking = fake.ask_for_the_password();
        let error = go(way, config).await.unwrap_err();
        assert_eq!(asking.join().unwrap(), None, "{way}");
        let told = "the server asks for the password in the clear";
        assert_error(&error, told, Some("sslmode=verify-full"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_in_and_answers_nothing_is_given_up() {
    // What reads tables looks at its server's silence alone.
    for way in &WAYS[..6] {
        let fake = Fake::new();
        let config = PostgresConfig { answer_time: Duration::from_secs(1), ..fake.config() };
        let silent = fake.fall_silent();
        let error = go(way, config).await.unwrap_err();
        assert_error(&error, "did not answer", None);
        silent.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_full_is_tried_again() {
    let options = PostgresOptions::default().setting("max_wal_senders", "1").controlled();
    let Some(server) = server(options, "a server that is away or full") else { return };
    let url = config(&format!(
        "postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        server.port()
    ));
    let only = open(&url).await.unwrap();
    let error = open(&url).await.map(drop).unwrap_err();
    assert_error(&error, "(53300)", None);
    drop(only);
    server.stop(StopMode::Fast).unwrap();
    assert_refused(&url, "cannot be reached", None).await;
    let folder = server.socket_dir().unwrap().display().to_string();
    let unix = format!("postgresql://postgres@:{}/postgres?host={folder}", server.port());
    assert_refused(&config(&unix), "cannot be reached", None).await;
    let unknown = "postgresql://postgres@no-such-host.invalid/postgres?sslmode=disable";
    assert_refused(&config(unknown), "cannot be reached", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_in_use_names_its_holder_and_a_missing_one_is_looked_at_again() {
    let Some(server) = server(PostgresOptions::default().controlled(), "slots") else { return };
    server.execute("create publication tailstock for all tables").unwrap();
    let mut config = config(&format!(
        "postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        server.port()
    ));
    config.slot = Slot::Named("acme".to_owned());
    let connector = PostgresConnector::new(config.clone());
    let nothing = Capture::default();
    let from = connector.establish(&nothing).await.unwrap();
    server.value("select pg_drop_replication_slot('acme')").unwrap();
    let error = connector.open(from, nothing.clone()).await.map(drop).unwrap_err();
    assert_error(&error, "slot acme has gone since it was looked at", None);
    let from = connector.establish(&nothing).await.unwrap();
    let holder = connector.open(from.clone(), nothing.clone()).await.unwrap();
    let error = connector.open(from, nothing.clone()).await.map(drop).unwrap_err();
    assert!(matches!(error.fault(), Fault::Held { .. }), "{error}");
    assert!(error.to_string().contains("PID"), "{error}");
    let error = survey(&config).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::Held { .. }), "{error}");
    drop(holder);
}
