use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use testbed::{Mysql, MysqlOptions, MysqlVersion, mysql_or_skip};

use super::{FAILS, Platform};

/// A server with a shop in it, and an account that may do what `tailstock` needs.
pub(super) struct ShopServer {
    pub(super) server: Mysql,
}

impl ShopServer {
    /// `None` where there is no server or no shop to be had, which is said.
    pub(super) fn load(version: MysqlVersion, platform: &Platform) -> Option<Self> {
        let name = platform.name;
        let Some(fixtures) = std::env::var_os("TAILSTOCK_FIXTURES") else {
            println!("skipped: {name}: TAILSTOCK_FIXTURES does not name the folder of the shops");
            return None;
        };
        // A shop's own way to write dates and to leave columns out is from before strict modes.
        // It is loaded and thrown away: nothing of it has to outlive the machine.
        let options = MysqlOptions::default()
            .setting("sql_mode", "''")
            .setting("default_time_zone", "'+00:00'")
            .setting("sync_binlog", "0")
            .setting("innodb_flush_log_at_trx_commit", "0")
            .controlled();
        let server = mysql_or_skip(version, &options, name)?;
        let shop = Self { server };
        for file in platform.files {
            shop.load_file(&PathBuf::from(&fixtures).join("schemas").join(file));
        }
        shop.run(
            "CREATE TABLE marker (n INT PRIMARY KEY) ENGINE=InnoDB;
             CREATE VIEW markers AS SELECT n FROM marker;
             CREATE USER tail@'%';
             GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO tail@'%';
             GRANT SELECT ON shop.* TO tail@'%'",
        );
        Some(shop)
    }

    fn load_file(&self, path: &Path) {
        let program = if self.server.version().is_mariadb() { "mariadb" } else { "mysql" };
        let output = self
            .server
            .bin(program)
            .unwrap()
            .args(["--default-character-set=utf8mb4", self.server.database()])
            .stdin(plain(path))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {output:?}", path.display());
    }

    /// Statements of one connection.
    pub(super) fn run(&self, sql: &str) {
        let done = self.server.execute(sql);
        assert_eq!(done.is_err(), sql.starts_with(FAILS), "{sql}: {done:?}");
    }

    /// What `SELECT` says.
    pub(super) fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.server.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(super) fn url(&self) -> String {
        format!("{}?ssl-mode=disabled", self.server.url("tail", self.server.database()))
    }
}

/// A file without its lines of hyphens, which are comments to the client of MariaDB alone.
fn plain(path: &Path) -> File {
    let text = std::fs::read_to_string(path).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    for line in text.lines().filter(|line| line.len() < 3 || !line.trim_matches('-').is_empty()) {
        writeln!(file, "{line}").unwrap();
    }
    file.rewind().unwrap();
    file
}
