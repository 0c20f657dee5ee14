//! The formats before MySQL 5.6 and MariaDB 10.1.2, which tables of MariaDB keep until they are
//! rebuilt. With digits of a second a value is one number, the highest byte first, counted in the
//! last of these digits.

use connector_api::BatchBuilder;

use super::super::cursor::{big_endian, little_endian};
use super::super::number::int;
use super::{DateTime, Time, Unreadable, malformed, push_epoch};

const SECOND: u64 = 1_000_000;
/// What a TIME with digits of a second counts from: just beyond -838:59:59.
const TIME_ZERO: i64 = 3_020_400 * SECOND as i64;

/// Microseconds in the last of `decimals` digits of a second.
fn unit(decimals: u8) -> u64 {
    10u64.pow(u32::from(6 - decimals))
}

/// TIME: the digits `hhmmss` as a number, or microseconds behind [`TIME_ZERO`].
pub(crate) fn time(raw: &[u8], decimals: u8, out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let time = if decimals == 0 {
        let digits = int(raw);
        let (negative, digits) = (digits < 0, digits.unsigned_abs() as u32);
        let (hour, minute, second) = (digits / 10_000, digits / 100 % 100, digits % 100);
        Time { negative, hour, minute, second, micros: 0 }
    } else {
        let micros = big_endian(raw) * unit(decimals);
        let signed = i64::try_from(micros).map_err(|_| malformed("time"))? - TIME_ZERO;
        let (seconds, micros) = split(signed.unsigned_abs());
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let hour = u32::try_from(hour).map_err(|_| malformed("time"))?;
        let (minute, second) = (minute as u32, second as u32);
        Time { negative: signed < 0, hour, minute, second, micros }
    };
    time.checked()?.push(decimals, out);
    Ok(())
}

/// Seconds and what is left.
fn split(micros: u64) -> (u64, u32) {
    (micros / SECOND, (micros % SECOND) as u32)
}

/// DATETIME: the digits `YYYYMMDDhhmmss` as a number, or microseconds with 13 months to a year
/// and 32 days to a month.
pub(crate) fn datetime(raw: &[u8], decimals: u8, out: &mut BatchBuilder) -> Result<(), Unreadable> {
    let out_of_range = || malformed("datetime");
    let datetime = if decimals == 0 {
        let digits = little_endian(raw);
        let part = |unit: u64| (digits / unit % 100) as u32;
        DateTime {
            year: u32::try_from(digits / 10_000_000_000).map_err(|_| out_of_range())?,
            month: part(100_000_000),
            day: part(1_000_000),
            hour: part(10_000),
            minute: part(100),
            second: part(1),
            micros: 0,
        }
    } else {
        let micros = big_endian(raw).checked_mul(unit(decimals)).ok_or_else(out_of_range)?;
        let (seconds, micros) = split(micros);
        let days = seconds / 86_400;
        let months = u32::try_from(days / 32).map_err(|_| out_of_range())?;
        DateTime {
            hour: (seconds / 3600 % 24) as u32,
            minute: (seconds / 60 % 60) as u32,
            second: (seconds % 60) as u32,
            micros,
            ..DateTime::of_date(months, (days % 32) as u32)
        }
    };
    datetime.checked("datetime")?.push(decimals, false, out);
    Ok(())
}

/// TIMESTAMP: seconds since 1970 UTC, then its digits as a number.
pub(crate) fn timestamp(
    raw: &[u8],
    decimals: u8,
    out: &mut BatchBuilder,
) -> Result<(), Unreadable> {
    if decimals == 0 {
        return push_epoch(little_endian(raw) as u32, 0, 0, out);
    }
    let (seconds, fraction) = raw.split_at_checked(4).ok_or(Unreadable::Short)?;
    let micros = big_endian(fraction).saturating_mul(unit(decimals));
    let micros = u32::try_from(micros).map_err(|_| malformed("timestamp"))?;
    push_epoch(big_endian(seconds) as u32, micros, decimals, out)
}
