//! The promises of every connector, kept by this one on every supported server.

use async_trait::async_trait;
use connector_api::Connector;
use connector_api::conformance::{Backend, SCENARIOS};
use testbed::{MysqlOptions, MysqlVersion};

use crate::support::Shop;

#[async_trait]
impl Backend for Shop {
    async fn transaction(&self, statements: &[&str]) {
        self.sql(&format!("BEGIN; {}; COMMIT", statements.join("; ")));
    }

    async fn rolled_back(&self, statements: &[&str]) {
        self.sql(&format!("BEGIN; {}; ROLLBACK", statements.join("; ")));
    }

    /// A server that is asked by the same replica ends the older dump by itself.
    async fn released(&self) {}

    async fn forget(&self) {}

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(Shop::connector(self))
    }

    fn schema(&self) -> String {
        self.server.database().to_owned()
    }
}

async fn keeps_every_promise(version: MysqlVersion, test: &str) {
    for metadata in ["FULL", "MINIMAL"] {
        let options = MysqlOptions::default().setting("binlog_row_metadata", metadata);
        let Some(shop) = Shop::start_with(version, &options, test) else { return };
        for scenario in SCENARIOS {
            println!("{} with {metadata} metadata", scenario.name);
            scenario.run(&shop).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mysql97, "mysql_9_7_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_10_5_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mariadb105, "mariadb_10_5_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_10_11_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mariadb1011, "mariadb_10_11_keeps_every_promise").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11_8_keeps_every_promise() {
    keeps_every_promise(MysqlVersion::Mariadb118, "mariadb_11_8_keeps_every_promise").await;
}
