//! One chunk: a transaction that sees one moment, and its rows.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use connector_api::{
    BatchBuilder, BeginText, CHUNK_BYTES, Chunk, ChunkRequest, Cursor, Error, Fence, KEYLESS_BYTES,
    Op, Result, Sight,
};

use super::cursor::{Key, Place};
use super::fence::{Before, LogEnd, START};
use super::filter::rendered;
use super::table::{Plan, Shape, too_large};
use super::{MysqlSnapshot, fault, quote};
use crate::log::Flavor;
use crate::session::{Arrived, ResultColumn, Session, Unanswered};
use crate::value::{Encoding, Field, Fields, Scratch, Selected, Unreadable};

/// Rows that are gone through for each that may come, where a condition leaves some out.
const WINDOW: u32 = 16;

/// What of the log the transaction sees.
struct Seen {
    end: LogEnd,
    sight: Arc<dyn Sight>,
    /// No transaction behind `end` can have been seen.
    is_exact: bool,
}

/// The rows that were read.
struct Rows {
    builder: BatchBuilder,
    count: u32,
    /// Behind the last one.
    next: Option<Cursor>,
}

/// A table's part that a chunk is read from.
struct Part {
    sql: String,
    limit: u32,
    /// Behind the last row that was gone through, when all that are wanted have come.
    end: Option<Cursor>,
}

impl MysqlSnapshot {
    /// Reads a chunk; `None`, and there is another plan, when the table is not what it was.
    pub(super) async fn read_chunk(&mut self, request: &ChunkRequest<'_>) -> Result<Option<Chunk>> {
        let Some(mut plan) = self.plan.take() else { return Ok(None) };
        let Some(seen) = self.begin(&plan).await? else {
            self.plan = Some(plan);
            return Ok(None);
        };
        let started = Instant::now();
        let part = self.part(&plan, request).await?;
        let rows = self.rows(&plan, &part, &seen.end).await?;
        let took = started.elapsed();
        // Behind the read nobody alters the table before the transaction ends.
        let shape = Shape::at_the_end(&mut self.session, request.table).await;
        let shape = shape.map_err(|error| self.failed(error))?;
        if shape.as_ref() != Some(&plan.shape) {
            self.plan_for(request.table, request.columns, shape).await?;
            return Ok(None);
        }
        let high = match seen.is_exact {
            true => seen.end.position(),
            false => self.log_end().await?.position(),
        };
        let Rows { mut builder, count, next } = rows;
        plan.learn(count, builder.bytes(), CHUNK_BYTES);
        self.plan = Some(plan);
        builder.commit(high.as_str());
        let fence = Fence { high, sight: seen.sight, read_at_us: seen.end.read_at_us };
        Ok(Some(Chunk { rows: builder.take(), next, fence, took }))
    }

    /// Begins a transaction of which is known what it sees; `None` when it has to be begun anew.
    async fn begin(&mut self, plan: &Plan) -> Result<Option<Seen>> {
        let is_mariadb = self.session.flavor() == Flavor::MariaDb;
        let tells = is_mariadb && plan.is_innodb();
        let mut before = None;
        if !tells || self.has_distributed {
            let end = self.log_end().await?;
            self.settled.note(end.clone());
            if !(end.names_all && plan.has_read_view()) {
                before = self.settled.wait().await.cloned();
            }
            // What has a name need not settle, where it is seen when it is executed.
            before = before.or(Some(end));
        }
        let settled = self.settled.coordinate();
        let Some(before) = before.filter(|_| !tells) else { return self.snapshot(settled).await };
        self.tell(START).await?;
        let sight = before.sight(settled);
        Ok(Some(Seen { end: before, sight, is_exact: false }))
    }

    /// Begins a transaction that is a place of the log.
    async fn snapshot(&mut self, settled: u64) -> Result<Option<Seen>> {
        let began = LogEnd::begin(&mut self.session).await;
        let (end, may_not_tell) =
            began.map_err(|failed| failed.into_error(|error| self.failed(error)))?;
        if may_not_tell && !self.has_distributed {
            self.has_distributed = true;
            self.tell("COMMIT").await?;
            return Ok(None);
        }
        let seen = match may_not_tell {
            true => settled.min(end.coordinate()),
            false => end.coordinate(),
        };
        Ok(Some(Seen { end, sight: Arc::new(Before(seen)), is_exact: !may_not_tell }))
    }

    /// What to select.
    async fn part(&mut self, plan: &Plan, request: &ChunkRequest<'_>) -> Result<Part> {
        let filter = request.filter.and_then(|filter| rendered(filter, &plan.shape.columns));
        let (selected, table) = (plan.selected.join(", "), quote::table(&plan.name));
        let Some(key) = &plan.key else {
            let filter = filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"));
            let sql = format!("SELECT {selected} FROM {table}{filter}");
            return Ok(Part { sql, limit: u32::MAX, end: None });
        };
        let limit = request.rows.min(plan.likely_rows).max(1);
        // A cursor of another key is of no use: what was read by it is read again.
        let after: Option<Place> = request.after.and_then(|cursor| key.place(cursor));
        let mut conditions: Vec<String> = after.iter().map(|place| key.is_behind(place)).collect();
        let hint = key
            .index
            .as_ref()
            .map_or_else(String::new, |index| format!(" FORCE INDEX ({})", quote::column(index)));
        let mut end = None;
        if let Some(filter) = filter {
            let behind = conditions.first().map(String::as_str);
            end = self.window_end(plan, &hint, behind, limit.saturating_mul(WINDOW)).await?;
            conditions.extend(end.iter().filter_map(|end| {
                key.place(end).map(|place| format!("({})", key.is_up_to(&place)))
            }));
            if let Some(first) = conditions.first_mut().filter(|_| after.is_some()) {
                *first = format!("({first})");
            }
            conditions.push(filter);
        }
        let conditions = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        let order = key.order();
        let sql = format!(
            "SELECT {selected} FROM {table}{hint}{conditions} ORDER BY {order} LIMIT {limit}"
        );
        Ok(Part { sql, limit, end })
    }

    /// Where so many rows end, whether they are wanted or not: a condition that is true of few must
    /// not make one chunk go through the whole table.
    async fn window_end(
        &mut self,
        plan: &Plan,
        hint: &str,
        behind: Option<&str>,
        rows: u32,
    ) -> Result<Option<Cursor>> {
        let Some(key) = &plan.key else { return Ok(None) };
        let parts: Vec<String> =
            key.parts.iter().map(|part| part.kind.selected(&part.name)).collect();
        let behind = behind.map_or_else(String::new, |behind| format!(" WHERE {behind}"));
        let sql = format!(
            "SELECT {} FROM {}{hint}{behind} ORDER BY {} LIMIT 1 OFFSET {}",
            parts.join(", "),
            quote::table(&plan.name),
            key.order(),
            rows - 1
        );
        match place_of(&mut self.session, key, &sql).await {
            Ok(place) => Ok(place),
            Err(Broken::Sql(error)) => Err(self.refused(error, plan)),
            Err(Broken::Value(error)) => Err(error),
            Err(Broken::Key) => Err(no_key(plan)),
        }
    }

    async fn rows(&mut self, plan: &Plan, part: &Part, seen: &LogEnd) -> Result<Rows> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut filling = Filling::new(plan, seen);
        let read = filling.read(&mut self.session, part, &mut scratch).await;
        self.scratch = scratch;
        let is_full = match read {
            Ok(is_full) => is_full,
            Err(Broken::Sql(error)) => return Err(self.refused(error, plan)),
            Err(Broken::Value(error)) => return Err(error),
            Err(Broken::Key) => return Err(no_key(plan)),
        };
        let Filling { builder, count, last, is_too_large, .. } = filling;
        if is_too_large {
            let size = format!("more than {} MiB in memory", KEYLESS_BYTES >> 20);
            return Err(too_large(&plan.name, &size, &self.account));
        }
        let next = match &plan.key {
            Some(_) if is_full => last,
            _ => part.end.clone(),
        };
        Ok(Rows { builder, count, next })
    }
}

fn no_key(plan: &Plan) -> Error {
    Error::definite(format!(
        "the key of table {} has a value that cannot be compared with",
        quote::table(&plan.name)
    ))
}

/// What ended a read.
enum Broken {
    Sql(Unanswered),
    Value(Error),
    /// A value of the key is none that can be compared with.
    Key,
}

impl From<Unanswered> for Broken {
    fn from(error: Unanswered) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Sql(error.into())
    }
}

/// The place behind the one row of a question for the values of a key.
async fn place_of(session: &mut Session, key: &Key, sql: &str) -> Result<Option<Cursor>, Broken> {
    let mut rows = session.select(sql).await?;
    let encodings = rows.columns().iter().map(Encoding::of);
    let encodings = encodings.collect::<Result<Vec<_>, _>>().map_err(strange)?;
    let mut place = None;
    loop {
        match rows.arrived()? {
            None => rows.more().await?,
            Some(Arrived::End) => return Ok(place),
            Some(Arrived::Row(row)) => {
                let fields = fields(row, &encodings).map_err(strange)?;
                place = Some(key.behind(&fields).ok_or(Broken::Key)?);
            }
        }
    }
}

fn fields<'r>(row: &'r [u8], encodings: &[Encoding]) -> Result<Vec<Field<'r>>, Unreadable> {
    let mut fields = Fields::of(row, encodings.len())?;
    encodings.iter().map(|encoding| fields.next(*encoding)).collect()
}

/// No server answers so.
fn strange(why: impl Display) -> Broken {
    Broken::Value(Error::transient(format!("the server sent rows that cannot be read: {why}")))
}

/// A chunk that rows come into.
struct Filling<'p> {
    plan: &'p Plan,
    builder: BatchBuilder,
    table: u32,
    /// Of all columns of the result.
    encodings: Vec<Encoding>,
    /// Of those that are captured, which come first.
    columns: Vec<Selected>,
    count: u32,
    /// Behind the last row.
    last: Option<Cursor>,
    /// It has to be read at once, and is more than that.
    is_too_large: bool,
}

impl<'p> Filling<'p> {
    fn new(plan: &'p Plan, seen: &LogEnd) -> Self {
        let mut builder = BatchBuilder::in_one_piece(&seen.position());
        let position = format!("{}:{}", seen.place.file, seen.place.offset);
        builder.begin(BeginText {
            coordinate: seen.coordinate(),
            committed_at_us: seen.read_at_us,
            txid: &position,
            position: &position,
        });
        let table = builder.table(&plan.schema);
        Self {
            plan,
            builder,
            table,
            encodings: Vec::new(),
            columns: Vec::new(),
            count: 0,
            last: None,
            is_too_large: false,
        }
    }

    /// Reads all rows. Returns whether there may be more than were taken.
    async fn read(
        &mut self,
        session: &mut Session,
        part: &Part,
        scratch: &mut Scratch,
    ) -> Result<bool, Broken> {
        let flavor = session.flavor();
        let mut rows = session.select(&part.sql).await?;
        self.describe(rows.columns(), flavor)?;
        let mut is_full = false;
        loop {
            let row = match rows.arrived()? {
                None => {
                    rows.more().await?;
                    continue;
                }
                Some(Arrived::End) => return Ok(is_full),
                // What comes behind a full chunk is left to the next one.
                Some(Arrived::Row(_)) if is_full => continue,
                Some(Arrived::Row(row)) => row,
            };
            self.push(row, scratch)?;
            let bytes = self.builder.bytes();
            self.is_too_large = self.plan.key.is_none() && bytes > KEYLESS_BYTES;
            if self.is_too_large {
                // Nobody goes on with this connection.
                return Ok(true);
            }
            is_full = self.count >= part.limit || self.plan.key.is_some() && bytes >= CHUNK_BYTES;
            if let Some(key) = self.plan.key.as_ref().filter(|_| is_full) {
                let fields = fields(row, &self.encodings).map_err(strange)?;
                let places = self.plan.key_places.iter();
                let values: Option<Vec<_>> = places.map(|&nth| fields.get(nth).copied()).collect();
                let behind = values.and_then(|values| key.behind(&values));
                self.last = Some(behind.ok_or(Broken::Key)?);
            }
        }
    }

    /// Learns how the values stand in the rows, and how those that are captured are read.
    fn describe(&mut self, columns: &[ResultColumn], flavor: Flavor) -> Result<(), Broken> {
        let (found, wanted) = (columns.len(), self.plan.selected.len());
        if found != wanted {
            return Err(strange(format!("they have {found} columns instead of {wanted}")));
        }
        for (nth, column) in columns.iter().enumerate() {
            let encoding = Encoding::of(column).map_err(|why| self.unreadable(nth, why))?;
            self.encodings.push(encoding);
            if nth < self.plan.schema.columns.len() {
                let read = Selected::of(column, flavor);
                self.columns.push(read.map_err(|why| self.unreadable(nth, why))?);
            }
        }
        Ok(())
    }

    /// A value of a column that is not read. One of the key alone has no name that anybody knows.
    fn unreadable(&self, nth: usize, why: Unreadable) -> Broken {
        match self.plan.schema.columns.get(nth) {
            Some(column) if why != Unreadable::Short => {
                Broken::Value(fault::unreadable(&self.plan.name, &column.name, &why))
            }
            _ => strange(why),
        }
    }

    fn push(&mut self, row: &[u8], scratch: &mut Scratch) -> Result<(), Broken> {
        let image = self.builder.image();
        let mut fields = Fields::of(row, self.encodings.len()).map_err(strange)?;
        for (nth, encoding) in self.encodings.iter().enumerate() {
            let pushed = fields.next(*encoding).and_then(|field| match self.columns.get(nth) {
                Some(column) => column.push(field, scratch, &mut self.builder),
                None => Ok(()),
            });
            pushed.map_err(|why| self.unreadable(nth, why))?;
        }
        if !fields.is_at_end() {
            return Err(strange("one has more than its columns"));
        }
        self.builder.row(self.table, Op::Insert, None, Some(image));
        self.count += 1;
        Ok(())
    }
}
