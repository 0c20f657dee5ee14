#![allow(clippy::unwrap_used)]

use connector_api::{BeginText, Op, Position, TableName, TableSchema};

use super::*;
use crate::value::temporal::{DateTime, Time};

/// The value as a row of one column holds it.
fn pushed(selected: &Selected, value: Field<'_>) -> Result<String, Unreadable> {
    let mut out = BatchBuilder::new(&Position::new(""));
    out.begin(BeginText { coordinate: 1, committed_at_us: 0, txid: "", position: "" });
    let column =
        connector_api::Column { name: "v".into(), type_name: String::new(), identity: false };
    let schema = TableSchema { name: TableName::new("s", "t"), columns: vec![column] };
    let table = out.table(&std::sync::Arc::new(schema));
    let image = out.image();
    selected.push(value, &mut Scratch::default(), &mut out)?;
    out.row(table, Op::Insert, None, Some(image));
    out.commit("end");
    let batch = out.take();
    let connector_api::SourceEvent::Row(row) = &batch.events()[1] else { panic!("a row") };
    Ok(format!("{:?}", batch.after(row).unwrap().get(0)))
}

#[test]
fn zeros_before_a_decimal_are_no_part_of_it() {
    for (sent, wanted) in [
        ("0000012.50", "12.50"),
        ("00000.00", "0.00"),
        ("0.00", "0.00"),
        ("-0.5", "-0.5"),
        ("0", "0"),
        ("000", "0"),
        ("7", "7"),
    ] {
        let text = pushed(&Selected::Decimal, Field::Bytes(sent.as_bytes())).unwrap();
        assert_eq!(text, format!("Decimal({wanted:?})"), "{sent}");
    }
}

#[test]
fn a_span_of_time_has_the_digits_of_its_column() {
    let time = Field::Time(Time::new(true, 838, [59, 58], 120_000).unwrap());
    let text = pushed(&Selected::Time { decimals: 2 }, time).unwrap();
    assert_eq!(text, "Text(\"-838:59:58.12\")");
}

#[test]
fn what_is_no_moment_stays_as_the_server_prints_it() {
    let zoned = Selected::Moment { decimals: 1, zoned: true };
    let clock = DateTime { hour: 1, minute: 2, second: 3, micros: 900_000, ..DateTime::default() };
    let date = |day| Field::Moment(DateTime { year: 2026, month: 2, day, ..clock });
    assert_eq!(pushed(&zoned, date(28)).unwrap(), "TimestampZoned(\"2026-02-28T01:02:03.9Z\")");
    assert_eq!(pushed(&zoned, date(30)).unwrap(), "Text(\"2026-02-30 01:02:03.9\")");
    assert!(pushed(&zoned, Field::Int(3)).is_err());
}
