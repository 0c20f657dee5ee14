use std::path::PathBuf;
use std::time::Duration;

use connector_transport::{BadUrl, Connections, Family, decode};

use super::{Host, PostgresConfig, Role, Slot, SslMode, Tls};

const FAMILY: Family = Family {
    schemes: &["postgresql://", "postgres://"],
    shape: "write it as postgresql://user@host:5432/database?sslmode=verify-full",
    port: 5432,
};

impl PostgresConfig {
    /// Reads `postgresql://user@host:port,host2/database?parameter=value`. Publication and slot
    /// are not part of it.
    pub fn parse(url: &str, publication: &str, slot: Slot) -> Result<Self, BadUrl> {
        let parts = FAMILY.split(url)?;
        let parameters = Parameters::read(parts.parameters)?;
        let hosts = match parameters.folder {
            None => FAMILY.hosts(parts.hosts)?.into_iter().map(host).collect(),
            Some(folder) => match parts.hosts.strip_prefix(':') {
                None if !parts.hosts.is_empty() => {
                    return Err(BadUrl::new(
                        "the URL names a host and a socket folder",
                        FAMILY.shape,
                    ));
                }
                number => vec![Host::Unix(folder, FAMILY.port(number.unwrap_or_default())?)],
            },
        };
        Ok(Self {
            hosts,
            target: parameters.target,
            user: parts.user,
            password: parts.password,
            database: parts.database,
            tls: parameters.tls,
            application_name: parameters.application_name,
            installation: None,
            server: None,
            connections: Connections::default(),
            connect_timeout: parameters.connect_timeout,
            answer_time: Duration::from_secs(60),
            silence_limit: Duration::from_secs(300),
            publication: publication.to_owned(),
            slot,
        })
    }
}

/// What stands behind the `?`.
struct Parameters {
    tls: Tls,
    folder: Option<PathBuf>,
    target: Role,
    application_name: String,
    connect_timeout: Duration,
}

impl Parameters {
    fn read(text: &str) -> Result<Self, BadUrl> {
        let mut read = Self {
            tls: Tls { mode: SslMode::VerifyFull, root_cert: None, client: None },
            folder: None,
            target: Role::Any,
            application_name: "tailstock".to_owned(),
            connect_timeout: Duration::from_secs(10),
        };
        let (mut certificate, mut key) = (None, None);
        let mut seen = Vec::new();
        for parameter in text.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if seen.contains(&name) {
                return Err(BadUrl::new(format!("the URL gives {name} twice"), "give it once"));
            }
            let value = decode(value)?;
            match name {
                "sslcert" => certificate = Some(value.into()),
                "sslkey" => key = Some(value.into()),
                _ => read.set(name, value)?,
            }
            seen.push(name);
        }
        read.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(BadUrl::new(
                    "sslcert and sslkey belong together",
                    "give both or neither",
                ));
            }
        };
        Ok(read)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), BadUrl> {
        match name {
            "sslmode" => self.tls.mode = ssl_mode(&value)?,
            // What libpq calls the authorities of the system.
            "sslrootcert" if value == "system" => self.tls.root_cert = None,
            "sslrootcert" => self.tls.root_cert = Some(value.into()),
            "host" if value.starts_with('/') => self.folder = Some(value.into()),
            "host" => {
                return Err(BadUrl::new(
                    "the parameter host is not the folder of a Unix socket",
                    "write a host's name before the /, and a socket's folder as host=/folder",
                ));
            }
            "target_session_attrs" => self.target = role(&value)?,
            "application_name" => self.application_name = value,
            "connect_timeout" => {
                let seconds = value.parse().ok().filter(|seconds| (1..=300).contains(seconds));
                let seconds = seconds.ok_or_else(|| {
                    let what = format!("connect_timeout is {value}, not a number of seconds");
                    BadUrl::new(what, "write 1 to 300")
                })?;
                self.connect_timeout = Duration::from_secs(seconds);
            }
            "password" => {
                return Err(BadUrl::new(
                    "the URL holds a password as a parameter",
                    "put it into a file: password = { file = \"...\" }",
                ));
            }
            other => {
                // A stray piece of a password is not to be shown.
                let of_name = |byte: u8| byte.is_ascii_lowercase() || b"-_".contains(&byte);
                let is_name = other.bytes().all(of_name);
                let name = if is_name { format!(" {other}") } else { String::new() };
                return Err(BadUrl::new(
                    format!("the URL has an unknown parameter{name}"),
                    "known are sslmode, sslrootcert, sslcert, sslkey, host, connect_timeout, \
                     application_name, target_session_attrs",
                ));
            }
        }
        Ok(())
    }
}

fn ssl_mode(value: &str) -> Result<SslMode, BadUrl> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "require" => Ok(SslMode::Require),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-full" => Ok(SslMode::VerifyFull),
        "prefer" | "allow" => Err(BadUrl::new(
            format!("sslmode={value} may send everything in the clear without a word"),
            "write sslmode=verify-full, or sslmode=disable where that is what you want",
        )),
        other => Err(BadUrl::new(
            format!("sslmode={other} is not known"),
            "write disable, require, verify-ca or verify-full",
        )),
    }
}

/// We never write, so that what libpq tells apart by writing is one thing here.
fn role(value: &str) -> Result<Role, BadUrl> {
    match value {
        "any" => Ok(Role::Any),
        "primary" | "read-write" => Ok(Role::Primary),
        "standby" | "read-only" => Ok(Role::Standby),
        other => Err(BadUrl::new(
            format!("target_session_attrs={other} is not known"),
            "write any, primary (read-write) or standby (read-only)",
        )),
    }
}

fn host((name, port): (String, u16)) -> Host {
    if name.starts_with('/') { Host::Unix(name.into(), port) } else { Host::Tcp(name, port) }
}

#[cfg(test)]
mod tests;
