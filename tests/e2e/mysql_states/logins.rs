use std::net::TcpListener;
use std::path::Path;

use testbed::{MysqlOptions, TlsFiles};

use super::fake::{Fake, old_server, other_plugin};
use super::{STOCK, Server, compare, seller, tailstock, text};
use crate::support::Workspace;

#[test]
fn a_login_to_mysql_or_mariadb_that_fails_says_why() {
    let options = MysqlOptions::default();
    for server in Server::each(&options, "a_login_to_mysql_or_mariadb_that_fails_says_why") {
        server.sql(
            "CREATE USER elsewhere@'10.1.2.3' IDENTIFIED BY 'secret';
             CREATE USER locked@'%' IDENTIFIED BY 'secret' ACCOUNT LOCK;
             CREATE USER tls@'%' IDENTIFIED BY 'secret' REQUIRE SSL;
             GRANT SELECT ON *.* TO tls@'%'",
        );
        let tells = |name: &str, user: &str, password| {
            server.tells_with(name, 4, &seller(&server.url(user), password, STOCK));
        };
        tells("wrong_password", "tail", Some("WRONG"));
        tells("no_password", "tail", None);
        tells("unknown_user", "nobody", Some("RIGHT"));
        tells("user_of_another_host", "elsewhere", Some("RIGHT"));
        tells("locked_account", "locked", Some("RIGHT"));
        tells("tls_is_wanted", "tls", Some("RIGHT"));
        let elsewhere = |user: &str| server.url(user).replace("/shop?", "/nowhere?");
        let unseen = seller(&elsewhere("tail"), Some("RIGHT"), STOCK);
        server.tells_with("unseen_database", 4, &unseen);
        server.tells_with("unknown_database", 4, &seller(&elsewhere("root"), None, STOCK));
    }
}

#[test]
fn a_mysql_or_mariadb_server_that_cannot_prove_who_it_is_is_not_talked_to() {
    let test = "a_mysql_or_mariadb_server_that_cannot_prove_who_it_is";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let signed = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("server.pem"), signed.cert.pem()).unwrap();
    std::fs::write(path("server.key"), signed.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("other.pem"), other.cert.pem()).unwrap();
    let files =
        TlsFiles { certificate: path("server.pem"), key: path("server.key"), client_ca: None };
    let with = |server: &Server, rest: &str| {
        let url = server.url("tail").replace("ssl-mode=disabled", rest);
        seller(&url, Some("RIGHT"), STOCK)
    };
    let root = |path: &Path| format!("ssl-ca={}", path.display());
    for server in Server::each(&MysqlOptions::default().tls(files), test) {
        let strange = with(&server, &root(&path("other.pem")));
        server.tells_with("certificate_of_an_unknown_authority", 4, &strange);
        let named = with(&server, &root(&path("server.pem")));
        server.tells_with("certificate_of_another_name", 4, &named);
        server.tells_with("certificate_of_nobody_known", 4, &with(&server, ""));
        let missing = with(&server, &root(&path("nothing.pem")));
        server.tells_with("authority_that_is_not_there", 2, &missing);
    }
    for version in super::FAMILIES {
        let (setting, value) =
            if version.is_mariadb() { ("ssl", "OFF") } else { ("tls_version", "''") };
        let options = MysqlOptions::default().setting(setting, value);
        let Some(server) = Server::start(version, &options, test) else { continue };
        server.tells_with("tls_not_offered", 4, &with(&server, ""));
    }
}

#[test]
fn servers_that_are_none_of_ours_say_why() {
    for (name, fake) in [
        ("unknown_plugin_of_mysql", Fake::start(|client| other_plugin(client, "9.7.0"))),
        (
            "unknown_plugin_of_mariadb",
            Fake::start(|client| other_plugin(client, "5.5.5-11.8.6-MariaDB")),
        ),
        ("old_mysql", Fake::start(|client| old_server(client, "5.7.44-log"))),
        ("old_mariadb", Fake::start(|client| old_server(client, "5.5.5-10.4.34-MariaDB-log"))),
        ("no_database_at_all", Fake::start(|client| client.says(b"SSH-2.0-OpenSSH_9.2p1\r\n"))),
    ] {
        let url = fake.url("tail");
        let workspace = Workspace::new(Workspace::MAIN, &seller(&url, Some("RIGHT"), STOCK));
        let output = super::run(&workspace);
        let told = text(&output.stderr).replace(&format!(":{}", fake.port()), ":PORT");
        assert_eq!(output.status.code(), Some(4), "{name}: {told}");
        compare(name, &told);
    }
}

#[test]
fn nobody_listening_says_so_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let workspace = Workspace::new(Workspace::MAIN, "");
    let url = format!("mysql://tail@127.0.0.1:{closed}/shop");
    let output = tailstock(&["tail", "--url", &url], &workspace);
    let told = text(&output.stderr).replace(&format!(":{closed}"), ":PORT");
    assert_eq!(output.status.code(), Some(1), "{told}");
    compare("nobody_listening", &told);
}
