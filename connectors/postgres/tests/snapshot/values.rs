//! A row looks the same whether it is read or comes by the stream.

use std::sync::Arc;

use connector_api::SourceEvent;

use crate::support::{Shelf, Shop, lines, values};

/// Every type of `TYPES.md`, with values at its ends and those that print in a way of their own.
const COLUMNS: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767"]),
    ("integer", &["-2147483648", "0"]),
    ("bigint", &["9223372036854775807"]),
    ("oid", &["4294967295"]),
    ("xid", &["'7'"]),
    ("cid", &["'7'"]),
    ("xid8", &["'18446744073709551615'"]),
    ("real", &["0.1", "'NaN'", "3.4028235e38", "1e-45"]),
    ("double precision", &["0.1::float8 + 0.2::float8", "'-Infinity'", "5e-324", "'-0'"]),
    ("numeric", &["12345678901234567890.1234567890", "'NaN'", "-0.10", "0", "1e-9"]),
    ("numeric(12,4)", &["1.5", "-99999999.9999"]),
    ("money", &["12.5", "-1"]),
    (
        "text",
        &["''", "E'tab\\t line\\n back\\\\ cr\\r bell\\b\\f\\v'", "'\\N'", "'\\.'", "'é漢😀'"],
    ),
    ("varchar(20)", &["'a''b\"c'", "'NULL'"]),
    ("char(6)", &["'ab'", "''"]),
    ("name", &["'a name'"]),
    ("\"char\"", &["'x'", "''"]),
    ("bytea", &["'\\x'", "'\\x00ff5c0a09'"]),
    ("json", &["'{\"a\" : [1, \"\\u00e9 \\\\ \\n\"]}'", "'null'"]),
    ("jsonb", &["'{\"b\":1,\"a\":null}'", "'\"\\t\"'"]),
    (
        "timestamp",
        &["'2026-01-31 12:00:00.000001'", "'infinity'", "'0044-03-15 BC'", "'10000-1-1'"],
    ),
    ("timestamptz", &["'2026-01-31 12:00:00.5+05:30'", "'-infinity'", "'2026-10-25 01:30:00+00'"]),
    ("date", &["'2026-01-31'", "'infinity'", "'0044-03-15 BC'"]),
    ("time", &["'24:00'", "'12:34:56.000001'"]),
    ("timetz", &["'12:00+05:30'"]),
    ("interval", &["'1 year 2 mons 3 days 04:05:06.7'", "'-1 day 00:00:01'"]),
    ("uuid", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("bit(3)", &["B'101'"]),
    ("varbit", &["B''", "B'1'"]),
    ("inet", &["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"]),
    ("cidr", &["'10.0.0.0/8'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("point", &["'(0.1,-2)'"]),
    ("line", &["'{1,2,3}'"]),
    ("lseg", &["'[(0,0),(1,1)]'"]),
    ("box", &["'(1,1),(0,0)'"]),
    ("path", &["'[(0,0),(1,1)]'"]),
    ("polygon", &["'((0,0),(1,1))'"]),
    ("circle", &["'<(0,0),5>'"]),
    ("tsvector", &["'a:1 ''b c'':2'"]),
    ("tsquery", &["'a & b'"]),
    ("xml", &["'<a b=\"c\">d</a>'"]),
    ("jsonpath", &["'$.a[*]'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("pg_snapshot", &["'10:20:10,14,15'"]),
    ("regclass", &["'pg_class'", "'looks'"]),
    ("regtype", &["'text'"]),
    ("int4range", &["'[1,5)'", "'empty'"]),
    ("tstzrange", &["'[2026-01-31 12:00+00,)'"]),
    ("text[]", &["'{a,NULL,\"b \\\"c\",\"\"}'"]),
    ("int[]", &["'{{1,2},{3,4}}'", "'[0:1]={1,2}'"]),
    ("timestamptz[]", &["'{2026-01-31 12:00+05:30}'"]),
    ("state", &["'sold out'"]),
    ("state[]", &["'{new,\"sold out\"}'"]),
    ("amount", &["7"]),
    ("small", &["8"]),
    ("label", &["'x'"]),
    ("pair", &["'(1,\"x y\")'", "'(,)'"]),
    ("span", &["'[1,5)'"]),
];

const OWN: &str = "
    create type state as enum ('new', 'sold out');
    create domain amount as numeric check (value >= 0);
    create domain small as amount check (value < 100);
    create domain label as varchar(10);
    create type pair as (a int, b text);
    create type span as range (subtype = int4);";

#[tokio::test(flavor = "multi_thread")]
async fn every_type_looks_the_same_through_a_snapshot_and_through_the_stream() {
    for shop in Shop::of_each_version("every type through a snapshot") {
        shop.sql(OWN);
        let names: Vec<String> = (0..COLUMNS.len()).map(|place| format!("c{place}")).collect();
        let column = |(name, (kind, _)): (&String, &(&str, &[&str]))| format!("{name} {kind}");
        let columns: Vec<String> = names.iter().zip(COLUMNS).map(column).collect();
        shop.sql(&format!(
            "create table looks (id int primary key, {}); alter table looks replica identity full",
            columns.join(", ")
        ));
        let mut reader = shop.stream(&["looks"]).await;
        let most = COLUMNS.iter().map(|(_, values)| values.len()).max().unwrap();
        for row in 0..=most {
            let value = |(_, values): &(&str, &[&str])| {
                values.get(row).map_or("null", |value| *value).to_owned()
            };
            let values: Vec<String> = COLUMNS.iter().map(value).collect();
            shop.sql(&format!("insert into looks values ({row}, {})", values.join(", ")));
        }
        let mut streamed = Vec::new();
        let mut schema = None;
        while streamed.len() <= most {
            let batch = reader.batch().await.unwrap();
            streamed.extend(lines(&batch));
            let row = batch.events().iter().find_map(|event| match event {
                SourceEvent::Row(row) => Some(row),
                _ => None,
            });
            schema = row.map(|row| Arc::clone(batch.table(row.table))).or(schema);
        }
        let mut wanted: Vec<&str> = vec!["id"];
        // In any order, and with what the table does not have.
        wanted.extend(names.iter().rev().map(String::as_str));
        wanted.push("gone");
        let mut shelf = Shelf::open(shop.config(), "looks", &wanted).await;
        let chunk = shelf.chunk(None, 100).await;
        let read: Vec<String> =
            values(&chunk).into_iter().map(|row| format!("insert looks #0 {row}")).collect();
        assert_eq!(read, streamed, "{}", shop.server.version());
        let row = chunk.rows.events().iter().find_map(|event| match event {
            SourceEvent::Row(row) => Some(row),
            _ => None,
        });
        assert_eq!(chunk.rows.table(row.unwrap().table), &schema.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_look_the_same_whatever_the_role_has_set() {
    let Some(shop) = Shop::start(testbed::PgVersion::V15, "pinned settings of a snapshot") else {
        return;
    };
    shop.sql(
        "create table looks (id int primary key, at timestamptz, took interval, part float8,
             raw bytea);
         alter role postgres set datestyle = 'SQL, DMY';
         alter role postgres set intervalstyle = 'iso_8601';
         alter role postgres set timezone = 'Asia/Kolkata';
         alter role postgres set extra_float_digits = 0;
         alter role postgres set bytea_output = 'escape';
         alter role postgres set standard_conforming_strings = off;
         alter role postgres set row_security = on",
    );
    let mut reader = shop.stream(&["looks"]).await;
    shop.sql(
        "insert into looks values (1, '2026-01-31 12:00:00.5+00', '1 mon 2 days 03:04:05',
             0.1::float8 + 0.2::float8, decode('00ff', 'hex'))",
    );
    let line = reader.line().await;
    let mut shelf = Shelf::open(shop.config(), "looks", &["id", "at", "took", "part", "raw"]).await;
    assert_eq!(format!("insert looks #0 {}", shelf.whole(9).await[0]), line);
}
