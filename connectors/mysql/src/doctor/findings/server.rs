use super::Report;
use super::remedy;
use crate::config::{Host, SslMode};

/// The newest releases that are tested.
const NEWEST_MYSQL: (u32, u32) = (9, 7);
const NEWEST_MARIADB: (u32, u32) = (11, 8);

impl Report<'_> {
    pub(super) fn version(&mut self) {
        let server = &self.facts.server;
        let (oldest, (major, minor)) = match server.is_mariadb() {
            true => ("10.5", NEWEST_MARIADB),
            false => ("8.0", NEWEST_MYSQL),
        };
        let found = self.facts.server();
        if !server.is_supported() {
            let fix = "upgrade the server, or replicate it into a later version and follow that";
            self.blocker("server version", found, &format!("{oldest} or later"), fix.to_owned());
        } else if (server.number.0, server.number.1) > (major, minor) {
            let wanted = format!("{oldest} to {major}.{minor}, which are tested");
            let fix = "see whether a later version of tailstock has tested it".to_owned();
            self.note("server version", found, &wanted, fix);
        }
    }

    /// The account, and what concerns the server as a whole.
    pub(super) fn server(&mut self) {
        self.account();
        let server = &self.facts.server;
        if server.id == 0 {
            let fix = remedy::set(server, "server_id", "1");
            self.blocker("server_id", "0: the server refuses to send its log", "any other", fix);
        }
        self.password();
        let own = self.config.server_id;
        let same = self.facts.replication.replicas.iter().find(|replica| replica.server_id == own);
        if let Some(same) = same {
            let whose = match same.address.as_str() {
                "" => String::new(),
                address => format!(" at {address}"),
            };
            self.warning(
                "server id",
                format!("{own} is a replica's{whose} too: each of the two ends the other's stream"),
                "an id that no other reader of the log has",
                "give the source another server_id in the seller's file".to_owned(),
            );
        }
    }

    /// A server that has forgotten the hash of a password asks for the password itself.
    fn password(&mut self) {
        let mode = match self.config.tls.mode {
            SslMode::Disable => "disabled",
            SslMode::Preferred => "preferred",
            _ => return,
        };
        let is_far = |host: &Host| match host {
            Host::Unix(_) => false,
            Host::Tcp(name, _) => !["127.0.0.1", "::1", "localhost"].contains(&name.as_str()),
        };
        let far = self.config.hosts.iter().find(|host| is_far(host));
        let has_password = self.config.password.is_some() && !self.facts.server.is_mariadb();
        if let Some(host) = far.filter(|_| has_password) {
            self.warning(
                "ssl-mode",
                format!(
                    "{mode}: the password goes to whoever answers as {host}, encrypted with the \
                     key that he shows"
                ),
                "verify-identity, or verify-ca",
                "remove ssl-mode from the URL, or set it to verify-ca and ssl-ca to the \
                 authority's file"
                    .to_owned(),
            );
        }
    }

    fn account(&mut self) {
        let (facts, account) = (self.facts, &self.facts.account);
        let name = &account.name;
        if !account.grants.has(&["REPLICATION SLAVE", "REPLICATION REPLICA"]) {
            self.blocker(
                "grant REPLICATION SLAVE",
                format!("{name} may not read the log"),
                "REPLICATION SLAVE on everything",
                format!("GRANT REPLICATION SLAVE ON *.* TO {name};"),
            );
        }
        if facts.log.is_on && (facts.log.files.is_none() || facts.log.head.is_none()) {
            let privilege =
                if facts.server.is_mariadb() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
            self.blocker(
                &format!("grant {privilege}"),
                format!("{name} may not ask which files the log has and where it ends"),
                &format!("{privilege} on everything"),
                format!("GRANT {privilege} ON *.* TO {name};"),
            );
        }
    }

    /// The server among others.
    pub(super) fn replication(&mut self) {
        let (facts, replication) = (self.facts, &self.facts.replication);
        let setting = match facts.server.is_mariadb() || facts.server.number < (8, 0, 26) {
            true => "log_slave_updates",
            false => "log_replica_updates",
        };
        let lost = "what it takes over from another server is not in its own log";
        let may_follow = replication.has_followed || facts.server.read_only;
        if replication.is_replica == Some(true) && !facts.log.has_replicated {
            let fix = format!(
                "{}; or put the host of the server it follows into the URL",
                remedy::configure(&facts.server, setting, "ON")
            );
            self.blocker(setting, format!("OFF on a replica: {lost}"), "ON", fix);
        } else if replication.is_replica.is_none() && may_follow && !facts.log.has_replicated {
            self.warning(
                setting,
                format!(
                    "OFF, and {} may not see whether the server is a replica: if it is, {lost}",
                    facts.account.name
                ),
                "ON, or a server that is no replica",
                format!("GRANT SLAVE MONITOR ON *.* TO {};", facts.account.name),
            );
        }
        if replication.is_replica == Some(true) && !replication.filters.is_empty() {
            let filters: Vec<&str> = replication.filters.iter().map(String::as_str).collect();
            self.warning(
                "replication filters",
                format!("{}: the replica is without the rest", filters.join("; ")),
                "a replica that takes over every captured table",
                "leave it if no captured table is concerned; else remove the filter, or put the \
                 host of the server it follows into the URL"
                    .to_owned(),
            );
        }
    }
}
