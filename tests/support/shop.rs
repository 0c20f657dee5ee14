use std::path::{Path, PathBuf};

use testbed::{
    Mysql, MysqlOptions, MysqlVersion, PgVersion, Postgres, PostgresOptions, ServerError, StopMode,
};

use super::connection::Connection;

/// The server that a shop is on.
#[derive(Debug, Clone)]
pub enum Engine {
    Postgres(PgVersion, PostgresOptions),
    /// MySQL and MariaDB.
    Mysql(MysqlVersion, MysqlOptions),
}

impl From<PgVersion> for Engine {
    fn from(version: PgVersion) -> Self {
        Self::Postgres(version, PostgresOptions::default())
    }
}

impl From<MysqlVersion> for Engine {
    /// One that syncs nothing and locks rows alone, as PostgreSQL's does.
    fn from(version: MysqlVersion) -> Self {
        let options = MysqlOptions::default()
            .setting("sync_binlog", "0")
            .setting("innodb_flush_log_at_trx_commit", "2")
            .setting("transaction_isolation", "READ-COMMITTED");
        Self::Mysql(version, options)
    }
}

impl Engine {
    /// A setting of the server.
    pub fn setting(self, name: &str, value: &str) -> Self {
        match self {
            Self::Postgres(version, options) => {
                Self::Postgres(version, options.setting(name, value))
            }
            Self::Mysql(version, options) => Self::Mysql(version, options.setting(name, value)),
        }
    }

    /// A MySQL whose transactions have no names: its log is files and offsets.
    pub fn without_gtids(self) -> Self {
        self.setting("gtid_mode", "OFF").setting("enforce_gtid_consistency", "OFF")
    }

    /// The test stops and kills the server, which syncs what it is told.
    pub fn restarted(self) -> Self {
        match self {
            Self::Postgres(version, options) => {
                Self::Postgres(version, options.durable().controlled())
            }
            Self::Mysql(version, _) => Self::Mysql(version, MysqlOptions::default().controlled()),
        }
    }

    fn start(self, test: &str) -> Option<Server> {
        match self {
            Self::Postgres(version, options) => {
                testbed::postgres_or_skip(version, options, test).map(Server::Postgres)
            }
            Self::Mysql(version, options) => {
                testbed::mysql_or_skip(version, &options, test).map(Server::Mysql)
            }
        }
    }
}

#[derive(Debug)]
enum Server {
    Postgres(Postgres),
    Mysql(Mysql),
}

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// As when it is asked to.
    InOrder,
    /// As when its machine dies.
    Killed,
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url("postgres", "postgres"),
            Self::Mysql(server) => server.url("root", server.database()),
        }
    }

    fn stop(&self, stop: Stop) -> Result<(), ServerError> {
        match (self, stop) {
            (Self::Postgres(server), Stop::InOrder) => server.stop(StopMode::Fast),
            (Self::Postgres(server), Stop::Killed) => server.stop(StopMode::Immediate),
            (Self::Mysql(server), Stop::InOrder) => server.stop(),
            (Self::Mysql(server), Stop::Killed) => server.kill(),
        }
    }

    fn start_again(&self) -> Result<(), ServerError> {
        match self {
            Self::Postgres(server) => server.start_again(),
            Self::Mysql(server) => server.start_again(),
        }
    }

    fn restart(&self, stop: Stop) -> Result<(), ServerError> {
        self.stop(stop)?;
        self.start_again()
    }
}

/// What a server held when it was stopped, its log and slots included.
pub struct Backup(tempfile::TempDir);

/// The files of one directory, with their owners and modes, in another one.
fn copy(from: &Path, to: &Path) {
    let mut copy = std::process::Command::new("cp");
    copy.args(["-a", "--reflink=auto"]).arg(from.join(".")).arg(to);
    assert!(copy.status().unwrap().success(), "{} cannot be copied", from.display());
}

/// A shop's database on a real server of its own.
pub struct Shop {
    server: Server,
    connection: Connection,
}

impl Shop {
    /// `None` where the server cannot be had and the test is to be reported as skipped.
    pub async fn start(engine: impl Into<Engine>, test: &str) -> Option<Self> {
        let (engine, test) = (engine.into(), test.to_owned());
        let server = tokio::task::spawn_blocking(move || engine.start(&test)).await.unwrap()?;
        let connection = Connection::open(&server.url()).await;
        Some(Self { server, connection })
    }

    /// Whether it is MySQL or MariaDB.
    pub fn is_mysql(&self) -> bool {
        matches!(self.server, Server::Mysql(_))
    }

    pub fn is_mariadb(&self) -> bool {
        matches!(&self.server, Server::Mysql(server) if server.version().is_mariadb())
    }

    pub fn port(&self) -> u16 {
        match &self.server {
            Server::Postgres(server) => server.port(),
            Server::Mysql(server) => server.port(),
        }
    }

    /// As a seller file names it.
    pub fn url(&self) -> String {
        let option = if self.is_mysql() { "ssl-mode=disabled" } else { "sslmode=disable" };
        format!("{}?{option}", self.server.url())
    }

    /// A seller file for this shop with these mappings, of which only the log is followed: what
    /// comes out is what the test changes. In them, `public` is the schema of [`Shop::create`]
    /// whatever the server calls it.
    pub fn seller(&self, stock: &str) -> String {
        self.whole_seller(&format!("snapshot = \"never\"\n{stock}"))
    }

    /// The same with its tables read as well, as it is when nothing else is said.
    pub fn whole_seller(&self, stock: &str) -> String {
        let (kind, stock) = match &self.server {
            Server::Postgres(_) => ("postgres", stock.to_owned()),
            Server::Mysql(server) => {
                ("mysql", stock.replace("\"public.", &format!("\"{}.", server.database())))
            }
        };
        let url = self.url();
        // Whoever wants to see a table being read says how slowly.
        let pace = match stock.contains("snapshot_rows_per_s") {
            true => "",
            false => "snapshot_rows_per_s = 10000000\n",
        };
        format!("seller = \"acme\"\n[source]\nkind = \"{kind}\"\nurl = \"{url}\"\n{pace}{stock}")
    }

    /// A table whose changes are in the log.
    pub async fn create(&self, table: &str, columns: &str) {
        self.execute(&format!("CREATE TABLE {table} ({columns})")).await;
        if !self.is_mysql() {
            self.execute(&format!("CREATE PUBLICATION tailstock FOR TABLE {table}")).await;
        }
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(&self.server.url()).await
    }

    /// Ends the server and starts it again.
    pub async fn restart(&mut self, stop: Stop) {
        tokio::task::block_in_place(|| self.server.restart(stop)).unwrap();
        self.connection = self.connect().await;
    }

    /// Keeps what the server holds now, while it is stopped. It has to be [`Engine::restarted`].
    pub async fn back_up(&mut self) -> Backup {
        let data = self.data_directory().await;
        let backup = Backup(tempfile::tempdir().unwrap());
        let copied = || {
            self.server.stop(Stop::InOrder).unwrap();
            copy(&data, backup.0.path());
            self.server.start_again().unwrap();
        };
        tokio::task::block_in_place(copied);
        self.connection = self.connect().await;
        backup
    }

    /// Puts a backup in the place of all that the server holds by now.
    pub async fn restore(&mut self, backup: &Backup) {
        let data = self.data_directory().await;
        let restored = || {
            self.server.stop(Stop::InOrder).unwrap();
            for entry in std::fs::read_dir(&data).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() && !path.is_symlink() {
                    true => std::fs::remove_dir_all(path).unwrap(),
                    false => std::fs::remove_file(path).unwrap(),
                }
            }
            copy(backup.0.path(), &data);
            self.server.start_again().unwrap();
        };
        tokio::task::block_in_place(restored);
        self.connection = self.connect().await;
    }

    async fn data_directory(&self) -> PathBuf {
        let sql = if self.is_mysql() { "SELECT @@datadir" } else { "SHOW data_directory" };
        PathBuf::from(self.text(sql).await)
    }

    /// Statements, one or many.
    pub async fn execute(&self, sql: &str) {
        self.connection.execute(sql).await;
    }

    /// The rows of a query as text, `None` for NULL.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.connection.rows(sql).await
    }

    /// One text.
    pub async fn text(&self, sql: &str) -> String {
        self.rows(sql).await.swap_remove(0).swap_remove(0).expect("a value")
    }
}
