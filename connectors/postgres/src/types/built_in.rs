use super::Reading::{
    self, Bool, Bytes, Decimal, Float, Int, Json, Padded, Text, Timestamp, TimestampZoned, UInt,
};

/// A type that comes with every server (`pg_type.dat`). Its number never changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    oid: u32,
    /// As the catalog spells it.
    internal: &'static str,
    /// As SQL spells it.
    pub(crate) name: &'static str,
    pub(crate) reading: Reading,
}

impl Type {
    /// The built-in type of this number.
    pub(crate) fn numbered(oid: u32) -> Option<&'static Self> {
        BUILT_IN.iter().find(|known| known.oid == oid)
    }

    /// The built-in type of this name in the catalog.
    pub(crate) fn named(internal: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|known| known.internal == internal)
    }
}

const fn of(oid: u32, internal: &'static str, name: &'static str, reading: Reading) -> Type {
    Type { oid, internal, name, reading }
}

const BUILT_IN: &[Type] = &[
    of(16, "bool", "boolean", Bool),
    of(17, "bytea", "bytea", Bytes),
    of(18, "char", "\"char\"", Text),
    of(19, "name", "name", Text),
    of(20, "int8", "bigint", Int),
    of(21, "int2", "smallint", Int),
    of(22, "int2vector", "int2vector", Text),
    of(23, "int4", "integer", Int),
    of(24, "regproc", "regproc", Text),
    of(25, "text", "text", Text),
    of(26, "oid", "oid", UInt),
    of(27, "tid", "tid", Text),
    of(28, "xid", "xid", UInt),
    of(29, "cid", "cid", UInt),
    of(30, "oidvector", "oidvector", Text),
    of(114, "json", "json", Json),
    of(142, "xml", "xml", Text),
    of(600, "point", "point", Text),
    of(601, "lseg", "lseg", Text),
    of(602, "path", "path", Text),
    of(603, "box", "box", Text),
    of(604, "polygon", "polygon", Text),
    of(628, "line", "line", Text),
    of(650, "cidr", "cidr", Text),
    of(700, "float4", "real", Float),
    of(701, "float8", "double precision", Float),
    of(718, "circle", "circle", Text),
    of(774, "macaddr8", "macaddr8", Text),
    of(790, "money", "money", Text),
    of(829, "macaddr", "macaddr", Text),
    of(869, "inet", "inet", Text),
    of(1042, "bpchar", "character", Padded),
    of(1043, "varchar", "character varying", Text),
    of(1082, "date", "date", Text),
    of(1083, "time", "time without time zone", Text),
    of(1114, "timestamp", "timestamp without time zone", Timestamp),
    of(1184, "timestamptz", "timestamp with time zone", TimestampZoned),
    of(1186, "interval", "interval", Text),
    of(1266, "timetz", "time with time zone", Text),
    of(1560, "bit", "bit", Text),
    of(1562, "varbit", "bit varying", Text),
    of(1700, "numeric", "numeric", Decimal),
    of(1790, "refcursor", "refcursor", Text),
    of(2202, "regprocedure", "regprocedure", Text),
    of(2203, "regoper", "regoper", Text),
    of(2204, "regoperator", "regoperator", Text),
    of(2205, "regclass", "regclass", Text),
    of(2206, "regtype", "regtype", Text),
    of(2950, "uuid", "uuid", Text),
    of(2970, "txid_snapshot", "txid_snapshot", Text),
    of(3220, "pg_lsn", "pg_lsn", Text),
    of(3614, "tsvector", "tsvector", Text),
    of(3615, "tsquery", "tsquery", Text),
    of(3734, "regconfig", "regconfig", Text),
    of(3769, "regdictionary", "regdictionary", Text),
    of(3802, "jsonb", "jsonb", Json),
    of(3904, "int4range", "int4range", Text),
    of(3906, "numrange", "numrange", Text),
    of(3908, "tsrange", "tsrange", Text),
    of(3910, "tstzrange", "tstzrange", Text),
    of(3912, "daterange", "daterange", Text),
    of(3926, "int8range", "int8range", Text),
    of(4072, "jsonpath", "jsonpath", Text),
    of(4089, "regnamespace", "regnamespace", Text),
    of(4096, "regrole", "regrole", Text),
    of(4191, "regcollation", "regcollation", Text),
    of(4451, "int4multirange", "int4multirange", Text),
    of(4532, "nummultirange", "nummultirange", Text),
    of(4533, "tsmultirange", "tsmultirange", Text),
    of(4534, "tstzmultirange", "tstzmultirange", Text),
    of(4535, "datemultirange", "datemultirange", Text),
    of(4536, "int8multirange", "int8multirange", Text),
    of(5038, "pg_snapshot", "pg_snapshot", Text),
    of(5069, "xid8", "xid8", UInt),
    of(1000, "_bool", "boolean[]", Text),
    of(1001, "_bytea", "bytea[]", Text),
    of(1005, "_int2", "smallint[]", Text),
    of(1007, "_int4", "integer[]", Text),
    of(1016, "_int8", "bigint[]", Text),
    of(1009, "_text", "text[]", Text),
    of(1014, "_bpchar", "character[]", Text),
    of(1015, "_varchar", "character varying[]", Text),
    of(1021, "_float4", "real[]", Text),
    of(1022, "_float8", "double precision[]", Text),
    of(1115, "_timestamp", "timestamp without time zone[]", Text),
    of(1182, "_date", "date[]", Text),
    of(1185, "_timestamptz", "timestamp with time zone[]", Text),
    of(1231, "_numeric", "numeric[]", Text),
    of(199, "_json", "json[]", Text),
    of(2951, "_uuid", "uuid[]", Text),
    of(3807, "_jsonb", "jsonb[]", Text),
];
