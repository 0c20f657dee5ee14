//! Exact decimals: what a quantity is.
//!
//! A [`Decimal`] has at most 29 digits before the point and 9 behind it, 38 in all, so that every
//! one of them, and every sum of two, fits an `i128` counted in billionths.

mod arithmetic;
mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

/// The most digits behind the point.
pub const SCALE_MAX: u8 = 9;
/// The most digits before the point.
const INTEGER_DIGITS: u32 = 29;

const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// An exact decimal: `units` * 10^-`scale`, in its shortest form, so that equal values are equal
/// field by field. Its absolute value is less than 10^29.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    units: i128,
    scale: u8,
}

/// Whether a result is what was asked for, to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// Nothing was lost.
    Exact,
    /// Digits behind the ninth decimal were rounded away, half to even.
    Rounded,
}

/// Why something is not a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing but blanks.
    #[error("an empty text is not a number")]
    Empty,
    /// Not digits with an optional sign, point and exponent.
    #[error("the text is not a decimal number")]
    NotANumber,
    /// `NaN`.
    #[error("the value is NaN")]
    Nan,
    /// `Infinity`, of either sign.
    #[error("the value is infinite")]
    Infinite,
    /// 10^29 or more.
    #[error("the value has more than 29 digits before the point")]
    OutOfRange,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Decimal = Decimal { units: 0, scale: 0 };

    /// A whole number.
    pub fn from_int(value: i64) -> Self {
        Self { units: i128::from(value), scale: 0 }
    }

    /// A whole number without a sign.
    pub fn from_uint(value: u64) -> Self {
        Self { units: i128::from(value), scale: 0 }
    }

    /// Whether this is zero.
    pub fn is_zero(self) -> bool {
        self.units == 0
    }

    /// Whether this is less than zero.
    pub fn is_negative(self) -> bool {
        self.units < 0
    }

    /// Appends the canonical text: no exponent, no `+`, no zeros at the end, `0` for nothing.
    pub fn write_to(self, out: &mut String) {
        match i64::try_from(self.units) {
            Ok(whole) if self.scale == 0 => out.push_str(itoa::Buffer::new().format(whole)),
            _ => self.with_text(|text| out.push_str(text)),
        }
    }

    /// `units` * 10^-`scale` in its shortest form, if it is in range.
    fn shortest(mut units: i128, mut scale: u8) -> Result<Self, NumberError> {
        if units.unsigned_abs() >= POWERS[(INTEGER_DIGITS + u32::from(scale)) as usize] as u128 {
            return Err(NumberError::OutOfRange);
        }
        if let Ok(mut small) = i64::try_from(units) {
            while scale > 0 && small % 10 == 0 {
                small /= 10;
                scale -= 1;
            }
            units = i128::from(small);
        } else {
            while scale > 0 && units % 10 == 0 {
                units /= 10;
                scale -= 1;
            }
        }
        Ok(Self { units, scale })
    }

    /// The value counted in 10^-`scale`, for a `scale` that is not below its own.
    fn units_at(self, scale: u8) -> i128 {
        self.units * POWERS[usize::from(scale - self.scale)]
    }

    fn with_text<T>(self, write: impl FnOnce(&str) -> T) -> T {
        let mut buffer = [0; 48];
        let mut start = buffer.len();
        let mut put = |byte| {
            start -= 1;
            buffer[start] = byte;
        };
        let mut rest = self.units.unsigned_abs();
        let mut places = 0;
        while rest > 0 || places <= self.scale {
            if places == self.scale && places > 0 {
                put(b'.');
            }
            let digit = match u64::try_from(rest) {
                Ok(small) => {
                    rest = u128::from(small / 10);
                    small % 10
                }
                Err(_) => {
                    let digit = rest % 10;
                    rest /= 10;
                    digit as u64
                }
            };
            put(b'0' + digit as u8);
            places += 1;
        }
        if self.units < 0 {
            put(b'-');
        }
        write(std::str::from_utf8(&buffer[start..]).expect("digits, a point and a sign"))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.units_at(scale).cmp(&other.units_at(scale))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}
