//! The wiring: which connector a configuration means. The only place that names a family.

use std::num::NonZeroU32;
use std::sync::Arc;

use connector_api::{Connector, Error, Result};
use connector_mysql::position::{LogFile, NotALogFile};
use connector_mysql::{MysqlConfig, MysqlConnector, server_id, temporary_server_id};
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
pub fn connect(source: &SourceConfig, keep: &Keep) -> Result<Arc<dyn Connector>> {
    match &source.kind {
        SourceKind::Postgres { publication, slot, .. } => {
            let mut config = postgres(source, keep, publication, slot.as_deref())?;
            config.password = password(source).or(config.password);
            config.installation = installation(keep);
            config.connections = source.connections.clone();
            Ok(Arc::new(PostgresConnector::new(config)))
        }
        SourceKind::Mysql { server_id, first_file } => {
            let mut config = mysql(source, keep, *server_id)?;
            config.first_file = first_file.as_deref().map(log_file).transpose()?;
            config.password = password(source).or(config.password);
            config.installation = installation(keep);
            config.connections = source.connections.clone();
            Ok(Arc::new(MysqlConnector::new(config)))
        }
    }
}

fn postgres(
    source: &SourceConfig,
    keep: &Keep,
    publication: &str,
    slot: Option<&str>,
) -> Result<PostgresConfig> {
    let slot = match (keep, lasting_slot(source, keep, slot)) {
        (Keep::Durably { .. }, Some(slot)) => Slot::Named(slot),
        (Keep::Temporarily, Some(slot)) => Slot::Unconfirmed(slot),
        (_, None) => Slot::Temporary,
    };
    let bad = |error: connector_postgres::BadUrl| Error::operator(error.what, error.fix);
    PostgresConfig::parse(&source.url, publication, slot).map_err(bad)
}

/// The given slot, or the one that follows from the names.
fn lasting_slot(source: &SourceConfig, keep: &Keep, given: Option<&str>) -> Option<String> {
    match (given, keep) {
        (Some(given), _) => Some(given.to_owned()),
        (None, Keep::Durably { name, seller, .. }) => {
            Some(slot_name(name, seller, source.name.as_str()))
        }
        (None, Keep::Temporarily) => None,
    }
}

/// The given server id, or the one that follows from the names.
fn lasting_id(source: &SourceConfig, keep: &Keep, given: Option<NonZeroU32>) -> Option<u32> {
    match (given, keep) {
        (Some(given), _) => Some(given.get()),
        (None, Keep::Durably { name, seller, .. }) => {
            Some(server_id(name, seller, source.name.as_str()))
        }
        (None, Keep::Temporarily) => None,
    }
}

fn mysql(source: &SourceConfig, keep: &Keep, given: Option<NonZeroU32>) -> Result<MysqlConfig> {
    let number = lasting_id(source, keep, given).unwrap_or_else(temporary_server_id);
    let bad = |error: connector_mysql::BadUrl| Error::operator(error.what, error.fix);
    MysqlConfig::parse(&source.url, number).map_err(bad)
}

fn log_file(name: &str) -> Result<LogFile> {
    name.parse().map_err(|error: NotALogFile| {
        Error::operator(
            format!("first_file: {error}"),
            "name a file that SHOW BINARY LOGS lists, or leave first_file out",
        )
    })
}

fn password(source: &SourceConfig) -> Option<String> {
    source.password.as_ref().map(|password| password.expose().to_owned())
}

/// Marks connections of whoever is in charge of a store.
fn installation(keep: &Keep) -> Option<String> {
    match keep {
        Keep::Durably { store, .. } => store.clone(),
        Keep::Temporarily => None,
    }
}

/// What its server knows a source's reader by in this installation, where the name outlasts a
/// connection.
pub fn known_as(seller: &SellerConfig, config: Option<&Config>) -> Option<String> {
    let keep = config.map_or(Keep::Temporarily, |config| Keep::of(config, seller, None));
    let source = &seller.source;
    match &source.kind {
        SourceKind::Postgres { slot, .. } => lasting_slot(source, &keep, slot.as_deref()),
        SourceKind::Mysql { server_id, .. } => {
            lasting_id(source, &keep, *server_id).map(|number| number.to_string())
        }
    }
}

/// What the connector says of a source, offline.
pub fn check_source(source: &SourceConfig) -> Result<()> {
    connect(source, &Keep::Temporarily).map(|_| ())
}
