use connector_api::Sight;

/// Which transactions a snapshot of the server sees (PostgreSQL documentation, "Transaction ID and
/// Snapshot Information Functions").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Every lesser one has ended.
    xmin: u64,
    /// None as great, or greater, had ended.
    xmax: u64,
    /// Those between the two that had not; rising. Unknown on a standby, which does not print
    /// them.
    open: Option<Box<[u64]>>,
}

impl Snapshot {
    /// Reads what `pg_current_snapshot()` prints: `10:20:10,14,15`.
    pub(super) fn parse(text: &str, on_standby: bool) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let listed = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        let mut open: Box<[u64]> = listed.map(|xid| xid.parse().ok()).collect::<Option<_>>()?;
        open.sort_unstable();
        Some(Self { xmin, xmax, open: (!on_standby).then_some(open) })
    }

    /// The number in full whose lower half a stream prints. No two transactions that a server may
    /// have to tell apart are half the range of those numbers from each other.
    fn widen(&self, xid: u32) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is compared")]
        let lower = self.xmax as u32;
        let distance = i64::from(xid.wrapping_sub(lower).cast_signed());
        self.xmax.checked_add_signed(distance)
    }
}

impl Sight for Snapshot {
    fn sees(&self, _coordinate: u64, txid: &str) -> bool {
        // The first three are no transactions.
        let xid = txid.parse().ok().filter(|xid| *xid > 2);
        let Some(xid) = xid.and_then(|xid| self.widen(xid)) else { return false };
        match &self.open {
            _ if xid < self.xmin => true,
            Some(open) => xid < self.xmax && open.binary_search(&xid).is_err(),
            None => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sees(snapshot: &str, xid: u64) -> bool {
        let printed = (xid & 0xffff_ffff).to_string();
        Snapshot::parse(snapshot, false).unwrap().sees(0, &printed)
    }

    #[test]
    fn a_snapshot_sees_what_had_ended() {
        let snapshot = "100:110:100,105";
        for xid in [3, 99, 101, 104, 106, 109] {
            assert!(sees(snapshot, xid), "{xid}");
        }
        for xid in [0, 1, 2, 100, 105, 110, 111, 2_000_000_000] {
            assert!(!sees(snapshot, xid), "{xid}");
        }
        assert!(sees("100:100:", 99));
        assert!(!sees("100:100:", 100));
    }

    #[test]
    fn numbers_that_have_started_anew_are_told_apart() {
        let around = 1_u64 << 32;
        let snapshot = format!("{}:{}:{}", around - 2, around + 10, around - 2);
        for (xid, seen) in [
            (around - 3, true),
            (around - 2, false),
            (around - 1, true),
            (around + 9, true),
            (around + 10, false),
        ] {
            assert_eq!(sees(&snapshot, xid), seen, "{xid}");
        }
        // What would have been assigned before there was anything.
        assert!(!sees("5:5:", around - 100));
    }

    #[test]
    fn a_standby_is_certain_only_of_what_all_others_follow() {
        let snapshot = Snapshot::parse("100:110:", true).unwrap();
        assert!(snapshot.sees(0, "99"));
        assert!(!snapshot.sees(0, "100"));
        assert!(!snapshot.sees(0, "105"));
    }

    #[test]
    fn what_is_no_snapshot_or_no_transaction_is_not_seen() {
        for text in ["", "1", "1:2", "a:2:", "1:2:x", "1:2:3,,x", "-1:2:"] {
            assert_eq!(Snapshot::parse(text, false), None, "{text}");
        }
        let snapshot = Snapshot::parse("100:100:", false).unwrap();
        for txid in ["", "x", "-5", "99999999999", "5.0"] {
            assert!(!snapshot.sees(0, txid), "{txid}");
        }
    }

    proptest! {
        #[test]
        fn every_transaction_within_reach_is_judged_by_its_number_in_full(
            xmin in (1_u64 << 31)..(1 << 40),
            width in 0_u64..1000,
            open in prop::collection::vec(0_u64..1000, 0..20),
            distance in -2_000_000_000_i64..2_000_000_000,
        ) {
            let xmax = xmin + width;
            let open: Vec<u64> =
                open.into_iter().map(|place| xmin + place).filter(|xid| *xid < xmax).collect();
            let printed: Vec<String> = open.iter().map(u64::to_string).collect();
            let snapshot = format!("{xmin}:{xmax}:{}", printed.join(","));
            let xid = xmax.checked_add_signed(distance).unwrap();
            prop_assume!(xid & 0xffff_ffff > 2);
            let ended = xid < xmin || xid < xmax && !open.contains(&xid);
            prop_assert_eq!(sees(&snapshot, xid), ended);
        }

        #[test]
        fn any_text_is_judged_without_a_panic(snapshot in ".{0,30}", txid in ".{0,12}") {
            if let Some(snapshot) = Snapshot::parse(&snapshot, false) {
                snapshot.sees(0, &txid);
            }
        }
    }
}
