use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use crate::{
    Batch, Capture, ChangeStream, Column, Connector, Error, Position, ResumePoint, RowImage,
    SourceEvent, TableSchema, Value,
};

/// Nothing here takes this long; what does will never come.
const LIMIT: Duration = Duration::from_secs(60);

/// What comes of it.
///
/// # Panics
/// When nothing does in a minute.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(LIMIT, future).await;
    outcome.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// A stream, and the place a checkpoint would hold after what was read of it.
pub struct Reader {
    /// Open behind `point`.
    pub stream: Box<dyn ChangeStream>,
    /// Where a reader that has everything read so far would go on.
    pub point: ResumePoint,
    lines: VecDeque<String>,
}

impl Reader {
    /// From now on.
    pub async fn start(connector: &dyn Connector, capture: Capture) -> Self {
        let point = connector.establish(&capture).await.expect("a position");
        Self::resume(connector, point).await.expect("the stream opens")
    }

    /// Behind `point`.
    ///
    /// # Errors
    /// As the connector says.
    pub async fn resume(connector: &dyn Connector, point: ResumePoint) -> Result<Self, Error> {
        let stream = connector.open(point.clone(), point.capture.clone()).await?;
        Ok(Self { stream, point, lines: VecDeque::new() })
    }

    /// The next batch, whatever it holds; an error when none comes in time.
    pub async fn batch(&mut self) -> Result<Batch, Error> {
        let batch = within("a batch", self.stream.read()).await?;
        self.point.follow(&batch);
        self.lines.extend(lines(&batch));
        Ok(batch)
    }

    /// The next line, of the next batch where needed.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return line;
            }
            self.batch().await.expect("the stream goes on");
        }
    }

    /// As many lines as are given, and these.
    #[track_caller]
    pub fn expect<'a>(&'a mut self, wanted: &'a [&'a str]) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut found = Vec::new();
            while found.len() < wanted.len() {
                found.push(self.line().await);
            }
            assert_eq!(found, wanted, "at {place}");
        }
    }

    /// Reads on until the server has told of progress to `target` or beyond.
    pub async fn until(&mut self, connector: &dyn Connector, target: &Position) {
        while !connector.covers(&self.point.position, target) {
            self.batch().await.expect("the stream goes on");
        }
    }

    /// Everything read so far is durable.
    pub fn confirm(&mut self) {
        self.stream.confirm(&self.point.position.clone());
    }

    /// The error the stream ends with.
    pub async fn failure(&mut self) -> Error {
        loop {
            if let Err(error) = self.batch().await {
                return error;
            }
        }
    }

    /// Ends the stream as a process does that is going to come back.
    pub async fn close(self) -> ResumePoint {
        within("close", self.stream.close()).await.expect("the stream ends in peace");
        self.point
    }
}

/// One line for each event that says something about a table.
pub fn lines(batch: &Batch) -> Vec<String> {
    let line = |event: &SourceEvent| match event {
        SourceEvent::Begin(_) | SourceEvent::Commit => None,
        SourceEvent::Row(row) => {
            let schema = batch.table(row.table);
            let mut line = format!("{} {} #{}", row.op.as_str(), schema.name.table, row.ordinal);
            if let Some(before) = batch.before(row) {
                write!(line, " [{}]", image(schema, before)).expect("a string takes everything");
            }
            if let Some(after) = batch.after(row) {
                write!(line, " {}", image(schema, after)).expect("a string takes everything");
            }
            Some(line)
        }
        SourceEvent::SchemaChanged { table } => {
            let schema = batch.table(*table);
            let column = |column: &Column| {
                let key = if column.identity { "*" } else { "" };
                format!("{}{key} {}", column.name, column.type_name)
            };
            let columns: Vec<String> = schema.columns.iter().map(column).collect();
            Some(format!("schema {} ({})", schema.name.table, columns.join(", ")))
        }
        SourceEvent::TableCleared { table, ordinal, cause } => {
            Some(format!("{cause:?} {} #{ordinal}", batch.table(*table).name.table))
        }
        SourceEvent::Unreadable { table, ordinal, reason } => {
            Some(format!("unreadable {} #{ordinal} {reason}", batch.table(*table).name.table))
        }
    };
    batch.events().iter().filter_map(line).collect()
}

/// `id=1 note='x'`; a value that is not in the image is `~`.
fn image(schema: &TableSchema, image: RowImage<'_>) -> String {
    let column = |(column, value): (&Column, Value<'_>)| {
        let value = match value {
            Value::Null => "null".to_owned(),
            Value::Absent => "~".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::UInt(value) => format!("{value}u"),
            Value::Float(value) => format!("{value:?}"),
            Value::Decimal(text) => format!("decimal {text}"),
            Value::Text(text) if text.len() > 40 => format!("text of {}", text.len()),
            Value::Text(text) => format!("'{text}'"),
            Value::Json(text) => format!("json {text}"),
            Value::Bytes(bytes) => format!("bytes {bytes:02x?}"),
            Value::Timestamp(text) => format!("local {text}"),
            Value::TimestampZoned(text) => format!("utc {text}"),
        };
        format!("{}={value}", column.name)
    };
    schema.columns.iter().zip(image.values()).map(column).collect::<Vec<_>>().join(" ")
}
