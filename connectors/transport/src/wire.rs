use std::io;
use std::sync::Arc;
use std::time::Duration;

use connector_api::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection};
use tokio::net::{TcpStream, UnixStream};

use crate::connections::Place;
use crate::host::Host;
use crate::socket::Socket;
use crate::tls::{self, Words};

/// Bytes taken from the socket at a time under TLS: four of its largest records.
const CIPHERTEXT_BYTES: usize = 64 << 10;

/// A silent peer is asked for a sign of life after this long.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// Time between such questions; three without an answer end the connection.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
/// Time for what was sent to arrive, else the connection ends.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);
/// How long an address may be silent while there are others of its host.
const SILENT: Duration = Duration::from_secs(3);

/// Bytes in both directions over a socket, in the clear or under TLS. One read path for all: TLS
/// is driven by hand over [`Socket::receive`], because readiness does not tell the whole truth.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    tls: Option<Box<Tls>>,
    /// To be sent, before encryption.
    outgoing: Vec<u8>,
    /// Kept as long as the connection.
    place: Option<Place>,
}

/// The library takes at most 4 KiB from a socket at a time; the buffer before it takes what is
/// there.
#[derive(Debug)]
struct Tls {
    connection: ClientConnection,
    /// Encrypted bytes that have arrived, from `start` to `end`.
    arrived: Box<[u8]>,
    start: usize,
    end: usize,
    /// Decrypted bytes that nobody has taken yet.
    plain: usize,
    /// Came behind bytes that had to be handed out first.
    failed: Option<io::Error>,
}

/// Connects to the first address of a host that answers.
async fn reach(name: &str, port: u16) -> io::Result<TcpStream> {
    let mut addresses = tokio::net::lookup_host((name, port)).await?.peekable();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(address) = addresses.next() {
        let connecting = TcpStream::connect(address);
        let reached = match addresses.peek() {
            Some(_) => tokio::time::timeout(SILENT, connecting).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the host does not answer"))
            }),
            None => connecting.await,
        };
        match reached {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Wire {
    /// Connects to one host.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn connect(host: &Host) -> io::Result<Self> {
        let socket = match host {
            Host::Tcp(name, port) => {
                let stream = reach(name, *port).await?;
                stream.set_nodelay(true)?;
                let keepalive = socket2::TcpKeepalive::new()
                    .with_time(KEEPALIVE_AFTER)
                    .with_interval(KEEPALIVE_EVERY)
                    .with_retries(3);
                let options = socket2::SockRef::from(&stream);
                options.set_tcp_keepalive(&keepalive)?;
                // Keepalives are not sent while our own bytes are on their way.
                options.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
                Socket::Tcp(stream)
            }
            Host::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        };
        Ok(Self { socket, tls: None, outgoing: Vec::new(), place: None })
    }

    /// Takes the place that the connection has among those of its source.
    pub fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Puts TLS under what follows.
    ///
    /// # Errors
    /// The two ends do not agree, told in the `words` of the server's family.
    pub async fn begin_tls(
        &mut self,
        config: &Arc<ClientConfig>,
        host: &Host,
        words: &Words,
    ) -> Result<()> {
        let name = match host {
            Host::Tcp(name, _) => tls::server_name(name)?,
            Host::Unix(..) => tls::server_name("localhost")?,
        };
        let mut connection = ClientConnection::new(Arc::clone(config), name)
            .map_err(|error| Error::bug("TLS cannot begin").because(error))?;
        connection.set_buffer_limit(None);
        let arrived = vec![0; CIPHERTEXT_BYTES].into_boxed_slice();
        let tls = Tls { connection, arrived, start: 0, end: 0, plain: 0, failed: None };
        self.tls = Some(Box::new(tls));
        match self.shake_hands().await {
            Ok(()) => Ok(()),
            Err(error) => {
                // The alert that says why is worth sending.
                let _ = self.try_flush();
                Err(tls::handshake_error(&error, host, words))
            }
        }
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            self.flush().await?;
            let tls = self.tls.as_deref_mut().expect("TLS has begun");
            if !tls.connection.is_handshaking() {
                return Ok(());
            }
            match tls.take_in(&self.socket) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.readable().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The server's own certificate, under TLS.
    pub fn server_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.tls.as_ref()?.connection.peer_certificates()?.first()
    }

    /// Whether nobody between the two ends can read along.
    pub fn is_private(&self) -> bool {
        self.tls.is_some() || matches!(self.socket, Socket::Unix(_))
    }

    /// What it runs over.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether bytes have left the socket that [`Self::receive`] has not handed out. The socket's
    /// readiness knows nothing of them.
    pub fn holds_data(&self) -> bool {
        let held = |tls: &Tls| tls.plain > 0 || tls.start < tls.end || tls.failed.is_some();
        self.tls.as_deref().is_some_and(held)
    }

    /// Takes what has arrived, as far as it fits; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; the connection broke.
    pub fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.receive(into),
            Some(tls) => tls.receive(&self.socket, into),
        }
    }

    /// Puts bytes on their way; [`Self::flush`] or [`Self::try_flush`] sends them.
    pub fn queue(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => {
                let written = io::Write::write_all(&mut tls.connection.writer(), bytes);
                written.expect("the buffer was made without a limit");
            }
            None => self.outgoing.extend_from_slice(bytes),
        }
    }

    /// Whether something waits to be sent.
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// Sends what fits now.
    ///
    /// # Errors
    /// `WouldBlock` when something is left; the connection broke.
    pub fn try_flush(&mut self) -> io::Result<()> {
        while self.has_outgoing() {
            let sent = match &mut self.tls {
                Some(tls) => tls.connection.write_tls(&mut Drain(&self.socket))?,
                None => {
                    let sent = self.socket.send(&self.outgoing)?;
                    self.outgoing.drain(..sent);
                    sent
                }
            };
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Sends everything.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn flush(&mut self) -> io::Result<()> {
        loop {
            match self.try_flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.writable().await?;
                }
                other => return other,
            }
        }
    }
}

impl Tls {
    /// Moves encrypted bytes from the socket into the connection; 0 is the end of the stream.
    fn take_in(&mut self, socket: &Socket) -> io::Result<usize> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.end = socket.receive(&mut self.arrived)?;
        }
        let mut rest = &self.arrived[self.start..self.end];
        let taken = self.connection.read_tls(&mut rest)?;
        self.start += taken;
        let state = self.connection.process_new_packets();
        let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.plain = state.plaintext_bytes_to_read();
        Ok(taken)
    }

    fn receive(&mut self, socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut received = 0;
        while received < into.len() {
            match io::Read::read(&mut self.connection.reader(), &mut into[received..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return Ok(received),
                Ok(count) => {
                    received += count;
                    self.plain = self.plain.saturating_sub(count);
                    continue;
                }
                Err(error) => return Err(error),
            }
            // Only what needs no further question to the kernel goes with it.
            if received > 0 && self.start == self.end {
                break;
            }
            match self.take_in(socket) {
                Ok(0) => return Ok(received),
                Err(error) if received == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    return Ok(received);
                }
                Ok(_) => {}
            }
        }
        Ok(received)
    }
}

struct Drain<'a>(&'a Socket);

impl io::Write for Drain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
