use connector_mysql::MysqlConfig;
use connector_mysql::session::SqlClient;
use mysql_async::prelude::Queryable as _;

use super::within;

/// A session of its own, in which a transaction may stay open. Ends when dropped.
pub struct OpenSession {
    client: SqlClient,
}

impl OpenSession {
    pub async fn start(config: &MysqlConfig) -> Self {
        let client = within("a session", SqlClient::connect(config)).await.unwrap();
        Self { client }
    }

    pub async fn execute(&mut self, sql: &str) {
        let done = within(sql, self.client.query_drop(sql)).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// A statement that is no UTF-8.
    pub async fn execute_bytes(&mut self, sql: &'static [u8]) {
        let done = within("a statement", self.client.query_drop(sql)).await;
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}
