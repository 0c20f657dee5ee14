use std::fmt;
use std::str::FromStr;

/// Ordinals from here on belong to events that no row of the log caused: snapshots, sweeps.
pub const SYNTHETIC_ORDINAL: u32 = 0x8000_0000;

/// The order of a key's events: a consumer keeps the greatest and drops the rest.
///
/// Prints as `eeeeeeee.hhhhhhhhhhhhhhhh.llllllll` in lower-case hex, 34 bytes whose byte order is
/// the order of the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Rises whenever log positions start anew and cannot be compared with earlier ones.
    pub epoch: u32,
    /// The transaction's place in the log.
    pub coordinate: u64,
    /// The row's place in its transaction, or [`SYNTHETIC_ORDINAL`] and a counter.
    pub ordinal: u32,
}

impl Version {
    /// The printed form, without an allocation.
    pub fn text(self) -> VersionText {
        let mut parts = [0; 16];
        parts[..4].copy_from_slice(&self.epoch.to_be_bytes());
        parts[4..12].copy_from_slice(&self.coordinate.to_be_bytes());
        parts[12..].copy_from_slice(&self.ordinal.to_be_bytes());
        let mut digits = const_hex::Buffer::<16>::new();
        let digits = digits.format(&parts).as_bytes();
        let mut text = [b'.'; 34];
        text[..8].copy_from_slice(&digits[..8]);
        text[9..25].copy_from_slice(&digits[8..24]);
        text[26..].copy_from_slice(&digits[24..]);
        VersionText(text)
    }
}

/// A version as it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionText([u8; 34]);

impl VersionText {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and dots")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:016x}.{:08x}", self.epoch, self.coordinate, self.ordinal)
    }
}

/// Text that is not a version in its printed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version: eight, sixteen and eight lower-case hex digits with dots between")]
pub struct NotAVersion;

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let lower = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('.');
        let mut next = |len: usize| {
            let part = parts.next().filter(|part| part.len() == len && lower(part));
            part.and_then(|part| u64::from_str_radix(part, 16).ok()).ok_or(NotAVersion)
        };
        let (epoch, coordinate, ordinal) = (next(8)?, next(16)?, next(8)?);
        if parts.next().is_some() {
            return Err(NotAVersion);
        }
        let narrow = |number: u64| u32::try_from(number).map_err(|_| NotAVersion);
        Ok(Self { epoch: narrow(epoch)?, coordinate, ordinal: narrow(ordinal)? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_version_survives_its_printed_form_and_keeps_its_order(
            a in any::<(u32, u64, u32)>(), b in any::<(u32, u64, u32)>(),
        ) {
            let version = |(epoch, coordinate, ordinal)| Version { epoch, coordinate, ordinal };
            let (a, b) = (version(a), version(b));
            prop_assert_eq!(a.to_string().parse::<Version>().unwrap(), a);
            let (text, other) = (a.text(), b.text());
            prop_assert_eq!(&a.to_string(), text.as_str());
            prop_assert_eq!(text.as_str().cmp(other.as_str()), a.cmp(&b));
        }

        #[test]
        fn other_text_is_refused(text in "[0-9a-fA-F.+-]{0,40}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }
}
