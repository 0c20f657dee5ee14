//! The promises of every connector, kept by this one on every supported version.

use async_trait::async_trait;
use connector_api::Connector;
use connector_api::conformance::{Backend, OpenTransaction, SCENARIOS};
use testbed::PgVersion;

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
        let session = OpenSession::start(self).await;
        session.execute(&format!("BEGIN; {}", statements.join("; "))).await;
        Box::new(session)
    }

    fn keys(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        keys()
    }

    async fn released(&self) {
        self.wait_for_free_slot();
    }

    async fn forget(&self) {
        self.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(Shop::connector(self))
    }

    fn schema(&self) -> String {
        "public".to_owned()
    }
}

#[async_trait]
impl OpenTransaction for OpenSession {
    async fn commit(self: Box<Self>) {
        self.execute("COMMIT").await;
    }
}

/// Every kind of key, with its ends and with what sorts otherwise than it looks.
fn keys() -> Vec<(&'static str, Vec<&'static str>)> {
    let texts = ["''", "'a'", "'B'", "'ab'", "'a b'", "'é'", "'Z'", "'10'", "'9'", "'it''s \\'"];
    vec![
        ("smallint", vec!["-32768", "-1", "0", "7", "32767"]),
        ("integer", vec!["2147483647", "-2147483648", "0"]),
        ("bigint", vec!["9223372036854775807", "-9223372036854775808", "-1", "0", "10", "9"]),
        ("numeric", vec!["1.10", "-1e30", "1e-20", "0", "'NaN'", "2", "10"]),
        ("numeric(12,4)", vec!["1.1", "-99999999.9999", "10", "9"]),
        ("double precision", vec!["0.1", "0.30000000000000004", "0.3", "'-Infinity'", "'NaN'"]),
        ("real", vec!["0.1", "0.3", "16777216", "'Infinity'"]),
        ("text", texts.to_vec()),
        ("text collate \"C\"", texts.to_vec()),
        ("varchar(20) collate \"POSIX\"", texts.to_vec()),
        ("char(8)", vec!["'a'", "'B'", "'ab'", "''", "'a b'"]),
        ("name", vec!["'a'", "'B'", "'_'"]),
        ("\"char\"", vec!["'a'", "'B'", "''"]),
        ("boolean", vec!["true", "false"]),
        ("bytea", vec!["''", "'\\x00'", "'\\xff00'", "'\\x61'", "'\\x5c27'"]),
        (
            "uuid",
            vec![
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
                "'00000000-0000-0000-0000-000000000000'",
                "'10000000-0000-0000-0000-00000000000a'",
            ],
        ),
        ("date", vec!["'2026-01-31'", "'0044-03-15 BC'", "'infinity'", "'10000-01-01'"]),
        ("time", vec!["'00:00'", "'24:00'", "'12:00:00.000001'"]),
        ("timestamp", vec!["'2026-01-31 12:00:00.000001'", "'-infinity'", "'0044-03-15 BC'"]),
        ("timestamptz", vec!["'2026-01-31 12:00+05:30'", "'infinity'", "'2026-10-25 01:30 UTC'"]),
        ("interval", vec!["'1 mon'", "'-1 day 00:00:01'", "'31 days 1 us'"]),
        ("bit(3)", vec!["B'101'", "B'000'"]),
        ("bit varying", vec!["B'101'", "B''", "B'1'"]),
        ("inet", vec!["'10.0.0.1'", "'10.0.0.1/24'", "'::1'"]),
        ("cidr", vec!["'10.0.0.0/8'", "'::/0'"]),
        ("oid", vec!["0", "4294967295"]),
        ("jsonb", vec!["'{\"a\": \"it''s\"}'", "'1'", "'[]'"]),
        ("text[]", vec!["'{}'", "'{a,NULL}'", "'{\"a b\",\"\\\"\"}'"]),
        ("int4range", vec!["'[1,5)'", "'empty'", "'(,3)'"]),
    ]
}

async fn keeps_every_promise(version: PgVersion, test: &str) {
    let Some(shop) = Shop::start(version, test) else { return };
    for scenario in SCENARIOS {
        println!("{}", scenario.name);
        scenario.run(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_13_keeps_every_promise() {
    keeps_every_promise(PgVersion::V13, "postgresql_13_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_15_keeps_every_promise() {
    keeps_every_promise(PgVersion::V15, "postgresql_15_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_17_keeps_every_promise() {
    keeps_every_promise(PgVersion::V17, "postgresql_17_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_18_keeps_every_promise() {
    keeps_every_promise(PgVersion::V18, "postgresql_18_keeps_every_promise").await;
}
