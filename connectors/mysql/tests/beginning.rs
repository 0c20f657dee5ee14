//! Where a stream without a checkpoint begins: a place of the log, and all transactions before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connector_api::{Connector as _, Position, ResumePoint};
use testbed::{MysqlOptions, MysqlVersion};

use crate::support::shelf::{Shelf, lines};
use crate::support::{OpenSession, Shop, within};

fn start(test: &str) -> Option<Shop> {
    Shop::start_with(MysqlVersion::Mysql97, &MysqlOptions::default(), test)
}

async fn establish(shop: &Shop) -> ResumePoint {
    let (connector, capture) = (shop.connector(), shop.tables(&["stock"]));
    within("a place", connector.establish(&capture)).await.unwrap()
}

/// The set says what the log itself does up to the place.
fn assert_exact(shop: &Shop, position: &Position) {
    let (place, named) = position.as_str().split_once("/mysql=").unwrap();
    let parts: Vec<&str> = place.split('/').collect();
    let (file, offset) = (parts[1], parts[2].parse::<u64>().unwrap());
    let mut logged = Vec::new();
    for event in shop.server.query(&format!("show binlog events in '{file}'")).unwrap() {
        let [_, _, kind, _, end, info] = &event[..] else { panic!("{event:?}") };
        let (kind, info) = (kind.as_deref().unwrap(), info.as_deref().unwrap());
        if end.as_deref().unwrap().parse::<u64>().unwrap() > offset {
            break;
        }
        match kind {
            "Previous_gtids" => logged.push(info.replace('\n', "")),
            "Gtid" => logged.push(info.split('\'').nth(1).unwrap().to_owned()),
            _ => {}
        }
    }
    let logged = logged.join(",");
    let told = |set: &str, other: &str| {
        shop.server.value(&format!("select gtid_subtract('{set}', '{other}')")).unwrap()
    };
    assert_eq!(told(&logged, named), "", "the place does not name what lies before it: {named}");
    assert_eq!(told(named, &logged), "", "the place names what lies behind it: {named}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_place_names_the_transactions_before_it_and_no_others() {
    let Some(shop) = start("a_first_place_names") else { return };
    assert_exact(&shop, &establish(&shop).await.position);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for nth in 0..4_u32 {
        let mut session = OpenSession::start(&shop.config()).await;
        let is_over = Arc::clone(&is_over);
        writers.push(tokio::spawn(async move {
            for id in (nth..).step_by(4).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                session.execute(&format!("insert into stock values ({id}, 1, 'a')")).await;
            }
        }));
    }
    for nth in 0..8 {
        if nth % 3 == 2 {
            shop.sql("flush binary logs");
        }
        assert_exact(&shop, &establish(&shop).await.position);
    }
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_log_before_a_first_place_and_waits_for_a_replica_is_waited_for() {
    let Some(shop) = start("what_is_in_the_log_before_a_first_place") else { return };
    shop.sql(
        "install plugin rpl_semi_sync_source soname 'semisync_source.so';
         set global rpl_semi_sync_source_timeout = 10000;
         insert into stock values (1, 1, 'a')",
    );
    let mut stream = shop.stream(&["stock"]).await;
    shop.sql("set global rpl_semi_sync_source_enabled = 1");
    let mut session = OpenSession::start(&shop.config()).await;
    let waiting = tokio::spawn(async move {
        session.execute("insert into stock values (2, 2, 'b')").await;
    });
    stream.expect(&["insert stock #0 id=2 qty=2 note='b'"]).await;
    let place = establish(&shop).await.position;
    assert_exact(&shop, &place);
    let mut shelf = Shelf::open(&shop).await;
    let moment = Duration::from_millis(300);
    let settled = tokio::time::timeout(moment, shelf.reader.settle(&place)).await;
    assert!(!waiting.is_finished(), "it has been seen before it could be asked for");
    assert!(settled.is_err(), "it lies before {place}, and nobody can see it");
    shelf.settle(&place).await;
    let chunk = shelf.chunk("stock", &["id"], None, 10).await;
    assert_eq!(lines(&chunk), ["Int(1)", "Int(2)"]);
    waiting.await.unwrap();
    stream.close().await;
}
