use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where one host listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address, and a port.
    Tcp(String, u16),
    /// The folder of a Unix socket, and the port in the socket's name.
    Unix(PathBuf, u16),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Tcp(name, port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Host::Tcp(name, port) => write!(f, "{name}:{port}"),
            Host::Unix(folder, port) => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

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

/// Everything needed to reach one database.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Hosts, tried in turn.
    pub hosts: Vec<Host>,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// TLS.
    pub tls: Tls,
    /// Time for one host to answer.
    pub connect_timeout: Duration,
    /// Publication.
    pub publication: String,
    /// Slot.
    pub slot: Slot,
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// A URL that does not say how to reach a database. Never shows the URL itself, which may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadUrl {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub fix: String,
}

fn bad(what: impl Into<String>, fix: impl Into<String>) -> BadUrl {
    BadUrl { what: what.into(), fix: fix.into() }
}

const SHAPE: &str = "write it as postgresql://user@host:5432/database?sslmode=verify-full";

impl PostgresConfig {
    /// Reads `postgresql://user@host:port,host2/database?parameter=value`. Publication and slot
    /// are not part of it.
    pub fn parse(url: &str, publication: &str, slot: Slot) -> Result<Self, BadUrl> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| bad("the URL does not begin with postgresql://", SHAPE))?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decode(password)?)),
            None => (login, None),
        };
        if user.is_empty() {
            return Err(bad("the URL names no user", SHAPE));
        }
        if database.is_empty() {
            return Err(bad("the URL names no database", SHAPE));
        }
        let tls = Tls { mode: SslMode::VerifyFull, root_cert: None, client: None };
        let mut config = Self {
            hosts: Vec::new(),
            user: decode(user)?,
            password,
            database: decode(database)?,
            tls,
            connect_timeout: Duration::from_secs(10),
            publication: publication.to_owned(),
            slot,
        };
        let folder = config.parameters(parameters)?;
        match folder {
            Some(folder) if hosts.is_empty() || hosts.starts_with(':') => {
                let port = port(hosts.strip_prefix(':').unwrap_or(""))?;
                config.hosts.push(Host::Unix(folder, port));
            }
            Some(_) => return Err(bad("the URL names a host and a socket folder", SHAPE)),
            None => {
                config.hosts = hosts.split(',').map(host).collect::<Result<_, _>>()?;
            }
        }
        let local = config.hosts.iter().all(|host| matches!(host, Host::Unix(..)));
        if local {
            config.tls.mode = SslMode::Disable;
        }
        Ok(config)
    }

    /// Reads the parameters; returns the folder of a Unix socket, if one is given.
    fn parameters(&mut self, parameters: &str) -> Result<Option<PathBuf>, BadUrl> {
        let mut folder = None;
        let (mut certificate, mut key) = (None, None);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = decode(value)?;
            match name {
                "sslmode" => self.tls.mode = ssl_mode(&value)?,
                "sslrootcert" => self.tls.root_cert = Some(value.into()),
                "sslcert" => certificate = Some(value.into()),
                "sslkey" => key = Some(value.into()),
                "host" => folder = Some(value.into()),
                "connect_timeout" => {
                    let seconds = value.parse().ok().filter(|seconds| (1..=300).contains(seconds));
                    let seconds = seconds.ok_or_else(|| {
                        let what = format!("connect_timeout is {value}, not a number of seconds");
                        bad(what, "write 1 to 300")
                    })?;
                    self.connect_timeout = Duration::from_secs(seconds);
                }
                "password" => {
                    return Err(bad(
                        "the URL holds a password as a parameter",
                        "put it into a file: password = { file = \"...\" }",
                    ));
                }
                other => {
                    return Err(bad(
                        format!("the URL has an unknown parameter {other}"),
                        "known are sslmode, sslrootcert, sslcert, sslkey, host, connect_timeout",
                    ));
                }
            }
        }
        self.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(bad("sslcert and sslkey belong together", "give both or neither")),
        };
        Ok(folder)
    }
}

fn ssl_mode(value: &str) -> Result<SslMode, BadUrl> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "require" => Ok(SslMode::Require),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-full" => Ok(SslMode::VerifyFull),
        "prefer" | "allow" => Err(bad(
            format!("sslmode={value} may send everything in the clear without a word"),
            "write sslmode=verify-full, or sslmode=disable where that is what you want",
        )),
        other => Err(bad(
            format!("sslmode={other} is not known"),
            "write disable, require, verify-ca or verify-full",
        )),
    }
}

fn host(text: &str) -> Result<Host, BadUrl> {
    let (name, after) = match text.strip_prefix('[') {
        Some(rest) => {
            rest.split_once(']').ok_or_else(|| bad("an IPv6 address lacks its ]", SHAPE))?
        }
        None => match text.split_once(':') {
            Some((name, after)) => (name, &text[text.len() - after.len() - 1..]),
            None => (text, ""),
        },
    };
    if name.is_empty() {
        return Err(bad("the URL names no host", SHAPE));
    }
    let port = port(after.strip_prefix(':').unwrap_or(after))?;
    let name = decode(name)?;
    if name.starts_with('/') {
        return Ok(Host::Unix(name.into(), port));
    }
    Ok(Host::Tcp(name, port))
}

fn port(text: &str) -> Result<u16, BadUrl> {
    if text.is_empty() {
        return Ok(5432);
    }
    text.parse().map_err(|_| bad(format!("{text} is not a port"), "write 1 to 65535"))
}

/// Percent-decodes.
fn decode(text: &str) -> Result<String, BadUrl> {
    let wrong = || bad("the URL has a % that is not followed by two hex digits", "write % as %25");
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or_else(wrong)?;
            out.push(byte);
            rest = &tail[2..];
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(out).map_err(|_| wrong())
}
