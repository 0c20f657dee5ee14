#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn config(rest: &str) -> MysqlConfig {
    MysqlConfig::parse(&format!("mysql://{rest}"), 7).unwrap()
}

fn told(code: u16, message: &str, doing: &Doing<'_>) -> Error {
    let told = ServerMessage { code, state: String::new(), message: message.to_owned() };
    told.classify(doing, &config("rea'der@db/shop"), Flavor::MySql)
}

#[test]
fn the_number_decides_what_an_error_asks_for() {
    let transient = [1040, 1053, 1158, 1203, 1205, 1213, 1226, 1317, 1927, 1969, 3024, 3168, 4031];
    let operator = [
        1044, 1045, 1049, 1129, 1130, 1142, 1143, 1227, 1251, 1381, 1524, 1698, 1820, 1862, 2059,
        3118, 3159, 4151,
    ];
    for code in transient {
        assert_eq!(*told(code, "no", &Doing::Streaming).fault(), Fault::Transient, "{code}");
    }
    for code in operator {
        let error = told(code, "no", &Doing::Asking("SELECT secret('x')"));
        assert_eq!(error.to_string(), format!("SELECT secret: no ({code})"));
        assert!(error.fix().is_some_and(|fix| !fix.is_empty()), "{code}");
    }
    for code in [0, 1064, 1193, 1146, 65535] {
        assert_eq!(*told(code, "no", &Doing::Streaming).fault(), Fault::Definite, "{code}");
    }
}

#[test]
fn an_access_denied_is_a_password_at_login_and_a_grant_later() {
    let host = Host::Tcp("db".to_owned(), 3306);
    let login = told(1045, "Access denied", &Doing::LoggingIn(&host));
    assert_eq!(login.to_string(), "logging in to db:3306 as rea'der: Access denied (1045)");
    assert!(login.fix().unwrap().starts_with("add password ="), "{login:?}");
    let later = told(1045, "Access denied", &Doing::Streaming);
    let grant = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'rea''der'@'%';";
    assert_eq!(later.fix(), Some(grant));
}

#[test]
fn a_remedy_is_in_the_words_of_the_family() {
    let fix = |code, flavor| {
        let told = ServerMessage { code, ..ServerMessage::default() };
        let error = told.classify(&Doing::Streaming, &config("u:p@db/shop"), flavor);
        error.fix().unwrap().to_owned()
    };
    let mariadb = fix(1227, Flavor::MariaDb);
    assert_eq!(mariadb, "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'u'@'%';");
    assert!(fix(1820, Flavor::MariaDb).contains("VIA ed25519 USING PASSWORD('...')"));
    assert!(fix(1820, Flavor::MySql).contains("WITH caching_sha2_password BY '...'"));
}

#[test]
fn the_one_number_of_a_dump_is_told_apart_by_its_words() {
    let of = |message| told(1236, message, &Doing::Streaming).fault().clone();
    let taken = of("A replica with the same server_uuid/server_id as this replica has connected");
    assert!(matches!(taken, Fault::Operator { .. }));
    let of_mariadb = told(4052, "no", &Doing::Streaming);
    assert!(matches!(of_mariadb.fault(), Fault::Operator { .. }));
    assert_eq!(of("Could not find first log file name in binary log index file"), Fault::Transient);
    assert_eq!(of("Client requested source to start from position > file size"), Fault::Transient);
    let behind = "Client requested master to start replication from impossible position";
    assert_eq!(of(behind), Fault::Transient);
    assert_eq!(of("bogus data in log event; the first event"), Fault::Definite);
    assert!(matches!(of("Binary log is not open"), Fault::Operator { .. }));
    assert!(matches!(of("log event entry exceeded max_allowed_packet"), Fault::Operator { .. }));
}

#[test]
fn an_error_is_read_with_its_state_and_without() {
    let plain = ServerMessage::read(b"\x10\x04Too many connections");
    assert_eq!((plain.code, plain.message.as_str()), (1040, "Too many connections"));
    let full = ServerMessage::read(b"\x15\x04#28000Access denied");
    assert_eq!((full.code, full.state.as_str()), (1045, "28000"));
    assert_eq!(full.message, "Access denied");
}

#[test]
fn a_plugin_is_named_and_so_is_another() {
    let error = unknown_plugin("auth_gssapi_client\u{7}", &config("u@db/shop"), Flavor::MariaDb);
    assert!(error.to_string().contains("log in by auth_gssapi_client, which"), "{error}");
    assert!(error.fix().unwrap().contains("IDENTIFIED VIA ed25519"));
}

proptest! {
    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let message = ServerMessage::read(&bytes);
        message.classify(&Doing::Streaming, &config("u@db/shop"), Flavor::MySql);
    }
}
