//! Where a stream stands in a binlog, which transactions lie before it, and whether a log can be
//! continued. No input or output: all facts are handed in.

use std::fmt;

pub use continuity::{GtidMode, History, ListedLog, NotAGtidMode, ServerFacts, continuity};
pub use file::{LogFile, NotALogFile};
pub use gtid_set::GtidSet;
pub(crate) use gtid_set::GtidSetText;
pub use identity::LogIdentity;
pub use mariadb::{MariaGtid, MariaPosition, MariaState};
pub use origin::{Gtid, Origin, Tag, Uuid};
pub(crate) use place::NOTHING_THERE;
pub use place::{Gtids, LogPosition, NotAPlace, Prepared};

mod continuity;
mod file;
mod gtid_set;
mod identity;
mod mariadb;
mod origin;
mod place;

/// Text or bytes that name no transactions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not GTIDs: wanted {wanted}, found {found}")]
pub struct NotGtids {
    wanted: String,
    found: String,
}

/// Prints a number without what it takes to print anything: several of them stand in the place and
/// the name of every transaction.
pub(crate) fn write_number<W: fmt::Write>(number: u64, out: &mut W) -> fmt::Result {
    out.write_str(itoa::Buffer::new().format(number))
}

impl NotGtids {
    fn found(wanted: impl Into<String>, found: impl fmt::Display) -> Self {
        // Foreign text may be of any length.
        let found: String = found.to_string().chars().take(80).collect();
        Self { wanted: wanted.into(), found }
    }
}
