use std::path::{Path, PathBuf};

use async_trait::async_trait;
use connector_api::Result;
use rusqlite::{Connection, OpenFlags, params};
use tokio::task::JoinHandle;

use super::{levels, open};
use crate::sink::{LevelKey, RowEntry, ShardState, Stored, StoredRows};
use crate::stock::{SellerId, SourceName};

/// A seller's database.
type Source = (SellerId, SourceName);

/// Reads what is stored through connections of its own, so that a large cache of one seller does
/// not hold up the commits of the others.
pub(super) struct Reader {
    pub(super) path: PathBuf,
}

#[async_trait]
impl ShardState for Reader {
    async fn load(&self, seller: &SellerId, source: &SourceName) -> Result<Stored> {
        let source = (seller.clone(), source.clone());
        let of = source.clone();
        let (checkpoint, first) = finished(read(&self.path, move |path| {
            let connection = reading(path)?;
            let checkpoint = checkpoint(&connection, &of)?;
            let rows = rows_behind(&connection, &of, ("", ""))?;
            Ok((checkpoint, Piece { connection, rows }))
        }))
        .await?;
        let rows = Rows { path: self.path.clone(), source, next: Some(Next::Read(first)) };
        Ok(Stored { checkpoint, lacking: Vec::new(), rows: Box::new(rows) })
    }

    async fn levels(&self, seller: &SellerId, source: &SourceName) -> Result<Vec<LevelKey>> {
        let (seller, source) = (seller.clone(), source.clone());
        finished(read(&self.path, move |path| levels::read(&reading(path)?, &seller, &source)))
            .await
    }
}

/// Cached rows that are read while those before them are made use of.
struct Rows {
    path: PathBuf,
    source: Source,
    /// None when there are no more.
    next: Option<Next>,
}

enum Next {
    Read(Piece),
    Reading(JoinHandle<Result<Piece>>),
}

/// Neighbouring rows, and where the next ones come from.
struct Piece {
    connection: Connection,
    rows: Vec<RowEntry>,
}

/// The most rows of a piece.
const PIECE: u16 = 4096;

#[async_trait]
impl StoredRows for Rows {
    async fn next(&mut self) -> Result<Vec<RowEntry>> {
        let piece = match self.next.take() {
            None => return Ok(Vec::new()),
            Some(Next::Read(piece)) => piece,
            Some(Next::Reading(reading)) => finished(reading).await?,
        };
        let Piece { connection, rows } = piece;
        if let Some(last) = rows.last().filter(|_| rows.len() == usize::from(PIECE)) {
            let (source, behind) = (self.source.clone(), (last.table.clone(), last.pk.clone()));
            // Nobody else writes them, so what is read piece by piece is of one moment.
            self.next = Some(Next::Reading(read(&self.path, move |_| {
                let rows = rows_behind(&connection, &source, (&behind.0, &behind.1))?;
                Ok(Piece { connection, rows })
            })));
        }
        Ok(rows)
    }
}

/// Reads where it holds up nothing else.
fn read<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> rusqlite::Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        work(&path).map_err(|error| open::classify(&error, &path, "reading what is stored"))
    })
}

async fn finished<T>(reading: JoinHandle<Result<T>>) -> Result<T> {
    reading.await.map_err(|panic| crate::telemetry::panicked("reading what is stored", panic))?
}

/// The stored checkpoints of sources, in their order, for commands beside the process that writes
/// the file. `None` when there is no file yet, or nothing in it.
pub fn checkpoints(path: &Path, sources: &[Source]) -> Result<Option<Vec<Option<String>>>> {
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> rusqlite::Result<Option<Vec<Option<String>>>> {
        let connection = reading(path)?;
        // All tables are made in one transaction, a moment after the file.
        let made = "SELECT EXISTS (SELECT * FROM sqlite_schema)";
        if !connection.query_row(made, [], |row| row.get(0))? {
            return Ok(None);
        }
        let stored = sources.iter().map(|source| checkpoint(&connection, source));
        stored.collect::<rusqlite::Result<_>>().map(Some)
    };
    read().map_err(|error| open::classify(&error, path, "reading what is stored"))
}

fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    Ok(connection)
}

fn checkpoint(
    connection: &Connection,
    (seller, source): &Source,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM checkpoints WHERE seller = ?1 AND source = ?2";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([seller.as_str(), source.as_str()])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

pub(super) const NEXT_ROWS: &str = "SELECT table_name, pk, value FROM rows
    WHERE seller = ?1 AND source = ?2 AND (table_name, pk) > (?3, ?4)
    ORDER BY table_name, pk LIMIT ?5";

/// Cached rows behind that of a table and key, as many as make a piece.
fn rows_behind(
    connection: &Connection,
    (seller, source): &Source,
    (table, pk): (&str, &str),
) -> rusqlite::Result<Vec<RowEntry>> {
    let mut statement = connection.prepare_cached(NEXT_ROWS)?;
    let place = params![seller.as_str(), source.as_str(), table, pk, PIECE];
    let rows = statement.query_map(place, |row| {
        Ok(RowEntry { table: row.get(0)?, pk: row.get(1)?, value: Some(row.get(2)?) })
    })?;
    rows.collect()
}
