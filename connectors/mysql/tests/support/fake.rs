//! A server that does what a test wants.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use connector_mysql::MysqlConfig;

const DONE: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];
const DUMP: u8 = 0x12;

pub struct Fake {
    listener: TcpListener,
}

impl Fake {
    pub fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn config(&self, rest: &str) -> MysqlConfig {
        let port = self.listener.local_addr().unwrap().port();
        super::config(&format!("mysql://reader:secret@127.0.0.1:{port}/shop?{rest}"))
    }

    /// Accepts one client and plays with it.
    pub fn accept<T: Send + 'static>(
        self,
        play: impl FnOnce(Client) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        std::thread::spawn(move || play(Client(self.listener.accept().unwrap().0)))
    }

    /// Accepts one client, lets it in, begins a dump and plays on.
    pub fn dump<T: Send + 'static>(
        self,
        play: impl FnOnce(Client) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.accept(move |mut client| {
            client.send(0, &greeting("mysql_native_password"));
            client.hear();
            client.send(2, &DONE);
            while client.hear().first() != Some(&DUMP) {
                client.send(1, &DONE);
            }
            play(client)
        })
    }
}

pub struct Client(pub TcpStream);

impl Client {
    pub fn send(&mut self, number: u8, payload: &[u8]) {
        self.0.write_all(&packet(number, payload)).unwrap();
    }

    /// What the client says next; nothing when it has gone.
    pub fn hear(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        if self.0.read_exact(&mut header).is_err() {
            return Vec::new();
        }
        let [low, middle, high, _] = header;
        let mut payload = vec![0; u32::from_le_bytes([low, middle, high, 0]) as usize];
        self.0.read_exact(&mut payload).unwrap();
        payload
    }
}

pub fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let [low, middle, high, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let mut packet = vec![low, middle, high, number];
    packet.extend_from_slice(payload);
    packet
}

/// What a server without TLS says first.
pub fn greeting(plugin: &str) -> Vec<u8> {
    let without_tls = !0x0800_u32;
    let [low0, low1, high0, high1] = without_tls.to_le_bytes();
    let mut bytes = b"\x0a9.7.0\0\x01\0\0\0ABCDEFGH\0".to_vec();
    bytes.extend_from_slice(&[low0, low1, 45, 2, 0, high0, high1, 21]);
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(b"IJKLMNOPQRST\0");
    bytes.extend_from_slice(plugin.as_bytes());
    bytes.push(0);
    bytes
}
