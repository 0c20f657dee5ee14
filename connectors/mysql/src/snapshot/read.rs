//! One chunk: a transaction that sees one moment, and its rows.

use std::sync::Arc;
use std::time::Instant;

use connector_api::{
    BatchBuilder, BeginText, CHUNK_BYTES, Chunk, ChunkRequest, Cursor, Error, Fence, KEYLESS_BYTES,
    Op, Result, Sight,
};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, Value};

use super::cursor::Place;
use super::fence::{Before, LogEnd, has_distributed};
use super::filter::rendered;
use super::table::{Plan, Shape, too_large};
use super::{MysqlSnapshot, fault, quote};
use crate::log::Flavor;
use crate::value::{Scratch, Selected};

/// Both families read rows as of this statement from here on, and lock none of them.
pub(super) const START: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
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
        let shape = Shape::of(&mut self.client, request.table).await;
        let shape = shape.map_err(|error| self.failed(error))?;
        let ended = self.client.query_drop("COMMIT").await;
        ended.map_err(|error| self.failed(error))?;
        if shape.as_ref() != Some(&plan.shape) {
            self.plan_for(request.table, request.columns, shape).await?;
            return Ok(None);
        }
        let high = match seen.is_exact {
            true => seen.end.position(),
            false => self.log_end().await?.position(),
        };
        let Rows { mut builder, count, next } = rows;
        plan.learn(count, builder.data_bytes(), CHUNK_BYTES);
        self.plan = Some(plan);
        builder.commit(high.as_str());
        let fence = Fence { high, sight: seen.sight, read_at_us: seen.end.read_at_us };
        Ok(Some(Chunk { rows: builder.take(), next, fence, took }))
    }

    /// Begins a transaction of which is known what it sees; `None` when it has to be begun anew.
    async fn begin(&mut self, plan: &Plan) -> Result<Option<Seen>> {
        let is_mariadb = self.client.flavor() == Flavor::MariaDb;
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
        self.client.query_drop(START).await.map_err(|error| self.failed(error))?;
        let Some(before) = before.filter(|_| !tells) else { return self.snapshot(settled).await };
        let sight = before.sight(settled);
        Ok(Some(Seen { end: before, sight, is_exact: false }))
    }

    /// The place of the log that the snapshot is.
    async fn snapshot(&mut self, settled: u64) -> Result<Option<Seen>> {
        let end = LogEnd::of_snapshot(&mut self.client).await;
        let end = end.map_err(|failed| failed.into_error(|error| self.failed(error)))?;
        let may_not_tell = has_distributed(&mut self.client).await;
        let may_not_tell = may_not_tell.map_err(|error| self.failed(error))?;
        if may_not_tell && !self.has_distributed {
            self.has_distributed = true;
            self.client.query_drop("COMMIT").await.map_err(|error| self.failed(error))?;
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
        let row: Option<Row> = match self.client.exec_first(sql, ()).await {
            Ok(row) => row,
            Err(error) => return Err(self.refused(error, plan)),
        };
        let Some(row) = row else { return Ok(None) };
        let values = (0..key.parts.len()).filter_map(|nth| row.as_ref(nth));
        key.behind(values).map(Some).ok_or_else(|| no_key(plan))
    }

    async fn rows(&mut self, plan: &Plan, part: &Part, seen: &LogEnd) -> Result<Rows> {
        let flavor = self.client.flavor();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut filling = Filling::new(plan, seen);
        let read = filling.read(&mut self.client, part, flavor, &mut scratch).await;
        self.scratch = scratch;
        let is_full = match read {
            Ok(is_full) => is_full,
            Err(Broken::Sql(error)) => return Err(self.refused(error, plan)),
            Err(Broken::Value(error)) => return Err(error),
        };
        let Filling { builder, count, last, is_too_large, .. } = filling;
        if is_too_large {
            let size = format!("more than {} MiB of captured columns", KEYLESS_BYTES >> 20);
            return Err(too_large(&plan.name, &size, &self.account));
        }
        let next = match &plan.key {
            Some(_) if is_full => Some(last.ok_or_else(|| no_key(plan))?),
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
    Sql(mysql_async::Error),
    Value(Error),
}

impl From<mysql_async::Error> for Broken {
    fn from(error: mysql_async::Error) -> Self {
        Self::Sql(error)
    }
}

/// A chunk that rows come into.
struct Filling<'p> {
    plan: &'p Plan,
    builder: BatchBuilder,
    table: u32,
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
            columns: Vec::new(),
            count: 0,
            last: None,
            is_too_large: false,
        }
    }

    /// Reads all rows. Returns whether there may be more than were taken.
    async fn read(
        &mut self,
        client: &mut mysql_async::Conn,
        part: &Part,
        flavor: Flavor,
        scratch: &mut Scratch,
    ) -> Result<bool, Broken> {
        let statement = client.prep(&*part.sql).await?;
        let mut result = client.exec_iter(&statement, ()).await?;
        for (nth, column) in result.columns_ref().iter().take(self.width()).enumerate() {
            let read = Selected::of(column, flavor);
            let name = &self.plan.schema.columns[nth].name;
            let of = |why| Broken::Value(fault::unreadable(&self.plan.name, name, &why));
            self.columns.push(read.map_err(of)?);
        }
        let (mut is_full, mut last) = (false, None);
        while let Some(row) = result.next().await? {
            // What comes behind a full chunk is left to the next one.
            if is_full {
                continue;
            }
            self.push(&row, scratch)?;
            last = Some(row);
            let bytes = self.builder.data_bytes();
            self.is_too_large = self.plan.key.is_none() && bytes > KEYLESS_BYTES;
            if self.is_too_large {
                // Nobody goes on with this connection.
                return Ok(true);
            }
            is_full = self.count >= part.limit || self.plan.key.is_some() && bytes >= CHUNK_BYTES;
        }
        result.drop_result().await?;
        client.close(statement).await?;
        if let (Some(key), Some(row)) = (&self.plan.key, last) {
            let parts = self.plan.key_places.iter().filter_map(|&place| row.as_ref(place));
            self.last = key.behind(parts);
        }
        Ok(is_full)
    }

    fn width(&self) -> usize {
        self.plan.schema.columns.len()
    }

    fn push(&mut self, row: &Row, scratch: &mut Scratch) -> Result<(), Broken> {
        let image = self.builder.image();
        for (nth, column) in self.columns.iter().enumerate() {
            let value = row.as_ref(nth).unwrap_or(&Value::NULL);
            column.push(value, scratch, &mut self.builder).map_err(|why| {
                let name = &self.plan.schema.columns[nth].name;
                Broken::Value(fault::unreadable(&self.plan.name, name, &why))
            })?;
        }
        self.builder.row(self.table, Op::Insert, None, Some(image));
        self.count += 1;
        Ok(())
    }
}
