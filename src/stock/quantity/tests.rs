#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use proptest::prelude::*;

use super::*;

fn exact(text: &str) -> Decimal {
    let (value, exactness) = Decimal::parse(text).unwrap();
    assert_eq!(exactness, Exactness::Exact, "{text}");
    value
}

fn rounded(text: &str) -> String {
    let (value, exactness) = Decimal::parse(text).unwrap();
    assert_eq!(exactness, Exactness::Rounded, "{text}");
    value.to_string()
}

#[test]
fn every_spelling_of_a_number_has_one_text() {
    for (spelling, text) in [
        ("0", "0"),
        ("-0.00", "0"),
        ("+7", "7"),
        ("007.500", "7.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-.5", "-0.5"),
        ("1e3", "1000"),
        ("1E-3", "0.001"),
        ("1.5e+1", "15"),
        ("100e-2", "1"),
        ("  12 \t\n", "12"),
        ("0e999999999999999999", "0"),
        ("0.000000001", "0.000000001"),
        ("10.000000000", "10"),
        ("1.000000000000000000000", "1"),
        ("99999999999999999999999999999", "99999999999999999999999999999"),
        ("-99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999"),
    ] {
        assert_eq!(exact(spelling).to_string(), text, "{spelling}");
    }
}

#[test]
fn decimals_behind_the_ninth_are_rounded_half_to_even() {
    assert_eq!(rounded("0.0000000005"), "0");
    assert_eq!(rounded("0.0000000015"), "0.000000002");
    assert_eq!(rounded("0.0000000025"), "0.000000002");
    assert_eq!(rounded("0.00000000250001"), "0.000000003");
    assert_eq!(rounded("-0.0000000025000000001"), "-0.000000003");
    assert_eq!(rounded("0.00000000049"), "0");
    assert_eq!(rounded("9.9999999999"), "10");
    assert_eq!(rounded("1e-400"), "0");
    assert_eq!(rounded("-1e-99999999999999999999"), "0");
    assert_eq!(rounded("6e-10"), "0.000000001");
    assert_eq!(rounded("9e-11"), "0");
}

#[test]
fn what_is_not_a_number_says_why() {
    for text in ["", " ", "\t"] {
        assert_eq!(Decimal::parse(text), Err(NumberError::Empty), "{text:?}");
    }
    for text in [
        "abc", ".", "-", "+-1", "1 2", "1,5", "1e", "1e+", "e5", "0x10", "1_000", "1.2.3", "--1",
        "1e5.0", "\u{0661}", "na", "1f",
    ] {
        assert_eq!(Decimal::parse(text), Err(NumberError::NotANumber), "{text:?}");
    }
    assert_eq!(Decimal::parse(b"\xff1"), Err(NumberError::NotANumber));
    for text in ["NaN", "nan", "-nan"] {
        assert_eq!(Decimal::parse(text), Err(NumberError::Nan), "{text:?}");
    }
    for text in ["Infinity", "-Infinity", "inf"] {
        assert_eq!(Decimal::parse(text), Err(NumberError::Infinite), "{text:?}");
    }
    for text in [
        "100000000000000000000000000000",
        "1e29",
        "-1e29",
        "1e99999999999999999999",
        "99999999999999999999999999999.9999999999",
    ] {
        assert_eq!(Decimal::parse(text), Err(NumberError::OutOfRange), "{text:?}");
    }
}

#[test]
fn a_float_is_read_through_its_shortest_text() {
    let text = |value: f64| Decimal::from_f64(value).map(|(value, _)| value.to_string());
    assert_eq!(text(0.1).unwrap(), "0.1");
    assert_eq!(text(-0.0).unwrap(), "0");
    assert_eq!(text(1e28).unwrap(), "10000000000000000000000000000");
    assert_eq!(text(0.1 + 0.2).unwrap(), "0.3");
    assert_eq!(text(2.5e-7).unwrap(), "0.00000025");
    assert_eq!(text(f64::MIN_POSITIVE).unwrap(), "0");
    assert_eq!(text(f64::NAN), Err(NumberError::Nan));
    assert_eq!(text(f64::NEG_INFINITY), Err(NumberError::Infinite));
    assert_eq!(text(f64::MAX), Err(NumberError::OutOfRange));
}

#[test]
fn sums_and_products_stay_in_range_or_say_so() {
    let most = exact("99999999999999999999999999999.999999999");
    assert_eq!(most.checked_add(exact("0.000000001")), Err(NumberError::OutOfRange));
    assert_eq!((-most).checked_sub(most), Err(NumberError::OutOfRange));
    assert_eq!(most.checked_sub(most), Ok(Decimal::ZERO));
    assert_eq!(most.checked_mul(most), Err(NumberError::OutOfRange));
    let (third, _) = Decimal::parse("0.333333333").unwrap();
    let (product, exactness) = most.checked_mul(third).unwrap();
    assert_eq!(product.to_string(), "33333333300000000000000000000");
    assert_eq!(exactness, Exactness::Rounded);
    assert_eq!(
        exact("0.00001").checked_mul(exact("0.00005")).unwrap(),
        (Decimal::ZERO, Exactness::Rounded)
    );
    assert_eq!(
        exact("0.00003").checked_mul(exact("0.00005")).unwrap(),
        (exact("0.000000002"), Exactness::Rounded)
    );
}

#[test]
fn a_cast_rounds_halves_away_from_zero() {
    let round = |text: &str, scale| exact(text).round_half_away(scale).unwrap().to_string();
    assert_eq!(round("2.5", 0), "3");
    assert_eq!(round("-2.5", 0), "-3");
    assert_eq!(round("2.49", 0), "2");
    assert_eq!(round("1.005", 2), "1.01");
    assert_eq!(round("1.5", 3), "1.5");
    let most = exact("99999999999999999999999999999.5");
    assert_eq!(most.round_half_away(0), Err(NumberError::OutOfRange));
    assert!(exact("999.99").fits_digits(3));
    assert!(!exact("-1000").fits_digits(3));
    assert!(most.fits_digits(38));
}

/// A signed count of 10^-18 as decimal digits, lowest first, without zeros at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    negative: bool,
    digits: Vec<u8>,
}

impl Model {
    fn new(negative: bool, mut digits: Vec<u8>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self { negative: negative && !digits.is_empty(), digits }
    }

    /// Reads a canonical text.
    fn of(text: &str) -> Self {
        let unsigned = text.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all = format!("{whole}{fraction:0<18}");
        Self::new(text.starts_with('-'), all.bytes().rev().map(|byte| byte - b'0').collect())
    }

    fn at(&self, place: usize) -> u8 {
        self.digits.get(place).copied().unwrap_or(0)
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let by_length = self.digits.len().cmp(&other.digits.len());
        by_length.then_with(|| self.digits.iter().rev().cmp(other.digits.iter().rev()))
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }

    fn add(&self, other: &Self) -> Self {
        let (big, small) =
            if self.magnitude(other).is_lt() { (other, self) } else { (self, other) };
        let sign = if self.negative == other.negative { 1 } else { -1 };
        let mut carry = 0;
        let mut digits = Vec::new();
        for place in 0..=big.digits.len() {
            let sum = big.at(place) as i8 + sign * small.at(place) as i8 + carry;
            digits.push(sum.rem_euclid(10) as u8);
            carry = sum.div_euclid(10);
        }
        Self::new(big.negative, digits)
    }

    /// The product; its units are 10^-36.
    fn mul(&self, other: &Self) -> Self {
        let mut sums = vec![0_u64; self.digits.len() + other.digits.len() + 1];
        for (i, a) in self.digits.iter().enumerate() {
            for (j, b) in other.digits.iter().enumerate() {
                sums[i + j] += u64::from(a * b);
            }
        }
        for place in 1..sums.len() {
            sums[place] += sums[place - 1] / 10;
            sums[place - 1] %= 10;
        }
        Self::new(self.negative != other.negative, sums.iter().map(|sum| *sum as u8).collect())
    }

    /// Without the last `count` digits, rounded half to even; and whether that was exact.
    fn round(&self, count: usize) -> (Self, bool) {
        let dropped: Vec<u8> = (0..count).map(|place| self.at(place)).collect();
        let kept = self.digits.get(count..).unwrap_or_default().to_vec();
        let exact = dropped.iter().all(|digit| *digit == 0);
        let half = dropped[count - 1] == 5 && dropped[..count - 1].iter().all(|digit| *digit == 0);
        let up = if half { kept.first().unwrap_or(&0) % 2 == 1 } else { dropped[count - 1] >= 5 };
        let one = Self::new(false, vec![u8::from(up)]);
        let sum = Self::new(false, kept).add(&one);
        (Self::new(self.negative, sum.digits), exact)
    }

    /// Counted in 10^-9 instead of 10^-18.
    fn billionths(&self) -> Self {
        Self::new(self.negative, self.digits.get(9..).unwrap_or_default().to_vec())
    }
}

/// Any decimal, mostly short ones, as canonical text and as value.
fn decimal() -> impl Strategy<Value = Decimal> {
    let units = prop_oneof![
        -1000_i128..1000,
        any::<i64>().prop_map(i128::from),
        -(10_i128.pow(38) - 1)..10_i128.pow(38),
    ];
    (units, 0_u8..=SCALE_MAX).prop_map(|(units, scale)| {
        let limit = POWERS[(INTEGER_DIGITS + u32::from(scale)) as usize];
        Decimal::shortest(units % limit, scale).unwrap()
    })
}

fn in_range(model: &Model) -> bool {
    model.digits.len() <= 29 + 18
}

proptest! {
    #[test]
    fn a_text_is_read_back_as_the_same_value(value in decimal()) {
        let text = value.to_string();
        prop_assert_eq!(exact(&text), value);
        let mut written = String::new();
        value.write_to(&mut written);
        prop_assert_eq!(&text, &written);
        prop_assert!(!text.contains('.') || !text.ends_with('0'));
    }

    #[test]
    fn equal_values_are_equal_in_every_spelling(value in decimal(), zeros in 0_usize..20) {
        let text = value.to_string();
        let point = if text.contains('.') { "" } else { "." };
        let other = exact(&format!("{text}{point}{}", "0".repeat(zeros)));
        let hash = |value: Decimal| {
            let mut hasher = DefaultHasher::new();
            value.hash(&mut hasher);
            hasher.finish()
        };
        prop_assert_eq!(other, value);
        prop_assert_eq!(hash(other), hash(value));
        let scaled = exact(&format!("{text}e0"));
        prop_assert_eq!(scaled, value);
    }

    #[test]
    fn any_digits_are_read_as_the_model_rounds_them(
        whole in "[0-9]{0,28}", fraction in "[0-9]{18}", negative: bool,
    ) {
        let sign = if negative { "-" } else { "" };
        let (value, exactness) = Decimal::parse(format!("{sign}{whole}.{fraction}")).unwrap();
        let model = Model::of(&format!("{sign}{whole}.{fraction}"));
        let (rounded, exact) = model.round(9);
        prop_assert_eq!(Model::of(&value.to_string()).billionths(), rounded);
        prop_assert_eq!(exactness == Exactness::Exact, exact);
    }

    #[test]
    fn sums_agree_with_the_model(a in decimal(), b in decimal()) {
        let sum = Model::of(&a.to_string()).add(&Model::of(&b.to_string()));
        match a.checked_add(b) {
            Ok(value) => prop_assert_eq!(Model::of(&value.to_string()), sum),
            Err(_) => prop_assert!(!in_range(&sum)),
        }
        prop_assert_eq!(a.checked_sub(b), a.checked_add(-b));
    }

    #[test]
    fn products_agree_with_the_model(a in decimal(), b in decimal()) {
        let product = Model::of(&a.to_string()).mul(&Model::of(&b.to_string()));
        let (rounded, exact) = product.round(27);
        match a.checked_mul(b) {
            Ok((value, exactness)) => {
                prop_assert_eq!(Model::of(&value.to_string()).billionths(), rounded);
                prop_assert_eq!(exactness == Exactness::Exact, exact);
            }
            Err(_) => prop_assert!(rounded.digits.len() > 38),
        }
    }

    #[test]
    fn order_is_the_order_of_values(a in decimal(), b in decimal()) {
        let (x, y) = (Model::of(&a.to_string()), Model::of(&b.to_string()));
        prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        prop_assert_eq!(a == b, x == y);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![
        "\\PC*",
        "[ +-]{0,2}[0-9]{0,40}[.]?[0-9]{0,40}([eE][+-]?[0-9]{0,25})?",
    ]) {
        if let Ok((value, _)) = Decimal::parse(&text) {
            prop_assert_eq!(exact(&value.to_string()), value);
        }
    }

    #[test]
    fn floats_are_read_as_the_numbers_they_print(value in -1e20_f64..1e20) {
        prop_assert_eq!(Decimal::from_f64(value), Decimal::parse(format!("{value}")));
    }
}
