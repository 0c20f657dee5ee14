//! A server that lets everybody in and then does what a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use connector_postgres::{PostgresConfig, Slot};

pub struct Fake {
    listener: TcpListener,
}

impl Fake {
    pub fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn url(&self, rest: &str) -> String {
        let port = self.listener.local_addr().unwrap().port();
        format!("postgresql://reader@127.0.0.1:{port}/shop?{rest}")
    }

    pub fn config(&self) -> PostgresConfig {
        let mut config = super::config(&self.url("sslmode=disable"));
        config.slot = Slot::Named("acme".to_owned());
        config
    }

    /// Accepts one client and plays with it.
    pub fn accept<T: Send + 'static>(
        self,
        play: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        std::thread::spawn(move || play(self.listener.accept().unwrap().0))
    }

    /// Asks the first client for its password in the clear; what it answers, if it does.
    pub fn ask_for_the_password(self) -> JoinHandle<Option<(u8, Vec<u8>)>> {
        self.accept(|mut client| {
            read_startup(&mut client);
            client.write_all(&frame(b'R', &3_u32.to_be_bytes())).unwrap();
            read_frame(&mut client).ok()
        })
    }

    /// Lets the first client in and never says a word again; ends when the client has gone.
    pub fn fall_silent(self) -> JoinHandle<()> {
        self.accept(|mut client| {
            read_startup(&mut client);
            client.write_all(&frame(b'R', &0_u32.to_be_bytes())).unwrap();
            client.write_all(&frame(b'Z', b"I")).unwrap();
            while read_frame(&mut client).is_ok() {}
        })
    }

    /// Accepts one client, lets it in, begins to stream and plays on.
    pub fn stream<T: Send + 'static>(
        self,
        play: impl FnOnce(Streaming) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.accept(move |mut client| {
            read_startup(&mut client);
            client.write_all(&frame(b'R', &0_u32.to_be_bytes())).unwrap();
            client.write_all(&frame(b'Z', b"I")).unwrap();
            loop {
                let (kind, sql) = read_frame(&mut client).unwrap();
                assert_eq!(kind, b'Q');
                if sql.starts_with(b"START_REPLICATION") {
                    break;
                }
                // The system's number and its timeline; where the slot stands.
                let identify = sql.starts_with(b"IDENTIFY_SYSTEM");
                let row: &[&[u8]] = if identify { &[b"1", b"1"] } else { &[b"0/0"] };
                client.write_all(&data_row(row)).unwrap();
                client.write_all(&frame(b'Z', b"I")).unwrap();
            }
            client.write_all(&frame(b'W', &[0, 0, 0])).unwrap();
            play(Streaming(client))
        })
    }
}

/// A client that believes to be streaming.
pub struct Streaming(pub TcpStream);

/// A standby status update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub confirmed: u64,
    pub reply_now: bool,
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Status(Status),
    Done,
    Terminate,
    /// It closed the connection.
    Nothing,
}

impl Streaming {
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub fn hear(&mut self) -> Said {
        let Ok((kind, body)) = read_frame(&mut self.0) else { return Said::Nothing };
        match kind {
            b'd' => {
                assert_eq!((body[0], body.len()), (b'r', 34));
                let place = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
                let confirmed = place(1);
                assert_eq!((place(9), place(17)), (confirmed, confirmed));
                Said::Status(Status { confirmed, reply_now: body[33] == 1 })
            }
            b'c' => Said::Done,
            b'X' => Said::Terminate,
            other => panic!("0x{other:02x} from a client that streams"),
        }
    }

    /// The next status.
    pub fn status(&mut self) -> Status {
        match self.hear() {
            Said::Status(status) => status,
            other => panic!("{other:?} instead of a status"),
        }
    }
}

pub fn read_startup(client: &mut impl Read) {
    let mut len = [0; 4];
    client.read_exact(&mut len).unwrap();
    let mut startup = vec![0; u32::from_be_bytes(len) as usize - 4];
    client.read_exact(&mut startup).unwrap();
}

pub fn read_frame(client: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 5];
    client.read_exact(&mut header)?;
    let [kind, len @ ..] = header;
    let mut body = vec![0; u32::from_be_bytes(len) as usize - 4];
    client.read_exact(&mut body)?;
    Ok((kind, body))
}

pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

fn data_row(values: &[&[u8]]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value);
    }
    frame(b'D', &body)
}

/// A piece of the log.
pub fn log(message: &[u8]) -> Vec<u8> {
    let mut body = vec![b'w'];
    body.extend_from_slice(&[0; 24]);
    body.extend_from_slice(message);
    frame(b'd', &body)
}

pub fn keepalive(end: u64, reply_now: bool) -> Vec<u8> {
    let mut body = vec![b'k'];
    body.extend_from_slice(&end.to_be_bytes());
    body.extend_from_slice(&[0; 8]);
    body.push(u8::from(reply_now));
    frame(b'd', &body)
}

pub fn begin(commit: u64, xid: u32) -> Vec<u8> {
    let mut message = vec![b'B'];
    message.extend_from_slice(&commit.to_be_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&xid.to_be_bytes());
    log(&message)
}

pub fn commit(commit: u64, end: u64) -> Vec<u8> {
    let mut message = vec![b'C', 0];
    message.extend_from_slice(&commit.to_be_bytes());
    message.extend_from_slice(&end.to_be_bytes());
    message.extend_from_slice(&[0; 8]);
    log(&message)
}
