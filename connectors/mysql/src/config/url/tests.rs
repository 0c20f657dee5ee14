#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> Result<MysqlConfig, BadUrl> {
    MysqlConfig::parse(url, 7)
}

fn tcp(name: &str, port: u16) -> Host {
    Host::Tcp(name.to_owned(), port)
}

#[test]
fn a_short_url_is_safe_by_default() {
    let config = parse("mysql://reader@db.acme.example/shop").unwrap();
    assert_eq!(config.hosts, [tcp("db.acme.example", 3306)]);
    assert_eq!((config.user.as_str(), config.database.as_str()), ("reader", "shop"));
    assert_eq!((config.password, config.server_id), (None, 7));
    assert_eq!(config.tls.mode, SslMode::VerifyIdentity);
    assert_eq!(config.heartbeat, Duration::from_secs(10));
}

#[test]
fn every_part_is_read() {
    let config = parse(
        "mariadb://r%40x:p%2Fw%3a@a:1,[::1]:2,[fe80::1],%2Frun%2Fdb.sock/my%20shop\
         ?ssl-mode=verify-ca&ssl-ca=/ca.pem&ssl-cert=/c.pem&ssl-key=/k.pem&connect_timeout=3\
         &heartbeat=2",
    )
    .unwrap();
    let unix = Host::Unix("/run/db.sock".into());
    assert_eq!(config.hosts, [tcp("a", 1), tcp("::1", 2), tcp("fe80::1", 3306), unix]);
    assert_eq!((config.user.as_str(), config.database.as_str()), ("r@x", "my shop"));
    assert_eq!(config.password.as_deref(), Some("p/w:"));
    assert_eq!(config.tls.mode, SslMode::VerifyCa);
    assert_eq!(config.tls.root_cert, Some("/ca.pem".into()));
    assert_eq!(config.tls.client, Some(("/c.pem".into(), "/k.pem".into())));
    assert_eq!(config.connect_timeout, Duration::from_secs(3));
    assert_eq!(config.heartbeat, Duration::from_secs(2));
}

#[test]
fn a_socket_is_a_parameter_or_a_host() {
    let unix = [Host::Unix("/tmp/db.sock".into())];
    for url in ["r@/shop?socket=/tmp/db.sock", "r@localhost/shop?socket=%2Ftmp/db.sock"] {
        assert_eq!(parse(&format!("mysql://{url}")).unwrap().hosts, unix);
    }
    assert_eq!(parse("mysql://r@%2Ftmp%2Fdb.sock/shop").unwrap().hosts, unix);
}

#[test]
fn modes_are_written_as_mysql_and_mariadb_write_them() {
    let cases = [
        ("DISABLED", SslMode::Disable),
        ("disable", SslMode::Disable),
        ("PREFERRED", SslMode::Preferred),
        ("Required", SslMode::Required),
        ("VERIFY_CA", SslMode::VerifyCa),
        ("VERIFY_IDENTITY", SslMode::VerifyIdentity),
        ("verify-identity", SslMode::VerifyIdentity),
    ];
    for (word, mode) in cases {
        for name in ["ssl-mode", "ssl_mode"] {
            assert_eq!(parse(&format!("mysql://u@h/d?{name}={word}")).unwrap().tls.mode, mode);
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        ("postgresql://u@h/d", "the URL does not begin with mysql:// or mariadb://"),
        ("mysql://h/d", "the URL names no user"),
        ("mysql://u@h", "the URL names no database"),
        ("mysql://u@/d", "the URL names no host"),
        ("mysql://u@h:0/d", "0 is not a port"),
        ("mysql://u@h:70000/d", "70000 is not a port"),
        ("mysql://u@a,,b/d", "the URL names no host"),
        ("mysql://u@::1/d", "an IPv6 address has no brackets"),
        ("mysql://u@[::1/d", "an IPv6 address lacks its ]"),
        ("mysql://u@[::1]5/d", "a ] is followed by something but a port"),
        ("mysql://u@h/d%zz", "the URL has a % that is not followed by two hex digits"),
        ("mysql://u@h/%ff", "the URL has %-escapes that are not text"),
        ("mysql://u@h/a%00b", "the URL has a zero byte"),
        ("mysql://u@h/d?ssl-mode=no", "ssl-mode=no is not known"),
        ("mysql://u@h/d?ssl-cert=/c", "ssl-cert and ssl-key belong together"),
        ("mysql://u@h/d?fallback=1", "the URL has an unknown parameter fallback"),
        ("mysql://u@h/d?ssl-mode=disable&ssl_mode=required", "the URL gives ssl-mode twice"),
        ("mysql://u@h/d?socket=/tmp/s", "the URL names a host and a socket"),
        ("mysql://u@/d?socket=db", "the parameter socket is not the path of a Unix socket"),
        ("mysql://u@h/d?connect_timeout=0", "connect_timeout is 0, not a number of seconds"),
        ("mysql://u@h/d?heartbeat=x", "heartbeat is x, not a number of seconds"),
        ("mysql://u@h/d?password=x", "the URL holds a password as a parameter"),
    ];
    for (url, what) in cases {
        let told = parse(url).unwrap_err();
        assert!(told.what.starts_with(what), "{url}: {told}");
        assert!(!told.fix.is_empty());
    }
    assert!(MysqlConfig::parse("mysql://u@h/d", 0).unwrap_err().what.contains("server id is 0"));
}

#[test]
fn a_password_is_never_shown() {
    let config = parse("mysql://u:hunter2@h/d").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for url in [
        "mysql://u:hun/ter@h/d",
        "mysql://u:h@hun/ter@h/d",
        "mysql://u:hun?ter@h/d",
        "mysql://u:h@x/d?hun/ter@h",
        "mysql://u:hunter%@h/d",
        "mysql://u:hun:ter@h:p/d",
    ] {
        let told = parse(url).unwrap_err();
        assert!(!format!("{told:?}").contains("hun"), "{url}: {told:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_an_error(text in "(mysql://)?.{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_password_comes_through_escaped(password in "[^\\x00]{1,20}") {
        let escaped: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let config = parse(&format!("mysql://u:{escaped}@h/d")).unwrap();
        prop_assert_eq!(config.password, Some(password));
    }
}
