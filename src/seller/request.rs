use tokio::sync::oneshot;

/// Somebody wants tables to be read as a whole.
#[derive(Debug)]
pub struct SnapshotRequest {
    /// `schema.table`; every table of the source when not given.
    pub table: Option<String>,
    /// Which tables will be read, once a checkpoint that says so is durable; or why none will.
    pub answer: oneshot::Sender<Result<Vec<String>, String>>,
}

/// Who is told which tables will be read, when what was submitted with it is durable.
pub(super) struct Promise {
    pub(super) tables: Vec<String>,
    pub(super) answer: oneshot::Sender<Result<Vec<String>, String>>,
}

impl Promise {
    pub(super) fn keep(self) {
        // Who has gone need not be told.
        let _ = self.answer.send(Ok(self.tables));
    }
}
