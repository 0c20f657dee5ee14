use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::session::Wire;
use crate::socket::BACKLOG_MARK;

/// While a backlog drains, how long data may lie below the mark.
const TICK: Duration = Duration::from_millis(5);
/// Bytes in a tick that make a backlog: 6 MiB a second.
const BACKLOG: usize = 32 << 10;
/// A first burst after silence is not a backlog yet: it is measured over this many ticks.
const RECENT: u32 = 4;

/// Whether the kernel is to wake us for every byte or for 64 KiB.
#[derive(Debug)]
pub(super) struct Backlog {
    marked: bool,
    since: Instant,
    bytes: usize,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self { marked: false, since: Instant::now(), bytes: 0 }
    }

    /// Waits until [`Wire::receive`] is worth a try. Cancel-safe.
    pub(super) async fn arrival(&self, wire: &Wire) -> io::Result<()> {
        if wire.holds_data() {
            return Ok(());
        }
        if !self.marked {
            return wire.socket().readable().await;
        }
        // Readiness hides what lies below the mark.
        let tick = tokio::time::timeout_at(self.since + TICK, wire.socket().readable()).await;
        tick.unwrap_or(Ok(()))
    }

    /// Counts what a try has brought; sets the mark while much arrives and takes it away when
    /// little does.
    pub(super) fn received(&mut self, count: usize, wire: &Wire) -> io::Result<()> {
        if let Some(marked) = self.counted(count, Instant::now()) {
            wire.socket().set_low_water_mark(if marked { BACKLOG_MARK } else { 1 })?;
        }
        Ok(())
    }

    /// Whether the mark changes, and to what.
    fn counted(&mut self, count: usize, now: Instant) -> Option<bool> {
        self.bytes += count;
        let elapsed = now - self.since;
        if elapsed < TICK {
            return None;
        }
        let recent = elapsed < TICK * RECENT;
        let marked = self.bytes >= BACKLOG && (self.marked || recent);
        let changed = marked != self.marked;
        *self = Self { marked, since: now, bytes: 0 };
        changed.then_some(marked)
    }
}

#[cfg(test)]
mod tests;
