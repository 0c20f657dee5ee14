use connector_api::Result;

use super::cursor::Cursor;
use super::frame::{CHECKSUM_BYTES, checksum_of, stored_checksum};
use super::header::{HEADER_BYTES, Header};
use super::kind::Kind;

const SERVER_VERSION_BYTES: usize = 50;
/// Event types that servers without checksums know of, at most.
const TYPES_BEFORE_CHECKSUMS: usize = 27;
/// Only MariaDB counts this far: its own events begin at 160.
const TYPES_OF_MARIADB: usize = 160;
const MYSQL_CHECKSUMS_SINCE: [u32; 3] = [5, 6, 1];
const MARIADB_CHECKSUMS_SINCE: [u32; 3] = [5, 3, 0];
const CHECKSUM_NONE: u8 = 0;
const CHECKSUM_CRC32: u8 = 1;

/// The fixed parts of events as every server since MySQL 5.1 writes them, in bytes.
const FIXED_PARTS: [(Kind, u8); 10] = [
    (Kind::QUERY, 13),
    (Kind::ROTATE, 8),
    (Kind::TABLE_MAP, 8),
    (Kind::WRITE_ROWS_V1, 8),
    (Kind::UPDATE_ROWS_V1, 8),
    (Kind::DELETE_ROWS_V1, 8),
    (Kind::WRITE_ROWS, 10),
    (Kind::UPDATE_ROWS, 10),
    (Kind::DELETE_ROWS, 10),
    (Kind::PARTIAL_UPDATE_ROWS, 10),
];

/// The family of the server that wrote a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// MySQL and what is built from it: Percona, Aurora.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// What the FORMAT_DESCRIPTION event at the head of a log says of the events behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The server's version as it prints it: `8.0.28`, `10.11.6-MariaDB-log`.
    pub server_version: String,
    /// The server's family.
    pub flavor: Flavor,
    /// When the log was created, in seconds since 1970. 0 when the server sends the event again
    /// for a stream that begins in the middle of a file.
    pub created: u32,
    /// Whether every event ends with a CRC32 of itself.
    pub has_checksums: bool,
    /// The file was still written to, or its server died.
    pub in_use: bool,
}

impl Format {
    /// Reads a whole FORMAT_DESCRIPTION event, header and checksum included.
    ///
    /// # Errors
    /// A checksum that is not the event's, and a format of before MySQL 5.1 or of after what we
    /// know.
    pub fn read(event: &[u8]) -> Result<Self> {
        let header = Header::read(event)?;
        let mut cursor = Cursor::new(&event[HEADER_BYTES..], header.subject());
        let version = cursor.u16()?;
        if version != 4 {
            return Err(cursor.wrong(&format!("binlog version {version}, and only 4 is known")));
        }
        let server_version = printed(cursor.bytes(SERVER_VERSION_BYTES)?);
        let created = cursor.u32()?;
        let header_bytes = cursor.u8()?;
        if usize::from(header_bytes) != HEADER_BYTES {
            return Err(cursor.wrong(&format!("headers of {header_bytes} bytes instead of 19")));
        }
        let rest = cursor.rest();
        let tail = CHECKSUM_BYTES + 1;
        let checked = rest.len().checked_sub(tail).map(|len| rest.split_at(len));
        let (flavor, aware) = family(&server_version, checked.map_or(0, |(types, _)| types.len()));
        let (types, has_checksums) = match checked {
            Some((types, tail)) if aware => (types, read_algorithm(event, tail[0], &cursor)?),
            _ => (rest, false),
        };
        if !aware && types.len() > TYPES_BEFORE_CHECKSUMS {
            return Err(cursor.wrong(&format!(
                "{} event types, more than the server version \"{server_version}\" knows",
                types.len()
            )));
        }
        check_fixed_parts(types, &cursor)?;
        let in_use = header.is_in_use();
        Ok(Self { server_version, flavor, created, has_checksums, in_use })
    }
}

/// The text before the first zero byte. A version is ASCII; anything else only has to be printable.
fn printed(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// The family of a server, and whether it knows of checksums. MariaDB can be told to print another
/// version than its own, so the events it knows count for more than what it calls itself.
fn family(server_version: &str, types: usize) -> (Flavor, bool) {
    if types >= TYPES_OF_MARIADB {
        return (Flavor::MariaDb, true);
    }
    let is_mariadb = server_version.to_ascii_lowercase().contains("mariadb");
    let numbers = server_version.strip_prefix("5.5.5-").filter(|_| is_mariadb);
    let numbers = numbers_of(numbers.unwrap_or(server_version));
    if is_mariadb {
        return (Flavor::MariaDb, numbers >= MARIADB_CHECKSUMS_SINCE);
    }
    (Flavor::MySql, numbers >= MYSQL_CHECKSUMS_SINCE)
}

fn numbers_of(version: &str) -> [u32; 3] {
    let mut parts = version.splitn(3, '.').map(|part| {
        let end = part.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().unwrap_or(0)
    });
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// Whether the log has checksums. This event ends with one in either case; a server that has
/// switched them off may have changed the event behind its back, so then it is not held to it.
fn read_algorithm(event: &[u8], algorithm: u8, cursor: &Cursor<'_>) -> Result<bool> {
    let stored = stored_checksum(event);
    match algorithm {
        CHECKSUM_CRC32 if checksum_of(event) == stored => Ok(true),
        CHECKSUM_CRC32 => Err(cursor.wrong("a CRC32 that is not the one of its bytes")),
        CHECKSUM_NONE => {
            let mut otherwise = event.to_vec();
            let at = event.len() - CHECKSUM_BYTES - 1;
            otherwise[at] = CHECKSUM_CRC32;
            if checksum_of(&otherwise) == stored {
                return Err(cursor.wrong("no checksums announced, against its own CRC32"));
            }
            Ok(false)
        }
        other => Err(cursor.wrong(&format!("the unknown checksum algorithm {other}"))),
    }
}

fn check_fixed_parts(types: &[u8], cursor: &Cursor<'_>) -> Result<()> {
    if types.len() < usize::from(Kind::DELETE_ROWS_V1.0) {
        return Err(cursor.wrong(&format!(
            "{} event types: servers before MySQL 5.1 have no row changes in their logs",
            types.len()
        )));
    }
    for (kind, wanted) in FIXED_PARTS {
        // Types are counted from 1.
        let found = types.get(usize::from(kind.0) - 1).copied().unwrap_or(0);
        if found != wanted && found != 0 {
            return Err(cursor.wrong(&format!(
                "{found} bytes for the fixed part of a {kind}, where {wanted} are known"
            )));
        }
    }
    Ok(())
}
