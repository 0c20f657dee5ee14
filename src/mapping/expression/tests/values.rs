use super::*;
use crate::stock::QualityFlag;
use crate::stock::quantity::Decimal;

#[test]
fn numbers_say_what_is_wrong_with_them() {
    for (value, said) in [
        (Value::Float(0.1), "0.1 FLOAT_SOURCE"),
        (Value::Float(f64::NAN), "NULL NAN FLOAT_SOURCE"),
        (Value::Float(f64::INFINITY), "NULL OVERFLOW FLOAT_SOURCE"),
        (Value::Decimal("NaN"), "NULL NAN"),
        (Value::Decimal("-Infinity"), "NULL OVERFLOW"),
        (Value::Decimal("1e30"), "NULL OVERFLOW"),
        (Value::Decimal("0.12345678949"), "0.123456789 ROUNDED"),
        (Value::UInt(u64::MAX), "18446744073709551615"),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (Value::Text(" 5.0 "), "5"),
        (Value::Text("five"), "NULL NON_NUMERIC"),
        (Value::Text(""), "NULL NON_NUMERIC"),
        (Value::Bool(true), "1"),
        (Value::Null, "NULL"),
    ] {
        say_with(value, Value::Null, &[("u + 0", said)]);
    }
}

#[test]
fn an_unreadable_number_is_null_but_its_column_is_not() {
    say_with(
        Value::Decimal("NaN"),
        Value::Null,
        &[
            ("u IS NULL", "FALSE"),
            ("u + 1 IS NULL", "TRUE NAN"),
            ("COALESCE(u, 0)", "0 NAN"),
            ("v IS NULL", "TRUE"),
        ],
    );
}

#[test]
fn a_branch_that_is_not_taken_leaves_no_flag() {
    let expected = [
        ("COALESCE(n, u)", "7"),
        ("FALSE AND u > 1", "FALSE"),
        ("TRUE OR u > 1", "TRUE"),
        ("CASE WHEN b THEN 1 ELSE u END", "1"),
    ];
    say_with(Value::Text("five"), Value::Null, &expected);
}

#[test]
fn a_column_of_unknown_kind_is_read_as_its_neighbours() {
    let expected = [
        ("u = 12.5", "TRUE"),
        ("u = '12.50'", "FALSE"),
        ("u = '12.5'", "TRUE"),
        ("u > v", "TRUE"),
        ("v", "1"),
        ("v AND TRUE", "TRUE"),
        ("v = '1'", "TRUE"),
        ("NOT v", "FALSE"),
        ("u AND TRUE", "NULL NON_NUMERIC"),
        ("u || v", "'12.51'"),
        ("v LIKE '1%'", "TRUE"),
        ("LEAST(u, v)", "1"),
        ("u IN ('x', '12.5')", "TRUE"),
        ("CASE v WHEN 1 THEN 'one' END", "'one'"),
    ];
    say_with(Value::Text("12.5"), Value::Int(1), &expected);
    let expected = [("u = v", "TRUE"), ("u < v", "FALSE"), ("u || ''", "'true'")];
    say_with(Value::Bool(true), Value::Text("true"), &expected);
}

#[test]
fn dates_bytes_and_documents_are_text() {
    let expected = [
        ("u > '2026-01-01'", "TRUE"),
        ("u IS NOT NULL", "TRUE"),
        ("v = '00ff'", "TRUE"),
        ("v || '!'", "'00ff!'"),
    ];
    say_with(Value::Timestamp("2026-01-31T12:00:00"), Value::Bytes(&[0, 255]), &expected);
    say_with(Value::Json("{}"), Value::Null, &[("u", "'{}'")]);
}

#[test]
fn a_bare_column_is_its_place() {
    assert_eq!(program("n").column(), Some(0));
    assert_eq!(program("(\"t\")").column(), Some(2));
    assert_eq!(program("`t`").column(), Some(2));
    assert_eq!(program("n + 0").column(), None);
    assert_eq!(program("'main'").column(), None);
    assert!(program("'main'").is_constant());
    assert!(program("1 + 2").is_constant());
    assert!(!program("n").is_constant());
}

#[test]
fn names_are_listed_once_in_the_order_of_their_use() {
    let parsed = Expression::parse("CASE WHEN m > 0 THEN n ELSE m - \"Qty\" END").unwrap();
    assert_eq!(parsed.columns(), ["m", "n", "Qty"]);
}

#[test]
fn any_word_that_is_no_operator_can_name_a_column() {
    for name in [
        "date",
        "time",
        "timestamp",
        "interval",
        "position",
        "value",
        "user",
        "status",
        "location",
        "key",
        "type",
        "left",
        "right",
        "count",
        "level",
        "text",
        "number",
        "trim",
        "floor",
        "array",
        "order",
        "group",
        "quantity",
        "reserved",
        "desc",
        "sum",
        "current",
        "language",
        "stra\u{df}e",
        "_x",
        "x$1",
        "INTEGER",
        "bit",
        "xml",
        "struct",
        "map",
        "row",
        "year",
    ] {
        for text in [format!("{name} > 5"), format!("5 - {name}"), name.to_owned()] {
            let parsed = Expression::parse(&text).map_err(|error| format!("{text}: {error}"));
            assert_eq!(parsed.unwrap().columns(), [name], "{text}");
        }
    }
}

#[test]
fn the_kind_of_a_result_is_known_as_far_as_its_columns_are() {
    for (text, kind) in [
        ("n", ColumnKind::Number),
        ("u", ColumnKind::Unknown),
        ("NULL", ColumnKind::Unknown),
        ("u + 1", ColumnKind::Number),
        ("n > 1", ColumnKind::Bool),
        ("t || n", ColumnKind::Text),
        ("COALESCE(NULL, u, n)", ColumnKind::Number),
        ("CASE WHEN b THEN NULL ELSE t END", ColumnKind::Text),
        ("CASE WHEN b THEN u END", ColumnKind::Unknown),
        ("CAST(t AS integer)", ColumnKind::Number),
        ("u IS NULL", ColumnKind::Bool),
    ] {
        assert_eq!(program(text).kind(), kind, "{text}");
    }
}

#[test]
fn a_program_follows_its_columns_to_other_places() {
    let text = "CASE n WHEN m THEN COALESCE(m, n) ELSE -n + m END IN (n, m) \
                AND n BETWEEN m AND n AND CAST(n AS text) LIKE '%' AND n IS NOT NULL";
    let moved = program(text).relocate(&|place| place + 5);
    let mut row = ROW;
    row[5] = ROW[0];
    row[6] = ROW[1];
    row[0] = Value::Absent;
    row[1] = Value::Absent;
    let unmoved = program(text);
    let original = unmoved.eval(&ROW, &mut Quality::default()).into_text();
    assert_eq!(moved.eval(&row, &mut Quality::default()).into_text(), original);
    assert_ne!(original, Scalar::Absent);
}

#[test]
fn a_result_can_be_asked_for_as_a_number() {
    let mut row = ROW;
    let mut quality = Quality::default();
    let number = |text: &str| Scalar::Number(Decimal::parse(text).unwrap().0);
    assert_eq!(program("u").eval_number(&row, &mut quality), number("12.5"));
    assert_eq!(program("n > 1").eval_number(&row, &mut quality), number("1"));
    assert!(quality.is_empty());
    assert_eq!(program("t").eval_number(&row, &mut quality), Scalar::Null);
    assert!(quality.has(QualityFlag::NonNumeric));
    row[0] = Value::Absent;
    assert_eq!(program("n - 1").eval_number(&row, &mut quality), Scalar::Absent);
}

#[test]
fn keys_are_made_of_canonical_text() {
    let text = |value: Value<'static>| {
        let mut row = ROW;
        row[5] = value;
        let mut out = String::from(">");
        let presence = program("u").eval_text(&row, &mut out);
        (presence, out)
    };
    for (value, written) in [
        (Value::Int(-5), ">-5"),
        (Value::UInt(u64::MAX), ">18446744073709551615"),
        (Value::Decimal("10.500"), ">10.5"),
        (Value::Decimal("NaN"), ">NaN"),
        (Value::Decimal("0.00000000001"), ">0.00000000001"),
        (Value::Float(1.5), ">1.5"),
        (Value::Float(1e300), ">1e300"),
        (Value::Bool(false), ">false"),
        (Value::Bytes(&[0xAB, 1]), ">ab01"),
        (Value::Text(" a "), "> a "),
        (Value::TimestampZoned("2026-01-31T12:00:00Z"), ">2026-01-31T12:00:00Z"),
    ] {
        assert_eq!(text(value), (Presence::Present, written.to_owned()), "{value:?}");
    }
    assert_eq!(text(Value::Null), (Presence::Null, ">".to_owned()));
    assert_eq!(text(Value::Absent), (Presence::Absent, ">".to_owned()));
    let mut out = String::new();
    assert_eq!(program("t || '-' || n").eval_text(&ROW, &mut out), Presence::Present);
    assert_eq!(out, "A-100-7");
    assert_eq!(program("t || NULL").eval_text(&ROW, &mut out), Presence::Null);
    assert_eq!(out, "A-100-7");
}
