//! Damaged logs are errors or unreadable changes, and never a panic.

use proptest::prelude::*;

use super::encode::{Log, inside, payload, query};
use super::*;
use crate::log::{HEADER_BYTES, Kind};

fn everything() -> Log {
    let mut log = Log::mysql();
    log.add(Kind::PREVIOUS_GTIDS, &[0; 8]);
    log.gtid(1).begin().stock().insert(&[(1, Some("a")), (2, None)]).xid();
    log.gtid(2).query("TRUNCATE stock");
    log.gtid(3).begin().stock().insert(&[(3, Some("b"))]).query("ROLLBACK");
    log.gtid(4).query("XA START 'a'").stock().insert(&[(4, None)]);
    log.add(Kind::XA_PREPARE, &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a']);
    log.gtid(5).query("XA COMMIT 'a'");
    let events = [inside(Kind::QUERY, &query("BEGIN")), inside(Kind::XID, &[0; 8])];
    log.gtid(6).add(Kind::TRANSACTION_PAYLOAD, &payload(&events));
    let place = log.offset();
    log.beat(place);
    let next = [&4_u64.to_le_bytes()[..], b"binlog.000002"].concat();
    log.add(Kind::ROTATE, &next);
    log
}

proptest! {
    #[test]
    fn any_damage_is_an_error_or_an_unreadable_change(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(),
            any::<u8>()), 1..4),
        lost in prop::option::of(any::<prop::sample::Index>()),
        early in any::<bool>(),
    ) {
        let mut events = everything().events().to_vec();
        for (event, byte, value) in damage {
            // The first says how the others are written.
            let nth = 1 + event.index(events.len() - 1);
            let event = &mut events[nth];
            let at = byte.index(event.len());
            // What a header says of its own size is held against the event before it comes here.
            if !(9..13).contains(&at) {
                event[at] = value;
            }
        }
        if let Some(lost) = lost {
            let nth = 1 + lost.index(events.len() - 1);
            events.remove(nth);
        }
        prop_assert!(events.iter().all(|event| event.len() >= HEADER_BYTES));
        let _ = try_read(&point(None), &Log::of(events), early);
    }
}
