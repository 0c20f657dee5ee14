use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// How long a commit may take until it is told that the sink takes none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the writer that all sellers of a shard share comes to the end of its commits.
#[derive(Debug, Clone, Default)]
pub(super) struct Stall(Arc<Mutex<Option<Pending>>>);

/// The oldest commit that is not durable.
#[derive(Debug)]
struct Pending {
    since: Instant,
    error: Option<String>,
}

/// A sink that takes nothing, and why not.
#[derive(Debug)]
pub(super) struct Stalled {
    pub(super) since: Timestamp,
    pub(super) reason: String,
}

impl Stalled {
    pub(super) const FIX: &str = "have the sink take commits again: nothing is lost meanwhile, and \
                                  it goes on by itself";
}

impl Stall {
    /// Since when the oldest commit that is not durable has been under way, if there is one.
    pub(super) fn pending(&self, since: Option<Instant>) {
        let mut pending = self.locked();
        if pending.as_ref().map(|pending| pending.since) != since {
            *pending = since.map(|since| Pending { since, error: None });
        }
    }

    /// It failed, and is tried again.
    pub(super) fn failed(&self, error: String) {
        if let Some(pending) = self.locked().as_mut() {
            pending.error = Some(error);
        }
    }

    pub(super) fn stalled(&self) -> Option<Stalled> {
        let pending = self.locked();
        let Pending { since, error } = pending.as_ref()?;
        let elapsed = since.elapsed();
        (elapsed > PATIENCE).then(|| {
            let error = error.as_deref().unwrap_or("it has not answered yet");
            let ago = SignedDuration::try_from(elapsed).unwrap_or_default();
            let reason = format!("the sink takes no commits: {error}");
            Stalled { since: Timestamp::now() - ago, reason }
        })
    }

    #[cfg(test)]
    pub(super) fn oldest(&self) -> Option<(Instant, Option<String>)> {
        self.locked().as_ref().map(|pending| (pending.since, pending.error.clone()))
    }

    /// A panic elsewhere leaves a whole assignment behind.
    fn locked(&self) -> MutexGuard<'_, Option<Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
