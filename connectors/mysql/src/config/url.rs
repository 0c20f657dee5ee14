use std::path::PathBuf;
use std::time::Duration;

use connector_transport::{BadUrl, Connections, Family, decode};

use super::{Host, MysqlConfig, SslMode, Tls};

const FAMILY: Family = Family {
    schemes: &["mysql://", "mariadb://"],
    shape: "write it as mysql://user@host:3306/database?ssl-mode=verify-identity",
    port: 3306,
};

impl MysqlConfig {
    /// Reads `mysql://user@host:port,host2/database?parameter=value`, or the same with `mariadb:`.
    /// The server id is not part of it.
    ///
    /// # Errors
    /// A URL that does not say where the database is, or says it in an unknown way; a server id of
    /// 0.
    pub fn parse(url: &str, server_id: u32) -> Result<Self, BadUrl> {
        if server_id == 0 {
            return Err(BadUrl::new(
                "the server id is 0, which no replica can have",
                "give 1 or more",
            ));
        }
        let parts = FAMILY.split(url)?;
        let parameters = Parameters::read(parts.parameters)?;
        let hosts = match parameters.socket {
            None => FAMILY.hosts(parts.hosts)?.into_iter().map(host).collect(),
            // As MySQL's own clients do.
            Some(socket) if ["", "localhost"].contains(&parts.hosts) => vec![Host::Unix(socket)],
            Some(_) => {
                return Err(BadUrl::new("the URL names a host and a socket", "give one of them"));
            }
        };
        Ok(Self {
            hosts,
            user: parts.user,
            password: parts.password,
            database: parts.database,
            tls: parameters.tls,
            connect_timeout: parameters.connect_timeout,
            heartbeat: parameters.heartbeat,
            patience: PATIENCE,
            server_id,
            installation: None,
            connections: Connections::default(),
            server: None,
            first_file: None,
        })
    }
}

/// Longer than a sink takes to come back from a restart, and much shorter than any log is kept.
const PATIENCE: Duration = Duration::from_secs(300);

/// What stands behind the `?`.
struct Parameters {
    tls: Tls,
    socket: Option<PathBuf>,
    connect_timeout: Duration,
    heartbeat: Duration,
}

impl Parameters {
    fn read(text: &str) -> Result<Self, BadUrl> {
        let mut read = Self {
            tls: Tls { mode: SslMode::VerifyIdentity, root_cert: None, client: None },
            socket: None,
            connect_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
        };
        let (mut certificate, mut key) = (None, None);
        let mut seen = Vec::new();
        for parameter in text.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            // MySQL writes its options in both ways.
            let name = match name {
                "connect-timeout" => "connect_timeout".to_owned(),
                name if name.starts_with("ssl_") => name.replace('_', "-"),
                name => name.to_owned(),
            };
            if seen.contains(&name) {
                return Err(BadUrl::new(format!("the URL gives {name} twice"), "give it once"));
            }
            let value = decode(value)?;
            match name.as_str() {
                "ssl-cert" => certificate = Some(value.into()),
                "ssl-key" => key = Some(value.into()),
                name => read.set(name, value)?,
            }
            seen.push(name);
        }
        read.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(BadUrl::new(
                    "ssl-cert and ssl-key belong together",
                    "give both or neither",
                ));
            }
        };
        Ok(read)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), BadUrl> {
        match name {
            "ssl-mode" => self.tls.mode = ssl_mode(&value)?,
            "ssl-ca" => self.tls.root_cert = Some(value.into()),
            "socket" if value.starts_with('/') => self.socket = Some(value.into()),
            "socket" => {
                return Err(BadUrl::new(
                    "the parameter socket is not the path of a Unix socket",
                    "write it as socket=/run/mysqld/mysqld.sock",
                ));
            }
            "connect_timeout" => self.connect_timeout = seconds(name, &value)?,
            "heartbeat" => self.heartbeat = seconds(name, &value)?,
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
                    "known are ssl-mode, ssl-ca, ssl-cert, ssl-key, socket, connect_timeout, \
                     heartbeat",
                ));
            }
        }
        Ok(())
    }
}

fn seconds(name: &str, value: &str) -> Result<Duration, BadUrl> {
    let seconds = value.parse().ok().filter(|seconds| (1..=300).contains(seconds));
    let wrong =
        || BadUrl::new(format!("{name} is {value}, not a number of seconds"), "write 1 to 300");
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

fn ssl_mode(value: &str) -> Result<SslMode, BadUrl> {
    match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Ok(SslMode::Disable),
        "prefer" | "preferred" => Ok(SslMode::Preferred),
        "require" | "required" => Ok(SslMode::Required),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-identity" => Ok(SslMode::VerifyIdentity),
        _ => Err(BadUrl::new(
            format!("ssl-mode={value} is not known"),
            "write disabled, preferred, required, verify-ca or verify-identity",
        )),
    }
}

fn host((name, port): (String, u16)) -> Host {
    if name.starts_with('/') { Host::Unix(name.into()) } else { Host::Tcp(name, port) }
}

#[cfg(test)]
mod tests;
