//! Families of databases, and what only one of them can be told.

use std::fmt;
use std::num::NonZeroU32;

use super::problem::{Place, Problem};
use super::raw::{Key, Section};

/// A family of databases, with the settings that it alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// PostgreSQL by logical replication.
    Postgres {
        /// The publication that says which tables the server sends.
        publication: String,
        /// The replication slot; `None` is one named from installation, seller and source.
        slot: Option<String>,
        /// Bytes of log that the server may keep for us alone; 0 is any number, `None` what
        /// [`RETAINED_WAL_DEFAULT`] says.
        retained_wal_bytes: Option<u64>,
        /// Who gives way when it is more.
        protect: Protect,
    },
    /// MySQL or MariaDB by its binlog.
    Mysql {
        /// What the server knows the reader by; `None` is a number that follows from installation,
        /// seller and source.
        server_id: Option<NonZeroU32>,
        /// The binlog file with which a first start begins; `None` is the end of the log.
        first_file: Option<String>,
    },
}

/// Who is protected from whom when a server keeps more log for us than it is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protect {
    /// The seller: its server is relieved of the log, and the stream goes on behind a gap, which a
    /// snapshot fills.
    Seller,
    /// The stream: the log stays, and people are warned.
    Stream,
}

/// Bytes of log that a server may keep for us alone, where it has no limit of its own.
pub const RETAINED_WAL_DEFAULT: u64 = 10 << 30;
/// A server writes its log in files of 16 MiB, and needs a few of them for itself.
const RETAINED_WAL_LEAST: u64 = 64 << 20;

impl SourceKind {
    /// The kind that a URL's scheme stands for, with its defaults.
    pub fn of_url(url: &str) -> Option<Self> {
        Family::of_url(url).map(Family::defaults)
    }

    /// Where a server of this kind listens unless told otherwise.
    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Postgres { .. } => 5432,
            Self::Mysql { .. } => 3306,
        }
    }

    /// What a server of this kind knows a reader by, and the key it is under.
    pub(super) fn known_by(&self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres { .. } => ("slot", SLOT.name),
            Self::Mysql { .. } => ("server id", SERVER_ID.name),
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SourceKind::Postgres { .. } => Family::Postgres.word(),
            SourceKind::Mysql { .. } => Family::Mysql.word(),
        })
    }
}

/// The word under `kind`, before anything else is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Postgres,
    Mysql,
}

const KIND: Key = Key {
    name: "kind",
    wanted: "\"postgres\", or \"mysql\" for MySQL and MariaDB",
    example: "kind = \"postgres\" or kind = \"mysql\"",
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
const RETAINED_WAL: Key = Key {
    name: "retained_wal_bytes",
    wanted: "whole bytes from 67108864 (64 MiB) on, or 0 for no limit",
    example: "retained_wal_bytes = 10737418240",
};
const PROTECT: Key =
    Key { name: "protect", wanted: "\"seller\" or \"stream\"", example: "protect = \"seller\"" };
const SERVER_ID: Key = Key {
    name: "server_id",
    wanted: "a number from 1 to 4294967295 that no server and no other reader of that server has",
    example: "server_id = 1073741901, or leave it out",
};
const FIRST_FILE: Key = Key {
    name: "first_file",
    wanted: "the name of a file of the log, as SHOW BINARY LOGS lists it",
    example: "first_file = \"mysql-bin.000012\", or leave it out to begin at the end of the log",
};

const PUBLICATION_DEFAULT: &str = "tailstock";

impl Family {
    const ALL: [Family; 2] = [Family::Postgres, Family::Mysql];

    /// What stands under `kind`. A problem is reported.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        if !section.has(KIND.name) {
            section.report_missing(&KIND);
        }
        section.word(&KIND, &Self::ALL.map(|family| (family.word(), family)))
    }

    fn of_url(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once("://")?;
        Self::ALL.into_iter().find(|family| family.schemes().contains(&scheme))
    }

    fn word(self) -> &'static str {
        match self {
            Family::Postgres => "postgres",
            Family::Mysql => "mysql",
        }
    }

    /// What a URL may begin with; the first is the usual one.
    fn schemes(self) -> [&'static str; 2] {
        match self {
            Family::Postgres => ["postgresql", "postgres"],
            Family::Mysql => ["mysql", "mariadb"],
        }
    }

    fn defaults(self) -> SourceKind {
        match self {
            Family::Postgres => SourceKind::Postgres {
                publication: PUBLICATION_DEFAULT.to_owned(),
                slot: None,
                retained_wal_bytes: None,
                protect: Protect::Seller,
            },
            Family::Mysql => SourceKind::Mysql { server_id: None, first_file: None },
        }
    }

    /// Refuses a URL of another kind. One of no kind is the connector's to judge.
    pub(super) fn check_url(self, url: &str, place: &Place) -> Result<(), Problem> {
        let Some(other) = Self::of_url(url).filter(|other| *other != self) else { return Ok(()) };
        let (scheme, _) = url.split_once("://").unwrap_or_default();
        let (word, wanted) = (other.word(), self.schemes()[0]);
        Err(Problem::at(
            place,
            format!("a {scheme}:// URL in a source of kind {:?}", self.word()),
            format!("a {wanted}:// URL"),
            format!(
                "write kind = {word:?} if that is where the shop's data are, else mend the URL"
            ),
        ))
    }

    /// The settings of this kind; those of another one are refused.
    pub(super) fn settings(self, section: &Section<'_>) -> SourceKind {
        match self {
            Family::Postgres => {
                let fix = "remove it: a PostgreSQL server knows a reader by its slot";
                refuse(section, &SERVER_ID, Family::Mysql, fix);
                let fix = "remove it: PostgreSQL keeps its log for a slot; an existing one can be \
                           named as slot";
                refuse(section, &FIRST_FILE, Family::Mysql, fix);
                SourceKind::Postgres {
                    publication: publication(section).unwrap_or(PUBLICATION_DEFAULT.to_owned()),
                    slot: slot(section),
                    retained_wal_bytes: retained_wal(section),
                    protect: protect(section).unwrap_or(Protect::Seller),
                }
            }
            Family::Mysql => {
                let fix = "remove it: MySQL and MariaDB have no publications; what is read are the \
                           tables that [[stock]] blocks name";
                refuse(section, &PUBLICATION, Family::Postgres, fix);
                let fix = "remove it: MySQL and MariaDB have no slots; how long they keep their \
                           binlogs is a setting of the server";
                refuse(section, &SLOT, Family::Postgres, fix);
                let fix = "remove it: MySQL and MariaDB keep no log for a reader; how long they \
                           keep their binlogs is a setting of the server";
                refuse(section, &RETAINED_WAL, Family::Postgres, fix);
                refuse(section, &PROTECT, Family::Postgres, fix);
                SourceKind::Mysql { server_id: server_id(section), first_file: first_file(section) }
            }
        }
    }

    /// Keeps settings whose kind is not known from being told as unknown keys.
    pub(super) fn settings_unread(section: &Section<'_>) {
        let all = [PUBLICATION, SLOT, RETAINED_WAL, PROTECT, SERVER_ID, FIRST_FILE];
        all.iter().for_each(|key| section.pass_over(key));
    }
}

fn refuse(section: &Section<'_>, key: &Key, of: Family, fix: &str) {
    let found = format!("a setting that only a source of kind {:?} has", of.word());
    section.refuse_because(key.name, &found, "only settings of its own kind", fix);
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

fn retained_wal(section: &Section<'_>) -> Option<u64> {
    let bytes = section.number(&RETAINED_WAL, 0..=u64::MAX)?;
    if (1..RETAINED_WAL_LEAST).contains(&bytes) {
        let place = section.place(RETAINED_WAL.name);
        let (wanted, fix) = (RETAINED_WAL.wanted, RETAINED_WAL.example);
        section.report(Problem::at(&place, bytes.to_string(), wanted, fix));
    }
    Some(bytes)
}

fn protect(section: &Section<'_>) -> Option<Protect> {
    section.word(&PROTECT, &[("seller", Protect::Seller), ("stream", Protect::Stream)])
}

fn first_file(section: &Section<'_>) -> Option<String> {
    let text = section.text(&FIRST_FILE)?;
    let parts = text.text.rsplit_once('.');
    let numbered = |digits: &str| matches!(digits.len(), 1..=8) && digits.parse::<u32>().is_ok();
    if !parts.is_some_and(|(base, digits)| !base.is_empty() && numbered(digits)) {
        section.report(text.problem(FIRST_FILE.wanted, FIRST_FILE.example));
        return None;
    }
    Some(text.text)
}

fn server_id(section: &Section<'_>) -> Option<NonZeroU32> {
    let number = section.number(&SERVER_ID, 1..=u64::from(u32::MAX))?;
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_url_says_its_kind() {
        let kind = |url| SourceKind::of_url(url).map(|kind| kind.to_string());
        assert_eq!(kind("postgresql://u@h/d").as_deref(), Some("postgres"));
        assert_eq!(kind("postgres://u@h/d").as_deref(), Some("postgres"));
        assert_eq!(kind("mysql://u@h/d").as_deref(), Some("mysql"));
        assert_eq!(kind("mariadb://u@h/d").as_deref(), Some("mysql"));
        assert_eq!(kind("oracle://u@h/d"), None);
        assert_eq!(kind("mysql"), None);
    }
}
