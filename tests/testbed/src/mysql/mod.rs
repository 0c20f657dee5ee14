//! MySQL and MariaDB servers.
//!
//! Times on two cores are in decision 0005.

mod cluster;
mod configuration;
mod lent;
mod options;
mod sql;
mod version;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use mysql_async::Opts;

pub use self::options::MysqlOptions;
pub use self::version::{MysqlVersion, all_mysql_versions};

use self::cluster::{Cluster, DATABASE};
use self::lent::Lent;
use crate::place::Place;
use crate::postgres::escaped;
use crate::source::{Programs, environment};
use crate::{ServerError, StartError};

/// A MySQL or MariaDB server, running; stopped and removed when dropped.
///
/// Methods take `&self`, so that a test may restart a server under the eyes of its other threads.
#[derive(Debug)]
pub struct Mysql {
    version: MysqlVersion,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Own(Box<Cluster>),
    /// Of this process; `lent` goes first.
    Shared {
        lent: Lent,
        cluster: Arc<Cluster>,
    },
    Given {
        lent: Lent,
        variable: String,
    },
}

impl Mysql {
    /// Starts a server of this version and waits until it answers.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] names every source that was tried and why it has no server.
    pub fn start(version: MysqlVersion, options: &MysqlOptions) -> Result<Mysql, StartError> {
        match environment::mysql(&version.variable()) {
            Some(opts) => given(version, options, opts),
            None => {
                let backend = Backend::Own(Box::new(own(version, options)?));
                Mysql { version, backend }.checked()
            }
        }
    }

    /// A database of one's own on a server with default options that tests of this process share
    /// while any of them needs it. Its binlog has the changes of them all.
    ///
    /// # Errors
    /// As [`Mysql::start`].
    pub fn shared(version: MysqlVersion) -> Result<Mysql, StartError> {
        static RUNNING: [Mutex<Weak<Cluster>>; 4] = [const { Mutex::new(Weak::new()) }; 4];
        let options = MysqlOptions::default();
        if let Some(opts) = environment::mysql(&version.variable()) {
            return given(version, &options, opts);
        }
        let mut running = RUNNING[version as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = match running.upgrade() {
            Some(cluster) => cluster,
            None => {
                let cluster = Arc::new(own(version, &options)?);
                *running = Arc::downgrade(&cluster);
                cluster
            }
        };
        let lent = Lent::open(cluster.admin().into())?;
        Mysql { version, backend: Backend::Shared { lent, cluster } }.checked()
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> MysqlVersion {
        self.version
    }

    /// For people: where the server came from.
    #[must_use]
    pub fn origin(&self) -> &str {
        match &self.backend {
            Backend::Own(cluster) => &cluster.programs().origin,
            Backend::Shared { cluster, .. } => &cluster.programs().origin,
            Backend::Given { variable, .. } => variable,
        }
    }

    /// The TCP port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.backend {
            Backend::Own(cluster) => cluster.port(),
            Backend::Shared { cluster, .. } => cluster.port(),
            Backend::Given { lent, .. } => lent.superuser().tcp_port(),
        }
    }

    /// The Unix socket.
    ///
    /// # Errors
    /// When the server is not this test's own.
    pub fn socket(&self) -> Result<PathBuf, ServerError> {
        Ok(self.own()?.socket())
    }

    /// The data directory, with the binlog's files.
    ///
    /// # Errors
    /// As [`Mysql::socket`].
    pub fn data_dir(&self) -> Result<PathBuf, ServerError> {
        Ok(self.own()?.data())
    }

    /// The database that is this test's alone, where [`Mysql::execute`] works.
    #[must_use]
    pub fn database(&self) -> &str {
        match &self.backend {
            Backend::Own(_) => DATABASE,
            Backend::Shared { lent, .. } | Backend::Given { lent, .. } => lent.database(),
        }
    }

    /// A URL over TCP. It has a password only where the environment gave one for `user`.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        let (login, database) = (escaped(user), escaped(database));
        let Backend::Given { lent, .. } = &self.backend else {
            return format!("mysql://{login}@127.0.0.1:{}/{database}", self.port());
        };
        let opts = lent.superuser();
        let password = opts.pass().filter(|_| opts.user() == Some(user));
        let password = password.map(|text| format!(":{}", escaped(text))).unwrap_or_default();
        let host = opts.ip_or_hostname();
        format!("mysql://{login}{password}@{host}:{}/{database}", self.port())
    }

    /// Runs statements as the superuser in [`Mysql::database`].
    ///
    /// # Errors
    /// What the server said, or why it could not be reached.
    pub fn execute(&self, sql: &str) -> Result<(), ServerError> {
        self.query(sql).map(drop)
    }

    /// The rows of a query as text, `None` for NULL.
    ///
    /// # Errors
    /// As [`Mysql::execute`].
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ServerError> {
        sql::run(&self.admin(), sql)
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// As [`Mysql::execute`]; also when that is NULL or missing.
    pub fn value(&self, sql: &str) -> Result<String, ServerError> {
        let first = self.query(sql)?.into_iter().flatten().next().flatten();
        first.ok_or_else(|| ServerError(format!("{sql}: no value")))
    }

    /// Asks a query for one boolean again and again until it is true.
    ///
    /// # Errors
    /// With the last answer when `limit` has passed.
    pub fn wait_until(&self, condition: &str, limit: Duration) -> Result<(), ServerError> {
        sql::wait_for_true(&self.admin(), condition, limit)
    }

    /// Stops the server in order and waits until it is gone.
    ///
    /// # Errors
    /// When it still runs after a minute, or is not ours to stop.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.own()?.stop()
    }

    /// Kills the server with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it is not ours to kill.
    pub fn kill(&self) -> Result<(), ServerError> {
        self.own()?.kill()
    }

    /// Starts a stopped or killed server on its data and its port and waits until it answers.
    ///
    /// # Errors
    /// With the end of its log when it does not.
    pub fn start_again(&self) -> Result<(), ServerError> {
        self.own()?.launch()
    }

    /// The server's process id while it runs; under Docker that of the client that holds it.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.own().ok()?.process_id()
    }

    /// What the server has logged.
    ///
    /// # Errors
    /// As [`Mysql::socket`].
    pub fn log(&self) -> Result<String, ServerError> {
        Ok(self.own()?.log())
    }

    /// A program of this version (`mysqldump`, `mariadb-dump`) that finds this server by itself;
    /// runs in the server's directory, as the server's account where the caller is root.
    ///
    /// # Errors
    /// As [`Mysql::socket`].
    pub fn bin(&self, program: &str) -> Result<Command, ServerError> {
        Ok(self.own()?.command(program))
    }

    fn admin(&self) -> Opts {
        match &self.backend {
            Backend::Own(cluster) => cluster.admin().db_name(Some(DATABASE)).into(),
            Backend::Shared { lent, .. } | Backend::Given { lent, .. } => lent.admin(),
        }
    }

    fn own(&self) -> Result<&Cluster, ServerError> {
        match &self.backend {
            Backend::Own(cluster) => Ok(cluster),
            Backend::Shared { .. } | Backend::Given { .. } => {
                let text = "the server is not this test's to control: ask for one with \
                            MysqlOptions::controlled";
                Err(ServerError(text.to_owned()))
            }
        }
    }

    fn checked(self) -> Result<Mysql, StartError> {
        let found = self.value("select version()")?;
        let maria = found.contains("MariaDB") == self.version.is_mariadb();
        if maria && found.starts_with(self.version.prefix()) {
            return Ok(self);
        }
        Err(StartError::Failed(format!("found version {found}, wanted {}", self.version)))
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        let log = match &self.backend {
            Backend::Own(cluster) if std::thread::panicking() => cluster.log_tail(),
            Backend::Shared { cluster, .. } if std::thread::panicking() => cluster.log_tail(),
            _ => return,
        };
        eprintln!("the end of the log of {}:\n{log}", self.version);
    }
}

fn own(version: MysqlVersion, options: &MysqlOptions) -> Result<Cluster, StartError> {
    let programs = programs(version).map_err(StartError::Unavailable)?;
    Ok(Cluster::start(version, programs, options)?)
}

fn given(
    version: MysqlVersion,
    options: &MysqlOptions,
    opts: Result<Opts, String>,
) -> Result<Mysql, StartError> {
    let variable = version.variable();
    if options.needs_own() {
        let reason = format!("{variable} names a server, and this test needs one of its own");
        return Err(StartError::Unavailable(reason));
    }
    let lent = Lent::open(opts.map_err(StartError::Failed)?)?;
    let server = Mysql { version, backend: Backend::Given { lent, variable } };
    let server = server.checked()?;
    match server.value("select @@log_bin = 1 and @@binlog_format = 'ROW'")?.as_str() {
        "1" => Ok(server),
        _ => {
            let text = "log_bin is off or binlog_format is not ROW: change it on that server";
            Err(StartError::Failed(format!("{}: {text}", server.origin())))
        }
    }
}

/// Looked for once a process: a source that failed is not asked again by every test.
fn programs(version: MysqlVersion) -> Result<Programs, String> {
    static FOUND: [OnceLock<Result<Programs, String>>; 4] = [const { OnceLock::new() }; 4];
    let look = || {
        let place = Place::find()?;
        version.wanted(|wanted| Programs::find(wanted, &place.trees()))
    };
    FOUND[version as usize].get_or_init(look).clone()
}
