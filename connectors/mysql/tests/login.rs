//! Every way to be let in, and every way not to be.

use connector_mysql::session::{Session, SqlClient};
use testbed::{Mysql, MysqlOptions, MysqlVersion, mysql_or_skip, shared_mysql_or_skip};

use crate::support::{
    PASSWORD, PASSWORD_SQL, ask, assert_error, assert_reached, assert_refused, config,
};

const VERSIONS: [MysqlVersion; 4] = [
    MysqlVersion::Mysql97,
    MysqlVersion::Mariadb105,
    MysqlVersion::Mariadb1011,
    MysqlVersion::Mariadb118,
];

/// A URL of this user on the server.
fn url(server: &Mysql, login: &str, rest: &str) -> String {
    format!("mysql://{login}@127.0.0.1:{}/{}?{rest}", server.port(), server.database())
}

/// Users of a shared server have the name of the database in theirs, which nobody else has.
fn create(server: &Mysql, user: &str, identified: &str) -> String {
    let (user, database) = (format!("{user}_{}", server.database()), server.database());
    let user = user[user.len().saturating_sub(32)..].to_owned();
    server.execute(&format!("CREATE USER `{user}`@'%' {identified}")).unwrap();
    server.execute(&format!("GRANT SELECT ON `{database}`.* TO `{user}`@'%'")).unwrap();
    user
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_a_login_on_every_server() {
    for version in VERSIONS {
        let Some(server) = shared_mysql_or_skip(version, "passwords") else { continue };
        let user = create(&server, "p", &format!("IDENTIFIED BY '{PASSWORD_SQL}'"));
        let right = config(&url(&server, &format!("{user}:{PASSWORD}"), "ssl-mode=disabled"));
        assert_reached(&right, server.origin()).await;
        let wrong = config(&url(&server, &format!("{user}:other"), "ssl-mode=disabled"));
        assert_refused(&wrong, "(1045)", Some("set the right password")).await;
        let none = config(&url(&server, &user, "ssl-mode=disabled"));
        assert_refused(&none, "(1045)", Some("add password =")).await;
        let empty = create(&server, "e", "");
        assert_reached(&config(&url(&server, &empty, "ssl-mode=disabled")), "no password").await;
        let mut missing = right.clone();
        missing.database = "no_such_shop".to_owned();
        // Nothing of a database is told to those who may not see it.
        assert_refused(&missing, "(1044)", Some("GRANT SELECT ON `no_such_shop`")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_told() {
    let Some(server) = shared_mysql_or_skip(MysqlVersion::Mariadb1011, "missing database") else {
        return;
    };
    let url = format!("{}?ssl-mode=disabled", server.url("root", "no_such_shop"));
    assert_refused(&config(&url), "(1049)", Some("existing database")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_what_it_is() {
    for version in VERSIONS {
        let Some(server) = shared_mysql_or_skip(version, "flavors") else { continue };
        let url = format!("{}?ssl-mode=disabled", server.url("root", server.database()));
        let session = Session::connect(&config(&url)).await.unwrap();
        let client = SqlClient::connect(&config(&url)).await.unwrap();
        assert!(session.server_version().starts_with(version.number()));
        assert_eq!(session.server_version(), client.server_version());
        assert_eq!(session.flavor(), client.flavor());
        session.close().await;
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_known_to_the_server_the_second_time_and_shown_to_it_alone_the_first() {
    let options = MysqlOptions::default().controlled();
    let Some(server) = mysql_or_skip(MysqlVersion::Mysql97, &options, "caching_sha2_password")
    else {
        return;
    };
    let how = format!("IDENTIFIED WITH caching_sha2_password BY '{PASSWORD_SQL}'");
    let user = create(&server, "sha", &how);
    let login = format!("{user}:{PASSWORD}");
    let socket = server.socket().unwrap();
    let by_socket = format!("mysql://{login}@/shop?socket={}", socket.display());
    let ways = [
        url(&server, &login, "ssl-mode=disabled"),
        url(&server, &login, "ssl-mode=required"),
        url(&server, &login, "ssl-mode=preferred"),
        by_socket,
    ];
    for way in ways {
        // It forgets whom it knows.
        server.execute("FLUSH PRIVILEGES").unwrap();
        for time in ["the first time", "the second time"] {
            ask(&config(&way)).await.unwrap_or_else(|error| panic!("{way}, {time}: {error}"));
        }
        server.execute("FLUSH PRIVILEGES").unwrap();
        assert_reached(&config(&way), &way).await;
        let wrong = way.replace(PASSWORD, "other");
        assert_refused(&config(&wrong), "(1045)", Some("set the right password")).await;
    }
    let secure = create(&server, "tls", "REQUIRE SSL");
    let clear = config(&url(&server, &secure, "ssl-mode=disabled"));
    assert_refused(&clear, "(1045)", Some("write ssl-mode=verify-identity")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ed25519_key_is_a_login() {
    let options = MysqlOptions::default().controlled();
    let version = MysqlVersion::Mariadb105;
    let Some(server) = mysql_or_skip(version, &options, "ed25519") else { return };
    server.execute("INSTALL SONAME 'auth_ed25519'").unwrap();
    let how = format!("IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD_SQL}')");
    let user = create(&server, "ed", &how);
    let right = url(&server, &format!("{user}:{PASSWORD}"), "ssl-mode=disabled");
    assert_reached(&config(&right), "ed25519").await;
    let wrong = config(&right.replace(PASSWORD, "other"));
    assert_refused(&wrong, "(1045)", Some("set the right password")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_operating_system_is_told_to_come_by_the_socket() {
    let Some(server) = shared_mysql_or_skip(MysqlVersion::Mariadb1011, "unix_socket") else {
        return;
    };
    let user = create(&server, "os", "IDENTIFIED VIA unix_socket");
    let config = config(&url(&server, &user, "ssl-mode=disabled"));
    assert_refused(&config, "(1698)", Some("connect with socket=")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_closed_say_how_they_are_opened() {
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb118] {
        let Some(server) = shared_mysql_or_skip(version, "closed accounts") else { continue };
        let how = format!("IDENTIFIED BY '{PASSWORD_SQL}' ACCOUNT LOCK");
        let locked = create(&server, "l", &how);
        let url = |user: &str| url(&server, &format!("{user}:{PASSWORD}"), "ssl-mode=disabled");
        assert_refused(&config(&url(&locked)), "logging in", Some("ACCOUNT UNLOCK")).await;
        let how = format!("IDENTIFIED BY '{PASSWORD_SQL}' PASSWORD EXPIRE");
        let expired = create(&server, "x", &how);
        assert_refused(&config(&url(&expired)), "", Some("its password has expired")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_tried_in_turn() {
    let Some(server) = shared_mysql_or_skip(MysqlVersion::Mariadb1011, "several hosts") else {
        return;
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Takes connections and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_port = mute.local_addr().unwrap().port();
    let url = format!(
        "mysql://root@127.0.0.1:{closed},127.0.0.1:{mute_port},127.0.0.1:{}/{}\
         ?connect_timeout=1&ssl-mode=disabled",
        server.port(),
        server.database()
    );
    assert_reached(&config(&url), "the third host").await;
    let alone = format!("mysql://root@127.0.0.1:{mute_port}/shop?connect_timeout=1");
    assert_refused(&config(&alone), "let no one in for 1 s", None).await;
    let nobody = format!("mysql://root@127.0.0.1:{closed}/shop?ssl-mode=disabled");
    assert_refused(&config(&nobody), "cannot be reached", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_is_a_host() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let options = MysqlOptions::default().setting("bind_address", "::1");
    let Some(server) = mysql_or_skip(MysqlVersion::Mariadb1011, &options, "IPv6") else { return };
    let url = format!("mysql://root@[::1]:{}/shop?ssl-mode=disabled", server.port());
    assert_reached(&config(&url), "::1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_answered_leaves_the_session_usable() {
    let Some(server) = shared_mysql_or_skip(MysqlVersion::Mysql97, "questions") else { return };
    let url = format!("{}?ssl-mode=disabled", server.url("root", server.database()));
    let mut session = Session::connect(&config(&url)).await.unwrap();
    let told = session.query("SELECT 1 FROM nowhere WHERE name = 'Alice'").await.unwrap_err();
    assert!(told.to_string().starts_with("SELECT 1 FROM nowhere WHERE name: "), "{told}");
    let numbers = session.query("SELECT 1 UNION SELECT 2").await.unwrap();
    assert_eq!(numbers.len(), 2);
    assert_eq!(session.query("SET @nothing = 1").await.unwrap().len(), 0);
    let long = session.query("SELECT REPEAT('x', 70000)").await.unwrap();
    assert_eq!(long[0][0].as_ref().map(String::len), Some(70_000));
    assert_error(
        &session.query("SELECT REPEAT('x', 17000000)").await.unwrap_err(),
        "an answer that is too long",
        None,
    );
}
