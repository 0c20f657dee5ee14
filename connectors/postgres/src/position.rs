use std::fmt;
use std::str::FromStr;

use connector_api::{Error, Lineage, Position, Result};

/// A place in the write-ahead log of one lineage, where it has an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position that stands for it.
    pub fn to_position(self) -> Position {
        Position::new(self.to_string())
    }

    /// The place a position stands for.
    pub fn from_position(position: &Position) -> Result<Self> {
        let not_ours = |_| Error::definite(format!("{position} is not a PostgreSQL log position"));
        position.as_str().parse().map_err(not_ours)
    }
}

/// As the server prints it: two hex numbers without leading zeros, `16/B374D848`.
impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// Text that is not a log position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log position: two hex numbers with a slash between")]
pub struct NotAnLsn;

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let (high, low) = text.split_once('/').ok_or(NotAnLsn)?;
        let hex = |part: &str| {
            let digits =
                (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits.then(|| u64::from_str_radix(part, 16).ok()).flatten().ok_or(NotAnLsn)
        };
        Ok(Self(hex(high)? << 32 | hex(low)?))
    }
}

/// Which log a position belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogIdentity {
    /// The cluster's own number, as IDENTIFY_SYSTEM prints it.
    pub system_id: String,
    /// Rises with every promotion.
    pub timeline: u32,
    /// The replication slot that keeps the log for us.
    pub slot: String,
}

impl LogIdentity {
    /// The lineage that stands for it: `system/timeline/slot`.
    pub(crate) fn to_lineage(&self) -> Lineage {
        Lineage::new(format!("{}/{}/{}", self.system_id, self.timeline, self.slot))
    }

    /// What a lineage stands for; `None` when it is not one of ours.
    pub(crate) fn from_lineage(lineage: &Lineage) -> Option<Self> {
        let mut parts = lineage.as_str().splitn(3, '/');
        let (system_id, timeline, slot) = (parts.next()?, parts.next()?, parts.next()?);
        let timeline = timeline.parse().ok()?;
        Some(Self { system_id: system_id.to_owned(), timeline, slot: slot.to_owned() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_survives_its_printed_form(place in any::<u64>()) {
            let lsn = Lsn(place);
            prop_assert_eq!(Lsn::from_position(&lsn.to_position()).unwrap(), lsn);
        }

        #[test]
        fn places_are_ordered_as_their_numbers_are(a in any::<u64>(), b in any::<u64>()) {
            prop_assert_eq!(Lsn(a).cmp(&Lsn(b)), a.cmp(&b));
        }

        #[test]
        fn a_log_survives_its_printed_form(
            system_id in "[0-9]{1,20}",
            timeline in any::<u32>(),
            slot in "[a-z0-9_]{1,63}",
        ) {
            let identity = LogIdentity { system_id, timeline, slot };
            prop_assert_eq!(LogIdentity::from_lineage(&identity.to_lineage()), Some(identity));
        }

        #[test]
        fn other_text_is_refused_without_a_panic(text in ".{0,20}") {
            if let Ok(lsn) = text.parse::<Lsn>() {
                prop_assert!(text.contains('/') && lsn.to_string().len() <= 17);
            }
        }
    }

    #[test]
    fn places_print_as_the_server_prints_them() {
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!(Lsn(0).to_string(), "0/0");
    }

    #[test]
    fn a_position_of_another_database_is_refused_by_its_own_text() {
        for text in ["", "0", "0/", "/0", "0/0/0", "1/100000000", "g/0", "+1/0", "mysql-bin.1/4"] {
            let error = Lsn::from_position(&Position::new(text)).unwrap_err();
            assert_eq!(error.to_string(), format!("{text} is not a PostgreSQL log position"));
        }
        for text in ["", "7", "7/1", "7/x/slot", "7/-1/slot"] {
            assert_eq!(LogIdentity::from_lineage(&Lineage::new(text)), None);
        }
    }
}
