use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::{Shop, within};

/// A session of its own, in which a transaction may stay open. Ends when dropped.
pub struct OpenSession {
    client: Client,
    connection: JoinHandle<()>,
}

impl OpenSession {
    pub async fn start(shop: &Shop) -> Self {
        let url = shop.server.url("postgres", shop.server.database());
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        Self { client, connection: tokio::spawn(async { drop(connection.await) }) }
    }

    pub async fn execute(&self, sql: &str) {
        let done = within(sql, self.client.batch_execute(sql)).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
