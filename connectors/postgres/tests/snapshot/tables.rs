//! Tables as shops have them: partitioned, inherited, filtered, oddly named, wide, and changed
//! while they are read.

use std::sync::Arc;

use connector_api::{Comparison, Condition, Fault, Literal};
use testbed::PgVersion;

use crate::support::{OpenSession, Shelf, Shop, values};

const ALL: [&str; 3] = ["id", "qty", "note"];

fn ids(rows: &[String]) -> Vec<&str> {
    rows.iter().map(|row| row.split(' ').next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_read_under_the_names_a_stream_gives_them() {
    for shop in Shop::of_each_version("partitions in a snapshot") {
        shop.sql(
            "create table ledger (id int, qty int, primary key (id, qty)) partition by range (id);
             create table ledger_low partition of ledger for values from (0) to (10);
             create table ledger_high (qty int not null, gone text, id int not null);
             alter table ledger_high drop gone;
             alter table ledger attach partition ledger_high for values from (10) to (20);
             insert into ledger values (11, 2), (1, 1), (12, 1), (2, 7)",
        );
        let everywhere = ["ledger", "ledger_low", "ledger_high"];
        let mut found = Vec::new();
        for via_root in [false, true] {
            let setting = format!("publish_via_partition_root = {via_root}");
            shop.sql(&format!("alter publication tailstock set ({setting})"));
            for table in everywhere {
                let mut shelf = Shelf::open(shop.config(), table, &["id", "qty"]).await;
                // What is published under another name is not what an empty table holds.
                let is_read = (table == "ledger") == via_root;
                if is_read {
                    found.push(shelf.whole(1).await.join(", "));
                    continue;
                }
                let error = shelf.try_chunk(None, 1).await.unwrap_err();
                assert!(error.to_string().contains("under this name"), "{error}");
                let Fault::Operator { fix } = error.fault() else { panic!("{error}") };
                let other = format!("publish_via_partition_root = {}", !via_root);
                assert!(fix.contains(&other), "{fix}");
            }
        }
        let wanted = [
            "id=1 qty=1, id=2 qty=7",
            "qty=2 id=11, qty=1 id=12",
            "id=1 qty=1, id=2 qty=7, id=11 qty=2, id=12 qty=1",
        ];
        assert_eq!(found, wanted, "{}", shop.server.version());
        // In the middle of it the rest has not gone.
        let mut shelf = Shelf::open(shop.config(), "ledger", &["id", "qty"]).await;
        let chunk = shelf.chunk(None, 2).await;
        shop.sql("alter publication tailstock set (publish_via_partition_root = false)");
        let error = shelf.try_chunk(chunk.next.as_ref(), 2).await.unwrap_err();
        assert!(error.to_string().contains("under this name"), "{error}");
        shop.sql("alter publication tailstock set (publish_via_partition_root = true)");
        shop.sql("analyze ledger; analyze ledger_low; analyze ledger_high");
        let mut shelf = Shelf::open(shop.config(), "ledger", &["id"]).await;
        let estimate = shelf.reader.estimated_rows(&shelf.table).await.unwrap();
        assert_eq!(estimate, Some(4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_published_is_read() {
    for shop in Shop::of_each_version("published parts in a snapshot") {
        if shop.server.version() < PgVersion::V15 {
            continue;
        }
        shop.sql("insert into stock select i, i, 'n' || i from generate_series(1, 20) i");
        shop.sql(
            "drop publication tailstock;
             create publication tailstock for table stock (id, qty) where (id % 7 = 0)",
        );
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        for rows in [1, 3, 100] {
            assert_eq!(shelf.whole(rows).await, ["id=7 qty=7", "id=14 qty=14"]);
        }
        // With a filter of our own, no row comes twice, nor one that is not published.
        let over_ten = Literal::Number("10".to_owned());
        let (column, comparison) = ("qty".to_owned(), Comparison::Greater);
        shelf.filter = Some(Condition::Compare { column, comparison, literal: over_ten });
        assert_eq!(shelf.whole(4).await, ["id=14 qty=14"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_heirs_and_generated_columns_are_read_as_they_are_streamed() {
    for shop in Shop::of_each_version("odd tables in a snapshot") {
        shop.sql(
            "create table \"Stock \"\"'1\" (\"order\" int, \"Menge\\\" int, \"ü\" text,
                 twice int generated always as (\"Menge\\\" * 2) stored,
                 primary key (\"ü\", \"order\"));
             insert into \"Stock \"\"'1\" values (1, 5, 'a''\\'), (2, 6, 'a''\\'), (1, 7, 'é')",
        );
        let mut shelf =
            Shelf::open(shop.config(), "Stock \"'1", &["order", "Menge\\", "ü", "twice"]).await;
        let wanted =
            ["order=1 Menge\\=5 ü='a'\\'", "order=2 Menge\\=6 ü='a'\\'", "order=1 Menge\\=7 ü='é'"];
        for rows in [1, 2, 3] {
            assert_eq!(shelf.whole(rows).await, wanted);
        }
        shop.sql("create table heir () inherits (stock); alter table heir add primary key (id)");
        shop.sql("insert into stock values (1); insert into heir values (2)");
        for (table, wanted) in [("stock", "id=1"), ("heir", "id=2")] {
            let mut shelf = Shelf::open(shop.config(), table, &["id"]).await;
            assert_eq!(shelf.whole(9).await, [wanted]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_followed_in_the_order_of_their_index() {
    for shop in Shop::of_each_version("keys of their own order") {
        shop.sql(
            "create schema elsewhere; create collation elsewhere.byteless
                      (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        );
        let tables = [
            // Two that are equal for the collation, in different rows.
            "sku text collate elsewhere.byteless, lot int, primary key (sku, lot)",
            "sku text not null, lot int not null, unique (lot, sku)",
            "sku text collate \"C\" not null, lot int not null",
            "sku text not null, lot int not null",
        ];
        let indexes = [
            "",
            "",
            "create unique index on odd (sku collate \"POSIX\" desc, lot)",
            "create unique index on odd (sku text_pattern_ops, lot)",
        ];
        for (columns, index) in tables.into_iter().zip(indexes) {
            shop.sql(&format!("drop table if exists odd; create table odd ({columns}); {index}"));
            shop.sql(
                "insert into odd select sku, lot from generate_series(1, 4) lot,
                     unnest('{a,A,b,B,é,\"a b\",ab}'::text[]) sku on conflict do nothing",
            );
            let count: usize = shop.value("select count(*)::text from odd").parse().unwrap();
            let mut shelf = Shelf::open(shop.config(), "odd", &["sku", "lot"]).await;
            for rows in [1, 3, 5] {
                let mut found = shelf.whole(rows).await;
                assert_eq!(found.len(), count, "{columns} {rows}");
                found.sort();
                found.dedup();
                assert_eq!(found.len(), count, "{columns} {rows}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_chunk_follows_the_key_however_far_apart_the_rows_lie() {
    for shop in Shop::of_each_version("plans of chunks") {
        shop.sql(
            "create table odd (sku uuid, lot int, qty int, primary key (sku, lot));
             insert into odd select md5(i::text)::uuid, i % 3, i from generate_series(1, 20000) i",
        );
        // As it looks to the planner where rows lie far apart.
        shop.sql("analyze odd; alter role postgres set random_page_cost = 1000");
        let scans =
            |kind: &str| format!("select {kind} from pg_stat_user_tables where relname = 'odd'");
        let mut shelf = Shelf::open(shop.config(), "odd", &["qty"]).await;
        let qty = |qty: u32| Literal::Number(qty.to_string());
        let (column, comparison) = ("qty".to_owned(), Comparison::Less);
        assert_eq!(shelf.whole(4096).await.len(), 20_000);
        shelf.filter = Some(Condition::Compare { column, comparison, literal: qty(100) });
        assert!((99..200).contains(&shelf.whole(4096).await.len()));
        drop(shelf);
        // What a session has done is told when it ends, at the latest.
        tokio::task::block_in_place(|| shop.wait_until(&scans("idx_scan >= 12")));
        // One made the index.
        assert_eq!(shop.value(&scans("(seq_scan <= 1)::text")), "true");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_rows_end_a_chunk_and_many_of_them_are_not_waited_for() {
    for shop in Shop::of_each_version("wide rows in a snapshot") {
        // Narrow ones first, so that nobody expects the others.
        shop.sql("insert into stock select i, i, 'n' from generate_series(1, 600) i");
        shop.sql(
            "insert into stock select i, i, repeat('x', 100000) from generate_series(601, 900) i",
        );
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        let (mut found, mut after) = (Vec::new(), None);
        let mut widest = 0;
        loop {
            let chunk = shelf.chunk(after.as_ref(), 8192).await;
            widest = widest.max(chunk.rows.bytes());
            found.extend(values(&chunk));
            after = chunk.next;
            if after.is_none() {
                break;
            }
        }
        let wanted: Vec<String> = (1..=900).map(|id| format!("id={id}")).collect();
        assert_eq!(ids(&found), wanted);
        assert!(widest < 2 << 20, "{widest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_written_anew_while_a_chunk_waits_for_it_is_not_empty() {
    for shop in Shop::of_each_version("a table written anew") {
        shop.sql("insert into stock select i, i, 'n' || i from generate_series(1, 5) i");
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        let first = shelf.chunk(None, 2).await;
        let changes = OpenSession::start(&shop).await;
        for change in ["alter qty type bigint", "drop note", "add more int default 7"] {
            changes.execute(&format!("begin; alter table stock {change}")).await;
            let after = first.next.clone();
            let reading = tokio::spawn(async move {
                let chunk = shelf.chunk(after.as_ref(), 9).await;
                (shelf, chunk)
            });
            tokio::task::block_in_place(|| {
                shop.wait_until("select exists (select from pg_locks where not granted)");
            });
            changes.execute("commit").await;
            let (same, chunk) = reading.await.unwrap();
            shelf = same;
            assert_eq!(ids(&values(&chunk)), ["id=3", "id=4", "id=5"], "{change}");
        }
        // With another key, it begins anew.
        shop.sql("alter table stock drop constraint stock_pkey, add primary key (qty)");
        let chunk = shelf.chunk(first.next.as_ref(), 9).await;
        assert_eq!(values(&chunk).len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_of_rows_is_shared_until_it_changes() {
    let Some(shop) = Shop::start(PgVersion::V15, "the shape of a chunk") else { return };
    shop.sql("insert into stock values (1, 1, 'a')");
    let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
    let shapes = [
        Arc::clone(shelf.chunk(None, 9).await.rows.table(0)),
        Arc::clone(shelf.chunk(None, 9).await.rows.table(0)),
    ];
    assert!(Arc::ptr_eq(&shapes[0], &shapes[1]));
    shop.sql("alter table stock rename note to remark; alter table stock add note int");
    let chunk = shelf.chunk(None, 9).await;
    assert_eq!(values(&chunk), ["id=1 qty=1 note=null"]);
    assert_eq!(chunk.rows.table(0).columns[2].type_name, "integer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_counted_is_not_estimated() {
    for shop in Shop::of_each_version("estimated rows") {
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        shop.sql("insert into stock select i, i, '' from generate_series(1, 500) i");
        let table = shelf.table.clone();
        assert_eq!(shelf.reader.estimated_rows(&table).await.unwrap(), None);
        shop.sql("analyze stock");
        assert_eq!(shelf.reader.estimated_rows(&table).await.unwrap(), Some(500));
    }
}
