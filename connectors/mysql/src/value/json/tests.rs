#![allow(clippy::unwrap_used)]

mod encode;

use encode::Doc;
use proptest::prelude::*;

use super::*;

fn printed(raw: &[u8]) -> Result<String, Unreadable> {
    let mut out = String::new();
    print(raw, &mut out).map(|()| out)
}

fn opaque(sql_type: u8, value: &[u8]) -> Vec<u8> {
    let mut raw = vec![kind::OPAQUE, sql_type, value.len() as u8];
    raw.extend_from_slice(value);
    raw
}

#[test]
fn known_documents_are_printed() {
    // {"a": 1, "bb": [true, null]}
    let raw = b"\x00\x02\x00\x1f\x00\x12\x00\x01\x00\x13\x00\x02\x00\x05\x01\x00\x02\x15\x00abb\
        \x02\x00\x0a\x00\x04\x01\x00\x04\x00\x00";
    assert_eq!(printed(raw).unwrap(), r#"{"a": 1, "bb": [true, null]}"#);
    assert_eq!(printed(b"").unwrap(), "null");
    assert_eq!(printed(b"\x04\x02").unwrap(), "false");
    assert_eq!(printed(b"\x0c\x03a\"\x01").unwrap(), r#""a\"\u0001""#);
}

#[test]
fn sql_values_inside_are_printed_like_the_server_prints_them() {
    let packed = |whole: i64, micros: i64| (whole << 24 | micros).to_le_bytes();
    let datetime = (2015 * 13 + 1) << 22 | 15 << 17 | 23 << 12 | 24 << 6 | 25;
    let time = 23 << 12 | 24 << 6 | 25;
    let date = (2015 * 13 + 1) << 22 | 15 << 17;
    for (sql_type, value, wanted) in [
        (code::DATETIME, packed(datetime, 120_000), r#""2015-01-15 23:24:25.120000""#),
        (code::TIMESTAMP, packed(datetime, 0), r#""2015-01-15 23:24:25.000000""#),
        (code::DATE, packed(date, 0), r#""2015-01-15""#),
        (code::TIME, packed(time, 12), r#""23:24:25.000012""#),
        (code::TIME, (-(time << 24 | 12)).to_le_bytes(), r#""-23:24:25.000012""#),
    ] {
        assert_eq!(printed(&opaque(sql_type, &value)).unwrap(), wanted);
    }
    let decimal = [14, 4, 0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
    assert_eq!(printed(&opaque(code::NEWDECIMAL, &decimal)).unwrap(), "1234567890.1234");
    assert_eq!(printed(&opaque(code::VAR_STRING, b"plain")).unwrap(), r#""plain""#);
    assert_eq!(printed(&opaque(15, &[1])).unwrap(), r#""base64:type15:AQ==""#);
    let long = printed(&opaque(252, &[0; 58])).unwrap();
    assert_eq!(long, format!(r#""base64:type252:{}\nAA==""#, "A".repeat(76)));
}

#[test]
fn places_that_point_back_or_outside_are_refused() {
    let array_of_itself = b"\x02\x01\x00\x07\x00\x02\x00\x00";
    assert_eq!(printed(array_of_itself).unwrap_err(), outside());
    let behind_its_end = b"\x02\x01\x00\x07\x00\x0c\x08\x00";
    assert_eq!(printed(behind_its_end).unwrap_err(), outside());
    let larger_than_the_document = b"\x02\x01\x00\xff\x00\x0c\x07\x00";
    assert_eq!(printed(larger_than_the_document).unwrap_err(), outside());
}

/// A large array of `count` members that are all the value at one place.
fn repeated(count: usize, kind: u8, value: &[u8]) -> Vec<u8> {
    let head = 8 + count * 5;
    let mut raw = vec![];
    raw.extend((count as u32).to_le_bytes());
    raw.extend(((head + value.len()) as u32).to_le_bytes());
    for _ in 0..count {
        raw.push(kind);
        raw.extend((head as u32).to_le_bytes());
    }
    raw.extend_from_slice(value);
    raw
}

#[test]
fn a_document_whose_parts_overlap_does_not_grow_without_end() {
    let mut value = repeated(50, kind::LITERAL, &[]);
    for _ in 0..12 {
        value = repeated(50, kind::LARGE_ARRAY, &value);
    }
    let mut raw = vec![kind::LARGE_ARRAY];
    raw.extend(value);
    assert_eq!(printed(&raw).unwrap_err(), malformed("its parts overlap"));
}

#[test]
fn depth_is_bounded_as_on_the_server() {
    let nested = |depth| (1..depth).fold(Doc::Array(vec![]), |doc, _| Doc::Array(vec![doc]));
    let wanted = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(printed(&nested(100).encode()).unwrap(), wanted);
    let wanted = malformed("it is deeper than a server stores");
    assert_eq!(printed(&nested(101).encode()).unwrap_err(), wanted);
}

#[test]
fn a_large_document_has_large_places() {
    let long = "x".repeat(70_000);
    let doc = Doc::Object(vec![("a".into(), Doc::Text(long)), ("b".into(), Doc::Int(-70_000))]);
    assert_eq!(printed(&doc.encode()).unwrap(), doc.text());
}

fn doc() -> impl Strategy<Value = Doc> {
    let leaf = prop_oneof![
        proptest::sample::select(vec![Doc::Null, Doc::Bool(true), Doc::Bool(false)]),
        any::<i64>().prop_map(Doc::Int),
        any::<i16>().prop_map(|value| Doc::Int(value.into())),
        any::<u64>().prop_map(Doc::UInt),
        any::<String>().prop_map(Doc::Text),
        any::<i32>().prop_map(|value| Doc::Double(f64::from(value) / 8.0)),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Doc::Array),
            proptest::collection::vec((any::<String>(), inner), 0..8).prop_map(Doc::Object),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_is_printed_as_it_was_encoded(doc in doc()) {
        prop_assert_eq!(printed(&doc.encode()).unwrap(), doc.text());
    }

    #[test]
    fn no_bytes_make_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = printed(&raw);
    }

    #[test]
    fn no_damaged_document_makes_it_panic_or_grow(
        doc in doc(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut: usize,
    ) {
        let mut raw = doc.encode();
        for (at, byte) in damage {
            let at = at % raw.len();
            raw[at] = byte;
        }
        raw.truncate(1 + cut % raw.len());
        if let Ok(text) = printed(&raw) {
            prop_assert!(text.len() <= 8 * raw.len() + 66);
        }
    }
}
