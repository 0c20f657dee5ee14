use std::io::Write;

use connector_api::{
    Batch, Capture, CaptureTable, ChangeStream, Columns, Connector, Error, Result, RowImage,
    SourceEvent, TableName, TableSchema, Value,
};
use tokio::sync::watch;

use crate::mapping::write_json;

/// What to show.
#[derive(Debug, Clone)]
pub(super) struct TailRequest {
    /// `schema.table` patterns in which `*` stands for any run of characters; all when empty.
    pub(super) tables: Vec<String>,
}

/// Prints every row change as one line of JSON until shutdown or until `out` is closed. Keeps
/// nothing on the server but a slot that ends with the connection, and no checkpoint.
pub(super) async fn tail(
    connector: &dyn Connector,
    request: &TailRequest,
    out: &mut impl Write,
    mut shutdown: watch::Receiver<bool>,
) -> Result<()> {
    let mut stream = tokio::select! { biased;
        () = crate::fleet::ending(&mut shutdown) => return Ok(()),
        stream = begin(connector, capture(&request.tables)) => stream?,
    };
    let mut lines = Lines { database: connector.database().to_owned(), ..Lines::default() };
    loop {
        let batch = tokio::select! { biased;
            () = crate::fleet::ending(&mut shutdown) => return stream.close().await,
            batch = stream.read() => batch?,
        };
        lines.write(&batch);
        let written = out.write_all(&lines.buffer).and_then(|()| out.flush());
        if written.is_err() {
            // Whoever was reading has gone, as in `tailstock tail | head`.
            return stream.close().await;
        }
        stream.confirm(batch.end());
    }
}

/// May take long: a server makes a slot once the transactions that are open have ended.
async fn begin(connector: &dyn Connector, capture: Capture) -> Result<Box<dyn ChangeStream>> {
    let survey = connector.survey(&capture, None).await?;
    if let Some(error) = Error::all(crate::seller::blockers(&survey.findings)) {
        return Err(error);
    }
    let start = connector.establish(&capture).await?;
    connector.open(start, capture).await
}

/// `public.stock`, `*.stock`, `stock` (any schema).
fn capture(patterns: &[String]) -> Capture {
    let any = ["*.*".to_owned()];
    let patterns = if patterns.is_empty() { &any[..] } else { patterns };
    let table = |pattern: &String| {
        let (schema, table) = pattern.split_once('.').unwrap_or(("*", pattern));
        CaptureTable { name: TableName::new(schema, table), columns: Columns::All }
    };
    Capture { tables: patterns.iter().map(table).collect() }
}

/// Batches as lines of JSON.
#[derive(Debug, Default)]
struct Lines {
    database: String,
    buffer: Vec<u8>,
    /// The members that all changes of a transaction share.
    transaction: Vec<u8>,
}

impl Lines {
    fn write(&mut self, batch: &Batch) {
        self.buffer.clear();
        for event in batch.events() {
            match event {
                SourceEvent::Begin(begin) => {
                    self.transaction.clear();
                    let at = crate::stock::encode::timestamp(begin.committed_at_us);
                    let out = &mut self.transaction;
                    member(out, "{\"position\":", Value::Text(batch.text(begin.position)));
                    member(out, ",\"transaction\":", Value::Text(batch.text(begin.txid)));
                    member(out, ",\"committed_at\":", Value::Text(&at));
                    member(out, ",\"database\":", Value::Text(&self.database));
                }
                SourceEvent::Row(row) => {
                    let table = batch.table(row.table);
                    self.head(table, row.op.as_str());
                    self.image(",\"before\":", table, batch.before(row));
                    self.image(",\"after\":", table, batch.after(row));
                    self.buffer.extend_from_slice(b"}\n");
                }
                SourceEvent::TableCleared { table, .. } => {
                    self.head(batch.table(*table), "truncate");
                    self.buffer.extend_from_slice(b",\"before\":{},\"after\":{}}\n");
                }
                SourceEvent::Unreadable { table, reason, .. } => {
                    self.head(batch.table(*table), "unreadable");
                    member(&mut self.buffer, ",\"reason\":", Value::Text(reason));
                    self.buffer.extend_from_slice(b"}\n");
                }
                SourceEvent::Commit | SourceEvent::SchemaChanged { .. } => {}
            }
        }
    }

    fn head(&mut self, table: &TableSchema, op: &str) {
        self.buffer.extend_from_slice(&self.transaction);
        member(&mut self.buffer, ",\"schema\":", Value::Text(&table.name.schema));
        member(&mut self.buffer, ",\"table\":", Value::Text(&table.name.table));
        member(&mut self.buffer, ",\"op\":", Value::Text(op));
    }

    /// Columns that the image does not hold are left out.
    fn image(&mut self, name: &str, table: &TableSchema, image: Option<RowImage<'_>>) {
        self.buffer.extend_from_slice(name.as_bytes());
        let mut separator = b'{';
        let values = image.iter().flat_map(|image| image.values());
        for (column, value) in table.columns.iter().zip(values) {
            if value != Value::Absent {
                self.buffer.push(separator);
                write_json(Value::Text(&column.name), &mut self.buffer);
                self.buffer.push(b':');
                write_json(value, &mut self.buffer);
                separator = b',';
            }
        }
        self.buffer.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
    }
}

fn member(out: &mut Vec<u8>, name: &str, value: Value<'_>) {
    out.extend_from_slice(name.as_bytes());
    write_json(value, out);
}
