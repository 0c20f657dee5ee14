//! The promises of every connector, kept by this one on every supported server.

use async_trait::async_trait;
use connector_api::Connector;
use connector_api::conformance::{Backend, OpenTransaction, SCENARIOS};
use testbed::{MysqlOptions, MysqlVersion};

use crate::support::{OpenSession, Shop};

#[async_trait]
impl Backend for Shop {
    async fn transaction(&self, statements: &[&str]) {
        self.sql(&format!("BEGIN; {}; COMMIT", statements.join("; ")));
    }

    async fn rolled_back(&self, statements: &[&str]) {
        self.sql(&format!("BEGIN; {}; ROLLBACK", statements.join("; ")));
    }

    async fn left_open(&self, statements: &[&str]) -> Box<dyn OpenTransaction> {
        let mut session = OpenSession::start(&self.config()).await;
        session.execute("BEGIN").await;
        for statement in statements {
            session.execute(statement).await;
        }
        Box::new(session)
    }

    fn keys(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        keys(self.server.version())
    }

    /// A server that is asked by the same replica ends the older dump by itself.
    async fn released(&self) {}

    async fn forget(&self) {}

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(Shop::connector(self))
    }

    fn schema(&self) -> String {
        self.server.database().to_owned()
    }
}

#[async_trait]
impl OpenTransaction for OpenSession {
    async fn commit(mut self: Box<Self>) {
        self.execute("COMMIT").await;
    }
}

/// Every kind of key, with its ends and with what sorts otherwise than it looks.
pub fn keys(version: MysqlVersion) -> Vec<(&'static str, Vec<&'static str>)> {
    let texts = ["''", "'a'", "'B'", "'ab'", "'a b'", "'é'", "'Z'", "'10'", "'9'", "'it''s \\\\'"];
    let more = ["'ss'", "'ß'", "'A'", "'a '", "'a  b'", "'日本'", "'😀'", "'\\n'", "'%_'"];
    let binary = [&texts[..], &more[..3], &more[4..]].concat();
    let mut keys = vec![
        ("tinyint", vec!["-128", "127", "0", "-1"]),
        ("int", vec!["2147483647", "-2147483648", "0", "10", "9"]),
        ("bigint", vec!["9223372036854775807", "-9223372036854775808", "-1", "0", "10", "9"]),
        ("bigint unsigned", vec!["18446744073709551615", "9223372036854775808", "0", "10", "9"]),
        ("int(6) unsigned zerofill", vec!["4294967295", "0", "7", "10"]),
        ("decimal(12,4)", vec!["1.1", "-99999999.9999", "10", "9", "0"]),
        ("decimal(65,30)", vec!["0.000000000000000000000000000001", "-1", "10", "9.5"]),
        ("double", vec!["0.1", "0.30000000000000004", "0.3", "-1e300", "1e-300", "0", "-2.5"]),
        ("float", vec!["0.1", "0.3", "16777216", "-1e-40", "3.4e38"]),
        ("bit(8)", vec!["b'110101'", "b'110001'", "200"]),
        ("bit(9)", vec!["b'100000001'", "b'0'", "b'1'", "b'11111111'"]),
        ("bit(64)", vec!["x'ffffffffffffffff'", "x'3130'", "0"]),
        ("year", vec!["2026", "1901", "2155", "0"]),
        ("varchar(20)", texts.to_vec()),
        ("varchar(20) character set utf8mb4 collate utf8mb4_bin", binary.clone()),
        ("varchar(20) character set latin1 collate latin1_german1_ci", texts.to_vec()),
        ("varchar(20) character set latin1 collate latin1_german2_ci", vec!["'ss'", "'Ä'", "'a'"]),
        ("varchar(20) character set latin1 collate latin1_bin", vec!["'Ä'", "'ä'", "'a'", "'A'"]),
        ("varchar(20) character set utf8mb3", texts.to_vec()),
        ("varchar(20) character set ucs2", texts.to_vec()),
        ("varchar(20) character set utf16 collate utf16_bin", vec!["'日'", "'😀'", "'a'", "''"]),
        ("varchar(20) character set sjis", vec!["'日本'", "'ソ'", "'表'", "'a'"]),
        ("varchar(20) character set gbk", vec!["'你'", "'好'", "'a'"]),
        ("varchar(20) character set cp1251", vec!["'Привет'", "'я'", "'a'"]),
        ("char(8)", vec!["'a'", "'B'", "'ab'", "''", "'a b'"]),
        ("char(8) character set utf8mb4 collate utf8mb4_bin", vec!["'a'", "'A'", "'😀'", "''"]),
        ("binary(3)", vec!["x'000000'", "x'ff'", "x'61'", "x'610001'", "x'5c27'"]),
        ("varbinary(9)", vec!["x''", "x'00'", "x'ff00'", "x'ff'", "x'61'", "x'5c27'", "x'0000'"]),
        ("date", vec!["'2026-01-31'", "'1000-01-01'", "'9999-12-31'"]),
        ("time(6)", vec!["'-838:59:59'", "'838:59:59'", "'00:00:00.000001'", "'-00:00:01'"]),
        ("time", vec!["'11:22:33'", "'-11:22:33'", "'0:0:0'"]),
        ("datetime", vec!["'2026-01-31 12:00:00'", "'1000-01-01'", "'9999-12-31 23:59:59'"]),
        ("datetime(6)", vec!["'2026-01-31 12:00:00.000001'", "'2026-01-31 12:00:00'"]),
        ("timestamp(3)", vec!["'2026-01-31 12:00:00.001'", "'2026-01-31 12:00:00'"]),
        ("enum('z','a','10','9')", vec!["'a'", "'z'", "'10'", "'9'"]),
        ("set('z','a','b')", vec!["'a'", "'z'", "''", "'z,a'", "'z,a,b'"]),
    ];
    let no_pad = match version.is_mariadb() {
        true => "varchar(20) character set utf8mb4 collate utf8mb4_nopad_bin",
        false => "varchar(20) character set utf8mb4 collate utf8mb4_0900_bin",
    };
    keys.push((no_pad, [&texts[..], &more[..]].concat()));
    if version.is_mariadb() {
        keys.push(("inet6", vec!["'::1'", "'::'", "'2001:db8::'", "'::ffff:1.2.3.4'"]));
    } else {
        keys.push(("varchar(20) collate utf8mb4_0900_ai_ci", vec!["'a'", "'a '", "'b'", "'ss'"]));
        keys.push(("varchar(20) collate utf8mb4_ja_0900_as_cs_ks", vec!["'か'", "'カ'", "'a'"]));
    }
    if version.is_mariadb() && version != MysqlVersion::Mariadb105 {
        let uuids = vec![
            "'ffffffff-ffff-1fff-9fff-ffffffffffff'",
            "'00000000-0000-0000-0000-000000000000'",
            "'018f4567-e89b-7cc3-9456-426655440000'",
            "'6ccd780c-baba-1026-9564-5b8c65602400'",
        ];
        keys.push(("uuid", uuids));
        keys.push(("varchar(20) collate uca1400_ai_ci", vec!["'a'", "'b'", "'日本'", "''"]));
        keys.push(("inet4", vec!["'10.0.0.0'", "'9.2.3.4'", "'255.255.255.255'"]));
    }
    keys
}

async fn keeps_every_promise(version: MysqlVersion, test: &str) {
    for metadata in ["FULL", "MINIMAL"] {
        let options = MysqlOptions::default().setting("binlog_row_metadata", metadata);
        let Some(shop) = Shop::start_with(version, &options, test) else { return };
        for scenario in SCENARIOS {
            println!("{} with {metadata} metadata", scenario.name);
            scenario.run(&shop).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mysql97, "mysql_9_7_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_10_5_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mariadb105, "mariadb_10_5_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_10_11_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mariadb1011, "mariadb_10_11_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11_8_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mariadb118, "mariadb_11_8_keeps_every_promise").await;
}
