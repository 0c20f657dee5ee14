//! A connection of our own: greeting, TLS, login, simple queries, the rows of a table, and the
//! switch to a dump of the binlog. Questions of a survey go through mysql_async, with the same TLS.

mod answer;
mod channel;
mod claim;
mod column;
mod dump;
mod fault;
mod greeting;
mod key;
mod length;
mod login;
mod select;
mod sql;

use std::time::Duration;

use connector_api::{Error, Fault, Result};
use connector_transport::{Host, TlsSettings, Wire, client_config, not_offered};
use mysql_common::constants::CapabilityFlags;
use mysql_common::packets::SslRequest;

use crate::config::{MysqlConfig, SslMode, WORDS};
use crate::log::Flavor;
use crate::position::LogFile;
pub(crate) use answer::{Answer, Row, Table};
use channel::Channel;
pub(crate) use channel::{CONTINUED, HEADER_BYTES};
pub(crate) use column::ResultColumn;
pub use dump::DumpFrom;
use fault::command;
pub use fault::{Doing, ServerMessage};
use greeting::Greeting;
pub(crate) use select::{Arrived, Unanswered};
pub(crate) use sql::in_time;
pub use sql::{SqlClient, sql_error};

/// Time for a server to answer a question that needs no work.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Time for a server to end a session that has been taken leave of.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// The largest packet we take, bytes: the most a server can be set to.
const LARGEST_PACKET: u32 = 1 << 30;
/// `utf8mb4_general_ci`, which both families have.
const COLLATION: u8 = 45;

const QUIT: u8 = 0x01;
const QUERY: u8 = 0x03;

/// A connection that answers queries, and then becomes a dump.
#[derive(Debug)]
pub struct Session {
    channel: Channel,
    config: MysqlConfig,
    greeting: Greeting,
    /// That has been answered, and that the server still keeps.
    statement: Option<u32>,
}

/// A connection of either kind.
trait Connection: Sized {
    /// Connects to one host and logs in.
    fn connect_to(host: &Host, config: &MysqlConfig) -> impl Future<Output = Result<Self>> + Send;

    /// Whose log it writes, as a lineage says it.
    fn identity(
        &mut self,
        config: &MysqlConfig,
    ) -> impl Future<Output = Result<Option<String>>> + Send;
}

/// SQL: whose log a server writes, as a lineage says it.
fn identity_of(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::MySql => "SELECT CONCAT('mysql/', @@server_uuid)",
        Flavor::MariaDb => "SELECT CONCAT('mariadb/', @@gtid_domain_id, '-', @@server_id)",
    }
}

/// Connects to the first host that answers and is the server that is meant, where one is.
async fn first_of<C: Connection>(config: &MysqlConfig) -> Result<C> {
    let mut last = Error::transient("no host to connect to");
    for host in &config.hosts {
        let connecting = Box::pin(reach::<C>(host, config));
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

async fn reach<C: Connection>(host: &Host, config: &MysqlConfig) -> Result<C> {
    let mut connection = C::connect_to(host, config).await?;
    let Some(meant) = &config.server else { return Ok(connection) };
    if connection.identity(config).await?.as_deref() == Some(meant.as_str()) {
        return Ok(connection);
    }
    Err(Error::transient(format!("{host} is another server than the one whose log is read")))
}

impl Connection for Session {
    async fn identity(&mut self, _: &MysqlConfig) -> Result<Option<String>> {
        self.value(identity_of(self.flavor())).await
    }

    async fn connect_to(host: &Host, config: &MysqlConfig) -> Result<Self> {
        let place = config.connections.enter(config.connect_timeout / 2).await?;
        let mut wire = Wire::connect(host)
            .await
            .map_err(|error| Error::transient(format!("{host} cannot be reached: {error}")))?;
        wire.hold(place);
        let mut channel = Channel::new(wire, host.clone());
        let greeting = greet(&mut channel, config).await?;
        let mut capabilities = login::CAPABILITIES & greeting.capabilities;
        if let Some(tls) = config.tls_to(host) {
            if greeting.capabilities.contains(login::TLS) {
                capabilities |= login::TLS;
                begin_tls(&mut channel, &tls, capabilities).await?;
            } else if config.tls.mode != SslMode::Preferred {
                return Err(not_offered(host, &WORDS));
            }
        }
        login::log_in(&mut channel, &greeting, capabilities, config).await?;
        Ok(Self { channel, config: config.clone(), greeting, statement: None })
    }
}

impl Session {
    /// Connects to the first host that answers, and logs in.
    ///
    /// # Errors
    /// No host can be reached, or one will not let us in.
    pub async fn connect(config: &MysqlConfig) -> Result<Self> {
        first_of(config).await
    }

    /// The server's version as it prints it: `9.7.0`, `10.11.6-MariaDB-log`.
    pub fn server_version(&self) -> &str {
        &self.greeting.version
    }

    /// The server's family.
    pub fn flavor(&self) -> Flavor {
        self.greeting.flavor
    }

    /// How it was connected.
    pub(crate) fn config(&self) -> &MysqlConfig {
        &self.config
    }

    /// The first value of a query; `None` for NULL, and where there is no row.
    ///
    /// # Errors
    /// As of [`Self::query`].
    pub(crate) async fn value(&mut self, sql: &str) -> Result<Option<String>> {
        Ok(self.query(sql).await?.into_iter().flatten().next().flatten())
    }

    /// Whether the server still has a file of its log.
    ///
    /// # Errors
    /// As of [`Self::query`].
    pub(crate) async fn lists(&mut self, file: &LogFile) -> Result<bool> {
        let listed = self.query("SHOW BINARY LOGS").await?;
        let mut names = listed.into_iter().filter_map(|row| row.into_iter().next().flatten());
        Ok(names.any(|name| name == file.as_str()))
    }

    /// The rows of a query, as text; at most 16 MiB of them.
    ///
    /// # Errors
    /// What the server said, or that the connection broke.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        match self.rows(sql).await {
            Ok(table) => Ok(table.rows),
            Err(Unanswered::Broken(error)) => Err(error),
            Err(Unanswered::Said(told)) => {
                Err(told.classify(&Doing::Asking(sql), &self.config, self.flavor()))
            }
        }
    }

    async fn ask(&mut self, sql: &str) -> Result<Answer<Table>> {
        self.begin()?;
        self.channel.send(&[&[QUERY], sql.as_bytes()].concat()).await?;
        answer::read(&mut self.channel).await
    }

    /// Takes leave, if that can be done at once.
    pub(crate) fn leave(&mut self) {
        self.channel.begin();
        let _ = self.channel.queue(&[QUIT]);
        let _ = self.channel.wire.try_flush();
    }

    /// Takes leave and waits until the server has done so too.
    pub async fn close(mut self) {
        self.channel.begin();
        // Where it does not fit at once, the server finds out by itself.
        let leaving = async {
            self.channel.send(&[QUIT]).await?;
            self.channel.packet().await
        };
        let _ = tokio::time::timeout(LEAVE_TIME, leaving).await;
    }

    fn unanswered(&self, question: &str) -> Error {
        let seconds = ANSWER_TIME.as_secs();
        let host = &self.channel.host;
        Error::transient(format!("{host} did not answer {question} in {seconds} s"))
    }
}

/// What the server says first, which may be that it lets nobody in.
async fn greet(channel: &mut Channel, config: &MysqlConfig) -> Result<Greeting> {
    let arrived = channel.packet().await;
    let stranger = |channel: &Channel| {
        Error::operator(
            format!("{} did not begin as MySQL and MariaDB do", channel.host),
            "check host and port in the URL",
        )
    };
    let packet = match arrived {
        Err(_) if channel.is_out_of_step() => return Err(stranger(channel)),
        arrived => arrived?,
    };
    if let Some((0xff, body)) = packet.split_first() {
        let doing = Doing::LoggingIn(&channel.host);
        return Err(ServerMessage::read(body).classify(&doing, config, Flavor::MySql));
    }
    Greeting::read(&packet).ok_or_else(|| stranger(channel))
}

async fn begin_tls(
    channel: &mut Channel,
    tls: &TlsSettings,
    capabilities: CapabilityFlags,
) -> Result<()> {
    let tls = client_config(tls)?;
    channel.send_message(&SslRequest::new(capabilities, LARGEST_PACKET, COLLATION)).await?;
    // It would be taken for something that came over TLS.
    if channel.holds_data() {
        return Err(channel.nonsense("something before TLS that was not asked for"));
    }
    let host = channel.host.clone();
    channel.wire.begin_tls(&tls, &host, &WORDS).await
}
