use super::*;

/// The metadata of CHAR, ENUM and SET: bits of lengths above 255 folded into the type.
fn char_metadata(real: u8, len: u16) -> [u8; 2] {
    [real ^ ((len & 0x300) >> 4) as u8, (len & 0xff) as u8]
}

#[test]
fn text_is_counted_by_one_byte_or_two() {
    for (code, metadata, width) in [
        (code::VARCHAR, [255, 0], 1),
        (code::VARCHAR, [0, 1], 2),
        (code::VAR_STRING, [0, 4], 2),
        (code::STRING, char_metadata(code::STRING, 255), 1),
        (code::STRING, char_metadata(code::STRING, 256), 2),
        (code::STRING, char_metadata(code::STRING, 1020), 2),
        (code::BLOB, [1, 0], 1),
        (code::BLOB, [2, 0], 2),
        (code::BLOB, [3, 0], 3),
        (code::BLOB, [4, 0], 4),
    ] {
        let definition = text(code, metadata, "utf8mb4");
        assert_reads(&definition, &counted(width, "häß".as_bytes()), Value::Text("häß"));
        assert_reads(&definition, &counted(width, b""), Value::Text(""));
        assert_unreadable(&definition, &counted(width, b"abc")[..width + 2], &Unreadable::Short);
    }
}

#[test]
fn binary_text_is_bytes_and_binary_of_fixed_length_gets_its_zeros_back() {
    let raw = counted(1, &[1, 0, 255]);
    assert_reads(&text(code::BLOB, [1, 0], "binary"), &raw, Value::Bytes(&[1, 0, 255]));
    assert_reads(&text(code::VARCHAR, [9, 0], "binary"), &raw, Value::Bytes(&[1, 0, 255]));
    let fixed = text(code::STRING, char_metadata(code::STRING, 5), "binary");
    assert_reads(&fixed, &raw, Value::Bytes(&[1, 0, 255, 0, 0]));
}

#[test]
fn geometry_and_vectors_are_bytes() {
    for code in [code::GEOMETRY, code::VECTOR] {
        assert_reads(&plain(code, [4, 0]), &counted(4, &[1, 2]), Value::Bytes(&[1, 2]));
    }
}

#[test]
fn bytes_that_are_no_text_of_the_character_set_stay_bytes() {
    let raw = counted(1, &[b'a', 0xff]);
    for charset in ["utf8mb4", "ascii", "gbk", "ujis", "utf16", "utf32"] {
        let definition = text(code::VARCHAR, [50, 0], charset);
        let wanted =
            if charset == "utf16" { Value::Text("\u{61ff}") } else { Value::Bytes(&[b'a', 0xff]) };
        assert_reads(&definition, &raw, wanted);
    }
}

#[test]
fn a_character_set_nobody_converts_is_named() {
    let wanted = Unreadable::Charset { name: "dec8".into() };
    let raw = counted(1, b"abc");
    assert_unreadable(&text(code::VARCHAR, [50, 0], "dec8"), &raw, &wanted);
    assert!(wanted.to_string().contains("dec8"));
    assert_unreadable(&plain(code::VARCHAR, [50, 0]), &raw, &Unreadable::CharsetMissing);
}

fn labelled(real: u8, len: u16, labels: &[Vec<u8>]) -> Definition<'_> {
    let definition = text(code::STRING, char_metadata(real, len), "latin1");
    Definition { labels: Some(labels), ..definition }
}

#[test]
fn an_enum_is_its_label_and_zero_is_the_empty_text() {
    let labels = [b"small".to_vec(), b"gr\xf6\xdfer".to_vec()];
    let definition = labelled(code::ENUM, 1, &labels);
    assert_reads(&definition, &[1], Value::Text("small"));
    assert_reads(&definition, &[2], Value::Text("größer"));
    assert_reads(&definition, &[0], Value::Text(""));
    let wanted = Unreadable::Label { type_name: "enum", labels: 2 };
    assert_unreadable(&definition, &[3], &wanted);
    let many: Vec<_> = (1..=300).map(|nth: u32| nth.to_string().into_bytes()).collect();
    assert_reads(&labelled(code::ENUM, 2, &many), &[0x2c, 1], Value::Text("300"));
}

#[test]
fn a_set_is_its_labels_in_their_order() {
    let labels = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
    let definition = labelled(code::SET, 1, &labels);
    assert_reads(&definition, &[0], Value::Text(""));
    assert_reads(&definition, &[5], Value::Text("a,c"));
    let wanted = Unreadable::Label { type_name: "set", labels: 3 };
    assert_unreadable(&definition, &[8], &wanted);
    let many: Vec<_> = (0..64).map(|nth: u32| nth.to_string().into_bytes()).collect();
    let definition = labelled(code::SET, 8, &many);
    assert_reads(&definition, &[1, 0, 0, 0, 0, 0, 0, 0x80], Value::Text("0,63"));
    let wanted = Unreadable::LabelsMissing { type_name: "set" };
    assert_unreadable(&Definition { labels: None, ..definition }, &[0; 8], &wanted);
}

#[test]
fn what_cannot_be_read_is_stepped_over() {
    let json = ColumnType::new(&plain(code::JSON, [4, 0])).unwrap();
    // `{"b": 1}` with 2 for `b`.
    let mut raw = counted(4, b"\x00\x03$.b\x03\x05\x02\x00");
    raw.push(7);
    let mut cursor = Cursor::new(&raw);
    assert_eq!(json.difference(&mut cursor), Unreadable::PartialJson);
    assert_eq!(cursor.rest(), [7]);
    let unknown = Unreadable::Type { code: 20, metadata: 0 };
    assert_eq!(ColumnType::new(&plain(20, [0, 0])).unwrap_err(), unknown);
}
