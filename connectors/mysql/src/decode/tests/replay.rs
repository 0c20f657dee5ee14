//! A log says the same however often and from wherever it is read.

use proptest::prelude::*;

use super::encode::{Log, image, inside, payload, query, rows_head, stock};
use super::*;
use crate::log::Kind;

/// Every change with its transaction and its place there.
fn changes(batches: &[Batch]) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut coordinate = 0;
    for batch in batches {
        for event in batch.events() {
            match event {
                SourceEvent::Begin(begin) => coordinate = begin.coordinate,
                SourceEvent::Commit | SourceEvent::SchemaChanged { .. } => {}
                _ => found.push((coordinate, line(batch, event))),
            }
        }
    }
    found
}

fn large(rows: i32, each: usize) -> Log {
    let rows: Vec<_> = (0..rows).map(|id| (id, Some("note"))).collect();
    let mut log = Log::mysql();
    log.gtid(4).begin().stock().insert(&[(-1, None)]).xid();
    log.gtid(5).begin().stock();
    for rows in rows.chunks(each) {
        log.insert(rows);
    }
    log.xid();
    log
}

#[test]
fn a_large_transaction_comes_in_blocks_and_goes_on_at_each() {
    let log = large(20_000, 7000);
    let batches = read(&log);
    let all = changes(&batches);
    assert_eq!(all.len(), 20_001);
    let ends: Vec<_> = batches.iter().map(|batch| batch.partial().map(|it| it.rows)).collect();
    assert_eq!(ends, [Some(8192), Some(16_384), None]);
    for batch in &batches[..2] {
        let partial = batch.partial().unwrap();
        let mut rest = Log::of(log.events().to_vec());
        rest.leave_out(5);
        let from = point(Some((&partial.txid, partial.rows)));
        let resumed = try_read(&from, &rest, false).unwrap();
        assert_eq!(changes(&resumed), all[partial.rows as usize + 1..]);
    }
}

#[test]
fn an_event_of_many_blocks_is_decoded_one_block_at_a_time() {
    let log = large(40_000, 40_000);
    let from = point(None);
    let mut decoder = Decoder::new(&from, capture(&["stock"]), Catalog::default()).unwrap();
    let mut out = BatchBuilder::new(&from.position);
    let (mut framing, mut blocks) = (Framing::default(), 0);
    for event in log.events() {
        let frame = framing.frame(event).unwrap();
        let mut piled_up = |_| panic!("more than a batch was decoded");
        while decoder.event(&frame, &mut out, &mut piled_up).unwrap() == Decoded::Full {
            assert!(out.take().events().len() <= 8192 + 4);
            blocks += 1;
        }
    }
    assert_eq!(blocks, 4);
}

#[test]
fn a_large_packed_transaction_comes_in_the_same_blocks() {
    let plain = large(20_000, 7000);
    let rows = (0..20_000).flat_map(|id| image(id, Some("note"))).collect();
    let events = [
        inside(Kind::QUERY, &query("BEGIN")),
        inside(Kind::TABLE_MAP, &stock()),
        inside(Kind::WRITE_ROWS, &[rows_head(1), rows].concat()),
        inside(Kind::XID, &[0; 8]),
    ];
    let mut packed = Log::mysql();
    packed.gtid(4).begin().stock().insert(&[(-1, None)]).xid();
    packed.gtid(5).add(Kind::TRANSACTION_PAYLOAD, &payload(&events));
    let (packed, plain) = (read(&packed), read(&plain));
    assert_eq!(changes(&packed), changes(&plain));
    let partials = |batches: &[Batch]| -> Vec<_> {
        batches.iter().map(|batch| batch.partial().cloned()).collect()
    };
    assert_eq!(partials(&packed), partials(&plain));
}

#[test]
fn another_transaction_than_the_one_that_is_partly_read_is_refused() {
    let from = point(Some(("binlog.000001:99", 3)));
    let error = try_read(&from, &large(1, 1), false).unwrap_err();
    assert!(error.to_string().contains("not the log of the checkpoint"), "{error}");
    assert!(error.fix().is_some());
}

#[test]
fn a_transaction_with_fewer_changes_than_were_read_is_refused() {
    let mut log = large(5, 5);
    log.leave_out(5);
    let from = point(Some(("11111111-1111-1111-1111-111111111111:5", 6)));
    let error = try_read(&from, &log, false).unwrap_err();
    assert!(error.to_string().contains("1 changes less"), "{error}");
}

proptest! {
    #[test]
    fn any_log_says_the_same_in_batches_of_any_size(
        transactions in prop::collection::vec(prop::collection::vec(0..6_i32, 0..5), 1..6),
        resumed in any::<prop::sample::Index>(),
    ) {
        let mut log = Log::mysql();
        for (nth, statements) in transactions.iter().enumerate() {
            log.gtid(nth as u64 + 1).begin();
            for rows in statements {
                let rows: Vec<_> = (0..*rows).map(|id| (id, Some("n"))).collect();
                log.stock().insert(&rows);
            }
            log.xid();
        }
        let whole = changes(&try_read(&point(None), &log, false).unwrap());
        let early = changes(&try_read(&point(None), &log, true).unwrap());
        prop_assert_eq!(&whole, &early);

        let first: i32 = transactions[0].iter().sum();
        let rows = resumed.index(first as usize + 1);
        let from = point(Some(("11111111-1111-1111-1111-111111111111:1", rows as u32)));
        let resumed = changes(&try_read(&from, &log, false).unwrap());
        prop_assert_eq!(&whole[rows..], &resumed[..]);
    }
}
