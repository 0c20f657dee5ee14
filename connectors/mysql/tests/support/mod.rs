//! What every module needs.

#[path = "../../../postgres/tests/support/certificates.rs"]
#[allow(dead_code, reason = "each connector needs its own part of it")]
pub mod certificates;
pub mod dump;
pub mod fake;
mod open;
pub mod shelf;
mod shop;

use std::time::Duration;

pub use connector_api::conformance::{Reader, within};
use connector_api::{Capture, CaptureTable, Columns, Error, Fault, TableName};
use connector_mysql::MysqlConfig;
use connector_mysql::session::{Session, SqlClient};
use mysql_async::prelude::Queryable as _;
pub use open::OpenSession;
pub use shop::Shop;

/// Nothing here takes this long; what does will never come.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A password with everything in it that has a meaning elsewhere; `PASSWORD` in a URL.
pub const PASSWORD_SQL: &str = "p@ss/w?r''d";
pub const PASSWORD: &str = "p%40ss%2Fw%3Fr%27d";

pub fn config(url: &str) -> MysqlConfig {
    MysqlConfig::parse(url, 4711).unwrap()
}

/// Goes in over a connection of our own and asks something.
pub async fn ask(config: &MysqlConfig) -> Result<(), Error> {
    let asking = async {
        let mut session = Session::connect(config).await?;
        let rows = session.query("SELECT DATABASE(), NULL, 'ü'").await?;
        let row = [Some(config.database.clone()), None, Some("ü".to_owned())];
        assert_eq!(rows, [row]);
        session.close().await;
        Ok(())
    };
    within("a session", Box::pin(asking)).await
}

/// Goes in by ordinary SQL and asks something.
pub async fn ask_by_sql(config: &MysqlConfig) -> Result<(), Error> {
    let asking = async {
        let mut client = SqlClient::connect(config).await?;
        let zone: Option<String> = client.query_first("SELECT @@time_zone").await.unwrap();
        assert_eq!(zone.as_deref(), Some("+00:00"));
        client.close().await;
        Ok(())
    };
    within("ordinary SQL", Box::pin(asking)).await
}

/// Both kinds of connection let us in.
pub async fn assert_reached(config: &MysqlConfig, how: &str) {
    ask(config).await.unwrap_or_else(|error| panic!("{how}: {error}: {:?}", error.fault()));
    ask_by_sql(config).await.unwrap_or_else(|error| panic!("{how}, SQL: {error:?}"));
}

/// Both kinds of connection fail, with `words` in the error and, for the operator, in its fix.
pub async fn assert_refused(config: &MysqlConfig, words: &str, in_fix: Option<&str>) {
    for error in [ask(config).await.unwrap_err(), ask_by_sql(config).await.unwrap_err()] {
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

/// These tables, all their columns.
pub fn tables(schema: &str, names: &[&str]) -> Capture {
    let table =
        |name: &&str| CaptureTable { name: TableName::new(schema, *name), columns: Columns::All };
    Capture { tables: names.iter().map(table).collect() }
}
