use connector_api::{Capture, ResumePoint};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};
use testbed::{PgVersion, Postgres, PostgresOptions, postgres_or_skip};

use super::{LIMIT, Reader, config, tables};

/// A server with a table `stock`, a publication `tailstock` of everything, and a slot `acme` once
/// somebody has established it.
pub struct Shop {
    pub server: Postgres,
}

impl Shop {
    /// `None` where the server cannot be had: the test is reported as skipped.
    pub fn start(version: PgVersion, test: &str) -> Option<Self> {
        Self::start_with(version, PostgresOptions::default(), test)
    }

    /// One after the other on every version under test.
    pub fn of_each_version(test: &str) -> impl Iterator<Item = Self> {
        let start = move |version| Self::start(version, test);
        testbed::all_versions().into_iter().filter_map(start)
    }

    /// The same on a server with these options.
    pub fn start_with(version: PgVersion, options: PostgresOptions, test: &str) -> Option<Self> {
        let shop = Self { server: postgres_or_skip(version, options, test)? };
        shop.sql("create table stock (id int primary key, qty int, note text)");
        shop.sql("create publication tailstock for all tables");
        Some(shop)
    }

    /// Several statements in one call are one transaction.
    pub fn sql(&self, sql: &str) {
        self.server.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub fn value(&self, sql: &str) -> String {
        self.server.value(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub fn wait_until(&self, condition: &str) {
        self.server.wait_until(condition, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    }

    pub fn config(&self) -> PostgresConfig {
        let url = self.server.url("postgres", self.server.database());
        PostgresConfig {
            slot: Slot::Named("acme".to_owned()),
            ..config(&format!("{url}?sslmode=disable"))
        }
    }

    pub fn connector(&self) -> PostgresConnector {
        PostgresConnector::new(self.config())
    }

    /// A stream of these tables from now on.
    pub async fn stream(&self, names: &[&str]) -> Reader {
        self.stream_of(tables(names)).await
    }

    /// A stream of this capture from now on.
    pub async fn stream_of(&self, capture: Capture) -> Reader {
        Reader::start(&self.connector(), capture).await
    }

    /// A stream that goes on where another was left.
    pub async fn resume(&self, point: ResumePoint) -> Reader {
        Reader::resume(&self.connector(), point).await.unwrap()
    }

    /// Waits until the server knows that whoever read the slot has gone.
    pub fn wait_for_free_slot(&self) {
        let held = "select from pg_replication_slots where slot_name = 'acme' and active";
        self.wait_until(&format!("select not exists ({held})"));
    }
}
