//! PostgreSQL servers.

mod cluster;
mod given;
mod options;
mod sql;
mod version;

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use tokio_postgres::Config;

pub use self::cluster::StopMode;
pub use self::options::{PostgresOptions, TlsFiles};
pub use self::sql::ServerError;
pub(crate) use self::sql::{on_own_runtime, repeat};
pub use self::version::{PgVersion, all_versions};

use self::cluster::{Cluster, Origin};
use self::given::Given;
use crate::place::Place;
use crate::source::{Programs, environment};

/// A server of one's own, running; stopped and removed when dropped.
///
/// Methods take `&self`, so that a test may restart a server under the eyes of its other threads.
#[derive(Debug)]
pub struct Postgres {
    version: PgVersion,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Own(Box<Cluster>),
    Given(Box<Given>),
}

/// Why there is no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// This machine has none to offer: a reason to skip.
    Unavailable(String),
    /// There was one, and it did not do what was asked: never a reason to skip.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Unavailable(reason) | StartError::Failed(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ServerError> for StartError {
    fn from(error: ServerError) -> Self {
        StartError::Failed(error.to_string())
    }
}

impl Postgres {
    /// Starts a server of this version and waits until it answers.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] names every source that was tried and why it has no server.
    pub fn start(version: PgVersion, options: PostgresOptions) -> Result<Postgres, StartError> {
        let backend = match environment::postgres(&version.variable()) {
            Some(config) => Backend::Given(Box::new(given(version, &options, config)?)),
            None => {
                let programs = programs(version).map_err(StartError::Unavailable)?;
                let origin = if options.own_identity { Origin::Nothing } else { Origin::Template };
                Backend::Own(Box::new(Cluster::start(programs, &origin, &options)?))
            }
        };
        let server = Postgres { version, backend };
        let found = server.value("show server_version_num")?;
        match found.parse::<u32>().map(|number| number / 10_000) {
            Ok(major) if major == version.number() => Ok(server),
            _ => Err(StartError::Failed(format!("found version {found}, wanted {version}"))),
        }
    }

    /// Starts a hot standby of this server, which must run and trust `postgres` over TCP, as the
    /// default does. `select pg_promote()` on it begins a new timeline.
    ///
    /// # Errors
    /// When this server is not ours to copy, or the copy fails.
    pub fn standby(&self, options: &PostgresOptions) -> Result<Postgres, StartError> {
        let primary = self.own()?;
        let programs = primary.programs().clone();
        let cluster = Cluster::start(programs, &Origin::Backup(primary), options)?;
        Ok(Postgres { version: self.version, backend: Backend::Own(Box::new(cluster)) })
    }

    /// The major version.
    #[must_use]
    pub fn version(&self) -> PgVersion {
        self.version
    }

    /// For people: where the server came from.
    #[must_use]
    pub fn origin(&self) -> &str {
        match &self.backend {
            Backend::Own(cluster) => &cluster.programs().origin,
            Backend::Given(given) => given.variable(),
        }
    }

    /// The TCP port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.backend {
            Backend::Own(cluster) => cluster.port(),
            Backend::Given(given) => given.port(),
        }
    }

    /// The directory of the Unix socket; `None` for a server from the environment.
    #[must_use]
    pub fn socket_dir(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Own(cluster) => Some(cluster.sockets()),
            Backend::Given(_) => None,
        }
    }

    /// The database that is this test's alone, where [`Postgres::execute`] works.
    #[must_use]
    pub fn database(&self) -> &str {
        match &self.backend {
            Backend::Own(_) => "postgres",
            Backend::Given(given) => given.database(),
        }
    }

    /// A URL over TCP. It has a password only where the environment gave one for `user`.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        let (login, database) = (escaped(user), escaped(database));
        match &self.backend {
            Backend::Own(cluster) => {
                format!("postgres://{login}@127.0.0.1:{}/{database}", cluster.port())
            }
            Backend::Given(given) => {
                let password = given.password(user);
                let password = password.map(|text| format!(":{}", escaped(&text)));
                let login = format!("{login}{}", password.unwrap_or_default());
                format!("postgres://{login}@{}:{}/{database}", given.host(), given.port())
            }
        }
    }

    /// Runs statements as the superuser in [`Postgres::database`]. Several in one call are one
    /// transaction.
    ///
    /// # Errors
    /// What the server said, or why it could not be reached.
    pub fn execute(&self, sql: &str) -> Result<(), ServerError> {
        sql::run(&self.admin(), sql).map(drop)
    }

    /// The rows of a query as text, `None` for NULL.
    ///
    /// # Errors
    /// As [`Postgres::execute`].
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ServerError> {
        sql::run(&self.admin(), sql)
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// As [`Postgres::execute`]; also when that is NULL or missing.
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

    /// Changes a setting of the whole server. New sessions see it when this returns; one that needs
    /// a restart waits for it.
    ///
    /// # Errors
    /// When the server refuses, or is not ours to change.
    pub fn set(&self, setting: &str, value: &str) -> Result<(), ServerError> {
        self.own()?;
        let value = value.replace('\'', "''");
        let loaded = self.value("select pg_conf_load_time()")?;
        self.execute(&format!("alter system set {setting} = '{value}'"))?;
        self.execute("select pg_reload_conf()")?;
        let condition = format!("select pg_conf_load_time() > '{loaded}'");
        self.wait_until(&condition, Duration::from_secs(30))
    }

    /// Stops the server and waits until it is gone.
    ///
    /// # Errors
    /// When it still runs after a minute (a smart stop waits for sessions), or is not ours to stop.
    pub fn stop(&self, mode: StopMode) -> Result<(), ServerError> {
        self.own()?.stop(mode)
    }

    /// Starts a stopped server on its old port and waits until it answers.
    ///
    /// # Errors
    /// With the end of its log when it does not.
    pub fn start_again(&self) -> Result<(), ServerError> {
        self.own()?.launch()
    }

    /// [`Postgres::stop`] and [`Postgres::start_again`].
    ///
    /// # Errors
    /// As those two.
    pub fn restart(&self, mode: StopMode) -> Result<(), ServerError> {
        self.stop(mode)?;
        self.start_again()
    }

    /// What the server has logged.
    ///
    /// # Errors
    /// As [`Postgres::stop`].
    pub fn log(&self) -> Result<String, ServerError> {
        Ok(self.own()?.log())
    }

    /// The postmaster's process id while it runs; under Docker that of the client that holds it.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.own().ok()?.process_id()
    }

    /// A program of this version (`psql`, `pg_recvlogical`) that finds this server by itself; runs
    /// in the server's directory, as the server's account where the caller is root.
    ///
    /// # Errors
    /// When the server comes from the environment, which has no programs.
    pub fn bin(&self, program: &str) -> Result<Command, ServerError> {
        Ok(self.own()?.command(program))
    }

    fn admin(&self) -> Config {
        match &self.backend {
            Backend::Own(cluster) => cluster.admin(),
            Backend::Given(given) => given.admin(),
        }
    }

    fn own(&self) -> Result<&Cluster, ServerError> {
        match &self.backend {
            Backend::Own(cluster) => Ok(cluster),
            Backend::Given(given) => {
                let text = "names a server that is not the test's to control: ask for one with \
                            PostgresOptions::controlled";
                Err(ServerError(format!("{} {text}", given.variable())))
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let (true, Backend::Own(cluster)) = (std::thread::panicking(), &self.backend) {
            eprintln!("the end of the log of PostgreSQL {}:\n{}", self.version, cluster.log_tail());
        }
    }
}

fn given(
    version: PgVersion,
    options: &PostgresOptions,
    config: Result<Config, String>,
) -> Result<Given, StartError> {
    let variable = version.variable();
    if options.needs_own() {
        let reason = format!("{variable} names a server, and this test needs one of its own");
        return Err(StartError::Unavailable(reason));
    }
    Ok(Given::open(variable, config.map_err(StartError::Failed)?)?)
}

/// Looked for once a process: a source that failed is not asked again by every test.
fn programs(version: PgVersion) -> Result<Programs, String> {
    static FOUND: [OnceLock<Result<Programs, String>>; 6] = [const { OnceLock::new() }; 6];
    let look = || {
        let place = Place::find()?;
        version.wanted(|wanted| Programs::find(wanted, &place.trees()))
    };
    FOUND[version as usize].get_or_init(look).clone()
}

/// A part of a URL.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
