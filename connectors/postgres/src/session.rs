//! A replication connection of our own: startup, TLS, authentication, simple queries, and the
//! switch to streaming. Ordinary SQL goes through tokio-postgres, with the same TLS.

mod auth;
mod fault;
mod sql;
mod tls;
mod wire;

use std::io;

use bytes::BytesMut;
use connector_api::{Error, Result};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::config::{Host, PostgresConfig, SslMode};
use crate::position::Lsn;
pub(crate) use fault::{ServerMessage, sql as sql_error};
pub(crate) use sql::SqlClient;
pub(crate) use wire::Wire;

/// Settings that shape the text of values, so that the same log always gives the same bytes.
const PINNED: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
];

/// A replication connection that answers queries.
#[derive(Debug)]
pub(crate) struct Session {
    wire: Wire,
    incoming: BytesMut,
    config: PostgresConfig,
}

impl Session {
    /// Connects to the first host that answers, and logs in.
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self> {
        let mut last = Error::transient("no host to connect to");
        for host in &config.hosts {
            match Self::connect_to(host, config).await {
                Ok(session) => return Ok(session),
                // What a person has to mend on one host is not hidden by trying the next.
                Err(error) if *error.fault() != connector_api::Fault::Transient => {
                    return Err(error);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(host: &Host, config: &PostgresConfig) -> Result<Self> {
        let mut wire = Wire::connect(host, config).await?;
        if let Some(tls) = tls::client_config(&config.tls)? {
            ask_for_tls(&mut wire, host).await?;
            wire.begin_tls(&tls, host).await?;
        }
        let mut session = Self { wire, incoming: BytesMut::new(), config: config.clone() };
        let login = session.log_in(host);
        match tokio::time::timeout(config.connect_timeout, login).await {
            Ok(outcome) => outcome.map(|()| session),
            Err(_) => Err(Error::transient(format!("{host} did not finish the login in time"))),
        }
    }

    async fn log_in(&mut self, host: &Host) -> Result<()> {
        let mut message = BytesMut::new();
        let mut parameters = vec![
            ("user", self.config.user.as_str()),
            ("database", self.config.database.as_str()),
            ("replication", "database"),
            ("application_name", "tailstock"),
        ];
        parameters.extend(PINNED);
        frontend::startup_message(parameters, &mut message)
            .map_err(|error| Error::definite("the login cannot be written").because(error))?;
        self.send(&message).await?;
        auth::authenticate(self).await?;
        loop {
            match self.message().await? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => {
                    let doing = format!("logging in to {host} as {}", self.config.user);
                    return Err(self.refused(&body, &doing));
                }
                _ => {}
            }
        }
    }

    /// Rows of a simple query, as text.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.send_query(sql).await?;
        let (mut rows, mut refused) = (Vec::new(), None);
        loop {
            match self.message().await? {
                Message::DataRow(row) => {
                    let mut ranges = row.ranges();
                    let mut values = Vec::new();
                    while let Some(range) = ranges.next().map_err(broken)? {
                        let text = range.map(|range| &row.buffer()[range]);
                        values.push(text.map(|text| String::from_utf8_lossy(text).into_owned()));
                    }
                    rows.push(values);
                }
                Message::ErrorResponse(body) => {
                    refused = Some(self.refused(&body, command(sql)));
                }
                Message::ReadyForQuery(_) => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    /// Starts streaming from `slot` behind `start`. Returns the connection and what has arrived of
    /// the stream already.
    pub(crate) async fn start_replication(
        mut self,
        slot: &str,
        start: Lsn,
    ) -> Result<(Wire, BytesMut)> {
        let publication = self.config.publication.replace('\'', "''").replace('"', "\"\"");
        let sql = format!(
            "START_REPLICATION SLOT \"{slot}\" LOGICAL {start} (proto_version '1', \
             publication_names '\"{publication}\"')"
        );
        self.send_query(&sql).await?;
        loop {
            // The library does not know CopyBothResponse.
            if self.incoming.first() == Some(&b'W') && self.incoming.len() >= 5 {
                let header = self.incoming[1..5].try_into().expect("four bytes");
                let frame = 1 + u32::from_be_bytes(header) as usize;
                if self.incoming.len() >= frame {
                    bytes::Buf::advance(&mut self.incoming, frame);
                    return Ok((self.wire, self.incoming));
                }
                self.fill().await?;
            } else if self.incoming.len() < 5 {
                self.fill().await?;
            } else if let Message::ErrorResponse(body) = self.message().await? {
                return Err(self.refused(&body, &format!("streaming from slot {slot}")));
            }
        }
    }

    async fn send_query(&mut self, sql: &str) -> Result<()> {
        let mut message = BytesMut::new();
        frontend::query(sql, &mut message)
            .map_err(|error| Error::bug("a query cannot be written").because(error))?;
        self.send(&message).await
    }

    async fn send(&mut self, message: &[u8]) -> Result<()> {
        self.wire.queue(message);
        self.wire.flush().await.map_err(broken)
    }

    async fn message(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.incoming).map_err(broken)? {
                return Ok(message);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        let mut buffer = [0; 8192];
        loop {
            match self.wire.receive(&mut buffer) {
                Ok(0) => return Err(Error::transient("the server closed the connection")),
                Ok(count) => {
                    self.incoming.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wire.socket().readable().await.map_err(broken)?;
                }
                Err(error) => return Err(broken(error)),
            }
        }
    }

    fn refused(
        &self,
        body: &postgres_protocol::message::backend::ErrorResponseBody,
        doing: &str,
    ) -> Error {
        ServerMessage::of(body).classify(&self.config, doing)
    }
}

/// The first words of a command, for errors.
fn command(sql: &str) -> &str {
    sql.split(['(', '"', ';']).next().unwrap_or(sql).trim()
}

fn broken(error: io::Error) -> Error {
    Error::transient(format!("the connection broke: {error}"))
}

async fn ask_for_tls(wire: &mut Wire, host: &Host) -> Result<()> {
    let mut message = BytesMut::new();
    frontend::ssl_request(&mut message);
    wire.queue(&message);
    wire.flush().await.map_err(broken)?;
    let mut answer = [0];
    loop {
        match wire.receive(&mut answer) {
            Ok(0) => return Err(Error::transient("the server closed the connection")),
            Ok(_) if answer[0] == b'S' => return Ok(()),
            Ok(_) => {
                return Err(no_tls(host));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wire.socket().readable().await.map_err(broken)?;
            }
            Err(error) => return Err(broken(error)),
        }
    }
}

/// The server has no TLS, and the mode asks for it.
fn no_tls(host: &Host) -> Error {
    Error::operator(
        format!("{host} does not offer TLS"),
        "turn it on there (ssl = on), or add ?sslmode=disable to the URL if you trust the network",
    )
}

/// Why a connection is not allowed to be in the clear is the operator's to decide; this is what
/// the mode says.
pub(crate) fn is_encrypted(config: &PostgresConfig) -> bool {
    config.tls.mode != SslMode::Disable
}
