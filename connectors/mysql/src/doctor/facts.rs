use std::collections::BTreeSet;

use connector_api::{Error, Result, TableDescription, TableName};

use super::grants::Grants;
use crate::log::Flavor;
use crate::position::{
    GtidMode, GtidSet, History, ListedLog, LogFile, LogIdentity, MariaState, ServerFacts,
};

/// Everything that is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub(crate) server: Server,
    pub(crate) log: Log,
    pub(crate) account: Account,
    pub(crate) replication: Replication,
    /// The captured tables that exist and that the account may see.
    pub(crate) tables: Vec<TableFacts>,
    /// Names to guess from: the tables of the databases in which a captured one was not found.
    pub(crate) others: Vec<TableName>,
}

impl Facts {
    /// The server in a few words: `MariaDB 10.11.19`.
    pub fn server(&self) -> String {
        let product = if self.server.is_mariadb() { "MariaDB" } else { "MySQL" };
        let version = self.server.version.split(['-', '+']).next().unwrap_or_default();
        format!("{product} {version}")
    }

    /// The captured tables that exist and that the account may see.
    pub fn tables(&self) -> Vec<TableDescription> {
        self.tables.iter().map(|table| table.description.clone()).collect()
    }

    /// Whether names in statements are told apart in lower case.
    pub fn fold_case(&self) -> bool {
        self.server.fold_case
    }
}

/// Who runs the server, as far as that decides how it is configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum HostKind {
    #[default]
    Plain,
    /// Amazon RDS.
    Rds,
    /// Amazon Aurora.
    Aurora,
    /// Google Cloud SQL.
    CloudSql,
    /// Azure Database for MySQL.
    Azure,
}

/// Major, minor and patch release.
pub(crate) type Version = (u32, u32, u32);

/// The server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) flavor: Flavor,
    /// As the server says it: `10.11.19-MariaDB-log`.
    pub(crate) version: String,
    pub(crate) number: Version,
    pub(crate) host: HostKind,
    /// `@@server_id`.
    pub(crate) id: u32,
    /// `@@server_uuid`; MariaDB has none.
    pub(crate) uuid: Option<String>,
    /// `@@gtid_domain_id` of MariaDB.
    pub(crate) domain: u32,
    /// `lower_case_table_names` other than 0.
    pub(crate) fold_case: bool,
    pub(crate) read_only: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            flavor: Flavor::MySql,
            version: String::new(),
            number: (0, 0, 0),
            host: HostKind::Plain,
            id: 0,
            uuid: None,
            domain: 0,
            fold_case: false,
            read_only: false,
        }
    }
}

impl Server {
    pub(crate) fn is_mariadb(&self) -> bool {
        self.flavor == Flavor::MariaDb
    }

    /// Whether anything else can be asked of it at all.
    pub(crate) fn is_supported(&self) -> bool {
        self.number >= if self.is_mariadb() { (10, 5, 0) } else { (8, 0, 0) }
    }
}

/// How long the server keeps files of its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Retention {
    /// The account may not see it.
    #[default]
    Unknown,
    /// Until somebody removes them.
    Forever,
    Seconds(u64),
}

/// The binary log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) is_on: bool,
    /// `binlog_format`, upper case.
    pub(crate) format: String,
    /// `binlog_row_image`, upper case.
    pub(crate) row_image: String,
    /// `binlog_row_metadata`, upper case.
    pub(crate) row_metadata: String,
    /// `binlog_row_value_options` holds PARTIAL_JSON.
    pub(crate) partial_json: bool,
    /// `binlog_checksum`, upper case.
    pub(crate) checksum: String,
    pub(crate) retention: Retention,
    /// Bytes of all files beyond which the oldest go, however young.
    pub(crate) size_limit: Option<u64>,
    /// The databases of `binlog_do_db`, and of `binlog_ignore_db`.
    pub(crate) do_db: Vec<String>,
    pub(crate) ignore_db: Vec<String>,
    /// Where the log ends; `None` when the account may not see it.
    pub(crate) head: Option<(LogFile, u64)>,
    /// Oldest first; `None` when the account may not see it.
    pub(crate) files: Option<Vec<ListedLog>>,
    /// `gtid_mode`, upper case; MariaDB has none.
    pub(crate) gtid_mode: String,
    /// `gtid_executed` of MySQL, `gtid_binlog_state` of MariaDB.
    pub(crate) executed: String,
    /// `gtid_purged` of MySQL.
    pub(crate) purged: String,
    /// Whether rows that foreign keys delete and change are in it.
    pub(crate) has_cascades: bool,
    /// Whether changes that come by replication are in it.
    pub(crate) has_replicated: bool,
    /// MariaDB: whether it is a node of a Galera cluster, each of which counts transactions for
    /// itself: one GTID names another transaction on another node.
    pub(crate) counts_alone: bool,
}

/// The account that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// As SQL: `'tailstock'@'%'`.
    pub(crate) name: String,
    pub(crate) grants: Grants,
}

/// The server among others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replication {
    /// Whether it follows another one; `None` when the account may not see it.
    pub(crate) is_replica: Option<bool>,
    /// MariaDB: it has applied transactions of another server at some time.
    pub(crate) has_followed: bool,
    /// What it leaves out of what it follows: `replicate_do_db = shop`.
    pub(crate) filters: BTreeSet<String>,
    /// Who follows it, as far as that can be seen.
    pub(crate) replicas: Vec<Replica>,
}

/// Another reader of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) server_id: u32,
    /// Host and port as it registered them; often nothing.
    pub(crate) address: String,
}

/// A captured table and what decides how its changes arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableFacts {
    pub(crate) description: TableDescription,
    /// `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED` ...
    pub(crate) kind: String,
    pub(crate) engine: String,
    /// Columns that cannot be selected, of those that can be seen.
    pub(crate) unreadable: Vec<String>,
    /// Some of its columns cannot even be seen.
    pub(crate) is_partly_hidden: bool,
    /// Foreign keys by which rows go or change with those of another table.
    pub(crate) cascades: Vec<Cascade>,
}

/// A foreign key that deletes or changes rows of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cascade {
    pub(crate) constraint: String,
    pub(crate) parent: TableName,
    /// `ON DELETE CASCADE`, `ON UPDATE SET NULL` ...
    pub(crate) rules: Vec<String>,
}

impl Cascade {
    /// Whether rows are deleted with those they refer to.
    pub(crate) fn follows_a_delete(&self) -> bool {
        self.rules.iter().any(|rule| rule == "ON DELETE CASCADE")
    }
}

/// For how many seconds files of the log are kept; `None` where they are kept for ever, or where
/// nobody may know.
pub fn kept_seconds(facts: &Facts) -> Option<u64> {
    match facts.log.retention {
        Retention::Seconds(seconds) => Some(seconds),
        Retention::Forever | Retention::Unknown => None,
    }
}

/// What decides whether the log can be continued. `created` is when the file of the checkpoint was
/// begun, and `purged` the GTID list at the head of the oldest file of a MariaDB, both read from
/// the log; a list that could not be read proves nothing, as if everything were purged.
pub fn server_facts(
    facts: &Facts,
    created: Option<u32>,
    purged: Option<MariaState>,
) -> Result<ServerFacts> {
    let (server, log) = (&facts.server, &facts.log);
    let unreadable = |what: &str| {
        let text = format!("the server's {what} cannot be read");
        move |error: crate::position::NotGtids| Error::definite(text).because(error)
    };
    let (identity, history) = if server.is_mariadb() {
        let state: MariaState = log.executed.parse().map_err(unreadable("gtid_binlog_state"))?;
        let purged = purged.unwrap_or_else(|| state.clone());
        let identity = LogIdentity::MariaDb { domain: server.domain, server: server.id };
        (identity, History::MariaDb { state, purged, counts_alone: log.counts_alone })
    } else {
        let uuid = server.uuid.as_deref().unwrap_or_default();
        let executed: GtidSet = log.executed.parse().map_err(unreadable("gtid_executed"))?;
        let purged = log.purged.parse().map_err(unreadable("gtid_purged"))?;
        let mode = log.gtid_mode.parse().unwrap_or(GtidMode::Off);
        let identity = LogIdentity::MySql(uuid.parse().map_err(unreadable("server_uuid"))?);
        (identity, History::MySql { mode, executed, purged })
    };
    let logs = log.files.clone().unwrap_or_default();
    Ok(ServerFacts { identity, logs, created, history })
}

/// Whether what the catalog calls this has rows of its own, whose changes are in the log.
pub(super) fn is_table(kind: &str) -> bool {
    !kind.ends_with("VIEW") && kind != "SEQUENCE"
}

/// What NOBLOB is about.
pub(super) fn is_blob(type_name: &str) -> bool {
    let base = type_name.split('(').next().unwrap_or_default();
    base.contains("blob") || base.contains("text") || base == "json" || base == "geometry"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn a_mysql_server_is_known_by_its_uuid_and_its_history_by_both_sets() {
        let server = Server { uuid: Some(UUID.into()), ..Server::default() };
        let log = Log {
            gtid_mode: "ON_PERMISSIVE".into(),
            executed: format!("{UUID}:1-9"),
            purged: format!("{UUID}:1-3"),
            ..Log::default()
        };
        let mut facts = Facts { server, log, ..Facts::default() };
        let found = server_facts(&facts, Some(7), None).unwrap();
        assert_eq!(found.identity.to_string(), format!("mysql/{UUID}"));
        assert_eq!((found.created, found.logs.len()), (Some(7), 0));
        let History::MySql { mode, executed, purged } = found.history else { panic!("MySQL") };
        assert_eq!(mode, GtidMode::OnPermissive);
        assert_eq!(executed.to_string(), format!("{UUID}:1-9"));
        assert_eq!(purged.to_string(), format!("{UUID}:1-3"));
        facts.log.executed = "what".into();
        let error = server_facts(&facts, None, None).unwrap_err();
        assert_eq!(error.to_string(), "the server's gtid_executed cannot be read");
    }

    #[test]
    fn a_list_that_could_not_be_read_counts_as_if_all_were_purged() {
        let server = Server { flavor: Flavor::MariaDb, id: 11, domain: 7, ..Server::default() };
        let log = Log { executed: "7-11-5,0-1-3".into(), ..Log::default() };
        let facts = Facts { server, log, ..Facts::default() };
        let found = server_facts(&facts, None, None).unwrap();
        assert_eq!(found.identity, LogIdentity::MariaDb { domain: 7, server: 11 });
        let History::MariaDb { state, purged, .. } = found.history else { panic!("MariaDB") };
        assert_eq!(state, purged);
        let read = Some(MariaState::default());
        let History::MariaDb { purged, .. } = server_facts(&facts, None, read).unwrap().history
        else {
            panic!("MariaDB")
        };
        assert!(purged.position().is_empty());
    }
}
