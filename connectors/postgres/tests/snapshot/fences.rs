//! How a read stands to the log: what it saw, what it waits for, how fast a stream gets there.

use std::time::{Duration, Instant};

use connector_api::{Chunk, Connector as _, Position, SourceEvent};
use testbed::{PgVersion, PostgresOptions};

use crate::support::{LIMIT, OpenSession, Reader, Shelf, Shop, values, within};

const ALL: [&str; 3] = ["id", "qty", "note"];

/// A transaction of the stream: its coordinate and its id.
type Transaction = (u64, String);

/// The next transactions of the stream.
async fn transactions(reader: &mut Reader, count: usize) -> Vec<Transaction> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = reader.batch().await.unwrap();
        all.extend(batch.events().iter().filter_map(|event| match event {
            SourceEvent::Begin(begin) => {
                Some((begin.coordinate, batch.text(begin.txid).to_owned()))
            }
            _ => None,
        }));
    }
    assert_eq!(all.len(), count);
    all
}

fn sees(chunk: &Chunk, (coordinate, txid): &Transaction) -> bool {
    chunk.fence.sight.sees(*coordinate, txid)
}

/// Waits, on another thread, until the server says yes.
fn wait_until(shop: &Shop, condition: &str) {
    tokio::task::block_in_place(|| shop.wait_until(condition));
}

/// Waits until the reader has looked again, twice.
fn wait_for_looks(shop: &Shop) {
    let place = "pg_stat_activity where application_name like 'tailstock%'
                 and query = 'SELECT pg_current_snapshot()'";
    wait_until(shop, &format!("select exists (select from {place})"));
    for _ in 0..2 {
        let before = shop.value(&format!("select max(query_start)::text from {place}"));
        wait_until(shop, &format!("select max(query_start) > '{before}' from {place}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_transactions_at_once_are_told_apart_by_what_was_seen() {
    for shop in Shop::of_each_version("two transactions at once") {
        let mut reader = shop.stream(&["stock"]).await;
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        let (one, other) = (OpenSession::start(&shop).await, OpenSession::start(&shop).await);
        // With parts that have numbers of their own.
        one.execute("begin; insert into stock values (1); savepoint s").await;
        one.execute("insert into stock values (11); release s").await;
        other.execute("begin; insert into stock values (2)").await;
        let neither = shelf.chunk(None, 9).await;
        other.execute("commit").await;
        let second = shelf.chunk(None, 9).await;
        one.execute("commit").await;
        let both = shelf.chunk(None, 9).await;
        let [others, ones] = &transactions(&mut reader, 2).await[..] else { panic!("two") };
        let seen = |chunk: &Chunk| (values(chunk).len(), sees(chunk, ones), sees(chunk, others));
        assert_eq!(seen(&neither), (0, false, false), "{:?}", neither.fence);
        assert_eq!(seen(&second), (1, false, true), "{:?}", second.fence);
        assert_eq!(seen(&both), (3, true, true), "{:?}", both.fence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_waits_for_whatever_is_open_prepared_or_not() {
    for shop in Shop::of_each_version("settling") {
        let mut reader = shop.stream(&["stock"]).await;
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        shop.sql("begin; insert into stock values (1); prepare transaction 'kept'");
        let open = OpenSession::start(&shop).await;
        open.execute("begin; insert into stock values (2)").await;
        shop.sql("insert into stock values (3)");
        let third = transactions(&mut reader, 1).await;
        let place = reader.point.position.as_str().to_owned();
        {
            // Given up, it does no harm.
            let given_up = shelf.settle(&place);
            let waited = tokio::time::timeout(Duration::from_millis(1), given_up).await;
            assert!(waited.is_err());
        }
        let settling = tokio::spawn(async move {
            shelf.settle(&place).await;
            shelf
        });
        wait_for_looks(&shop);
        open.execute("commit").await;
        wait_for_looks(&shop);
        assert!(!settling.is_finished(), "one of them is still open");
        // What comes later is not waited for.
        open.execute("begin; insert into stock values (4)").await;
        shop.sql("commit prepared 'kept'");
        let mut shelf = within("settling", settling).await.unwrap();
        let chunk = shelf.chunk(None, 9).await;
        assert_eq!(values(&chunk).len(), 3);
        for transaction in transactions(&mut reader, 2).await.iter().chain(&third) {
            assert!(sees(&chunk, transaction), "{transaction:?} in {:?}", chunk.fence);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_replica_is_in_the_log_and_not_seen() {
    for shop in Shop::of_each_version("log ahead of what can be seen") {
        shop.sql("insert into stock values (1)");
        let mut reader = shop.stream(&["stock"]).await;
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        shop.server.set("synchronous_standby_names", "nobody").unwrap();
        wait_until(&shop, "select current_setting('synchronous_standby_names') = 'nobody'");
        let writer = OpenSession::start(&shop).await;
        let writing = tokio::spawn(async move { writer.execute("update stock set qty = 5").await });
        let update = transactions(&mut reader, 1).await.remove(0);
        let before = shelf.chunk(None, 9).await;
        assert_eq!(values(&before), ["id=1 qty=null note=null"]);
        assert!(!sees(&before, &update), "{:?}", before.fence);
        // Its place alone would have said otherwise.
        let high = shop.connector().coordinate(&before.fence.high).unwrap();
        assert!(update.0 < high);
        let place = reader.point.position.as_str().to_owned();
        let settling = tokio::spawn(async move {
            shelf.settle(&place).await;
            shelf
        });
        wait_for_looks(&shop);
        assert!(!settling.is_finished() && !writing.is_finished());
        shop.server.set("synchronous_standby_names", "").unwrap();
        let mut shelf = within("settling", settling).await.unwrap();
        let after = shelf.chunk(None, 9).await;
        assert_eq!(values(&after), ["id=1 qty=5 note=null"]);
        assert!(sees(&after, &update), "{:?}", after.fence);
        within("the update", writing).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_before_it_is_on_disk_lies_before_the_fence_all_the_same() {
    for shop in Shop::of_each_version("asynchronous commits") {
        let mut reader = shop.stream(&["stock"]).await;
        let mut shelf = Shelf::open(shop.config(), "stock", &ALL).await;
        let writer = OpenSession::start(&shop).await;
        writer.execute("set synchronous_commit = off").await;
        for id in 0..10 {
            writer.execute(&format!("insert into stock values ({id})")).await;
            let chunk = shelf.chunk(None, 100).await;
            assert_eq!(values(&chunk).len(), id + 1);
            let insert = &transactions(&mut reader, 1).await[0];
            let high = shop.connector().coordinate(&chunk.fence.high).unwrap();
            assert!(insert.0 < high, "{insert:?} behind {:?}", chunk.fence);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_a_hurry_reaches_the_end_of_an_idle_log_at_once() {
    for shop in Shop::of_each_version("a stream in a hurry") {
        shop.sql("create table orders (id int, note text)");
        shop.sql("drop publication tailstock; create publication tailstock for table stock");
        let connector = shop.connector();
        let mut reader = shop.stream(&["stock"]).await;
        let mut took = Vec::new();
        for id in 0..20 {
            shop.sql(&format!("insert into orders values ({id})"));
            let target = Position::new(shop.value("select pg_current_wal_flush_lsn()::text"));
            let begun = Instant::now();
            reader.stream.hurry();
            reader.stream.hurry();
            reader.until(&connector, &target).await;
            took.push(begun.elapsed());
        }
        took.sort();
        // By itself it says so after ten seconds or more.
        assert!(took[10] < Duration::from_millis(500), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_a_hurry_follows_a_server_that_is_busy_with_something_else() {
    let Some(shop) = Shop::start(PgVersion::V15, "a hurry on a busy server") else { return };
    shop.sql("create table orders (id int, note text)");
    shop.sql("drop publication tailstock; create publication tailstock for table stock");
    let connector = shop.connector();
    let mut reader = shop.stream(&["stock"]).await;
    let session = OpenSession::start(&shop).await;
    let busy = tokio::spawn(async move {
        let mut id = 0;
        loop {
            id += 1;
            session.execute(&format!("insert into orders values ({id}, 'x')")).await;
        }
    });
    for _ in 0..20 {
        let target = Position::new(shop.value("select pg_current_wal_flush_lsn()::text"));
        let begun = Instant::now();
        while !connector.covers(&reader.point.position, &target) {
            assert!(begun.elapsed() < LIMIT);
            reader.stream.hurry();
            let soon = Duration::from_millis(20);
            if let Ok(batch) = tokio::time::timeout(soon, reader.stream.read()).await {
                reader.point.follow(&batch.unwrap());
            }
        }
    }
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_with_what_it_is_certain_of() {
    let Some(shop) = Shop::start(PgVersion::V17, "a snapshot of a standby") else { return };
    shop.sql("insert into stock values (1, 1, 'a'), (2, 2, 'b')");
    let standby = shop.server.standby(&PostgresOptions::default()).unwrap();
    let url = standby.url("postgres", standby.database());
    let caught_up = "select count(*) = 2 from stock";
    tokio::task::block_in_place(|| standby.wait_until(caught_up, LIMIT)).unwrap();
    let config = crate::support::config(&format!("{url}?sslmode=disable"));
    let mut shelf = Shelf::open(config, "stock", &ALL).await;
    let open = OpenSession::start(&shop).await;
    open.execute("begin; insert into stock values (3)").await;
    let xid = shop.value("select max(backend_xid::text::bigint)::text from pg_stat_activity");
    shop.sql("insert into stock values (4, 4, 'd')");
    let replayed = "select count(*) = 3 from stock";
    tokio::task::block_in_place(|| standby.wait_until(replayed, LIMIT)).unwrap();
    let chunk = shelf.chunk(None, 9).await;
    let wanted = ["id=1 qty=1 note='a'", "id=2 qty=2 note='b'", "id=4 qty=4 note='d'"];
    assert_eq!(values(&chunk), wanted);
    assert!(!chunk.fence.sight.sees(0, &xid), "{xid} in {:?}", chunk.fence);
    open.execute("commit").await;
}
