use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};

use crate::stock::encode::timestamp;
use crate::telemetry::now_us;

/// How far apart the notes of what was published when are.
const MARK_EVERY_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * MARK_EVERY_US;

/// Events deleted in one go at the least, and the time between two goes: far more than anybody
/// publishes all day, and a few milliseconds that a commit may have to wait for.
const AT_ONCE: usize = 2000;
const PAUSE: Duration = Duration::from_millis(250);
/// The time between two looks when nothing is old enough.
const REST: Duration = Duration::from_secs(60);

/// Lets events go some days after they were published.
///
/// Their commit times cannot say when: a source that was away for a month publishes events that
/// are old already and that nobody has read, and one with a wrong clock would keep or drop them at
/// will. So `published` notes once an hour which sequence number was reached. This machine's own
/// clock can be wrong as well: one that has no battery begins in 1970. What follows a note that is
/// young enough is young, whatever the notes behind it say, and one of the future says nothing.
#[derive(Debug)]
pub(super) struct Retention {
    days: Option<u32>,
    marked_us: Option<i64>,
    next: Instant,
    /// Events written since some were deleted.
    written: usize,
}

impl Retention {
    pub(super) fn new(days: Option<u32>) -> Self {
        Self { days, marked_us: None, next: Instant::now(), written: 0 }
    }

    /// Notes in a commit that events up to `seq` were published by now, when the last note is old.
    /// Returns the time of the note for [`Retention::committed`].
    pub(super) fn mark(
        &self,
        transaction: &Transaction<'_>,
        seq: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let now = now_us();
        let is_recent = |marked: i64| (marked..marked + MARK_EVERY_US).contains(&now);
        if self.marked_us.is_some_and(is_recent) {
            return Ok(None);
        }
        let sql = "INSERT INTO published VALUES (?1, ?2)";
        transaction.prepare_cached(sql)?.execute(params![seq, timestamp(now)])?;
        Ok(Some(now))
    }

    /// A commit of so many events, and perhaps a note, has succeeded.
    pub(super) fn committed(&mut self, events: usize, marked_us: Option<i64>) {
        self.written += events;
        self.marked_us = marked_us.or(self.marked_us);
    }

    /// Deletes some of what is old when it is time for it: twice what was written meanwhile, so
    /// that a flood does not outgrow it.
    pub(super) fn retire(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(days) = self.days else { return Ok(()) };
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + PAUSE;
        let now_us = now_us();
        let times = [timestamp(now_us - i64::from(days) * DAY_US), timestamp(now_us)];
        let sql = "SELECT max(seq) FROM published WHERE at < ?1 AND seq < coalesce(
            (SELECT min(seq) FROM published WHERE at BETWEEN ?1 AND ?2), 9223372036854775807)";
        let old: Option<i64> =
            connection.prepare_cached(sql)?.query_row(times, |row| row.get(0))?;
        let deleted = match old {
            Some(old) => delete(connection, old, AT_ONCE.max(2 * self.written))?,
            None => 0,
        };
        self.written = 0;
        if deleted == 0 {
            connection
                .prepare_cached("DELETE FROM published WHERE seq <= ?1")?
                .execute([old.unwrap_or(0)])?;
            self.next = now + REST;
        }
        Ok(())
    }
}

/// Deletes the first events up to the sequence number `old`. The newest event stays, because the
/// next sequence number is counted from it.
fn delete(connection: &Connection, old: i64, at_once: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM events WHERE seq <= ?1
        AND seq < (SELECT min(seq) FROM events) + ?2 AND seq < (SELECT max(seq) FROM events)";
    let at_once = i64::try_from(at_once).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute([old, at_once])
}
