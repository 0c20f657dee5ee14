#![allow(clippy::unwrap_used)]

use connector_transport::Check;
use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> Result<PostgresConfig, BadUrl> {
    PostgresConfig::parse(url, "tailstock", Slot::Named("s".to_owned()))
}

fn tcp(name: &str, port: u16) -> Host {
    Host::Tcp(name.to_owned(), port)
}

#[test]
fn a_short_url_is_safe_by_default() {
    let config = parse("postgresql://reader@db.acme.example/shop").unwrap();
    assert_eq!(config.hosts, [tcp("db.acme.example", 5432)]);
    assert_eq!((config.user.as_str(), config.database.as_str()), ("reader", "shop"));
    assert_eq!(config.password, None);
    assert_eq!(config.tls.mode, SslMode::VerifyFull);
    assert_eq!(config.target, Role::Any);
    assert_eq!(config.application_name, "tailstock");
}

#[test]
fn every_part_is_read() {
    let config = parse(
        "postgres://r%40x:p%2Fw%3a@a:1,[::1]:2,[fe80::1],%2Frun%2Fpg:3/my%20shop?sslmode=verify-ca\
         &sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&connect_timeout=3\
         &application_name=shop&target_session_attrs=primary",
    )
    .unwrap();
    let unix = Host::Unix("/run/pg".into(), 3);
    assert_eq!(config.hosts, [tcp("a", 1), tcp("::1", 2), tcp("fe80::1", 5432), unix.clone()]);
    assert_eq!((config.user.as_str(), config.database.as_str()), ("r@x", "my shop"));
    assert_eq!(config.password.as_deref(), Some("p/w:"));
    assert_eq!(config.tls.root_cert, Some("/ca.pem".into()));
    assert_eq!(config.tls.client, Some(("/c.pem".into(), "/k.pem".into())));
    assert_eq!(config.connect_timeout, Duration::from_secs(3));
    assert_eq!((config.target, config.application_name.as_str()), (Role::Primary, "shop"));
    let protected = config.tls_to(&config.hosts[0]).unwrap();
    assert_eq!(protected.check, Check::Authority);
    assert!(config.tls_to(&unix).is_none());
}

#[test]
fn a_socket_folder_is_a_parameter_or_a_host() {
    let by_parameter = parse("postgresql://r@/shop?host=/run/postgresql").unwrap();
    assert_eq!(by_parameter.hosts, [Host::Unix("/run/postgresql".into(), 5432)]);
    let with_port = parse("postgresql://r@:5433/shop?host=/tmp").unwrap();
    assert_eq!(with_port.hosts, [Host::Unix("/tmp".into(), 5433)]);
    let as_host = parse("postgresql://r@%2Ftmp/shop").unwrap();
    assert_eq!(as_host.hosts, [Host::Unix("/tmp".into(), 5432)]);
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        ("mysql://u@h/d", "the URL does not begin with postgresql://"),
        ("postgresql://h/d", "the URL names no user"),
        ("postgresql://u@h", "the URL names no database"),
        ("postgresql://u@/d", "the URL names no host"),
        ("postgresql://u@h:0/d", "0 is not a port"),
        ("postgresql://u@h:70000/d", "70000 is not a port"),
        ("postgresql://u@a,,b/d", "the URL names no host"),
        ("postgresql://u@::1/d", "an IPv6 address has no brackets"),
        ("postgresql://u@[::1/d", "an IPv6 address lacks its ]"),
        ("postgresql://u@[::1]5/d", "a ] is followed by something but a port"),
        ("postgresql://u@h/d%zz", "the URL has a % that is not followed by two hex digits"),
        ("postgresql://u@h/d%+f", "the URL has a % that is not followed by two hex digits"),
        ("postgresql://u@h/%ff", "the URL has %-escapes that are not text"),
        ("postgresql://u@h/a%00b", "the URL has a zero byte"),
        ("postgresql://u@h/d?sslmode=prefer", "sslmode=prefer may send everything in the clear"),
        ("postgresql://u@h/d?sslmode=no", "sslmode=no is not known"),
        ("postgresql://u@h/d?sslcert=/c", "sslcert and sslkey belong together"),
        ("postgresql://u@h/d?fallback=1", "the URL has an unknown parameter fallback"),
        ("postgresql://u@h/d?sslmode=disable&sslmode=require", "the URL gives sslmode twice"),
        ("postgresql://u@h/d?host=/tmp", "the URL names a host and a socket folder"),
        ("postgresql://u@/d?host=db", "the parameter host is not the folder of a Unix socket"),
        ("postgresql://u@h/d?connect_timeout=0", "connect_timeout is 0, not a number of seconds"),
        ("postgresql://u@h/d?target_session_attrs=x", "target_session_attrs=x is not known"),
        ("postgresql://u@h/d?password=x", "the URL holds a password as a parameter"),
    ];
    for (url, what) in cases {
        let told = parse(url).unwrap_err();
        assert!(told.what.starts_with(what), "{url}: {told}");
        assert!(!told.fix.is_empty());
    }
}

#[test]
fn a_password_is_never_shown() {
    let config = parse("postgresql://u:hunter2@h/d").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for url in [
        "postgresql://u:hun/ter@h/d",
        "postgresql://u:h@hun/ter@h/d",
        "postgresql://u:hun?ter@h/d",
        "postgresql://u:h@x/d?hun/ter@h",
        "postgresql://u:hunter%@h/d",
        "postgresql://u:hun:ter@h:p/d",
    ] {
        let told = parse(url).unwrap_err();
        assert!(!format!("{told:?}").contains("hun"), "{url}: {told:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_an_error(text in "(postgresql://)?.{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_password_comes_through_escaped(password in "[^\\x00]{1,20}") {
        let escaped: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let config = parse(&format!("postgresql://u:{escaped}@h/d")).unwrap();
        prop_assert_eq!(config.password, Some(password));
    }
}
