//! Several hosts: the server that is followed is among them, and not always the first.

use std::time::Duration;

use connector_api::{Connector as _, Continuity};
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{MysqlOptions, MysqlVersion};

use crate::support::{Reader, Shop, within};

/// An old primary, and the server that is followed.
fn two(version: MysqlVersion, test: &str) -> Option<[Shop; 2]> {
    let options = MysqlOptions::default().controlled();
    let start = || Shop::start_with(version, &options, test);
    Some([start()?, start()?])
}

/// Both, in this order.
fn both(shops: &[Shop; 2]) -> MysqlConfig {
    let hosts = shops.iter().flat_map(|shop| shop.config().hosts).collect();
    MysqlConfig { hosts, ..shops[0].config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_is_named_first_is_not_taken_for_the_server_that_is_followed() {
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb1011] {
        let Some(shops) = two(version, "an_old_primary_that_is_named_first") else { continue };
        let [_, followed] = &shops;
        let capture = followed.tables(&["stock"]);
        let first = followed.connector();
        let point = within("a place", first.establish(&capture)).await.unwrap();
        followed.sql("insert into stock values (1, 10, 'a')");
        let connector = MysqlConnector::new(both(&shops));
        let survey = connector.survey(&capture, Some(&point));
        let survey = within("a survey", survey).await.unwrap();
        assert_eq!(survey.continuity, Continuity::Intact);
        let mut reader = Reader::resume(&connector, point.clone()).await.unwrap();
        reader.expect(&["insert stock #0 id=1 qty=10 note='a'"]).await;
        reader.close().await;
        let anew = within("a place", connector.establish(&capture)).await.unwrap();
        assert_eq!(anew.lineage, point.lineage, "the log that was looked at");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_is_waited_for_where_another_host_proves_nothing() {
    let Some(shops) = two(MysqlVersion::Mysql97, "a_server_that_starts_again") else { return };
    let [old, followed] = &shops;
    let capture = followed.tables(&["stock"]);
    let point = within("a place", followed.connector().establish(&capture)).await.unwrap();
    followed.server.stop().unwrap();
    let connector = MysqlConnector::new(both(&shops));
    let surveying = {
        let (capture, point) = (capture.clone(), point.clone());
        tokio::spawn(async move { connector.survey(&capture, Some(&point)).await })
    };
    old.wait_until("select count(*) > 1 from information_schema.processlist");
    followed.server.start_again().unwrap();
    let survey = within("a survey", surveying).await.unwrap().unwrap();
    assert_eq!((survey.lineage, survey.continuity), (point.lineage.clone(), Continuity::Intact));
    // One that does not come back is given up.
    followed.server.stop().unwrap();
    let config = MysqlConfig { connect_timeout: Duration::from_secs(1), ..both(&shops) };
    let connector = MysqlConnector::new(config);
    let survey = connector.survey(&capture, Some(&point));
    let survey = within("a survey", survey).await.unwrap();
    assert!(matches!(survey.continuity, Continuity::Broken { .. }), "{:?}", survey.continuity);
    let anew = within("a place", connector.establish(&capture)).await.unwrap();
    assert!(anew.lineage != point.lineage && anew.lineage == survey.lineage);
}
