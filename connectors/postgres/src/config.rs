//! Where a database is and how it is reached; `url` reads it from what people write.

mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use connector_api::Lineage;
use connector_transport::{Check, Connections, TlsSettings, Words};

pub use connector_transport::BadUrl;

/// Where one host listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// The folder of a Unix socket, and the port in the socket's name.
    Unix(PathBuf, u16),
}

impl Host {
    pub(crate) fn place(&self) -> connector_transport::Host {
        match self {
            Host::Tcp(name, port) => connector_transport::Host::Tcp(name.clone(), *port),
            Host::Unix(folder, port) => {
                connector_transport::Host::Unix(folder.join(format!(".s.PGSQL.{port}")))
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

/// What libpq and PostgreSQL call the parts of TLS.
pub(crate) const WORDS: Words = Words {
    // Required by servers from 17 on when TLS begins without a question; harmless before.
    protocol: Some("postgresql"),
    root_cert: "sslrootcert",
    kept_where: "SHOW data_directory; SHOW ssl_cert_file;",
    certificate: "sslcert",
    key: "sslkey",
    without_name: "sslmode=verify-ca",
    not_offered: "turn it on there (ssl = on), or add ?sslmode=disable to the URL if you trust the \
                  network",
    versions: "ssl_min_protocol_version, ssl_ciphers",
};

/// How the connection is protected. The words and meanings of libpq, without its silent downgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS with whoever answers.
    Require,
    /// TLS with a server whose certificate a known authority signed.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
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

/// What keeps the log on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A slot of this name, which outlives the connection.
    Named(String),
    /// A slot of this name that is read but never confirmed, so that it can be read again.
    Unconfirmed(String),
    /// A slot that ends with the connection.
    Temporary,
}

/// Which of several servers will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Any that answers.
    Any,
    /// One that is not in recovery.
    Primary,
    /// One that is in recovery; PostgreSQL 16 and later stream from those too.
    Standby,
}

/// Everything needed to reach one database.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Hosts, tried in turn.
    pub hosts: Vec<Host>,
    /// Which of them will do.
    pub target: Role,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// TLS.
    pub tls: Tls,
    /// What the server shows in `pg_stat_activity`.
    pub application_name: String,
    /// Time for one host to connect, agree on TLS and log in.
    pub connect_timeout: Duration,
    /// Time for a server to answer a question that needs no work.
    pub answer_time: Duration,
    /// Time without a word from a server that was asked for one, after which its stream is dead.
    /// Servers before 15, and those with `wal_sender_timeout = 0`, say nothing while they decode a
    /// transaction of which nothing is published: a limit shorter than that would repeat it for
    /// ever. A host that is gone is noticed by TCP after a minute.
    pub silence_limit: Duration,
    /// Publication.
    pub publication: String,
    /// Slot.
    pub slot: Slot,
    /// Marks the connections of all processes of one installation, of which only one is in charge
    /// at a time: a connection with this mark that still holds the slot is of a predecessor, which
    /// the sink has shut out, and is ended. `None` ends nobody's.
    pub installation: Option<String>,
    /// How many connections there may be at once.
    pub connections: Connections,
    /// The log that the server must write from which tables are read; any where there is none.
    /// Behind one name, and behind several, there may be others.
    pub server: Option<Lineage>,
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("hosts", &self.hosts)
            .field("target", &self.target)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .field("publication", &self.publication)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl PostgresConfig {
    /// What the server shows of our connections: the name, and whose they are. Servers show 63
    /// bytes of printable ASCII, and put what they please in the place of all else.
    pub(crate) fn shown_name(&self) -> String {
        const SHOWN: usize = 63;
        let mark = self.installation.as_ref().map_or_else(String::new, |mark| format!("/{mark}"));
        let printable = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
        let room = SHOWN.saturating_sub(mark.len());
        let name: String = self.application_name.chars().map(printable).take(room).collect();
        name + &mark
    }

    /// The protection of a connection to `host`: a Unix socket needs none, whatever the mode says.
    pub(crate) fn tls_to(&self, host: &Host) -> Option<TlsSettings> {
        let check = match (self.tls.mode, host) {
            (SslMode::Disable, _) | (_, Host::Unix(..)) => return None,
            (SslMode::Require, _) => Check::Nobody,
            (SslMode::VerifyCa, _) => Check::Authority,
            (SslMode::VerifyFull, _) => Check::AuthorityAndName,
        };
        let Tls { root_cert, client, .. } = self.tls.clone();
        Some(TlsSettings { check, root_cert, client, words: &WORDS })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_connections_name_is_one_that_every_server_shows_as_it_is() {
        let parsed = PostgresConfig::parse("postgresql://u@h/d", "p", Slot::Temporary).unwrap();
        let shown = |name: &str, mark: Option<&str>| {
            let (application_name, installation) = (name.to_owned(), mark.map(str::to_owned));
            PostgresConfig { application_name, installation, ..parsed.clone() }.shown_name()
        };
        assert_eq!(shown("the shop", None), "the shop");
        assert_eq!(shown("Müller\t& Söhne\0", None), "M?ller?& S?hne?");
        let long = "x".repeat(80);
        assert_eq!(shown(&long, None), "x".repeat(63));
        let marked = shown(&long, Some("0123456789abcdef"));
        assert_eq!(marked, format!("{}/0123456789abcdef", "x".repeat(46)));
        assert_eq!(shown("", Some("mark")), "/mark");
    }
}
