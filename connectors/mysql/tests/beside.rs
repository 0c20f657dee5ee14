//! Connections beside a stream: to its server, and to no other.

use connector_api::{Connector as _, Fault};
use connector_mysql::MysqlConfig;
use connector_mysql::session::{Session, SqlClient};
use testbed::{MysqlOptions, all_mysql_versions};

use crate::support::{Shop, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_meant_for_a_server_goes_to_that_one() {
    for version in all_mysql_versions() {
        let start = || Shop::start_with(version, &MysqlOptions::default(), "another server");
        let (Some(shop), Some(other)) = (start(), start()) else { continue };
        let capture = shop.tables(&["stock"]);
        let point = within("a place", shop.connector().establish(&capture)).await.unwrap();
        let hosts = |hosts: &[&Shop]| MysqlConfig {
            hosts: hosts.iter().flat_map(|shop| shop.config().hosts).collect(),
            server: Some(point.lineage.clone()),
            ..shop.config()
        };
        let port = |text: Option<String>| text.unwrap().parse::<u16>().unwrap();
        let both = hosts(&[&other, &shop]);
        let mut session = within("a session", Session::connect(&both)).await.unwrap();
        let rows = session.query("select @@port").await.unwrap();
        assert_eq!(port(rows[0][0].clone()), shop.server.port());
        drop(within("SQL", SqlClient::connect(&both)).await.unwrap());
        let wrong = hosts(&[&other]);
        let refused = [
            within("a session", Session::connect(&wrong)).await.err().unwrap(),
            within("SQL", SqlClient::connect(&wrong)).await.err().unwrap(),
        ];
        for error in refused {
            assert_eq!(*error.fault(), Fault::Transient);
            assert!(error.to_string().contains("another server than the one"), "{error}");
        }
    }
}
