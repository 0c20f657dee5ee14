//! Any text is an expression or an error; an expression can be compiled and evaluated.
#![no_main]

use connector_api::Value;
use libfuzzer_sys::fuzz_target;
use tailstock::mapping::expression::{ColumnInfo, ColumnKind, Expression};
use tailstock::stock::Quality;

fuzz_target!(|text: &str| {
    let Ok(expression) = Expression::parse(text) else { return };
    let columns: Vec<ColumnInfo> = expression
        .columns()
        .iter()
        .map(|name| ColumnInfo::new(name, ColumnKind::Unknown))
        .collect();
    let Ok(program) = expression.compile(&columns) else { return };
    let values = [Value::Int(i64::MIN), Value::Text("1e9"), Value::Null, Value::Absent];
    for shift in 0..values.len() {
        let row: Vec<Value<'_>> =
            (0..columns.len()).map(|index| values[(index + shift) % values.len()]).collect();
        let mut quality = Quality::default();
        let _ = program.eval(&&row[..], &mut quality);
        let _ = program.eval_number(&&row[..], &mut quality);
        let _ = program.eval_text(&&row[..], &mut String::new());
    }
});
