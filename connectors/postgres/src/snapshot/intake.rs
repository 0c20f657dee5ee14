use std::borrow::Cow;

use connector_api::{
    Batch, BatchBuilder, BeginText, CHUNK_BYTES, Cell, Cursor, Error, KEYLESS_BYTES, Op, Result,
};

use super::query::Query;
use super::row::Row;
use super::shape::{KeyColumn, Shape};
use crate::position::Lsn;

/// Bytes behind the end of a chunk for which it is not worth to leave the connection.
const REST: usize = 4 * CHUNK_BYTES;

/// What is to be done with the rows to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// They are welcome.
    Go,
    /// There are so many of them, and none is taken any more, that it is better to leave.
    Leave,
    /// They are more than may be held at once.
    TooMuch,
}

/// Takes in the rows of one chunk.
pub(super) struct Intake<'a> {
    shape: &'a Shape,
    marks: bool,
    builder: BatchBuilder,
    table: u32,
    place: String,
    /// Rows that came, wanted or not.
    pub(super) came: u32,
    /// Their bytes.
    pub(super) bytes: usize,
    /// Whether the chunk was full before its last row came.
    pub(super) is_cut: bool,
    passed_over: usize,
    /// The last row's, in the order of the key.
    last_key: Vec<Option<Vec<u8>>>,
}

impl<'a> Intake<'a> {
    /// For rows that are read at `place`, at `at_us` microseconds since 1970.
    pub(super) fn new(shape: &'a Shape, query: &Query, place: Lsn, at_us: i64) -> Self {
        let position = place.to_position();
        let mut builder = BatchBuilder::in_one_piece(&position);
        let table = builder.table(&shape.schema);
        let place = position.as_str().to_owned();
        let (coordinate, txid) = (Lsn::from_position(&position).map_or(0, |lsn| lsn.0), "");
        builder.begin(BeginText { coordinate, committed_at_us: at_us, txid, position: &place });
        Self {
            shape,
            marks: query.marks,
            builder,
            table,
            place,
            came: 0,
            bytes: 0,
            is_cut: false,
            passed_over: 0,
            last_key: vec![None; shape.key.len()],
        }
    }

    pub(super) fn take(&mut self, row: Row<'_>) -> Result<Next> {
        if self.is_cut {
            self.passed_over += row.bytes();
            return Ok(if self.passed_over > REST { Next::Leave } else { Next::Go });
        }
        self.came += 1;
        self.bytes += row.bytes();
        let wanted = !(self.marks && row.ends_in_false());
        self.push(row, wanted)?;
        if self.shape.key.is_empty() {
            let cells = self.came as usize * (1 + self.shape.read.len());
            let held = self.bytes + cells * size_of::<Cell>();
            return Ok(if held > KEYLESS_BYTES { Next::TooMuch } else { Next::Go });
        }
        self.is_cut = self.bytes >= CHUNK_BYTES;
        Ok(Next::Go)
    }

    fn push(&mut self, mut row: Row<'_>, wanted: bool) -> Result<()> {
        let image = wanted.then(|| self.builder.image());
        for (place, read) in self.shape.read.iter().enumerate() {
            let column = row.column().ok_or_else(|| self.malformed())?;
            if let Some(key) = self.shape.key.iter().position(|key| key.place == place) {
                remember(&mut self.last_key[key], column);
            }
            match (read.reading.filter(|_| wanted), column) {
                (Some(reading), Some(raw)) => reading.push(raw, &mut self.builder),
                (Some(_), None) => self.builder.push(Cell::Null),
                (None, _) => {}
            }
        }
        if self.marks {
            row.column().ok_or_else(|| self.malformed())?;
        }
        if !row.is_over() {
            return Err(self.malformed());
        }
        if let Some(image) = image {
            self.builder.row(self.table, Op::Insert, None, Some(image));
        }
        Ok(())
    }

    fn malformed(&self) -> Error {
        let (name, count) = (&self.shape.name, self.shape.read.len());
        Error::definite(format!("the server sent a row of {name} that has not {count} columns"))
    }

    /// Where the next chunk begins, unless this was the last.
    pub(super) fn next(&self, limit: u32) -> Result<Option<Cursor>> {
        let keyed = !self.shape.key.is_empty();
        // Of rows that are looked at and not wanted only the last comes.
        let goes_on = self.is_cut || self.came >= limit || (self.marks && self.came > 0);
        if keyed && goes_on { self.cursor().map(Some) } else { Ok(None) }
    }

    fn cursor(&self) -> Result<Cursor> {
        let text = |(column, value): (&KeyColumn, &Option<Vec<u8>>)| {
            let value = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
            value.map(|value| (column.name.clone(), value.to_owned()))
        };
        let key: Option<Vec<_>> = self.shape.key.iter().zip(&self.last_key).map(text).collect();
        let name = &self.shape.name;
        let key = key.ok_or_else(|| {
            Error::operator(
                format!("a key of {name} is not UTF-8: its chunks cannot be told apart"),
                "mend the row, or give the table a key without text",
            )
        })?;
        let json = serde_json::to_string(&key);
        json.map(Cursor::new)
            .map_err(|error| Error::bug("a cursor cannot be written").because(error))
    }

    pub(super) fn finish(mut self) -> Batch {
        self.builder.commit(&self.place);
        self.builder.take()
    }
}

/// Keeps a value without a new allocation where there is one.
fn remember(kept: &mut Option<Vec<u8>>, value: Option<&[u8]>) {
    match (kept.as_mut(), value) {
        (Some(kept), Some(value)) => {
            kept.clear();
            kept.extend_from_slice(value);
        }
        (_, value) => *kept = value.map(<[u8]>::to_vec),
    }
}

/// The key a cursor stands for; `None` when it is of another key than the table has by now, so that
/// the table is read from its first row again.
pub(super) fn key_of(cursor: &Cursor, key: &[KeyColumn]) -> Result<Option<Vec<String>>> {
    let parsed: Vec<(Cow<'_, str>, String)> =
        serde_json::from_str(cursor.as_str()).map_err(|_| {
            Error::definite(format!("{} is not a place in a PostgreSQL table", cursor.as_str()))
        })?;
    let same = parsed.iter().map(|(name, _)| &**name).eq(key.iter().map(|column| &*column.name));
    Ok(same.then(|| parsed.into_iter().map(|(_, value)| value).collect()))
}
