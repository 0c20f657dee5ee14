use std::fmt;
use std::str::FromStr;

use crate::source::Wanted;

const MARIADB: [&str; 3] = ["mariadb-server-core", "mariadb-client-core", "mariadb-client!"];

/// A release of MySQL or MariaDB that tailstock is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MysqlVersion {
    /// The newest MySQL.
    Mysql97,
    /// The oldest MariaDB supported.
    Mariadb105,
    /// MariaDB of Debian 12.
    Mariadb1011,
    /// The newest MariaDB.
    Mariadb118,
}

impl MysqlVersion {
    pub(super) const ALL: [MysqlVersion; 4] = [
        MysqlVersion::Mysql97,
        MysqlVersion::Mariadb105,
        MysqlVersion::Mariadb1011,
        MysqlVersion::Mariadb118,
    ];

    /// Whether it is a MariaDB, whose binlog, GTIDs and settings are others than MySQL's.
    #[must_use]
    pub fn is_mariadb(self) -> bool {
        self != MysqlVersion::Mysql97
    }

    /// The version as people write it: `10.11`.
    #[must_use]
    pub fn number(self) -> &'static str {
        match self {
            MysqlVersion::Mysql97 => "9.7",
            MysqlVersion::Mariadb105 => "10.5",
            MysqlVersion::Mariadb1011 => "10.11",
            MysqlVersion::Mariadb118 => "11.8",
        }
    }

    /// What `select version()` begins with. MySQL comes from a suite that changes daily, so a later
    /// 9 will do.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            MysqlVersion::Mysql97 => "9.",
            MysqlVersion::Mariadb105 => "10.5.",
            MysqlVersion::Mariadb1011 => "10.11.",
            MysqlVersion::Mariadb118 => "11.8.",
        }
    }

    pub(super) fn server(self) -> &'static str {
        if self.is_mariadb() { "mariadbd" } else { "mysqld" }
    }

    /// The environment variable that names a running server of this version.
    pub(super) fn variable(self) -> String {
        let name = self.to_string().to_uppercase().replace([' ', '.'], "_");
        format!("TAILSTOCK_TEST_{name}")
    }

    /// Calls `then` with what the sources must look for.
    pub(super) fn wanted<T>(self, then: impl FnOnce(&Wanted<'_>) -> T) -> T {
        let image = if self.is_mariadb() { "mariadb" } else { "mysql" };
        // The programs that read binlogs and dump tables are in packages that want Perl for others.
        let (suite, packages): (_, &[&str]) = match self {
            MysqlVersion::Mysql97 => ("sid", &["mysql-server-core", "mysql-client-core"]),
            MysqlVersion::Mariadb105 => (
                "bullseye",
                &[
                    "mariadb-server-core-10.5",
                    "mariadb-client-core-10.5",
                    "mariadb-client-10.5!",
                    "mariadb-server-10.5!",
                ],
            ),
            MysqlVersion::Mariadb1011 => ("bookworm", &MARIADB),
            MysqlVersion::Mariadb118 => ("trixie", &MARIADB),
        };
        then(&Wanted {
            name: &self.to_string(),
            image: &format!("{image}:{}", self.number()),
            directories: &["usr/sbin", "usr/bin"],
            program: self.server(),
            says: Some(&format!("Ver {}", self.prefix())),
            suite,
            packages,
        })
    }
}

impl fmt::Display for MysqlVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavor = if self.is_mariadb() { "MariaDB" } else { "MySQL" };
        write!(f, "{flavor} {}", self.number())
    }
}

impl FromStr for MysqlVersion {
    type Err = String;

    /// Reads `mysql-9.7` and `MySQL 9.7` alike.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |text: &str| text.trim().to_lowercase().replace(' ', "-");
        let same = |version: &MysqlVersion| plain(&version.to_string()) == plain(text);
        MysqlVersion::ALL.into_iter().find(same).ok_or_else(|| {
            let known = MysqlVersion::ALL.map(|version| plain(&version.to_string())).join(", ");
            format!("{text:?} is none of {known}")
        })
    }
}

/// The versions under test: all, those of `TAILSTOCK_TEST_MYSQL_VERSIONS`
/// (`mysql-9.7,mariadb-10.11`), or none of them where it says `none`.
///
/// # Panics
/// When the variable names anything else: a run must not pass because of a slip of the pen.
#[must_use]
pub fn all_mysql_versions() -> Vec<MysqlVersion> {
    match std::env::var("TAILSTOCK_TEST_MYSQL_VERSIONS") {
        Ok(list) if !list.is_empty() => match parse(&list) {
            Ok(versions) => versions,
            Err(error) => panic!("TAILSTOCK_TEST_MYSQL_VERSIONS: {error}"),
        },
        _ => MysqlVersion::ALL.to_vec(),
    }
}

fn parse(list: &str) -> Result<Vec<MysqlVersion>, String> {
    if list.trim() == "none" {
        return Ok(Vec::new());
    }
    list.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::{MysqlVersion, parse};

    #[test]
    fn a_list_of_versions_is_read_and_a_slip_refused() {
        let two = Ok(vec![MysqlVersion::Mysql97, MysqlVersion::Mariadb1011]);
        assert_eq!(parse("mysql-9.7, MariaDB 10.11"), two);
        assert_eq!(parse("none"), Ok(Vec::new()));
        let known = "mysql-9.7, mariadb-10.5, mariadb-10.11, mariadb-11.8";
        assert_eq!(parse("mysql-9.7,15"), Err(format!("\"15\" is none of {known}")));
    }

    #[test]
    fn variables_name_flavor_and_version() {
        assert_eq!(MysqlVersion::Mysql97.variable(), "TAILSTOCK_TEST_MYSQL_9_7");
        assert_eq!(MysqlVersion::Mariadb1011.variable(), "TAILSTOCK_TEST_MARIADB_10_11");
    }
}
