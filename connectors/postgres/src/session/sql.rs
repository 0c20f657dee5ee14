use std::io;
use std::ops::Deref;
use std::time::Duration;

use bytes::BytesMut;
use connector_api::{Error, Result};
use connector_transport::{Host, Wire};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::{ASKING, Connection, Session, first_of, sql_error, unanswered};
use crate::config::{self, PostgresConfig};

/// Time for the server to take leave.
const LEAVE_TIME: Duration = Duration::from_secs(1);
/// Bytes between the library and the connection, in either direction.
const ON_THE_WAY: usize = 64 << 10;
/// `AuthenticationOk` and `ReadyForQuery`.
const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// A connection for ordinary SQL; ends when dropped. The library on it never logs in, and knows no
/// password: it would send that in the clear to whoever asks.
pub(crate) struct SqlClient {
    /// Gone when closed.
    client: Option<Client>,
    connection: JoinHandle<()>,
    host: Host,
    answer_time: Duration,
}

impl SqlClient {
    /// Connects to the first host that answers and will do.
    pub(crate) async fn connect(config: &PostgresConfig) -> Result<Self> {
        first_of(config).await
    }

    /// What is asked over this connection, in the time that a server has for an answer.
    pub(crate) async fn in_time<T>(&self, asking: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = tokio::time::timeout(self.answer_time, asking).await;
        answer.unwrap_or_else(|_| Err(unanswered(&self.host, "ordinary SQL", self.answer_time)))
    }

    /// Takes leave, so that the server's log has nothing to say about a lost connection.
    pub(crate) async fn close(mut self) {
        self.client = None;
        let _ = tokio::time::timeout(LEAVE_TIME, &mut self.connection).await;
    }
}

impl Connection for SqlClient {
    async fn connect_to(host: &config::Host, config: &PostgresConfig) -> Result<Self> {
        let session = Session::enter(host, config, ASKING).await?;
        let (wire, arrived, host) = session.into_parts();
        let (near, mut library) = tokio::io::duplex(ON_THE_WAY);
        let broken = |error| Error::bug("the library is not let in").because(error);
        library.write_all(LET_IN).await.map_err(broken)?;
        let mut settings = tokio_postgres::Config::new();
        settings.user(&config.user);
        let (client, connection) = settings
            .connect_raw(near, NoTls)
            .await
            .map_err(|error| sql_error(error, config, "letting the library in"))?;
        let connection = tokio::spawn(async move {
            // Each ends when the other has.
            let _ = tokio::join!(connection, carry(wire, &arrived, library));
        });
        Ok(Self { client: Some(client), connection, host, answer_time: config.answer_time })
    }
}

/// Carries what the library says behind its startup message to the server, and back.
async fn carry(mut wire: Wire, arrived: &BytesMut, mut library: DuplexStream) -> io::Result<()> {
    let mut startup = vec![0; library.read_u32().await?.saturating_sub(4) as usize];
    library.read_exact(&mut startup).await?;
    library.write_all(arrived).await?;
    let (mut asked, mut answered) = (vec![0; ON_THE_WAY], vec![0; ON_THE_WAY]);
    loop {
        match wire.receive(&mut answered) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                library.write_all(&answered[..count]).await?;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        tokio::select! {
            ready = wire.socket().readable() => ready?,
            count = library.read(&mut asked) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                wire.queue(&asked[..count]);
                wire.flush().await?;
            }
        }
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
