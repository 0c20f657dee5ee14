use connector_api::{
    Chunk, ChunkRequest, Condition, Connector as _, Cursor, Error, Position, SnapshotReader,
    TableName,
};
use connector_postgres::{PostgresConfig, PostgresConnector};

use super::{lines, within};

/// Reads a table as a snapshot does.
pub struct Shelf {
    pub reader: Box<dyn SnapshotReader>,
    pub table: TableName,
    pub columns: Vec<String>,
    pub filter: Option<Condition>,
}

impl Shelf {
    pub async fn open(config: PostgresConfig, table: &str, columns: &[&str]) -> Self {
        Self::of(&PostgresConnector::new(config), table, columns).await
    }

    pub async fn of(connector: &PostgresConnector, table: &str, columns: &[&str]) -> Self {
        let reader = within("a reader", connector.snapshot_reader()).await.unwrap();
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Self { reader, table: TableName::new("public", table), columns, filter: None }
    }

    pub async fn settle(&mut self, position: &str) {
        let position = Position::new(position);
        within("settling", self.reader.settle(&position)).await.unwrap();
    }

    pub async fn try_chunk(&mut self, after: Option<&Cursor>, rows: u32) -> Result<Chunk, Error> {
        let Self { reader, table, columns, filter } = self;
        let request = ChunkRequest { table, columns, filter: filter.as_ref(), after, rows };
        within("a chunk", reader.chunk(&request)).await
    }

    pub async fn chunk(&mut self, after: Option<&Cursor>, rows: u32) -> Chunk {
        self.try_chunk(after, rows).await.unwrap()
    }

    /// Every row, chunk by chunk.
    pub async fn whole(&mut self, rows: u32) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let chunk = self.chunk(after.as_ref(), rows).await;
            all.extend(values(&chunk));
            after = chunk.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

/// The rows of a chunk: `id=1 qty=5`.
pub fn values(chunk: &Chunk) -> Vec<String> {
    let row = |line: String| {
        let (_, row) = line.split_once(" #").unwrap();
        row.split_once(' ').unwrap().1.to_owned()
    };
    lines(&chunk.rows).into_iter().map(row).collect()
}
