//! Who the server proves to be.

use connector_mysql::MysqlConfig;
use testbed::{Mysql, MysqlOptions, MysqlVersion, TlsFiles, mysql_or_skip};

use crate::support::certificates::Authority;
use crate::support::{ask, assert_error, assert_reached, assert_refused, config};

fn start(version: MysqlVersion, files: TlsFiles) -> Option<Mysql> {
    let options = MysqlOptions::default().tls(files).controlled();
    let server = mysql_or_skip(version, &options, "TLS")?;
    server.execute("CREATE USER shy@'%' REQUIRE SSL").unwrap();
    server.execute("CREATE USER certified@'%' REQUIRE X509").unwrap();
    server.execute("GRANT SELECT ON shop.* TO shy@'%', certified@'%'").unwrap();
    Some(server)
}

fn url(login_at_host: &str, server: &Mysql, rest: &str) -> MysqlConfig {
    config(&format!("mysql://{login_at_host}:{}/shop?{rest}", server.port()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_checks_what_it_says() {
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb1011] {
        let authority = Authority::new();
        let files = authority.server(authority.sign("server", &["localhost"]));
        let Some(server) = start(version, files) else { continue };
        let root = format!("ssl-ca={}", authority.root().display());
        let other = Authority::new();
        let strange = format!("ssl-ca={}", other.root().display());
        let unknown = "signed by an authority that is not known";

        assert_reached(&url("shy@localhost", &server, &root), "verify-identity by default").await;
        let chain = format!("ssl-mode=VERIFY_CA&{root}");
        assert_reached(&url("shy@127.0.0.1", &server, &chain), "verify-ca").await;
        for mode in ["required", "preferred"] {
            let anyone = format!("ssl-mode={mode}");
            assert_reached(&url("shy@127.0.0.1", &server, &anyone), mode).await;
        }
        let wrong_name = url("shy@127.0.0.1", &server, &root);
        assert_refused(&wrong_name, "is for another name", Some("subjectAltName")).await;
        for mode in ["verify-ca", "verify-identity"] {
            let config = url("shy@localhost", &server, &format!("ssl-mode={mode}&{strange}"));
            assert_refused(&config, unknown, Some("ssl-ca")).await;
        }
        // The authorities of the system know nothing of ours.
        assert_refused(&url("shy@localhost", &server, ""), unknown, Some("ssl-ca")).await;
        let missing = url("shy@localhost", &server, "ssl-ca=/nowhere/ca.pem");
        assert_refused(&missing, "/nowhere/ca.pem cannot be read", Some("PEM file")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_a_name_is_told_by_its_authority() {
    let authority = Authority::new();
    // As MySQL makes them for itself.
    let nameless = authority.sign_with("nameless", &["a server"], |params| {
        params.subject_alt_names.clear();
    });
    let files = authority.server(nameless);
    let Some(server) = start(MysqlVersion::Mysql97, files) else { return };
    let root = format!("ssl-ca={}", authority.root().display());
    let by_authority = format!("{root}&ssl-mode=verify-ca");
    assert_reached(&url("shy@localhost", &server, &by_authority), "verify-ca").await;
    let by_name = url("shy@localhost", &server, &root);
    assert_refused(&by_name, "is for another name", Some("ssl-mode=verify-ca")).await;
    let other = Authority::new();
    let strange = format!("ssl-ca={}&ssl-mode=verify-ca", other.root().display());
    let unknown = "signed by an authority that is not known";
    assert_refused(&url("shy@localhost", &server, &strange), unknown, Some("ssl-ca")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_demands_tls_says_so() {
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb1011] {
        let authority = Authority::new();
        let files = authority.server(authority.sign("server", &["localhost"]));
        let Some(server) = start(version, files) else { continue };
        server.execute("SET GLOBAL require_secure_transport = ON").unwrap();
        let clear = url("root@127.0.0.1", &server, "ssl-mode=disabled");
        // MariaDB has no number of its own for it.
        assert_refused(&clear, "logging in", Some("write ssl-mode=verify-identity")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_it_is_given() {
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb1011] {
        let authority = Authority::new();
        let files = authority.server(authority.sign("server", &["localhost"]));
        let Some(server) = start(version, files) else { continue };
        let root = authority.root().display().to_string();
        let with = |(certificate, key): &(std::path::PathBuf, std::path::PathBuf)| {
            let (certificate, key) = (certificate.display(), key.display());
            let files = format!("ssl-ca={root}&ssl-cert={certificate}&ssl-key={key}");
            url("certified@localhost", &server, &files)
        };
        let mine = authority.sign("client", &["client"]);
        assert_reached(&with(&mine), "X509").await;
        let without = url("certified@localhost", &server, &format!("ssl-ca={root}"));
        assert_refused(&without, "(1045)", Some("ssl-cert")).await;
        let other = Authority::new();
        let strange = other.sign("client", &["client"]);
        let refused = ask(&with(&strange)).await.unwrap_err();
        assert_error(&refused, "the server refused", Some("ssl-cert"));
        let mixed = (mine.0.clone(), strange.1.clone());
        assert_refused(&with(&mixed), "cannot be used together", Some("key")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_its_own_authority_is_trusted_when_it_is_given() {
    let authority = Authority::new();
    let (certificate, key) = authority.self_signed("own", &["localhost"]);
    let root = format!("ssl-ca={}", certificate.display());
    let files = TlsFiles { certificate, key, client_ca: None };
    let Some(server) = start(MysqlVersion::Mariadb1011, files) else { return };
    ask(&url("shy@localhost", &server, &root)).await.unwrap();
    let wrong_name = ask(&url("shy@127.0.0.1", &server, &root)).await.unwrap_err();
    assert_error(&wrong_name, "is for another name", Some("subjectAltName"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_taken_as_it_is_only_where_that_was_said() {
    let options = MysqlOptions::default().controlled();
    let Some(server) = mysql_or_skip(MysqlVersion::Mariadb105, &options, "no TLS") else { return };
    let required = url("root@127.0.0.1", &server, "ssl-mode=required");
    assert_refused(&required, "does not offer TLS", Some("ssl-mode=disabled")).await;
    assert_reached(&url("root@127.0.0.1", &server, "ssl-mode=preferred"), "preferred").await;
    let socket = server.socket().unwrap();
    let by_socket = config(&format!("mysql://root@/shop?socket={}", socket.display()));
    assert_reached(&by_socket, "a socket needs none").await;
}
