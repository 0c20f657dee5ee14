use std::collections::BTreeMap;

use connector_api::{Batch, Capture, Cursor, Lineage, Position, ResumePoint};
use serde::{Deserialize, Serialize};

/// The format written by this version; a greater one is refused. The next one is 4: what is left of
/// a source that was forgotten has 3.
const FORMAT: u32 = 2;

/// Which mapping wrote a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingRevision {
    /// Rises whenever `hash` changes.
    pub number: u32,
    /// Of the canonical mapping text, 32 hex digits.
    pub hash: String,
}

/// How far the reading of a table has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SnapshotPhase {
    /// Its rows are being read.
    Reading {
        /// Behind which row; before the first one without.
        after: Option<Cursor>,
    },
    /// Every row has been read; what is known and was not seen is taken for deleted.
    Sweeping,
}

/// A table that is being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSnapshot {
    /// `schema.table`.
    pub table: String,
    /// Rises with every snapshot of the source.
    pub number: u32,
    /// What it is made for.
    pub reason: String,
    /// A hash of what its rows mean.
    pub meaning: String,
    /// The version that stood for "now" when it began: a key that was published last before it, and
    /// not since, has no row.
    pub since: String,
    /// How far it has come.
    pub phase: SnapshotPhase,
    /// Whether its beginning has been told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// Rows read.
    pub rows: u64,
    /// Levels published.
    pub keys: u64,
    /// Published keys that turned out to have no row.
    pub removed: u64,
    /// The sum of each measure over the published levels, canonical decimals.
    pub sums: BTreeMap<String, String>,
}

/// Everything a source needs to go on exactly where its last commit ended. Stored by the sink in
/// the same atomic step as the events before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    format: u32,
    /// Tenant.
    pub seller: String,
    /// Database of the tenant.
    pub source: String,
    /// The log's identity, the end of the last complete transaction, and how far into the next.
    pub point: ResumePoint,
    /// High part of every version.
    pub epoch: u32,
    /// Synthetic events emitted since `point.position` last moved.
    pub synthetic: u32,
    /// Which mapping wrote it.
    pub mapping: MappingRevision,
    /// Tables whose published levels may be wrong until a snapshot, and why.
    pub dirty_tables: BTreeMap<String, String>,
    /// The table that is being read to mend that, one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<TableSnapshot>,
    /// Snapshots of tables that were ever begun.
    #[serde(default)]
    pub snapshots: u32,
    /// Tables that have been read whole, and a hash of what their rows meant then.
    #[serde(default)]
    pub complete: BTreeMap<String, String>,
}

/// Stored bytes that are not a checkpoint this version can continue from.
#[derive(Debug, thiserror::Error)]
pub enum UnusableCheckpoint {
    /// Written by a later version.
    #[error("the checkpoint has format {found}, this version reads up to {FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// Not a checkpoint at all, or damaged.
    #[error("the checkpoint is damaged")]
    Damaged(#[source] serde_json::Error),
    /// Stored under another source's name.
    #[error("the checkpoint is of {found}, not of {wanted}")]
    Misplaced {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
}

impl Checkpoint {
    /// The first checkpoint of a source.
    pub fn first(
        seller: &str,
        source: &str,
        point: ResumePoint,
        mapping: MappingRevision,
    ) -> Checkpoint {
        Checkpoint {
            format: FORMAT,
            seller: seller.to_owned(),
            source: source.to_owned(),
            point,
            epoch: 1,
            synthetic: 0,
            mapping,
            dirty_tables: BTreeMap::new(),
            snapshot: None,
            snapshots: 0,
            complete: BTreeMap::new(),
        }
    }

    /// The stored form: one line of JSON.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a checkpoint has only text keys")
    }

    /// Reads the stored form back. Refuses anything it does not wholly understand: a checkpoint
    /// half understood is a gap.
    pub fn decode(text: &str, seller: &str, source: &str) -> Result<Self, UnusableCheckpoint> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_str(text).map_err(UnusableCheckpoint::Damaged)?;
        if format > FORMAT {
            return Err(UnusableCheckpoint::Newer { found: format });
        }
        let mut checkpoint: Self =
            serde_json::from_str(text).map_err(UnusableCheckpoint::Damaged)?;
        checkpoint.format = FORMAT;
        if (checkpoint.seller.as_str(), checkpoint.source.as_str()) != (seller, source) {
            let found = format!("{}/{}", checkpoint.seller, checkpoint.source);
            return Err(UnusableCheckpoint::Misplaced {
                found,
                wanted: format!("{seller}/{source}"),
            });
        }
        Ok(checkpoint)
    }

    /// The checkpoint behind a batch.
    pub fn follow(&mut self, batch: &Batch) {
        self.moves_to(batch.end());
        self.point.follow(batch);
    }

    /// The checkpoint behind the last complete transaction before `end`.
    pub fn complete(&mut self, end: &Position) {
        self.moves_to(end);
        self.point.position = end.clone();
        self.point.partial = None;
    }

    fn moves_to(&mut self, end: &Position) {
        if self.point.position != *end {
            self.synthetic = 0;
        }
    }

    /// Starts a new system of coordinates at `point`: every version from here on is greater.
    pub fn begin_epoch(&mut self, point: ResumePoint) {
        self.point = point;
        self.epoch += 1;
        self.synthetic = 0;
    }

    /// Replaces what is captured, and what the server was set to send of it. Only between
    /// transactions: an open one was counted under the old capture.
    pub fn recapture(&mut self, capture: Capture, coverage: String) {
        assert!(self.point.partial.is_none(), "capture changes between transactions");
        self.point.capture = capture;
        self.point.coverage = coverage;
    }

    /// What is known of a table is not to be relied on until it has been read. A snapshot of it
    /// that is under way begins anew.
    pub fn taint(&mut self, table: String, reason: String) {
        self.snapshot.take_if(|snapshot| snapshot.table == table);
        self.dirty_tables.insert(table, reason);
    }

    /// What is known of every table is not to be relied on: these, by name, have lost something.
    pub fn doubt(&mut self, lacking: &[String]) {
        if lacking.is_empty() {
            return;
        }
        let reason = format!("{} had lost something", lacking.join(", "));
        let captured = self.point.capture.tables.iter().map(|table| table.name.to_string());
        let tables: Vec<String> = captured.chain(self.complete.keys().cloned()).collect();
        self.complete.clear();
        for table in tables {
            self.taint(table, reason.clone());
        }
    }

    /// The log this checkpoint's position belongs to.
    pub fn lineage(&self) -> &Lineage {
        &self.point.lineage
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use connector_api::Partial;
    use proptest::prelude::*;

    use super::*;

    fn sample(position: &str, partial: Option<(String, u32)>, epoch: u32) -> Checkpoint {
        let point = ResumePoint {
            partial: partial.map(|(txid, rows)| Partial { txid, rows }),
            ..ResumePoint::new(
                Lineage::new("7/1/slot"),
                Position::new(position),
                Capture::default(),
            )
        };
        let mapping = MappingRevision { number: 3, hash: "00".repeat(16) };
        Checkpoint { epoch, ..Checkpoint::first("acme", "main", point, mapping) }
    }

    proptest! {
        #[test]
        fn a_checkpoint_survives_its_stored_form(
            position in ".*", partial in any::<Option<(String, u32)>>(), epoch in any::<u32>(),
        ) {
            let checkpoint = sample(&position, partial, epoch);
            let back = Checkpoint::decode(&checkpoint.encode(), "acme", "main").unwrap();
            prop_assert_eq!(back, checkpoint);
        }
    }

    #[test]
    fn a_checkpoint_of_a_later_version_is_refused_and_says_so() {
        let text = sample("0/1", None, 1).encode().replacen("\"format\":2", "\"format\":9", 1);
        let error = Checkpoint::decode(&text, "acme", "main").unwrap_err();
        assert_eq!(error.to_string(), "the checkpoint has format 9, this version reads up to 2");
    }

    #[test]
    fn a_checkpoint_of_the_first_format_has_read_no_table_yet() {
        let mut value: serde_json::Value =
            serde_json::from_str(&sample("0/1", None, 1).encode()).unwrap();
        let object = value.as_object_mut().unwrap();
        object.insert("format".to_owned(), 1.into());
        assert!(object.remove("complete").is_some() && object.remove("snapshots").is_some());
        let back = Checkpoint::decode(&value.to_string(), "acme", "main").unwrap();
        assert_eq!(back, sample("0/1", None, 1));
    }

    #[test]
    fn a_table_that_cannot_be_relied_on_is_not_read_to_the_end() {
        let mut checkpoint = sample("0/1", None, 1);
        checkpoint.snapshot = Some(TableSnapshot {
            table: "public.stock".into(),
            number: 1,
            reason: "first start".into(),
            meaning: String::new(),
            since: String::new(),
            phase: SnapshotPhase::Sweeping,
            told: true,
            rows: 0,
            keys: 0,
            removed: 0,
            sums: BTreeMap::new(),
        });
        checkpoint.taint("public.other".into(), "truncate".into());
        assert!(checkpoint.snapshot.is_some());
        checkpoint.taint("public.stock".into(), "truncate".into());
        assert!(checkpoint.snapshot.is_none());
        assert_eq!(checkpoint.dirty_tables.len(), 2);
    }

    #[test]
    fn where_rows_were_lost_no_table_is_complete_and_all_are_read_again() {
        let mut checkpoint = sample("0/1", None, 1);
        checkpoint.complete.insert("public.stock".into(), String::new());
        let before = checkpoint.clone();
        checkpoint.doubt(&[]);
        assert_eq!(checkpoint, before);
        checkpoint.doubt(&["topic tailstock.rows".into()]);
        assert!(checkpoint.complete.is_empty());
        assert_eq!(
            checkpoint.dirty_tables,
            [("public.stock".to_owned(), "topic tailstock.rows had lost something".to_owned())]
                .into()
        );
    }

    #[test]
    fn a_truncated_checkpoint_is_damaged_at_every_length() {
        let text = sample("0/1", Some(("7".into(), 8192)), 1).encode();
        for len in 0..text.len() {
            assert!(Checkpoint::decode(&text[..len], "acme", "main").is_err());
        }
    }

    #[test]
    fn the_synthetic_counter_restarts_when_the_position_moves() {
        let mut checkpoint = sample("0/1", None, 1);
        checkpoint.synthetic = 5;
        checkpoint.complete(&Position::new("0/1"));
        assert_eq!(checkpoint.synthetic, 5);
        checkpoint.complete(&Position::new("0/2"));
        assert_eq!(checkpoint.synthetic, 0);
    }
}
