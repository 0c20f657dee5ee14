//! Tables and rows, written and read back.

use proptest::prelude::*;

use super::super::*;
use super::encode;

fn frame(framing: &mut Framing, kind: Kind, body: &[u8]) -> Vec<u8> {
    let event = encode::checked(encode::event(kind, 0, body));
    framing.frame(&event).unwrap();
    event
}

fn reading(format: &[u8]) -> Framing {
    let mut framing = Framing::default();
    framing.frame(format).unwrap();
    framing
}

/// A shop's table, with one column of each sort that a description speaks of.
const TYPES: [(u8, &[u8]); 12] = [
    (3, &[]),
    (8, &[]),
    (15, &[0xfc, 0x03]),
    (246, &[65, 30]),
    (254, &[247, 1]),
    (254, &[248, 1]),
    (252, &[2]),
    (255, &[4]),
    (13, &[]),
    (5, &[8]),
    (242, &[4]),
    (18, &[6]),
];

fn described(format: &[u8], optional: &[u8]) -> Vec<Column<'static>> {
    let mut framing = reading(format);
    let body = encode::table_map(0x0001_0000_0007, &TYPES, optional);
    let event = Box::leak(frame(&mut framing, Kind::TABLE_MAP, &body).into_boxed_slice());
    let Event::TableMap(map) = framing.frame(event).unwrap().event().unwrap() else { panic!() };
    assert_eq!((map.schema, map.table), (&b"shop"[..], &b"stock"[..]));
    assert_eq!(map.table_id, 0x0001_0000_0007);
    let mut columns = map.columns().unwrap();
    map.describe(&mut columns).unwrap();
    columns
}

#[test]
fn a_table_is_described_by_its_types_alone() {
    let columns = described(&encode::mysql(), &[]);
    let kinds: Vec<_> = columns.iter().map(|column| (column.kind, column.meta)).collect();
    assert_eq!(kinds[2], (15, 1020));
    assert_eq!(kinds[3], (246, 30 << 8 | 65));
    assert_eq!(kinds[4], (254, 1 << 8 | 247));
    assert!(columns.iter().all(|column| column.is_nullable && column.name.is_none()));
}

#[test]
fn signs_skip_what_is_not_a_number_and_count_a_year() {
    // INT, BIGINT, DECIMAL, YEAR, DOUBLE in this order.
    for format in [encode::mysql(), encode::mariadb()] {
        let columns = described(&format, &encode::part(1, &[0b0101_1000]));
        let signs: Vec<_> = columns.iter().map(|column| column.is_unsigned).collect();
        let mut expected = vec![None; 12];
        for (nth, unsigned) in [(0, false), (1, true), (3, false), (8, true), (9, true)] {
            expected[nth] = Some(unsigned);
        }
        assert_eq!(signs, expected);
    }
}

#[test]
fn collations_of_texts_and_of_labels_are_counted_apart() {
    let optional = [encode::part(2, &[45, 1, 63]), encode::part(11, &[8, 9])].concat();
    let of = |format: &[u8]| -> Vec<_> {
        described(format, &optional).iter().map(|column| column.collation).collect()
    };
    let mut expected = vec![None; 12];
    for (nth, collation) in [(2, 45), (4, 8), (5, 9), (6, 63)] {
        expected[nth] = Some(collation);
    }
    let (mut mysql, mut mariadb) = (expected.clone(), expected);
    // Vectors count as text in MySQL, shapes in MariaDB.
    mysql[10] = Some(45);
    mariadb[7] = Some(45);
    assert_eq!(of(&encode::mysql()), mysql);
    assert_eq!(of(&encode::mariadb()), mariadb);
}

#[test]
fn names_labels_keys_and_the_rest_reach_their_columns() {
    let names: Vec<u8> = (0..12).flat_map(|nth| encode::packed_bytes(&[b'a' + nth])).collect();
    let optional = [
        encode::part(4, &names),
        encode::part(5, &[2, 1, b'x', 2, b'y', b'z']),
        encode::part(6, &[1, 0]),
        encode::part(7, &[1]),
        encode::part(9, &[2, 10, 0, 0]),
        encode::part(12, &[0b1111_1111, 0b0111_0000]),
        encode::part(13, &encode::packed(300)),
        encode::part(99, b"of the future"),
    ]
    .concat();
    let columns = described(&encode::mysql(), &optional);
    assert_eq!(columns[11].name, Some(&b"l"[..]));
    assert_eq!(columns[4].labels, Some(vec![&b""[..]]));
    assert_eq!(columns[5].labels, Some(vec![&b"x"[..], b"yz"]));
    assert_eq!((columns[2].key, columns[2].key_prefix), (Some(0), Some(10)));
    assert_eq!((columns[0].key, columns[0].key_prefix), (Some(1), None));
    assert_eq!((columns[7].geometry, columns[10].dimensions), (Some(1), Some(300)));
    assert_eq!((columns[7].is_visible, columns[8].is_visible), (Some(true), Some(false)));
}

#[test]
fn a_simple_key_is_in_the_order_of_the_key() {
    let columns = described(&encode::mysql(), &encode::part(8, &[3, 1]));
    assert_eq!((columns[3].key, columns[1].key, columns[0].key), (Some(0), Some(1), None));
}

#[test]
fn a_description_that_does_not_fit_is_refused() {
    let mut framing = reading(&encode::mysql());
    for optional in [
        encode::part(1, &[0, 0]),
        encode::part(8, &[12]),
        encode::part(4, b"\x01a"),
        vec![1],
        vec![2, 9],
    ] {
        let body = encode::table_map(7, &TYPES, &optional);
        let event = frame(&mut framing, Kind::TABLE_MAP, &body);
        let Event::TableMap(map) = framing.frame(&event).unwrap().event().unwrap() else {
            panic!()
        };
        let mut columns = map.columns().unwrap();
        map.describe(&mut columns).unwrap_err();
    }
}

#[test]
fn more_columns_or_labels_than_a_table_can_have_are_refused() {
    const INT: (u8, &[u8]) = (3, &[]);
    let mut framing = reading(&encode::mysql());
    let mut refused = |body: &[u8]| {
        let event = encode::checked(encode::event(Kind::TABLE_MAP, 0, body));
        let Event::TableMap(map) = framing.frame(&event)?.event()? else { panic!() };
        map.describe(&mut map.columns()?)
    };
    assert!(refused(&encode::table_map(7, &[INT; 4096], &[])).is_ok());
    let error = refused(&encode::table_map(7, &[INT; 4097], &[])).unwrap_err();
    assert!(error.to_string().contains("4097 columns"), "{error}");
    let labels = encode::part(6, &[&encode::packed(65_536)[..], &[0; 65_536]].concat());
    let error = refused(&encode::table_map(7, &[(254, &[247, 2])], &labels)).unwrap_err();
    assert!(error.to_string().contains("65536 labels"), "{error}");
}

#[test]
fn a_table_with_an_unknown_type_is_named_and_its_columns_are_refused() {
    let mut framing = reading(&encode::mysql());
    let body = encode::table_map(7, &[(3, &[]), (200, &[])], &[]);
    let event = frame(&mut framing, Kind::TABLE_MAP, &body);
    let Event::TableMap(map) = framing.frame(&event).unwrap().event().unwrap() else { panic!() };
    assert_eq!(map.table, b"stock");
    let error = map.columns().unwrap_err().to_string();
    assert!(error.contains("column 1 of the unknown type 200"), "{error}");
}

const KINDS: [(Kind, RowsOp); 13] = [
    (Kind::WRITE_ROWS_V1, RowsOp::Write),
    (Kind::UPDATE_ROWS_V1, RowsOp::Update),
    (Kind::DELETE_ROWS_V1, RowsOp::Delete),
    (Kind::WRITE_ROWS, RowsOp::Write),
    (Kind::UPDATE_ROWS, RowsOp::Update),
    (Kind::DELETE_ROWS, RowsOp::Delete),
    (Kind::PARTIAL_UPDATE_ROWS, RowsOp::Update),
    (Kind::MARIADB_WRITE_ROWS_COMPRESSED_V1, RowsOp::Write),
    (Kind::MARIADB_UPDATE_ROWS_COMPRESSED_V1, RowsOp::Update),
    (Kind::MARIADB_DELETE_ROWS_COMPRESSED_V1, RowsOp::Delete),
    (Kind::MARIADB_WRITE_ROWS_COMPRESSED, RowsOp::Write),
    (Kind::MARIADB_UPDATE_ROWS_COMPRESSED, RowsOp::Update),
    (Kind::MARIADB_DELETE_ROWS_COMPRESSED, RowsOp::Delete),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_of_every_kind_are_read_back(
        id in 0_u64..1 << 48,
        columns in 1_usize..300,
        extra in prop::collection::vec(any::<u8>(), 0..20),
        images in prop::collection::vec(any::<u8>(), 1..400),
    ) {
        let mut framing = reading(&encode::mariadb());
        for (kind, op) in KINDS {
            let has_extra = matches!(kind.0, 30..=32 | 39 | 169..=171);
            let maps = if op == RowsOp::Update { 2 } else { 1 };
            let mut body = encode::rows_head(id, has_extra.then_some(&extra), columns, maps);
            if kind.0 > 160 {
                body.extend(encode::deflated(&images, images.len()));
            } else {
                body.extend(&images);
            }
            let event = frame(&mut framing, kind, &body);
            let Event::Rows(rows) = framing.frame(&event).unwrap().event().unwrap() else {
                panic!("{kind}")
            };
            prop_assert_eq!((rows.op, rows.table_id, rows.columns), (op, id, columns));
            prop_assert!(rows.ends_statement());
            prop_assert_eq!(rows.has_partial_json, kind == Kind::PARTIAL_UPDATE_ROWS);
            let first = vec![0xff; columns.div_ceil(8)];
            let second = vec![0xfe; columns.div_ceil(8)];
            let (before, after) = match op {
                RowsOp::Write => (vec![], first),
                RowsOp::Update => (first, second),
                RowsOp::Delete => (first, vec![]),
            };
            prop_assert_eq!((rows.before, rows.after), (&before[..], &after[..]));
            let mut room = b"of another event".to_vec();
            prop_assert_eq!(rows.data.bytes(&mut room).unwrap(), &images[..]);
        }
    }

    #[test]
    fn the_types_of_any_table_are_read_back(
        types in prop::collection::vec(prop::sample::select(TYPES.to_vec()), 0..600)
    ) {
        let mut framing = reading(&encode::mysql());
        let event = frame(&mut framing, Kind::TABLE_MAP, &encode::table_map(1, &types, &[]));
        let Event::TableMap(map) = framing.frame(&event).unwrap().event().unwrap() else {
            panic!()
        };
        let columns = map.columns().unwrap();
        prop_assert_eq!(columns.len(), types.len());
        for (column, (kind, meta)) in columns.iter().zip(&types) {
            let mut wide = [0; 2];
            wide[..meta.len()].copy_from_slice(meta);
            prop_assert_eq!((column.kind, column.meta), (*kind, u16::from_le_bytes(wide)));
        }
    }
}
