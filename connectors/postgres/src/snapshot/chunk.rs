use std::sync::Arc;
use std::time::{Duration, Instant};

use connector_api::{CHUNK_BYTES, Chunk, ChunkRequest, Error, Fence, Result, TableName};

use super::channel::{Answer, Channel};
use super::intake::{Intake, Next, key_of};
use super::query::Query;
use super::row::Row;
use super::shape::{self, Shape};
use super::sight::Snapshot;
use super::{GROWTH, Server, TableReader};
use crate::doctor::{literal, qualified};
use crate::position::Lsn;
use crate::session::ServerMessage;

/// Time between two looks at how far the log is on disk.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What a page of the log begins with, and the first page of a file of it, bytes.
const PAGE_HEADER: u64 = 24;
const FILE_HEADER: u64 = 40;

/// SQL: the end of the log, on disk or not; on a standby, of what can be seen.
const WRITTEN: &str = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    ELSE pg_current_wal_insert_lsn() END";
/// SQL: the same, on disk.
const FLUSHED: &str = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    ELSE pg_current_wal_flush_lsn() END";

/// What a read begins with.
struct Opening {
    snapshot: Snapshot,
    /// Everything that the snapshot sees lies before it.
    written: Lsn,
    at_us: i64,
    /// The mark of the table in that snapshot; none when it is not there.
    mark: Option<String>,
    /// When it arrived here: it was taken before.
    arrived: Instant,
}

/// How a read ended.
enum Ending {
    Done,
    /// The connection was left in the middle.
    Left,
    Failed(ServerMessage),
    TooMuch,
}

impl TableReader {
    /// Reads one chunk; `None` when the table was changed, so that rows may be missing.
    pub(super) async fn read(
        &mut self,
        request: &ChunkRequest<'_>,
        shape: &Arc<Shape>,
    ) -> Result<Option<Chunk>> {
        let known = self.tables.get(request.table).map_or(1, |known| known.rows);
        let limit = known.min(request.rows).max(1);
        let after = request.after.map(|after| key_of(after, &shape.key)).transpose()?.flatten();
        let query = Query::of(shape, request.filter, after.as_deref(), limit);
        let begun = Instant::now();
        self.channel.ask(&self.question(request.table, &query)).await?;
        let (opening, intake, mut last, ending) = self.answers(shape, &query).await?;
        let took = begun.elapsed();
        match ending {
            Ending::Done => {}
            Ending::Left => {
                self.channel = Channel::connect(&self.config).await?;
                if let Some(opening) = opening.as_ref().filter(|_| self.server.on_standby) {
                    // It may be another one, which is behind: the next chunk is to see all of this.
                    self.replay(opening.written).await?;
                }
                last = None;
            }
            // What was known of the table may not be true any more.
            Ending::TooMuch => {
                self.channel = Channel::connect(&self.config).await?;
                let changed = self.look(request.table).await?.1.as_ref() != Some(&shape.mark);
                return if changed { Ok(None) } else { Err(self.too_large(shape).await) };
            }
            Ending::Failed(said) => {
                self.give_up().await?;
                let undefined = said.code.starts_with("42");
                let changed =
                    undefined && self.look(request.table).await?.1.as_ref() != Some(&shape.mark);
                return if changed { Ok(None) } else { Err(self.refused(&said, request.table)) };
            }
        }
        let (Some(opening), Some(intake)) = (opening, intake) else {
            return Err(Error::definite("the server has read a table without a word of it"));
        };
        let (flushed, mark) = match last {
            Some(last) => last,
            None => self.look(request.table).await?,
        };
        if [&opening.mark, &mark].into_iter().any(|mark| mark.as_ref() != Some(&shape.mark)) {
            return Ok(None);
        }
        let high = self.on_disk(&opening, flushed).await?;
        self.learn(request.table, limit, &intake);
        let next = intake.next(limit)?;
        let fence = Fence {
            high: high.to_position(),
            sight: Arc::new(opening.snapshot),
            read_at_us: opening.at_us,
        };
        Ok(Some(Chunk { rows: intake.finish(), next, fence, took }))
    }

    /// Several queries in one question, so that the transaction is as short as it can be. A table
    /// that was waited for may have been written anew behind the snapshot, which then sees it
    /// empty: its mark tells.
    fn question(&self, table: &TableName, query: &Query) -> String {
        let marked = self.marked(table);
        let rows = &query.sql;
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SELECT pg_current_snapshot(), {WRITTEN}, pg_is_in_recovery(),
                 (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, {marked};
             {rows};
             COMMIT;
             SELECT {FLUSHED}, {marked}"
        )
    }

    fn marked(&self, table: &TableName) -> String {
        let (mark, named) = (shape::mark(&self.config.publication), shape::named(table));
        format!("(SELECT {mark} FROM {named})")
    }

    /// Takes in what the server answers.
    async fn answers<'a>(&mut self, shape: &'a Shape, query: &Query) -> Result<Answers<'a>> {
        let (mut opening, mut intake, mut last): (Option<Opening>, Option<Intake<'a>>, _) =
            (None, None, None);
        let (mut answered, mut ending) = (0, Ending::Done);
        loop {
            match self.channel.answer().await? {
                // Behind BEGIN.
                Answer::Row(row) if answered == 1 => {
                    let read = Opening::read(&texts(row)?, &self.server)?;
                    intake = Some(Intake::new(shape, query, read.written, read.at_us));
                    opening = Some(read);
                }
                Answer::Row(row) if answered == 2 => {
                    let next = intake.as_mut().map_or(Ok(Next::Go), |intake| intake.take(row))?;
                    match next {
                        Next::Go => {}
                        Next::Leave => return Ok((opening, intake, None, Ending::Left)),
                        Next::TooMuch => return Ok((opening, intake, None, Ending::TooMuch)),
                    }
                }
                Answer::Row(row) => last = Some(flushed_and_mark(&texts(row)?)?),
                Answer::Done => answered += 1,
                Answer::Failed(said) => ending = Ending::Failed(said),
                Answer::Ready => return Ok((opening, intake, last, ending)),
            }
        }
    }

    /// How far the log is on disk, and the mark of a table.
    async fn look(&mut self, table: &TableName) -> Result<(Lsn, Option<String>)> {
        let sql = format!("SELECT {FLUSHED}, {}", self.marked(table));
        let rows = self.rows(&sql, "looking at the log").await?;
        let row: Vec<Option<&str>> = rows.iter().flatten().map(Option::as_deref).collect();
        flushed_and_mark(&row)
    }

    /// Waits until all that the snapshot sees is on disk, where it may not be if its transaction
    /// did not wait for that; the place up to which the stream has to come.
    async fn on_disk(&mut self, opening: &Opening, flushed: Lsn) -> Result<Lsn> {
        let target = self.server.end_of_record(opening.written);
        let settled = opening.arrived + self.server.flushed_within;
        // When the server came to look is not known: however long its answer was on the way.
        let (mut flushed, mut asked) = (flushed, None);
        loop {
            if let Some(high) = reached(target, flushed, asked, settled) {
                return Ok(high);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            asked = Some(Instant::now());
            let rows = self.rows(&format!("SELECT {FLUSHED}, NULL"), "looking at the log").await?;
            let row: Vec<Option<&str>> = rows.iter().flatten().map(Option::as_deref).collect();
            flushed = flushed_and_mark(&row)?.0;
        }
    }

    /// How many rows the next chunk may have, so that few come in vain.
    fn learn(&mut self, table: &TableName, limit: u32, intake: &Intake<'_>) {
        let Some(known) = self.tables.get_mut(table) else { return };
        let fit = u64::from(intake.came) * CHUNK_BYTES as u64 / intake.bytes.max(1) as u64;
        let fit = u32::try_from(fit + fit / 8 + 1).unwrap_or(u32::MAX);
        let more = limit.saturating_mul(GROWTH);
        known.rows = if intake.came == 0 { more } else { more.min(fit) };
    }

    async fn too_large(&mut self, shape: &Shape) -> Error {
        let sql = format!("SELECT pg_size_pretty(pg_table_size({}::oid))", literal(&shape.oid));
        let size = match self.rows(&sql, "measuring a table").await {
            Ok(rows) => rows.into_iter().flatten().next().flatten().unwrap_or_default(),
            Err(error) => return error,
        };
        let name = qualified(&shape.name);
        Error::operator(
            format!(
                "{name} has no key to read it by in pieces, and is too large to be read at once: \
                 {size} on disk"
            ),
            format!(
                "ALTER TABLE {name} ADD PRIMARY KEY (...); or a unique index of columns that are \
                 NOT NULL"
            ),
        )
    }
}

/// Up to where everything before `target` lies that is visible, by a look that was `asked` for
/// then; `None` where one has to look again. What is left in a look after `settled` is no
/// transaction: nobody hurries to write it.
fn reached(target: Lsn, flushed: Lsn, asked: Option<Instant>, settled: Instant) -> Option<Lsn> {
    if flushed >= target {
        return Some(target);
    }
    asked.filter(|asked| *asked >= settled).map(|_| flushed)
}

type Answers<'a> = (Option<Opening>, Option<Intake<'a>>, Option<(Lsn, Option<String>)>, Ending);

impl Opening {
    fn read(row: &[Option<&str>], server: &Server) -> Result<Self> {
        let cell = |place: usize| row.get(place).copied().flatten();
        let on_standby = cell(2) == Some("t");
        if on_standby != server.on_standby {
            return Err(Error::transient("the server has been promoted"));
        }
        let arrived = Instant::now();
        let opening = || {
            Some(Self {
                arrived,
                snapshot: Snapshot::parse(cell(0)?, on_standby)?,
                written: cell(1)?.parse().ok()?,
                at_us: cell(3)?.parse().ok()?,
                mark: cell(4).map(str::to_owned),
            })
        };
        opening().ok_or_else(|| Error::definite("the server does not say what it reads"))
    }
}

fn texts(row: Row<'_>) -> Result<Vec<Option<&str>>> {
    row.texts().ok_or_else(|| Error::definite("the server sent a row that is none"))
}

fn flushed_and_mark(row: &[Option<&str>]) -> Result<(Lsn, Option<String>)> {
    let cell = |place: usize| row.get(place).copied().flatten();
    let flushed = cell(0).and_then(|text| text.parse().ok());
    let flushed = flushed.ok_or_else(|| Error::definite("the server's log has no end"))?;
    Ok((flushed, cell(1).map(str::to_owned)))
}

impl Server {
    /// The end of the record before `place`. At the end of a page the server prints where the next
    /// record would begin, behind a header that nobody has written yet.
    fn end_of_record(&self, place: Lsn) -> Lsn {
        if place.0 % self.log_file == FILE_HEADER {
            Lsn(place.0 - FILE_HEADER)
        } else if place.0 % self.log_page == PAGE_HEADER {
            Lsn(place.0 - PAGE_HEADER)
        } else {
            place
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_was_asked_for_too_early_is_no_end_however_late_its_answer_comes() {
        let (target, before) = (Lsn(0x200), Lsn(0x100));
        let settled = Instant::now();
        let early = settled.checked_sub(Duration::from_millis(1));
        // The look that the read ends with may have been taken at any time.
        for asked in [None, early] {
            assert_eq!(reached(target, before, asked, settled), None);
            assert_eq!(reached(target, target, asked, settled), Some(target));
            assert_eq!(reached(target, Lsn(0x300), asked, settled), Some(target));
        }
        assert_eq!(reached(target, before, Some(settled), settled), Some(before));
    }

    #[test]
    fn a_record_ends_before_the_header_of_a_page_that_is_not_there_yet() {
        let server = Server {
            version: 150_000,
            on_standby: false,
            log_page: 8192,
            log_file: 16 << 20,
            flushed_within: Duration::ZERO,
        };
        for (printed, end) in [
            (0x0200_0018, 0x0200_0018 - 24),
            (0x0100_2018, 0x0100_2000),
            (0x0100_0028, 0x0100_0000),
            (0x0100_2028, 0x0100_2028),
            (0x0100_2020, 0x0100_2020),
            (0x0100_2000, 0x0100_2000),
        ] {
            assert_eq!(server.end_of_record(Lsn(printed)), Lsn(end), "{printed:x}");
        }
    }
}
