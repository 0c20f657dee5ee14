//! A connection of our own: startup, TLS, authentication, simple queries, and the switch to
//! streaming. Ordinary SQL with parameters goes through tokio-postgres, once we have been let in.

mod auth;
mod binding;
mod fault;
mod sql;

use std::fmt::Display;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use connector_api::{Error, Fault, Result};
use connector_transport::{Host, Wire, client_config, handshake_error, is_tls, not_offered};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;

use crate::config::{self, PostgresConfig, Role, WORDS};
use crate::position::{LogIdentity, Lsn};
pub(crate) use fault::{ServerMessage, sql as sql_error};
pub(crate) use sql::SqlClient;

/// Settings that shape the text of values, so that the same log always gives the same bytes.
const PINNED: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
];

/// What makes a connection one that streams.
const STREAMING: [(&str, &str); 1] = [("replication", "database")];
/// What makes a connection one that reads tables: it writes nothing, reads every row or fails, and
/// holds up nobody for long. It follows a table's key however far apart its rows lie: the planner
/// would rather sort the whole table, for each of a thousand chunks.
const READING: [(&str, &str); 1] = [(
    "options",
    "-c default_transaction_read_only=on -c row_security=off -c statement_timeout=10s \
     -c lock_timeout=1s -c idle_in_transaction_session_timeout=10s -c jit=off \
     -c max_parallel_workers_per_gather=0 -c enable_seqscan=off -c enable_bitmapscan=off \
     -c enable_sort=off",
)];

/// What makes a connection one for ordinary SQL: nothing asked there may hold up the shop.
const ASKING: [(&str, &str); 1] = [("options", "-c statement_timeout=10s -c lock_timeout=1s")];

/// Time for a server to end a session that has been taken leave of.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// The longest message expected outside of a stream, bytes.
const LONGEST: usize = 16 << 20;

/// A connection that answers queries.
#[derive(Debug)]
pub(crate) struct Session {
    wire: Wire,
    incoming: BytesMut,
    config: PostgresConfig,
    host: Host,
}

/// A connection of either kind.
trait Connection: Sized {
    /// Connects to one host and logs in.
    fn connect_to(
        host: &config::Host,
        config: &PostgresConfig,
    ) -> impl Future<Output = Result<Self>> + Send;
}

/// Connects to the first host that answers and will do.
async fn first_of<C: Connection>(config: &PostgresConfig) -> Result<C> {
    let mut last = Error::transient("no host to connect to");
    for host in &config.hosts {
        let connecting = C::connect_to(host, config);
        let connected = tokio::time::timeout(config.connect_timeout, connecting).await;
        let seconds = config.connect_timeout.as_secs();
        let late = |_| Err(Error::transient(format!("{host} let no one in for {seconds} s")));
        match connected.unwrap_or_else(late) {
            Ok(connection) => return Ok(connection),
            // What a person has to mend on one host is not hidden by trying the next.
            Err(error) if *error.fault() != Fault::Transient => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The log that a server writes or replays: its system's number, and the timeline. The control file
/// lags behind a promotion, which a server that writes itself is asked around.
const LOG_WRITTEN: &str = "SELECT (pg_control_system()).system_identifier,
    CASE WHEN pg_is_in_recovery() THEN greatest(
        (pg_control_checkpoint()).timeline_id,
        (pg_control_recovery()).min_recovery_end_timeline,
        (SELECT received_tli FROM pg_stat_wal_receiver))
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END";

/// From 17 on: the server decodes a transaction in one of its own, which takes as long as we do.
const WITHOUT_TIMEOUT: &str =
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'";

const IS_STANDBY: &str = "SELECT pg_is_in_recovery()";

/// Whether a server is what the URL asks for.
fn check_role(host: &impl Display, wanted: Role, is_standby: bool) -> Result<()> {
    let (found, wanted) = match (wanted, is_standby) {
        (Role::Primary, true) => ("a standby", "primary"),
        (Role::Standby, false) => ("a primary", "standby"),
        _ => return Ok(()),
    };
    // A failover may be on its way.
    Err(Error::transient(format!(
        "{host} is {found}, and the URL asks for target_session_attrs={wanted}"
    )))
}

impl Connection for Session {
    async fn connect_to(host: &config::Host, config: &PostgresConfig) -> Result<Self> {
        Self::enter(host, config, STREAMING).await
    }
}

/// A session that reads tables.
struct Reading(Session);

impl Connection for Reading {
    async fn connect_to(host: &config::Host, config: &PostgresConfig) -> Result<Self> {
        let mut session = Session::enter(host, config, READING).await?;
        let meant = config.server.as_ref().and_then(LogIdentity::from_lineage);
        if let Some(LogIdentity { system_id, timeline, .. }) = meant
            && let Some(found) = session.log_written().await?
            && found != (system_id, timeline)
        {
            return Err(Error::transient(format!(
                "{host} is another server than the one whose log is read"
            )));
        }
        Ok(Self(session))
    }
}

impl Session {
    /// Connects to the first host that answers and will do, and logs in.
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self> {
        first_of(config).await
    }

    /// The same for reading tables. Values look as they do in a stream.
    pub(crate) async fn connect_to_read(config: &PostgresConfig) -> Result<Self> {
        first_of::<Reading>(config).await.map(|reading| reading.0)
    }

    async fn enter(
        host: &config::Host,
        config: &PostgresConfig,
        purpose: [(&str, &str); 1],
    ) -> Result<Self> {
        let tls = config.tls_to(host);
        let host = host.place();
        let place = config.connections.enter(config.connect_timeout / 2).await?;
        let mut wire = Wire::connect(&host)
            .await
            .map_err(|error| Error::transient(format!("{host} cannot be reached: {error}")))?;
        wire.hold(place);
        if let Some(tls) = tls {
            let tls = client_config(&tls)?;
            ask_for_tls(&mut wire, &host).await?;
            wire.begin_tls(&tls, &host, &WORDS).await?;
        }
        let config = config.clone();
        let mut session = Self { wire, incoming: BytesMut::new(), config, host };
        session.log_in(purpose).await?;
        if session.config.target != Role::Any {
            let rows = session.query(IS_STANDBY).await?;
            let is_standby = rows.first().and_then(|row| row.first()?.as_deref()) == Some("t");
            check_role(&session.host, session.config.target, is_standby)?;
        }
        Ok(session)
    }

    async fn log_in(&mut self, purpose: [(&str, &str); 1]) -> Result<()> {
        let mut message = BytesMut::new();
        let name = self.config.shown_name();
        let mut parameters = vec![
            ("user", self.config.user.as_str()),
            ("database", self.config.database.as_str()),
            ("application_name", name.as_str()),
        ];
        parameters.extend(purpose);
        parameters.extend(PINNED);
        frontend::startup_message(parameters, &mut message)
            .map_err(|error| Error::definite("the login cannot be written").because(error))?;
        self.send(&message).await?;
        auth::authenticate(self).await?;
        loop {
            match self.message().await? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(self.not_let_in(&body)),
                _ => {}
            }
        }
    }

    /// Which log this server writes or replays; `None` where it does not say, as Aurora does not.
    async fn log_written(&mut self) -> Result<Option<(String, u32)>> {
        let rows = match self.query(LOG_WRITTEN).await {
            Err(error) if *error.fault() == Fault::Transient => return Err(error),
            rows => rows.unwrap_or_default(),
        };
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter().flatten();
        let timeline = |text: String| text.parse().ok();
        Ok(row.next().zip(row.next().and_then(timeline)))
    }

    /// Rows of a simple query, as text.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let limit = self.config.answer_time;
        let answer = tokio::time::timeout(limit, self.query_patiently(sql)).await;
        answer.unwrap_or_else(|_| Err(unanswered(&self.host, command(sql), limit)))
    }

    /// Rows of a simple query that may take as long as it does: a new slot waits for transactions
    /// that are open on the server.
    pub(crate) async fn query_patiently(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.send_query(sql).await?;
        let (mut rows, mut refused) = (Vec::new(), None);
        loop {
            match self.message().await? {
                Message::DataRow(row) => {
                    let mut ranges = row.ranges();
                    let mut values = Vec::new();
                    while let Some(range) = ranges.next().map_err(|error| self.broken(&error))? {
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

    /// Takes leave and waits until the server has done so too: only then is its walsender free for
    /// the next connection, and there may be no other.
    pub(crate) async fn close(mut self) {
        // Terminate. Where it does not fit at once, the server finds out by itself.
        self.wire.queue(b"X\x00\x00\x00\x04");
        let _ = self.wire.try_flush();
        let _ =
            tokio::time::timeout(LEAVE_TIME, async { while self.message().await.is_ok() {} }).await;
    }

    /// Starts streaming from `slot` behind `start`. Returns the connection and what has arrived of
    /// the stream already.
    pub(crate) async fn start_replication(
        mut self,
        slot: &str,
        start: Lsn,
    ) -> Result<(Wire, BytesMut)> {
        self.query(WITHOUT_TIMEOUT).await?;
        let publication = self.config.publication.replace('\'', "''").replace('"', "\"\"");
        let sql = format!(
            "START_REPLICATION SLOT \"{slot}\" LOGICAL {start} (proto_version '1', \
             publication_names '\"{publication}\"')"
        );
        let limit = self.config.answer_time;
        let start = tokio::time::timeout(limit, self.switch_to_copy(&sql, slot)).await;
        start.unwrap_or_else(|_| Err(unanswered(&self.host, "START_REPLICATION", limit)))?;
        Ok((self.wire, self.incoming))
    }

    /// The connection itself, with what has arrived and nobody has taken, and where it leads.
    pub(crate) fn into_parts(self) -> (Wire, BytesMut, Host) {
        (self.wire, self.incoming, self.host)
    }

    async fn switch_to_copy(&mut self, sql: &str, slot: &str) -> Result<()> {
        self.send_query(sql).await?;
        loop {
            // The library does not know CopyBothResponse.
            if self.incoming.first() == Some(&b'W') {
                if let Some(frame) = self.next_frame()? {
                    bytes::Buf::advance(&mut self.incoming, frame);
                    return Ok(());
                }
                self.fill().await?;
            } else if self.incoming.is_empty() {
                self.fill().await?;
            } else if let Message::ErrorResponse(body) = self.message().await? {
                let told = ServerMessage::of(&body);
                if told.is_about_the_slot() {
                    // The next survey sees what is wrong with it, and decides what follows.
                    return Err(Error::transient(format!("{} ({})", told.message, told.code)));
                }
                return Err(told.classify(&self.config, &format!("streaming from slot {slot}")));
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
        let sent = self.wire.flush().await;
        sent.map_err(|error| self.broken(&error))
    }

    async fn message(&mut self) -> Result<Message> {
        loop {
            if self.next_frame()?.is_some() {
                let message = Message::parse(&mut self.incoming);
                let message = message.map_err(|error| self.broken(&error))?;
                return Ok(message.expect("the frame is complete"));
            }
            self.fill().await?;
        }
    }

    /// The size of the frame that begins what has arrived, once all of it has.
    fn next_frame(&self) -> Result<Option<usize>> {
        let Some((header, _)) = self.incoming.split_first_chunk::<5>() else { return Ok(None) };
        let [_, len @ ..] = *header;
        let size = (u32::from_be_bytes(len) as usize).saturating_add(1);
        if !(5..=LONGEST).contains(&size) {
            let host = &self.host;
            return Err(Error::transient(format!("{host} sent a message of {size} bytes")));
        }
        Ok((self.incoming.len() >= size).then_some(size))
    }

    async fn fill(&mut self) -> Result<()> {
        let mut buffer = [0; 8192];
        loop {
            match self.wire.receive(&mut buffer) {
                Ok(0) => return Err(closed(&self.host)),
                Ok(count) => {
                    self.incoming.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = self.wire.socket().readable().await;
                    ready.map_err(|error| self.broken(&error))?;
                }
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    fn refused(&self, body: &ErrorResponseBody, doing: &str) -> Error {
        ServerMessage::of(body).classify(&self.config, doing)
    }

    fn not_let_in(&self, body: &ErrorResponseBody) -> Error {
        self.refused(body, &format!("logging in to {} as {}", self.host, self.config.user))
    }

    /// With TLS 1.3 the server's opinion of our certificate arrives after the handshake.
    fn broken(&self, error: &io::Error) -> Error {
        if is_tls(error) {
            return handshake_error(error, &self.host, &WORDS);
        }
        Error::transient(format!("the connection to {} broke: {error}", self.host))
    }
}

/// The first words of a command, for errors.
fn command(sql: &str) -> &str {
    sql.split(['(', '"', ';']).next().unwrap_or(sql).trim()
}

fn unanswered(host: &Host, question: &str, limit: Duration) -> Error {
    let seconds = limit.as_secs();
    Error::transient(format!("{host} did not answer {question} in {seconds} s"))
}

fn closed(host: &Host) -> Error {
    Error::transient(format!("{host} closed the connection"))
}

async fn ask_for_tls(wire: &mut Wire, host: &Host) -> Result<()> {
    let broken = |error| Error::transient(format!("the connection to {host} broke: {error}"));
    let mut message = BytesMut::new();
    frontend::ssl_request(&mut message);
    wire.queue(&message);
    wire.flush().await.map_err(broken)?;
    // Not a byte more: what follows belongs to TLS.
    let mut answer = [0];
    loop {
        match wire.receive(&mut answer) {
            Ok(0) => return Err(closed(host)),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wire.socket().readable().await.map_err(broken)?;
            }
            Err(error) => return Err(broken(error)),
        }
    }
    match answer[0] {
        b'S' => Ok(()),
        b'N' => Err(not_offered(host, &WORDS)),
        b'E' => Err(Error::transient(format!("{host} had no room for a connection"))),
        other => Err(Error::operator(
            format!("{host} answered 0x{other:02x}, which PostgreSQL never does"),
            "check host and port in the URL",
        )),
    }
}
