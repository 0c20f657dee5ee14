//! The binlog of a real server, read from its files and decoded as a stream would.

use std::fmt::Write as _;

use connector_api::{
    Batch, BatchBuilder, Capture, CaptureTable, Column, Columns, Lineage, Position, Result,
    ResumePoint, RowImage, SourceEvent, TableName, TableSchema, Value,
};
use connector_mysql::decode::{Catalog, CatalogColumn, Decoder};
use connector_mysql::log::{LogFile, Unpacker};
use testbed::Mysql;

/// One file of a binlog.
pub struct Recorded {
    pub file: String,
    pub bytes: Vec<u8>,
}

impl Recorded {
    /// What the server logs while `work` is done: in a file of its own, with nothing else in it.
    pub fn of(server: &Mysql, work: impl FnOnce()) -> Self {
        server.execute("flush binary logs").unwrap();
        work();
        Self::last(server)
    }

    /// The file the server writes to.
    pub fn last(server: &Mysql) -> Self {
        Self::all(server).pop().unwrap()
    }

    /// All files that the server has.
    pub fn all(server: &Mysql) -> Vec<Self> {
        let folder = server.data_dir().unwrap();
        let names = server.query("show binary logs").unwrap();
        let read = |mut row: Vec<Option<String>>| {
            let file = row.swap_remove(0).unwrap();
            let bytes = std::fs::read(folder.join(&file)).unwrap();
            Self { file, bytes }
        };
        names.into_iter().map(read).collect()
    }

    /// The changes in it.
    pub fn decode(&self, capture: Capture, catalog: Catalog) -> Result<Vec<Batch>> {
        decode(&self.bytes, &self.file, capture, catalog)
    }

    /// The changes in files that follow one another.
    pub fn decode_all(files: &[Self], capture: Capture, catalog: Catalog) -> Result<Vec<Batch>> {
        let files = files.iter().map(|file| &file.bytes[..]).collect::<Vec<_>>();
        decode_all(&files, "binlog.000001", capture, catalog)
    }
}

/// The changes in a file of a binlog of this name.
pub fn decode(bytes: &[u8], file: &str, capture: Capture, catalog: Catalog) -> Result<Vec<Batch>> {
    decode_all(&[bytes], file, capture, catalog)
}

fn decode_all(
    files: &[&[u8]],
    first: &str,
    capture: Capture,
    catalog: Catalog,
) -> Result<Vec<Batch>> {
    let from = ResumePoint {
        lineage: Lineage::new("mysql/recorded"),
        position: Position::new(format!("1/{first}/4/0")),
        partial: None,
        capture: capture.clone(),
        coverage: String::new(),
    };
    let mut decoder = Decoder::new(&from, capture, catalog)?;
    let mut out = BatchBuilder::new(&from.position);
    let mut unpacker = Unpacker::default();
    let mut batches = Vec::new();
    for bytes in files {
        let mut log = LogFile::open(*bytes)?;
        while let Some(frame) = log.read_event()? {
            decoder.event(&frame, &mut unpacker, &mut out, &mut |batch| batches.push(batch))?;
        }
    }
    batches.push(out.take());
    Ok(batches)
}

/// All tables of a database, with the same columns of each.
pub fn capture(server: &Mysql, columns: Columns) -> Capture {
    let name = TableName::new(server.database(), "*");
    Capture { tables: vec![CaptureTable { name, columns }] }
}

/// What the server's catalog says of the tables of a database.
pub fn catalog(server: &Mysql) -> Catalog {
    let rows = server
        .query(
            "select table_name, column_name, column_type, character_set_name, column_key = 'PRI'
             from information_schema.columns where table_schema = database()
             order by table_name, ordinal_position",
        )
        .unwrap();
    let mut catalog = Catalog::default();
    for table in rows.chunk_by(|one, other| one[0] == other[0]) {
        let columns = table.iter().map(|row| CatalogColumn {
            name: row[1].clone().unwrap(),
            column_type: row[2].clone().unwrap(),
            charset: row[3].clone(),
            is_key: row[4].as_deref() == Some("1"),
        });
        let name = TableName::new(server.database(), table[0][0].clone().unwrap());
        catalog.define(name, columns.collect());
    }
    catalog
}

/// One line for each event that says something about a table.
pub fn lines(batches: &[Batch]) -> Vec<String> {
    let of = |batch: &Batch| {
        let lines = batch.events().iter().filter_map(|event| line(batch, event));
        lines.collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

fn line(batch: &Batch, event: &SourceEvent) -> Option<String> {
    let named = |table: u32| batch.table(table).name.table.clone();
    Some(match event {
        SourceEvent::Begin(_) | SourceEvent::Commit => return None,
        SourceEvent::Row(row) => {
            let schema = batch.table(row.table);
            let mut line = format!("{} {}", row.op.as_str(), schema.name.table);
            if let Some(before) = batch.before(row) {
                write!(line, " [{}]", image(schema, before)).unwrap();
            }
            if let Some(after) = batch.after(row) {
                write!(line, " {}", image(schema, after)).unwrap();
            }
            line
        }
        SourceEvent::SchemaChanged { table } => {
            let column = |column: &Column| {
                let key = if column.identity { "*" } else { "" };
                format!("{}{key}", column.name)
            };
            let columns: Vec<String> = batch.table(*table).columns.iter().map(column).collect();
            format!("schema {} ({})", named(*table), columns.join(", "))
        }
        SourceEvent::TableCleared { table, cause, .. } => format!("{cause:?} {}", named(*table)),
        SourceEvent::Unreadable { table, reason, .. } => {
            format!("unreadable {} {reason}", named(*table))
        }
    })
}

/// `id=1 note='x'`; a value that is not in the image is `~`.
fn image(schema: &TableSchema, image: RowImage<'_>) -> String {
    let column =
        |(column, value): (&Column, Value<'_>)| format!("{}={}", column.name, shown(value));
    schema.columns.iter().zip(image.values()).map(column).collect::<Vec<_>>().join(" ")
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Absent => "~".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => format!("{value}u"),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) if text.len() > 40 => format!("text of {}", text.len()),
        Value::Text(text) => format!("'{text}'"),
        Value::Decimal(text) => format!("decimal {text}"),
        Value::Json(text) => format!("json {text}"),
        Value::Bytes(bytes) if bytes.len() > 40 => format!("bytes of {}", bytes.len()),
        Value::Bytes(bytes) => format!("bytes {}", hex(bytes)),
        Value::Timestamp(text) => format!("local {text}"),
        Value::TimestampZoned(text) => format!("utc {text}"),
    }
}

/// Bytes as `HEX` prints them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
