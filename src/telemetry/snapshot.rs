use serde::{Deserialize, Serialize};

/// How far a table is that is being read as a whole, as its driver says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotStatus {
    /// `schema.table`.
    pub table: String,
    /// What is being done with it, one word.
    pub phase: &'static str,
    /// Rows of it that have been read. The first status of a table says with how many it begins.
    pub rows: u64,
    /// About how many it has; `None` when the server does not know.
    pub estimated_rows: Option<u64>,
}

impl SnapshotStatus {
    /// Rows that were read since `before`. A table that begins, or begins anew, counts from there.
    pub(super) fn rows_since(&self, before: Option<&SnapshotStatus>) -> u64 {
        let of_same = before.filter(|before| before.table == self.table);
        of_same.and_then(|before| self.rows.checked_sub(before.rows)).unwrap_or(0)
    }
}

/// The same in `/v1/sellers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotProgress {
    /// `schema.table`.
    pub table: String,
    /// What is being done with it, one word.
    pub phase: String,
    /// Rows of it that have been read.
    pub rows: u64,
    /// About how many it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
}

impl SnapshotProgress {
    /// How much of the table has been read, per cent. An estimate is no more than that: what is
    /// not done is never shown as a hundred.
    pub fn percent(&self) -> Option<u64> {
        let about = self.estimated_rows.filter(|about| *about > 0)?;
        Some((self.rows.saturating_mul(100) / about).min(99))
    }
}

impl From<&SnapshotStatus> for SnapshotProgress {
    fn from(status: &SnapshotStatus) -> Self {
        let SnapshotStatus { table, phase, rows, estimated_rows } = status.clone();
        Self { table, phase: phase.to_owned(), rows, estimated_rows }
    }
}
