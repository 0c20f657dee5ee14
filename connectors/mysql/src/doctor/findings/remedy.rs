use crate::doctor::facts::{HostKind, Server};

/// How a setting is changed while the server runs, so that it outlives a restart.
pub(super) fn set(server: &Server, setting: &str, value: &str) -> String {
    match server.host {
        HostKind::Plain if server.is_mariadb() => {
            format!("SET GLOBAL {setting} = {value}; {}", and_in_file(setting, value))
        }
        HostKind::Plain => format!("SET PERSIST {setting} = {value};"),
        HostKind::Rds => format!("set {setting} = {value} in the parameter group of the instance"),
        HostKind::Aurora => {
            format!("set {setting} = {value} in the parameter group of the cluster")
        }
        HostKind::CloudSql => {
            format!("set the database flag {setting} = {value}, which may restart the instance")
        }
        HostKind::Azure => format!("set the server parameter {setting} = {value}"),
    }
}

/// The same, of a setting that a session takes over when it begins.
pub(super) fn set_for_sessions(server: &Server, setting: &str, value: &str) -> String {
    let set = set(server, setting, value);
    format!("{set}; then have the shop connect anew: sessions keep what they began with")
        .replace(";;", ";")
}

/// How a setting is changed that the server reads only when it starts.
pub(super) fn configure(server: &Server, setting: &str, value: &str) -> String {
    match server.host {
        HostKind::Plain => format!("put {setting} = {value} {FILE}, then restart the server"),
        _ => format!("{}, then restart it", set(server, setting, value)),
    }
}

/// How the log is switched on.
pub(super) fn switch_log_on(server: &Server) -> String {
    match server.host {
        HostKind::Plain if server.is_mariadb() => format!(
            "put log_bin = binlog, binlog_format = ROW and a server_id of its own {FILE}, then \
             restart the server"
        ),
        HostKind::Plain => format!(
            "remove skip_log_bin or disable_log_bin, or put log_bin = binlog {FILE}, then restart \
             the server"
        ),
        HostKind::Rds => "set the backup retention period of the instance to at least 1 day, and \
                          binlog_format = ROW in its parameter group"
            .to_owned(),
        HostKind::Aurora => "set binlog_format = ROW in the parameter group of the cluster, \
                             reboot the writer, and connect to the writer: readers have no log"
            .to_owned(),
        HostKind::CloudSql => "switch on point-in-time recovery: gcloud sql instances patch \
                               INSTANCE --enable-bin-log"
            .to_owned(),
        HostKind::Azure => "ask the support of Azure: the log is on there unless it is a replica; \
                            connect to the primary"
            .to_owned(),
    }
}

/// How the files of the log are kept for a week.
pub(super) fn keep_files(server: &Server) -> String {
    match server.host {
        HostKind::Rds | HostKind::Aurora => {
            "CALL mysql.rds_set_configuration('binlog retention hours', 168);".to_owned()
        }
        HostKind::CloudSql => "gcloud sql instances patch INSTANCE \
                               --retained-transaction-log-days=7"
            .to_owned(),
        _ if server.is_mariadb() && server.number < (10, 6, 0) => {
            set(server, "expire_logs_days", "7")
        }
        _ => set(server, "binlog_expire_logs_seconds", "604800"),
    }
}

/// How a MySQL server comes to name its transactions.
pub(super) fn name_transactions(server: &Server) -> String {
    if server.host != HostKind::Plain {
        let consistency = set(server, "enforce_gtid_consistency", "ON");
        return format!("{consistency}, then gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE and ON");
    }
    let modes = ["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"];
    let modes = modes.map(|mode| format!("SET PERSIST gtid_mode = {mode};"));
    format!("SET PERSIST enforce_gtid_consistency = ON; {}", modes.join(" "))
}

const FILE: &str = "under [mysqld] in my.cnf";

fn and_in_file(setting: &str, value: &str) -> String {
    format!("and {setting} = {value} {FILE} for the next start")
}
