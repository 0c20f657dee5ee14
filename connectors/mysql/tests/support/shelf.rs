//! Tables, read as one seller's snapshot reads them.

use std::time::Duration;

use connector_api::{
    Batch, Chunk, ChunkRequest, Condition, Connector as _, Cursor, Error, Position, RowChange,
    SnapshotReader, SourceEvent, TableName,
};
use connector_mysql::MysqlConnector;

use super::{Reader, Shop, within};

/// Time between two questions how far a stream has come.
const A_MOMENT: Duration = Duration::from_millis(20);

pub struct Shelf {
    pub reader: Box<dyn SnapshotReader>,
    schema: String,
    pub filter: Option<Condition>,
}

impl Shelf {
    pub async fn open(shop: &Shop) -> Self {
        Self::of(&shop.connector(), shop.server.database()).await
    }

    pub async fn of(connector: &MysqlConnector, schema: &str) -> Self {
        let reader = within("a reader", connector.snapshot_reader()).await.unwrap();
        Self { reader, schema: schema.to_owned(), filter: None }
    }

    pub async fn try_chunk(
        &mut self,
        table: &str,
        columns: &[&str],
        after: Option<&Cursor>,
        rows: u32,
    ) -> Result<Chunk, Error> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let request = ChunkRequest {
            table: &TableName::new(&*self.schema, table),
            columns: &columns,
            filter: self.filter.as_ref(),
            after,
            rows,
        };
        within("a chunk", self.reader.chunk(&request)).await
    }

    pub async fn chunk(
        &mut self,
        table: &str,
        columns: &[&str],
        after: Option<&Cursor>,
        rows: u32,
    ) -> Chunk {
        let chunk = self.try_chunk(table, columns, after, rows).await;
        chunk.unwrap_or_else(|error| panic!("{table}: {error}, {:?}", error.fault()))
    }

    /// All chunks of a table.
    pub async fn chunks(&mut self, table: &str, columns: &[&str], rows: u32) -> Vec<Chunk> {
        let mut chunks: Vec<Chunk> = Vec::new();
        loop {
            let after = chunks.last().and_then(|chunk| chunk.next.clone());
            chunks.push(self.chunk(table, columns, after.as_ref(), rows).await);
            if chunks.last().unwrap().next.is_none() {
                return chunks;
            }
        }
    }

    /// All rows of a table, as they came.
    pub async fn rows(&mut self, table: &str, columns: &[&str], rows: u32) -> Vec<String> {
        self.chunks(table, columns, rows).await.iter().flat_map(lines).collect()
    }

    pub async fn settle(&mut self, position: &Position) {
        within("settling", self.reader.settle(position)).await.unwrap();
    }
}

/// The rows of a chunk: `Int(1) Text("a")`.
pub fn lines(chunk: &Chunk) -> Vec<String> {
    let batch = &chunk.rows;
    assert!(batch.partial().is_none());
    let row = |event: &SourceEvent| match event {
        SourceEvent::Row(row) => Some(line(batch, row)),
        _ => None,
    };
    batch.events().iter().filter_map(row).collect()
}

fn line(batch: &Batch, row: &RowChange) -> String {
    let values = batch.after(row).unwrap().values();
    values.map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ")
}

/// A transaction as a stream gives it.
#[derive(Debug)]
pub struct Transaction {
    pub coordinate: u64,
    pub txid: String,
    pub rows: Vec<String>,
}

/// Reads a stream until it covers `target`, which must not take a change of its own.
pub async fn follow(shop: &Shop, reader: &mut Reader, target: &Position) -> Vec<Transaction> {
    let connector = shop.connector();
    let mut transactions: Vec<Transaction> = Vec::new();
    let reading = async {
        while !connector.covers(&reader.point.position, target) {
            reader.stream.hurry();
            let read = tokio::time::timeout(A_MOMENT, reader.stream.read()).await;
            let Ok(batch) = read else { continue };
            let batch = batch.unwrap();
            reader.point.follow(&batch);
            for event in batch.events() {
                match event {
                    SourceEvent::Begin(begin) => {
                        let (coordinate, txid) = (begin.coordinate, batch.text(begin.txid));
                        let txid = txid.to_owned();
                        transactions.push(Transaction { coordinate, txid, rows: Vec::new() });
                    }
                    SourceEvent::Row(row) => {
                        let last = transactions.last_mut().unwrap();
                        last.rows.push(line(&batch, row));
                    }
                    _ => {}
                }
            }
        }
    };
    within(&format!("the stream at {target}"), reading).await;
    transactions
}
