//! Writes a log as servers do.

use crate::log::Kind;

pub(super) const TIME: u32 = 1_700_000_000;
pub(super) const LONG: u8 = 3;
pub(super) const VARCHAR: u8 = 15;

/// A log file, event behind event, without checksums.
#[derive(Clone)]
pub(super) struct Log {
    events: Vec<Vec<u8>>,
    offset: u32,
}

impl Log {
    pub(super) fn mysql() -> Self {
        Self::new("8.4.2", 42)
    }

    pub(super) fn mariadb() -> Self {
        Self::new("10.11.6-MariaDB-log", 171)
    }

    fn new(version: &str, types: usize) -> Self {
        let mut lengths = vec![0_u8; types];
        let known = [(2, 13), (4, 8), (19, 8), (23, 8), (24, 8), (25, 8), (30, 10), (31, 10)];
        for (kind, len) in known.into_iter().chain([(32, 10)]) {
            lengths[kind - 1] = len;
        }
        let mut name = version.as_bytes().to_vec();
        name.resize(50, 0);
        let mut body = 4_u16.to_le_bytes().to_vec();
        body.extend(name);
        body.extend(TIME.to_le_bytes());
        body.push(19);
        body.extend(lengths);
        // No checksums, and room for the one that is not there.
        body.extend([0, 0, 0, 0, 0]);
        let mut log = Self { events: Vec::new(), offset: 4 };
        log.add(Kind::FORMAT_DESCRIPTION, &body);
        log
    }

    pub(super) fn add(&mut self, kind: Kind, body: &[u8]) -> &mut Self {
        self.offset += 19 + body.len() as u32;
        self.events.push(event(kind, self.offset, body));
        self
    }

    /// An event that the server makes up.
    pub(super) fn made_up(&mut self, kind: Kind, body: &[u8]) -> &mut Self {
        self.events.push(event(kind, 0, body));
        self
    }

    /// A HEARTBEAT that says the server has read up to `place`.
    pub(super) fn beat(&mut self, place: u32) -> &mut Self {
        self.events.push(event(Kind::HEARTBEAT, place, b"binlog.000001"));
        self
    }

    /// Makes the FORMAT_DESCRIPTION one that is sent in the middle of a file.
    pub(super) fn head_again(&mut self) {
        self.events[0][13..17].fill(0);
    }

    pub(super) fn begin(&mut self) -> &mut Self {
        self.query("BEGIN")
    }

    pub(super) fn query(&mut self, text: &str) -> &mut Self {
        self.add(Kind::QUERY, &query(text))
    }

    pub(super) fn xid(&mut self) -> &mut Self {
        self.add(Kind::XID, &9_u64.to_le_bytes())
    }

    pub(super) fn gtid(&mut self, number: u64) -> &mut Self {
        let mut body = vec![1];
        body.extend([0x11; 16]);
        body.extend(number.to_le_bytes());
        body.push(2);
        body.extend(1_u64.to_le_bytes());
        body.extend(2_u64.to_le_bytes());
        body.extend(&1_700_000_000_000_007_u64.to_le_bytes()[..7]);
        self.add(Kind::GTID, &body)
    }

    pub(super) fn mariadb_gtid(&mut self, sequence: u64, flags: u8) -> &mut Self {
        let mut body = sequence.to_le_bytes().to_vec();
        body.extend(0_u32.to_le_bytes());
        body.push(flags);
        body.extend([0; 6]);
        self.add(Kind::MARIADB_GTID, &body)
    }

    pub(super) fn stock(&mut self) -> &mut Self {
        self.add(Kind::TABLE_MAP, &stock())
    }

    pub(super) fn insert(&mut self, rows: &[(i32, Option<&str>)]) -> &mut Self {
        let mut body = rows_head(1);
        for (id, note) in rows {
            body.extend(image(*id, *note));
        }
        self.add(Kind::WRITE_ROWS, &body)
    }

    pub(super) fn of(events: Vec<Vec<u8>>) -> Self {
        Self { events, offset: 0 }
    }

    /// Without the events of the first transactions, which have so many behind the first event.
    pub(super) fn leave_out(&mut self, events: usize) {
        self.events.drain(1..=events);
    }

    pub(super) fn events(&self) -> &[Vec<u8>] {
        &self.events
    }

    /// Where the next event begins.
    pub(super) fn offset(&self) -> u32 {
        self.offset
    }
}

fn event(kind: Kind, next: u32, body: &[u8]) -> Vec<u8> {
    let mut event = TIME.to_le_bytes().to_vec();
    event.push(kind.0);
    event.extend(7_u32.to_le_bytes());
    event.extend((body.len() as u32 + 19).to_le_bytes());
    event.extend(next.to_le_bytes());
    event.extend([0, 0]);
    event.extend(body);
    event
}

/// An event as it stands in a payload.
pub(super) fn inside(kind: Kind, body: &[u8]) -> Vec<u8> {
    event(kind, 0, body)
}

pub(super) fn query(text: &str) -> Vec<u8> {
    let mut body = vec![0; 8];
    body.push(4);
    body.extend([0; 4]);
    body.extend(b"shop\0");
    body.extend(text.as_bytes());
    body
}

/// `shop.stock (id int, note varchar(20))`, as table 7 of a log that names its columns.
pub(super) fn stock() -> Vec<u8> {
    let charset = [2, 1, 45];
    let names = [4, 8, 2, b'i', b'd', 4, b'n', b'o', b't', b'e'];
    table_map("stock", &[&charset[..], &names, &[1, 1, 0], &[8, 1, 0]].concat())
}

pub(super) fn table_map(table: &str, optional: &[u8]) -> Vec<u8> {
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0];
    body.extend(b"\x04shop\0");
    body.push(table.len() as u8);
    body.extend(table.as_bytes());
    body.extend([0, 2, LONG, VARCHAR, 2, 20, 0, 3]);
    body.extend(optional);
    body
}

/// A rows event of table 7 up to its rows, with `maps` bitmaps of all columns.
pub(super) fn rows_head(maps: usize) -> Vec<u8> {
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2];
    body.extend(vec![3; maps]);
    body
}

pub(super) fn image(id: i32, note: Option<&str>) -> Vec<u8> {
    let mut image = vec![if note.is_none() { 2 } else { 0 }];
    image.extend(id.to_le_bytes());
    if let Some(note) = note {
        image.push(note.len() as u8);
        image.extend(note.as_bytes());
    }
    image
}

/// A TRANSACTION_PAYLOAD of these events, not compressed.
pub(super) fn payload(events: &[Vec<u8>]) -> Vec<u8> {
    let bytes = events.concat();
    let len = bytes.len() as u32;
    // The algorithm 255 is none, and does not fit into one byte of a packed number.
    let mut body = vec![2, 3, 0xfc, 255, 0];
    body.extend([1, 4, 0xfd]);
    body.extend(&len.to_le_bytes()[..3]);
    body.push(0);
    body.extend(bytes);
    body
}
