//! Every way to be let in.

use testbed::{Postgres, PostgresOptions};

use crate::support::certificates::Authority;
use crate::support::{assert_reached, assert_refused, config, server};

const ROLES: &str = "
    set password_encryption = 'scram-sha-256';
    create role scram replication login password 'p@ss/w?rd';
    create role clear replication login password 'p@ss/w?rd';
    create role carol replication login;
    create role double replication login password 'p@ss/w?rd';
    set password_encryption = 'md5';
    create role md5 replication login password 'p@ss/w?rd';
";
const PASSWORD: &str = "p%40ss%2Fw%3Frd";

fn lets_in(options: PostgresOptions) -> PostgresOptions {
    let lines = [
        "local all scram scram-sha-256",
        "local all clear password",
        "local all md5 md5",
        "hostssl all double 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
        "hostssl all carol 127.0.0.1/32 cert",
        "host all scram 127.0.0.1/32 scram-sha-256",
        "host all scram ::1/128 scram-sha-256",
        "host all clear 127.0.0.1/32 password",
        "host all md5 127.0.0.1/32 md5",
    ];
    lines.into_iter().fold(options, PostgresOptions::hba)
}

fn start(authority: &Authority, test: &str) -> Option<Postgres> {
    let files = authority.server(authority.sign("server", &["localhost", "127.0.0.1"]));
    let server = server(lets_in(PostgresOptions::default().tls(files)), test)?;
    server.execute(ROLES).unwrap();
    Some(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_password_method_works_under_every_tls_mode() {
    let authority = Authority::new();
    let Some(server) = start(&authority, "password methods and TLS modes") else { return };
    let root = authority.root().display().to_string();
    let port = server.port();
    for mode in ["disable", "require", "verify-ca", "verify-full"] {
        for user in ["scram", "md5", "clear"] {
            let url = format!(
                "postgresql://{user}:{PASSWORD}@127.0.0.1:{port}/postgres?sslmode={mode}\
                 &sslrootcert={root}"
            );
            if (mode, user) == ("disable", "clear") {
                let told = "the server asks for the password in the clear";
                assert_refused(&config(&url), told, Some("sslmode=verify-full")).await;
                continue;
            }
            assert_reached(&config(&url), &format!("{user} with {mode}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_takes_every_password_method_without_tls() {
    let authority = Authority::new();
    let Some(server) = start(&authority, "Unix socket") else { return };
    let folder = server.socket_dir().unwrap().display().to_string();
    let port = server.port();
    for user in ["scram", "md5", "clear"] {
        let login = format!("{user}:{PASSWORD}");
        let by_parameter = format!("postgresql://{login}@:{port}/postgres?host={folder}");
        assert_reached(&config(&by_parameter), user).await;
        let escaped = folder.replace('/', "%2F");
        let by_host = format!("postgresql://{login}@{escaped}:{port}/postgres?sslmode=require");
        assert_reached(&config(&by_host), user).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_login() {
    let authority = Authority::new();
    let Some(server) = start(&authority, "client certificate") else { return };
    let base = |user: &str| {
        let root = authority.root().display().to_string();
        format!(
            "postgresql://{user}@127.0.0.1:{}/postgres?sslmode=verify-full&sslrootcert={root}",
            server.port()
        )
    };
    let with = |user: &str, (certificate, key): &(std::path::PathBuf, std::path::PathBuf)| {
        let (certificate, key) = (certificate.display(), key.display());
        config(&format!("{}&sslcert={certificate}&sslkey={key}", base(user)))
    };
    let carol = authority.sign("carol", &["carol"]);
    assert_reached(&with("carol", &carol), "cert").await;
    assert_reached(&with(&format!("double:{PASSWORD}"), &carol), "password and cert").await;

    let dave = authority.sign("dave", &["dave"]);
    assert_refused(&with("carol", &dave), "(28000)", Some("the certificate's CN")).await;
    assert_refused(&config(&base("carol")), "(28000)", Some("give sslcert and sslkey")).await;
    let strange = Authority::new().sign("carol", &["carol"]);
    // The files of the other authority are gone by now.
    assert_refused(&with("carol", &strange), "sslcert", Some("PEM file")).await;
    let other = Authority::new();
    let strange = other.sign("carol", &["carol"]);
    assert_refused(&with("carol", &strange), "the server refused", Some("sslcert")).await;
    let mixed = (carol.0.clone(), dave.1.clone());
    assert_refused(&with("carol", &mixed), "cannot be used together", Some("key")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_is_a_host() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let authority = Authority::new();
    let files = authority.server(authority.sign("server", &["::1"]));
    let options = PostgresOptions::default().tls(files).setting("listen_addresses", "::1");
    let Some(server) = server(lets_in(options), "IPv6") else { return };
    server.execute(ROLES).unwrap();
    let (root, port) = (authority.root(), server.port());
    let url = format!(
        "postgresql://scram:{PASSWORD}@[::1]:{port}/postgres?sslrootcert={}",
        root.display()
    );
    assert_reached(&config(&url), "::1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_tried_in_turn() {
    let authority = Authority::new();
    let Some(server) = start(&authority, "several hosts") else { return };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Takes connections and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_port = mute.local_addr().unwrap().port();
    let url = format!(
        "postgresql://scram:{PASSWORD}@127.0.0.1:{closed},127.0.0.1:{mute_port},127.0.0.1:{}\
         /postgres?connect_timeout=1&sslmode=disable",
        server.port()
    );
    assert_reached(&config(&url), "the third host").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_one_in_the_wanted_role_is_taken() {
    let Some(primary) = server(PostgresOptions::default().controlled(), "roles of servers") else {
        return;
    };
    let standby = primary.standby(&PostgresOptions::default()).unwrap();
    let url = |first: u16, second: u16, role: &str| {
        let hosts = format!("127.0.0.1:{first},127.0.0.1:{second}");
        let url = format!("postgresql://postgres@{hosts}/postgres?sslmode=disable");
        config(&format!("{url}&target_session_attrs={role}"))
    };
    let (one, other) = (primary.port(), standby.port());
    assert_reached(&url(other, one, "primary"), "the primary is the second").await;
    assert_reached(&url(one, other, "read-write"), "the primary is the first").await;
    assert_refused(&url(other, other, "primary"), "is a standby, and the URL asks", None).await;
    assert_refused(&url(one, one, "standby"), "is a primary, and the URL asks", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_shows_who_is_connected() {
    let Some(server) = server(PostgresOptions::default(), "application name") else { return };
    let url = server.url("postgres", server.database());
    let named = config(&format!("{url}?sslmode=disable&application_name=the%20shop"));
    let stream = crate::support::open(&named).await.unwrap();
    let shown = "select application_name from pg_stat_replication";
    assert_eq!(server.value(shown).unwrap(), "the shop");
    drop(stream);
}
