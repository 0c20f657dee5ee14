//! Tables that change their shape or their name, partitions, generated columns, types of the user's
//! own.

use connector_api::{Columns, Fault};
use testbed::PgVersion;

use crate::support::{Shop, tables};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_its_shape_says_so_before_the_first_row_of_the_new_one() {
    for shop in Shop::of_each_version("a table that changes its shape") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 1, 'a')");
        shop.sql("alter table stock add extra int; insert into stock values (2, 2, 'b', 3)");
        shop.sql("alter table stock drop note; insert into stock values (3, 3, 4)");
        shop.sql("alter table stock alter qty type numeric; insert into stock values (4, 4.50, 5)");
        shop.sql("alter table stock rename extra to more; update stock set qty = 5 where id = 4");
        // In the middle of a transaction.
        shop.sql(
            "insert into stock values (5, 5); alter table stock drop more;
             insert into stock values (6, 6)",
        );
        reader
            .expect(&[
                "insert stock #0 id=1 qty=1 note='a'",
                "schema stock (id* integer, qty integer, note text, extra integer)",
                "unreadable stock #0 its column extra was made anew or got another type",
                "insert stock #0 id=2 qty=2 note='b' extra=3",
                "schema stock (id* integer, qty integer, extra integer)",
                "insert stock #0 id=3 qty=3 extra=4",
                "schema stock (id* integer, qty numeric, extra integer)",
                "unreadable stock #0 its column qty was made anew or got another type",
                "insert stock #0 id=4 qty=decimal 4.50 extra=5",
                "schema stock (id* integer, qty numeric, more integer)",
                "unreadable stock #0 its column more was made anew or got another type",
                "update stock #0 id=4 qty=decimal 5 more=5",
                "insert stock #0 id=5 qty=decimal 5 more=null",
                "schema stock (id* integer, qty numeric)",
                "insert stock #1 id=6 qty=decimal 6",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_columns_nobody_asked_for_is_no_news() {
    for shop in Shop::of_each_version("columns that are not captured") {
        let mut capture = tables(&["stock"]);
        let wanted = vec!["id".to_owned(), "qty".to_owned()];
        capture.tables[0].columns = Columns::Only(wanted);
        let mut reader = shop.stream_of(capture).await;
        shop.sql("insert into stock values (1, 1, 'a')");
        shop.sql("alter table stock drop note; insert into stock values (2, 2)");
        shop.sql("alter table stock add note int; insert into stock values (3, 3, 3)");
        // One that was asked for and goes, and comes back behind the others.
        shop.sql("alter table stock drop qty; insert into stock values (4, 4)");
        shop.sql("alter table stock add qty int; insert into stock values (5, 5, 5)");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=1",
                "insert stock #0 id=2 qty=2",
                "insert stock #0 id=3 qty=3",
                "schema stock (id* integer)",
                "insert stock #0 id=4",
                "schema stock (id* integer, qty integer)",
                "unreadable stock #0 its column qty was made anew or got another type",
                "insert stock #0 id=5 qty=5",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_made_anew_is_noticed_also_while_nobody_follows() {
    for shop in Shop::of_each_version("a column that is made anew") {
        let mut capture = tables(&["stock"]);
        let wanted = vec!["id".to_owned(), "qty".to_owned()];
        capture.tables[0].columns = Columns::Only(wanted);
        let mut reader = shop.stream_of(capture).await;
        shop.sql("insert into stock values (1, 1, 'a')");
        reader.expect(&["insert stock #0 id=1 qty=1"]).await;
        reader.confirm();
        let point = reader.close().await;
        shop.wait_for_free_slot();
        // Of the same type, and behind the column that it stood before.
        shop.sql("alter table stock drop qty; alter table stock add qty int default 7");
        shop.sql("insert into stock (id) values (2)");
        let mut reader = shop.resume(point).await;
        let doubt = "unreadable stock #0 its column qty was made anew or got another type";
        reader.expect(&[doubt, "insert stock #0 id=2 qty=7"]).await;
        // Its type by another name, and its values by another rule.
        shop.sql("alter table stock alter qty type bigint using qty * 2");
        shop.sql("insert into stock (id) values (3)");
        let line = reader.line().await;
        assert!(line.starts_with("schema stock"), "{line}");
        reader.expect(&[doubt, "insert stock #0 id=3 qty=7"]).await;
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_made_anew_is_noticed_although_no_row_came_before() {
    for shop in Shop::of_each_version("a column that is made anew before any row") {
        shop.sql("insert into stock values (1, 1500, 'a')");
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("alter table stock alter qty type numeric using qty / 1000.0");
        shop.sql("insert into stock values (2, 2.5, 'b')");
        let doubt = "unreadable stock #0 its column qty was made anew or got another type";
        reader.expect(&[doubt, "insert stock #0 id=2 qty=decimal 2.5 note='b'"]).await;
        let point = reader.close().await;
        // It has been said.
        shop.wait_for_free_slot();
        let mut reader = shop.resume(point).await;
        shop.sql("insert into stock values (3, 3.5, 'c')");
        reader.expect(&["insert stock #0 id=3 qty=decimal 3.5 note='c'"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_made_again_is_noticed_although_no_row_of_the_old_one_came() {
    for shop in Shop::of_each_version("a table that is made again") {
        let mut reader = shop.stream(&["stock"]).await;
        for id in [1, 2, 3] {
            if id > 1 {
                let anew = "drop table stock;
                     create table stock (id int primary key, qty int, note text)";
                shop.sql(anew);
            }
            shop.sql(&format!("insert into stock values ({id})"));
            let row = format!("insert stock #0 id={id} qty=null note=null");
            let replaced: &[&str] = if id > 1 { &["Replaced stock #0"] } else { &[] };
            reader.expect(&[replaced, &[&row]].concat()).await;
            // A row of the new one in the next connection is no news.
            let point = reader.close().await;
            shop.wait_for_free_slot();
            reader = shop.resume(point).await;
            shop.sql("update stock set qty = 1");
            reader.expect(&[&format!("update stock #0 id={id} qty=1 note=null")]).await;
            let point = reader.close().await;
            shop.wait_for_free_slot();
            reader = shop.resume(point).await;
        }
    }
}

/// Tables of every kind that a log describes in its own way. Rows are made of their defaults.
const OF_EVERY_KIND: &str = "
    create type state as enum ('new'); create domain amount as numeric(9, 3) default 1;
    create table plain (id int primary key default 1, gone int, price numeric(12, 4) default 1,
        name varchar(20), at timestamptz(3), fixed char(5), bits bit(3),
        took interval day to second, tags text[], state state, amount amount);
    alter table plain drop gone;
    create table whole (id int primary key default 1, qty int);
    alter table whole replica identity full;
    create table late (id int primary key deferrable default 1, qty int);
    create table wide (id int default 1, qty int default 1, note text,
        primary key (qty, id) include (note));
    create table indexed (id int primary key default 1, code int not null default 1, note text);
    create unique index by_code on indexed (code) include (note);
    alter table indexed replica identity using index by_code;
    create table keyless (qty int, note text);
    create table made (id int primary key default 1, qty int,
        twice int generated always as (id * 2) stored, note text);
    create table ledger (id int primary key default 1, qty int) partition by range (id);
    create table ledger_low (qty int, gone text, id int not null default 1);
    alter table ledger_low drop gone;
    alter table ledger attach partition ledger_low for values from (0) to (10)";

/// A difference would be taken for a change, and whole tables read anew for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_and_the_log_describe_every_table_alike() {
    const ALL: [&str; 8] =
        ["plain", "whole", "late", "wide", "indexed", "keyless", "made", "ledger_low"];
    let via_root = "alter publication tailstock set (publish_via_partition_root = true)";
    let generated = "alter publication tailstock set (publish_generated_columns = stored)";
    let listed = "drop publication tailstock; create publication tailstock
        for table plain (amount, id, name), indexed (code), whole, made";
    let of_root = "drop publication tailstock; create publication tailstock
        for table ledger (id) with (publish_via_partition_root = true)";
    let with_generated = "drop publication tailstock;
        create publication tailstock for table made (twice, id)";
    let [first, lists, columns] = [PgVersion::V13, PgVersion::V15, PgVersion::V18];
    for shop in Shop::of_each_version("every kind of table") {
        shop.sql(OF_EVERY_KIND);
        if shop.server.version() >= columns {
            shop.sql("alter table made add thrice int generated always as (id * 3) virtual");
        }
        for (since, publication, captured) in [
            (first, "select 1", &ALL[..]),
            (first, via_root, &["plain", "ledger"]),
            (columns, generated, &["plain", "made"]),
            (lists, listed, &["plain", "indexed", "whole", "made"]),
            (lists, of_root, &["ledger"]),
            (columns, with_generated, &["made"]),
        ] {
            if shop.server.version() < since {
                continue;
            }
            shop.sql(publication);
            let mut reader = shop.stream(captured).await;
            let of_catalog = reader.point.layouts.clone();
            assert_eq!(of_catalog.len(), captured.len(), "{of_catalog:?}");
            for table in captured {
                shop.sql(&format!("truncate {table}; insert into {table} default values"));
                reader.expect(&[&format!("Truncate {table} #0")]).await;
                let line = reader.line().await;
                assert!(line.starts_with(&format!("insert {table} #1")), "{line}");
            }
            // Nothing was learned from the log.
            assert_eq!(reader.point.layouts, of_catalog, "{publication}");
            reader.close().await;
            shop.wait_for_free_slot();
            shop.sql("select pg_drop_replication_slot('acme')");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_passes_to_other_rows_is_said_before_the_first_of_them() {
    for shop in Shop::of_each_version("a table that changes its name") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1)");
        shop.sql("alter table stock rename to goods; insert into goods values (2)");
        shop.sql("alter table goods rename to stock; insert into stock values (3)");
        // As a migration does it that copies: built aside, then renamed.
        shop.sql(
            "create table stock_new (like stock including all); insert into stock_new values (4)",
        );
        shop.sql(
            "alter table stock rename to stock_old; alter table stock_new rename to stock;
             insert into stock values (5); insert into stock_old values (6)",
        );
        shop.sql("drop table stock; create table stock (id bigint primary key)");
        shop.sql("insert into stock values (7)");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=null note=null",
                "Replaced stock #0",
                "insert stock #0 id=3 qty=null note=null",
                "Replaced stock #0",
                "insert stock #0 id=5 qty=null note=null",
                "Replaced stock #0",
                "insert stock #0 id=7",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_arrive_under_their_own_names_or_under_their_root() {
    for shop in Shop::of_each_version("partitions") {
        shop.sql(
            "create table ledger (id int primary key, qty int) partition by range (id);
             create table ledger_low partition of ledger for values from (0) to (10);
             create table ledger_high (qty int, gone text, id int not null);
             alter table ledger_high drop gone;
             alter table ledger attach partition ledger_high for values from (10) to (20)",
        );
        let mut reader = shop.stream(&["ledger*"]).await;
        shop.sql("insert into ledger values (1, 1), (11, 2)");
        shop.sql("update ledger set id = 12 where id = 1");
        reader
            .expect(&[
                "insert ledger_low #0 id=1 qty=1",
                "insert ledger_high #1 qty=2 id=11",
                "delete ledger_low #0 [id=1 qty=~]",
                "insert ledger_high #1 qty=1 id=12",
            ])
            .await;
        shop.sql("alter publication tailstock set (publish_via_partition_root = true)");
        shop.sql("insert into ledger values (2, 1), (13, 2)");
        if shop.server.version() < PgVersion::V15 {
            // It forgets to describe the root, until it is asked anew.
            let error = reader.failure().await;
            assert_eq!(*error.fault(), Fault::Transient, "{error}");
            assert!(error.to_string().contains("before describing it"), "{error}");
            let point = reader.close().await;
            shop.wait_for_free_slot();
            reader = shop.resume(point).await;
        }
        shop.sql("update ledger set qty = 3 where id = 13");
        shop.sql("update ledger set id = 14 where id = 2");
        shop.sql("truncate ledger");
        reader
            .expect(&[
                "insert ledger #0 id=2 qty=1",
                "insert ledger #1 id=13 qty=2",
                "update ledger #0 id=13 qty=3",
                "delete ledger #0 [id=2 qty=~]",
                "insert ledger #1 id=14 qty=1",
                "Truncate ledger #0",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_partition_clears_itself_and_not_its_root() {
    for shop in Shop::of_each_version("truncated partitions") {
        shop.sql(
            "create table ledger (id int primary key, qty int) partition by range (id);
             create table ledger_low partition of ledger for values from (0) to (10);
             create table ledger_high partition of ledger for values from (10) to (20)",
        );
        let mut reader = shop.stream(&["ledger*"]).await;
        shop.sql("truncate ledger");
        let mut cleared = [reader.line().await, reader.line().await];
        cleared.sort();
        assert_eq!(cleared[0].split(' ').nth(1), Some("ledger_high"), "{cleared:?}");
        assert_eq!(cleared[1].split(' ').nth(1), Some("ledger_low"), "{cleared:?}");
        shop.sql("truncate ledger_low");
        reader.expect(&["Truncate ledger_low #0"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_column_arrives_where_the_publication_has_it() {
    for (version, options, wanted) in [
        (PgVersion::V15, "publish = 'insert'", "insert lot #0 id=1 qty=5"),
        (PgVersion::V18, "publish = 'insert'", "insert lot #0 id=1 qty=5"),
        (PgVersion::V18, "publish_generated_columns = stored", "insert lot #0 id=1 qty=5 twice=10"),
    ] {
        let Some(shop) = Shop::start(version, "generated columns") else { continue };
        shop.sql(
            "create table lot (id int primary key, qty int,
                 twice int generated always as (qty * 2) stored)",
        );
        if version == PgVersion::V18 {
            shop.sql("alter table lot add thrice int generated always as (qty * 3) virtual");
        }
        shop.sql(&format!("alter publication tailstock set ({options})"));
        let mut reader = shop.stream(&["lot"]).await;
        shop.sql("insert into lot values (1, 5)");
        reader.expect(&[wanted]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_the_users_own_arrive_as_the_database_prints_them() {
    for shop in Shop::of_each_version("types of the user's own") {
        shop.sql(
            "create type state as enum ('new', 'sold out');
             create domain amount as int check (value >= 0);
             create domain small as amount check (value < 100);
             create type pair as (a int, b text); create type span as range (subtype = int4);
             create table own (id int primary key, s state, a amount, m small, p pair, l state[],
                 n int[], r span)",
        );
        let mut reader = shop.stream(&["own"]).await;
        shop.sql(
            "insert into own values (1, 'sold out', 7, 8, (1, 'x y'), '{new,\"sold out\"}',
                 '{1,NULL}', '[1,5)')",
        );
        reader
            .expect(&["insert own #0 id=1 s='sold out' a=7 m=8 p='(1,\"x y\")' \
                       l='{new,\"sold out\"}' n='{1,NULL}' r='[1,5)'"])
            .await;
    }
}
