//! Any bytes are a date or time or refused, and what is printed has as many digits of a second as
//! its type. Input: the type, its digits, the value.
#![no_main]

use connector_api::Value;
use libfuzzer_sys::fuzz_target;

#[path = "../one_value.rs"]
mod one_value;

/// TIMESTAMP, DATE, TIME, DATETIME, YEAR, NEWDATE, and the first three as they are today.
const CODES: [u8; 9] = [7, 10, 11, 12, 13, 14, 17, 18, 19];

fuzz_target!(|data: &[u8]| {
    let Some((&[code, digits], value)) = data.split_first_chunk::<2>() else { return };
    let code = CODES[usize::from(code) % CODES.len()];
    let is_new = code >= 17;
    // Only the catalog tells the digits of the formats that came first.
    let name = format!("time({digits}) /* mariadb-5.3 */");
    let name = if is_new || digits % 2 == 0 { "" } else { &name };
    let metadata = if is_new { u16::from(digits) } else { 0 };
    one_value::read(code, metadata, name, value, |read| {
        let text = match read {
            Value::Text(text) | Value::Timestamp(text) => text,
            Value::TimestampZoned(text) => text.strip_suffix('Z').expect("it is in UTC"),
            other => panic!("{other:?}"),
        };
        assert!(text.is_ascii() && text.len() <= 26, "{text}");
        let printed = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let has_digits = matches!(code, 7 | 11 | 12 | 17..=19);
        let wanted = if has_digits && (is_new || !name.is_empty()) { digits } else { 0 };
        assert_eq!(printed, usize::from(wanted), "{text}");
    });
});
