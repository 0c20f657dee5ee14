use connector_api::{Capture, ResumePoint};
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{Mysql, MysqlOptions, MysqlVersion, mysql_or_skip};

use super::{LIMIT, Reader, tables};

/// A server with a table `stock`.
pub struct Shop {
    pub server: Mysql,
}

impl Shop {
    /// A server with these options; `None` where it cannot be had: the test is reported as skipped.
    pub fn start_with(version: MysqlVersion, options: &MysqlOptions, test: &str) -> Option<Self> {
        let shop = Self { server: mysql_or_skip(version, options, test)? };
        shop.sql("create table stock (id int primary key, qty int, note text)");
        Some(shop)
    }

    pub fn is_mariadb(&self) -> bool {
        self.server.version() != MysqlVersion::Mysql97
    }

    /// One statement or many, on a connection of its own.
    pub fn sql(&self, sql: &str) {
        self.server.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub fn wait_until(&self, condition: &str) {
        self.server.wait_until(condition, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    }

    pub fn config(&self) -> MysqlConfig {
        let url = self.server.url("root", self.server.database());
        MysqlConfig::parse(&format!("{url}?ssl-mode=disabled&heartbeat=1"), 0x4000_0001).unwrap()
    }

    pub fn connector(&self) -> MysqlConnector {
        MysqlConnector::new(self.config())
    }

    pub fn tables(&self, names: &[&str]) -> Capture {
        tables(self.server.database(), names)
    }

    /// A stream of these tables from now on.
    pub async fn stream(&self, names: &[&str]) -> Reader {
        Reader::start(&self.connector(), self.tables(names)).await
    }

    /// A stream that goes on where another ended.
    pub async fn resume(&self, point: ResumePoint) -> Reader {
        Reader::resume(&self.connector(), point).await.unwrap()
    }
}
