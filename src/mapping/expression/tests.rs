#![allow(clippy::unwrap_used)]

mod any_text;
mod errors;
mod meaning;
mod values;

use connector_api::Value;

use super::*;

/// The columns the tests use: `n`, `m` numbers; `t`, `s` text; `b` boolean; `u`, `v` unknown.
fn columns() -> Vec<ColumnInfo> {
    [
        ("n", ColumnKind::Number),
        ("m", ColumnKind::Number),
        ("t", ColumnKind::Text),
        ("s", ColumnKind::Text),
        ("b", ColumnKind::Bool),
        ("u", ColumnKind::Unknown),
        ("v", ColumnKind::Unknown),
    ]
    .map(|(name, kind)| ColumnInfo::new(name, kind))
    .into()
}

fn program(text: &str) -> Program {
    Expression::parse(text).and_then(|parsed| parsed.compile(&columns())).unwrap()
}

/// The result as text, with the flags behind it: `NULL`, `ABSENT`, `TRUE`, `5`, `'text'`.
fn result(text: &str, row: &[Value<'_>; 7]) -> String {
    let mut quality = Quality::default();
    let program = program(text);
    let mut said = match program.eval(row, &mut quality) {
        Scalar::Absent => "ABSENT".to_owned(),
        Scalar::Null => "NULL".to_owned(),
        Scalar::Bool(value) => value.to_string().to_uppercase(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => format!("'{text}'"),
    };
    for flag in quality.flags() {
        said = format!("{said} {}", flag.as_str());
    }
    said
}

const ROW: [Value<'static>; 7] = [
    Value::Int(7),
    Value::Decimal("2.50"),
    Value::Text("A-100"),
    Value::Text("b"),
    Value::Bool(true),
    Value::Text("12.5"),
    Value::Int(1),
];

/// Asserts what expressions say of [`ROW`].
#[track_caller]
fn say(expected: &[(&str, &str)]) {
    for (text, said) in expected {
        assert_eq!(result(text, &ROW), *said, "{text}");
    }
}

/// Asserts what expressions say when the columns `u` and `v` are these.
#[track_caller]
fn say_with(u: Value<'static>, v: Value<'static>, expected: &[(&str, &str)]) {
    let mut row = ROW;
    row[5] = u;
    row[6] = v;
    for (text, said) in expected {
        assert_eq!(result(text, &row), *said, "{text} with u = {u:?} and v = {v:?}");
    }
}
