//! The consumer's rule, in the words of the document: however often and in whatever order events
//! arrive, the same is held in the end.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;
use testbed::{PgVersion, PostgresOptions};
use tokio_postgres::{Client, NoTls};

use super::feed::{Feed, Held, Step, deliveries};
use crate::support::is_full_size;

const TABLES: &str = include_str!("../../examples/consumer/tables.sql");
const APPLY: &str = include_str!("../../examples/consumer/apply.sql");

/// What the file holds.
pub fn held(db: &Connection) -> Held {
    let sql = "SELECT key, version, removed, on_hand FROM stock";
    let mut rows = db.prepare(sql).unwrap();
    let held = rows.query_map([], |row| {
        let (removed, on_hand): (bool, Option<String>) = (row.get(2)?, row.get(3)?);
        assert_eq!(removed, on_hand.is_none());
        Ok((row.get(0)?, (row.get(1)?, on_hand)))
    });
    held.unwrap().map(Result::unwrap).collect()
}

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap()
}

fn deliver(feed: &Feed, order: &[usize]) -> Held {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(TABLES).unwrap();
    let published = feed.published();
    for nth in order {
        let (key, value) = published[*nth];
        db.execute(APPLY, [key, text(value)]).unwrap();
    }
    held(&db)
}

#[test]
fn a_late_level_does_not_bring_back_a_key_that_was_removed() {
    let feed = Feed::of(&[Step::Set { row: 0, on_hand: 7 }, Step::Remove { row: 0 }]);
    let key = "acme/main/0/w1".to_owned();
    for order in [&[0, 1][..], &[1, 0], &[0, 1, 0], &[1, 0, 0, 1]] {
        let held = deliver(&feed, order);
        assert_eq!(held[&key].1, None, "{order:?}");
        assert_eq!(held, feed.held, "{order:?}");
    }
}

proptest! {
    #[test]
    fn order_and_number_of_deliveries_make_no_difference_in_sqlite(
        (feed, order) in deliveries(1..40),
    ) {
        let in_order: Vec<usize> = (0..feed.records.len()).collect();
        prop_assert_eq!(&deliver(&feed, &in_order), &feed.held);
        prop_assert_eq!(&deliver(&feed, &order), &feed.held);
    }
}

async fn deliver_to(shop: &Client, feed: &Feed, order: &[usize]) -> Held {
    let published = feed.published();
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let statement = |nth: &usize| {
        let (key, value) = published[*nth];
        format!("EXECUTE apply ({}, {});", literal(key), literal(text(value)))
    };
    let statements: String = order.iter().map(statement).collect();
    shop.batch_execute(&format!("BEGIN; {statements}")).await.unwrap();
    let sql = "SELECT key, version, removed, on_hand FROM stock";
    let rows = shop.query(sql, &[]).await.unwrap();
    let held = rows.iter().map(|row| {
        let (removed, on_hand): (bool, Option<String>) = (row.get(2), row.get(3));
        assert_eq!(removed, on_hand.is_none());
        (row.get(0), (row.get(1), on_hand))
    });
    let held = held.collect();
    shop.batch_execute("ROLLBACK").await.unwrap();
    held
}

#[test]
fn order_and_number_of_deliveries_make_no_difference_in_postgresql() {
    let test = "order_and_number_of_deliveries_make_no_difference_in_postgresql";
    let Some(server) =
        testbed::postgres_or_skip(PgVersion::at_hand(), PostgresOptions::default(), test)
    else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let url = server.url("postgres", "postgres");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(TABLES).await.unwrap();
        // Versions compare as they must under the rules of a language, too.
        let collate = "ALTER TABLE stock ALTER version TYPE text COLLATE \"en-x-icu\"";
        client.batch_execute(collate).await.unwrap();
        let prepare = format!("PREPARE apply (text, json) AS {APPLY}");
        client.batch_execute(&prepare).await.unwrap();
        client
    });
    let cases = if is_full_size() { 1000 } else { 100 };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..<_>::default() });
    let result = runner.run(&deliveries(1..40), |(feed, order)| {
        let found = runtime.block_on(deliver_to(&client, &feed, &order));
        prop_assert_eq!(&found, &feed.held);
        Ok(())
    });
    result.unwrap();
}
