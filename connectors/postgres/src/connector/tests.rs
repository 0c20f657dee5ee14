use proptest::prelude::*;

use super::slot_name;

#[test]
fn a_slots_name_says_whose_it_is() {
    assert_eq!(slot_name("tailstock", "acme", "main"), "tailstock_acme_main");
    assert_eq!(slot_name("t", "4711", "eu"), "t_4711_eu");
}

#[test]
fn names_that_had_to_be_changed_do_not_meet() {
    let same_once_changed = [
        ("tailstock", "Acme", "main"),
        ("tailstock", "acme.", "main"),
        ("tailstock", "acme-", "main"),
        ("tailstock", "acme_", "main"),
        ("tailstock", "acme", "_main"),
        ("tailstock_acme", "", "main"),
        ("tailstock", "ácme", "main"),
    ];
    let names: std::collections::HashSet<String> =
        same_once_changed.iter().map(|(p, s, d)| slot_name(p, s, d)).collect();
    assert_eq!(names.len(), same_once_changed.len());
    let long = |end: &str| slot_name("tailstock", &format!("{}{end}", "a".repeat(80)), "main");
    assert_ne!(long("x"), long("y"));
}

#[test]
fn a_name_never_changes_from_one_version_to_the_next() {
    assert_eq!(
        slot_name("tailstock", "Müller & Söhne", "main"),
        "tailstock_m_ller___s_hne_main_e9fbd7cc1aabb958"
    );
}

proptest! {
    #[test]
    fn the_server_takes_every_name(
        process in any::<String>(),
        seller in any::<String>(),
        source in any::<String>(),
    ) {
        let name = slot_name(&process, &seller, &source);
        prop_assert!((1..=63).contains(&name.len()), "{name}");
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        prop_assert!(name.bytes().all(allowed), "{name}");
    }

    #[test]
    fn two_sources_have_two_names(
        a in ("[a-zA-Z_-]{1,30}", "[a-zA-Z_-]{1,30}", "[a-zA-Z_-]{1,9}"),
        b in ("[a-zA-Z_-]{1,30}", "[a-zA-Z_-]{1,30}", "[a-zA-Z_-]{1,9}"),
    ) {
        prop_assume!(a != b);
        prop_assert_ne!(slot_name(&a.0, &a.1, &a.2), slot_name(&b.0, &b.1, &b.2));
    }
}
