//! What it proves: a MySQL or MariaDB server that is not as it must be is told in words that help,
//! all at once, and nothing is created: no store here.
//!
//! | file | owns |
//! |---|---|
//! | `logins` | who is let in, and who the server proves to be |
//! | `logs` | what the log lacks, and what of it is gone |
//! | `tables` | what a mapping names and the server does not have, or does not show |
//! | `fake` | servers that cannot be had any more |

mod fake;
mod logins;
mod logs;
mod tables;

use std::process::{Command, Output};
use std::time::Duration;

use testbed::{Mysql, MysqlOptions, MysqlVersion, mysql_or_skip};

use crate::support::Workspace;

/// Nothing here takes this long; what does will never come.
const LIMIT: Duration = Duration::from_secs(60);

/// One of each family.
const FAMILIES: [MysqlVersion; 2] = [MysqlVersion::Mysql97, MysqlVersion::Mariadb118];

const STOCK: &str =
    "[[stock]]\ntable = \"shop.stock\"\nitem = \"item\"\nsku = \"note\"\non_hand = \"qty\"\n";

/// A server as it must be, with an account that may do what it must.
const READY: &str = "
    CREATE TABLE stock (item BIGINT PRIMARY KEY, qty INT, note VARCHAR(40));
    CREATE USER tail@'%' IDENTIFIED BY 'secret';
    GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO tail@'%';
    GRANT SELECT ON shop.* TO tail@'%'";

struct Server {
    mysql: Mysql,
    family: &'static str,
}

impl Server {
    fn start(version: MysqlVersion, options: &MysqlOptions, test: &str) -> Option<Self> {
        let options = options.clone().setting("binlog_row_metadata", "FULL").controlled();
        let mysql = mysql_or_skip(version, &options, test)?;
        mysql.execute(READY).unwrap();
        let family = if version.is_mariadb() { "mariadb" } else { "mysql" };
        Some(Self { mysql, family })
    }

    /// One of each family.
    fn each<'t>(options: &'t MysqlOptions, test: &'t str) -> impl Iterator<Item = Self> + 't {
        FAMILIES.into_iter().filter_map(move |version| Self::start(version, options, test))
    }

    fn is_mariadb(&self) -> bool {
        self.family == "mariadb"
    }

    fn wait_until(&self, condition: &str) {
        self.mysql.wait_until(condition, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    }

    fn sql(&self, sql: &str) {
        self.mysql.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn url(&self, user: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/shop?ssl-mode=disabled", self.mysql.port())
    }

    /// A seller file of the account that may do what it must.
    fn seller(&self, stock: &str) -> String {
        seller(&self.url("tail"), Some("RIGHT"), stock)
    }

    /// What tailstock says of the server as it is now.
    fn tells(&self, name: &str, exit: i32) {
        self.tells_with(name, exit, &self.seller(STOCK));
    }

    fn tells_with(&self, name: &str, exit: i32, seller: &str) {
        let workspace = Workspace::new(Workspace::MAIN, seller);
        let output = run(&workspace);
        let told = text(&output.stderr).replace(&format!(":{}", self.mysql.port()), ":PORT");
        assert_eq!(output.status.code(), Some(exit), "{name}: {told}");
        if exit != 0 {
            let made = |name: &str| workspace.path(name).exists();
            assert!(!made("stock.db") && !made("stock.db.lock"), "{name} left a file");
        }
        // A MySQL server asks users it does not know for what it pleases, so as to tell nobody.
        let decoy = if told.contains("sha256_password") { "_asked_for_another_plugin" } else { "" };
        compare(&format!("{}_{name}{decoy}", self.family), &told);
    }
}

fn seller(url: &str, password: Option<&str>, stock: &str) -> String {
    let password =
        password.map(|name| format!("password = {{ env = \"{name}\" }}\n")).unwrap_or_default();
    format!("seller = \"acme\"\n[source]\nkind = \"mysql\"\nurl = \"{url}\"\n{password}{stock}")
}

fn run(workspace: &Workspace) -> Output {
    tailstock(&["--config", "tailstock.toml", "run", "--until-current"], workspace)
}

fn tailstock(arguments: &[&str], workspace: &Workspace) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(["--log-level", "warn"])
        .args(arguments)
        .current_dir(workspace.folder())
        .env_clear()
        .env("RIGHT", "secret")
        .env("WRONG", "hunter2")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn compare(name: &str, told: &str) {
    for secret in ["hunter2", "secret"] {
        assert!(!told.contains(secret), "{name} tells a password: {told}");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("../snapshots/mysql");
    // What differs from run to run: when, where files lie, and how far the log is.
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME");
    settings.add_filter(r"/\S*/\.tmp\w+", "FOLDER");
    settings.add_filter(r"PID \d+", "PID NUMBER");
    settings.bind(|| insta::assert_snapshot!(name, told));
}
