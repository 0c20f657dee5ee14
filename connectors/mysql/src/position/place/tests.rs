#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn file(name: &str) -> LogFile {
    name.parse().unwrap()
}

fn place(text: &str) -> LogPosition {
    LogPosition::from_position(&Position::new(text)).unwrap()
}

fn gtids() -> impl Strategy<Value = Gtids> {
    let ranges = (1..1_000_u64, 0..50_u64);
    let ranges = ranges.prop_map(|(first, more)| format!("{UUID}:{first}-{}", first + more));
    prop_oneof![
        Just(Gtids::None),
        ranges.prop_map(|text| Gtids::MySql(text.parse().unwrap())),
        Just(Gtids::MySql(GtidSet::default())),
        Just(Gtids::MariaDb(MariaPosition::default())),
        (0..3_u32, 1..9_u32, any::<u64>()).prop_map(|(domain, server, sequence)| {
            Gtids::MariaDb(format!("{domain}-{server}-{sequence}").parse().unwrap())
        }),
    ]
}

proptest! {
    #[test]
    fn a_place_survives_its_printed_form(
        name in "[a-z0-9._-]{1,20}\\.[0-9]{1,7}",
        (offset, created) in (any::<u64>(), any::<u32>()),
        gtids in gtids(),
        xids in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>(), any::<u32>()), 0..3),
    ) {
        let prepared = xids.into_iter().map(|(global, branch, format)| Prepared {
            xid: Xid { global, branch, format },
            file: file(&name),
            offset,
        });
        let prepared = prepared.collect();
        let place = LogPosition { file: file(&name), offset, created, gtids, prepared };
        prop_assert_eq!(LogPosition::from_position(&place.to_position()).unwrap(), place);
    }

    #[test]
    fn other_text_is_refused_without_a_panic(text in "[0-9a-z./=:-]{0,40}|.{0,40}") {
        for text in [format!("1/{text}"), format!("1/b.1/4/4/mysql={text}"), text] {
            if let Ok(place) = text.parse::<LogPosition>() {
                prop_assert_eq!(place.to_string().parse::<LogPosition>().unwrap(), place);
            }
        }
    }

    #[test]
    fn coordinates_rise_along_a_log(
        a in (0..=LogFile::LAST, 0..1_u64 << 40),
        b in (0..=LogFile::LAST, 0..1_u64 << 40),
    ) {
        let coordinate = |(number, offset): (u32, u64)| {
            LogPosition::coordinate(&file(&format!("b.{number:06}")), offset)
        };
        prop_assert_eq!(coordinate(a).cmp(&coordinate(b)), a.cmp(&b));
    }
}

#[test]
fn a_place_prints_compactly() {
    for text in [
        "1/mysql-bin.000007/4/0".to_owned(),
        format!("1/binlog.000123/4567/1700000000/mysql={UUID}:1-3:5"),
        "1/mariadb.bin.1000000/4567/1700000000/mariadb=0-1-5,7-1-2".to_owned(),
    ] {
        assert_eq!(place(&text).to_string(), text);
    }
}

#[test]
fn file_numbers_go_past_six_digits_and_names_have_dots() {
    for (name, base, number) in [
        ("binlog.000001", "binlog", 1),
        ("shop.example.com-bin.999999", "shop.example.com-bin", 999_999),
        ("b.1000000", "b", 1_000_000),
        ("binlog.16777215", "binlog", LogFile::LAST),
        ("binlog.7.8", "binlog.7", 8),
    ] {
        let file = file(name);
        assert_eq!((file.base(), file.number(), file.as_str()), (base, number, name));
    }
    for name in ["", "binlog", "binlog.", ".000001", "binlog.+1", "binlog.16777216", "a/b.1"] {
        let error = name.parse::<LogFile>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name:?} is not the name")), "{error}");
    }
}

#[test]
fn a_file_of_a_later_number_is_further_whatever_its_text() {
    let (earlier, later) = (place("1/b.999999/900/7"), place("1/b.1000000/4/8"));
    assert!(later.covers(&earlier) && !earlier.covers(&later) && later.covers(&later));
}

#[test]
fn files_of_another_name_are_compared_by_their_transactions() {
    let old = place(&format!("1/old.000009/900/7/mysql={UUID}:1-5"));
    let new = place(&format!("1/new.000001/4/8/mysql={UUID}:1-6"));
    assert!(new.covers(&old) && !old.covers(&new));
    let (old, new) = (place("1/old.000009/9/7"), place("1/new.000010/9/8"));
    assert!(!new.covers(&old) && !old.covers(&new));
}

#[test]
fn a_position_of_another_database_is_refused_by_its_own_text() {
    for text in ["", "16/B374D848", "1/b.1/4", "2/b.1/4/4", "1/b.1/4/4/x", "1/b.1/4/4/mysql=0-1-2"]
    {
        let error = LogPosition::from_position(&Position::new(text)).unwrap_err();
        assert_eq!(error.to_string(), format!("{text} is not a place in a binlog"));
    }
}
