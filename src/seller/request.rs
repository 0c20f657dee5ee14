use tokio::sync::oneshot;

/// Somebody wants tables to be read as a whole.
#[derive(Debug)]
pub struct SnapshotRequest {
    /// `schema.table`; every table of the source when not given.
    pub table: Option<String>,
    /// Which tables will be read, once a checkpoint that says so is on its way; or why none will.
    pub answer: oneshot::Sender<Result<Vec<String>, String>>,
}
