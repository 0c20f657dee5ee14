use super::Report;
use crate::config::Slot;
use crate::doctor::facts::{HostKind, Server};
use crate::doctor::identifier;

/// The newest major version that is tested.
const NEWEST_TESTED: i32 = 18;
/// Log that may pile up while tailstock is away for less than which an outage of some hours of a
/// busy shop is too long, MiB.
const SMALL_LIMIT_MIB: i64 = 1024;

impl Report<'_> {
    pub(super) fn server(&mut self) {
        self.version();
        if self.facts.server.version_number >= super::OLDEST {
            self.role();
            self.log();
            self.room();
            self.patience();
        }
    }

    fn version(&mut self) {
        let server = &self.facts.server;
        let major = server.version_number / 10_000;
        if server.version_number < super::OLDEST {
            let fix = "upgrade the server, or replicate it into a later version and follow that";
            self.blocker("server version", &server.version, "13 or later", fix.to_owned());
        } else if major > NEWEST_TESTED {
            let wanted = format!("13 to {NEWEST_TESTED}, which are tested");
            let fix = "see whether a later version of tailstock has tested it".to_owned();
            self.note("server version", &server.version, &wanted, fix);
        }
    }

    fn role(&mut self) {
        let server = &self.facts.server;
        if server.may_replicate {
            return;
        }
        let user = identifier(&self.config.user);
        let fix = match server.host {
            HostKind::Rds => format!("GRANT rds_replication TO {user};"),
            _ => format!("ALTER ROLE {user} REPLICATION;"),
        };
        let found = format!("{user} may not replicate");
        self.blocker("role", found, "the REPLICATION attribute", fix);
    }

    fn log(&mut self) {
        let server = &self.facts.server;
        if server.wal_level != "logical" {
            self.blocker("wal_level", &server.wal_level, "logical", make_logical(server));
        }
        if server.in_recovery && server.version_number < 160_000 {
            self.blocker(
                "server role",
                "a standby",
                "the primary (standbys can be followed from 16 on)",
                "put the primary's host into the URL, or several hosts and \
                 target_session_attrs=primary"
                    .to_owned(),
            );
        } else if server.in_recovery {
            self.warning(
                "server role",
                "a standby: its primary can remove rows of its catalog that our slot needs, and \
                 a new slot waits for the primary's next checkpoint",
                "the primary, or hot_standby_feedback = on with a physical slot for the standby",
                "ALTER SYSTEM SET hot_standby_feedback = on; on the standby, and set \
                 primary_slot_name there"
                    .to_owned(),
            );
        }
    }

    /// Free places for what we need.
    fn room(&mut self) {
        let (server, config) = (&self.facts.server, self.config);
        let makes_slot = self.facts.slot.is_none() && !matches!(config.slot, Slot::Unconfirmed(_));
        if makes_slot && server.slots.is_full() {
            let limit = server.slots.limit;
            let fix = format!(
                "drop a slot nobody uses (SELECT * FROM pg_replication_slots WHERE NOT active), \
                 or {}",
                raise(server, "max_replication_slots", limit + 5)
            );
            self.blocker("max_replication_slots", all_used(limit), "a free one", fix);
        }
        if server.senders.is_full() {
            let limit = server.senders.limit;
            let fix = raise(server, "max_wal_senders", limit + 5);
            self.blocker("max_wal_senders", all_used(limit), "a free one", fix);
        }
    }

    /// For how long the server waits for us, and what that may cost it.
    fn patience(&mut self) {
        let server = &self.facts.server;
        let kept = server.max_slot_wal_keep_mib;
        if kept < 0 {
            self.note(
                "max_slot_wal_keep_size",
                "without limit: while tailstock is away, log piles up on the server",
                "a limit that the disk can bear",
                "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();"
                    .to_owned(),
            );
        } else if kept < SMALL_LIMIT_MIB {
            self.warning(
                "max_slot_wal_keep_size",
                format!("{kept} MB: a short outage of tailstock is a gap"),
                "as much log as the server writes in the longest outage",
                "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();"
                    .to_owned(),
            );
        }
        if server.wal_sender_timeout_ms == 0 {
            self.warning(
                "wal_sender_timeout",
                "0: the server does not notice that a client is gone, and its slot stays taken",
                "a minute",
                "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();".to_owned(),
            );
        }
        if server.idle_slot_timeout_s > 0 {
            let found = format!(
                "{} s: a longer outage of tailstock is a gap, however little was written",
                server.idle_slot_timeout_s
            );
            self.warning(
                "idle_replication_slot_timeout",
                found,
                "0, and a limit by max_slot_wal_keep_size",
                "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();"
                    .to_owned(),
            );
        }
    }
}

fn make_logical(server: &Server) -> String {
    match server.host {
        HostKind::Plain => "ALTER SYSTEM SET wal_level = 'logical'; then restart the server".into(),
        HostKind::Rds => {
            "set rds.logical_replication = 1 in the parameter group, then reboot the instance"
                .into()
        }
        HostKind::CloudSql => {
            "set the database flag cloudsql.logical_decoding = on, which restarts the instance"
                .into()
        }
        HostKind::Azure => {
            "set the server parameter wal_level = logical, then restart the server".into()
        }
    }
}

fn raise(server: &Server, setting: &str, value: i64) -> String {
    match server.host {
        HostKind::Plain => {
            format!("ALTER SYSTEM SET {setting} = {value}; then restart the server")
        }
        _ => format!("set {setting} = {value} in the server's parameters, then restart it"),
    }
}

fn all_used(limit: i64) -> String {
    format!("all {limit} are in use")
}
