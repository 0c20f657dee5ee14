use std::ops::Deref;

use connector_api::{Error, Fault, Result};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode as SqlSslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{sql_error, tls};
use crate::config::{Host, PostgresConfig, SslMode};

/// A connection for ordinary SQL; ends when dropped.
pub(crate) struct SqlClient {
    client: Client,
    connection: JoinHandle<()>,
}

impl SqlClient {
    /// Connects to the first host that answers.
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self> {
        let mut last = Error::transient("no host to connect to");
        for host in &config.hosts {
            match Self::connect_to(host, config).await {
                Ok(client) => return Ok(client),
                Err(error) if *error.fault() != Fault::Transient => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(host: &Host, config: &PostgresConfig) -> Result<Self> {
        let mut settings = tokio_postgres::Config::new();
        settings
            .user(&config.user)
            .dbname(&config.database)
            .application_name("tailstock")
            .connect_timeout(config.connect_timeout)
            // Nothing asked here may hold up the shop.
            .options("-c statement_timeout=10s -c lock_timeout=1s");
        if let Some(password) = &config.password {
            settings.password(password);
        }
        match host {
            Host::Tcp(name, port) => settings.host(name).port(*port),
            Host::Unix(folder, port) => settings.host_path(folder).port(*port),
        };
        let doing = format!("connecting to {host} as {}", config.user);
        let failed = |error| explain(error, host, config, &doing);
        let (client, connection) = if config.tls.mode == SslMode::Disable {
            settings.ssl_mode(SqlSslMode::Disable);
            let (client, connection) = settings.connect(NoTls).await.map_err(failed)?;
            (client, tokio::spawn(async { drop(connection.await) }))
        } else {
            settings.ssl_mode(SqlSslMode::Require);
            let tls = tls::client_config(&config.tls)?.expect("the mode asks for TLS");
            let connect = MakeRustlsConnect::new((*tls).clone());
            let (client, connection) = settings.connect(connect).await.map_err(failed)?;
            (client, tokio::spawn(async { drop(connection.await) }))
        };
        Ok(Self { client, connection })
    }
}

/// The connection's own error, else the handshake's, else that the host cannot be reached.
fn explain(
    error: tokio_postgres::Error,
    host: &Host,
    config: &PostgresConfig,
    doing: &str,
) -> Error {
    if error.as_db_error().is_some() {
        return sql_error(error, config, doing);
    }
    let mut causes = vec![error.to_string()];
    let mut io = None;
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        io = io.or(cause.downcast_ref::<std::io::Error>());
        source = cause.source();
    }
    let says = |words: &str| causes.iter().any(|cause| cause.contains(words));
    // The library has no kinds of its own errors, only words.
    if says("password missing") {
        return Error::operator(
            format!("the server asks {} for a password, and none is configured", config.user),
            "add password = { file = \"...\" } or { env = \"...\" } to [source]",
        );
    }
    if says("server does not support TLS") {
        return super::no_tls(host);
    }
    match io {
        Some(io) if super::is_encrypted(config) => tls::handshake_error(io, &host.to_string()),
        Some(io) => Error::transient(format!("{host} cannot be reached: {io}")),
        None => Error::transient(format!("{doing}: {}", causes.join(": "))),
    }
}

impl Deref for SqlClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for SqlClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
