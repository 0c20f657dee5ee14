//! Dates and times.

pub(super) mod old;

use connector_api::{BatchBuilder, TextKind};

use super::Unreadable;
use super::ascii::Ascii;
use super::cursor::{big_endian, little_endian};

/// `-838:59:59.999999` and `9999-12-31T23:59:59.999999Z` fit.
pub(super) type Line = Ascii<32>;

const HOUR_OF_TIME_MAX: u32 = 838;

/// A date and a time of day. Month and day may be zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DateTime {
    pub(super) year: u32,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) micros: u32,
}

/// A span of time, as TIME holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    negative: bool,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
}

fn malformed(type_name: &'static str) -> Unreadable {
    Unreadable::Malformed { type_name, what: "a part is out of its range" }
}

impl DateTime {
    /// Month counted with 13 to a year, then the day.
    fn of_date(months: u32, day: u32) -> Self {
        Self { year: months / 13, month: months % 13, day, ..Self::default() }
    }

    /// Parts out of the range a server accepts are not printed: they would look like a date.
    pub(super) fn checked(self, type_name: &'static str) -> Result<Self, Unreadable> {
        let date = self.year <= 9999 && self.month <= 12 && self.day <= 31;
        let time = self.hour <= 23 && self.minute <= 59 && self.second <= 59;
        let possible = date && time && self.micros <= 999_999;
        possible.then_some(self).ok_or_else(|| malformed(type_name))
    }

    /// Whether the calendar has this day. Zero dates and, where the SQL mode allows them, days
    /// like February 30th are none.
    fn is_real(self) -> bool {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        (1..=days).contains(&self.day)
    }

    /// Whether it may be a date alone.
    pub(super) fn is_midnight(self) -> bool {
        (self.hour, self.minute, self.second, self.micros) == (0, 0, 0, 0)
    }

    pub(super) fn print_date(self, line: &mut Line) {
        line.digits(self.year, 4);
        line.push(b'-');
        line.digits(self.month, 2);
        line.push(b'-');
        line.digits(self.day, 2);
    }

    pub(super) fn print(self, between: u8, decimals: u8, line: &mut Line) {
        self.print_date(line);
        line.push(between);
        print_clock([self.hour, self.minute, self.second], self.micros, decimals, line);
    }

    /// `0000-00-00 00:00:00` and dates with a zero part stay as the server prints them.
    pub(super) fn push(self, decimals: u8, zoned: bool, out: &mut BatchBuilder) {
        let mut line = Line::new();
        let kind = match (self.is_real(), zoned) {
            (false, _) => TextKind::Text,
            (true, false) => TextKind::Timestamp,
            (true, true) => TextKind::TimestampZoned,
        };
        self.print(if kind == TextKind::Text { b' ' } else { b'T' }, decimals, &mut line);
        if kind == TextKind::TimestampZoned {
            line.push(b'Z');
        }
        out.push_text(kind, line.text());
    }

    /// From seconds since 1970 UTC.
    fn of_epoch(seconds: u32, micros: u32) -> Self {
        let (days, clock) = (seconds / 86_400, seconds % 86_400);
        // Years that begin in March end with the day that is not always there.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: era * 400 + year_of_era + u32::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            micros,
        }
    }
}

impl Time {
    /// Of minutes and seconds in that order.
    pub(super) fn new(
        negative: bool,
        hour: u32,
        [minute, second]: [u8; 2],
        micros: u32,
    ) -> Result<Self, Unreadable> {
        Self { negative, hour, minute: minute.into(), second: second.into(), micros }.checked()
    }

    fn checked(self) -> Result<Self, Unreadable> {
        let possible = self.hour <= HOUR_OF_TIME_MAX
            && self.minute <= 59
            && self.second <= 59
            && self.micros <= 999_999;
        possible.then_some(self).ok_or_else(|| malformed("time"))
    }

    pub(super) fn print(self, decimals: u8, line: &mut Line) {
        if self.negative {
            line.push(b'-');
        }
        print_clock([self.hour, self.minute, self.second], self.micros, decimals, line);
    }

    pub(super) fn push(self, decimals: u8, out: &mut BatchBuilder) {
        let mut line = Line::new();
        self.print(decimals, &mut line);
        out.push_text(TextKind::Text, line.text());
    }
}

fn print_clock(clock: [u32; 3], micros: u32, decimals: u8, line: &mut Line) {
    for (nth, part) in clock.into_iter().enumerate() {
        if nth > 0 {
            line.push(b':');
        }
        line.digits(part, 2);
    }
    if decimals > 0 {
        line.push(b'.');
        line.digits(micros / 10u32.pow(u32::from(6 - decimals)), usize::from(decimals));
    }
}

/// Bytes that `decimals` (0 to 6) digits of a second take.
pub(super) fn fraction_len(decimals: u8) -> usize {
    usize::from(decimals).div_ceil(2)
}

/// Microseconds of a fraction that takes `len` bytes.
fn micros(fraction: u64, len: usize) -> u32 {
    let unit = [1_000_000, 10_000, 100, 1][len.min(3)];
    u32::try_from(fraction).unwrap_or(u32::MAX).saturating_mul(unit)
}

/// DATE: five bits of day, four of month, the rest is the year.
pub(super) fn date(raw: &[u8], out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let packed = little_endian(raw) as u32;
    let (year, month, day) = (packed >> 9, packed >> 5 & 15, packed & 31);
    let date = DateTime { year, month, day, ..DateTime::default() }.checked("date")?;
    let mut line = Line::new();
    date.print_date(&mut line);
    out.push_text(TextKind::Text, line.text());
    Ok(())
}

/// YEAR, counted from 1900; zero is the year 0000.
pub(super) fn year(raw: &[u8], out: &mut BatchBuilder) {
    let mut line = Line::new();
    let counted = little_endian(raw) as u32;
    line.digits(if counted == 0 { 0 } else { 1900 + counted }, 4);
    out.push_text(TextKind::Text, line.text());
}

/// TIME. Seconds and fraction are one number, so that a negative one reads like the positive.
pub(super) fn time(raw: &[u8], decimals: u8, out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let fraction_len = raw.len().saturating_sub(3);
    let fraction_bits = 8 * fraction_len as u32;
    let zero = 1i64 << (23 + fraction_bits);
    let signed = big_endian(raw) as i64 - zero;
    let whole = signed.unsigned_abs() >> fraction_bits;
    let fraction = signed.unsigned_abs() & ((1 << fraction_bits) - 1);
    time_of(signed < 0, whole, micros(fraction, fraction_len))?.push(decimals, out);
    Ok(())
}

/// Hour, six bits of minute, six bits of second.
fn time_of(negative: bool, whole: u64, micros: u32) -> Result<Time, Unreadable> {
    let hour = u32::try_from(whole >> 12).map_err(|_| malformed("time"))?;
    let (minute, second) = ((whole >> 6 & 63) as u32, (whole & 63) as u32);
    Time { negative, hour, minute, second, micros }.checked()
}

/// DATETIME.
pub(super) fn datetime(raw: &[u8], decimals: u8, out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let (whole, fraction) = raw.split_at_checked(5).ok_or(Unreadable::Short)?;
    let micros = micros(big_endian(fraction), fraction.len());
    let whole = big_endian(whole).checked_sub(1 << 39).ok_or_else(|| malformed("datetime"))?;
    datetime_of(whole, micros)?.push(decimals, false, out);
    Ok(())
}

/// Months, then five bits of day, five of hour, six of minute, six of second.
fn datetime_of(whole: u64, micros: u32) -> Result<DateTime, Unreadable> {
    let months = u32::try_from(whole >> 22).map_err(|_| malformed("datetime"))?;
    let date = DateTime::of_date(months, (whole >> 17 & 31) as u32);
    let (hour, minute, second) =
        ((whole >> 12 & 31) as u32, (whole >> 6 & 63) as u32, (whole & 63) as u32);
    DateTime { hour, minute, second, micros, ..date }.checked("datetime")
}

/// TIMESTAMP, seconds since 1970 UTC; zero is `0000-00-00 00:00:00`.
pub(super) fn timestamp(
    raw: &[u8],
    decimals: u8,
    out: &mut BatchBuilder,
) -> Result<(), Unreadable> {
    let (seconds, fraction) = raw.split_at_checked(4).ok_or(Unreadable::Short)?;
    let micros = micros(big_endian(fraction), fraction.len());
    push_epoch(big_endian(seconds) as u32, micros, decimals, out)
}

fn push_epoch(
    seconds: u32,
    micros: u32,
    decimals: u8,
    out: &mut BatchBuilder,
) -> Result<(), Unreadable> {
    let moment = match (seconds, micros) {
        (0, 0) => DateTime::default(),
        _ => DateTime::of_epoch(seconds, micros),
    };
    moment.checked("timestamp")?.push(decimals, true, out);
    Ok(())
}

/// A date or time inside of JSON: the whole part above 24 bits of microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packed {
    Date,
    Time,
    DateTime,
}

impl Packed {
    /// The value as the server prints it there, always with six digits of a second.
    pub(super) fn print(self, packed: i64, line: &mut Line) -> Result<(), Unreadable> {
        let magnitude = packed.unsigned_abs();
        let (whole, micros) = (magnitude >> 24, (magnitude & 0xff_ffff) as u32);
        match self {
            Self::Time => time_of(packed < 0, whole, micros)?.print(6, line),
            _ if packed < 0 => return Err(malformed("datetime")),
            Self::Date => datetime_of(whole, micros)?.print_date(line),
            Self::DateTime => datetime_of(whole, micros)?.print(b' ', 6, line),
        }
        Ok(())
    }
}
