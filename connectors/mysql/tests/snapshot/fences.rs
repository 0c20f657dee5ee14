use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use connector_api::{Chunk, Connector as _, Position};
use connector_mysql::MysqlConfig;

use super::*;
use crate::support::shelf::{Shelf, Transaction, follow, lines};
use crate::support::{OpenSession, Reader};

/// How transactions are made.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// Of two phases.
    Distributed,
}

/// Writes rows of one column, each in a transaction of its own, until it is told to stop.
async fn write(config: MysqlConfig, kind: Kind, next: Arc<AtomicU32>, stop: Arc<AtomicBool>) {
    let mut session = OpenSession::start(&config).await;
    while !stop.load(Ordering::Relaxed) {
        let id = next.fetch_add(1, Ordering::Relaxed);
        let insert = format!("insert into busy values ({id})");
        match kind {
            Kind::Plain => session.execute(&insert).await,
            Kind::Distributed => {
                for step in ["XA START", "", "XA END", "XA PREPARE", "XA COMMIT"] {
                    match step {
                        "" => session.execute(&insert).await,
                        step => session.execute(&format!("{step} 'x{id}'")).await,
                    }
                }
            }
        }
    }
}

/// Chunks that are read while others write, and all that was written.
async fn busy(shop: &Shop, engine: &str, kinds: &[Kind]) -> (Vec<Chunk>, Vec<Transaction>) {
    shop.sql(
        &format!("create or replace table busy (id int primary key) engine = {engine}")
            .replace("create or replace table", "drop table if exists busy; create table"),
    );
    let mut stream: Reader = shop.stream(&["busy"]).await;
    let (next, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = kinds
        .iter()
        .map(|kind| tokio::spawn(write(shop.config(), *kind, Arc::clone(&next), Arc::clone(&stop))))
        .collect();
    let mut shelf = Shelf::open(shop).await;
    let mut chunks = Vec::new();
    for round in 0..25 {
        chunks.push(shelf.chunk("busy", &["id"], None, 1_000_000).await);
        if round % 10 == 5 {
            shop.sql("flush binary logs");
        }
        let written = next.load(Ordering::Relaxed);
        while next.load(Ordering::Relaxed) < written + 4 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let last = shelf.chunk("busy", &["id"], None, 1).await.fence.high;
    let transactions = follow(shop, &mut stream, &last).await;
    stream.close().await;
    (chunks, transactions)
}

/// What a fence says is true of the rows.
fn assert_true(shop: &Shop, chunks: &[Chunk], transactions: &[Transaction], is_exact: bool) {
    let connector = shop.connector();
    let (mut unseen, mut rows_of_all) = (0, 0);
    for chunk in chunks {
        let rows: std::collections::HashSet<String> = lines(chunk).into_iter().collect();
        rows_of_all += rows.len();
        let high = connector.coordinate(&chunk.fence.high).unwrap();
        for Transaction { coordinate, txid, rows: written } in transactions {
            let sees = chunk.fence.sight.sees(*coordinate, txid);
            for row in written {
                let is_there = rows.contains(row);
                assert!(is_there || !sees, "{row} of {txid} is not in {:?}", chunk.fence);
                assert!(!is_there || *coordinate < high, "{row} is behind {:?}", chunk.fence);
                assert!(!is_exact || sees == is_there, "{row} of {txid} in {:?}", chunk.fence);
                unseen += usize::from(is_there && !sees);
            }
        }
    }
    println!("{}: {rows_of_all} rows, {unseen} not known to be seen", shop.server.version());
    let written: usize = transactions.iter().map(|transaction| transaction.rows.len()).sum();
    assert!(written > 50, "{written} rows were written");
    assert!(rows_of_all > unseen, "nothing is ever known to be seen");
}

const TWO: [Kind; 2] = [Kind::Plain, Kind::Plain];

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_true_while_others_write() {
    for shop in each("a fence is true while others write", &[("sync_binlog", "0")]) {
        let (chunks, transactions) = busy(&shop, "InnoDB", &TWO).await;
        assert_true(&shop, &chunks, &transactions, shop.is_mariadb());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_true_where_transactions_have_no_names() {
    let settings =
        [("gtid_mode", "OFF"), ("enforce_gtid_consistency", "OFF"), ("sync_binlog", "0")];
    let Some(shop) = shop(MysqlVersion::Mysql97, "without names", &settings) else { return };
    let (chunks, transactions) = busy(&shop, "InnoDB", &TWO).await;
    assert!(transactions.iter().all(|transaction| transaction.txid.starts_with("binlog.")));
    assert_true(&shop, &chunks, &transactions, false);
    // And where some have one.
    shop.sql(
        "set global enforce_gtid_consistency = on; set global gtid_mode = off_permissive;
         set global gtid_mode = on_permissive",
    );
    let (chunks, transactions) = busy(&shop, "InnoDB", &TWO).await;
    assert_true(&shop, &chunks, &transactions, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_under_names_settles_where_transactions_have_none_any_more() {
    let test = "names that are given up";
    let Some(shop) = shop(MysqlVersion::Mysql97, test, &[("sync_binlog", "0")]) else { return };
    let mut stream = shop.stream(&["stock"]).await;
    shop.sql("insert into stock values (1, 1, 'a')");
    stream.expect(&["insert stock #0 id=1 qty=1 note='a'"]).await;
    shop.sql(
        "set global gtid_mode = on_permissive; set global gtid_mode = off_permissive;
         set global gtid_mode = off",
    );
    shop.sql("insert into stock values (2, 2, 'b')");
    stream.expect(&["insert stock #0 id=2 qty=2 note='b'"]).await;
    let place = &stream.point.position;
    assert!(place.as_str().contains("/mysql="), "{place}");
    let mut shelf = Shelf::open(&shop).await;
    shelf.settle(place).await;
    let chunk = shelf.chunk("stock", &["id"], None, 10).await;
    assert_eq!(lines(&chunk), ["Int(1)", "Int(2)"]);
    follow(&shop, &mut stream, &chunk.fence.high).await;
    stream.close().await;
    let (chunks, transactions) = busy(&shop, "InnoDB", &TWO).await;
    assert_true(&shop, &chunks, &transactions, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_true_of_distributed_transactions() {
    for shop in each("distributed transactions", &[("sync_binlog", "0")]) {
        let kinds = [Kind::Plain, Kind::Distributed];
        let (chunks, transactions) = busy(&shop, "InnoDB", &kinds).await;
        assert_true(&shop, &chunks, &transactions, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_true_of_tables_without_transactions() {
    for shop in each("tables without transactions", &[("sync_binlog", "0")]) {
        let engines = if shop.is_mariadb() { &["MyISAM", "Aria"][..] } else { &["MyISAM"] };
        for engine in engines {
            let (chunks, transactions) = busy(&shop, engine, &TWO).await;
            assert_true(&shop, &chunks, &transactions, false);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_reaches_every_fence_on_a_server_where_nothing_happens() {
    for shop in each("fences are reached", &[]) {
        shop.sql("create table seldom (id int primary key) engine = MyISAM");
        let mut stream = shop.stream(&["stock"]).await;
        let mut shelf = Shelf::open(&shop).await;
        for change in [
            "do 1",
            "flush binary logs",
            "insert into stock values (1, 1, 'a')",
            "flush binary logs",
        ] {
            shop.sql(change);
            for table in ["stock", "seldom"] {
                let chunk = shelf.chunk(table, &["id"], None, 10).await;
                let transactions = follow(&shop, &mut stream, &chunk.fence.high).await;
                let sight = &chunk.fence.sight;
                let sees = |of: &Transaction| sight.sees(of.coordinate, &of.txid);
                assert!(table == "seldom" || transactions.iter().all(sees), "{transactions:?}");
            }
            shelf.settle(&stream.point.position).await;
        }
        stream.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_settles_before_what_has_not_happened_yet() {
    for shop in each("nobody settles too early", &[]) {
        let mut shelf = Shelf::open(&shop).await;
        let high = shelf.chunk("stock", &["id"], None, 10).await.fence.high;
        let (_, rest) = high.as_str().split_once('/').unwrap();
        let (file, rest) = rest.split_once('/').unwrap();
        let (offset, rest) = rest.split_once('/').unwrap();
        let later = offset.parse::<u64>().unwrap() + 1;
        let target = Position::new(format!("1/{file}/{later}/{rest}"));
        let waited = tokio::time::timeout(Duration::from_millis(300), shelf.reader.settle(&target));
        assert!(waited.await.is_err(), "{target} on {}", shop.server.version());
        shop.sql("insert into stock values (1, 1, 'a')");
        shelf.settle(&target).await;
        assert_eq!(lines(&shelf.chunk("stock", &["id"], None, 10).await), ["Int(1)"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_log_and_waits_for_a_replica_is_not_seen_and_waited_for() {
    for shop in each("a commit that waits for a replica", &[]) {
        if !shop.is_mariadb() {
            continue;
        }
        shop.sql(
            "set global rpl_semi_sync_master_timeout = 3000;
             set global rpl_semi_sync_master_wait_point = 'AFTER_SYNC';
             set global rpl_semi_sync_master_enabled = 1",
        );
        let mut stream = shop.stream(&["stock"]).await;
        let mut session = OpenSession::start(&shop.config()).await;
        let waiting = tokio::spawn(async move {
            session.execute("insert into stock values (1, 1, 'a')").await;
        });
        stream.expect(&["insert stock #0 id=1 qty=1 note='a'"]).await;
        let mut shelf = Shelf::open(&shop).await;
        let early = shelf.chunk("stock", &["id"], None, 10).await;
        assert!(!waiting.is_finished(), "it has been seen before it could be asked for");
        assert_eq!(lines(&early).len(), 0);
        let coordinate = shop.connector().coordinate(&stream.point.position).unwrap() - 1;
        assert!(!early.fence.sight.sees(coordinate, ""), "{:?}", early.fence);
        shelf.settle(&stream.point.position).await;
        let late = shelf.chunk("stock", &["id"], None, 10).await;
        assert_eq!(lines(&late), ["Int(1)"]);
        assert!(late.fence.sight.sees(coordinate, ""), "{:?}", late.fence);
        waiting.await.unwrap();
        stream.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_waits_for_a_replica_where_nothing_says_so_is_not_taken_for_seen() {
    let version = MysqlVersion::Mariadb1011;
    let Some(shop) = shop(version, "nothing says so", &[]) else { return };
    shop.sql(
        "create table seldom (id int primary key) engine = MyISAM;
         set global rpl_semi_sync_master_timeout = 3000;
         set global rpl_semi_sync_master_wait_point = 'AFTER_SYNC';
         set global rpl_semi_sync_master_enabled = 1",
    );
    // As long as they wait nobody sees the row.
    let mut slow = shop.stream(&["seldom"]).await;
    let mut session = OpenSession::start(&shop.config()).await;
    let waiting = tokio::spawn(async move {
        session.execute("insert into seldom values (1)").await;
    });
    slow.expect(&["insert seldom #0 id=1"]).await;
    let mut shelf = Shelf::open(&shop).await;
    let chunk = shelf.chunk("seldom", &["id"], None, 10).await;
    let coordinate = shop.connector().coordinate(&slow.point.position).unwrap() - 1;
    let sees = chunk.fence.sight.sees(coordinate, "");
    assert!(lines(&chunk).len() == 1 || !sees, "{:?}", chunk.fence);
    waiting.await.unwrap();
    slow.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_written_nothing_since_its_start_is_read_and_settles() {
    let test = "nothing since its start";
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().controlled();
        let Some(shop) = Shop::start_with(version, &options, test) else { continue };
        shop.sql("insert into stock values (1, 1, 'a')");
        shop.server.stop().unwrap();
        shop.server.start_again().unwrap();
        let mut stream = shop.stream(&["stock"]).await;
        for purge in [false, true] {
            if purge {
                shop.sql("flush binary logs");
                let logs = shop.server.query("show binary logs").unwrap();
                let last = logs.last().unwrap()[0].clone().unwrap();
                shop.sql(&format!("purge binary logs to '{last}'"));
            }
            let mut shelf = Shelf::open(&shop).await;
            let chunk = shelf.chunk("stock", &["id"], None, 10).await;
            assert_eq!(lines(&chunk), ["Int(1)"], "{version} {:?}", chunk.fence);
            follow(&shop, &mut stream, &chunk.fence.high).await;
            let end = shop.connector().survey(&shop.tables(&["stock"]), None).await.unwrap().head;
            follow(&shop, &mut stream, &end).await;
            shelf.settle(&stream.point.position).await;
        }
        stream.close().await;
    }
}
