use std::sync::Arc;
use std::time::Duration;

use connector_api::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections to a source there may be at once. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Connections(Option<Limit>);

#[derive(Debug, Clone)]
struct Limit {
    most: usize,
    free: Arc<Semaphore>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connections {
    /// No more than so many.
    pub fn at_most(most: usize) -> Self {
        Self(Some(Limit { most, free: Arc::new(Semaphore::new(most)) }))
    }

    /// Waits for one to be free.
    ///
    /// # Errors
    /// None is for so long.
    pub async fn enter(&self, patience: Duration) -> Result<Place> {
        let Some(Limit { most, free }) = &self.0 else { return Ok(Place { _permit: None }) };
        let entering = tokio::time::timeout(patience, Arc::clone(free).acquire_owned()).await;
        let permit = entering.ok().and_then(|entered| entered.ok()).ok_or_else(|| {
            let what = format!("all {most} connections this source may have are in use");
            Error::transient(what)
        })?;
        Ok(Place { _permit: Some(permit) })
    }
}

/// How many are in use is no part of what a source is.
impl PartialEq for Connections {
    fn eq(&self, other: &Self) -> bool {
        let most = |connections: &Self| connections.0.as_ref().map(|limit| limit.most);
        most(self) == most(other)
    }
}

impl Eq for Connections {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn clones_count_together_and_a_place_that_is_left_is_free() {
        let connections = Connections::at_most(2);
        let first = connections.enter(SOON).await.unwrap();
        let _second = connections.clone().enter(SOON).await.unwrap();
        let error = connections.enter(SOON).await.unwrap_err();
        assert!(error.to_string().contains("all 2 connections"), "{error}");
        drop(first);
        connections.enter(SOON).await.unwrap();
        let unlimited = Connections::default();
        let many = [unlimited.enter(SOON).await, unlimited.enter(SOON).await];
        assert!(many.iter().all(Result::is_ok));
    }
}
