#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Slot;

fn config(url: &str) -> PostgresConfig {
    PostgresConfig::parse(url, "tailstock", Slot::Temporary).unwrap()
}

#[test]
fn the_code_alone_decides_what_an_error_asks_for() {
    let transient = [
        "08006", "08P01", "25P03", "25P04", "40001", "40P01", "53000", "53100", "53200", "53300",
        "57014", "57P01", "57P02", "57P03", "57P05", "58000", "58030", "58P01",
    ];
    let operator = ["28000", "28P01", "3D000", "42501", "42704", "55000", "53400", "57P04"];
    let definite = ["", "XX000", "XX001", "42601", "22P02", "0A000", "unheard of"];
    let config = config("postgresql://reader@db/shop");
    let told = |code: &str| {
        let message =
            ServerMessage { code: code.to_owned(), message: "no".to_owned(), ..Default::default() };
        message.classify(&config, "streaming")
    };
    for code in transient {
        assert_eq!(*told(code).fault(), Fault::Transient, "{code}");
    }
    for code in definite {
        assert_eq!(*told(code).fault(), Fault::Definite, "{code}");
    }
    for code in operator {
        let error = told(code);
        assert_eq!(error.to_string(), format!("streaming: no ({code})"));
        assert!(matches!(error.fault(), Fault::Operator { fix } if !fix.is_empty()), "{code}");
    }
    assert!(matches!(told("55006").fault(), Fault::Held { .. }));
}

#[test]
fn the_remedy_for_a_refused_login_depends_on_how_we_came() {
    let fix = |url: &str| match fault("28000", &config(url)) {
        Fault::Operator { fix } => fix,
        other => panic!("{other:?}"),
    };
    let clear = fix("postgresql://reader@db/shop?sslmode=disable");
    assert!(clear.starts_with("write sslmode=verify-full"), "{clear}");
    let encrypted = fix("postgresql://reader@db/shop");
    assert!(encrypted.starts_with("give sslcert and sslkey"), "{encrypted}");
    let certified = fix("postgresql://reader@db/shop?sslcert=/c&sslkey=/k");
    assert!(certified.starts_with("let the certificate's CN"), "{certified}");
    assert!(
        certified.contains("hostssl shop reader ADDRESS scram-sha-256, then SELECT pg_reload"),
        "{certified}"
    );
}

#[test]
fn only_code_and_message_of_the_server_are_kept() {
    let body =
        b"SERROR\0VERROR\0C23505\0Mduplicate key\0DKey (name)=(Alice)\0WCOPY x: \"Alice\"\0\0";
    let told = ServerMessage::parse(body);
    let wanted = ServerMessage {
        code: "23505".to_owned(),
        message: "duplicate key".to_owned(),
        ..Default::default()
    };
    assert_eq!(told, wanted);
    assert_eq!(ServerMessage::parse(b"").code, "");
    assert_eq!(ServerMessage::parse(&[0xff, 0xfe, 0, b'C']).code, "");
}
