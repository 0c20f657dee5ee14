use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use connector_api::{Error, Fault, Result};
use connector_transport::{
    Check, Host, Place, TlsSettings, Wire, client_config, handshake_error, is_tls, not_offered,
};
use mysql_async::prelude::Queryable as _;
use mysql_async::{
    ClientIdentity, Conn, DriverError, IoError, Opts, OptsBuilder, SslOpts, TlsError,
};

use super::channel::Channel;
use super::fault::{names_a_plugin, unknown_plugin};
use super::greeting::Greeting;
use super::{Connection, Doing, LARGEST_PACKET, ServerMessage, first_of, greet, identity_of};
use crate::config::{MysqlConfig, SslMode, WORDS};
use crate::log::Flavor;

/// Time for the server to take leave.
const LEAVE_TIME: Duration = Duration::from_secs(1);
/// Seconds an idle connection is kept by the server.
const IDLE_S: usize = 3600;

/// Time for the answers to a few questions, of which none may take the server longer than
/// `STATEMENT_S`.
const ANSWERS_TIME: Duration = Duration::from_secs(120);
/// Seconds a statement may take the server.
const STATEMENT_S: u32 = 10;
/// Time without a word after which a server is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The library overlooks a wrong name when the error has this word in it. It once stood in every
/// such error; now there is only the name that was wanted.
const OVERLOOKED: &str = "NotValidForName";

/// A connection for ordinary SQL.
pub struct SqlClient {
    connection: Conn,
    flavor: Flavor,
    version: String,
    _place: Place,
}

impl fmt::Debug for SqlClient {
    /// The library would show the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlClient").field("version", &self.version).finish_non_exhaustive()
    }
}

impl SqlClient {
    /// Connects to the first host that answers.
    ///
    /// # Errors
    /// No host can be reached, or one will not let us in.
    pub async fn connect(config: &MysqlConfig) -> Result<Self> {
        first_of(config).await
    }

    /// The server's family.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// The server's version as it prints it: `9.7.0`, `10.11.6-MariaDB-log`.
    pub fn server_version(&self) -> &str {
        &self.version
    }

    /// Takes leave, so that the server's log has nothing to say about a lost connection.
    pub async fn close(self) {
        let _ = tokio::time::timeout(LEAVE_TIME, self.connection.disconnect()).await;
    }
}

impl Deref for SqlClient {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.connection
    }
}

impl DerefMut for SqlClient {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.connection
    }
}

impl Connection for SqlClient {
    async fn identity(&mut self, config: &MysqlConfig) -> Result<Option<String>> {
        let flavor = self.flavor;
        let asked = in_time(self.query_first(identity_of(flavor))).await;
        let doing = Doing::Asking("the question which server it is");
        asked.map_err(|error| sql_error(error, &doing, config, flavor))
    }

    async fn connect_to(host: &Host, config: &MysqlConfig) -> Result<Self> {
        let place = config.connections.enter(config.connect_timeout / 2).await?;
        let tls = config.tls_to(host);
        // Tells what is wrong with the files before anybody is asked.
        let ssl = tls.as_ref().map(|tls| client_config(tls).and_then(|_| ssl(tls))).transpose()?;
        let offered = Conn::new(options(host, config, ssl)).await;
        let connected = match offered {
            Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))
                if config.tls.mode == SslMode::Preferred =>
            {
                Conn::new(options(host, config, None)).await
            }
            other => other,
        };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(error) => return Err(refusal(error, host, config).await),
        };
        let failed = |error| sql_error(error, &Doing::LoggingIn(host), config, Flavor::MySql);
        let version: Option<String> =
            connection.query_first("SELECT VERSION()").await.map_err(failed)?;
        let version = version.unwrap_or_default();
        let is_mariadb = version.contains("MariaDB");
        // Nothing asked here may hold up the shop.
        let limit = match is_mariadb {
            true => format!("SET SESSION max_statement_time = {STATEMENT_S}"),
            false => format!("SET SESSION max_execution_time = {}", STATEMENT_S * 1000),
        };
        connection.query_drop(limit).await.map_err(failed)?;
        let flavor = if is_mariadb { Flavor::MariaDb } else { Flavor::MySql };
        Ok(Self { connection, flavor, version, _place: place })
    }
}

/// The answers to a few questions. A connection whose other end has gone without a word says
/// nothing for ever.
pub(crate) async fn in_time<T>(
    asking: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, mysql_async::Error> {
    let answered = tokio::time::timeout(ANSWERS_TIME, asking).await;
    answered.unwrap_or_else(|_| {
        let seconds = ANSWERS_TIME.as_secs();
        let what = format!("the server did not answer in {seconds} s");
        let late = io::Error::new(io::ErrorKind::TimedOut, what);
        Err(mysql_async::Error::Io(IoError::Io(late)))
    })
}

fn options(host: &Host, config: &MysqlConfig, ssl: Option<SslOpts>) -> Opts {
    let options = OptsBuilder::default()
        .user(Some(&config.user))
        .pass(config.password.as_deref())
        .db_name(Some(&config.database))
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        // Given, they need not be asked for.
        .max_allowed_packet(Some(LARGEST_PACKET as usize))
        .wait_timeout(Some(IDLE_S))
        .connect_attribute("program_name", config.shown_name())
        .setup(vec!["SET SESSION lock_wait_timeout = 1, sql_mode = '', time_zone = '+00:00'"])
        .ssl_opts(ssl);
    match host {
        Host::Tcp(name, port) => options.ip_or_hostname(name).tcp_port(*port).into(),
        Host::Unix(path) => options.socket(Some(path.display().to_string())).into(),
    }
}

/// The library's words for the same protection.
fn ssl(tls: &TlsSettings) -> Result<SslOpts> {
    let mut roots = Vec::new();
    match (&tls.root_cert, tls.check) {
        (_, Check::Nobody) => {}
        (Some(path), _) => roots.push(path.clone().into()),
        (None, _) => {
            let native = rustls_native_certs::load_native_certs().certs;
            // One that cannot be read would be the library's end of them all.
            let mut scratch = rustls::RootCertStore::empty();
            let good = native.into_iter().filter(|root| scratch.add(root.clone()).is_ok());
            roots.extend(good.map(|root| root.to_vec().into()));
        }
    }
    let client = tls.client.clone();
    let client =
        client.map(|(certificate, key)| ClientIdentity::new(certificate.into(), key.into()));
    let options = SslOpts::default()
        .with_disable_built_in_roots(tls.check != Check::Nobody)
        .with_root_certs(roots)
        .with_client_identity(client)
        .with_danger_accept_invalid_certs(tls.check == Check::Nobody);
    Ok(match tls.check {
        Check::Nobody | Check::AuthorityAndName => options,
        Check::Authority => options
            .with_danger_skip_domain_validation(true)
            .with_danger_tls_hostname_override(Some(OVERLOOKED)),
    })
}

/// Why nobody was let in.
fn explain(error: mysql_async::Error, host: &Host, config: &MysqlConfig, flavor: Flavor) -> Error {
    match error {
        mysql_async::Error::Io(IoError::Tls(TlsError::Tls(error))) => {
            handshake_error(&io::Error::other(error), host, &WORDS)
        }
        mysql_async::Error::Io(IoError::Io(error)) if is_tls(&error) => {
            handshake_error(&error, host, &WORDS)
        }
        mysql_async::Error::Io(IoError::Io(error)) => {
            Error::transient(format!("{host} cannot be reached: {error}"))
        }
        mysql_async::Error::Io(error) => {
            Error::transient(format!("{host} cannot be reached: {error}"))
        }
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            not_offered(host, &WORDS)
        }
        mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            unknown_plugin(&name, config, flavor)
        }
        mysql_async::Error::Driver(DriverError::MysqlOldPasswordDisabled) => {
            unknown_plugin("mysql_old_password", config, flavor)
        }
        mysql_async::Error::Driver(DriverError::CleartextPluginDisabled) => {
            unknown_plugin("mysql_clear_password", config, flavor)
        }
        other => sql_error(other, &Doing::LoggingIn(host), config, flavor),
    }
}

/// Why nobody was let in, in the words of the server's family, if it is one of a family at all. The
/// library tells neither; asking is one more connection without a login, of which a server takes so
/// many from a host, so that only those errors ask that differ by it.
async fn refusal(error: mysql_async::Error, host: &Host, config: &MysqlConfig) -> Error {
    let mut flavor = Flavor::MySql;
    if depends_on_greeting(&error) {
        match greeting(host, config).await {
            Ok(greeting) => flavor = greeting.flavor,
            Err(told) if *told.fault() != Fault::Transient => return told,
            Err(_) => {}
        }
    }
    explain(error, host, config, flavor)
}

fn depends_on_greeting(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Driver(error) => matches!(
            error,
            DriverError::UnknownAuthPlugin { .. }
                | DriverError::MysqlOldPasswordDisabled
                | DriverError::CleartextPluginDisabled
        ),
        mysql_async::Error::Server(error) => names_a_plugin(error.code),
        // The library could not make sense of what came.
        mysql_async::Error::Io(IoError::Io(error)) => {
            error.raw_os_error().is_none() && !is_tls(error)
        }
        _ => false,
    }
}

async fn greeting(host: &Host, config: &MysqlConfig) -> Result<Greeting> {
    let wire = Wire::connect(host)
        .await
        .map_err(|error| Error::transient(format!("{host} cannot be reached: {error}")))?;
    greet(&mut Channel::new(wire, host.clone()), config).await
}

/// An error of ordinary SQL.
pub fn sql_error(
    error: mysql_async::Error,
    doing: &Doing<'_>,
    config: &MysqlConfig,
    flavor: Flavor,
) -> Error {
    let what = match error {
        mysql_async::Error::Server(error) => {
            let (code, state, message) = (error.code, error.state, error.message);
            return ServerMessage { code, state, message }.classify(doing, config, flavor);
        }
        // It would show what the server sent, which may be a row.
        mysql_async::Error::Driver(DriverError::UnexpectedPacket { .. }) => {
            return Error::transient("the server sent a packet that does not belong here");
        }
        error => error,
    };
    Error::transient("the connection for ordinary SQL broke").because(what)
}
