//! From the number of a collation to the name of its character set.

/// Numbers both families share, and MySQL's own.
pub(super) fn charset_of_mysql(id: u16) -> Option<&'static str> {
    Some(match id {
        1 | 84 => "big5",
        2 | 9 | 21 | 27 | 77 => "latin2",
        3 | 69 => "dec8",
        4 | 80 => "cp850",
        5 | 8 | 15 | 31 | 47..=49 | 94 => "latin1",
        6 | 72 => "hp8",
        7 | 74 => "koi8r",
        10 | 82 => "swe7",
        11 | 65 => "ascii",
        12 | 91 => "ujis",
        13 | 88 => "sjis",
        14 | 23 | 50..=52 => "cp1251",
        16 | 71 => "hebrew",
        18 | 89 => "tis620",
        19 | 85 => "euckr",
        20 | 41 | 42 | 79 => "latin7",
        22 | 75 => "koi8u",
        24 | 86 => "gb2312",
        25 | 70 => "greek",
        26 | 34 | 44 | 66 | 99 => "cp1250",
        28 | 87 => "gbk",
        29 | 58 | 59 => "cp1257",
        30 | 78 => "latin5",
        32 | 64 => "armscii8",
        33 | 76 | 83 | 192..=215 | 223 => "utf8mb3",
        35 | 90 | 128..=151 | 159 => "ucs2",
        36 | 68 => "cp866",
        37 | 73 => "keybcs2",
        38 | 43 => "macce",
        39 | 53 => "macroman",
        40 | 81 => "cp852",
        45 | 46 | 224..=247 | 255..=330 => "utf8mb4",
        54 | 55 | 101..=124 => "utf16",
        56 | 62 => "utf16le",
        57 | 67 => "cp1256",
        60 | 61 | 160..=183 => "utf32",
        63 => "binary",
        92 | 93 => "geostd8",
        95 | 96 => "cp932",
        97 | 98 => "eucjpms",
        248..=250 => "gb18030",
        _ => return None,
    })
}

/// Bit of the collations that do not pad with spaces.
const NO_PAD: u16 = 1024;
const UCA_1400: u16 = 2048;
/// Collations of UCA 14.0.0 to a character set.
const UCA_1400_BLOCK: u16 = 256;

/// MariaDB's numbers: those shared with MySQL, and ranges of its own.
pub(super) fn charset_of_mariadb(id: u16) -> Option<&'static str> {
    Some(match id {
        576..=607 => "utf8mb3",
        608..=639 => "utf8mb4",
        640..=671 => "ucs2",
        672..=703 => "utf16",
        736..=767 => "utf32",
        NO_PAD..UCA_1400 => return charset_of_mysql(id - NO_PAD),
        UCA_1400.. => {
            let block = usize::from((id - UCA_1400) / UCA_1400_BLOCK);
            return ["utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"].get(block).copied();
        }
        _ => return charset_of_mysql(id),
    })
}
