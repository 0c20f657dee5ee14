//! What of a row the log has: keys, identities, out-of-line values, truncation; and what stands
//! between rows.

use connector_api::{Capture, CaptureTable, Columns, TableName};
use testbed::PgVersion;

use crate::support::Shop;

fn columns_of_stock(columns: &[&str]) -> Capture {
    let columns = Columns::Only(columns.iter().map(|&name| name.to_owned()).collect());
    Capture { tables: vec![CaptureTable { name: TableName::new("public", "stock"), columns }] }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_row_holds_what_the_replica_identity_says() {
    for shop in Shop::of_each_version("an old row holds what the replica identity says") {
        shop.sql(
            "create unique index by_code on stock (id, qty);
             alter table stock alter qty set not null",
        );
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 5, 'a')");
        shop.sql("update stock set note = null");
        shop.sql("update stock set id = 2");
        shop.sql("alter table stock replica identity using index by_code");
        shop.sql("update stock set note = 'b'");
        shop.sql("update stock set qty = 6");
        shop.sql("alter table stock replica identity full");
        shop.sql("update stock set qty = 7");
        shop.sql("delete from stock");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=5 note='a'",
                "update stock #0 id=1 qty=5 note=null",
                "update stock #0 [id=1 qty=~ note=~] id=2 qty=5 note=null",
                "schema stock (id* integer, qty* integer, note text)",
                "update stock #0 id=2 qty=5 note='b'",
                "update stock #0 [id=2 qty=5 note=~] id=2 qty=6 note='b'",
                "schema stock (id* integer, qty* integer, note* text)",
                "update stock #0 [id=2 qty=6 note='b'] id=2 qty=7 note='b'",
                "delete stock #0 [id=2 qty=7 note='b']",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_inserts_arrive_and_the_server_refuses_the_rest() {
    for shop in Shop::of_each_version("without an identity") {
        shop.sql("alter table stock replica identity nothing");
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 5, 'a')");
        for refused in ["update stock set qty = 6", "delete from stock"] {
            let error = shop.server.execute(refused).unwrap_err().to_string();
            assert!(error.contains("does not have a replica identity"), "{error}");
        }
        shop.sql("alter publication tailstock set (publish = 'insert')");
        shop.sql("update stock set qty = 6; insert into stock values (2, 5, 'b')");
        reader
            .expect(&["insert stock #0 id=1 qty=5 note='a'", "insert stock #0 id=2 qty=5 note='b'"])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_out_of_line_value_is_absent_and_filled_where_the_old_row_has_it() {
    for shop in Shop::of_each_version("an unchanged out-of-line value") {
        shop.sql("alter table stock alter note set storage external");
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 5, repeat('x', 9000))");
        shop.sql("update stock set qty = 6");
        shop.sql("update stock set id = 2");
        shop.sql("update stock set note = repeat('y', 9001)");
        shop.sql("alter table stock replica identity full");
        shop.sql("update stock set qty = 7");
        shop.sql("update stock set note = null");
        shop.sql("delete from stock");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=5 note=text of 9000",
                "update stock #0 id=1 qty=6 note=~",
                "update stock #0 [id=1 qty=~ note=~] id=2 qty=6 note=~",
                "update stock #0 id=2 qty=6 note=text of 9001",
                "schema stock (id* integer, qty* integer, note* text)",
                "update stock #0 [id=2 qty=6 note=text of 9001] id=2 qty=7 note=text of 9001",
                "update stock #0 [id=2 qty=7 note=text of 9001] id=2 qty=7 note=null",
                "delete stock #0 [id=2 qty=7 note=null]",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_out_of_line_key_is_known_from_the_old_one() {
    for shop in Shop::of_each_version("an unchanged out-of-line key") {
        shop.sql(
            "alter table stock alter note set storage external, alter note set not null;
             create unique index by_note on stock (note, qty);
             alter table stock alter qty set not null, replica identity using index by_note",
        );
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 5, repeat('x', 2500))");
        shop.sql("update stock set qty = 6");
        shop.sql("delete from stock");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=5 note=text of 2500",
                "update stock #0 [id=~ qty=5 note=text of 2500] id=1 qty=6 note=text of 2500",
                "delete stock #0 [id=~ qty=6 note=text of 2500]",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_nobody_asked_for_are_not_in_an_image_in_any_shape() {
    for shop in Shop::of_each_version("columns nobody asked for") {
        shop.sql(
            "alter table stock replica identity full;
             alter table stock alter note set storage external",
        );
        let mut reader = shop.stream_of(columns_of_stock(&["note"])).await;
        shop.sql("insert into stock values (1, 5, repeat('x', 9000))");
        shop.sql("update stock set qty = 6, id = 3");
        shop.sql("alter table stock add customer text default 'secret'");
        shop.sql("delete from stock");
        reader
            .expect(&[
                "insert stock #0 note=text of 9000",
                "update stock #0 [note=text of 9000] note=text of 9000",
                "delete stock #0 [note=text of 9000]",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publications_columns_and_rows_are_all_there_is() {
    for shop in Shop::of_each_version("column lists and row filters") {
        if shop.server.version() < PgVersion::V15 {
            continue;
        }
        shop.sql(
            "drop publication tailstock;
             create publication tailstock for table stock (id, qty) where (id < 10)",
        );
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 5, 'secret'), (11, 5, 'secret')");
        shop.sql("update stock set qty = 6");
        // Out of the filter, and into it.
        shop.sql("update stock set id = 21 where id = 1");
        shop.sql("update stock set id = 2 where id = 11");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=5",
                "update stock #0 id=1 qty=6",
                "delete stock #0 [id=1 qty=~]",
                "insert stock #0 id=2 qty=6",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_of_several_tables_clears_each_captured_one_in_its_place() {
    for shop in Shop::of_each_version("a truncate of several tables") {
        shop.sql(
            "create table other (id int primary key); create table third (id int primary key)",
        );
        let mut reader = shop.stream(&["stock", "third"]).await;
        shop.sql(
            "insert into stock values (1, 1); truncate stock, other, third;
             insert into stock values (2, 2)",
        );
        let wanted = [
            "insert stock #0 id=1 qty=1 note=null",
            "Truncate stock #1",
            "Truncate third #2",
            "insert stock #3 id=2 qty=2 note=null",
        ];
        reader.expect(&wanted).await;
        // With whatever refers to it.
        shop.sql("create table part (id int primary key, of int references stock)");
        shop.sql("truncate stock cascade");
        reader.expect(&["Truncate stock #0"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_origins_between_rows_disturb_neither_order_nor_places() {
    for shop in Shop::of_each_version("messages and origins") {
        shop.sql("select pg_replication_origin_create('elsewhere')");
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("select pg_logical_emit_message(false, 'x', 'before')");
        shop.sql(
            "select pg_replication_origin_session_setup('elsewhere');
             insert into stock values (1, 1);
             select pg_logical_emit_message(true, 'x', 'inside');
             select pg_logical_emit_message(false, 'x', 'at once');
             insert into stock values (2, 2)",
        );
        shop.sql("select pg_logical_emit_message(true, 'x', 'alone')");
        shop.sql("insert into stock values (3, 3)");
        reader
            .expect(&[
                "insert stock #0 id=1 qty=1 note=null",
                "insert stock #1 id=2 qty=2 note=null",
                "insert stock #0 id=3 qty=3 note=null",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_arrive_in_the_order_of_their_commits_prepared_ones_too() {
    for shop in Shop::of_each_version("prepared transactions") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("begin; insert into stock values (1, 1); prepare transaction 'kept'");
        shop.sql("begin; insert into stock values (9, 9); prepare transaction 'given up'");
        shop.sql("insert into stock values (2, 2)");
        // What was prepared before a stream began is not lost to it.
        let point = reader.close().await;
        shop.wait_for_free_slot();
        reader = shop.resume(point).await;
        shop.sql("rollback prepared 'given up'");
        shop.sql("commit prepared 'kept'");
        shop.sql("insert into stock values (3, 3)");
        reader
            .expect(&[
                "insert stock #0 id=2 qty=2 note=null",
                "insert stock #0 id=1 qty=1 note=null",
                "insert stock #0 id=3 qty=3 note=null",
            ])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_megabyte_arrive_whole_and_end_a_block_by_their_bytes() {
    for shop in Shop::of_each_version("values of a megabyte") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock select i, i, repeat('é', 524288) from generate_series(1, 6) i");
        shop.sql("insert into stock values (9, 9, 'after')");
        let mut cuts = Vec::new();
        for id in 1..=6 {
            let wanted = format!("insert stock #{} id={id} qty={id} note=text of 1048576", id - 1);
            assert_eq!(reader.line().await, wanted);
            cuts.extend(reader.point.partial.as_ref().map(|partial| partial.rows));
        }
        assert_eq!(cuts, [4; 4], "one block of four, the rest with the commit");
        reader.expect(&["insert stock #0 id=9 qty=9 note='after'"]).await;
    }
}
