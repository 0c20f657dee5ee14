use testbed::{PgVersion, Postgres, PostgresOptions};
use tokio_postgres::{Client, NoTls};

/// A shop's database on a real server of its own.
pub struct Shop {
    server: Postgres,
    client: Client,
}

impl Shop {
    /// `None` where the server cannot be had and the test is to be reported as skipped.
    pub async fn start(version: PgVersion, test: &str) -> Option<Self> {
        Self::start_with(version, test, PostgresOptions::default()).await
    }

    pub async fn start_with(
        version: PgVersion,
        test: &str,
        options: PostgresOptions,
    ) -> Option<Self> {
        let test = test.to_owned();
        let start = move || testbed::postgres_or_skip(version, options, &test);
        let server = tokio::task::spawn_blocking(start).await.unwrap()?;
        let client = connect(&server.url("postgres", "postgres")).await;
        Some(Self { server, client })
    }

    pub fn server(&self) -> &Postgres {
        &self.server
    }

    pub fn url(&self) -> String {
        format!("{}?sslmode=disable", self.server.url("postgres", "postgres"))
    }

    /// A seller file for this shop with these mappings.
    pub fn seller(&self, stock: &str) -> String {
        let url = self.url();
        format!("seller = \"acme\"\n[source]\nkind = \"postgres\"\nurl = \"{url}\"\n{stock}")
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn connect(&self) -> Client {
        connect(&self.server.url("postgres", "postgres")).await
    }

    /// A new client after the server was restarted.
    pub async fn reconnect(&mut self) {
        self.client = self.connect().await;
    }

    pub async fn execute(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// One text.
    pub async fn text(&self, sql: &str) -> String {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
