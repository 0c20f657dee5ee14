use std::path::PathBuf;
use std::time::Duration;

use super::{Host, PostgresConfig, Role, Slot, SslMode, Tls};

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
const ESCAPES: &str = "in a user's name or password write / as %2F, ? as %3F, @ as %40, : as %3A";

impl PostgresConfig {
    /// Reads `postgresql://user@host:port,host2/database?parameter=value`. Publication and slot
    /// are not part of it.
    pub fn parse(url: &str, publication: &str, slot: Slot) -> Result<Self, BadUrl> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| bad("the URL does not begin with postgresql://", SHAPE))?;
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
        let hosts = match parameters.folder {
            None => hosts.split(',').map(host).collect::<Result<Vec<_>, _>>()?,
            Some(folder) => match hosts.strip_prefix(':') {
                None if !hosts.is_empty() => {
                    return Err(bad("the URL names a host and a socket folder", SHAPE));
                }
                number => vec![Host::Unix(folder, port(number.unwrap_or_default())?)],
            },
        };
        Ok(Self {
            hosts,
            target: parameters.target,
            user: decode(user)?,
            password: if password.is_empty() { None } else { Some(decode(password)?) },
            database: decode(database)?,
            tls: parameters.tls,
            application_name: parameters.application_name,
            installation: None,
            connect_timeout: parameters.connect_timeout,
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
                return Err(bad(format!("the URL gives {name} twice"), "give it once"));
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
            _ => return Err(bad("sslcert and sslkey belong together", "give both or neither")),
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
                return Err(bad(
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
                // A stray piece of a password is not to be shown.
                let is_name = other.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let name = if is_name { format!(" {other}") } else { String::new() };
                return Err(bad(
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

/// We never write, so that what libpq tells apart by writing is one thing here.
fn role(value: &str) -> Result<Role, BadUrl> {
    match value {
        "any" => Ok(Role::Any),
        "primary" | "read-write" => Ok(Role::Primary),
        "standby" | "read-only" => Ok(Role::Standby),
        other => Err(bad(
            format!("target_session_attrs={other} is not known"),
            "write any, primary (read-write) or standby (read-only)",
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
        return Err(bad("an IPv6 address has no brackets", "write it as [2001:db8::1]:5432"));
    }
    if name.is_empty() {
        return Err(bad("the URL names no host", SHAPE));
    }
    let port = port(number)?;
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
