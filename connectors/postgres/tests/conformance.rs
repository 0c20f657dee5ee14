//! The promises of every connector, kept by this one on every supported version.

use async_trait::async_trait;
use connector_api::Connector;
use connector_api::conformance::{Backend, SCENARIOS};
use testbed::PgVersion;

use crate::support::Shop;

#[async_trait]
impl Backend for Shop {
    async fn transaction(&self, statements: &[&str]) {
        self.sql(&format!("BEGIN; {}; COMMIT", statements.join("; ")));
    }

    async fn rolled_back(&self, statements: &[&str]) {
        self.sql(&format!("BEGIN; {}; ROLLBACK", statements.join("; ")));
    }

    async fn released(&self) {
        self.wait_for_free_slot();
    }

    async fn forget(&self) {
        self.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(Shop::connector(self))
    }

    fn schema(&self) -> String {
        "public".to_owned()
    }
}

async fn keeps_every_promise(version: PgVersion, test: &str) {
    let Some(shop) = Shop::start(version, test) else { return };
    for scenario in SCENARIOS {
        println!("{}", scenario.name);
        scenario.run(&shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_13_keeps_every_promise() {
    keeps_every_promise(PgVersion::V13, "postgresql_13_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_15_keeps_every_promise() {
    keeps_every_promise(PgVersion::V15, "postgresql_15_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_17_keeps_every_promise() {
    keeps_every_promise(PgVersion::V17, "postgresql_17_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_18_keeps_every_promise() {
    keeps_every_promise(PgVersion::V18, "postgresql_18_keeps_every_promise").await;
}
