#![allow(clippy::unwrap_used)]

use mysql_async::{Column, Row, Value};
use mysql_common::constants::ColumnFlags;
use mysql_common::io::ParseBuf;
use mysql_common::proto::{Binary, MyDeserialize as _};
use mysql_common::row::RowDeserializer;
use mysql_common::value::ServerSide;
use proptest::prelude::*;

use super::*;

/// What a server may send, and how.
fn column(code: u8, unsigned: bool) -> ResultColumn {
    ResultColumn { code, unsigned, ..ResultColumn::default() }
}

/// The values of a row.
fn fields<'r>(row: &'r [u8], columns: &[ResultColumn]) -> Result<Vec<Field<'r>>, Unreadable> {
    let mut fields = Fields::of(row, columns.len())?;
    let found = columns.iter().map(|column| fields.next(Encoding::of(column)?));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if fields.is_at_end() { Ok(found) } else { Err(Unreadable::Short) }
}

#[test]
fn every_value_stands_behind_the_one_before() {
    let columns = [
        column(1, true),
        column(3, false),
        column(253, false),
        column(12, false),
        column(11, false),
        column(8, true),
    ];
    let mut row = vec![0, 0xff];
    row.extend([0xfe, 0xff, 0xff, 0xff]);
    row.extend(b"\xfc\x03\x00abc");
    row.extend([7, 0xea, 7, 11, 21, 23, 59, 58]);
    row.extend([8, 1, 34, 0, 0, 0, 22, 59, 58]);
    row.extend(u64::MAX.to_le_bytes());
    let found = fields(&row, &columns).unwrap();
    let clock = DateTime { hour: 23, minute: 59, second: 58, ..DateTime::default() };
    let moment = DateTime { year: 2026, month: 11, day: 21, ..clock };
    let wanted = [
        Field::UInt(255),
        Field::Int(-2),
        Field::Bytes(b"abc"),
        Field::Moment(moment),
        Field::Time(Time::new(true, 838, [59, 58], 0).unwrap()),
        Field::UInt(u64::MAX),
    ];
    assert_eq!(found, wanted);
    assert_eq!(found[3].printed().unwrap(), "2026-11-21 23:59:58.000000");
    assert_eq!(found[4].printed().unwrap(), "-838:59:58.000000");
    // The third bit from below is the first column's.
    row[0] = 0b0000_0100;
    row.remove(1);
    let found = fields(&row, &columns).unwrap();
    assert_eq!(found[..2], [Field::Null, Field::Int(-2)]);
}

#[test]
fn no_row_is_read_beyond_its_end() {
    let columns = [column(8, false), column(252, false)];
    let whole = b"\0\x01\0\0\0\0\0\0\0\x02ab";
    assert!(fields(whole, &columns).is_ok());
    for len in 0..whole.len() {
        assert_eq!(fields(&whole[..len], &columns), Err(Unreadable::Short), "{len}");
    }
    let huge = b"\0\x01\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(fields(huge, &columns), Err(Unreadable::Short));
}

#[test]
fn a_type_whose_length_is_not_known_is_refused() {
    for code in [17, 20, 100, 243, 244] {
        let wanted = Unreadable::Type { code, metadata: 0 };
        assert_eq!(Encoding::of(&column(code, false)), Err(wanted));
    }
}

/// What the library makes of the same value.
fn same(field: &Field<'_>, value: &Value) -> bool {
    match (field, value) {
        (Field::Null, Value::NULL) => true,
        (Field::Int(ours), Value::Int(theirs)) => ours == theirs,
        (Field::UInt(ours), Value::UInt(theirs)) => ours == theirs,
        (Field::UInt(ours), Value::Int(theirs)) => i64::try_from(*ours) == Ok(*theirs),
        (Field::Float(ours), Value::Float(theirs)) => ours.to_bits() == theirs.to_bits(),
        (Field::Double(ours), Value::Double(theirs)) => ours.to_bits() == theirs.to_bits(),
        (Field::Bytes(ours), Value::Bytes(theirs)) => ours == theirs,
        (Field::Moment(ours), Value::Date(year, month, day, hour, minute, second, micros)) => {
            let [month, day, hour, minute, second] =
                [*month, *day, *hour, *minute, *second].map(u32::from);
            let (year, micros) = (u32::from(*year), *micros);
            *ours == DateTime { year, month, day, hour, minute, second, micros }
        }
        (Field::Time(ours), Value::Time(negative, days, hours, minutes, seconds, micros)) => {
            let hours = days * 24 + u32::from(*hours);
            Ok(*ours) == Time::new(*negative, hours, [*minutes, *seconds], *micros)
        }
        _ => false,
    }
}

fn any_code() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 242, 245, 246, 252, 253, 254, 255,
    ])
}

/// A value as a server writes it.
fn any_raw(code: u8) -> BoxedStrategy<Vec<u8>> {
    let bytes = |len: usize| prop::collection::vec(any::<u8>(), len).boxed();
    match code {
        1 => bytes(1),
        2 | 13 => bytes(2),
        3 | 4 | 9 => bytes(4),
        5 | 8 => bytes(8),
        6 => bytes(0),
        7 | 10 | 12 => (prop::sample::select(vec![0, 4, 7, 11]), 0u16..10_000, 0u8..13, 0u8..60)
            .prop_map(|(len, year, small, large)| {
                let [low, high] = year.to_le_bytes();
                let whole = [low, high, small, small, small, large, large, large, large, 1, 0];
                let mut raw = vec![len as u8];
                raw.extend_from_slice(&whole[..len]);
                raw
            })
            .boxed(),
        11 => (prop::sample::select(vec![0, 8, 12]), 0u8..2, 0u8..30, 0u8..24, 0u8..60)
            .prop_map(|(len, sign, days, hours, large)| {
                let whole = [sign, days, 0, 0, 0, hours, large, large, large, large, 1, 0];
                let mut raw = vec![len as u8];
                raw.extend_from_slice(&whole[..len]);
                raw
            })
            .boxed(),
        _ => prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            (any::<u8>(), 245_usize..260).prop_map(|(byte, len)| vec![byte; len]),
            (any::<u8>(), 65_530_usize..65_540).prop_map(|(byte, len)| vec![byte; len]),
        ]
        .prop_map(|text| {
            let len = text.len() as u64;
            let mut raw = match len {
                0..0xfb => vec![len as u8],
                0xfb..0x1_0000 => vec![0xfc, len as u8, (len >> 8) as u8],
                _ => vec![0xfd, len as u8, (len >> 8) as u8, (len >> 16) as u8],
            };
            raw.extend_from_slice(&text);
            raw
        })
        .boxed(),
    }
}

type Cell = (u8, bool, Option<Vec<u8>>);

fn any_cell() -> impl Strategy<Value = Cell> {
    (any_code(), any::<bool>(), any::<bool>()).prop_flat_map(|(code, unsigned, is_null)| {
        let raw = any_raw(code).prop_map(move |raw| (!is_null && code != 6).then_some(raw));
        (Just(code), Just(unsigned), raw)
    })
}

proptest! {
    #[test]
    fn a_row_is_what_the_library_makes_of_it(
        cells in prop::collection::vec(any_cell(), 1..20),
    ) {
        let mut nulls = vec![0_u8; (cells.len() + NO_COLUMN).div_ceil(8)];
        let mut values = Vec::new();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (nth, (code, unsigned, raw)) in cells.iter().enumerate() {
            match raw {
                Some(raw) => values.extend_from_slice(raw),
                None => nulls[(nth + NO_COLUMN) / 8] |= 1 << ((nth + NO_COLUMN) % 8),
            }
            ours.push(column(*code, *unsigned));
            let mut flags = ColumnFlags::empty();
            flags.set(ColumnFlags::UNSIGNED_FLAG, *unsigned);
            theirs.push(Column::new(Kind::try_from(*code).unwrap()).with_flags(flags));
        }
        let row = [&nulls[..], &values].concat();
        let behind_zero = [&[0][..], &row].concat();
        let mut buf = ParseBuf(&behind_zero);
        let wanted = RowDeserializer::<ServerSide, Binary>::deserialize(theirs.into(), &mut buf);
        let wanted = Row::from(wanted.unwrap()).unwrap();
        let found = fields(&row, &ours).unwrap();
        for (field, value) in found.iter().zip(wanted) {
            prop_assert!(same(field, &value), "{:?} is not {:?}", field, value);
        }
    }

    #[test]
    fn any_bytes_are_a_row_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        columns in prop::collection::vec((any::<u8>(), any::<bool>()), 0..20),
    ) {
        let columns: Vec<_> = columns.into_iter().map(|(code, sign)| column(code, sign)).collect();
        let _ = fields(&bytes, &columns);
    }
}
