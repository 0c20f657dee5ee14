use std::fmt;
use std::str::FromStr;

use crate::source::{Wanted, debian};

/// A major version of PostgreSQL that tailstock supports; it is tested on [`all_versions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PgVersion {
    /// The oldest one supported: no row filters, no column lists, no `pg_stat_replication_slots`.
    V13,
    /// Of Ubuntu 22.04.
    V14,
    /// The one most checks run on.
    V15,
    /// Of Ubuntu 24.04.
    V16,
    /// Failover slots; the `proto_version` up to 4.
    V17,
    /// The newest one.
    V18,
}

impl PgVersion {
    const TESTED: [PgVersion; 4] = [PgVersion::V13, PgVersion::V15, PgVersion::V17, PgVersion::V18];
    /// The most wanted first, where any will do.
    const KNOWN: [PgVersion; 6] = [
        PgVersion::V15,
        PgVersion::V17,
        PgVersion::V18,
        PgVersion::V16,
        PgVersion::V14,
        PgVersion::V13,
    ];

    /// The version that is least trouble to get here: one that is named in the environment or
    /// installed, else the one of this machine's own release.
    #[must_use]
    pub fn at_hand() -> PgVersion {
        let present = |version: &PgVersion| {
            let named = std::env::var_os(version.variable()).is_some_and(|url| !url.is_empty());
            named || version.wanted(|wanted| debian::installed(wanted).is_ok())
        };
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let found = PgVersion::KNOWN.into_iter().find(present);
        found.unwrap_or_else(|| PgVersion::of_release(&release))
    }

    fn of_release(os_release: &str) -> PgVersion {
        let codename = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let same = |version: &PgVersion| {
            version.wanted(|wanted| codename.is_some_and(|name| name == wanted.suite))
        };
        PgVersion::KNOWN.into_iter().find(same).unwrap_or(PgVersion::V15)
    }

    /// The major version as the server says it.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            PgVersion::V13 => 13,
            PgVersion::V14 => 14,
            PgVersion::V15 => 15,
            PgVersion::V16 => 16,
            PgVersion::V17 => 17,
            PgVersion::V18 => 18,
        }
    }

    /// The environment variable that names a running server of this version.
    pub(crate) fn variable(self) -> String {
        format!("TAILSTOCK_TEST_POSTGRES_{self}")
    }

    /// Calls `then` with what the sources must look for.
    pub(crate) fn wanted<T>(self, then: impl FnOnce(&Wanted<'_>) -> T) -> T {
        then(&Wanted {
            name: &format!("PostgreSQL {self}"),
            image: &format!("postgres:{self}"),
            directories: &[&format!("usr/lib/postgresql/{self}/bin")],
            program: "postgres",
            says: None,
            suite: match self {
                PgVersion::V13 => "bullseye",
                PgVersion::V14 => "jammy",
                PgVersion::V15 => "bookworm",
                PgVersion::V16 => "noble",
                PgVersion::V17 => "trixie",
                PgVersion::V18 => "sid",
            },
            packages: &[&format!("postgresql-{self}")],
        })
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl FromStr for PgVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = PgVersion::KNOWN.into_iter().find(|version| version.to_string() == text.trim());
        found.ok_or_else(|| format!("{text:?} is none of the PostgreSQL versions 13 to 18"))
    }
}

/// The versions under test: 13, 15, 17 and 18, or those of `TAILSTOCK_TEST_VERSIONS` (`15,18`).
///
/// # Panics
/// When the variable names anything else: a run must not pass because of a slip of the pen.
#[must_use]
pub fn all_versions() -> Vec<PgVersion> {
    match std::env::var("TAILSTOCK_TEST_VERSIONS") {
        Ok(list) if !list.is_empty() => match parse(&list) {
            Ok(versions) => versions,
            Err(error) => panic!("TAILSTOCK_TEST_VERSIONS: {error}"),
        },
        _ => PgVersion::TESTED.to_vec(),
    }
}

fn parse(list: &str) -> Result<Vec<PgVersion>, String> {
    list.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{PgVersion, parse};

    #[test]
    fn a_list_of_versions_is_read_and_a_slip_refused() {
        assert_eq!(parse("15, 18"), Ok(vec![PgVersion::V15, PgVersion::V18]));
        let refused = parse("15,12");
        let wanted = "\"12\" is none of the PostgreSQL versions 13 to 18";
        assert_eq!(refused, Err(wanted.to_owned()));
    }

    #[test]
    fn where_nothing_is_installed_the_release_chooses() {
        let noble = "ID=ubuntu\nVERSION_CODENAME=noble\n";
        assert_eq!(PgVersion::of_release(noble), PgVersion::V16);
        assert_eq!(PgVersion::of_release("VERSION_CODENAME=trixie"), PgVersion::V17);
        assert_eq!(PgVersion::of_release("ID=unheard-of"), PgVersion::V15);
    }
}
