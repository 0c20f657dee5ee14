use std::io;
use std::sync::Arc;

use connector_api::{Error, Result};
use rustls::{ClientConfig, ClientConnection};
use tokio::net::{TcpStream, UnixStream};

use super::tls;
use crate::config::{Host, PostgresConfig};
use crate::socket::Socket;

/// Bytes in both directions over a socket, in the clear or under TLS. One read path for all: TLS
/// is driven by hand over [`Socket::receive`], because readiness does not tell the whole truth.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    /// To be sent, before encryption.
    outgoing: Vec<u8>,
}

impl Wire {
    /// Connects to one host.
    pub(crate) async fn connect(host: &Host, config: &PostgresConfig) -> Result<Self> {
        let connecting = async {
            Ok::<_, io::Error>(match host {
                Host::Tcp(name, port) => {
                    let stream = TcpStream::connect((name.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    let keepalive =
                        socket2::TcpKeepalive::new().with_time(std::time::Duration::from_secs(30));
                    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                    Socket::Tcp(stream)
                }
                Host::Unix(folder, port) => {
                    let path = folder.join(format!(".s.PGSQL.{port}"));
                    Socket::Unix(UnixStream::connect(path).await?)
                }
            })
        };
        let socket = match tokio::time::timeout(config.connect_timeout, connecting).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                return Err(Error::transient(format!("{host} cannot be reached: {error}")));
            }
            Err(_) => {
                let seconds = config.connect_timeout.as_secs();
                return Err(Error::transient(format!("{host} did not answer in {seconds} s")));
            }
        };
        Ok(Self { socket, tls: None, outgoing: Vec::new() })
    }

    /// Puts TLS under what follows.
    pub(crate) async fn begin_tls(
        &mut self,
        config: &Arc<ClientConfig>,
        host: &Host,
    ) -> Result<()> {
        let name = match host {
            Host::Tcp(name, _) => tls::server_name(name)?,
            Host::Unix(..) => tls::server_name("localhost")?,
        };
        let connection = ClientConnection::new(Arc::clone(config), name)
            .map_err(|error| Error::bug("TLS cannot begin").because(error))?;
        self.tls = Some(Box::new(connection));
        let failed = |error: &io::Error| tls::handshake_error(error, &host.to_string());
        loop {
            self.flush().await.map_err(|error| failed(&error))?;
            let connection = self.tls.as_deref().expect("set above");
            if !connection.is_handshaking() {
                return Ok(());
            }
            self.socket.readable().await.map_err(|error| failed(&error))?;
            match self.receive(&mut []) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    // The alert that says why is worth sending.
                    let _ = self.flush().await;
                    return Err(failed(&error));
                }
            }
        }
    }

    /// What SCRAM binds to, under TLS.
    pub(crate) fn server_end_point(&self) -> Option<Vec<u8>> {
        let certificates = self.tls.as_ref()?.peer_certificates()?;
        tls::server_end_point(certificates.first()?)
    }

    pub(crate) fn is_private(&self) -> bool {
        self.tls.is_some() || matches!(self.socket, Socket::Unix(_))
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Takes what has arrived; 0 is the end of the stream. `WouldBlock` when there is nothing.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.receive(into) };
        loop {
            if !into.is_empty() {
                match io::Read::read(&mut tls.reader(), into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => return other,
                }
            }
            let mut source = Source(&self.socket);
            if tls.read_tls(&mut source)? == 0 {
                return if into.is_empty() {
                    Err(io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(0)
                };
            }
            tls.process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if into.is_empty() {
                return Ok(0);
            }
        }
    }

    /// Puts bytes on their way; [`Self::flush`] or [`Self::try_flush`] sends them.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => {
                let written = io::Write::write_all(&mut tls.writer(), bytes);
                written.expect("the buffer of rustls has no limit");
            }
            None => self.outgoing.extend_from_slice(bytes),
        }
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends what fits now.
    pub(crate) fn try_flush(&mut self) -> io::Result<()> {
        while self.has_outgoing() {
            if let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
                tls.write_tls(&mut Drain(&self.socket))?;
                continue;
            }
            let sent = self.socket.send(&self.outgoing)?;
            self.outgoing.drain(..sent);
        }
        Ok(())
    }

    /// Sends everything.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
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

struct Source<'a>(&'a Socket);

impl io::Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.receive(into)
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
