use std::sync::Arc;
use std::time::Instant;

use connector_api::{
    Chunk, ChunkRequest, Condition, Connector, Cursor, Error, Position, Result, SourceEvent,
    TableName,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::progress::Pace;
use crate::sink::{LevelKey, ShardState};
use crate::stock::{SellerId, SourceName};

/// What is to be read of a table.
pub(super) struct Order {
    pub(super) table: TableName,
    pub(super) columns: Vec<String>,
    pub(super) filter: Option<Condition>,
    /// Behind which row.
    pub(super) after: Option<Cursor>,
    /// Up to here the log has been followed: nothing of it may be missing from the rows.
    pub(super) position: Position,
    pub(super) pace: Pace,
}

/// What a task beside the stream has found.
pub(in crate::seller) enum Found {
    /// Rows are on their way; about so many.
    Settled(Option<u64>),
    /// Some rows.
    Chunk(Box<Chunk>),
    /// What is published of the source.
    Levels(Vec<LevelKey>),
    /// It cannot go on.
    Failed(Error),
}

/// A task beside the stream. Ends when dropped.
pub(super) struct Reading {
    found: mpsc::Receiver<Found>,
    task: JoinSet<()>,
}

impl Reading {
    /// Reads a table chunk by chunk. One chunk is held ready while the next one is read.
    pub(super) fn of_table(connector: Arc<dyn Connector>, order: Order) -> Self {
        Self::begin(|found| async move {
            if let Err(error) = read(connector.as_ref(), order, &found).await {
                // Nobody listens any more: it does not matter what went wrong.
                let _ = found.send(Found::Failed(error)).await;
            }
        })
    }

    /// Asks the sink what is published.
    pub(super) fn of_levels(
        state: Arc<dyn ShardState>,
        seller: SellerId,
        source: SourceName,
    ) -> Self {
        Self::begin(|found| async move {
            let levels = state.levels(&seller, &source).await;
            let _ = found.send(levels.map_or_else(Found::Failed, Found::Levels)).await;
        })
    }

    fn begin<T>(work: impl FnOnce(mpsc::Sender<Found>) -> T) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (sender, found) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(work(sender));
        Self { found, task }
    }

    /// What has been found next; pending for ever when there is nothing more. Cancel-safe.
    pub(super) async fn next(&mut self) -> Found {
        if let Some(found) = self.found.recv().await {
            return found;
        }
        match self.task.join_next().await {
            Some(Err(panic)) => Found::Failed(crate::telemetry::panicked("reading a table", panic)),
            Some(Ok(())) | None => std::future::pending().await,
        }
    }

    /// The same, if it is there already.
    pub(super) fn try_next(&mut self) -> Option<Found> {
        self.found.try_recv().ok()
    }
}

/// A column that was asked for, which rows lack.
fn missing<'o>(chunk: &Chunk, wanted: &'o [String]) -> Option<&'o String> {
    let row = chunk.rows.events().iter().find_map(|event| match event {
        SourceEvent::Row(row) => Some(row),
        _ => None,
    })?;
    let has =
        |column: &String| chunk.rows.table(row.table).columns.iter().any(|it| it.name == *column);
    wanted.iter().find(|column| !has(column))
}

async fn read(
    connector: &dyn Connector,
    mut order: Order,
    found: &mpsc::Sender<Found>,
) -> Result<()> {
    let mut reader = connector.snapshot_reader().await?;
    reader.settle(&order.position).await?;
    let estimated = reader.estimated_rows(&order.table).await?;
    // An error of the channel means that nobody waits for the rows any more.
    let gone = |_| Error::transient("the rows are not wanted any more");
    let mut settled = Some(Found::Settled(estimated));
    loop {
        let request = ChunkRequest {
            table: &order.table,
            columns: &order.columns,
            filter: order.filter.as_ref(),
            after: order.after.as_ref(),
            rows: order.pace.rows(),
        };
        let begun = Instant::now();
        let chunk = reader.chunk(&request).await?;
        if let Some(column) = missing(&chunk, &order.columns) {
            return Err(Error::operator(
                format!("column {column} is not in table {} any more", order.table),
                "map another column, or give the table that one back",
            ));
        }
        // Only now is it known that the table may be read at all.
        if let Some(settled) = settled.take() {
            found.send(settled).await.map_err(gone)?;
        }
        let rows = u32::try_from(chunk.rows.events().len()).unwrap_or(u32::MAX);
        let took = chunk.took;
        order.after.clone_from(&chunk.next);
        let is_last = chunk.next.is_none();
        found.send(Found::Chunk(Box::new(chunk))).await.map_err(gone)?;
        if is_last {
            return Ok(());
        }
        let pause = order.pace.pause_after(rows, took, begun.elapsed());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}
