//! Any bytes are a decimal or refused, and what is printed has the digits of its type. Input:
//! precision, scale, the value.
#![no_main]

use connector_api::Value;
use libfuzzer_sys::fuzz_target;

#[path = "../one_value.rs"]
mod one_value;

fuzz_target!(|data: &[u8]| {
    let Some((&[precision, scale], value)) = data.split_first_chunk::<2>() else { return };
    let metadata = u16::from_le_bytes([precision, scale]);
    one_value::read(246, metadata, "", value, |read| {
        let Value::Decimal(text) = read else { panic!("{read:?}") };
        let number = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        assert!(number.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()), "{text}");
        assert!(whole == "0" || !whole.is_empty() && !whole.starts_with('0'), "{text}");
        assert!(whole.len() <= usize::from(precision - scale).max(1), "{text}");
        assert_eq!(fraction.len(), usize::from(scale), "{text}");
        assert_eq!(scale == 0, !text.contains('.'), "{text}");
        let is_zero = number.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        assert!(!(is_zero && text.starts_with('-')), "{text}");
    });
});
