use std::fmt;

use super::Secret;
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
    /// Its family.
    pub kind: SourceKind,
    /// Where it is and how to get there. Never holds a password.
    pub url: String,
    /// What to log in with, besides what the URL names.
    pub password: Option<Secret>,
    /// The publication that says which tables the server sends.
    pub publication: String,
    /// The replication slot; `None` is one named from installation, seller and source.
    pub slot: Option<String>,
    /// Where `url` stands, for messages.
    pub place: Place,
}

impl SourceConfig {
    /// A source that stands in no file. A password in the URL is taken out of it.
    pub fn of_url(kind: SourceKind, url: &str, publication: &str) -> Self {
        let (url, password) = split_password(url);
        Self {
            name: SourceName::new(NAME_DEFAULT),
            kind,
            url,
            password: password.map(Secret::new),
            publication: publication.to_owned(),
            slot: None,
            place: Place { file: "--url".into(), line: None, key: String::new() },
        }
    }
}

/// A family of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// PostgreSQL by logical replication.
    Postgres,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SourceKind::Postgres => "postgres",
        })
    }
}

pub(super) const SOURCE: Key = Key {
    name: "source",
    wanted: "a section that says where the seller's database is",
    example: "[source] with kind = \"postgres\" and url = \"postgresql://...\" below it",
};
const NAME: Key = Key {
    name: "name",
    wanted: "a name for this one of the seller's databases",
    example: "name = \"main\"",
};
const KIND: Key = Key { name: "kind", wanted: "\"postgres\"", example: "kind = \"postgres\"" };
const URL: Key = Key {
    name: "url",
    wanted: "the address of the database",
    example: "url = \"postgresql://tailstock@db.example:5432/shop\"",
};
const PASSWORD: Key = Key {
    name: "password",
    wanted: "{ file = ... } or { env = ... }: a secret does not stand in this file",
    example: "password = { file = \"/run/secrets/acme\" } or { env = \"ACME_PASSWORD\" }",
};
const PUBLICATION: Key = Key {
    name: "publication",
    wanted: "the name of a publication, 1 to 63 bytes",
    example: "publication = \"tailstock\"",
};
const SLOT: Key = Key {
    name: "slot",
    wanted: "1 to 63 of the characters a-z, 0-9 and _",
    example: "slot = \"tailstock_acme\"",
};

const NAME_DEFAULT: &str = "main";
const PUBLICATION_DEFAULT: &str = "tailstock";

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
    if !section.has(KIND.name) {
        section.report_missing(&KIND);
    }
    let kind = section.word(&KIND, &[("postgres", SourceKind::Postgres)]);
    let address = address(&section, outside);
    let password = password(&section, outside);
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
    let publication = publication(&section);
    let slot = slot(&section);
    let source = address.zip(kind).zip(name).map(|((address, kind), name)| SourceConfig {
        name: SourceName::new(&name),
        kind,
        url: address.url,
        password: password.or(address.password),
        publication: publication.unwrap_or(PUBLICATION_DEFAULT.to_owned()),
        slot,
        place: address.place,
    });
    if let Some(source) = &source {
        check(&section, source, outside);
    }
    section.finish();
    source
}

/// What the connector itself says of the source.
fn check(section: &Section<'_>, source: &SourceConfig, outside: &Outside<'_>) {
    let Err(error) = (outside.loader().check_source)(source) else { return };
    let fix = match error.fault() {
        connector_api::Fault::Operator { fix } => fix.clone(),
        _ => URL.example.to_owned(),
    };
    let wanted = format!("a URL that a {} source can use", source.kind);
    section.report(Problem::at(&source.place, error.to_string(), wanted, fix));
}

fn publication(section: &Section<'_>) -> Option<String> {
    let text = section.text(&PUBLICATION)?;
    if text.text.is_empty() || text.text.len() > 63 {
        section.report(text.problem(PUBLICATION.wanted, PUBLICATION.example));
    }
    Some(text.text)
}

fn slot(section: &Section<'_>) -> Option<String> {
    let text = section.text(&SLOT)?;
    let allowed = |char: char| matches!(char, 'a'..='z' | '0'..='9' | '_');
    if text.text.is_empty() || text.text.len() > 63 || !text.text.chars().all(allowed) {
        section.report(text.problem(SLOT.wanted, SLOT.example));
    }
    Some(text.text)
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

fn address(section: &Section<'_>, outside: &Outside<'_>) -> Option<Address> {
    if !section.has(URL.name) || section.has_text(URL.name) {
        let text = section.required_text(&URL)?;
        return written(&text, outside).map_err(|problem| section.report(problem)).ok();
    }
    let inner = section.section(&URL)?;
    let address = inner.required_text(&ENV).map(|name| {
        let url = outside.variable(name.text.trim(), &name.place)?;
        let (url, password) = split_password(&url);
        checked(Address { url, password: password.map(Secret::new), place: name.place })
    });
    section_finished(inner, address.transpose())?
}

/// An address that stands in the file itself.
fn written(text: &Text, outside: &Outside<'_>) -> Result<Address, Problem> {
    if split_password(&text.text).1.is_some() {
        return Err(Problem::at(
            &text.place,
            "a URL with a password in it",
            "a URL without one: a secret does not stand in this file",
            format!("take it out of the URL and write {}", PASSWORD.example),
        ));
    }
    let (url, password) = split_password(&outside.expand(text)?);
    checked(Address { url, password: password.map(Secret::new), place: text.place.clone() })
}

fn checked(address: Address) -> Result<Address, Problem> {
    let scheme = address.url.split_once("://").map(|(scheme, _)| scheme);
    let has_scheme = scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if has_scheme && !address.url.contains(char::is_whitespace) {
        return Ok(address);
    }
    let wanted = "an address of the form postgresql://user@host:port/database";
    Err(Problem::at(&address.place, "something else than a URL", wanted, URL.example))
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
    fn what_is_no_escape_stays_in_a_password() {
        assert_eq!(percent_decoded("50%"), "50%");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
        assert_eq!(percent_decoded("%+1"), "%+1");
    }
}
