use mysql_common::constants::ColumnFlags;

use super::length;

/// A column of a result, as the server describes it before the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    pub(crate) name: String,
    /// Its type in the protocol.
    pub(crate) code: u8,
    /// Of an integer: it has no sign.
    pub(crate) unsigned: bool,
    pub(crate) collation: u16,
    /// Digits of a second.
    pub(crate) decimals: u8,
}

impl ResultColumn {
    /// Reads a column definition; `None` when it is something else.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        // Catalog, database, table and its own name, the column's name and its own.
        const NAMES: usize = 6;
        const NAME: usize = 4;
        let (mut rest, mut name) = (packet, &[][..]);
        for nth in 0..NAMES {
            let (text, behind) = length::prefixed(rest)?;
            rest = behind;
            if nth == NAME {
                name = text;
            }
        }
        let (_fixed_len, rest) = length::number(rest)?;
        let (fixed, _) = rest.split_first_chunk::<10>()?;
        let [low, high, _, _, _, _, code, flags_low, flags_high, decimals] = *fixed;
        let flags = u16::from_le_bytes([flags_low, flags_high]);
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            code,
            unsigned: ColumnFlags::from_bits_truncate(flags).contains(ColumnFlags::UNSIGNED_FLAG),
            collation: u16::from_le_bytes([low, high]),
            decimals,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn definition() -> Vec<u8> {
        let mut bytes = b"\x03def\x04shop\x01t\x05stock\x01q\x08quantity\x0c".to_vec();
        bytes.extend_from_slice(&[63, 0, 20, 0, 0, 0, 8, 0x21, 0, 3, 0, 0]);
        bytes
    }

    #[test]
    fn a_column_is_what_the_server_says() {
        let wanted = ResultColumn {
            name: "q".to_owned(),
            code: 8,
            unsigned: true,
            collation: 63,
            decimals: 3,
        };
        assert_eq!(ResultColumn::read(&definition()).unwrap(), wanted);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_column_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..60), at in 0usize..40,
        ) {
            let _ = ResultColumn::read(&bytes);
            let mut begun = definition();
            begun.truncate(at);
            prop_assert!(ResultColumn::read(&begun).is_none() || at >= definition().len() - 2);
            begun.extend_from_slice(&bytes);
            let _ = ResultColumn::read(&begun);
        }
    }
}
