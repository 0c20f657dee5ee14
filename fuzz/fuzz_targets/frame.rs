//! Any bytes are a frame, the beginning of one, or an error.
#![no_main]

use connector_postgres::stream::frame::{Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Parsed::Frame(_, size)) = parse(rest) {
        rest = &rest[size..];
    }
});
