#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What a set is: no ranges, no order, one entry a transaction.
type Model = BTreeSet<(u8, u8, u64)>;

const TAGS: [&str; 3] = ["", "blue", "_9"];
const A: &str = "00000000-0000-0000-0000-000000000000";
const B: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn gtid((uuid, tag, number): (u8, u8, u64)) -> Gtid {
    let tag = Tag::new(TAGS[usize::from(tag)].as_bytes()).unwrap();
    Gtid { origin: Origin { uuid: Uuid([uuid; 16]), tag }, number }
}

fn set(model: &Model) -> GtidSet {
    let mut set = GtidSet::default();
    model.iter().for_each(|one| set.add(gtid(*one)));
    set
}

fn parse(text: &str) -> GtidSet {
    text.parse().unwrap()
}

fn models() -> impl Strategy<Value = Model> {
    proptest::collection::btree_set((0..3_u8, 0..3_u8, 1..24_u64), 0..60)
}

/// The binary form, with tags when `tagged`.
fn encode(set: &GtidSet, tagged: bool) -> Vec<u8> {
    let entries = set.ranges().count() as u64;
    let head = if tagged { 1 << 56 | entries << 8 | 1 } else { entries };
    let mut bytes = head.to_le_bytes().to_vec();
    for (origin, ranges) in set.ranges() {
        bytes.extend(origin.uuid.0);
        if tagged {
            let tag = origin.tag.as_str();
            bytes.push(u8::try_from(tag.len() << 1).unwrap());
            bytes.extend(tag.as_bytes());
        }
        bytes.extend((ranges.len() as u64).to_le_bytes());
        for (start, end) in ranges {
            bytes.extend(start.to_le_bytes());
            bytes.extend(end.to_le_bytes());
        }
    }
    bytes
}

proptest! {
    #[test]
    fn sets_behave_as_sets_of_transactions_do(
        a in models(),
        b in models(),
        one in (0..3_u8, 0..3_u8, 1..24_u64),
    ) {
        let (left, right) = (set(&a), set(&b));
        let mut union = left.clone();
        union.union(&right);
        prop_assert_eq!(&union, &set(&a.union(&b).copied().collect()));
        prop_assert_eq!(left.subtract(&right), set(&a.difference(&b).copied().collect()));
        prop_assert_eq!(left.is_subset(&right), a.is_subset(&b));
        prop_assert_eq!(left.contains(&gtid(one)), a.contains(&one));
        prop_assert_eq!(left.is_empty(), a.is_empty());
        prop_assert!(left.is_subset(&union) && right.is_subset(&union));
    }

    #[test]
    fn a_text_that_follows_its_set_says_what_the_set_does(
        before in models(),
        added in proptest::collection::vec((0..2_u8, 0..2_u8, 1..110_u64, 1..25_u64), 0..20),
    ) {
        let mut set = set(&before);
        let mut text = GtidSetText::of(&set);
        prop_assert_eq!(text.to_string(), set.to_string());
        for (uuid, tag, first, count) in added {
            for number in first..first + count {
                let gtid = gtid((uuid, tag, number));
                set.add(gtid);
                text.added(gtid, &set);
                prop_assert_eq!(text.to_string(), set.to_string());
            }
        }
    }

    #[test]
    fn the_order_of_adding_makes_no_difference(
        all in proptest::collection::vec((0..2_u8, 0..2_u8, 1..40_u64), 0..80),
    ) {
        let mut added = GtidSet::default();
        all.iter().for_each(|one| added.add(gtid(*one)));
        prop_assert_eq!(added, set(&all.into_iter().collect()));
    }

    #[test]
    fn a_set_survives_its_printed_forms(model in models()) {
        let set = set(&model);
        prop_assert_eq!(&parse(&set.to_string()), &set);
        prop_assert_eq!(&parse(&format!("{set:#}")), &set);
        prop_assert_eq!(&parse(&set.to_string().to_uppercase()), &set);
    }

    #[test]
    fn a_set_survives_its_binary_form(model in models()) {
        let tagged = set(&model);
        prop_assert_eq!(&GtidSet::decode(&encode(&tagged, true)).unwrap(), &tagged);
        prop_assert_eq!(&GtidSet::decode(&tagged.encode()).unwrap(), &tagged);
        let plain = set(&model.into_iter().map(|(uuid, _, number)| (uuid, 0, number)).collect());
        prop_assert_eq!(&GtidSet::decode(&encode(&plain, false)).unwrap(), &plain);
    }

    #[test]
    fn a_cut_binary_form_is_an_error(model in models(), tagged: bool, cut: prop::sample::Index) {
        let bytes = encode(&set(&model), tagged);
        prop_assert!(GtidSet::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn no_text_panics(text in ".{0,60}", parts in "[0-9a-fA-F:, _-]{0,90}") {
        for text in [text, parts.clone(), format!("{B}:{parts}")] {
            if let Ok(set) = text.parse::<GtidSet>() {
                prop_assert_eq!(parse(&set.to_string()), set);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), tagged: bool) {
        let _ = GtidSet::decode(&bytes);
        let head = if tagged { 1 << 56 | 3 << 8 | 1 } else { 3_u64 };
        let _ = GtidSet::decode(&[&head.to_le_bytes()[..], &bytes].concat());
    }
}

#[test]
fn sets_print_as_the_server_prints_them() {
    let text = format!("{}:7:1-3:5-5:4, {A}:2:blue:1-9:_x:3 ,,{B}:9-11", B.to_uppercase());
    let set = parse(&text);
    assert_eq!(set.to_string(), format!("{A}:2:_x:3:blue:1-9,{B}:1-5:7:9-11"));
    assert_eq!(format!("{set:#}"), format!("{A}:2:_x:3:blue:1-9,\n{B}:1-5:7:9-11"));
}

#[test]
fn a_gap_stays_a_gap_until_it_is_filled() {
    let mut set = parse(&format!("{B}:1-10:15"));
    assert_eq!(set.to_string(), format!("{B}:1-10:15"));
    for number in 11..15 {
        let origin = Origin { uuid: B.parse().unwrap(), tag: Tag::default() };
        assert!(!set.contains(&Gtid { origin, number }));
        set.add(Gtid { origin, number });
    }
    assert_eq!(set.to_string(), format!("{B}:1-15"));
}

#[test]
fn the_same_server_with_another_tag_is_another_origin() {
    let (plain, tagged) = (parse(&format!("{B}:1-5")), parse(&format!("{B}:blue:1-5")));
    assert!(!plain.is_subset(&tagged) && !tagged.is_subset(&plain));
    assert_eq!(tagged.subtract(&plain), tagged);
}

#[test]
fn a_uuid_is_read_without_dashes_too() {
    assert_eq!(parse(&format!("{}:1", B.replace('-', ""))).to_string(), format!("{B}:1"));
}

#[test]
fn nothing_and_empty_ranges_are_empty_sets() {
    for text in ["", " ", ",", "\n", B, &format!("{B}:blue"), &format!("{B}:5-3")] {
        assert_eq!(parse(text), GtidSet::default(), "{text:?}");
    }
    assert_eq!(GtidSet::decode(&[0; 8]).unwrap(), GtidSet::default());
}

#[test]
fn other_text_is_refused_with_what_was_found() {
    let long = "a".repeat(33);
    for (text, wanted) in [
        ("0-1-5", "a server UUID"),
        (&format!("{B}:"), "a tag or a range"),
        (&format!("{B}:0"), "a range of numbers"),
        (&format!("{B}:1-"), "a range of numbers"),
        (&format!("{B}:1-2-3"), "a range of numbers"),
        (&format!("{B}:9223372036854775807"), "a range of numbers"),
        (&format!("{B}:{long}:1"), "a tag or a range"),
        (&format!("{B}:blue:"), "a tag or a range"),
        (&format!("{B}:9blue:1"), "a range of numbers"),
        (&format!("{B}:1-9223372036854775807"), "a range of numbers"),
        (&format!("{B}:-5"), "a tag or a range"),
    ] {
        let error = text.parse::<GtidSet>().unwrap_err().to_string();
        assert!(error.contains(&format!("wanted {wanted}")), "{text}: {error}");
    }
}

#[test]
fn the_highest_number_of_a_server_is_kept() {
    let text = format!("{B}:9223372036854775806");
    assert_eq!(parse(&text).to_string(), text);
    assert_eq!(GtidSet::decode(&encode(&parse(&text), false)).unwrap(), parse(&text));
}

#[test]
fn an_announced_count_reserves_nothing() {
    let mut bytes = 1_u64.to_le_bytes().to_vec();
    bytes.extend([7; 16]);
    bytes.extend(u64::MAX.to_le_bytes());
    let error = GtidSet::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("0 bytes for 18446744073709551615 ranges"), "{error}");
}

#[test]
fn a_form_to_come_is_refused() {
    let error = GtidSet::decode(&(2_u64 << 56).to_le_bytes()).unwrap_err().to_string();
    assert!(error.contains("the form of a GTID set: 0 or 1, found 2"), "{error}");
}

#[test]
fn a_server_comes_to_the_same_sets() {
    // Asked of MySQL 9.7: two sets, GTID_SUBSET, GTID_SUBTRACT, and the first set as it prints it.
    let mut lines = 0;
    for line in include_str!("tests/mysql-9.7.tsv").lines() {
        let [a, b, subset, rest, printed] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (a, b) = (parse(a), parse(b));
        let as_printed = |set: &GtidSet| format!("{set:#}").replace('\n', "\\n");
        assert_eq!(u8::from(a.is_subset(&b)).to_string(), subset, "{line}");
        assert_eq!(as_printed(&a.subtract(&b)), rest, "{line}");
        assert_eq!(as_printed(&a), printed, "{line}");
        lines += 1;
    }
    assert_eq!(lines, 120);
}

#[test]
fn the_head_of_a_server_s_file_is_read() {
    // PREVIOUS_GTIDS of MySQL 9.7, after transactions with a tag and without.
    let body = "0102000000000001\
        1584b629e5c011f18e9302fc00000001000100000000000000010000000000000029000000000000001584b629\
        e5c011f18e9302fc0000000108626c7565010000000000000001000000000000000300000000000000";
    let (pairs, _) = body.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let set = GtidSet::decode(&pairs.iter().map(byte).collect::<Vec<_>>()).unwrap();
    assert_eq!(set.to_string(), "1584b629-e5c0-11f1-8e93-02fc00000001:1-40:blue:1-2");
}
