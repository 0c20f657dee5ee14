use std::fmt::Write as _;

use connector_transport::Connections;

use super::Secret;
use super::kind::{Family, SourceKind};
use super::main_file::checked_name;
use super::outside::{ENV, Outside, section_finished};
use super::problem::{Place, Problem, Text};
use super::raw::{Key, Section};
use crate::stock::SourceName;

/// One database of a seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name among the seller's sources.
    pub name: SourceName,
    /// Its family, with the settings that it alone has.
    pub kind: SourceKind,
    /// Where it is and how to get there. Never holds a password.
    pub url: String,
    /// What to log in with, besides what the URL names.
    pub password: Option<Secret>,
    /// Whether and how fast its tables are read.
    pub snapshot: SnapshotConfig,
    /// How many connections there may be to it at once: what reads the log, what reads tables,
    /// and what asks. Clones count together.
    pub connections: Connections,
    /// Where `url` stands, for messages.
    pub place: Place,
}

/// See [`SourceConfig::connections`].
const CONNECTIONS: usize = 3;

/// Whether and how fast the tables of a source are read, besides its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// Whether at all. Without, what was there before the first start is unknown until it changes.
    pub automatic: bool,
    /// Rows a second at most.
    pub rows_per_s: u32,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self { automatic: true, rows_per_s: ROWS_PER_S }
    }
}

/// What a shop does not feel (`make bench-snapshot`), and a million rows in a minute.
const ROWS_PER_S: u32 = 20_000;

const SNAPSHOT: Key = Key {
    name: "snapshot",
    wanted: "\"automatic\" or \"never\"",
    example: "snapshot = \"automatic\"",
};
const SNAPSHOT_ROWS_PER_S: Key = Key {
    name: "snapshot_rows_per_s",
    wanted: "a number from 1 to 10000000",
    example: "snapshot_rows_per_s = 5000",
};

fn snapshot(section: &Section<'_>) -> SnapshotConfig {
    let words = [("automatic", true), ("never", false)];
    let automatic = section.word(&SNAPSHOT, &words).unwrap_or(true);
    let rows_per_s = section.number(&SNAPSHOT_ROWS_PER_S, 1..=10_000_000);
    let rows_per_s = rows_per_s.and_then(|rows| u32::try_from(rows).ok());
    SnapshotConfig { automatic, rows_per_s: rows_per_s.unwrap_or(ROWS_PER_S) }
}

impl SourceConfig {
    /// A source that stands in no file. A password in the URL is taken out of it.
    pub fn of_url(kind: SourceKind, url: &str) -> Self {
        let (url, password) = split_password(url);
        Self {
            name: SourceName::new(NAME_DEFAULT),
            kind,
            url,
            password: password.map(Secret::new),
            snapshot: SnapshotConfig::default(),
            connections: Connections::at_most(CONNECTIONS),
            place: Place { file: "--url".into(), line: None, key: String::new() },
        }
    }

    /// The server in the URL: each of its hosts in small letters and with a port.
    pub(super) fn server(&self) -> String {
        let (_, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let whole = |host: &str| {
            // The colons of an IPv6 address stand in brackets.
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
            match has_port {
                true => host.to_lowercase(),
                false => format!("{}:{}", host.to_lowercase(), self.kind.port()),
            }
        };
        hosts.split(',').map(whole).collect::<Vec<_>>().join(",")
    }

    /// The schema that a table is most likely to be in.
    pub(super) fn schema(&self) -> &str {
        let place = self.url.split('?').next().unwrap_or_default();
        let database = place.split('/').nth(3).filter(|name| !name.is_empty());
        match self.kind {
            SourceKind::Postgres { .. } => "public",
            SourceKind::Mysql { .. } => database.unwrap_or("shop"),
        }
    }
}

pub(super) const SOURCE: Key = Key {
    name: "source",
    wanted: "a section that says where the seller's database is",
    example: "[source] with kind = \"postgres\" and url = \"postgresql://...\" below it, or kind = \
              \"mysql\" and url = \"mysql://...\"",
};
const NAME: Key = Key {
    name: "name",
    wanted: "a name for this one of the seller's databases",
    example: "name = \"main\"",
};
const URL: Key = Key {
    name: "url",
    wanted: "the address of the database",
    example: "url = \"postgresql://tailstock@db.example:5432/shop\"",
};
const URL_OF_MYSQL: Key = Key {
    name: URL.name,
    wanted: URL.wanted,
    example: "url = \"mysql://tailstock@db.example:3306/shop\"",
};
const URL_ENV: Key = Key {
    name: ENV.name,
    wanted: "the name of an environment variable that holds the URL",
    example: "url = { env = \"ACME_URL\" }",
};
const PASSWORD: Key = Key {
    name: "password",
    wanted: "{ file = ... } or { env = ... }: a secret does not stand in this file",
    example: "password = { file = \"/run/secrets/acme\" } or { env = \"ACME_PASSWORD\" }",
};
const NAME_DEFAULT: &str = "main";

/// An address and the password that came inside it.
struct Address {
    url: String,
    password: Option<Secret>,
    place: Place,
}

pub(super) fn read(section: Section<'_>, outside: &Outside<'_>) -> Option<SourceConfig> {
    let name = match section.text(&NAME) {
        Some(name) => checked_name(&section, name).map(|name| name.text),
        None => Some(NAME_DEFAULT.to_owned()),
    };
    let family = Family::read(&section);
    let address = address(&section, family, outside);
    let password = password(&section, outside);
    let snapshot = snapshot(&section);
    if let Some(inner) = address.as_ref().filter(|inner| inner.password.is_some())
        && section.has(PASSWORD.name)
    {
        section.report(Problem::at(
            &inner.place,
            "a password in the URL and another under `password`",
            "one password",
            "remove one of the two",
        ));
    }
    let kind = family.map(|family| family.settings(&section));
    if kind.is_none() {
        Family::settings_unread(&section);
    }
    let source = address.zip(kind).zip(name).map(|((address, kind), name)| SourceConfig {
        name: SourceName::new(&name),
        kind,
        url: located(&address.url, outside),
        password: password.or(address.password),
        snapshot,
        connections: Connections::at_most(CONNECTIONS),
        place: address.place,
    });
    if let Some((source, family)) = source.as_ref().zip(family) {
        for file in files(&source.url).filter(|file| !std::path::Path::new(file).exists()) {
            let found = format!("{file:?}, which does not exist");
            let wanted = "files that tailstock may read";
            let fix = "name the file from the folder of this file, or by its whole path";
            section.report(Problem::at(&source.place, found, wanted, fix));
        }
        match family.check_url(&source.url, &source.place) {
            Ok(()) => check(&section, source, outside),
            Err(problem) => section.report(problem),
        }
    }
    section.finish();
    source
}

/// What the connector itself says of the source.
fn check(section: &Section<'_>, source: &SourceConfig, outside: &Outside<'_>) {
    let Err(error) = (outside.loader().check_source)(source) else { return };
    let fix = match error.fault() {
        connector_api::Fault::Operator { fix } => fix.clone(),
        _ => "look into the documentation of this kind of source".to_owned(),
    };
    let wanted = format!("a URL that a {} source can use", source.kind);
    section.report(Problem::at(&source.place, error.to_string(), wanted, fix));
}

fn password(section: &Section<'_>, outside: &Outside<'_>) -> Option<Secret> {
    if section.has_text(PASSWORD.name) {
        let text = section.text(&PASSWORD)?;
        let name = text.text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let secret = match name {
            Some(name) => outside.variable(name, &text.place).map(Secret::new),
            None => Err(Problem::at(
                &text.place,
                "a password in plain text",
                PASSWORD.wanted,
                format!("put it into a file of its own: {}", PASSWORD.example),
            )),
        };
        return secret.map_err(|problem| section.report(problem)).ok();
    }
    outside.secret(section.section(&PASSWORD)?)
}

fn address(
    section: &Section<'_>,
    family: Option<Family>,
    outside: &Outside<'_>,
) -> Option<Address> {
    let key = if family == Some(Family::Mysql) { &URL_OF_MYSQL } else { &URL };
    if !section.has(URL.name) || section.has_text(URL.name) {
        let text = section.required_text(key)?;
        let address = written(&text, outside).and_then(|address| checked(address, key));
        return address.map_err(|problem| section.report(problem)).ok();
    }
    let inner = section.section(key)?;
    let address = inner.required_text(&URL_ENV).map(|name| {
        let url = outside.variable(name.text.trim(), &name.place)?;
        let (url, password) = split_password(&url);
        checked(Address { url, password: password.map(Secret::new), place: name.place }, key)
    });
    section_finished(inner, address.transpose())?
}

/// An address that stands in the file itself.
fn written(text: &Text, outside: &Outside<'_>) -> Result<Address, Problem> {
    if split_password(&text.text).1.is_some() || has_torn_password(&text.text) {
        return Err(Problem::at(
            &text.place,
            "a URL with a password in it",
            "a URL without one: a secret does not stand in this file",
            format!("take it out of the URL and write {}", PASSWORD.example),
        ));
    }
    let (url, password) = split_password(&outside.expand(text)?);
    Ok(Address { url, password: password.map(Secret::new), place: text.place.clone() })
}

fn checked(address: Address, key: &Key) -> Result<Address, Problem> {
    let scheme = address.url.split_once("://").map(|(scheme, _)| scheme);
    let has_scheme = scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if has_scheme && !address.url.contains(char::is_whitespace) {
        return Ok(address);
    }
    let wanted = "an address of the form scheme://user@host:port/database";
    Err(Problem::at(&address.place, "something else than a URL", wanted, key.example))
}

/// Whether a password with a `/` or a `?` in it stands where a host and its port should.
fn has_torn_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let Some((front, behind)) = rest.split_once(['/', '?']) else { return false };
    let is_port = |text: &str| text.is_empty() || text.parse::<u16>().is_ok();
    let is_host = front.contains(['@', ',', '[', '$']);
    let torn = front.split_once(':').is_some_and(|(_, behind)| !is_port(behind));
    torn && !is_host && behind.contains('@')
}

/// Takes a password out of a URL: behind the user's name, or as the parameter `password`.
fn split_password(url: &str) -> (String, Option<String>) {
    let (front, query) = url.split_once('?').map_or((url, None), |(f, q)| (f, Some(q)));
    let start = front.find("://").map_or(0, |at| at + 3);
    let end = front[start..].find('/').map_or(front.len(), |at| start + at);
    let mut password = None;
    let mut kept = front.to_owned();
    if let Some(at) = front[start..end].rfind('@').map(|at| start + at)
        && let Some(colon) = front[start..at].find(':').map(|colon| start + colon)
    {
        password = Some(percent_decoded(&front[colon + 1..at]));
        kept = format!("{}{}", &front[..colon], &front[at..]);
    }
    let mut parameters = Vec::new();
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        match parameter.strip_prefix("password=") {
            Some(value) => password = Some(percent_decoded(value)),
            None => parameters.push(parameter),
        }
    }
    if !parameters.is_empty() {
        kept = format!("{kept}?{}", parameters.join("&"));
    }
    (kept, password.filter(|password| !password.is_empty()))
}

/// Parameters of URLs that name a file.
const FILES: [&str; 6] = ["sslrootcert", "sslcert", "sslkey", "ssl-ca", "ssl-cert", "ssl-key"];

/// The URL with its files as they are found from anywhere: like every path they are relative to the
/// folder of the file they stand in.
fn located(url: &str, outside: &Outside<'_>) -> String {
    let Some((front, query)) = url.split_once('?') else { return url.to_owned() };
    let parameter = |parameter: &str| -> Option<String> {
        let (name, path) = file(parameter)?;
        let located = outside.path_text(&path);
        (located != path).then(|| format!("{name}={}", percent_encoded(&located)))
    };
    let parameters =
        query.split('&').map(|text| parameter(text).unwrap_or_else(|| text.to_owned()));
    format!("{front}?{}", parameters.collect::<Vec<_>>().join("&"))
}

/// The files that a URL names.
fn files(url: &str) -> impl Iterator<Item = String> {
    let parameters = url.split_once('?').map_or("", |(_, query)| query).split('&');
    parameters.filter_map(|parameter| file(parameter).map(|(_, path)| path))
}

/// The name and the path of a parameter that names a file.
fn file(parameter: &str) -> Option<(&str, String)> {
    let (name, value) = parameter.split_once('=')?;
    let is_file = FILES.contains(&name.replace('_', "-").as_str());
    let is_word = value.is_empty() || (name, value) == ("sslrootcert", "system");
    (is_file && !is_word).then(|| (name, percent_decoded(value)))
}

/// A path as a URL has it.
fn percent_encoded(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => write!(text, "%{byte:02X}").expect("writing to memory"),
        }
    }
    text
}

/// `%41` is `A`; what is no such escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_password_leaves_the_url_and_is_decoded() {
        let split = |url| split_password(url);
        assert_eq!(
            split("postgresql://u:p%40ss@h:5432/d?sslmode=require"),
            ("postgresql://u@h:5432/d?sslmode=require".into(), Some("p@ss".into()))
        );
        assert_eq!(
            split("postgresql://u:a@b@h,h2:1/d"),
            ("postgresql://u@h,h2:1/d".into(), Some("a@b".into()))
        );
        assert_eq!(
            split("postgresql://u@h/d?password=x&sslmode=disable"),
            ("postgresql://u@h/d?sslmode=disable".into(), Some("x".into()))
        );
    }

    #[test]
    fn a_url_without_a_password_stays_as_it_is() {
        for url in ["postgresql://u@[::1]:5432/d", "postgresql:///d?host=/run/pg", "postgres://h"] {
            assert_eq!(split_password(url), (url.to_owned(), None));
        }
    }

    #[test]
    fn a_password_that_takes_a_url_apart_is_noticed_and_nothing_else_is() {
        for url in ["postgresql://t:a/b@h/d", "postgresql://t:a?b@h/d", "mysql://t:1a/@h"] {
            assert!(has_torn_password(url), "{url}");
        }
        for url in [
            "postgresql://u@h:5432/d?application_name=a@b",
            "postgresql://h:1,g:2/d?application_name=a@b",
            "postgresql://[::1]:5432/d?application_name=a@b",
            "postgresql://h:/d?application_name=a@b",
            "postgresql:///d?host=/run/pg",
        ] {
            assert!(!has_torn_password(url), "{url}");
        }
    }

    #[test]
    fn a_server_is_the_same_however_it_is_written() {
        let server = |url| SourceConfig::of_url(SourceKind::of_url(url).unwrap(), url).server();
        assert_eq!(server("mysql://t@db.example/shop"), "db.example:3306");
        assert_eq!(server("mariadb://t@DB.example:3306/shop2"), "db.example:3306");
        assert_eq!(server("postgresql://a:6432,B/d"), "a:6432,b:5432");
        assert_eq!(server("postgresql://u@[::1]/d"), "[::1]:5432");
        assert_eq!(server("postgresql://u@[::1]:6432/d"), "[::1]:6432");
    }

    #[test]
    fn files_of_a_url_are_found_from_anywhere() {
        let loader = crate::config::Loader::alone();
        let beside =
            |file: &str, url: &str| located(url, &Outside::of(&loader, std::path::Path::new(file)));
        let relative = "postgresql://u@h/d?sslmode=verify-ca&sslrootcert=ca.pem&sslkey=a%20b";
        let found = "postgresql://u@h/d?sslmode=verify-ca&sslrootcert=/etc/my%20shop/ca.pem&sslkey=\
                     /etc/my%20shop/a%20b";
        assert_eq!(beside("/etc/my shop/acme.toml", relative), found);
        assert_eq!(beside("acme.toml", relative), relative);
        let mysql = beside("/etc/acme.toml", "mysql://u@h/d?ssl-ca=../ca.pem&ssl_cert=c");
        assert_eq!(mysql, "mysql://u@h/d?ssl-ca=/etc/../ca.pem&ssl_cert=/etc/c");
        for url in [
            "postgresql://u@h/d",
            "postgresql://u@h/d?sslrootcert=system&host=/run/pg&application_name=a",
            "mysql://u@h/d?ssl-ca=/whole/path&ssl-key=",
        ] {
            assert_eq!(beside("/etc/acme.toml", url), url);
        }
    }

    #[test]
    fn what_is_no_escape_stays_in_a_password() {
        assert_eq!(percent_decoded("50%"), "50%");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
        assert_eq!(percent_decoded("%+1"), "%+1");
    }
}
