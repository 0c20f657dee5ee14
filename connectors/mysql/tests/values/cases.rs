//! The types, and values at their edges.

use testbed::MysqlVersion;

/// Which variant of `Value` a type comes out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    Int,
    UInt,
    Bits,
    Float,
    Double,
    Decimal,
    Text,
    Json,
    Bytes,
    Local,
    Utc,
}

/// A type of a column.
pub struct Type {
    pub name: String,
    pub reads: As,
    /// In SQL.
    pub values: Vec<String>,
    /// The log alone does not tell it from others.
    pub needs_catalog: bool,
    /// In the format that MariaDB had before 10.1.2.
    pub is_of_mariadb_5_3: bool,
}

/// All types of a server.
pub fn of(version: MysqlVersion) -> Vec<Type> {
    let mut types = Types(Vec::new());
    types.numbers();
    types.times(false);
    types.texts();
    types.charsets(version);
    types.bytes();
    if version.is_mariadb() {
        types.of_mariadb(version);
    } else {
        types.of_mysql();
    }
    types.0
}

struct Types(Vec<Type>);

impl Types {
    fn add(&mut self, name: &str, reads: As, values: &[&str]) -> &mut Type {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        let name = name.to_owned();
        let kind = Type { name, reads, values, needs_catalog: false, is_of_mariadb_5_3: false };
        self.0.push(kind);
        self.0.last_mut().unwrap()
    }

    fn numbers(&mut self) {
        self.add("tinyint", As::Int, &["-128", "127", "0"]);
        self.add("boolean", As::Int, &["true", "false"]);
        self.add("tinyint(3) unsigned zerofill", As::UInt, &["255"]);
        for (name, bits) in [("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64_u32)] {
            let (low, high) = (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
            let signed = [low.to_string(), high.to_string(), "-1".to_owned()];
            self.add(name, As::Int, &signed.each_ref().map(String::as_str));
            let unsigned = [((1_i128 << bits) - 1).to_string(), (high + 1).to_string()];
            let values = unsigned.each_ref().map(String::as_str);
            self.add(&format!("{name} unsigned"), As::UInt, &values);
        }
        let whole = "'12345678901234567890123456789012345.123456789012345678901234567890'";
        let least = "'-0.000000000000000000000000000001'";
        self.add("decimal(65,30)", As::Decimal, &[whole, least, "'-1.5'", "0"]);
        let nines = format!("'-{}'", "9".repeat(65));
        self.add("decimal(65,0)", As::Decimal, &[&nines, "7"]);
        self.add("decimal(10,0)", As::Decimal, &["-7", "9999999999"]);
        self.add("decimal(4,4)", As::Decimal, &["0.0001", "-0.9999"]);
        self.add("decimal(18,9) unsigned", As::Decimal, &["'123456789.987654321'", "0.5"]);
        let floats = ["0.1", "1.5", "-3.25", "1e20", "123456", "16777217", "3.4028234e38", "1e-40"];
        self.add("float", As::Float, &floats);
        self.add("float(7,2)", As::Float, &["12345.67", "-0.01"]);
        let doubles = ["0.1", "1e300", "-2.5", "1e15", "123456789.125", "2.2250738585072014e-308"];
        self.add("double", As::Double, &doubles);
        self.add("bit(1)", As::Bits, &["b'1'", "b'0'"]);
        self.add("bit(9)", As::Bits, &["b'100000001'"]);
        self.add("bit(64)", As::Bits, &["x'8000000000000001'", "x'ffffffffffffffff'"]);
        self.add("year", As::Text, &["2026", "0", "1901", "2155"]);
    }

    fn times(&mut self, is_old: bool) {
        let from = self.0.len();
        self.add("time", As::Text, &["'-838:59:59'", "'11:22:33'", "'-00:00:01'", "'0:0:0'"]);
        self.add("datetime", As::Local, DATES);
        self.add("timestamp", As::Utc, STAMPS);
        let micros = "123456";
        for digits in 1..=6 {
            let cut = &micros[..digits];
            let (nines, last) = ("9".repeat(digits), format!("{:0>digits$}", 1));
            let times = [
                format!("'-11:22:33.{cut}'"),
                format!("'11:22:33.{cut}'"),
                format!("'-00:00:00.{last}'"),
                format!("'-838:59:58.{nines}'"),
                format!("'838:59:58.{nines}'"),
                "'-01:00:00'".to_owned(),
            ];
            let times = times.each_ref().map(String::as_str);
            self.add(&format!("time({digits})"), As::Text, &times);
            let dates = [
                format!("'2026-01-31 12:00:00.{cut}'"),
                format!("'9999-12-31 23:59:59.{nines}'"),
                format!("'1000-01-01 00:00:00.{last}'"),
                "'0000-00-00'".to_owned(),
                format!("'2026-00-00 01:02:03.{last}'"),
            ];
            let dates = dates.each_ref().map(String::as_str);
            self.add(&format!("datetime({digits})"), As::Local, &dates);
            let stamps = [
                format!("'2026-01-31 12:00:00.{cut}'"),
                format!("'1970-01-01 00:00:01.{last}'"),
                format!("'2038-01-19 03:14:06.{nines}'"),
                "0".to_owned(),
            ];
            let stamps = stamps.each_ref().map(String::as_str);
            self.add(&format!("timestamp({digits})"), As::Utc, &stamps);
        }
        let dates = ["'2026-01-31'", "'0000-00-00'", "'2026-00-00'", "'2023-02-30'"];
        self.add("date", As::Text, &dates).values.push("'9999-12-31'".to_owned());
        for of in &mut self.0[from..] {
            of.is_of_mariadb_5_3 = is_old;
        }
    }

    fn texts(&mut self) {
        self.add("char(10)", As::Text, &["'abc  '", "''", "'äö€'"]);
        self.add("char(255)", As::Text, &["'x'", "repeat('😀', 255)"]);
        self.add("char(63)", As::Text, &["repeat('😀', 63)"]);
        self.add("char(64)", As::Text, &["repeat('😀', 64)", "'a'"]);
        self.add("varchar(10)", As::Text, &["'a  '", "'😀'", "''"]);
        self.add("varchar(60)", As::Text, &["repeat('ä', 60)"]);
        self.add("varchar(300)", As::Text, &["repeat('ä', 300)", "'b'"]);
        self.add("varchar(9) collate utf8mb4_bin", As::Text, &["'Xx'"]);
        self.add("tinytext", As::Text, &["'t'", "''", "repeat('t', 255)"]);
        self.add("text", As::Text, &["repeat('ä', 300)", "''"]);
        self.add("mediumtext", As::Text, &["repeat('m', 70000)"]);
        self.add("longtext", As::Text, &["'l'", "repeat('l', 300000)"]);
        self.add("enum('a','ö','')", As::Text, &["'ö'", "''", "3", "1", "'refused'"]);
        let many: Vec<String> = (0..300).map(|nth| format!("'label {nth}'")).collect();
        let many = format!("enum({})", many.join(","));
        self.add(&many, As::Text, &["1", "255", "256", "300"]);
        self.add("enum('it''s','a\\\\b','c,d','e\"f')", As::Text, &["1", "2", "3", "4"]);
        self.add("set('a','b','ü')", As::Text, &["'a,ü'", "''", "'b'", "7"]);
        let bits: Vec<String> = (0..64).map(|nth| format!("'s{nth}'")).collect();
        let wide = format!("set({})", bits.join(","));
        self.add(&wide, As::Text, &["18446744073709551615", "'s63'", "'s0,s31,s32'"]);
        self.add("enum('x','日本') character set sjis", As::Text, &["'日本'"]);
        self.add("set('x','äé') character set latin1", As::Text, &["'x,äé'"]);
    }

    fn charsets(&mut self, version: MysqlVersion) {
        for (charset, sample) in CHARSETS {
            let value = format!("'{sample}'");
            for kind in ["varchar(20)", "char(20)", "text"] {
                let name = format!("{kind} character set {charset}");
                self.add(&name, As::Text, &[&value, "'abc'", "''"]);
            }
        }
        let bin = "varchar(20) character set latin1 collate latin1_bin";
        self.add(bin, As::Text, &["'Äß€'"]);
        if matches!(version, MysqlVersion::Mariadb1011 | MysqlVersion::Mariadb118) {
            let uca = "varchar(20) character set utf8mb4 collate uca1400_ai_ci";
            self.add(uca, As::Text, &["'日本'"]);
        }
    }

    fn bytes(&mut self) {
        self.add("binary(5)", As::Bytes, &["x'0100ff'", "x''", "x'0102030405'"]);
        self.add("binary(255)", As::Bytes, &["x'01'"]);
        self.add("varbinary(10)", As::Bytes, &["x'00ff00'", "x''"]);
        self.add("varbinary(400)", As::Bytes, &["x'00'", "repeat(x'ff', 400)"]);
        self.add("varchar(8) character set binary", As::Bytes, &["'abc'"]);
        self.add("tinyblob", As::Bytes, &["x''", "x'00'"]);
        self.add("blob", As::Bytes, &["x'00ff'", "repeat('b', 60000)"]);
        self.add("mediumblob", As::Bytes, &["repeat('m', 70000)"]);
        self.add("longblob", As::Bytes, &["x'02'"]);
        self.add("point", As::Bytes, &["ST_GeomFromText('POINT(1 2)')"]);
        let line = "ST_GeomFromText('LINESTRING(0 0, 1 1, 2 2)', 4326)";
        self.add("geometry", As::Bytes, &[line, "ST_GeomFromText('POINT(1 2)')"]);
        let shape = "ST_GeomFromText('POLYGON((0 0, 0 1, 1 1, 0 0))')";
        self.add("polygon", As::Bytes, &[shape]);
    }

    fn of_mysql(&mut self) {
        let documents: Vec<String> = DOCUMENTS.iter().map(|text| format!("'{text}'")).collect();
        let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        self.add("json", As::Json, &documents);
        self.add("json", As::Json, JSON_OF_SQL);
        self.add("vector(3)", As::Bytes, &["to_vector('[1,2,3]')", "to_vector('[-1e-9,0,1e9]')"]);
        self.add("varchar(20) character set gb18030", As::Text, &["'你好😀'"]);
        let point = "ST_GeomFromText('POINT(1 2)', 4326)";
        self.add("point srid 4326", As::Bytes, &[point]);
    }

    fn of_mariadb(&mut self, version: MysqlVersion) {
        self.add("json", As::Text, &["'{\"a\":   1}'", "'[]'"]);
        let six = ["'::1'", "'::'", "'2001:db8::'", "'::ffff:1.2.3.4'", "'1:0:3:4:5:6:7:8'"];
        let more = ["'::1.2.3.4'", "'2001:db8:0:0:1:0:0:1'", "'ffff::1:0'"];
        self.add("inet6", As::Text, &[&six[..], &more[..]].concat()).needs_catalog = true;
        if version != MysqlVersion::Mariadb105 {
            let four = ["'10.0.0.0'", "'1.2.3.4'", "'255.255.255.255'", "'0.0.0.0'"];
            self.add("inet4", As::Text, &four).needs_catalog = true;
            self.add("uuid", As::Text, UUIDS).needs_catalog = true;
        }
        if version == MysqlVersion::Mariadb118 {
            let vectors = ["vec_fromtext('[1,2,3]')", "vec_fromtext('[-1e-9,0,1e9]')"];
            self.add("vector(3)", As::Bytes, &vectors);
            // It ends in the year 2106 there.
            self.add(
                "timestamp(3)",
                As::Utc,
                &["'2038-01-19 03:14:08.5'", "'2106-02-07 06:28:15'"],
            );
        }
        self.add("text compressed", As::Text, &["repeat('abc', 100)", "'x'", "''"]);
        self.add("varchar(500) compressed", As::Text, &["repeat('ä', 100)", "'y'"]);
        let latin = "varchar(500) compressed character set latin1";
        self.add(latin, As::Text, &["repeat('ä', 100)"]);
        self.add("blob compressed", As::Bytes, &["repeat(x'00ff', 100)", "x''"]);
        self.times(true);
    }
}

const DATES: &[&str] = &[
    "'2026-01-31 12:00:00'",
    "'0000-00-00 00:00:00'",
    "'2026-00-00 00:00:00'",
    "'2026-02-30 11:00:00'",
    "'1000-01-01 00:00:00'",
    "'2024-02-29 23:59:59'",
];

const STAMPS: &[&str] =
    &["'2026-01-31 12:00:00'", "0", "'2038-01-19 03:14:07'", "'1970-01-01 00:00:01'"];

const UUIDS: &[&str] = &[
    "'11121314-1516-1718-991a-1b1c1d1e1f20'",
    "'00000000-0000-0000-0000-000000000000'",
    "'123e4567-e89b-12d3-a456-426655440000'",
    "'018f4567-e89b-7cc3-9456-426655440000'",
    "'6ccd780c-baba-1026-9564-5b8c65602400'",
    "'ffffffff-ffff-ffff-ffff-ffffffffff00'",
];

/// Text that each character set has.
const CHARSETS: &[(&str, &str)] = &[
    ("latin1", "äß€"),
    ("latin2", "Łąž"),
    ("latin5", "ğşİ"),
    ("latin7", "Āą"),
    ("cp1250", "Šžł"),
    ("cp1251", "Привет"),
    ("cp1256", "مرحبا"),
    ("cp1257", "Ąą"),
    ("cp850", "äßı"),
    ("cp852", "łąš"),
    ("cp866", "Привет"),
    ("macce", "Ąłž"),
    ("macroman", "äß"),
    ("greek", "Αω"),
    ("hebrew", "של"),
    ("koi8r", "Привет"),
    ("koi8u", "їі"),
    ("tis620", "สวัสดี"),
    ("gbk", "你好·—～‖"),
    ("gb2312", "你好·―"),
    ("big5", "你好"),
    ("euckr", "안녕"),
    ("ujis", "日本〜−‖¢£¬＼"),
    ("eucjpms", "日本①～－∥"),
    ("sjis", "日本〜−‖¢£¬＼"),
    ("cp932", "日本①～－∥"),
    ("ucs2", "a日"),
    ("utf16", "a日😀"),
    ("utf16le", "a日😀"),
    ("utf32", "a日😀"),
    ("utf8mb3", "日本"),
    ("utf8mb4", "日本😀"),
    ("ascii", "abc"),
];

const DOCUMENTS: &[&str] = &[
    r#"{"bb": [true, null, false], "a": 1}"#,
    "[]",
    "{}",
    r#""x\\"\\n\\u0001é""#,
    "1.5",
    "1.0",
    "1e20",
    "-0.0",
    "100000000000000.0",
    "1e15",
    "0.00000000000001",
    "1e-15",
    "[18446744073709551615, -9223372036854775808, 70000, -70000, 40000]",
    "123456789012345678901234567890",
    r#"{"": {"": []}, "aa": {"b": {"c": [{"d": [[[]]]}]}}}"#,
    "null",
];

/// Documents that hold values JSON has no types for, and large ones.
const JSON_OF_SQL: &[&str] = &[
    "json_object('d', cast(1.50 as decimal(10,2)), 't', cast('11:22:33' as time),
        'dt', cast('2026-01-31 12:00:00.5' as datetime(6)), 'da', cast('2026-01-31' as date),
        'b', x'00ff', 'neg', cast('-11:22:33.44' as time(2)))",
    "json_array(repeat('x', 70000), 1, 100000, -100000)",
    "json_object(repeat('k', 40000), 1, repeat('j', 40000), json_array(4000000000, true))",
    "cast(cast('2026-01-31 12:00:00' as datetime) as json)",
    "json_array(st_geomfromtext('POINT(1 2)'), b'101', cast('x' as binary))",
    "json_array(cast(2024 as year), 'plain')",
    "cast(cast(-0.001 as decimal(65,30)) as json)",
];
