use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::Wire;

/// In a steady flow, how long data may lie below the mark. Tokio's timers make it up to twice that.
const TICK: Duration = Duration::from_millis(1);
/// A first burst after silence is not a flow yet: it is measured over this many ticks.
const RECENT: u32 = 4;
/// Less than this, about one row, is not worth a mark.
const LEAST_MARK: usize = 256;
/// More than this makes nothing faster.
const MOST_MARK: usize = 64 << 10;

/// How many bytes the kernel is to collect before it wakes us: one while little arrives, and half
/// of what a tick brings while rows flow. To be woken for each message costs both ends more than
/// what arrives together saves them.
#[derive(Debug)]
pub struct Backlog {
    mark: usize,
    since: Instant,
    bytes: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Self::new()
    }
}

impl Backlog {
    /// One that wants to be woken for every byte.
    #[must_use]
    pub fn new() -> Self {
        Self { mark: 1, since: Instant::now(), bytes: 0 }
    }

    /// Waits until [`Wire::receive`] is worth a try. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn arrival(&self, wire: &Wire) -> io::Result<()> {
        if wire.holds_data() {
            return Ok(());
        }
        if self.mark == 1 {
            return wire.socket().readable().await;
        }
        // To be told takes a thread to be woken, and a server this fast stops in front of a full
        // socket meanwhile.
        if self.mark == MOST_MARK && wire.socket().waiting_bytes()? >= MOST_MARK {
            give_way().await;
            return Ok(());
        }
        // Readiness hides what lies below the mark.
        let tick = tokio::time::timeout_at(self.since + TICK, wire.socket().readable()).await;
        tick.unwrap_or(Ok(()))
    }

    /// Counts what a try has brought, and moves the mark with it.
    ///
    /// # Errors
    /// The kernel refuses the mark.
    pub fn received(&mut self, count: usize, wire: &Wire) -> io::Result<()> {
        match self.counted(count, Instant::now()) {
            Some(mark) => wire.socket().set_low_water_mark(mark),
            None => Ok(()),
        }
    }

    /// The new mark, when it changes.
    fn counted(&mut self, count: usize, now: Instant) -> Option<usize> {
        self.bytes += count;
        let elapsed = now - self.since;
        if elapsed < TICK {
            return None;
        }
        let flows = self.mark > 1 || elapsed < TICK * RECENT;
        let mark = if flows { mark(self.bytes, elapsed) } else { 1 };
        let changed = mark != self.mark;
        *self = Self { mark, since: now, bytes: 0 };
        changed.then_some(mark)
    }
}

/// Lets another thread take this task, while this one goes on with the task it has just woken: the
/// reader of the batch that came before. Tokio keeps that one for the thread that woke it, where it
/// would wait until the log has nothing more to say, with a core idle: 457,000 one-row transactions
/// of MySQL a second instead of 609,000. `yield_now` comes back to the same thread.
async fn give_way() {
    let mut has_given_way = false;
    let once = |context: &mut Context<'_>| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        // A task that is woken while it runs goes to the queue that idle threads take from.
        context.waker().wake_by_ref();
        Poll::Pending
    };
    std::future::poll_fn(once).await;
}

/// The mark for a flow of `bytes` in `elapsed`. In powers of two, so that it seldom moves.
fn mark(bytes: usize, elapsed: Duration) -> usize {
    // A longer time was a pause of our own: the kernel has gone on collecting.
    let ticks = elapsed.min(TICK * RECENT).as_micros() / TICK.as_micros();
    let half = bytes / (2 * usize::try_from(ticks).unwrap_or(1).max(1));
    match half {
        ..LEAST_MARK => 1,
        LEAST_MARK..MOST_MARK => 1 << half.ilog2(),
        MOST_MARK.. => MOST_MARK,
    }
}

#[cfg(test)]
mod tests;
