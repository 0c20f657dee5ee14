//! A stream that takes nothing, as one whose sink is away.

use std::time::Duration;

use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{MysqlOptions, all_mysql_versions};

use crate::stream::purge;
use crate::support::{Reader, Shop};

/// Rows of a megabyte each: more than finds room on the way.
const ROWS: usize = 40;

fn fill(shop: &Shop, from: usize) {
    let row = |id| format!("insert into big values ({id}, repeat('x', 1000000));");
    let rows: String = (from..from + ROWS).map(row).collect();
    shop.sql(&format!("begin; {rows} commit"));
}

async fn read(reader: &mut Reader, from: usize) {
    for nth in 0..ROWS {
        let wanted = format!("insert big #{nth} id={} note=text of 1000000", from + nth);
        assert_eq!(reader.line().await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_nothing_keeps_no_file_and_goes_on_at_its_place() {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default();
        let test = "a stream that takes nothing";
        let Some(shop) = Shop::start_with(version, &options, test) else { continue };
        shop.sql("create table big (id int primary key, note longtext)");
        let config = MysqlConfig { patience: Duration::from_secs(1), ..shop.config() };
        let connector = MysqlConnector::new(config);
        let mut reader = Reader::start(&connector, shop.tables(&["big"])).await;
        for from in [0, ROWS] {
            fill(&shop, from);
            shop.wait_until(
                "select count(*) = 0 from information_schema.processlist \
                 where command like 'Binlog Dump%'",
            );
            // In the middle of the transaction, on another connection.
            read(&mut reader, from).await;
        }
        fill(&shop, 2 * ROWS);
        purge(&shop);
        let error = reader.failure().await;
        assert_eq!(*error.fault(), connector_api::Fault::Transient, "{error}");
    }
}
