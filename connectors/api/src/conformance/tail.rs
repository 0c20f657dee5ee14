use std::collections::VecDeque;
use std::time::Duration;

use crate::{
    Batch, Begin, Capture, ChangeStream, Connector, Error, Op, ResumePoint, RowImage, SourceEvent,
    TableSchema, Value,
};

/// How long a change may take to arrive on a slow machine.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// An event as it can be compared: columns and values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Row { table: String, op: Op, ordinal: u32, before: Option<String>, after: Option<String> },
    Shape(Vec<String>),
    Cleared { table: String, ordinal: u32 },
    Unreadable { table: String },
    Commit,
}

/// A stream, and the place a checkpoint would hold after what was read of it.
pub(super) struct Tail {
    pub(super) stream: Box<dyn ChangeStream>,
    pub(super) point: ResumePoint,
    /// Coordinates of the transactions seen.
    pub(super) coordinates: Vec<u64>,
    /// Their ids.
    pub(super) txids: Vec<String>,
    /// Every event in every word, for who compares two readings of one log.
    pub(super) words: Vec<String>,
    seen: VecDeque<Seen>,
}

impl Tail {
    pub(super) async fn from_now_on(connector: &dyn Connector, capture: Capture) -> Self {
        let point = connector.establish(&capture).await.expect("a position is established");
        Self::open(connector, point).await
    }

    pub(super) async fn open(connector: &dyn Connector, point: ResumePoint) -> Self {
        let opened = connector.open(point.clone(), point.capture.clone()).await;
        let stream = opened.expect("the stream opens");
        let (coordinates, txids, words) = (Vec::new(), Vec::new(), Vec::new());
        Self { stream, point, coordinates, txids, words, seen: VecDeque::new() }
    }

    /// The next batch, which may tell of progress alone.
    pub(super) async fn batch(&mut self) -> Result<Batch, Error> {
        let read = tokio::time::timeout(SOON, self.stream.read()).await;
        let batch = read.expect("a batch in time")?;
        self.take(&batch);
        Ok(batch)
    }

    /// Takes in a batch that was read from the stream itself.
    pub(super) fn take(&mut self, batch: &Batch) {
        self.point.follow(batch);
        for event in batch.events() {
            if let SourceEvent::Begin(begin) = event {
                self.coordinates.push(begin.coordinate);
                self.txids.push(batch.text(begin.txid).to_owned());
            }
            self.words.push(words(batch, event));
            self.seen.extend(seen(batch, event));
        }
    }

    /// What was taken in and not looked at yet.
    pub(super) fn seen_so_far(&mut self) -> Vec<Seen> {
        self.seen.drain(..).collect()
    }

    pub(super) async fn next(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.seen.pop_front() {
                return seen;
            }
            self.batch().await.expect("the stream goes on");
        }
    }

    /// Everything up to the end of the next transaction, or of this one.
    pub(super) async fn transaction(&mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Seen::Commit => return all,
                seen => all.push(seen),
            }
        }
    }

    /// What was done, what was before and what is after, for a transaction of one row.
    pub(super) async fn one_row(&mut self) -> (Op, Option<String>, Option<String>) {
        let mut all = self.transaction().await;
        match (all.pop(), all.is_empty()) {
            (Some(Seen::Row { op, before, after, .. }), true) => (op, before, after),
            other => panic!("not one row: {other:?} after {all:?}"),
        }
    }

    pub(super) async fn close(self) {
        self.stream.close().await.expect("the stream closes");
    }
}

/// `id=1 qty=null note=absent`.
pub(super) fn image(schema: &TableSchema, image: RowImage<'_>) -> String {
    let column = |(column, value): (&crate::Column, Value<'_>)| {
        let value = match value {
            Value::Null => "null".to_owned(),
            Value::Absent => "absent".to_owned(),
            Value::Int(value) => value.to_string(),
            Value::Text(text) => format!("'{text}'"),
            other => format!("{other:?}"),
        };
        format!("{}={value}", column.name)
    };
    schema.columns.iter().zip(image.values()).map(column).collect::<Vec<_>>().join(" ")
}

fn seen(batch: &Batch, event: &SourceEvent) -> Option<Seen> {
    Some(match event {
        SourceEvent::Begin(_) => return None,
        SourceEvent::Row(row) => {
            let schema = batch.table(row.table);
            Seen::Row {
                table: schema.name.table.clone(),
                op: row.op,
                ordinal: row.ordinal,
                before: batch.before(row).map(|row| image(schema, row)),
                after: batch.after(row).map(|row| image(schema, row)),
            }
        }
        SourceEvent::Commit => Seen::Commit,
        SourceEvent::SchemaChanged { table } => {
            let columns = &batch.table(*table).columns;
            Seen::Shape(columns.iter().map(|column| column.name.clone()).collect())
        }
        SourceEvent::TableCleared { table, ordinal, .. } => {
            Seen::Cleared { table: batch.table(*table).name.table.clone(), ordinal: *ordinal }
        }
        SourceEvent::Unreadable { table, .. } => {
            Seen::Unreadable { table: batch.table(*table).name.table.clone() }
        }
    })
}

/// All that a batch says with an event.
fn words(batch: &Batch, event: &SourceEvent) -> String {
    let table = |index: &u32| batch.table(*index);
    match event {
        SourceEvent::Begin(begin) => {
            let (txid, position) = (batch.text(begin.txid), batch.text(begin.position));
            let Begin { coordinate, committed_at_us, first_ordinal, .. } = begin;
            format!("begin {txid} {position} {coordinate} {committed_at_us} from {first_ordinal}")
        }
        SourceEvent::Row(row) => {
            let values =
                |image: RowImage<'_>| image.values().map(|value| format!("{value:?}")).collect();
            let images: [Option<Vec<String>>; 2] =
                [batch.before(row).map(values), batch.after(row).map(values)];
            format!("{} {:?} {:?} {images:?}", row.ordinal, row.op, table(&row.table))
        }
        SourceEvent::SchemaChanged { table: index } => format!("schema {:?}", table(index)),
        SourceEvent::TableCleared { table: index, ordinal, cause } => {
            format!("{ordinal} {cause:?} {:?}", table(index))
        }
        SourceEvent::Unreadable { table: index, ordinal, reason } => {
            format!("{ordinal} unreadable {:?}: {reason}", table(index))
        }
        SourceEvent::Commit => "commit".to_owned(),
    }
}
