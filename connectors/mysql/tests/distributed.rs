//! Distributed transactions, of which a log says late that they count.

use connector_mysql::{MysqlConfig, MysqlConnector};
use connector_transport::Connections;
use testbed::{MysqlOptions, all_mysql_versions};

use crate::support::{LIMIT, Reader, Shop};

/// The stream has one, a read of tables another: what is recalled and what is asked share a third.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_table_in_a_distributed_transaction_needs_no_fourth_connection() {
    let options = MysqlOptions::default().setting("binlog_row_metadata", "MINIMAL");
    for version in all_mysql_versions() {
        let test = "an altered table in a distributed transaction";
        let Some(shop) = Shop::start_with(version, &options, test) else { continue };
        let connections = Connections::at_most(3);
        let config = MysqlConfig { connections: connections.clone(), ..shop.config() };
        let connector = MysqlConnector::new(config);
        let mut reader = Reader::start(&connector, shop.tables(&["stock", "more"])).await;
        let _of_a_snapshot = connections.enter(LIMIT).await.unwrap();
        shop.sql("alter table stock modify qty bigint; create table more (id int primary key)");
        let line = reader.line().await;
        assert!(line.starts_with("unreadable stock #0 its rows were rewritten"), "{line}");
        shop.sql(
            "xa start 'x'; insert into stock values (1, 10, 'a'); insert into more values (2);
             xa end 'x'; xa prepare 'x'; xa commit 'x'",
        );
        reader.expect(&["insert stock #0 id=1 qty=10 note='a'", "insert more #1 id=2"]).await;
        reader.close().await;
    }
}

/// Where tables come to be captured behind the first phase, nobody has asked there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_only_behind_the_first_phase_needs_no_fourth_connection() {
    let options = MysqlOptions::default().setting("binlog_row_metadata", "MINIMAL");
    for version in all_mysql_versions() {
        let test = "captured behind the first phase";
        let Some(shop) = Shop::start_with(version, &options, test) else { continue };
        shop.sql("create table more (id int primary key)");
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql(
            "xa start 'x'; insert into stock values (1, 10, 'a'); insert into more values (2);
             xa end 'x'; xa prepare 'x'",
        );
        shop.sql("insert into stock values (3, 30, 'b')");
        reader.expect(&["insert stock #0 id=3 qty=30 note='b'"]).await;
        let mut point = reader.close().await;
        point.capture = shop.tables(&["stock", "more"]);
        let connections = Connections::at_most(3);
        let config = MysqlConfig { connections: connections.clone(), ..shop.config() };
        let mut reader = Reader::resume(&MysqlConnector::new(config), point).await.unwrap();
        let _of_a_snapshot = connections.enter(LIMIT).await.unwrap();
        shop.sql("xa commit 'x'");
        reader.expect(&["insert stock #0 id=1 qty=10 note='a'", "insert more #1 id=2"]).await;
        reader.close().await;
    }
}
