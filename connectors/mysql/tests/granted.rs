//! Types that the catalog alone tells, for an account that sees only a part of the table.

use connector_api::{Capture, CaptureTable, Columns, TableName};
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{MysqlOptions, all_mysql_versions};

use crate::support::shelf::Shelf;
use crate::support::{Reader, Shop};

/// One who may read these columns of a table and follow the log.
fn reader(shop: &Shop, columns: &str) -> MysqlConnector {
    shop.sql(&format!(
        "drop user if exists tail@'%'; create user tail@'%' identified by 'secret';
         grant REPLICATION SLAVE, BINLOG MONITOR on *.* to tail@'%';
         grant SELECT ({columns}) on lot to tail@'%'"
    ));
    let (port, database) = (shop.server.port(), shop.server.database());
    let url = format!("mysql://tail:secret@127.0.0.1:{port}/{database}?ssl-mode=preferred");
    MysqlConnector::new(MysqlConfig::parse(&url, 0x4000_0002).unwrap())
}

fn capture(shop: &Shop, columns: &[&str]) -> Capture {
    let columns = columns.iter().map(|&name| name.to_owned()).collect();
    let name = TableName::new(shop.server.database(), "lot");
    Capture { tables: vec![CaptureTable { name, columns: Columns::Only(columns) }] }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_told_to_who_may_read_its_column_and_never_taken_for_bytes() {
    let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
    for version in all_mysql_versions().into_iter().filter(|version| version.is_mariadb()) {
        let Some(shop) = Shop::start_with(version, &options, "addresses") else { continue };
        shop.sql("create table lot (a int, id inet6 primary key, b binary(16), qty int, c int)");
        let connector = reader(&shop, "id, qty");
        let mut rows = Reader::start(&connector, capture(&shop, &["id", "qty"])).await;
        shop.sql("insert into lot values (1, '::1', 'x', 5, 2)");
        rows.expect(&["insert lot #0 id='::1' qty=5"]).await;
        let mut shelf = Shelf::of(&connector, shop.server.database()).await;
        assert_eq!(shelf.rows("lot", &["id", "qty"], 9).await, ["Text(\"::1\") Int(5)"]);
        // What was learned so is enough over a restart.
        let point = rows.close().await;
        shop.sql("update lot set qty = 6");
        let mut rows = Reader::resume(&connector, point).await.unwrap();
        rows.expect(&["update lot #0 [id='::1' qty=5] id='::1' qty=6"]).await;
        rows.close().await;
        // The column that is captured is none of those that are seen.
        let connector = reader(&shop, "qty");
        let mut rows = Reader::start(&connector, capture(&shop, &["id", "qty"])).await;
        shop.sql("update lot set qty = 7");
        let line = rows.line().await;
        assert!(line.starts_with("unreadable lot #0") && line.contains("column id"), "{line}");
        rows.close().await;
    }
}
