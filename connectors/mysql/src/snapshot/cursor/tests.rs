#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn part(name: &str, column_type: &str, charset: Option<&str>) -> Part {
    Part { name: name.into(), kind: Kind::of(column_type, charset), descending: false }
}

fn key(parts: &[Part]) -> Key {
    Key { index: None, parts: parts.to_vec() }
}

#[test]
fn a_key_of_one_column_is_compared_with_one_value() {
    let key = key(&[part("id", "bigint(20) unsigned", None)]);
    let cursor = key.behind([Value::UInt(u64::MAX)].iter()).unwrap();
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
    let values = [Value::Int(-1), Value::Bytes(b"\xe4'".into()), Value::Date(0, 0, 0, 0, 0, 0, 0)];
    let place = key.place(&key.behind(values.iter()).unwrap()).unwrap();
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
    let cursor = one.behind([Value::Int(3)].iter()).unwrap();
    assert!(one.place(&cursor).is_some());
    assert!(other.place(&cursor).is_none());
    let longer = key(&[part("id", "int", None), part("other", "int", None)]);
    assert!(longer.place(&cursor).is_none());
}

#[test]
fn bits_are_a_number() {
    let key = key(&[part("id", "bit(64)", None)]);
    let cursor = key.behind([Value::Bytes(vec![0xff; 8])].iter()).unwrap();
    assert_eq!(key.is_behind(&key.place(&cursor).unwrap()), "`id` > 18446744073709551615");
    let cursor = key.behind([Value::Bytes(b"5".into())].iter()).unwrap();
    assert_eq!(key.is_behind(&key.place(&cursor).unwrap()), "`id` > 53");
}

fn any_value() -> impl Strategy<Value = (Part, Value)> {
    prop_oneof![
        any::<i64>().prop_map(|n| (part("k", "bigint", None), Value::Int(n))),
        any::<u64>().prop_map(|n| (part("k", "bigint unsigned", None), Value::UInt(n))),
        prop::num::f64::NORMAL.prop_map(|n| (part("k", "double", None), Value::Double(n))),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|b| (part("k", "varchar(20)", Some("utf8mb4")), Value::Bytes(b))),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|b| (part("k", "varbinary(20)", None), Value::Bytes(b))),
        (any::<bool>(), 0u32..34, 0u8..24, 0u8..60, 0u8..60, 0u32..1_000_000).prop_map(
            |(n, d, h, m, s, u)| (part("k", "time(6)", None), Value::Time(n, d, h, m, s, u))
        ),
    ]
}

proptest! {
    #[test]
    fn a_cursor_keeps_every_value(values in prop::collection::vec(any_value(), 1..4)) {
        let (parts, values): (Vec<Part>, Vec<Value>) = values.into_iter().unzip();
        let key = key(&parts);
        let cursor = key.behind(values.iter()).unwrap();
        let Place(literals) = key.place(&cursor).unwrap();
        for (literal, value) in literals.iter().zip(&values) {
            match value {
                Value::Double(number) => {
                    let text = literal.trim_matches(['(', ')']);
                    prop_assert_eq!(text.parse::<f64>().unwrap(), *number);
                }
                Value::Bytes(bytes) => {
                    let wanted = format!("X'{}'", hex(bytes));
                    prop_assert!(literal.ends_with(&wanted));
                }
                Value::Int(number) => prop_assert_eq!(literal, &number.to_string()),
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
