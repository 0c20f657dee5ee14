/// Appends microseconds since 1970 as RFC 3339 in UTC with six fractional digits.
pub(super) fn write_timestamp(micros: i64, out: &mut String) {
    const DAY: i64 = 86_400_000_000;
    let (year, month, day) = civil(micros.div_euclid(DAY));
    let rest = micros.rem_euclid(DAY);
    let seconds = rest / 1_000_000;
    digits(year, 4, out);
    out.push('-');
    digits(month, 2, out);
    out.push('-');
    digits(day, 2, out);
    out.push('T');
    digits(seconds / 3600, 2, out);
    out.push(':');
    digits(seconds / 60 % 60, 2, out);
    out.push(':');
    digits(seconds % 60, 2, out);
    out.push('.');
    digits(rest % 1_000_000, 6, out);
    out.push('Z');
}

/// Microseconds since 1970 as RFC 3339 in UTC with six fractional digits.
pub fn timestamp(micros: i64) -> String {
    let mut out = String::with_capacity(27);
    write_timestamp(micros, &mut out);
    out
}

/// Days since 1970-01-01 to year, month, day of the proleptic Gregorian calendar, by counting in
/// eras of 400 years that begin on 1 March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + era * 400 + next, month, day)
}

fn digits(number: i64, width: usize, out: &mut String) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number.unsigned_abs());
    out.push_str(&"000000"[..width.saturating_sub(digits.len())]);
    out.push_str(digits);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn timestamps_are_what_a_calendar_library_says(
            micros in -62_135_596_800_000_000i64..253_402_207_200_000_000,
        ) {
            let expected = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(timestamp(micros), format!("{expected:.6}"));
        }
    }
}
