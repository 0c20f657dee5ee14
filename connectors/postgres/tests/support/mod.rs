//! What every module needs.

pub mod certificates;
pub mod fake;
mod open;
mod shelf;
mod shop;

use std::time::Duration;

use connector_api::{
    Capture, CaptureTable, ChangeStream, Columns, Connector as _, Error, Fault, Lineage, Position,
    ResumePoint, TableName,
};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};
use testbed::{PgVersion, Postgres, PostgresOptions, postgres_or_skip};

pub use connector_api::conformance::{Reader, lines, within};
pub use open::OpenSession;
pub use shelf::{Shelf, values};
pub use shop::Shop;

/// Nothing here takes this long; what does will never come.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn server(options: PostgresOptions, test: &str) -> Option<Postgres> {
    postgres_or_skip(PgVersion::V15, options, test)
}

pub fn config(url: &str) -> PostgresConfig {
    PostgresConfig::parse(url, "tailstock", Slot::Temporary).unwrap()
}

pub fn tables(names: &[&str]) -> Capture {
    let table =
        |name: &&str| CaptureTable { name: TableName::new("public", *name), columns: Columns::All };
    Capture { tables: names.iter().map(table).collect() }
}

/// A point to resume from; the connector of a temporary slot puts its own place there.
pub fn point(position: &str, capture: &Capture) -> ResumePoint {
    ResumePoint::new(Lineage::new("1/1/any"), Position::new(position), capture.clone())
}

/// Opens a stream over the replication connection alone.
pub async fn open(config: &PostgresConfig) -> Result<Box<dyn ChangeStream>, Error> {
    let capture = Capture::default();
    let connector = PostgresConnector::new(config.clone());
    within("open", connector.open(point("0/0", &capture), capture)).await
}

/// Goes in by ordinary SQL, then by a replication connection.
pub async fn survey(config: &PostgresConfig) -> Result<(), Error> {
    let connector = PostgresConnector::new(config.clone());
    within("survey", connector.survey(&Capture::default(), None)).await.map(drop)
}

/// Both kinds of connection let us in.
pub async fn assert_reached(config: &PostgresConfig, how: &str) {
    open(config).await.map(drop).unwrap_or_else(|error| panic!("{how}: {error}"));
    survey(config).await.unwrap_or_else(|error| panic!("{how}: {error}"));
}

/// Both kinds of connection fail, with `words` in the error and, for the operator, in its fix.
pub async fn assert_refused(config: &PostgresConfig, words: &str, in_fix: Option<&str>) {
    let errors = [open(config).await.map(drop).unwrap_err(), survey(config).await.unwrap_err()];
    for error in errors {
        assert_error(&error, words, in_fix);
    }
}

pub fn assert_error(error: &Error, words: &str, in_fix: Option<&str>) {
    assert!(error.to_string().contains(words), "wanted {words:?}: {error}");
    match (error.fault(), in_fix) {
        (Fault::Operator { fix }, Some(words)) => {
            assert!(fix.contains(words), "wanted {words:?}: {fix}");
        }
        (Fault::Transient, None) => {}
        (fault, _) => panic!("{error}: {fault:?}"),
    }
}
