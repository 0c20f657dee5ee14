use std::collections::{BTreeSet, HashMap};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

use super::text;
use crate::doctor::facts::{HostKind, Log, Retention, Server, Version};
use crate::log::Flavor;

/// The settings of a server, by their names. One it does not know is not among them.
pub(super) struct Settings(HashMap<String, String>);

const SECONDS_A_DAY: u64 = 24 * 3600;

pub(super) async fn ask(conn: &mut Conn) -> Result<Settings, Error> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN (
            'aad_auth_only', 'aurora_version', 'basedir', 'binlog_checksum',
            'binlog_expire_logs_auto_purge', 'binlog_expire_logs_seconds', 'binlog_format',
            'binlog_row_image', 'binlog_row_metadata', 'binlog_row_value_options',
            'binlog_space_limit', 'cloudsql_iam_authentication', 'expire_logs_days',
            'gtid_domain_id', 'gtid_mode', 'innodb_native_foreign_keys', 'log_bin',
            'log_replica_updates', 'log_slave_updates', 'lower_case_table_names',
            'max_binlog_total_size', 'read_only', 'server_id', 'server_uuid', 'version',
            'wsrep_on')
        OR Variable_name LIKE 'replicate%'";
    let rows: Vec<Row> = conn.query(sql).await?;
    let setting = |row: &Row| Some((text(row, 0)?.to_ascii_lowercase(), text(row, 1)?));
    Ok(Settings(rows.iter().filter_map(setting).collect()))
}

impl Settings {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn upper(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_ascii_uppercase()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.upper(name).as_str(), "ON" | "1")
    }

    pub(super) fn server(&self) -> Server {
        let flavor = match self.get("gtid_domain_id") {
            Some(_) => Flavor::MariaDb,
            None => Flavor::MySql,
        };
        let version = self.get("version").unwrap_or_default();
        let narrow = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
        Server {
            flavor,
            version: version.to_owned(),
            number: version_number(version),
            host: self.host(),
            id: narrow(self.number("server_id")).unwrap_or_default(),
            uuid: self.get("server_uuid").map(str::to_owned),
            domain: narrow(self.number("gtid_domain_id")).unwrap_or_default(),
            fold_case: self.number("lower_case_table_names").is_some_and(|how| how != 0),
            read_only: self.is_on("read_only"),
        }
    }

    fn host(&self) -> HostKind {
        let version = self.get("version").unwrap_or_default();
        let on_rds = self.get("basedir").is_some_and(|path| path.starts_with("/rdsdbbin"));
        if self.get("aurora_version").is_some() {
            HostKind::Aurora
        } else if on_rds {
            HostKind::Rds
        } else if version.contains("-google") || self.get("cloudsql_iam_authentication").is_some() {
            HostKind::CloudSql
        } else if self.get("aad_auth_only").is_some() {
            HostKind::Azure
        } else {
            HostKind::Plain
        }
    }

    pub(super) fn log(&self) -> Log {
        // The name it had before 8.0.26, and has in MariaDB.
        let has_replicated = self.is_on("log_replica_updates") || self.is_on("log_slave_updates");
        // Known to servers that do not leave cascades to the storage engine any more.
        let has_cascades = self
            .get("innodb_native_foreign_keys")
            .is_some_and(|how| how.eq_ignore_ascii_case("OFF"));
        // Servers that know no other format, and no other image, do not name it.
        let or = |name: &str, only: &str| match self.upper(name) {
            text if text.is_empty() => only.to_owned(),
            text => text,
        };
        Log {
            is_on: self.is_on("log_bin"),
            format: or("binlog_format", "ROW"),
            row_image: or("binlog_row_image", "FULL"),
            row_metadata: self.upper("binlog_row_metadata"),
            partial_json: self.upper("binlog_row_value_options").contains("PARTIAL_JSON"),
            checksum: self.upper("binlog_checksum"),
            retention: self.retention(),
            // MariaDB since 11.4, and Percona.
            size_limit: ["max_binlog_total_size", "binlog_space_limit"]
                .iter()
                .filter_map(|name| self.number(name))
                .find(|bytes| *bytes > 0),
            gtid_mode: self.upper("gtid_mode"),
            has_cascades,
            has_replicated,
            counts_alone: self.is_on("wsrep_on"),
            ..Log::default()
        }
    }

    fn retention(&self) -> Retention {
        if self.upper("binlog_expire_logs_auto_purge") == "OFF" {
            return Retention::Forever;
        }
        let seconds = self.number("binlog_expire_logs_seconds").unwrap_or_default();
        let days = self.get("expire_logs_days").and_then(|days| days.parse::<f64>().ok());
        let in_days = (days.unwrap_or_default().clamp(0.0, 36_500.0) * SECONDS_A_DAY as f64) as u64;
        // MySQL uses the days where the seconds are 0, MariaDB has both say the same.
        match if seconds == 0 { in_days } else { seconds } {
            0 => Retention::Forever,
            seconds => Retention::Seconds(seconds),
        }
    }

    /// What MariaDB leaves out of what it follows; MySQL says it elsewhere.
    pub(super) fn filters(&self) -> BTreeSet<String> {
        let filters = self.0.iter().filter(|(name, value)| is_filter(name) && !value.is_empty());
        filters.map(|(name, value)| format!("{name} = {value}")).collect()
    }
}

/// Whether a setting, or a column of a replica's status, is one that leaves changes out.
pub(super) fn is_filter(name: &str) -> bool {
    ["replicate_do_", "replicate_ignore_", "replicate_wild_", "replicate_rewrite_db"]
        .iter()
        .any(|filter| name.starts_with(filter))
}

/// The number a version begins with; MariaDB may put that of its protocol before it.
fn version_number(version: &str) -> Version {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut numbers = version[..end].split('.').map(|number| number.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(all: &[(&str, &str)]) -> Settings {
        Settings(all.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn versions_are_read_whatever_stands_behind_them() {
        assert_eq!(version_number("8.0.36-0ubuntu0.22.04.1"), (8, 0, 36));
        assert_eq!(version_number("10.11.19-MariaDB-log"), (10, 11, 19));
        assert_eq!(version_number("5.5.5-10.5.29-MariaDB"), (10, 5, 29));
        assert_eq!(version_number("9.7"), (9, 7, 0));
        assert_eq!(version_number("what"), (0, 0, 0));
    }

    #[test]
    fn hosts_are_told_by_what_only_they_have() {
        let host = |all: &[(&str, &str)]| settings(all).server().host;
        assert_eq!(host(&[("version", "8.0.36"), ("basedir", "/usr/")]), HostKind::Plain);
        assert_eq!(host(&[("basedir", "/rdsdbbin/mysql-8.0.35.R2/")]), HostKind::Rds);
        let aurora = [("basedir", "/rdsdbbin/oscar/"), ("aurora_version", "3.04.0")];
        assert_eq!(host(&aurora), HostKind::Aurora);
        assert_eq!(host(&[("version", "8.0.31-google")]), HostKind::CloudSql);
        assert_eq!(host(&[("version", "8.0.37-azure"), ("aad_auth_only", "OFF")]), HostKind::Azure);
    }

    #[test]
    fn files_are_kept_for_seconds_days_or_ever() {
        let kept = |all: &[(&str, &str)]| settings(all).log().retention;
        let (seconds, days) = ("binlog_expire_logs_seconds", "expire_logs_days");
        assert_eq!(kept(&[(seconds, "2592000"), (days, "0")]), Retention::Seconds(2_592_000));
        assert_eq!(kept(&[(seconds, "0"), (days, "2")]), Retention::Seconds(172_800));
        assert_eq!(kept(&[(days, "0.5")]), Retention::Seconds(43_200));
        assert_eq!(kept(&[(seconds, "0"), (days, "0.000000")]), Retention::Forever);
        let manual = [(seconds, "3600"), ("binlog_expire_logs_auto_purge", "OFF")];
        assert_eq!(kept(&manual), Retention::Forever);
    }

    #[test]
    fn files_may_go_by_their_size() {
        let limit = |all: &[(&str, &str)]| settings(all).log().size_limit;
        assert_eq!(limit(&[("binlog_space_limit", "4096")]), Some(4096));
        let both = [("max_binlog_total_size", "8192"), ("binlog_space_limit", "0")];
        assert_eq!(limit(&both), Some(8192));
        assert_eq!((limit(&[]), limit(&[("binlog_space_limit", "0")])), (None, None));
    }

    #[test]
    fn a_server_that_cannot_leave_cascades_to_its_engine_logs_them() {
        let has = |all: &[(&str, &str)]| settings(all).log().has_cascades;
        assert!(!has(&[]));
        assert!(has(&[("innodb_native_foreign_keys", "OFF")]));
        assert!(!has(&[("innodb_native_foreign_keys", "ON")]));
    }

    #[test]
    fn only_what_leaves_changes_out_is_a_filter() {
        let found = settings(&[
            ("replicate_do_db", "shop"),
            ("replicate_ignore_table", ""),
            ("replicate_annotate_row_events", "ON"),
        ]);
        assert_eq!(found.filters(), ["replicate_do_db = shop".to_owned()].into());
    }
}
