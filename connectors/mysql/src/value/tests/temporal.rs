use proptest::prelude::*;

use super::*;

fn date_bytes(year: u32, month: u32, day: u32) -> Vec<u8> {
    (year << 9 | month << 5 | day).to_le_bytes()[..3].to_vec()
}

/// Fractions of `decimals` digits fill whole bytes with two digits each.
fn fraction(micros: u32, decimals: u8) -> Vec<u8> {
    let len = usize::from(decimals).div_ceil(2);
    let unit = [1_000_000, 10_000, 100, 1][len];
    (micros / unit).to_be_bytes()[4 - len..].to_vec()
}

fn datetime_bytes(date: [u64; 3], clock: [u64; 3], micros: u32, decimals: u8) -> Vec<u8> {
    let [year, month, day] = date;
    let [hour, minute, second] = clock;
    let whole = (year * 13 + month) << 22 | day << 17 | hour << 12 | minute << 6 | second;
    let mut bytes = (whole | 1 << 39).to_be_bytes()[3..].to_vec();
    bytes.extend(fraction(micros, decimals));
    bytes
}

#[test]
fn dates_are_text_as_the_server_prints_them() {
    let date = plain(code::DATE, [0, 0]);
    assert_reads(&date, &date_bytes(2026, 1, 31), Value::Text("2026-01-31"));
    assert_reads(&date, &date_bytes(0, 0, 0), Value::Text("0000-00-00"));
    assert_reads(&date, &date_bytes(2026, 0, 0), Value::Text("2026-00-00"));
    assert_reads(&date, &date_bytes(9999, 12, 31), Value::Text("9999-12-31"));
    let what = "a part is out of its range";
    let wanted = Unreadable::Malformed { type_name: "date", what };
    assert_unreadable(&date, &date_bytes(2026, 13, 1), &wanted);
}

#[test]
fn years_count_from_1900_and_zero_is_the_year_0000() {
    let year = plain(code::YEAR, [0, 0]);
    assert_reads(&year, &[0], Value::Text("0000"));
    assert_reads(&year, &[1], Value::Text("1901"));
    assert_reads(&year, &[255], Value::Text("2155"));
}

#[test]
fn known_datetimes_are_read() {
    let datetime = |decimals| plain(code::DATETIME2, [decimals, 0]);
    let raw = [0x99, 0x9a, 0xb8, 0xf7, 0xaa];
    assert_reads(&datetime(0), &raw, Value::Timestamp("2016-10-28T15:30:42"));
    let raw = [0xfe, 0xf3, 0xff, 0x7e, 0xfb];
    assert_reads(&datetime(0), &raw, Value::Timestamp("9999-12-31T23:59:59"));
    let raw = datetime_bytes([2026, 1, 31], [12, 0, 0], 500_000, 2);
    assert_reads(&datetime(2), &raw, Value::Timestamp("2026-01-31T12:00:00.50"));
}

#[test]
fn zero_and_partial_datetimes_stay_as_the_server_prints_them() {
    let datetime = |decimals| plain(code::DATETIME2, [decimals, 0]);
    let read = |date, decimals, wanted| {
        let raw = datetime_bytes(date, [0, 0, 0], 0, decimals);
        assert_reads(&datetime(decimals), &raw, Value::Text(wanted));
    };
    read([0, 0, 0], 0, "0000-00-00 00:00:00");
    read([0, 0, 0], 3, "0000-00-00 00:00:00.000");
    read([2026, 0, 0], 0, "2026-00-00 00:00:00");
    read([2026, 2, 30], 0, "2026-02-30 00:00:00");
    read([2100, 2, 29], 0, "2100-02-29 00:00:00");
}

#[test]
fn timestamps_are_utc_and_zero_is_no_moment() {
    let timestamp = |decimals| plain(code::TIMESTAMP2, [decimals, 0]);
    let zoned = |seconds: u32, wanted| {
        assert_reads(&timestamp(0), &seconds.to_be_bytes(), Value::TimestampZoned(wanted));
        let old = plain(code::TIMESTAMP, [0, 0]);
        assert_reads(&old, &seconds.to_le_bytes(), Value::TimestampZoned(wanted));
    };
    zoned(1, "1970-01-01T00:00:01Z");
    zoned(951_782_400, "2000-02-29T00:00:00Z");
    zoned(2_147_483_647, "2038-01-19T03:14:07Z");
    zoned(u32::MAX, "2106-02-07T06:28:15Z");
    assert_reads(&timestamp(0), &[0; 4], Value::Text("0000-00-00 00:00:00"));
    assert_reads(&timestamp(6), &[0; 7], Value::Text("0000-00-00 00:00:00.000000"));
    let raw = [0, 0, 0, 1, 0x0f, 0x42, 0x3f];
    assert_reads(&timestamp(6), &raw, Value::TimestampZoned("1970-01-01T00:00:01.999999Z"));
}

#[test]
fn negative_times_with_few_digits_of_a_second_are_not_off_by_one() {
    let time = |decimals| plain(code::TIME2, [decimals, 0]);
    for (raw, wanted) in [
        ([0x80, 0x00, 0x00, 0x00], "00:00:00.00"),
        ([0x7f, 0xff, 0xff, 0xff], "-00:00:00.01"),
        ([0x7f, 0xff, 0xff, 0x9d], "-00:00:00.99"),
        ([0x7f, 0xff, 0xff, 0x00], "-00:00:01.00"),
        ([0x7f, 0xff, 0xfe, 0xff], "-00:00:01.01"),
        ([0x7f, 0xff, 0xfe, 0xf6], "-00:00:01.10"),
    ] {
        assert_reads(&time(2), &raw, Value::Text(wanted));
    }
    assert_reads(&time(1), &[0x7f, 0xff, 0xfe, 0xce], Value::Text("-00:00:01.5"));
}

#[test]
fn the_formats_before_mysql_5_6_are_read() {
    let datetime = plain(code::DATETIME, [0, 0]);
    let raw = 20_260_131_120_005_u64.to_le_bytes();
    assert_reads(&datetime, &raw, Value::Timestamp("2026-01-31T12:00:05"));
    assert_reads(&datetime, &[0; 8], Value::Text("0000-00-00 00:00:00"));
    let time = plain(code::TIME, [0, 0]);
    assert_reads(&time, &(-8_385_959i32).to_le_bytes()[..3], Value::Text("-838:59:59"));
    assert_reads(&time, &112_233i32.to_le_bytes()[..3], Value::Text("11:22:33"));
}

#[test]
fn the_formats_of_mariadb_before_10_1_2_are_read_by_the_name_of_the_type() {
    for (code, type_name, raw, wanted) in [
        (code::TIME, "time /* mariadb-5.3 */", "590a80", "-838:59:59"),
        (code::TIME, "time(1) /* mariadb-5.3 */", "01c6a0a2", "-11:22:33.4"),
        (code::TIME, "time(1) /* mariadb-5.3 */", "01d3201e", "11:22:33.4"),
        (code::TIME, "time(2) /* mariadb-5.3 */", "11c24650", "-11:22:33.44"),
        (code::TIME, "time(6) /* mariadb-5.3 */", "02be5ff42100", "-01:02:03.123456"),
        (code::TIME, "time(6) /* mariadb-5.3 */", "057e7bbcf7ff", "838:59:59.999999"),
        (code::TIME, "time(4) /* mariadb-5.3 */", "0706145c7e", "-01:02:03.1234"),
        (code::DATETIME, "datetime(1) /* mariadb-5.3 */", "00a98ef4e885", "2026-01-31T12:00:00.5"),
        (code::DATETIME, "datetime(1) /* mariadb-5.3 */", "000000000000", "0000-00-00 00:00:00.0"),
        (
            code::DATETIME,
            "datetime(6) /* mariadb-5.3 */",
            "04fcee3943bfffff",
            "9999-12-31T23:59:59.999999",
        ),
        (code::TIMESTAMP, "timestamp(1) /* mariadb-5.3 */", "697deec005", "2026-01-31T12:00:00.5Z"),
        (
            code::TIMESTAMP,
            "timestamp(4) /* mariadb-5.3 */",
            "697deec01650",
            "2026-01-31T12:00:00.5712Z",
        ),
    ] {
        let digits: Vec<u8> =
            raw.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
        let raw: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let wanted = match wanted.as_bytes() {
            [.., b'Z'] => Value::TimestampZoned(wanted),
            text if text.contains(&b'T') => Value::Timestamp(wanted),
            _ => Value::Text(wanted),
        };
        assert_reads(&Definition { type_name, ..plain(code, [0, 0]) }, &raw, wanted);
    }
    let definition =
        Definition { type_name: "time(7) /* mariadb-5.3 */", ..plain(code::TIME, [0, 0]) };
    assert_unreadable(&definition, &[0; 9], &Unreadable::Type { code: code::TIME, metadata: 0 });
}

fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1]
}

#[test]
fn every_day_a_timestamp_can_hold_follows_the_day_before() {
    let mut days = 0u32;
    for year in 1970..2106 {
        for month in 1..=12 {
            for day in 1..=days_of(year, month) {
                let wanted = format!("{year}-{month:02}-{day:02}T00:00:07Z");
                let raw = (days * 86_400 + 7).to_be_bytes();
                let timestamp = plain(code::TIMESTAMP2, [0, 0]);
                assert_reads(&timestamp, &raw, Value::TimestampZoned(&wanted));
                days += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn every_time_is_printed_as_it_was_encoded(
        negative: bool,
        clock in (0..=838u32, 0..=59u32, 0..=59u32),
        micros in 0..=999_999u32,
        decimals in 0..=6u8,
    ) {
        let (hour, minute, second) = clock;
        let micros = micros - micros % 10u32.pow(u32::from(6 - decimals));
        let whole = i64::from(hour << 12 | minute << 6 | second);
        let len = usize::from(decimals).div_ceil(2);
        let unit = [1_000_000, 10_000, 100, 1][len];
        let magnitude = whole << (8 * len) | i64::from(micros / unit);
        let zero = 1i64 << (23 + 8 * len);
        let packed = if negative { zero - magnitude } else { zero + magnitude };
        let raw = &packed.to_be_bytes()[5 - len..];
        let sign = if negative && magnitude != 0 { "-" } else { "" };
        let mut wanted = format!("{sign}{hour:02}:{minute:02}:{second:02}");
        if decimals > 0 {
            let digits = format!("{micros:06}");
            wanted = format!("{wanted}.{}", &digits[..usize::from(decimals)]);
        }
        assert_reads(&plain(code::TIME2, [decimals, 0]), raw, Value::Text(&wanted));
    }

    #[test]
    fn every_datetime_is_printed_as_it_was_encoded(
        date in (0..=9999u64, 1..=12u64, 1..=28u64),
        clock in (0..=23u64, 0..=59u64, 0..=59u64),
        micros in 0..=999_999u32,
        decimals in 0..=6u8,
    ) {
        let ((year, month, day), (hour, minute, second)) = (date, clock);
        let micros = micros - micros % 10u32.pow(u32::from(6 - decimals));
        let raw = datetime_bytes([year, month, day], [hour, minute, second], micros, decimals);
        let mut wanted =
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if decimals > 0 {
            let digits = format!("{micros:06}");
            wanted = format!("{wanted}.{}", &digits[..usize::from(decimals)]);
        }
        let definition = plain(code::DATETIME2, [decimals, 0]);
        assert_reads(&definition, &raw, Value::Timestamp(&wanted));
    }
}
