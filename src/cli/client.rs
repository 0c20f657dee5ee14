use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Exit, Failure};
use crate::config::Config;

/// How long a running process may take to answer. It waits for a source itself, but not as long.
const PATIENCE: Duration = Duration::from_secs(15);

/// The way to the running process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
}

/// What it says.
#[derive(Debug)]
pub(super) struct Answer {
    /// `200`.
    pub(super) status: u16,
    pub(super) body: String,
}

impl Client {
    /// A client of the process that runs with this configuration, whether it does or not.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        let Some(address) = config.http else {
            let what = "the running process cannot be asked: its HTTP server is turned off";
            let fix = "give it an address: [http] listen = \"127.0.0.1:8642\"";
            return Err(Failure::new(Exit::Failed, what, fix));
        };
        Ok(Self { address: reachable(address) })
    }

    /// Asks for what can be read.
    pub(super) fn get(self, path: &str) -> std::io::Result<Answer> {
        self.send(&format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address))
    }

    /// Asks for something to be done; `body` is JSON.
    pub(super) fn post(self, path: &str, body: &str) -> std::io::Result<Answer> {
        let (host, length) = (self.address, body.len());
        self.send(&format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// HTTP/1.0: the answer ends with its connection.
    fn send(self, request: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let first = head.lines().next().unwrap_or("");
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let strange = || std::io::Error::other(format!("it says {first:?}"));
        Ok(Answer { status: status.ok_or_else(strange)?, body: body.to_owned() })
    }
}

/// Where a listener on `address` is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
