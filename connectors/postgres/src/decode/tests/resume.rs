//! Large transactions, their blocks, and going on in the middle of one.

use connector_api::{BLOCK_ROWS, Fault};
use proptest::prelude::*;

use super::*;

fn row(id: usize) -> Vec<u8> {
    insert(STOCK, &[text(&id.to_string()), Wire::Null, Wire::Null])
}

/// A transaction of more than two blocks, with everything in it that takes no ordinal.
fn large() -> Vec<Vec<u8>> {
    let mut changes = vec![orders(), stock()];
    for id in 0..2 * BLOCK_ROWS as usize + 10 {
        changes.push(row(id));
        if id % 1000 == 0 {
            changes.push(insert(ORDERS, &[text("1")]));
            changes.push(encode::logical_message(true));
        }
    }
    transaction(7, changes)
}

#[test]
fn a_large_transaction_goes_on_behind_any_of_its_blocks() {
    let captured = capture(&[whole("stock")]);
    let mut messages = large();
    messages.extend(transaction(8, vec![row(1)]));
    let whole = decode(&captured, &messages);
    let partials: Vec<u32> =
        whole.iter().filter_map(|batch| batch.partial()).map(|partial| partial.rows).collect();
    assert_eq!(partials, [BLOCK_ROWS, 2 * BLOCK_ROWS]);
    for (done, rows) in partials.into_iter().enumerate() {
        let from = point(Some(("7", rows)), &captured);
        let mut stream = Stream::resumed(&from, &captured);
        stream.feed(&messages);
        assert_eq!(lines(&stream.batches()), lines(&whole[done + 1..]));
    }
}

#[test]
fn a_block_never_ends_inside_a_truncation() {
    let captured = capture(&[whole("stock"), whole("orders")]);
    let mut changes = vec![orders(), stock()];
    changes.extend((1..BLOCK_ROWS as usize).map(row));
    changes.push(truncate(&[STOCK, ORDERS], 0));
    changes.push(row(1));
    changes.push(row(2));
    let messages = transaction(7, changes);
    let batches = decode(&captured, &messages);
    let partial = batches[0].partial().unwrap();
    assert_eq!(partial.rows, BLOCK_ROWS + 2);
    let from = point(Some(("7", partial.rows)), &captured);
    let mut stream = Stream::resumed(&from, &captured);
    stream.feed(&messages);
    assert_eq!(lines(&stream.batches()), lines(&batches[1..]));
}

#[test]
fn another_transaction_in_its_place_is_another_log() {
    let captured = capture(&[whole("stock")]);
    let mut stream = Stream::resumed(&point(Some(("7", 3)), &captured), &captured);
    let error = stream.try_feed(&transaction(8, vec![stock(), row(1)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log continues with transaction 8, where 3 changes of transaction 7 have been read: \
         it is not the log of the checkpoint"
    );
    let fix = "SELECT pg_drop_replication_slot('acme');";
    assert!(matches!(error.fault(), Fault::Operator { fix: found } if found.starts_with(fix)));
}

#[test]
fn a_transaction_that_ends_before_the_place_that_was_reached_is_another_one() {
    let captured = capture(&[whole("stock")]);
    let mut stream = Stream::resumed(&point(Some(("7", 3)), &captured), &captured);
    let error = stream.try_feed(&transaction(7, vec![stock(), row(1), row(2)])).unwrap_err();
    assert!(error.to_string().contains("1 changes less"), "{error}");
}

#[test]
fn an_open_transaction_is_finished_under_the_capture_it_was_counted_under() {
    let old = capture(&[columns("stock", &["id"])]);
    let new = capture(&[columns("stock", &["id", "qty"]), whole("orders")]);
    let order = insert(ORDERS, &[text("9")]);
    let messages = [
        transaction(7, vec![stock(), orders(), order.clone(), row(1), order.clone(), row(2)]),
        // Nothing is described twice.
        transaction(8, vec![order, row(3)]),
    ]
    .concat();
    let mut stream = Stream::resumed(&point(Some(("7", 1)), &old), &new);
    stream.feed(&messages);
    assert_eq!(
        lines(&stream.batches()),
        [
            "begin 7 0/700 from 1",
            "1 insert public.stock - -> [Int(2)]",
            "commit",
            "begin 8 0/800 from 0",
            "0 insert public.orders - -> [Int(9)]",
            "1 insert public.stock - -> [Int(3), Null]",
            "commit",
        ]
    );
}

#[test]
fn what_was_told_of_a_table_before_the_place_that_was_reached_is_not_told_again() {
    let captured = capture(&[whole("stock")]);
    let other = relation(STOCK, "stock", &[(true, "id", BIGINT)]);
    let short = |id: &str| insert(STOCK, &[text(id)]);
    let messages =
        transaction(7, vec![stock(), row(1), other, short("2"), short("3"), stock(), row(4)]);
    let mut stream = Stream::resumed(&point(Some(("7", 2)), &captured), &captured);
    stream.feed(&messages);
    assert_eq!(
        lines(&stream.batches()),
        [
            "begin 7 0/700 from 2",
            "2 insert public.stock - -> [Int(3)]",
            "schema public.stock id,qty,note",
            "unreadable",
            "3 insert public.stock - -> [Int(4), Null, Null]",
            "commit",
        ]
    );
}

/// What one change does, and whether it counts.
fn changes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let change = prop_oneof![
        4 => (0..9_usize).prop_map(row),
        1 => Just(delete(STOCK, Old::Key, &[text("1"), Wire::Null, Wire::Null])),
        1 => Just(truncate(&[STOCK, ORDERS], 0)),
        1 => Just(insert(ORDERS, &[text("1")])),
        1 => Just(encode::logical_message(true)),
        1 => Just(stock()),
    ];
    prop::collection::vec(change, 0..60)
}

proptest! {
    #[test]
    fn resuming_anywhere_gives_the_rest(changes in changes(), at in any::<prop::sample::Index>()) {
        let captured = capture(&[whole("stock")]);
        let mut all = vec![orders(), stock()];
        all.extend(changes);
        let messages = transaction(7, all);
        let events = |lines: Vec<String>| -> Vec<String> {
            lines.into_iter().filter(|l| l.starts_with(|c: char| c.is_ascii_digit())).collect()
        };
        let whole = events(lines(&decode(&captured, &messages)));
        let done = at.index(whole.len() + 1);
        let rows = u32::try_from(done).unwrap();
        let mut stream = Stream::resumed(&point(Some(("7", rows)), &captured), &captured);
        stream.feed(&messages);
        prop_assert_eq!(&events(lines(&stream.batches()))[..], &whole[done..]);
    }
}
