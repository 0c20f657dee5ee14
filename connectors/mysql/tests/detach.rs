//! Nothing is kept on a server, and the account that was made for us can be dropped.

use connector_api::{Connector as _, Fault};
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::MysqlOptions;

use crate::support::{Reader, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_detached_while_it_reads_and_the_account_can_be_dropped_afterwards() {
    for version in testbed::all_mysql_versions() {
        let test = "nobody_is_detached";
        let Some(shop) = Shop::start_with(version, &MysqlOptions::default(), test) else {
            continue;
        };
        let monitor = if shop.is_mariadb() { "binlog monitor" } else { "replication client" };
        shop.sql(&format!(
            "create user tail@'%';
             grant replication slave, {monitor} on *.* to tail@'%';
             grant select on stock to tail@'%'"
        ));
        let installation = Some("0123456789abcdef".to_owned());
        let config = MysqlConfig { user: "tail".to_owned(), installation, ..shop.config() };
        let connector = MysqlConnector::new(config.clone());
        let reader = Reader::start(&connector, shop.tables(&["stock"])).await;
        let error = MysqlConnector::new(config.clone()).detach().await.unwrap_err();
        assert!(
            matches!(error.fault(), Fault::Held { by } if by.contains("connection")),
            "{error}"
        );
        drop(reader);
        let released = format!("select is_used_lock('tailstock {}') is null", config.server_id);
        shop.wait_until(&released);
        let detached = connector.detach().await.unwrap();
        assert_eq!(detached.done, ["the server keeps nothing for us: there is nothing to free"]);
        assert_eq!(detached.left, ["DROP USER 'tail'@'%';"]);
        shop.sql(&detached.left[0]);
        // An account that may do everything was not made for us.
        assert!(shop.connector().detach().await.unwrap().left.is_empty());
    }
}
