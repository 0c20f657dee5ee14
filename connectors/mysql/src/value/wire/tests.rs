#![allow(clippy::unwrap_used)]

use connector_api::{BeginText, Op, Position, TableName, TableSchema};

use super::*;

/// The value as a row of one column holds it.
fn pushed(selected: &Selected, value: Value) -> Result<String, Unreadable> {
    let mut out = BatchBuilder::new(&Position::new(""));
    out.begin(BeginText { coordinate: 1, committed_at_us: 0, txid: "", position: "" });
    let column =
        connector_api::Column { name: "v".into(), type_name: String::new(), identity: false };
    let schema = TableSchema { name: TableName::new("s", "t"), columns: vec![column] };
    let table = out.table(&std::sync::Arc::new(schema));
    let image = out.image();
    selected.push(&value, &mut Scratch::default(), &mut out)?;
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
        let text = pushed(&Selected::Decimal, Value::Bytes(sent.into())).unwrap();
        assert_eq!(text, format!("Decimal({wanted:?})"), "{sent}");
    }
}

#[test]
fn a_span_of_days_is_hours() {
    let time = Value::Time(true, 34, 22, 59, 58, 120_000);
    let text = pushed(&Selected::Time { decimals: 2 }, time).unwrap();
    assert_eq!(text, "Text(\"-838:59:58.12\")");
    let time = Value::Time(false, u32::MAX, 22, 59, 58, 0);
    assert!(pushed(&Selected::Time { decimals: 0 }, time).is_err());
}

#[test]
fn what_is_no_moment_stays_as_the_server_prints_it() {
    let zoned = Selected::Moment { decimals: 1, zoned: true };
    let date = |day| Value::Date(2026, 2, day, 1, 2, 3, 900_000);
    assert_eq!(pushed(&zoned, date(28)).unwrap(), "TimestampZoned(\"2026-02-28T01:02:03.9Z\")");
    assert_eq!(pushed(&zoned, date(30)).unwrap(), "Text(\"2026-02-30 01:02:03.9\")");
    assert!(pushed(&zoned, date(32)).is_err());
    assert!(pushed(&zoned, Value::Int(3)).is_err());
}
