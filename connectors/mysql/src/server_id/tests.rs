use std::collections::HashSet;

use proptest::prelude::*;

use super::{server_id, temporary_server_id};

#[test]
fn an_id_never_changes_from_one_version_to_the_next() {
    assert_eq!(server_id("tailstock", "acme", "main"), 2_144_010_271);
    assert_eq!(server_id("tailstock", "acme", "eu"), 1_076_574_729);
    assert_eq!(server_id("tailstock", "Müller & Söhne", "main"), 1_934_651_028);
}

#[test]
fn names_that_look_alike_when_joined_have_ids_of_their_own() {
    let alike = [
        ("tailstock", "acme", "main"),
        ("tailstockacme", "", "main"),
        ("tailstock", "acmemain", ""),
        ("", "tailstockacme", "main"),
        ("tailstock", "", "acmemain"),
    ];
    let ids: HashSet<u32> = alike.iter().map(|(p, s, d)| server_id(p, s, d)).collect();
    assert_eq!(ids.len(), alike.len());
}

#[test]
fn a_thousand_sellers_of_one_installation_have_a_thousand_ids() {
    let id = |nth: u32| server_id("tailstock", &format!("seller-{nth}"), "main");
    let ids: HashSet<u32> = (0..1000).map(id).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn readers_that_keep_nothing_have_another_id_each_time() {
    let ids: HashSet<u32> = (0..100).map(|_| temporary_server_id()).collect();
    assert!(ids.len() > 95, "{} different ones of 100", ids.len());
    assert!(ids.iter().all(|id| (0x8000_0000..0xa000_0000).contains(id)));
}

proptest! {
    #[test]
    fn an_id_is_where_no_hand_puts_one(
        process in any::<String>(),
        seller in any::<String>(),
        source in any::<String>(),
    ) {
        let id = server_id(&process, &seller, &source);
        prop_assert!((0x4000_0000..0x8000_0000).contains(&id), "{id}");
        prop_assert_eq!(id, server_id(&process, &seller, &source));
    }
}
