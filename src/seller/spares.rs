use crate::stock::encode::Records;

/// Buffers that circulate: one is filled while the other is on its way to the sink.
const KEPT: usize = 2;

/// Buffers of events that are durable, for events to come: memory that was given back costs a page
/// fault for every few events when it is had again.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: Vec<Records>,
}

impl Spares {
    /// Keeps a buffer, unless all of them would hold more than `most_bytes`.
    pub(super) fn keep(&mut self, mut buffer: Records, most_bytes: usize) {
        let kept: usize = self.buffers.iter().map(Records::room).sum();
        if self.buffers.len() < KEPT && kept + buffer.room() <= most_bytes {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// An empty buffer.
    pub(super) fn take(&mut self) -> Records {
        self.buffers.pop().unwrap_or_default()
    }

    /// Gives the memory back.
    pub(super) fn clear(&mut self) {
        self.buffers.clear();
    }
}
