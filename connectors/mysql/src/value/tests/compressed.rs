use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::*;

/// As the server writes it: a byte about the method, the length, the deflated value.
fn deflated(value: &[u8], bare: bool) -> Vec<u8> {
    let mut stream = Compress::new(Compression::default(), !bare);
    let mut out = Vec::with_capacity(value.len() + 100);
    stream.compress_vec(value, &mut out, FlushCompress::Finish).unwrap();
    let len = (value.len() as u32).to_be_bytes();
    let mut raw = vec![0x84 | if bare { 8 } else { 0 }];
    raw.extend(len);
    raw.extend(out);
    raw
}

#[test]
fn what_a_server_compressed_is_read() {
    let blob = text(code::BLOB_COMPRESSED, [2, 0], "utf8mb4");
    let raw = b"\x8a\x01\x2c\x4b\x4c\x4a\x4e\x1c\x45\xc4\x21\x00";
    assert_reads(&blob, &counted(2, raw), Value::Text(&"abc".repeat(100)));
    assert_reads(&blob, &counted(2, b"\0x"), Value::Text("x"));
    assert_reads(&blob, &counted(2, b""), Value::Text(""));
    let binary = text(code::VARCHAR_COMPRESSED, [0xd1, 7], "binary");
    assert_reads(&binary, &counted(2, b"\0\xff"), Value::Bytes(&[0xff]));
}

#[test]
fn what_does_not_inflate_to_its_length_is_refused() {
    let blob = text(code::BLOB_COMPRESSED, [4, 0], "utf8mb4");
    let refused = |raw: &[u8], what| {
        let wanted = Unreadable::Malformed { type_name: "compressed value", what };
        assert_unreadable(&blob, &counted(4, raw), &wanted);
    };
    let whole = deflated(b"a value", true);
    for lie in [6, 8] {
        let mut raw = whole.clone();
        raw[4] = lie;
        refused(&raw, "it does not inflate to its length");
    }
    refused(&whole[..whole.len() - 1], "it does not inflate to its length");
    refused(&whole[..3], "its length is missing");
    refused(&[0x80, 1], "its length is missing");
    refused(&[0x10, 1], "the method is not known");
    refused(&[0x84, 0, 0xff, 0xff, 0xff, 1], "it is too short for its length");
    refused(&[0x84, 0xff, 0xff, 0xff, 0xff, 1], "it inflates to more than 64 MiB");
}

proptest! {
    #[test]
    fn every_value_is_read_as_it_was_compressed(value: Vec<u8>, repeat in 1..40usize, bare: bool) {
        let value = value.repeat(repeat);
        prop_assume!(!value.is_empty());
        let definition = text(code::BLOB_COMPRESSED, [4, 0], "binary");
        assert_reads(&definition, &counted(4, &deflated(&value, bare)), Value::Bytes(&value));
    }

    #[test]
    fn no_damage_to_a_compressed_value_makes_it_panic(
        value: Vec<u8>,
        bare: bool,
        at: usize,
        byte: u8,
    ) {
        let mut raw = deflated(&value, bare);
        let at = at % raw.len();
        raw[at] = byte;
        let definition = text(code::BLOB_COMPRESSED, [4, 0], "binary");
        let _ = read(&definition, &counted(4, &raw));
    }
}
