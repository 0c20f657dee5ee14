//! From files to checked types.
//!
//! [`Loader::load`] reads the main file and every seller's file it names, and either returns a
//! [`Config`] in which every value has been checked as far as that is possible without a server,
//! or every [`Problem`] of all files at once. It creates nothing and connects to nothing.
//!
//! | file | owns |
//! |---|---|
//! | `raw` | strict TOML: values by key, problems with lines, unknown keys |
//! | `problem` | places, texts that know theirs, problems |
//! | `main_file`, `sink`, `kafka` | the main file |
//! | `seller_file`, `source`, `kind`, `stock` | a seller's file |
//! | `keys` | whether two mappings can yield one key |
//! | `pattern` | blocks about several tables |
//! | `secret`, `outside` | secrets; what comes from the environment and from other files |

mod kafka;
mod keys;
mod kind;
mod lookup;
mod main_file;
mod outside;
mod pattern;
mod problem;
mod raw;
mod secret;
mod seller_file;
mod sink;
mod source;
mod stock;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use kafka::{Delivery, Headers, KafkaConfig};
pub use kind::{Protect, RETAINED_WAL_DEFAULT, SourceKind};
pub use main_file::{LogConfig, LogFormat};
pub use problem::{Place, Problem, Problems, Text};
pub use secret::Secret;
pub use seller_file::SellerConfig;
pub use sink::{SinkConfig, SqliteConfig};
pub use source::{SnapshotConfig, SourceConfig};

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The main file.
    pub file: PathBuf,
    /// Names what this installation owns on servers: slots, transactional ids, consumer group.
    pub name: String,
    /// Where events go.
    pub sink: SinkConfig,
    /// Where metrics, health and status are served; `None` is off.
    pub http: Option<SocketAddr>,
    /// How this process tells what it does.
    pub log: LogConfig,
    /// The shortest time between two commits. Zero commits as soon as there is anything.
    pub min_commit_interval: Duration,
    /// Bytes of one source that may be read and not committed, before its reading stops.
    pub buffer_bytes: usize,
    /// One for each seller's file, in the order of file names.
    pub sellers: Vec<SellerConfig>,
}

/// What loading needs from outside.
pub struct Loader<'a> {
    /// An environment variable's value.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// What the connector of the source says of its configuration, offline.
    pub check_source: &'a dyn Fn(&SourceConfig) -> connector_api::Result<()>,
    /// What the server knows a source's reader by; `None` where that is nothing of its own. What
    /// follows from the installation's name is not known without it.
    pub known_as: &'a dyn Fn(&SellerConfig, Option<&Config>) -> Option<String>,
    /// What the sink's library says of one of its properties, by name and value.
    pub check_property: &'a dyn Fn(&str, &str) -> Result<(), String>,
}

#[cfg(test)]
impl Loader<'static> {
    /// One that finds nothing outside, and everything right.
    pub(crate) fn alone() -> Self {
        Self {
            variable: &|_| None,
            check_source: &|_| Ok(()),
            known_as: &|_, _| None,
            check_property: &|_, _| Ok(()),
        }
    }
}

impl Loader<'_> {
    /// Reads and checks `file` and the sellers' files it names.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn load(&self, file: &Path) -> Result<Config, Problems> {
        main_file::load(self, file)
    }
}
