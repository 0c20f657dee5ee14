#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn position(text: &str) -> MariaPosition {
    text.parse().unwrap()
}

fn gtids() -> impl Strategy<Value = Vec<MariaGtid>> {
    let one = (0..4_u32, 0..3_u32, any::<u64>());
    let gtid = one.prop_map(|(domain, server, sequence)| MariaGtid { domain, server, sequence });
    proptest::collection::vec(gtid, 0..12)
}

proptest! {
    #[test]
    fn a_position_survives_its_printed_form(gtids in gtids()) {
        let mut place = MariaPosition::default();
        gtids.into_iter().for_each(|gtid| place.add(gtid));
        prop_assert_eq!(position(&place.to_string()), place);
    }

    #[test]
    fn a_list_says_the_same_as_its_text(gtids in gtids()) {
        let text: Vec<String> = gtids.iter().map(MariaGtid::to_string).collect();
        let state: MariaState = gtids.iter().copied().collect();
        prop_assert_eq!(&state, &text.join(",").parse().unwrap());
        for gtid in state.gtids() {
            prop_assert!(state.holds(&gtid));
        }
    }

    #[test]
    fn a_place_covers_itself_and_what_came_before(gtids in gtids(), cut: prop::sample::Index) {
        // Within a domain numbers rise.
        let mut gtids = gtids;
        gtids.sort_by_key(|gtid| gtid.sequence);
        let (mut before, mut place) = (MariaPosition::default(), MariaPosition::default());
        let cut = cut.index(gtids.len() + 1);
        for (nth, gtid) in gtids.iter().enumerate() {
            place.add(*gtid);
            if nth < cut {
                before.add(*gtid);
            }
        }
        prop_assert!(place.covers(&place) && place.covers(&before));
    }

    #[test]
    fn no_text_and_no_bytes_panic(
        text in "[0-9,-]{0,40}|.{0,40}",
    ) {
        if let Ok(place) = text.parse::<MariaPosition>() {
            prop_assert_eq!(position(&place.to_string()), place);
        }
        let _ = text.parse::<MariaState>();
    }
}

#[test]
fn a_position_prints_as_the_server_prints_it() {
    assert_eq!(position(" 7-2-9, 0-1-5").to_string(), "0-1-5,7-2-9");
    assert_eq!(position("").to_string(), "");
}

#[test]
fn a_place_covers_by_domain_whatever_the_server() {
    assert!(position("0-2-6,1-1-1").covers(&position("0-1-5")));
    assert!(!position("0-2-6").covers(&position("0-1-7")));
    assert!(!position("0-2-6").covers(&position("0-1-5,1-1-1")));
}

#[test]
fn a_log_went_through_what_its_own_server_counted() {
    let state: MariaState = "0-1-5,0-2-9,1-1-3".parse().unwrap();
    assert_eq!(state.position(), &position("0-2-9,1-1-3"));
    for (gtid, held) in [("0-1-5", true), ("0-1-6", false), ("0-2-7", true), ("0-3-1", false)] {
        assert_eq!(state.holds(&gtid.parse().unwrap()), held, "{gtid}");
    }
}

#[test]
fn other_text_is_refused_with_what_was_found() {
    for text in ["0-1", "0-1-2-3", "a-1-2", "0-1-+2", "4294967296-1-1", "0--1", "uuid:1-2", "--"] {
        let error = text.parse::<MariaPosition>().unwrap_err().to_string();
        let wanted = "not GTIDs: wanted domain-server-sequence, found ";
        assert_eq!(error, format!("{wanted}{text}"));
    }
    assert!("0-1-5,0-2-6".parse::<MariaPosition>().is_err());
}
