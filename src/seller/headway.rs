use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a seller has come further than it was: that more is durable of its log or of a table
/// than when it began. Whoever only begins again and again has not.
#[derive(Debug, Clone, Default)]
pub struct Headway {
    made: Arc<AtomicBool>,
    /// Of all sellers of a shard.
    any: Arc<AtomicBool>,
}

impl Headway {
    /// That of another seller of the same shard.
    pub fn of_another(&self) -> Self {
        Self { made: Arc::default(), any: Arc::clone(&self.any) }
    }

    pub(super) fn is_made(&self) {
        self.made.store(true, Ordering::Relaxed);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether there was any since this was asked last.
    pub fn take(&self) -> bool {
        self.made.swap(false, Ordering::Relaxed)
    }

    /// Whether any seller of the shard has made some.
    pub fn is_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }
}
