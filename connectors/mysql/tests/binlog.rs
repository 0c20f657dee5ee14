//! The binlog of a real server, read from its files and decoded as a stream would.

use std::fmt::Write as _;

use connector_api::{
    Batch, BatchBuilder, Capture, CaptureTable, Column, ColumnLayout, Columns, Lineage, Position,
    Result, ResumePoint, RowImage, SourceEvent, TableLayout, TableName, TableSchema, Value,
};
use connector_mysql::decode::{self, Decoded, Decoder, Suspects};
use connector_mysql::log::{Event, Frame, LogFile, Unpacker};
use connector_mysql::position::Prepared;
use testbed::Mysql;

/// What is said of tables when a log does not name their columns.
pub type Catalog = Vec<TableLayout>;

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
    let from = ResumePoint::new(
        Lineage::new("mysql/recorded"),
        Position::new(format!("1/{first}/4/0")),
        capture.clone(),
    );
    let known = decode::Catalog::new(&catalog, false);
    let mut reading = Reading {
        decoder: Decoder::new(&from, capture, known)?,
        out: BatchBuilder::new(&from.position),
        batches: Vec::new(),
        catalog,
    };
    let mut unpacker = Unpacker::default();
    let mut names = Vec::new();
    for bytes in files {
        names.push(reading.decoder.here().0.clone());
        let mut log = LogFile::open(*bytes)?;
        while let Some(frame) = log.read_event()? {
            match reading.event(&frame)? {
                Decoded::Packed => {
                    let Event::TransactionPayload(payload) = frame.event()? else { continue };
                    let mut inside = payload.events(&mut unpacker)?;
                    while let Some(frame) = inside.read_event()? {
                        assert_eq!(reading.event(&frame)?, Decoded::Whole);
                    }
                }
                Decoded::Recalls(place) => {
                    let nth = names.iter().position(|name| *name == place.file);
                    reading.recall(nth.map_or(&[], |nth| files[nth]), &place)?;
                }
                _ => {}
            }
        }
    }
    let Reading { mut out, mut batches, .. } = reading;
    batches.push(out.take());
    Ok(batches)
}

/// A decoder and what it has decoded.
struct Reading {
    decoder: Decoder,
    out: BatchBuilder,
    batches: Vec<Batch>,
    catalog: Catalog,
}

impl Reading {
    fn event(&mut self, frame: &Frame<'_>) -> Result<Decoded> {
        loop {
            let mut full = |batch| self.batches.push(batch);
            let decoded = self.decoder.event(frame, &mut self.out, &mut full)?;
            match decoded {
                Decoded::Lacks(table) | Decoded::LacksTypes(table) => self.answer(table),
                Decoded::Full => self.batches.push(self.out.take()),
                Decoded::Suspects => self.decoder.suspects(Suspects::default()),
                _ => return Ok(decoded),
            }
        }
    }

    fn answer(&mut self, table: TableName) {
        let known = self.catalog.iter().find(|known| known.name == table).cloned();
        let said = known.ok_or_else(|| "nobody knows its columns".to_owned());
        self.decoder.answer(table, said, &mut self.out);
    }

    /// Hands over the changes of a distributed transaction, if they are in this file.
    fn recall(&mut self, bytes: &[u8], place: &Prepared) -> Result<()> {
        let mut found = false;
        if bytes.is_empty() {
            return self.recalled(found);
        }
        let mut log = LogFile::open(bytes)?;
        // Some events of MariaDB 11.8 do not say where they end.
        let mut ends = 4;
        while let Some(frame) = log.read_event()? {
            let begins = ends;
            ends += u64::from(frame.header.size);
            if begins < place.offset {
                continue;
            }
            found = self.recall_event(&frame)?;
            if let Event::TransactionPayload(payload) = frame.event()? {
                let mut unpacker = Unpacker::default();
                let mut inside = payload.events(&mut unpacker)?;
                while let Some(frame) = inside.read_event()? {
                    found |= self.recall_event(&frame)?;
                }
            }
            if found {
                break;
            }
        }
        self.recalled(found)
    }

    /// Returns whether it was the last.
    fn recall_event(&mut self, frame: &Frame<'_>) -> Result<bool> {
        loop {
            let mut full = |batch| self.batches.push(batch);
            match self.decoder.recall(frame, &mut self.out, &mut full)? {
                Decoded::Lacks(table) | Decoded::LacksTypes(table) => self.answer(table),
                Decoded::Full => self.batches.push(self.out.take()),
                Decoded::Suspects => self.decoder.suspects(Suspects::default()),
                _ => return Ok(matches!(frame.event()?, Event::XaPrepare(_))),
            }
        }
    }

    fn recalled(&mut self, found: bool) -> Result<()> {
        self.decoder.recalled(found, &mut self.out, &mut |batch| self.batches.push(batch))
    }
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
        let columns = table.iter().map(|row| ColumnLayout {
            name: row[1].clone().unwrap(),
            type_name: row[2].clone().unwrap(),
            charset: row[3].clone(),
            is_key: row[4].as_deref() == Some("1"),
        });
        let name = TableName::new(server.database(), table[0][0].clone().unwrap());
        catalog.push(TableLayout { name, id: None, columns: columns.collect() });
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
