//! Integers, floating-point numbers, decimals and bits.

use std::fmt::Write;

use connector_api::{BatchBuilder, Cell, TextKind};

use super::Unreadable;
use super::ascii::Ascii;
use super::cursor::{big_endian, little_endian};

/// A two's complement of 1 to 8 bytes, the lowest first.
pub(super) fn int(raw: &[u8]) -> i64 {
    let unused = 64 - 8 * raw.len().clamp(1, 8) as u32;
    ((little_endian(raw) << unused) as i64) >> unused
}

/// BIT(1) to BIT(64).
pub(super) fn bits(raw: &[u8]) -> u64 {
    big_endian(raw)
}

/// The double whose shortest text is that of the float: 0.1, not 0.10000000149011612.
pub(super) fn float(raw: &[u8]) -> f64 {
    let value = f32::from_bits(little_endian(raw) as u32);
    if value.fract() == 0.0 && value.abs() < 16_777_216.0 || !value.is_finite() {
        return f64::from(value);
    }
    let mut text = Short::default();
    write!(text, "{value:e}").expect("the shortest text of a float fits");
    text.as_str().parse().expect("what a float is printed as is a number")
}

/// DOUBLE.
pub(super) fn double(raw: &[u8]) -> f64 {
    f64::from_bits(little_endian(raw))
}

/// Digits from which on the server prints a power of ten instead of zeros.
const PLAIN_DIGITS_MAX: i32 = 15;

/// Appends a double as the server prints it inside of JSON: as few digits as tell it from its
/// neighbours, `.0` behind a whole number, `e` only where zeros would be many.
pub(super) fn print_double(value: f64, out: &mut String) {
    let mut text = Short::default();
    write!(text, "{value:e}").expect("the shortest text of a double fits");
    let (digits, exponent) = text.as_str().split_once('e').unwrap_or((text.as_str(), "0"));
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let (first, more) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: i32 = exponent.parse().expect("the exponent of a double is a number");
    let (len, point) = ((first.len() + more.len()) as i32, exponent + 1);
    out.push_str(sign);
    if point < 1 - PLAIN_DIGITS_MAX || point > PLAIN_DIGITS_MAX && len <= point {
        out.push_str(digits);
        write!(out, "e{exponent}").expect("a string takes everything");
    } else if point <= 0 {
        out.push_str("0.");
        out.extend((point..0).map(|_| '0'));
        out.extend([first, more]);
    } else {
        let mut digits = first.chars().chain(more.chars());
        for nth in 0..len.max(point) {
            if nth == point {
                out.push('.');
            }
            out.push(digits.next().unwrap_or('0'));
        }
        if point >= len {
            out.push_str(".0");
        }
    }
}

/// The shortest text of a float: sign, 17 digits, point, `e`, sign, three digits.
type Short = Stack<32>;

/// Where `write!` puts a text that is known to be short.
#[derive(Debug)]
struct Stack<const N: usize>(Ascii<N>);

impl<const N: usize> Default for Stack<N> {
    fn default() -> Self {
        Self(Ascii::new())
    }
}

impl<const N: usize> Stack<N> {
    fn as_str(&self) -> &str {
        self.0.text()
    }
}

impl<const N: usize> Write for Stack<N> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.bytes().for_each(|byte| self.0.push(byte));
        Ok(())
    }
}

/// A decimal's digits in all and behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    precision: usize,
    scale: usize,
}

/// Bytes a group of 0 to 9 digits takes.
const GROUP_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const GROUP: usize = 9;
const PRECISION_MAX: usize = 65;
const SCALE_MAX: usize = 30;

impl Decimal {
    /// `None` when no server has such a type.
    pub(super) fn new(precision: u8, scale: u8) -> Option<Self> {
        let (precision, scale) = (usize::from(precision), usize::from(scale));
        let possible =
            (1..=PRECISION_MAX).contains(&precision) && scale <= SCALE_MAX && scale <= precision;
        possible.then_some(Self { precision, scale })
    }

    /// Encoded length, bytes.
    pub(super) fn len(self) -> usize {
        self.groups().map(|digits| GROUP_BYTES[digits]).sum()
    }

    /// Groups of digits before the point, the incomplete one first, then behind it, that one last.
    fn groups(self) -> impl Iterator<Item = usize> {
        let whole = self.precision - self.scale;
        let full = whole / GROUP + self.scale / GROUP;
        let ends = (whole % GROUP, self.scale % GROUP);
        std::iter::once(ends.0)
            .chain(std::iter::repeat_n(GROUP, full))
            .chain(std::iter::once(ends.1))
            .filter(|&digits| digits > 0)
    }

    /// The number as the server prints it. `raw` is [`Self::len`] bytes.
    pub(super) fn text(self, raw: &[u8]) -> Result<Ascii<PRINTED_MAX>, Unreadable> {
        let negative = raw.first().is_some_and(|byte| byte & 0x80 == 0);
        let invert = if negative { 0xff } else { 0 };
        let mut bytes = raw.iter().enumerate().map(|(nth, byte)| {
            let sign = if nth == 0 { 0x80 } else { 0 };
            u32::from(byte ^ invert ^ sign)
        });
        let mut all = Ascii::<PRECISION_MAX>::new();
        for digits in self.groups() {
            let group = bytes.by_ref().take(GROUP_BYTES[digits]);
            let value = group.fold(0, |value, byte| value << 8 | byte);
            if value >= 10u32.pow(digits as u32) {
                let what = "a group of digits is too large";
                return Err(Unreadable::Malformed { type_name: "decimal", what });
            }
            all.digits(value, digits);
        }
        let all = all.text();
        let (whole, fraction) = all.split_at(self.precision - self.scale);
        let mut out = Ascii::new();
        if negative && all.bytes().any(|digit| digit != b'0') {
            out.push(b'-');
        }
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        whole.bytes().for_each(|digit| out.push(digit));
        if !fraction.is_empty() {
            out.push(b'.');
            fraction.bytes().for_each(|digit| out.push(digit));
        }
        Ok(out)
    }

    pub(super) fn push(self, raw: &[u8], out: &mut BatchBuilder) -> Result<(), Unreadable> {
        let text = self.text(raw)?;
        out.push_text(TextKind::Decimal, text.text());
        Ok(())
    }
}

/// All digits, a sign, a zero before the point, the point.
const PRINTED_MAX: usize = PRECISION_MAX + 3;

/// An integer cell.
pub(super) fn integer(raw: &[u8], unsigned: bool) -> Cell {
    if unsigned { Cell::UInt(little_endian(raw)) } else { Cell::Int(int(raw)) }
}
