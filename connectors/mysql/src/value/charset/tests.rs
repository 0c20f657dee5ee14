#![allow(clippy::unwrap_used)]

use super::*;

fn text(charset: &str, raw: &[u8]) -> Option<String> {
    let mut scratch = String::new();
    Charset::named(charset).coding().unwrap().text(raw, &mut scratch).map(str::to_owned)
}

#[test]
fn each_character_set_is_converted() {
    for (charset, raw, wanted) in [
        ("utf8mb4", b"\xf0\x9f\x98\x80".as_slice(), "😀"),
        ("utf8mb3", b"\xc3\xa4", "ä"),
        ("latin1", b"\x80\xe4\x81", "€ä\u{81}"),
        ("latin2", b"\xa1\xb3", "Ął"),
        ("latin5", b"\xf0\xfe\xdd", "ğşİ"),
        ("latin7", b"\xc2\xe0", "Āą"),
        ("cp1250", b"\x8a\x9e", "Šž"),
        ("cp1251", b"\xcf\xf0\xe8", "При"),
        ("cp1256", b"\xe3\xd1", "مر"),
        ("cp1257", b"\xc0\xe0", "Ąą"),
        ("cp850", b"\x84\xe1\xd5", "äßı"),
        ("cp852", b"\x88\xa5", "łą"),
        ("cp866", b"\x8f\xe0", "Пр"),
        ("macce", b"\x84\xb8", "Ął"),
        ("macroman", b"\x8a\xa7", "äß"),
        ("greek", b"\xc1\xf9", "Αω"),
        ("hebrew", b"\xf9\xec", "של"),
        ("koi8r", b"\xf0\xd2", "Пр"),
        ("koi8u", b"\xa6\xa7", "ії"),
        ("tis620", b"\xca\xc7", "สว"),
        ("gbk", b"\xc4\xe3\xba\xc3", "你好"),
        ("gb2312", b"\xc4\xe3\xba\xc3", "你好"),
        ("gb18030", b"\x94\x39\xfc\x36", "😀"),
        ("big5", b"\xa7\x41\xa6\x6e", "你好"),
        ("euckr", b"\xbe\xc8", "안"),
        ("ujis", b"\xc6\xfc\xcb\xdc", "日本"),
        ("eucjpms", b"\xad\xa1", "①"),
        ("sjis", b"\x93\xfa\x96\x7b", "日本"),
        ("cp932", b"\x87\x40", "①"),
        ("ucs2", b"\x00a\x65\xe5", "a日"),
        ("utf16", b"\xd8\x3d\xde\x00", "😀"),
        ("utf16le", b"\x3d\xd8\x00\xde", "😀"),
        ("utf32", b"\x00\x01\xf6\x00", "😀"),
    ] {
        assert_eq!(text(charset, raw).as_deref(), Some(wanted), "{charset}");
        let ascii = ["ucs2", "utf16", "utf16le", "utf32"];
        if !ascii.contains(&charset) {
            assert_eq!(text(charset, b"SKU-1\\~").as_deref(), Some("SKU-1\\~"), "{charset}");
        }
    }
}

#[test]
fn the_japanese_sets_of_the_standard_and_of_microsoft_differ_in_a_few_characters() {
    assert_eq!(text("sjis", b"\x81\x5f").as_deref(), Some("\\"));
    assert_eq!(text("cp932", b"\x81\x5f").as_deref(), Some("\u{ff3c}"));
    assert_eq!(text("sjis", b"\x81\x60\x81\x7c").as_deref(), Some("\u{301c}\u{2212}"));
    assert_eq!(text("cp932", b"\x81\x60\x81\x7c").as_deref(), Some("\u{ff5e}\u{ff0d}"));
    assert_eq!(text("ujis", b"\xa1\xc1\xa1\xdd").as_deref(), Some("\u{301c}\u{2212}"));
    assert_eq!(text("eucjpms", b"\xa1\xc1\xa1\xdd").as_deref(), Some("\u{ff5e}\u{ff0d}"));
}

#[test]
fn where_the_server_and_the_web_differ_the_server_is_right() {
    for (charset, raw, wanted) in [
        ("big5", b"\xa2\x42\xa2\x44".as_slice(), "＼¥"),
        ("cp866", b"\xfc\xfd", "ⁿ²"),
        ("gb2312", b"\xa1\xa4\xa1\xaa", "・―"),
        ("gbk", b"\xa1\xa4\xa1\xaa", "·—"),
        ("greek", b"\xa1", "ʽ"),
        ("hebrew", b"\xaf", "‾"),
        ("koi8u", b"\x95\xae\xbe", "•╝╬"),
        ("tis620", b"\x80", "\u{80}"),
    ] {
        assert_eq!(text(charset, raw).as_deref(), Some(wanted), "{charset}");
    }
}

#[test]
fn what_is_cut_short_is_no_text() {
    for (charset, raw) in [
        ("ucs2", b"\x00".as_slice()),
        ("ucs2", b"\xd8\x3d\xde\x00"),
        ("utf16", b"\xd8\x3d"),
        ("utf32", b"\x00\x00\x00"),
        ("utf32", b"\x00\x11\x00\x00"),
        ("sjis", b"\x93"),
        ("gb18030", b"\x94\x39"),
        ("utf8mb4", b"\xf0\x9f"),
    ] {
        assert_eq!(text(charset, raw), None, "{charset} {raw:02x?}");
    }
}

#[test]
fn a_collation_belongs_to_a_character_set() {
    for (id, name) in [
        (8, "latin1"),
        (28, "gbk"),
        (33, "utf8mb3"),
        (45, "utf8mb4"),
        (63, "binary"),
        (83, "utf8mb3"),
        (224, "utf8mb4"),
        (249, "gb18030"),
    ] {
        assert_eq!(Charset::of_mysql(id), Charset::named(name));
        assert_eq!(Charset::of_mariadb(id), Charset::named(name));
    }
    for (id, name) in [(255, "utf8mb4"), (309, "utf8mb4")] {
        assert_eq!(Charset::of_mysql(id), Charset::named(name));
        assert_eq!(Charset::of_mariadb(id), Charset::named(name));
    }
    for (id, name) in [(579, "utf8mb3"), (611, "utf8mb4"), (640, "ucs2"), (736, "utf32")] {
        assert_eq!(Charset::of_mariadb(id), Charset::named(name));
    }
    assert_eq!(Charset::of_mariadb(1032), Charset::named("latin1"));
    assert_eq!(Charset::of_mariadb(1070), Charset::named("utf8mb4"));
    for (id, name) in
        [(2048, "utf8mb3"), (2304, "utf8mb4"), (2560, "ucs2"), (2816, "utf16"), (3072, "utf32")]
    {
        assert_eq!(Charset::of_mariadb(id), Charset::named(name));
    }
}

#[test]
fn an_unknown_collation_is_told_by_its_number() {
    for charset in [Charset::of_mysql(1032), Charset::of_mysql(0), Charset::of_mariadb(40_000)] {
        let error = charset.coding().unwrap_err();
        assert!(error.to_string().contains("of collation"), "{error}");
    }
}
