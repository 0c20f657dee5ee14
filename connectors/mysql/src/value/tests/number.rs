use proptest::prelude::*;

use super::*;
use crate::value::number::print_double;

#[test]
fn integers_of_every_width_keep_their_sign_and_their_range() {
    for (code, len) in
        [(code::TINY, 1), (code::SHORT, 2), (code::INT24, 3), (code::LONG, 4), (code::LONGLONG, 8)]
    {
        let signed = plain(code, [0, 0]);
        let unsigned = Definition { unsigned: true, ..signed.clone() };
        let mut lowest = vec![0; len];
        lowest[len - 1] = 0x80;
        let all_ones = vec![0xff; len];
        assert_reads(&signed, &lowest, Value::Int(i64::MIN >> (64 - 8 * len)));
        assert_reads(&signed, &all_ones, Value::Int(-1));
        assert_reads(&unsigned, &all_ones, Value::UInt(u64::MAX >> (64 - 8 * len)));
        assert_unreadable(&signed, &all_ones[1..], &Unreadable::Short);
    }
}

#[test]
fn a_float_is_the_number_its_shortest_text_says() {
    let float = plain(code::FLOAT, [4, 0]);
    for wanted in [0.1, 3.3, 1e-7, 16_777_216.0, 1234.5677, -0.3, 0.0, 3.402_823_5e38, 1e10] {
        assert_reads(&float, &(wanted as f32).to_le_bytes(), Value::Float(wanted));
    }
    assert_reads(&plain(code::DOUBLE, [8, 0]), &0.1f64.to_le_bytes(), Value::Float(0.1));
}

#[test]
fn doubles_inside_of_json_are_printed_like_the_server_prints_them() {
    for (value, wanted) in [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (1e-14, "0.00000000000001"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (1e14, "100000000000000.0"),
        (1e15, "1e15"),
        (123456789012345680.0, "1.2345678901234568e17"),
        (1234567890123456.8, "1234567890123456.8"),
        (-2.5e-300, "-2.5e-300"),
        (f64::MAX, "1.7976931348623157e308"),
    ] {
        let mut text = String::new();
        print_double(value, &mut text);
        assert_eq!(text, wanted);
    }
}

#[test]
fn bits_are_an_unsigned_number() {
    assert_reads(&plain(code::BIT, [1, 0]), &[1], Value::UInt(1));
    assert_reads(&plain(code::BIT, [2, 1]), &[2, 0x81], Value::UInt(0x281));
    assert_reads(&plain(code::BIT, [0, 8]), &[0xff; 8], Value::UInt(u64::MAX));
    let no_type = Unreadable::Type { code: code::BIT, metadata: 0x0801 };
    assert_unreadable(&plain(code::BIT, [1, 8]), &[0; 9], &no_type);
}

#[test]
fn known_decimals_are_printed_as_the_server_prints_them() {
    let decimal = |precision, scale| plain(code::NEWDECIMAL, [precision, scale]);
    let wide = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
    assert_reads(&decimal(14, 4), &wide, Value::Decimal("1234567890.1234"));
    let negative = wide.map(|byte| byte ^ 0xff);
    assert_reads(&decimal(14, 4), &negative, Value::Decimal("-1234567890.1234"));
    assert_reads(&decimal(3, 2), &[0x80, 0x00], Value::Decimal("0.00"));
    assert_reads(&decimal(2, 2), &[0x85], Value::Decimal("0.05"));
    assert_reads(&decimal(5, 0), &[0x80, 0x00, 0x07], Value::Decimal("7"));
}

#[test]
fn a_decimal_with_too_large_a_group_is_none() {
    let what = "a group of digits is too large";
    let wanted = Unreadable::Malformed { type_name: "decimal", what };
    assert_unreadable(&plain(code::NEWDECIMAL, [2, 0]), &[0x80 | 100], &wanted);
    let unknown = Unreadable::Type { code: code::NEWDECIMAL, metadata: 0x0042 };
    assert_unreadable(&plain(code::NEWDECIMAL, [66, 0]), &[0x80; 40], &unknown);
}

/// Digits in groups of nine, the incomplete groups outside; the first bit says the sign.
pub(super) fn encode_decimal(negative: bool, whole: &str, fraction: &str) -> Vec<u8> {
    let (first, rest) = whole.split_at(whole.len() % 9);
    let mut groups = vec![first];
    for part in [rest, fraction] {
        groups.extend(part.as_bytes().chunks(9).map(|group| std::str::from_utf8(group).unwrap()));
    }
    let mut bytes = Vec::new();
    for group in groups.into_iter().filter(|group| !group.is_empty()) {
        let len = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4][group.len()];
        bytes.extend_from_slice(&group.parse::<u32>().unwrap().to_be_bytes()[4 - len..]);
    }
    bytes[0] ^= 0x80;
    if negative {
        bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    }
    bytes
}

proptest! {
    #[test]
    fn every_decimal_is_printed_with_all_its_digits(
        negative: bool,
        whole in "[0-9]{0,35}",
        fraction in "[0-9]{0,30}",
    ) {
        prop_assume!(!(whole.is_empty() && fraction.is_empty()));
        let (precision, scale) = (whole.len() + fraction.len(), fraction.len());
        let definition = plain(code::NEWDECIMAL, [precision as u8, scale as u8]);
        let trimmed = whole.trim_start_matches('0');
        let is_zero = whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0');
        let mut wanted = String::new();
        wanted.push_str(if negative && !is_zero { "-" } else { "" });
        wanted.push_str(if trimmed.is_empty() { "0" } else { trimmed });
        if scale > 0 {
            wanted.push('.');
            wanted.push_str(&fraction);
        }
        let raw = encode_decimal(negative, &whole, &fraction);
        assert_reads(&definition, &raw, Value::Decimal(&wanted));
    }

    #[test]
    fn every_finite_double_inside_of_json_reads_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut text = String::new();
        print_double(value, &mut text);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
        prop_assert!(text.contains(['.', 'e']));
    }
}
