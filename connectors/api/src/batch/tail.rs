//! Splitting a batch: what is behind the cut begins a batch of its own.

use super::{Cell, SourceEvent};

/// Leaves what lies behind `at` in `from` and returns what lies before it.
pub(super) fn split_tail<T>(from: &mut Vec<T>, at: usize) -> Vec<T> {
    let tail = from.split_off(at);
    std::mem::replace(from, tail)
}

/// Moves places of a tail that was split off to its new start.
pub(super) struct Rebase {
    pub(super) cells: u32,
    pub(super) data: u32,
}

impl Rebase {
    pub(super) fn cell(&self, cell: &mut Cell) {
        if let Cell::Slice { start, .. } = cell {
            *start -= self.data;
        }
    }

    pub(super) fn event(&self, event: &mut SourceEvent) {
        match event {
            SourceEvent::Begin(begin) => {
                begin.txid.start -= self.data;
                begin.position.start -= self.data;
            }
            SourceEvent::Row(row) => {
                row.before = row.before.map(|start| start - self.cells);
                row.after = row.after.map(|start| start - self.cells);
            }
            _ => {}
        }
    }
}
