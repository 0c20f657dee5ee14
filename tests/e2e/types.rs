//! What it proves: what `tail` prints of every type is what the database itself says of it.

mod read;

use std::process::Stdio;
use std::time::Duration;

use testbed::{PgVersion, all_versions};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::Shop;

/// A type, a literal, and the JSON it is to become; without one the text of `SELECT` as a string.
const VALUES: &[(&str, &str, Option<&str>)] = &[
    ("boolean", "true", Some("true")),
    ("smallint", "-32768", Some("-32768")),
    ("integer", "2147483647", Some("2147483647")),
    ("bigint", "-9223372036854775808", Some("-9223372036854775808")),
    ("oid", "4294967295", Some("4294967295")),
    ("real", "0.1", Some("0.1")),
    ("double precision", "1e300", Some("1e+300")),
    ("double precision", "'NaN'", Some("\"NaN\"")),
    ("double precision", "'-Infinity'", Some("\"-Infinity\"")),
    ("numeric", "12345678901234567890123456789012345678.90", None),
    ("numeric(12,4)", "1.5", None),
    ("numeric", "'NaN'", None),
    ("money", "'12.34'", None),
    ("text", "'it''s \"é\" \\ ' || chr(10)", None),
    ("varchar(10)", "'abc'", None),
    ("char(5)", "'ab'", None),
    ("name", "'n'", None),
    ("bytea", "'\\x00ff10'", Some("\"AP8Q\"")),
    ("json", "'{\"b\": [1, 2.50, null]}'", Some("{\"b\": [1, 2.50, null]}")),
    ("jsonb", "'{\"a\":1}'", Some("{\"a\": 1}")),
    ("timestamp", "'2026-01-31 12:00:00.5'", Some("\"2026-01-31T12:00:00.5\"")),
    ("timestamptz", "'2026-01-31 12:00:00+02'", Some("\"2026-01-31T10:00:00Z\"")),
    ("timestamp", "'infinity'", Some("\"infinity\"")),
    ("timestamptz", "'0044-03-15 12:00:00+00 BC'", None),
    ("timestamp", "'10001-01-01'", None),
    ("date", "'2026-02-28'", None),
    ("time", "'23:59:59.999999'", None),
    ("timetz", "'12:00:00+05:30'", None),
    ("interval", "'1 year 2 days 03:04:05.6'", None),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", None),
    ("mood", "'glad'", None),
    ("positive", "7", Some("7")),
    ("pair", "'(1,\"a b\")'", None),
    ("integer[]", "'{1,NULL,3}'", None),
    ("text[]", "array['a,b', 'c\"d']", None),
    ("int4range", "'[1,5)'", None),
    ("bit(3)", "B'101'", None),
    ("varbit", "B'10'", None),
    ("inet", "'192.0.2.1/24'", None),
    ("cidr", "'2001:db8::/32'", None),
    ("macaddr", "'08:00:2b:01:02:03'", None),
    ("point", "'(1,2)'", None),
    ("box", "'(1,1),(0,0)'", None),
    ("polygon", "'((0,0),(1,1),(1,0))'", None),
    ("circle", "'<(0,0),1>'", None),
    ("tsvector", "'fat cats'", None),
    ("tsquery", "'fat & cat'", None),
    ("xml", "'<a/>'", None),
    ("pg_lsn", "'16/B374D848'", None),
    ("regclass", "'pg_class'", None),
];

async fn every_type_reads_as_the_database_says(version: PgVersion, test: &str) {
    let Some(shop) = Shop::start(version, test).await else { return };
    let columns: Vec<String> =
        VALUES.iter().enumerate().map(|(n, (kind, ..))| format!("c{n} {kind}")).collect();
    shop.execute(&format!(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN positive AS int CHECK (value > 0);
         CREATE TYPE pair AS (n int, t text);
         CREATE TABLE kinds (id int PRIMARY KEY, {});
         CREATE PUBLICATION tailstock FOR TABLE kinds;",
        columns.join(", ")
    ))
    .await;
    let mut tail = Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(["tail", "--url", &shop.url(), "--table", "public.kinds"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let literals: Vec<&str> = VALUES.iter().map(|(_, literal, _)| *literal).collect();
    let literals = literals.join(", ");
    // The slot begins somewhere between two of these.
    let mut id = 0_i32;
    let line = loop {
        id += 1;
        shop.execute(&format!("INSERT INTO kinds VALUES ({id}, {literals})")).await;
        let next = tokio::time::timeout(Duration::from_millis(300), lines.next_line());
        if let Ok(line) = next.await {
            break line.unwrap().expect("tail goes on");
        }
        assert!(id < 60, "tail shows nothing");
    };
    let change: Change =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!((change.op.as_str(), change.table.as_str()), ("insert", "kinds"));
    shop.execute("SET TimeZone = 'UTC'; SET extra_float_digits = 3").await;
    for (n, (kind, literal, wanted)) in VALUES.iter().enumerate() {
        let said = shop.text(&format!("SELECT c{n}::text FROM kinds WHERE id = {id}")).await;
        let wanted = wanted.map_or_else(|| serde_json::to_string(&said).unwrap(), str::to_owned);
        let found = change.after[&format!("c{n}")].get();
        assert_eq!(found, wanted, "{kind} {literal}");
    }
}

/// The parts of a line that are looked at, with values as they stand there.
#[derive(serde::Deserialize)]
struct Change {
    table: String,
    op: String,
    after: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_reads_as_the_database_says_on_every_version() {
    let test = "every_type_reads_as_the_database_says_on_every_version";
    for version in all_versions() {
        every_type_reads_as_the_database_says(version, test).await;
    }
}
