//! The wiring: which connector a configuration means. The only place that names a family.

use connector_api::{Connector, Error, Result};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot, slot_name};

use crate::config::{Config, SellerConfig, SinkConfig, SourceConfig, SourceKind};

/// How a source's log is kept while it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// By a name of its own, until it is detached. The name is the installation's and the
    /// seller's.
    Durably {
        /// The installation.
        name: String,
        /// The tenant.
        seller: String,
        /// The store that this process alone writes to: whoever else follows the log for it was in
        /// charge before. `None` when that is not known.
        store: Option<String>,
    },
    /// As long as the connection lasts, or by the given name without ever confirming it.
    Temporarily,
}

impl Keep {
    /// What a seller of this configuration needs: a sink that stores nothing confirms nothing.
    pub fn of(config: &Config, seller: &SellerConfig, store: Option<&str>) -> Self {
        match config.sink {
            SinkConfig::Discard => Keep::Temporarily,
            SinkConfig::Sqlite(_) | SinkConfig::Kafka(_) => Keep::Durably {
                name: config.name.clone(),
                seller: seller.seller.as_str().to_owned(),
                store: store.map(str::to_owned),
            },
        }
    }
}

/// The connector of a source.
pub fn connect(source: &SourceConfig, keep: &Keep) -> Result<Box<dyn Connector>> {
    match source.kind {
        SourceKind::Postgres => {
            let slot = match (keep, &source.slot) {
                (Keep::Durably { .. }, Some(slot)) => Slot::Named(slot.clone()),
                (Keep::Durably { name, seller, .. }, None) => {
                    Slot::Named(slot_name(name, seller, source.name.as_str()))
                }
                (Keep::Temporarily, Some(slot)) => Slot::Unconfirmed(slot.clone()),
                (Keep::Temporarily, None) => Slot::Temporary,
            };
            let bad = |error: connector_postgres::BadUrl| Error::operator(error.what, error.fix);
            let mut config =
                PostgresConfig::parse(&source.url, &source.publication, slot).map_err(bad)?;
            if let Some(password) = &source.password {
                config.password = Some(password.expose().to_owned());
            }
            if let Keep::Durably { store: Some(store), .. } = keep {
                config.installation = Some(store.clone());
            }
            Ok(Box::new(PostgresConnector::new(config)))
        }
    }
}

/// What the connector says of a source, offline.
pub fn check_source(source: &SourceConfig) -> Result<()> {
    connect(source, &Keep::Temporarily).map(|_| ())
}
