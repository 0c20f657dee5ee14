use std::ops::Deref;
use std::time::Duration;

use connector_api::{Error, Result};
use connector_transport::{Place, client_config, handshake_error, is_tls, not_offered};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode as SqlSslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Connection, IS_STANDBY, auth, check_role, first_of, sql_error};
use crate::config::{Host, PostgresConfig, Role, WORDS};

/// Time for the server to take leave.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// Time without a word after which a server is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Answers to that which may be missing before it counts as gone.
const KEEPALIVES_MISSED: u32 = 4;

/// A connection for ordinary SQL; ends when dropped.
pub(crate) struct SqlClient {
    /// Gone when closed.
    client: Option<Client>,
    connection: JoinHandle<()>,
    _place: Place,
}

impl SqlClient {
    /// Connects to the first host that answers and will do.
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self> {
        first_of(config).await
    }

    /// Takes leave, so that the server's log has nothing to say about a lost connection.
    pub(crate) async fn close(mut self) {
        self.client = None;
        let _ = tokio::time::timeout(LEAVE_TIME, &mut self.connection).await;
    }
}

impl Connection for SqlClient {
    async fn connect_to(host: &Host, config: &PostgresConfig) -> Result<Self> {
        let mut settings = tokio_postgres::Config::new();
        settings
            .user(&config.user)
            .dbname(&config.database)
            .application_name(config.shown_name())
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(KEEPALIVES_MISSED)
            .tcp_user_timeout(KEEPALIVE * KEEPALIVES_MISSED)
            // Nothing asked here may hold up the shop.
            .options("-c statement_timeout=10s -c lock_timeout=1s");
        if let Some(password) = &config.password {
            settings.password(password);
        }
        match host {
            Host::Tcp(name, port) => settings.host(name).port(*port),
            Host::Unix(folder, port) => settings.host_path(folder).port(*port),
        };
        let failed = |error| explain(error, host, config);
        let place = config.connections.enter(config.connect_timeout / 2).await?;
        let (client, connection) = match config.tls_to(host) {
            None => {
                settings.ssl_mode(SqlSslMode::Disable);
                let (client, connection) = settings.connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
            Some(tls) => {
                settings.ssl_mode(SqlSslMode::Require);
                let connect = MakeRustlsConnect::new((*client_config(&tls)?).clone());
                let (client, connection) = settings.connect(connect).await.map_err(failed)?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
        };
        let client = Self { client: Some(client), connection, _place: place };
        if config.target != Role::Any {
            let row = client.query_one(IS_STANDBY, &[]).await.map_err(failed)?;
            check_role(host, config.target, row.get(0))?;
        }
        Ok(client)
    }
}

/// What the server said, else what TLS found, else that the host cannot be reached.
fn explain(error: tokio_postgres::Error, host: &Host, config: &PostgresConfig) -> Error {
    let doing = format!("logging in to {host} as {}", config.user);
    if error.as_db_error().is_some() {
        return sql_error(error, config, &doing);
    }
    let mut causes = vec![error.to_string()];
    let mut io = None;
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        io = io.or(cause.downcast_ref::<std::io::Error>());
        source = cause.source();
    }
    // The library has no kinds of its own errors, only words.
    let says = |words: &str| causes.iter().any(|cause| cause.contains(words));
    if config.password.is_none() && says("password missing") {
        return auth::no_password(config);
    }
    if says("server does not support TLS") {
        return not_offered(&host.place(), &WORDS);
    }
    match io {
        Some(io) if is_tls(io) => handshake_error(io, &host.place(), &WORDS),
        Some(io) => Error::transient(format!("{host} cannot be reached: {io}")),
        None => Error::transient(format!("{doing}: {}", causes.join(": "))),
    }
}

impl Deref for SqlClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("closing takes the whole value")
    }
}

impl Drop for SqlClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
