//! Any bytes are a JSON document of MySQL or refused, and what is printed of one is JSON, not much
//! longer than what it was printed from. Input: the document.
#![no_main]

use connector_api::Value;
use libfuzzer_sys::fuzz_target;

#[path = "../one_value.rs"]
mod one_value;

/// The type of a column with four bytes of length before each value.
const JSON: (u8, u16) = (245, 4);

fuzz_target!(|data: &[u8]| {
    let value = [&(data.len() as u32).to_le_bytes(), data].concat();
    let (kind, metadata) = JSON;
    one_value::read(kind, metadata, "", &value, |read| {
        let Value::Json(text) = read else { panic!("{read:?}") };
        assert!(text.len() <= 8 * data.len() + 4096, "{} of {}", text.len(), data.len());
        let read: Result<serde_json::Value, _> = serde_json::from_str(text);
        read.unwrap_or_else(|why| panic!("{why}: {text}"));
    });
});
