//! A connected socket, and how much must arrive before it wakes us.
//!
//! A server sends each message of its log with a system call of its own. A reader that is as fast
//! as the server is woken for each of them and slows it down; with `SO_RCVLOWAT` the kernel wakes
//! it once for 64 KiB (measured on PostgreSQL with 1-row transactions: 1.3 times the throughput
//! with an eighth of the CPU). Data below the mark is invisible to readiness, also to tokio's
//! `try_read`, which asks nobody while epoll is silent; so a tick has to ask the kernel itself.
#![allow(unsafe_code, reason = "no well-kept crate sets SO_RCVLOWAT")]

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// A connected socket of either family.
#[derive(Debug)]
pub enum Socket {
    /// Over a network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

impl Socket {
    /// How many bytes must be there before the socket counts as readable.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_low_water_mark(&self, bytes: usize) -> io::Result<()> {
        let fd = match self {
            Socket::Tcp(stream) => stream.as_raw_fd(),
            Socket::Unix(stream) => stream.as_raw_fd(),
        };
        let mark = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        let len = libc::socklen_t::try_from(size_of_val(&mark)).expect("four bytes");
        // SAFETY: `fd` is open for as long as `self` is borrowed, and the pointer is to a live
        // integer of the length given.
        let outcome = unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw const mark).cast(), len)
        };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// How many bytes have arrived and are not taken.
    ///
    /// # Errors
    /// The connection broke.
    pub fn waiting_bytes(&self) -> io::Result<usize> {
        let bytes = match self {
            Socket::Tcp(stream) => rustix::io::ioctl_fionread(stream),
            Socket::Unix(stream) => rustix::io::ioctl_fionread(stream),
        };
        Ok(usize::try_from(bytes?).unwrap_or(usize::MAX))
    }

    /// Waits until the mark is reached, or the stream has ended. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }

    /// Waits until something can be sent. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.writable().await,
            Socket::Unix(stream) => stream.writable().await,
        }
    }

    /// Takes what is there, below the mark too.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; the connection broke.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => {
                let ask = |read: &mut dyn FnMut() -> io::Result<()>| {
                    stream.try_io(Interest::READABLE, read)
                };
                drain(ask, socket2::SockRef::from(stream), into)
            }
            Socket::Unix(stream) => {
                let ask = |read: &mut dyn FnMut() -> io::Result<()>| {
                    stream.try_io(Interest::READABLE, read)
                };
                drain(ask, socket2::SockRef::from(stream), into)
            }
        }
    }

    /// Sends what fits.
    ///
    /// # Errors
    /// `WouldBlock` when nothing does; the connection broke.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write(bytes),
            Socket::Unix(stream) => stream.try_write(bytes),
        }
    }
}

/// Reads while telling tokio what it cannot see: a read that did not fill `into` has emptied the
/// socket, so readiness is over until the mark is reached again. Otherwise [`Socket::readable`]
/// would return at once after every read, for the few bytes of one message each time. Both happen
/// inside of one `ask`, or news that arrive between them would be forgotten.
fn drain(
    ask: impl FnOnce(&mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
    socket: socket2::SockRef<'_>,
    into: &mut [u8],
) -> io::Result<usize> {
    let mut received = None;
    let asked = ask(&mut || {
        let count = io::Read::read(&mut &*socket, into)?;
        received = Some(count);
        let emptied = count > 0 && count < into.len();
        if emptied { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match (received, asked) {
        (Some(count), _) => Ok(count),
        // Either nothing is there, or readiness hides it: only the kernel knows.
        (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
            io::Read::read(&mut &*socket, into)
        }
        (None, asked) => asked.map(|()| 0),
    }
}
