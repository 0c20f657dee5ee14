use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

const DONE: [u8; 7] = [0, 0, 0, 2, 0, 0, 0];
const END_OF_PART: [u8; 5] = [0xfe, 0, 0, 2, 0];

/// A server that plays the same with everybody who comes.
pub(super) struct Fake {
    port: u16,
}

pub(super) struct Client(TcpStream);

impl Fake {
    pub(super) fn start(play: fn(&mut Client)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut client = Client(stream);
                    play(&mut client);
                    drop(client.0.shutdown(Shutdown::Both));
                });
            }
        });
        Self { port }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self, user: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/shop?ssl-mode=disabled", self.port)
    }
}

impl Client {
    pub(super) fn says(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes));
    }

    fn sends(&mut self, number: u8, payload: &[u8]) {
        let [low, middle, high, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
        self.says(&[&[low, middle, high, number], payload].concat());
    }

    /// What the client says next; nothing when it has gone.
    fn hears(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).ok()?;
        let [low, middle, high, _] = header;
        let mut payload = vec![0; u32::from_le_bytes([low, middle, high, 0]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(payload)
    }

    /// Rows of text.
    fn answers<const N: usize>(&mut self, rows: &[[&str; N]]) {
        let mut number = 0;
        let mut next = |client: &mut Self, payload: &[u8]| {
            number += 1;
            client.sends(number, payload);
        };
        next(self, &[u8::try_from(N).unwrap()]);
        for _ in 0..N {
            let names = [text("def"), text(""), text(""), text(""), text("c"), text("c")].concat();
            // utf8mb4, 1,024 bytes, VAR_STRING.
            let rest = [12, 45, 0, 0, 4, 0, 0, 253, 0, 0, 0, 0, 0];
            next(self, &[&names[..], &rest].concat());
        }
        next(self, &END_OF_PART);
        for row in rows {
            let cells: Vec<Vec<u8>> = row.iter().map(|cell| text(cell)).collect();
            next(self, &cells.concat());
        }
        next(self, &END_OF_PART);
    }
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// What a server without TLS says first.
fn greeting(version: &str) -> Vec<u8> {
    // Neither TLS nor the shorter ends of results.
    let [low0, low1, high0, high1] = (!0x0100_0800_u32).to_le_bytes();
    let mut bytes = [b"\x0a", version.as_bytes(), b"\0\x01\0\0\0ABCDEFGH\0"].concat();
    bytes.extend_from_slice(&[low0, low1, 45, 2, 0, high0, high1, 21]);
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(b"IJKLMNOPQRST\0mysql_native_password\0");
    bytes
}

/// Wants a ticket of Kerberos.
pub(super) fn other_plugin(client: &mut Client, version: &str) {
    client.sends(0, &greeting(version));
    client.hears();
    client.sends(2, b"\xfeauth_gssapi_client\0mysql/shop.example@EXAMPLE\0");
    client.hears();
}

/// Lets everybody in, and is too old.
pub(super) fn old_server(client: &mut Client, version: &str) {
    client.sends(0, &greeting(version));
    client.hears();
    client.sends(2, &DONE);
    let version = version.trim_start_matches("5.5.5-");
    while let Some(command) = client.hears() {
        let said = String::from_utf8_lossy(&command).into_owned();
        if said.contains("SELECT VERSION()") {
            client.answers(&[[version]]);
        } else if said.contains("SHOW GLOBAL VARIABLES") {
            let mut settings = vec![["version", version], ["log_bin", "ON"], ["server_id", "1"]];
            settings.push(["server_uuid", "6ad4b2ba-e5cf-11f1-8f0a-02fc00000001"]);
            if version.contains("MariaDB") {
                settings.push(["gtid_domain_id", "0"]);
            }
            client.answers(&settings);
        } else if command.first() == Some(&1) {
            return;
        } else {
            client.sends(1, &DONE);
        }
    }
}
