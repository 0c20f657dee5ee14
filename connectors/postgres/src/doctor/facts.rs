use connector_api::{ColumnLayout, Error, Result, TableDescription, TableName};

use crate::position::Lsn;

/// Everything that is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) server: Server,
    /// `None` where no replication connection was to be had: a finding says why.
    pub(crate) system: Option<System>,
    pub(crate) slot: Option<SlotFacts>,
    /// The checkpoint's own, where that is another one.
    pub(crate) former: Option<Former>,
    pub(crate) publication: Option<PublicationFacts>,
    /// The captured tables that exist.
    pub(crate) tables: Vec<TableFacts>,
}

/// Who runs the server, as far as that decides how it is configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum HostKind {
    #[default]
    Plain,
    /// Amazon RDS and Aurora.
    Rds,
    /// Google Cloud SQL.
    CloudSql,
    /// Azure Database for PostgreSQL.
    Azure,
}

/// The server, and the role that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) version: String,
    /// `150018` for 15.18.
    pub(crate) version_number: i32,
    pub(crate) host: HostKind,
    pub(crate) head: Lsn,
    pub(crate) in_recovery: bool,
    pub(crate) wal_level: String,
    pub(crate) may_replicate: bool,
    pub(crate) slots: Usage,
    pub(crate) senders: Usage,
    /// MiB; negative is without limit.
    pub(crate) max_slot_wal_keep_mib: i64,
    /// Milliseconds; 0 is never.
    pub(crate) wal_sender_timeout_ms: i64,
    /// Seconds; 0 is never. From 18 on.
    pub(crate) idle_slot_timeout_s: i64,
}

/// Who streams from the slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holder {
    /// For people.
    pub(crate) described: String,
    /// The server's process.
    pub(crate) pid: i32,
    /// What its client calls itself.
    pub(crate) application: String,
}

/// How much of a bounded thing is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) used: i64,
    pub(crate) limit: i64,
}

impl Usage {
    pub(crate) fn is_full(self) -> bool {
        self.used >= self.limit
    }
}

/// Which log it is, as a walsender says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct System {
    pub(crate) id: String,
    pub(crate) timeline: u32,
    /// Where the timelines before the current one ended.
    pub(crate) forks: Vec<(u32, Lsn)>,
}

/// A slot that kept the log for us under a name that is ours no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Former {
    /// The system that the checkpoint is of.
    pub(crate) system_id: String,
    pub(crate) name: String,
    /// As a slot of that name is now.
    pub(crate) slot: SlotFacts,
}

/// What the catalog says of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotFacts {
    /// `None` for a physical slot.
    pub(crate) plugin: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) temporary: bool,
    /// Who reads it, for people.
    pub(crate) holder: Option<Holder>,
    pub(crate) confirmed: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub(crate) wal_status: Option<String>,
    /// Bytes of log until it is lost; `None` without a limit.
    pub(crate) safe_wal_bytes: Option<i64>,
    /// Why the server has given it up.
    pub(crate) invalidated: Option<String>,
    /// A standby keeps it in step with its primary's.
    pub(crate) synced: bool,
    /// It sends transactions when they are prepared, whatever the reader asks for. From 14 on.
    pub(crate) two_phase: bool,
}

impl SlotFacts {
    /// Whether it is one of ours at all: a logical slot of our plugin in our database, which sends
    /// transactions when they are committed.
    pub(crate) fn is_ours(&self, database: &str) -> bool {
        self.plugin.as_deref() == Some("pgoutput")
            && self.database.as_deref() == Some(database)
            && !self.temporary
            && !self.two_phase
    }

    /// Why the log behind it is not there any more.
    pub(crate) fn lost(&self) -> Option<String> {
        match (&self.invalidated, self.wal_status.as_deref()) {
            (Some(reason), _) => Some(format!("the server has invalidated it ({reason})")),
            (None, Some("lost")) => Some("the server has removed log it needed".to_owned()),
            _ => None,
        }
    }

    /// From where on the log is whole.
    pub(crate) fn usable_from(&self, database: &str) -> Option<Lsn> {
        let usable = self.is_ours(database) && self.lost().is_none();
        self.confirmed.filter(|_| usable)
    }
}

/// What the catalog says of the publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PublicationFacts {
    /// Other numbers, other publication: it was made again, or changed.
    pub(crate) revision: String,
    /// insert, update, delete, truncate.
    pub(crate) operations: [bool; 4],
    pub(crate) via_root: bool,
    /// Whether stored generated columns are sent. From 18 on.
    pub(crate) generated: bool,
    /// In the order of their names.
    pub(crate) tables: Vec<PublishedTable>,
}

/// A table as its changes will arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedTable {
    pub(crate) name: TableName,
    /// The topmost table it is a partition of.
    pub(crate) root: Option<TableName>,
    /// Other numbers: it left the publication and came back, or is another table of that name.
    pub(crate) revision: String,
    /// The columns that are sent.
    pub(crate) columns: Vec<String>,
    /// Whether these were listed, and not just all there are.
    pub(crate) listed: bool,
    pub(crate) filter: Option<String>,
    /// The columns the filter speaks of; unknown beside a column list.
    pub(crate) filter_columns: Vec<String>,
}

/// A captured table and what decides how its changes arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableFacts {
    pub(crate) oid: u32,
    pub(crate) description: TableDescription,
    /// Its columns as the log describes them, had it all of them.
    pub(crate) columns: Vec<ColumnLayout>,
    /// `r` a table, `p` a partitioned one; views and the like cannot be published.
    pub(crate) kind: String,
    pub(crate) unlogged: bool,
    /// The topmost table it is a partition of.
    pub(crate) root: Option<TableName>,
    /// What old rows hold; `None` where the server has no way to identify a row, and refuses to
    /// change one as long as the table is published.
    pub(crate) identity: Option<Vec<String>>,
    /// Its generated columns.
    pub(crate) generated: Generated,
    /// The partitions that hold the rows of a partitioned table.
    pub(crate) leaves: Vec<Leaf>,
    /// Whether its rows can be read as they are.
    pub(crate) access: Access,
}

/// What decides whether this role can read a table's rows, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// The role may not look into the table's schema.
    pub(crate) shut: bool,
    /// Columns that the role may not read.
    pub(crate) kept_back: Vec<String>,
    /// Row level security may keep rows from it.
    pub(crate) hides_rows: bool,
    /// The columns by which it is read in pieces; empty when it cannot be.
    pub(crate) key: Vec<String>,
}

/// Which kinds of generated columns a table has: stored with the row, computed when read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Generated {
    pub(crate) stored: bool,
    pub(crate) computed: bool,
}

/// A partition that holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) name: TableName,
    /// Whether it identifies rows as its root does.
    pub(crate) identity: LeafIdentity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafIdentity {
    AsRoot,
    Other,
    Missing,
}

/// What `TIMELINE_HISTORY` sent: lines of timeline, the place where it ended, and a reason.
pub(crate) fn parse_forks(history: &str) -> Result<Vec<(u32, Lsn)>> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let timeline = words.next()?.parse().ok()?;
        Some((timeline, words.next()?.parse().ok()?))
    };
    history
        .lines()
        .filter(|text| !text.trim().is_empty() && !text.trim_start().starts_with('#'))
        .map(|text| line(text).ok_or_else(|| Error::definite("an unreadable timeline history")))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_history_of_timelines_is_read() {
        let history = "1\t0/30000D8\tno recovery target specified\n\n# a comment\n\
                       2\t16/B374D848\tbefore 2026-01-31 12:00:00+00\n";
        let forks = vec![(1, Lsn(0x300_00D8)), (2, Lsn(0x16_B374_D848))];
        assert_eq!(parse_forks(history).unwrap(), forks);
        assert_eq!(parse_forks("").unwrap(), []);
        for broken in ["1", "x\t0/1", "1\tnowhere"] {
            assert!(parse_forks(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_slot_is_usable_only_when_it_is_ours_and_its_log_is_there() {
        let slot = SlotFacts {
            plugin: Some("pgoutput".into()),
            database: Some("shop".into()),
            confirmed: Some(Lsn(7)),
            ..SlotFacts::default()
        };
        assert_eq!(slot.usable_from("shop"), Some(Lsn(7)));
        assert_eq!(slot.usable_from("other"), None);
        let lost = SlotFacts { wal_status: Some("lost".into()), ..slot.clone() };
        let invalid = SlotFacts { invalidated: Some("idle_timeout".into()), ..slot.clone() };
        let physical = SlotFacts { plugin: None, database: None, ..slot.clone() };
        let temporary = SlotFacts { temporary: true, ..slot.clone() };
        let two_phase = SlotFacts { two_phase: true, ..slot };
        for slot in [lost, invalid, physical, temporary, two_phase] {
            assert_eq!(slot.usable_from("shop"), None, "{slot:?}");
        }
    }
}
