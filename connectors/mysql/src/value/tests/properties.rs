//! Whatever the bytes: a value or an error, never a panic.

use proptest::prelude::*;

use super::*;

const CHARSETS: [&str; 14] = [
    "binary", "utf8mb4", "ascii", "latin1", "ucs2", "utf16", "utf16le", "utf32", "gb18030", "big5",
    "sjis", "ujis", "euckr", "cp850",
];
const CODES: [u8; 33] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 140, 141, 242, 245, 246,
    247, 248, 249, 250, 252, 253, 254, 255,
];

const NAMES: [&str; 7] = [
    "",
    "inet4",
    "inet6",
    "uuid",
    "x(1) /* mariadb-5.3 */",
    "x(6) /* mariadb-5.3 */",
    "x(255) /* mariadb-5.3 */",
];

fn metadata() -> impl Strategy<Value = u16> {
    prop_oneof![
        any::<u16>(),
        0..=8u16,
        (1..=65u16, 0..=30u16).prop_map(|(low, high)| high << 8 | low),
        (0..=40u16).prop_map(|len| len << 8 | 0xfe),
        (1..=8u16).prop_map(|len| len << 8 | 0xf7),
        (1..=8u16).prop_map(|len| len << 8 | 0xf8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_bytes_of_any_type_make_it_panic(
        code in proptest::sample::select(CODES.as_slice()),
        metadata in metadata(),
        unsigned: bool,
        charset in proptest::option::of(proptest::sample::select(CHARSETS.as_slice())),
        labels in proptest::option::of(proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..3), 0..70)),
        type_name in proptest::sample::select(NAMES.as_slice()),
        short: bool,
        skipped in 0..4usize,
        mut raw in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        if short && !raw.is_empty() {
            raw[0] %= 16;
            raw.iter_mut().skip(1).take(skipped).for_each(|byte| *byte = 0);
        }
        let charset = charset.map(Charset::named);
        let labels = labels.as_deref();
        let definition = Definition { code, metadata, unsigned, charset, labels, type_name };
        let _ = read(&definition, &raw);
    }

    #[test]
    fn no_number_of_a_collation_makes_it_panic(id: u16) {
        let _ = (Charset::of_mysql(id), Charset::of_mariadb(id));
    }
}
