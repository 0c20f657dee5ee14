use connector_api::{Batch, Error, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A task that reads a log, and the batches it has ready. It ends with this.
#[derive(Debug)]
pub struct ReaderTask {
    batches: mpsc::Receiver<Batch>,
    task: Option<JoinHandle<Result<()>>>,
}

impl ReaderTask {
    /// Starts the task that sends `batches`.
    pub fn start(
        batches: mpsc::Receiver<Batch>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        Self { batches, task: Some(tokio::spawn(work)) }
    }

    /// The next batch. Cancel-safe.
    ///
    /// # Errors
    /// What the task ended with.
    pub async fn read(&mut self) -> Result<Batch> {
        if let Some(batch) = self.batches.recv().await {
            return Ok(batch);
        }
        let Some(task) = &mut self.task else {
            return Err(Error::bug("a stream is read after its end"));
        };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(Ok(())) => Err(Error::transient("the stream has ended")),
            Ok(Err(error)) => Err(error),
            // What it says may quote a row, and is told where panics are.
            Err(_) => Err(Error::bug("the task of the stream ended")),
        }
    }

    /// Waits until the task has ended, which was told to.
    ///
    /// # Errors
    /// What it ended with.
    pub async fn ended(mut self) -> Result<()> {
        // What is still coming is not wanted any more; it comes again.
        self.batches.close();
        match self.task.take() {
            Some(task) => task.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}

impl Drop for ReaderTask {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
