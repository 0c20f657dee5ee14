//! Where a database is and how it is reached; `url` reads it from what people write.

mod url;

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use connector_api::Lineage;
pub use connector_transport::{BadUrl, Host};
use connector_transport::{Check, Connections, TlsSettings, Words};

use crate::position::LogFile;

/// What MySQL and its clients call the parts of TLS.
pub(crate) const WORDS: Words = Words {
    protocol: None,
    root_cert: "ssl-ca",
    kept_where: "SELECT @@datadir, @@ssl_ca, @@ssl_cert; a MariaDB that names no file has made one \
                 up in memory: set ssl_cert and ssl_key in its my.cnf",
    certificate: "ssl-cert",
    key: "ssl-key",
    without_name: "ssl-mode=verify-ca",
    not_offered: "turn it on there (ssl_cert and ssl_key in my.cnf), or add ?ssl-mode=disabled to \
                  the URL if you trust the network",
    versions: "tls_version, ssl_cipher",
};

/// How the connection is protected. The words and meanings of MySQL's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS with whoever answers where it is offered, and everything in the clear where it is not.
    Preferred,
    /// TLS with whoever answers.
    Required,
    /// TLS with a server whose certificate a known authority signed.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyIdentity,
}

/// The TLS part of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// How far the server is checked.
    pub mode: SslMode,
    /// PEM file of authorities; the system's when not given.
    pub root_cert: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Everything needed to reach one database.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlConfig {
    /// Hosts, tried in turn.
    pub hosts: Vec<Host>,
    /// User.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// TLS.
    pub tls: Tls,
    /// Time for one host to connect, agree on TLS and log in.
    pub connect_timeout: Duration,
    /// Time after which a server with nothing to send says so. A stream that is silent for three
    /// of them is dead.
    pub heartbeat: Duration,
    /// Time for which a server waits for a stream that takes nothing. It ends the dump then, and
    /// keeps no file of its log for it any more.
    pub patience: Duration,
    /// Who we are among the replicas of the server: it ends the older of two dumps that give it the
    /// same one.
    pub server_id: u32,
    /// Marks the connections of all processes of one installation, of which only one is in charge
    /// at a time.
    pub installation: Option<String>,
    /// The file with which a stream without a checkpoint begins; the end of the log when not given.
    pub first_file: Option<LogFile>,
    /// How many connections there may be at once.
    pub connections: Connections,
    /// The server that is meant, as the lineage of its log says; any where there is none. Behind
    /// one name, and behind several, there may be others.
    pub server: Option<Lineage>,
}

impl fmt::Debug for MysqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlConfig")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .field("heartbeat", &self.heartbeat)
            .field("patience", &self.patience)
            .field("server_id", &self.server_id)
            .field("installation", &self.installation)
            .field("first_file", &self.first_file)
            .finish_non_exhaustive()
    }
}

impl MysqlConfig {
    /// The same, of the server alone whose log this is.
    pub(crate) fn of_server(&self, lineage: &Lineage) -> Self {
        Self { server: Some(lineage.clone()), ..self.clone() }
    }

    /// For a short dump beside the stream, which ours would end by its number.
    pub(crate) fn beside(&self) -> Self {
        // Above the numbers that people and slots give.
        let chance = RandomState::new().hash_one(self.server_id);
        let server_id = u32::try_from(chance >> 32).expect("32 bits are left") | 1 << 31;
        Self { server_id, ..self.clone() }
    }

    /// What the server shows of our connections: the name, and whose they are.
    pub(crate) fn shown_name(&self) -> String {
        let installation = self.installation.as_deref();
        installation.map_or("tailstock".to_owned(), |name| format!("tailstock/{name}"))
    }

    /// The protection of a connection to `host`: a Unix socket needs none, whatever the mode says.
    pub(crate) fn tls_to(&self, host: &Host) -> Option<TlsSettings> {
        let check = match (self.tls.mode, host) {
            (SslMode::Disable, _) | (_, Host::Unix(_)) => return None,
            (SslMode::Preferred | SslMode::Required, _) => Check::Nobody,
            (SslMode::VerifyCa, _) => Check::Authority,
            (SslMode::VerifyIdentity, _) => Check::AuthorityAndName,
        };
        let Tls { root_cert, client, .. } = self.tls.clone();
        Some(TlsSettings { check, root_cert, client, words: &WORDS })
    }
}
