use mysql_common::constants::CapabilityFlags;

use crate::log::Flavor;

/// The one version of the protocol there is.
const PROTOCOL: u8 = 10;
/// The first bytes of the nonce; the rest stands further behind.
const NONCE_HEAD: usize = 8;
/// Bytes of the nonce that count.
const NONCE: usize = 20;
/// MariaDB before 11 says it is this, for the sake of old replicas.
const DISGUISE: &str = "5.5.5-";

/// What a server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    /// `9.7.0`, `10.11.6-MariaDB-log`.
    pub(super) version: String,
    pub(super) flavor: Flavor,
    pub(super) capabilities: CapabilityFlags,
    /// What a proof of the password is made for.
    pub(super) nonce: Vec<u8>,
    /// How the server would like to be convinced.
    pub(super) plugin: String,
}

impl Greeting {
    /// Reads protocol version 10. `None` when it is something else.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let (&protocol, rest) = packet.split_first()?;
        if protocol != PROTOCOL {
            return None;
        }
        let (version, rest) = text(rest)?;
        let version = version.strip_prefix(DISGUISE).unwrap_or(&version).to_owned();
        let (_connection, rest) = rest.split_first_chunk::<4>()?;
        let (head, rest) = rest.split_first_chunk::<NONCE_HEAD>()?;
        let (fixed, rest) = rest.split_first_chunk::<19>()?;
        let [_, low0, low1, _collation, _, _, high0, high1, nonce_len, ..] = *fixed;
        let bits = u32::from_le_bytes([low0, low1, high0, high1]);
        let capabilities = CapabilityFlags::from_bits_truncate(bits);
        let tail_len = usize::from(nonce_len).saturating_sub(NONCE_HEAD).max(13);
        let (tail, rest) = rest.split_at_checked(tail_len).unwrap_or((rest, &[]));
        let mut nonce = head.to_vec();
        nonce.extend_from_slice(tail);
        nonce.resize(NONCE, 0);
        // Some versions leave out the zero behind it.
        let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        // What is the bit of a long password to MySQL says to MariaDB that it is MySQL.
        let is_mariadb = version.contains("MariaDB")
            || !capabilities.contains(CapabilityFlags::CLIENT_LONG_PASSWORD);
        Some(Self {
            version,
            flavor: if is_mariadb { Flavor::MariaDb } else { Flavor::MySql },
            capabilities,
            nonce,
            plugin: String::from_utf8_lossy(name).into_owned(),
        })
    }
}

/// Text up to a zero, and what is behind it.
pub(super) fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn greeting(version: &str, capabilities: u32, plugin: &str) -> Vec<u8> {
        let mut bytes = vec![PROTOCOL];
        bytes.extend_from_slice(version.as_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0]);
        bytes.extend_from_slice(b"12345678\0");
        let [low0, low1, high0, high1] = capabilities.to_le_bytes();
        bytes.extend_from_slice(&[low0, low1, 255, 2, 0, high0, high1, 21]);
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(b"abcdefghijkl\0");
        bytes.extend_from_slice(plugin.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_server_says_what_it_is() {
        let mysql = Greeting::read(&greeting("9.7.0", u32::MAX, "caching_sha2_password")).unwrap();
        assert_eq!((mysql.version.as_str(), mysql.flavor), ("9.7.0", Flavor::MySql));
        assert_eq!(mysql.plugin, "caching_sha2_password");
        assert_eq!(mysql.nonce, b"12345678abcdefghijkl");
        let mariadb = greeting("5.5.5-10.11.6-MariaDB-log", u32::MAX, "mysql_native_password");
        let mariadb = Greeting::read(&mariadb).unwrap();
        assert_eq!(mariadb.version, "10.11.6-MariaDB-log");
        assert_eq!(mariadb.flavor, Flavor::MariaDb);
        // One that was built under another name.
        let renamed = Greeting::read(&greeting("11.8.1", u32::MAX - 1, "")).unwrap();
        assert_eq!(renamed.flavor, Flavor::MariaDb);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_greeting_or_none(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Greeting::read(&bytes);
            let mut begun = greeting("8.0.36", u32::MAX, "x");
            begun.truncate(bytes.len());
            let _ = Greeting::read(&begun);
        }
    }
}
