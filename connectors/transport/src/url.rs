//! What the URLs of all databases have in common.

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

impl BadUrl {
    /// Says what is wrong, and how to mend it.
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

const ESCAPES: &str = "in a user's name or password write / as %2F, ? as %3F, @ as %40, : as %3A";

/// How the URLs of one family look.
#[derive(Debug)]
pub struct Family {
    /// What its URLs begin with, the usual one first.
    pub schemes: &'static [&'static str],
    /// An example, as a request.
    pub shape: &'static str,
    /// Where its servers listen.
    pub port: u16,
}

/// `scheme://user:password@hosts/database?parameters`, taken apart.
#[derive(Debug)]
pub struct Parts<'u> {
    /// Decoded.
    pub user: String,
    /// Decoded; `None` when it is empty.
    pub password: Option<String>,
    /// As they stand there, for [`Family::hosts`].
    pub hosts: &'u str,
    /// Decoded.
    pub database: String,
    /// What stands behind the `?`, as it is.
    pub parameters: &'u str,
}

impl Family {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// A URL of another family, or one that names no user or no database.
    pub fn split<'u>(&self, url: &'u str) -> Result<Parts<'u>, BadUrl> {
        let bad = |what: &str| BadUrl::new(what, self.shape);
        let rest = self.schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| {
            let schemes = self.schemes.join(" or ");
            BadUrl::new(format!("the URL does not begin with {schemes}"), self.shape)
        })?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        // A password with such a character would end up in the name of something else.
        let astray = rest.contains('@') && !authority.contains('@');
        if astray || database.contains(['/', '@']) {
            return Err(BadUrl::new("the URL has a /, ? or @ where none can be", ESCAPES));
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        if user.is_empty() {
            return Err(bad("the URL names no user"));
        }
        if database.is_empty() {
            return Err(bad("the URL names no database"));
        }
        let password = if password.is_empty() { None } else { Some(decode(password)?) };
        let (user, database) = (decode(user)?, decode(database)?);
        Ok(Parts { user, password, hosts, database, parameters })
    }

    /// Names, or addresses, and ports of a list of hosts.
    ///
    /// # Errors
    /// What is no host, or no port.
    pub fn hosts(&self, text: &str) -> Result<Vec<(String, u16)>, BadUrl> {
        text.split(',').map(|host| self.host(host)).collect()
    }

    fn host(&self, text: &str) -> Result<(String, u16), BadUrl> {
        let bad = |what: &str| BadUrl::new(what, self.shape);
        let (name, number) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, after) =
                    rest.split_once(']').ok_or_else(|| bad("an IPv6 address lacks its ]"))?;
                let number = after.strip_prefix(':').or_else(|| after.is_empty().then_some(""));
                (name, number.ok_or_else(|| bad("a ] is followed by something but a port"))?)
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        if number.contains(':') {
            let fix = format!("write it as [2001:db8::1]:{}", self.port);
            return Err(BadUrl::new("an IPv6 address has no brackets", fix));
        }
        if name.is_empty() {
            return Err(bad("the URL names no host"));
        }
        let port = self.port(number)?;
        Ok((decode(name)?, port))
    }

    /// A port, the family's own where none is given.
    ///
    /// # Errors
    /// What is no port.
    pub fn port(&self, text: &str) -> Result<u16, BadUrl> {
        if text.is_empty() {
            return Ok(self.port);
        }
        let port = text.parse().ok().filter(|port| *port > 0);
        port.ok_or_else(|| BadUrl::new(format!("{text} is not a port"), "write 1 to 65535"))
    }
}

/// Percent-decodes.
///
/// # Errors
/// Escapes that are none, or are no text.
pub fn decode(text: &str) -> Result<String, BadUrl> {
    let wrong =
        || BadUrl::new("the URL has a % that is not followed by two hex digits", "write % as %25");
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
    let not_text =
        |_| BadUrl::new("the URL has %-escapes that are not text", "write them in UTF-8");
    let text = String::from_utf8(out).map_err(not_text)?;
    if text.contains('\0') {
        return Err(BadUrl::new("the URL has a zero byte", "leave %00 out"));
    }
    Ok(text)
}
