#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::value::{Encoding, Fields};

fn part(name: &str, column_type: &str, charset: Option<&str>) -> Part {
    Part { name: name.into(), kind: Kind::of(column_type, charset), descending: false }
}

fn key(parts: &[Part]) -> Key {
    Key { index: None, parts: parts.to_vec() }
}

#[test]
fn a_key_of_one_column_is_compared_with_one_value() {
    let key = key(&[part("id", "bigint(20) unsigned", None)]);
    let cursor = key.behind(&[Field::UInt(u64::MAX)]).unwrap();
    let place = key.place(&cursor).unwrap();
    assert_eq!(key.is_behind(&place), "`id` > 18446744073709551615");
    assert_eq!(key.is_up_to(&place), "`id` <= 18446744073709551615");
}

#[test]
fn a_key_of_several_columns_begins_with_the_range_of_its_first() {
    let mut key = key(&[
        part("a", "int", None),
        part("b", "char(3)", Some("latin1")),
        part("c", "date", None),
    ]);
    let values = [Field::Int(-1), Field::Bytes(b"\xe4'"), moment(&[0])];
    let place = key.place(&key.behind(&values).unwrap()).unwrap();
    assert_eq!(
        key.is_behind(&place),
        "`a` >= -1 AND (`a` > -1 OR (`a` = -1 AND (`b` > _latin1 X'e427' OR (`b` = _latin1 X'e427' \
         AND `c` > '0000-00-00'))))"
    );
    key.parts[1].descending = true;
    assert_eq!(key.order(), "`a`, `b` DESC, `c`");
    assert_eq!(
        key.is_up_to(&place),
        "`a` <= -1 AND (`a` < -1 OR (`a` = -1 AND (`b` > _latin1 X'e427' OR (`b` = _latin1 X'e427' \
         AND `c` <= '0000-00-00'))))"
    );
}

#[test]
fn a_cursor_of_another_key_is_none_of_this() {
    let [one, other] = ["id", "other"].map(|name| key(&[part(name, "int", None)]));
    let cursor = one.behind(&[Field::Int(3)]).unwrap();
    assert!(one.place(&cursor).is_some());
    assert!(other.place(&cursor).is_none());
    let longer = key(&[part("id", "int", None), part("other", "int", None)]);
    assert!(longer.place(&cursor).is_none());
}

#[test]
fn bits_are_a_number() {
    let key = key(&[part("id", "bit(64)", None)]);
    let cursor = key.behind(&[Field::Bytes(&[0xff; 8])]).unwrap();
    assert_eq!(key.is_behind(&key.place(&cursor).unwrap()), "`id` > 18446744073709551615");
    let cursor = key.behind(&[Field::Bytes(b"5")]).unwrap();
    assert_eq!(key.is_behind(&key.place(&cursor).unwrap()), "`id` > 53");
}

/// A date and a time as a server sends it.
fn moment(raw: &[u8]) -> Field<'_> {
    let row = [&[0][..], raw].concat();
    let mut fields = Fields::of(&row, 1).unwrap();
    let Field::Moment(moment) = fields.next(Encoding::Moment).unwrap() else { panic!("a moment") };
    Field::Moment(moment)
}

#[test]
fn a_date_is_compared_as_one_and_a_moment_with_all_its_digits() {
    let key = key(&[part("at", "datetime(3)", None)]);
    let condition = |raw: &[u8]| {
        let cursor = key.behind(&[moment(raw)]).unwrap();
        key.is_behind(&key.place(&cursor).unwrap())
    };
    assert_eq!(condition(&[4, 0xea, 7, 2, 30]), "`at` > '2026-02-30'");
    let raw = [11, 0xea, 7, 11, 21, 23, 59, 58, 0x40, 0xe2, 1, 0];
    assert_eq!(condition(&raw), "`at` > '2026-11-21 23:59:58.123456'");
}

/// A value that owns its bytes.
#[derive(Debug, Clone)]
enum Owned {
    Plain(Field<'static>),
    Bytes(Vec<u8>),
}

impl Owned {
    fn field(&self) -> Field<'_> {
        match self {
            Self::Plain(field) => *field,
            Self::Bytes(bytes) => Field::Bytes(bytes),
        }
    }
}

fn any_value() -> impl Strategy<Value = (Part, Owned)> {
    let plain = |part, field| (part, Owned::Plain(field));
    prop_oneof![
        any::<i64>().prop_map(move |n| plain(part("k", "bigint", None), Field::Int(n))),
        any::<u64>().prop_map(move |n| plain(part("k", "bigint unsigned", None), Field::UInt(n))),
        prop::num::f64::NORMAL
            .prop_map(move |n| plain(part("k", "double", None), Field::Double(n))),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|b| (part("k", "varchar(20)", Some("utf8mb4")), Owned::Bytes(b))),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|b| (part("k", "varbinary(20)", None), Owned::Bytes(b))),
    ]
}

proptest! {
    #[test]
    fn a_cursor_keeps_every_value(values in prop::collection::vec(any_value(), 1..4)) {
        let (parts, values): (Vec<Part>, Vec<Owned>) = values.into_iter().unzip();
        let values: Vec<Field<'_>> = values.iter().map(Owned::field).collect();
        let key = key(&parts);
        let cursor = key.behind(&values).unwrap();
        let Place(literals) = key.place(&cursor).unwrap();
        for (literal, value) in literals.iter().zip(&values) {
            match value {
                Field::Double(number) => {
                    let text = literal.trim_matches(['(', ')']);
                    prop_assert_eq!(text.parse::<f64>().unwrap(), *number);
                }
                Field::Bytes(bytes) => {
                    let wanted = format!("X'{}'", hex(bytes));
                    prop_assert!(literal.ends_with(&wanted));
                }
                Field::Int(number) => prop_assert_eq!(literal, &number.to_string()),
                _ => {}
            }
        }
    }

    #[test]
    fn no_text_is_a_cursor_that_says_more_than_values(text in "\\PC{0,40}") {
        let key = key(&[part("a", "varchar(3)", Some("utf8mb4")), part("b", "date", None)]);
        let forged = Cursor::new(format!("[\"{}\",\"{text}\",\"{text}\"]", key.fingerprint()));
        if let Some(place) = key.place(&forged) {
            let allowed = |c: char| c.is_ascii_hexdigit();
            prop_assert!(text.chars().all(allowed), "{}", key.is_behind(&place));
        }
    }
}
