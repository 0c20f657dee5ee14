//! Every type of `TYPES.md`: what the log says of a value is what `SELECT` says.

mod cases;
mod selected;
mod shapes;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use connector_api::{
    Batch, Capture, CaptureTable, Columns, RowImage, SourceEvent, TableName, TableSchema, Value,
};
use testbed::{Mysql, MysqlOptions, MysqlVersion, all_mysql_versions, mysql_or_skip};

use crate::binlog::{Catalog, Recorded, capture, catalog, hex};
use cases::{As, Type};

/// How much the log says of columns, and whether it is compressed.
struct Way {
    metadata: &'static str,
    is_compressed: bool,
}

fn ways(version: MysqlVersion) -> Vec<Way> {
    let way = |metadata, is_compressed| Way { metadata, is_compressed };
    let mut ways = vec![way("FULL", false), way("MINIMAL", true)];
    if version.is_mariadb() {
        ways.push(way("NO_LOG", false));
    }
    ways
}

#[test]
fn every_value_comes_out_as_select_prints_it() {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().setting("sync_binlog", "0");
        let options = options.setting("innodb_flush_log_at_trx_commit", "0");
        let test = "every value as SELECT prints it";
        let Some(server) = mysql_or_skip(version, &options, test) else { continue };
        let types = cases::of(version);
        create(&server, &types);
        for way in ways(version) {
            let compress = match (version.is_mariadb(), way.is_compressed) {
                (true, true) => "set global log_bin_compress = 1, log_bin_compress_min_len = 10;",
                (true, false) => "set global log_bin_compress = 0;",
                (false, true) => "set global binlog_transaction_compression = 1;",
                (false, false) => "set global binlog_transaction_compression = 0;",
            };
            let metadata = way.metadata;
            let set = format!("{compress} set global binlog_row_metadata = {metadata}");
            server.execute(&set).unwrap();
            check(&server, &types, &way);
        }
    }
}

fn create(server: &Mysql, types: &[Type]) {
    let mut script = String::new();
    for (nth, of) in types.iter().enumerate() {
        let is_old = u8::from(!of.is_of_mariadb_5_3);
        if server.version().is_mariadb() {
            writeln!(script, "set global mysql56_temporal_format = {is_old};").unwrap();
        }
        let name = &of.name;
        writeln!(
            script,
            "create table t{nth} (id int primary key, v {name} null, z int not null);"
        )
        .unwrap();
    }
    server.execute(&script).unwrap();
}

/// Writes every value, changes its row and deletes it, and compares all images with `SELECT`.
fn check(server: &Mysql, types: &[Type], way: &Way) {
    let mut wanted = Vec::new();
    let recorded = Recorded::of(server, || {
        for (nth, of) in types.iter().enumerate() {
            server.execute(&insert(nth, of)).unwrap_or_else(|why| panic!("{}: {why}", of.name));
        }
        wanted = types.iter().enumerate().map(|(nth, of)| select(server, nth, of)).collect();
        for nth in 0..types.len() {
            server.execute(&format!("update t{nth} set z = z + 1; delete from t{nth}")).unwrap();
        }
    });
    let found = Found::of(&recorded, capture(server, Columns::All), catalog(server));
    let mut wrong = Vec::new();
    for (nth, of) in types.iter().enumerate() {
        let rows = wanted[nth].len();
        for (id, wanted) in wanted[nth].iter().enumerate() {
            let images = found.images.get(&(nth, id)).map_or(&[][..], Vec::as_slice);
            assert_eq!(images.len(), 4, "{} row {id} of {rows}", of.name);
            for image in images {
                if let Err(why) = matches(of, image, wanted.as_deref()) {
                    wrong.push(format!("{} number {id}: {why}", of.name));
                }
            }
        }
    }
    let place = format!("{} with {}", server.version(), way.metadata);
    assert!(wrong.is_empty(), "{place}: {} differ\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(found.unreadable, Vec::<String>::new(), "{place}");
    // A value that is not wanted is stepped over, and what is behind it stands where it stood.
    let others = ["id", "z"].map(str::to_owned).to_vec();
    let stepped = Found::of(&recorded, capture(server, Columns::Only(others)), catalog(server));
    assert_eq!(stepped.images.len(), found.images.len(), "{place}");
    if way.metadata == "FULL" {
        without_catalog(&recorded, server, types, &found);
    }
}

/// What the log alone says is the same, but for the types that only the catalog can tell.
fn without_catalog(recorded: &Recorded, server: &Mysql, types: &[Type], with: &Found) {
    let is_told = |of: &Type| !of.needs_catalog && !of.is_of_mariadb_5_3;
    let told = types.iter().enumerate().filter(|(_, of)| is_told(of)).map(|(nth, _)| nth);
    let told: Vec<usize> = told.collect();
    let table = |nth: &usize| CaptureTable {
        name: TableName::new(server.database(), format!("t{nth}")),
        columns: Columns::All,
    };
    let wanted = Capture { tables: told.iter().map(table).collect() };
    let alone = Found::of(recorded, wanted, Catalog::default());
    let mut with: Vec<_> = with.images.iter().collect();
    with.retain(|((nth, _), _)| told.contains(nth));
    let alone: Vec<_> = alone.images.iter().collect();
    assert_eq!(alone.len(), with.len());
    for (alone, with) in alone.iter().zip(&with) {
        assert_eq!(alone, with, "{}", types[with.0.0].name);
    }
}

fn insert(nth: usize, of: &Type) -> String {
    let mut rows = "(0, null, 70)".to_owned();
    for (nth, value) in of.values.iter().enumerate() {
        write!(rows, ", ({}, {value}, 70)", nth + 1).unwrap();
    }
    format!(
        "set sql_mode = 'allow_invalid_dates', time_zone = '+00:00';
         insert into t{nth} (id, v, z) values {rows}"
    )
}

/// What the server prints, by id.
fn select(server: &Mysql, nth: usize, of: &Type) -> Vec<Option<String>> {
    let printed = match of.reads {
        As::Bytes => "hex(v)",
        As::Bits => "v + 0",
        // FLOAT is printed with six digits only, and as a double with all it has.
        As::Float => "v + 0e0",
        _ => "v",
    };
    let sql = format!("set time_zone = '+00:00'; select {printed} from t{nth} order by id");
    let rows = server.query(&sql).unwrap();
    let values = rows.into_iter().map(|mut row| row.swap_remove(0)).collect::<Vec<_>>();
    assert_eq!(values.len(), of.values.len() + 1, "{}", of.name);
    values
}

/// A value on its own.
#[derive(Debug, Clone, PartialEq)]
enum Own {
    Null,
    Int(String),
    UInt(String),
    Float(f64),
    Decimal(String),
    Text(String),
    Json(String),
    Bytes(String),
    Local(String),
    Utc(String),
}

impl Own {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(value) => Self::Int(value.to_string()),
            Value::UInt(value) => Self::UInt(value.to_string()),
            Value::Float(value) => Self::Float(value),
            Value::Decimal(text) => Self::Decimal(text.to_owned()),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Json(text) => Self::Json(text.to_owned()),
            Value::Bytes(bytes) => Self::Bytes(hex(bytes)),
            Value::Timestamp(text) => Self::Local(text.to_owned()),
            Value::TimestampZoned(text) => Self::Utc(text.to_owned()),
            Value::Absent | Value::Bool(_) => panic!("{value:?}"),
        }
    }
}

/// What was decoded.
struct Found {
    /// By the number of the table and the row's id: of INSERT, UPDATE twice, and DELETE.
    images: BTreeMap<(usize, usize), Vec<Own>>,
    unreadable: Vec<String>,
}

impl Found {
    fn of(recorded: &Recorded, wanted: Capture, catalog: Catalog) -> Self {
        let batches = recorded.decode(wanted, catalog).unwrap();
        let mut found = Self { images: BTreeMap::new(), unreadable: Vec::new() };
        for batch in &batches {
            for event in batch.events() {
                found.take(batch, event);
            }
        }
        found
    }

    fn take(&mut self, batch: &Batch, event: &SourceEvent) {
        match event {
            SourceEvent::Row(row) => {
                let schema = batch.table(row.table);
                let images = [batch.before(row), batch.after(row)];
                // The same place in the middle of each pair: 70, then 70 and 71, then 71.
                for image in images.into_iter().flatten() {
                    self.take_image(schema, image);
                }
            }
            SourceEvent::Unreadable { table, reason, .. } => {
                self.unreadable.push(format!("{}: {reason}", batch.table(*table).name));
            }
            _ => {}
        }
    }

    fn take_image(&mut self, schema: &TableSchema, image: RowImage<'_>) {
        let value = |column: &str| schema.index_of(column).map(|nth| image.get(nth));
        let nth: usize = schema.name.table[1..].parse().unwrap();
        let Some(Value::Int(id)) = value("id") else { panic!("{:?}", value("id")) };
        let known = self.images.entry((nth, id as usize)).or_default();
        let z = if known.len() < 2 { 70 } else { 71 };
        assert_eq!(value("z"), Some(Value::Int(z)), "behind the value of {}", schema.name);
        known.push(value("v").map_or(Own::Null, Own::of));
    }
}

/// Whether a value is what `TYPES.md` makes of what the server prints.
fn matches(of: &Type, found: &Own, printed: Option<&str>) -> Result<(), String> {
    let Some(printed) = printed else {
        let is_null = *found == Own::Null;
        return is_null.then_some(()).ok_or_else(|| format!("{found:?} is NULL"));
    };
    let text = printed.to_owned();
    let wanted = match of.reads {
        As::Int => Own::Int(text),
        As::UInt | As::Bits => Own::UInt(text),
        As::Float => return same_float(found, printed),
        As::Double => Own::Float(printed.parse().unwrap()),
        As::Decimal => Own::Decimal(text),
        As::Text => Own::Text(text),
        As::Json => Own::Json(text),
        As::Bytes => Own::Bytes(text),
        As::Local if is_moment(printed) => Own::Local(text.replace(' ', "T")),
        As::Utc if is_moment(printed) => Own::Utc(text.replace(' ', "T") + "Z"),
        As::Local | As::Utc => Own::Text(text),
    };
    let is_same = match (found, &wanted) {
        (Own::Float(found), Own::Float(wanted)) => found.to_bits() == wanted.to_bits(),
        _ => *found == wanted,
    };
    is_same.then_some(()).ok_or_else(|| {
        let cut = |own: &Own| format!("{own:?}").chars().take(300).collect::<String>();
        format!("decoded {}, selected {}", cut(found), cut(&wanted))
    })
}

/// The decimal with the fewest digits that names the number the server has.
fn same_float(found: &Own, widened: &str) -> Result<(), String> {
    let stored = widened.parse::<f64>().unwrap() as f32;
    match found {
        Own::Float(found) if *found == stored.to_string().parse::<f64>().unwrap() => Ok(()),
        _ => Err(format!("decoded {found:?}, selected {widened}")),
    }
}

/// Whether the calendar has the day.
fn is_moment(printed: &str) -> bool {
    let part = |range: std::ops::Range<usize>| printed[range].parse::<u32>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        0 => 0,
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=days).contains(&day)
}
