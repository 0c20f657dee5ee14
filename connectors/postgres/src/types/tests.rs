#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use connector_api::{
    Batch, BatchBuilder, BeginText, Op, Position, SourceEvent, TableName, TableSchema, Value,
};
use proptest::prelude::*;

use super::*;

/// A batch with one row of one column, read from `raw`.
fn read(reading: Reading, raw: &[u8]) -> Batch {
    let mut out = BatchBuilder::new(&Position::new("0/0"));
    let name = TableName::new("public", "stock");
    let column =
        connector_api::Column { name: "value".into(), type_name: "any".into(), identity: false };
    let schema = Arc::new(TableSchema { name, columns: vec![column] });
    out.begin(BeginText { coordinate: 1, committed_at_us: 0, txid: "1", position: "0/1" });
    let image = out.image();
    reading.push(raw, &mut out);
    let table = out.table(&schema);
    out.row(table, Op::Insert, None, Some(image));
    out.commit("0/2");
    out.take()
}

fn value(batch: &Batch) -> Value<'_> {
    let rows = batch.events().iter().find_map(|event| match event {
        SourceEvent::Row(row) => batch.after(row),
        _ => None,
    });
    rows.unwrap().get(0)
}

fn assert_reads(reading: Reading, text: &str, wanted: Value<'_>) {
    let batch = read(reading, text.as_bytes());
    assert_eq!(value(&batch), wanted, "{reading:?} {text}");
}

#[test]
fn integers_of_every_width_are_numbers() {
    assert_reads(Reading::Int, "-9223372036854775808", Value::Int(i64::MIN));
    assert_reads(Reading::UInt, "18446744073709551615", Value::UInt(u64::MAX));
    assert_reads(Reading::UInt, "0", Value::UInt(0));
}

#[test]
fn floats_keep_their_infinities_and_never_gain_one() {
    assert_reads(Reading::Float, "-1.5e-300", Value::Float(-1.5e-300));
    assert_reads(Reading::Float, "-Infinity", Value::Float(f64::NEG_INFINITY));
    assert_reads(Reading::Float, "1e999", Value::Text("1e999"));
    let batch = read(Reading::Float, b"NaN");
    assert!(matches!(value(&batch), Value::Float(nan) if nan.is_nan()));
}

#[test]
fn blanks_that_fill_up_a_char_mean_nothing() {
    assert_reads(Reading::Padded, "A  ", Value::Text("A"));
    assert_reads(Reading::Padded, " a b ", Value::Text(" a b"));
    assert_reads(Reading::Padded, "   ", Value::Text(""));
    assert_reads(Reading::Text, "A  ", Value::Text("A  "));
}

#[test]
fn decimals_stay_as_printed() {
    for text in ["0", "-0.10", "123456789012345678901234567890.1234567890", "NaN", "-Infinity"] {
        assert_reads(Reading::Decimal, text, Value::Decimal(text));
    }
    for text in ["", "-", "1.", ".5", "1e5", "+1", "0x10", "1.2.3"] {
        assert_reads(Reading::Decimal, text, Value::Text(text));
    }
}

#[test]
fn bytes_are_read_from_both_forms() {
    assert_reads(Reading::Bytes, "\\x00fFa0", Value::Bytes(&[0, 255, 160]));
    assert_reads(Reading::Bytes, "\\x", Value::Bytes(&[]));
    assert_reads(Reading::Bytes, "a\\\\b\\000\\377", Value::Bytes(b"a\\b\x00\xff"));
    for text in ["\\x0", "\\xzz", "\\400", "\\9", "\\"] {
        assert_reads(Reading::Bytes, text, Value::Text(text));
    }
}

#[test]
fn timestamps_become_iso_where_iso_has_a_form() {
    let plain = Reading::Timestamp;
    assert_reads(plain, "2026-01-31 12:00:00", Value::Timestamp("2026-01-31T12:00:00"));
    assert_reads(plain, "0001-01-01 00:00:00.5", Value::Timestamp("0001-01-01T00:00:00.5"));
    let zoned = Reading::TimestampZoned;
    let longest = "9999-12-31 23:59:59.999999+00";
    assert_reads(zoned, longest, Value::TimestampZoned("9999-12-31T23:59:59.999999Z"));
    for text in ["infinity", "-infinity", "0044-03-15 12:00:00 BC", "10000-01-01 00:00:00"] {
        assert_reads(plain, text, Value::Text(text));
        let text = format!("{text}+00");
        assert_reads(zoned, &text, Value::Text(&text));
    }
    assert_reads(zoned, "2026-01-31 12:00:00+05:30", Value::Text("2026-01-31 12:00:00+05:30"));
    assert_reads(plain, "2026-01-31 12:00:00.", Value::Text("2026-01-31 12:00:00."));
}

#[test]
fn booleans_are_one_letter() {
    assert_reads(Reading::Bool, "t", Value::Bool(true));
    assert_reads(Reading::Bool, "f", Value::Bool(false));
    assert_reads(Reading::Bool, "true", Value::Text("true"));
}

#[test]
fn text_that_is_not_utf_8_stays_bytes_whatever_its_type() {
    for reading in [Reading::Text, Reading::Int, Reading::Json, Reading::Timestamp] {
        let batch = read(reading, b"caf\xe9");
        assert_eq!(value(&batch), Value::Bytes(b"caf\xe9"));
    }
}

const READINGS: [Reading; 10] = [
    Reading::Bool,
    Reading::Int,
    Reading::UInt,
    Reading::Float,
    Reading::Decimal,
    Reading::Bytes,
    Reading::Json,
    Reading::Timestamp,
    Reading::TimestampZoned,
    Reading::Text,
];

proptest! {
    #[test]
    fn whatever_comes_is_one_value_and_malformed_text_is_kept(
        raw in prop::collection::vec(any::<u8>(), 0..40),
        reading in prop::sample::select(&READINGS[..]),
    ) {
        let batch = read(reading, &raw);
        match value(&batch) {
            Value::Text(text) => prop_assert_eq!(text.as_bytes(), &raw[..]),
            Value::Null | Value::Absent => prop_assert!(false, "a value was lost"),
            _ => {}
        }
    }

    #[test]
    fn what_a_server_prints_is_read_back(
        integer in any::<i64>(),
        number in any::<f64>(),
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let batch = read(Reading::Int, integer.to_string().as_bytes());
        prop_assert_eq!(value(&batch), Value::Int(integer));
        let batch = read(Reading::Float, format!("{number:e}").as_bytes());
        if number.is_finite() {
            prop_assert_eq!(value(&batch), Value::Float(number));
        }
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let batch = read(Reading::Bytes, format!("\\x{hex}").as_bytes());
        prop_assert_eq!(value(&batch), Value::Bytes(&bytes));
        let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let batch = read(Reading::Bytes, octal.as_bytes());
        prop_assert_eq!(value(&batch), Value::Bytes(&bytes));
    }

    #[test]
    fn arbitrary_text_of_an_untyped_column_is_itself(text in any::<String>()) {
        let batch = read(Reading::Text, text.as_bytes());
        prop_assert_eq!(value(&batch), Value::Text(&text));
    }
}
