use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use connector_api::{
    Batch, Capture, CaptureTable, ChangeStream, Columns, Connector, Error, Result, RowImage,
    SourceEvent, TableName, TableSchema, Value,
};
use tokio::sync::{mpsc, watch};

use crate::mapping::write_json;

/// How long whoever reads may take nothing: the server keeps its log meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes written in one go: as many as a pipe holds that nobody reads.
const PIECE: usize = 64 << 10;

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
    mut out: Output,
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
        let written = tokio::select! { biased;
            () = crate::fleet::ending(&mut shutdown) => return stream.close().await,
            written = out.write(&lines.buffer) => written,
        };
        match written {
            Ok(Written::Whole) => stream.confirm(batch.end()),
            Ok(Written::ReaderHasGone) => return stream.close().await,
            Err(error) => {
                // The connection ends in any case.
                drop(stream.close().await);
                return Err(error);
            }
        }
    }
}

/// Where lines go, with a thread of its own: one that waits for a reader hears no signal.
pub(super) struct Output {
    pieces: std::sync::mpsc::Sender<Vec<u8>>,
    written: mpsc::UnboundedReceiver<io::Result<()>>,
    patience: Duration,
}

/// What became of lines.
#[derive(Debug, PartialEq, Eq)]
enum Written {
    Whole,
    /// As in `tailstock tail | head`.
    ReaderHasGone,
}

impl Output {
    pub(super) fn new(mut out: impl Write + Send + 'static) -> Self {
        let (pieces, queue) = std::sync::mpsc::channel::<Vec<u8>>();
        let (outcomes, written) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for piece in queue {
                let outcome = out.write_all(&piece).and_then(|()| out.flush());
                if outcomes.send(outcome).is_err() {
                    return;
                }
            }
        });
        Self { pieces, written, patience: PATIENCE }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<Written> {
        for piece in bytes.chunks(PIECE) {
            let stopped = || Error::bug("the thread that writes has ended");
            self.pieces.send(piece.to_vec()).map_err(|_| stopped())?;
            let written = tokio::time::timeout(self.patience, self.written.recv()).await;
            match written.map(|outcome| outcome.ok_or_else(stopped)) {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) if error.kind() == ErrorKind::BrokenPipe => {
                    return Ok(Written::ReaderHasGone);
                }
                Ok(Ok(Err(error))) => {
                    let what = "standard output cannot be written";
                    return Err(Error::definite(what).because(error));
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    return Err(Error::definite(format!(
                        "whoever reads standard output has taken nothing for {} minutes, while \
                         the server kept its log",
                        self.patience.as_secs() / 60
                    )));
                }
            }
        }
        Ok(Written::Whole)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Says what it is told to, and waits for ever where that is nothing.
    struct Reader(std::sync::mpsc::Receiver<ErrorKind>);

    impl Write for Reader {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.recv().unwrap_or(ErrorKind::BrokenPipe).into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_is_no_failure_and_one_that_waits_for_ever_is() {
        let (says, told) = std::sync::mpsc::channel();
        says.send(ErrorKind::BrokenPipe).unwrap();
        assert_eq!(Output::new(Reader(told)).write(b"1").await.unwrap(), Written::ReaderHasGone);

        let (says, told) = std::sync::mpsc::channel();
        says.send(ErrorKind::StorageFull).unwrap();
        let error = Output::new(Reader(told)).write(b"1").await.unwrap_err();
        assert_eq!(error.to_string(), "standard output cannot be written");

        let (_says, told) = std::sync::mpsc::channel();
        let out = Output::new(Reader(told));
        let error = Output { patience: Duration::ZERO, ..out }.write(b"1").await.unwrap_err();
        assert!(error.to_string().contains("has taken nothing"), "{error}");

        let lines = vec![b'1'; 3 * PIECE + 1];
        assert_eq!(Output::new(io::sink()).write(&lines).await.unwrap(), Written::Whole);
    }
}
