use std::fmt;

use connector_api::Lineage;

use super::mariadb::MariaGtid;
use super::origin::Uuid;

/// Which server's log a position belongs to.
///
/// Tells servers apart, not the logs one server has had: that is what the time in a
/// [`super::LogPosition`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIdentity {
    /// By `@@server_uuid`.
    MySql(Uuid),
    /// By `@@gtid_domain_id` and `@@server_id`; MariaDB has no identity of its own.
    MariaDb {
        /// Where its own transactions are counted.
        domain: u32,
        /// Its number, as somebody chose it.
        server: u32,
    },
}

impl LogIdentity {
    /// The lineage that stands for it: `mysql/uuid` or `mariadb/domain-server`.
    pub fn to_lineage(self) -> Lineage {
        Lineage::new(self.to_string())
    }

    /// What a lineage stands for; `None` when it is not one of ours.
    pub fn from_lineage(lineage: &Lineage) -> Option<Self> {
        let (product, id) = lineage.as_str().split_once('/')?;
        match product {
            "mysql" => id.parse().ok().map(Self::MySql),
            "mariadb" => {
                let MariaGtid { domain, server, .. } = format!("{id}-0").parse().ok()?;
                Some(Self::MariaDb { domain, server })
            }
            _ => None,
        }
    }

    /// Whose server it is, for people.
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::MySql(_) => "MySQL",
            Self::MariaDb { .. } => "MariaDB",
        }
    }
}

impl fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(uuid) => write!(f, "mysql/{uuid}"),
            Self::MariaDb { domain, server } => write!(f, "mariadb/{domain}-{server}"),
        }
    }
}
