//! Where a database is and how it is reached; `url` reads it from what people write.

mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use url::BadUrl;

/// Where one host listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Tcp(name, port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Host::Tcp(name, port) => write!(f, "{name}:{port}"),
            Host::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

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
    /// Who we are among the replicas of the server: it ends the older of two dumps that give it the
    /// same one.
    pub server_id: u32,
    /// Marks the connections of all processes of one installation, of which only one is in charge
    /// at a time.
    pub installation: Option<String>,
}

impl fmt::Debug for MysqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlConfig")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .field("heartbeat", &self.heartbeat)
            .field("server_id", &self.server_id)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}
