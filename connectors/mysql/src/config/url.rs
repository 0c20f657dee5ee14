use std::path::PathBuf;
use std::time::Duration;

use super::{Host, MysqlConfig, SslMode, Tls};

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

const SHAPE: &str = "write it as mysql://user@host:3306/database?ssl-mode=verify-identity";
const ESCAPES: &str = "in a user's name or password write / as %2F, ? as %3F, @ as %40, : as %3A";

impl MysqlConfig {
    /// Reads `mysql://user@host:port,host2/database?parameter=value`, or the same with `mariadb:`.
    /// The server id is not part of it.
    ///
    /// # Errors
    /// A URL that does not say where the database is, or says it in an unknown way; a server id of
    /// 0.
    pub fn parse(url: &str, server_id: u32) -> Result<Self, BadUrl> {
        if server_id == 0 {
            return Err(bad("the server id is 0, which no replica can have", "give 1 or more"));
        }
        let rest = url
            .strip_prefix("mysql://")
            .or_else(|| url.strip_prefix("mariadb://"))
            .ok_or_else(|| bad("the URL does not begin with mysql:// or mariadb://", SHAPE))?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        // A password with such a character would end up in the name of something else.
        let astray = rest.contains('@') && !authority.contains('@');
        if astray || database.contains(['/', '@']) {
            return Err(bad("the URL has a /, ? or @ where none can be", ESCAPES));
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        if user.is_empty() {
            return Err(bad("the URL names no user", SHAPE));
        }
        if database.is_empty() {
            return Err(bad("the URL names no database", SHAPE));
        }
        let parameters = Parameters::read(parameters)?;
        let hosts = match parameters.socket {
            None => hosts.split(',').map(host).collect::<Result<Vec<_>, _>>()?,
            // As MySQL's own clients do.
            Some(socket) if ["", "localhost"].contains(&hosts) => vec![Host::Unix(socket)],
            Some(_) => return Err(bad("the URL names a host and a socket", "give one of them")),
        };
        Ok(Self {
            hosts,
            user: decode(user)?,
            password: if password.is_empty() { None } else { Some(decode(password)?) },
            database: decode(database)?,
            tls: parameters.tls,
            connect_timeout: parameters.connect_timeout,
            heartbeat: parameters.heartbeat,
            server_id,
            installation: None,
            first_file: None,
        })
    }
}

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
                return Err(bad(format!("the URL gives {name} twice"), "give it once"));
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
            _ => return Err(bad("ssl-cert and ssl-key belong together", "give both or neither")),
        };
        Ok(read)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), BadUrl> {
        match name {
            "ssl-mode" => self.tls.mode = ssl_mode(&value)?,
            "ssl-ca" => self.tls.root_cert = Some(value.into()),
            "socket" if value.starts_with('/') => self.socket = Some(value.into()),
            "socket" => {
                return Err(bad(
                    "the parameter socket is not the path of a Unix socket",
                    "write it as socket=/run/mysqld/mysqld.sock",
                ));
            }
            "connect_timeout" => self.connect_timeout = seconds(name, &value)?,
            "heartbeat" => self.heartbeat = seconds(name, &value)?,
            "password" => {
                return Err(bad(
                    "the URL holds a password as a parameter",
                    "put it into a file: password = { file = \"...\" }",
                ));
            }
            other => {
                // A stray piece of a password is not to be shown.
                let of_name = |byte: u8| byte.is_ascii_lowercase() || b"-_".contains(&byte);
                let is_name = other.bytes().all(of_name);
                let name = if is_name { format!(" {other}") } else { String::new() };
                return Err(bad(
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
    let wrong = || bad(format!("{name} is {value}, not a number of seconds"), "write 1 to 300");
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

fn ssl_mode(value: &str) -> Result<SslMode, BadUrl> {
    match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Ok(SslMode::Disable),
        "prefer" | "preferred" => Ok(SslMode::Preferred),
        "require" | "required" => Ok(SslMode::Required),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-identity" => Ok(SslMode::VerifyIdentity),
        _ => Err(bad(
            format!("ssl-mode={value} is not known"),
            "write disabled, preferred, required, verify-ca or verify-identity",
        )),
    }
}

fn host(text: &str) -> Result<Host, BadUrl> {
    let (name, number) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) =
                rest.split_once(']').ok_or_else(|| bad("an IPv6 address lacks its ]", SHAPE))?;
            let number = after.strip_prefix(':').or_else(|| after.is_empty().then_some(""));
            (name, number.ok_or_else(|| bad("a ] is followed by something but a port", SHAPE))?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if number.contains(':') {
        return Err(bad("an IPv6 address has no brackets", "write it as [2001:db8::1]:3306"));
    }
    if name.is_empty() {
        return Err(bad("the URL names no host", SHAPE));
    }
    let port = port(number)?;
    let name = decode(name)?;
    if name.starts_with('/') {
        return Ok(Host::Unix(name.into()));
    }
    Ok(Host::Tcp(name, port))
}

fn port(text: &str) -> Result<u16, BadUrl> {
    if text.is_empty() {
        return Ok(3306);
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| bad(format!("{text} is not a port"), "write 1 to 65535"))
}

/// Percent-decodes.
fn decode(text: &str) -> Result<String, BadUrl> {
    let wrong = || bad("the URL has a % that is not followed by two hex digits", "write % as %25");
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut next = || bytes.next().and_then(digit).ok_or_else(wrong);
        out.push(next()? << 4 | next()?);
    }
    let not_text = |_| bad("the URL has %-escapes that are not text", "write them in UTF-8");
    let text = String::from_utf8(out).map_err(not_text)?;
    if text.contains('\0') {
        return Err(bad("the URL has a zero byte", "leave %00 out"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
