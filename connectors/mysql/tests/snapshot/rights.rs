use connector_api::{Connector as _, Error, Fault};
use connector_mysql::{MysqlConfig, MysqlConnector};

use super::*;
use crate::support::shelf::{Shelf, lines};

/// A reader who may follow the log, and what else is granted.
fn reader(shop: &Shop, grants: &[&str]) -> MysqlConnector {
    let monitor = if shop.is_mariadb() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
    shop.sql(&format!(
        "drop user if exists tail@'%'; create user tail@'%' identified by 'secret';
         grant REPLICATION SLAVE, {monitor} on *.* to tail@'%'; {}",
        grants.iter().map(|grant| format!("grant {grant} to tail@'%';")).collect::<String>()
    ));
    let port = shop.server.port();
    let database = shop.server.database();
    let url = format!("mysql://tail:secret@127.0.0.1:{port}/{database}?ssl-mode=preferred");
    MysqlConnector::new(MysqlConfig::parse(&url, 77).unwrap())
}

fn fix(error: &Error) -> String {
    let Fault::Operator { fix } = error.fault() else { panic!("{error}: {:?}", error.fault()) };
    fix.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn select_on_the_columns_of_the_mapping_and_the_key_is_enough() {
    for shop in each("select on some columns", &[]) {
        shop.sql("insert into stock values (1, 5, 'a'), (2, 6, 'b')");
        let connector = reader(&shop, &["SELECT (id, qty) on shop.stock"]);
        let mut shelf = Shelf::of(&connector, "shop").await;
        let rows = shelf.rows("stock", &["qty"], 1).await;
        assert_eq!(rows, ["Int(5)", "Int(6)"], "{}", shop.server.version());
        let end = shelf.chunk("stock", &["qty"], None, 1).await.fence.high;
        shelf.settle(&end).await;
        assert_eq!(
            shelf.reader.estimated_rows(&name("stock")).await.unwrap().map(|_| ()),
            Some(())
        );
    }
}

fn name(table: &str) -> connector_api::TableName {
    connector_api::TableName::new("shop", table)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_is_told_what_to_grant() {
    for shop in each("what to grant", &[]) {
        let version = shop.server.version();
        let grant = "GRANT SELECT (qty, id) ON shop.stock TO 'tail'@'%';";
        for granted in ["SELECT (id) on shop.stock", "SELECT (id), INSERT (qty) on shop.stock"] {
            let connector = reader(&shop, &[granted]);
            let mut shelf = Shelf::of(&connector, "shop").await;
            let read = shelf.try_chunk("stock", &["qty"], None, 1).await;
            let error = read.err().unwrap_or_else(|| panic!("{granted} on {version}"));
            assert_eq!(fix(&error), grant, "{granted} on {version}: {error}");
        }
        // A column that nobody has is none that somebody may not read.
        let connector = reader(&shop, &["SELECT on shop.stock"]);
        let mut shelf = Shelf::of(&connector, "shop").await;
        shop.sql("insert into stock values (1, 5, 'a')");
        assert_eq!(shelf.rows("stock", &["qty", "gone"], 1).await, ["Int(5)"]);
        let connector = reader(&shop, &[]);
        let reader = connector.snapshot_reader().await;
        let error = match reader {
            Ok(reader) => {
                drop(reader);
                let mut shelf = Shelf::of(&connector, "shop").await;
                shelf.try_chunk("stock", &["qty"], None, 1).await.unwrap_err()
            }
            Err(error) => error,
        };
        let fix = fix(&error);
        assert!(fix.contains("GRANT SELECT ON") && fix.contains("tail"), "{fix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_table_and_what_is_gone_is_said() {
    for shop in each("what is no table", &[]) {
        shop.sql("create view seen as select * from stock");
        let mut shelf = Shelf::open(&shop).await;
        let error = shelf.try_chunk("seen", &["qty"], None, 1).await.unwrap_err();
        assert!(error.to_string().contains("shop.seen is a view"), "{error}");
        assert_eq!(fix(&error), "map the table behind it");
        let error = shelf.try_chunk("gone", &["qty"], None, 1).await.unwrap_err();
        assert!(error.to_string().contains("shop.gone does not exist"), "{error}");
        // It is there no more when the next chunk is read.
        shop.sql("insert into stock values (1, 5, 'a'), (2, 6, 'b')");
        let chunk = shelf.chunk("stock", &["qty"], None, 1).await;
        shop.sql("drop view seen; drop table stock");
        let read = shelf.try_chunk("stock", &["qty"], chunk.next.as_ref(), 1).await;
        let error = read.unwrap_err();
        assert!(error.to_string().contains("shop.stock does not exist"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_somebody_locks_is_not_waited_for_long() {
    for shop in each("a locked table", &[]) {
        let mut shelf = Shelf::open(&shop).await;
        shelf.chunk("stock", &["qty"], None, 5).await;
        // Whoever changes the table keeps readers waiting, but not for long.
        let mut other = crate::support::OpenSession::start(&shop.config()).await;
        other.execute("lock tables stock write").await;
        let error = shelf.try_chunk("stock", &["qty"], None, 5).await.unwrap_err();
        assert_eq!(*error.fault(), Fault::Transient, "{error}");
        // A reader goes on when it could be of use again.
        other.execute("unlock tables").await;
        assert_eq!(lines(&shelf.chunk("stock", &["qty"], None, 5).await).len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_from_the_server_whose_log_is_read() {
    for shop in each("the server whose log is read", &[]) {
        let connector = shop.connector();
        let stream = crate::support::Reader::start(&connector, shop.tables(&["stock"])).await;
        drop(connector.snapshot_reader().await.unwrap());
        if shop.is_mariadb() {
            shop.sql("set global server_id = 4242");
            let error = connector.snapshot_reader().await.err().expect("another server");
            assert!(error.to_string().contains("another server"), "{error}");
            assert_eq!(*error.fault(), Fault::Transient);
        }
        stream.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_back_is_not_read_beside_the_log_of_another() {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().controlled();
        let start = || Shop::start_with(version, &options, "a host comes back");
        let (Some(first), Some(shop)) = (start(), start()) else { continue };
        shop.sql("insert into stock values (1, 1, 'a')");
        first.server.stop().unwrap();
        let hosts = [first.config().hosts, shop.config().hosts].concat();
        let config = connector_mysql::MysqlConfig { hosts, ..shop.config() };
        let connector = connector_mysql::MysqlConnector::new(config);
        let stream = crate::support::Reader::start(&connector, shop.tables(&["stock"])).await;
        first.server.start_again().unwrap();
        let mut shelf = Shelf::of(&connector, shop.server.database()).await;
        assert_eq!(lines(&shelf.chunk("stock", &["id"], None, 5).await), ["Int(1)"]);
        // The other keeps its log for ever.
        let keeping = if version == MysqlVersion::Mariadb105 {
            "set global expire_logs_days = 3"
        } else {
            "set global binlog_expire_logs_seconds = 259200"
        };
        shop.sql(keeping);
        let kept = connector
            .log_keeping(Some((&stream.point.lineage, &stream.point.position)))
            .await
            .unwrap();
        assert_eq!(kept.headroom_seconds, Some(259_200));
        stream.close().await;
    }
}
