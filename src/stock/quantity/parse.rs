use std::fmt::Write as _;

use super::{Decimal, Exactness, INTEGER_DIGITS, NumberError, POWERS, SCALE_MAX};

impl Decimal {
    /// Reads an optional sign, digits with an optional point, and an optional exponent, between
    /// optional ASCII blanks. More than nine decimals are rounded half to even.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<(Self, Exactness), NumberError> {
        let text = text.as_ref().trim_ascii();
        let (negative, unsigned) = match text {
            [] => return Err(NumberError::Empty),
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let numeral = Numeral::read(unsigned)?;
        let (units, scale, exactness) = numeral.units()?;
        let value = Self::shortest(if negative { -units } else { units }, scale)?;
        Ok((value, exactness))
    }

    /// Reads the shortest decimal text that stands for this binary number and no other.
    pub fn from_f64(value: f64) -> Result<(Self, Exactness), NumberError> {
        let mut text = FloatText { bytes: [0; 32], len: 0 };
        write!(text, "{value:e}").expect("17 digits, two signs, a point and an exponent");
        Self::parse(&text.bytes[..text.len])
    }
}

/// An unsigned decimal numeral: the digits before and behind the point, and the exponent.
struct Numeral<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Numeral<'a> {
    fn read(text: &'a [u8]) -> Result<Self, NumberError> {
        let (whole, rest) = split_digits(text);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            _ => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(not_finite(text));
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => read_exponent(rest)?,
            _ => return Err(NumberError::NotANumber),
        };
        Ok(Self { whole, fraction, exponent })
    }

    /// The digits as one number, where they are as few as they nearly always are.
    fn few_digits(&self) -> Option<i128> {
        let fits = self.whole.len() + self.fraction.len() <= 18
            && self.fraction.len() <= usize::from(SCALE_MAX)
            && self.exponent == 0;
        let add = |units: i64, digit: &u8| units * 10 + i64::from(digit - b'0');
        fits.then(|| i128::from(self.whole.iter().chain(self.fraction).fold(0, add)))
    }

    /// The value as units and scale, rounded half to even where it has more than nine decimals.
    fn units(&self) -> Result<(i128, u8, Exactness), NumberError> {
        if let Some(units) = self.few_digits() {
            return Ok((units, self.fraction.len() as u8, Exactness::Exact));
        }
        let digits = || self.whole.iter().chain(self.fraction);
        let zeros = digits().take_while(|digit| **digit == b'0').count();
        let total = self.whole.len() + self.fraction.len();
        if zeros == total {
            return Ok((0, 0, Exactness::Exact));
        }
        // The power of ten of the first digit that counts, then of the one read next.
        let mut power = self.whole.len() as i64 - 1 - zeros as i64 + self.exponent;
        if power >= i64::from(INTEGER_DIGITS) {
            return Err(NumberError::OutOfRange);
        }
        let mut units: i128 = 0;
        let mut rest = digits().skip(zeros);
        let lowest = -i64::from(SCALE_MAX);
        if power >= lowest {
            for digit in rest.by_ref().take((power - lowest + 1) as usize) {
                units = units * 10 + i128::from(digit - b'0');
                power -= 1;
            }
        }
        let last = power + 1;
        if last > 0 {
            return Ok((units * POWERS[last as usize], 0, Exactness::Exact));
        }
        // A first digit below the tenth decimal is no digit to round by.
        let dropped = if power < lowest - 1 { b'0' } else { *rest.next().unwrap_or(&b'0') };
        let more = rest.any(|digit| *digit != b'0') || power < lowest - 1;
        let up = dropped > b'5' || (dropped == b'5' && (more || units % 2 == 1));
        let exactness =
            if dropped == b'0' && !more { Exactness::Exact } else { Exactness::Rounded };
        let scale = last.max(lowest).unsigned_abs() as u8;
        Ok((units + i128::from(up), scale, exactness))
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn read_exponent(text: &[u8]) -> Result<i64, NumberError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::NotANumber);
    }
    // Far beyond what any text in memory could balance with its digits.
    let far = 1_i64 << 50;
    let add = |sum: i64, digit: &u8| (sum * 10 + i64::from(digit - b'0')).min(far);
    let exponent = digits.iter().fold(0, add);
    Ok(if negative { -exponent } else { exponent })
}

fn not_finite(text: &[u8]) -> NumberError {
    let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    if is("nan") {
        NumberError::Nan
    } else if is("inf") || is("infinity") {
        NumberError::Infinite
    } else {
        NumberError::NotANumber
    }
}

struct FloatText {
    bytes: [u8; 32],
    len: usize,
}

impl std::fmt::Write for FloatText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
