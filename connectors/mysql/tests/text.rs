//! What statements change that stand in the log as text, and do not name it.

use connector_api::TableName;
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{MysqlOptions, all_mysql_versions};

use crate::support::{Reader, Shop};

fn each_shop(format: &str, test: &str) -> Vec<Shop> {
    let options = MysqlOptions::default()
        .setting("binlog_format", format)
        .setting("log_bin_trust_function_creators", "1");
    let start = |version| Shop::start_with(version, &options, test);
    all_mysql_versions().into_iter().filter_map(start).collect()
}

/// The lines up to the one that tells of a row of table `mark`.
async fn until_the_mark(shop: &Shop, reader: &mut Reader) -> Vec<String> {
    shop.sql("set session binlog_format = 'ROW'; insert into mark values (1); delete from mark");
    let mut lines = Vec::new();
    loop {
        let line = reader.line().await;
        if line.starts_with("delete mark") {
            return lines;
        }
        if !line.starts_with("insert mark") {
            lines.push(line);
        }
    }
}

const TABLES: &str = "
    create table mark (id int primary key);
    create table order_item (id int primary key, qty int);
    create table visit (id int primary key, at datetime);
    insert into stock values (1, 10, 'a')";

const TRIGGER: &str = "create trigger sold after insert on order_item for each row
    update stock set qty = qty - new.qty where id = 1";

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_with_a_statement_on_another_table_is_told() {
    for format in ["MIXED", "STATEMENT"] {
        for shop in each_shop(format, "what changes with a statement on another table") {
            let version = shop.server.version();
            shop.sql(TABLES);
            shop.sql(TRIGGER);
            let mut reader = shop.stream(&["stock", "mark"]).await;
            shop.sql("insert into order_item values (1, 3)");
            let lines = until_the_mark(&shop, &mut reader).await;
            assert_eq!(lines.len(), 1, "{version}: {lines:?}");
            let doubt = "unreadable stock #0 a statement that the log holds as text changed ano";
            assert!(lines[0].starts_with(doubt), "{version}: {lines:?}");
            // A view, which is on the table only from here on.
            shop.sql("drop trigger sold; create view shelf as select id, qty from stock");
            shop.sql("update shelf set qty = 4");
            let lines = until_the_mark(&shop, &mut reader).await;
            assert_eq!(lines.len(), 1, "{version}: {lines:?}");
            shop.sql("drop view shelf");
            shop.sql(
                "create function take() returns int deterministic modifies sql data
                 begin update stock set qty = qty - 1; return 1; end",
            );
            shop.sql("insert into visit values (1, null)");
            shop.sql("update visit set at = null where id = take()");
            let lines = until_the_mark(&shop, &mut reader).await;
            assert!(!lines.is_empty(), "{version}: {lines:?}");
            assert!(lines.iter().all(|line| line.starts_with("unreadable stock")), "{lines:?}");
            if !shop.is_mariadb() {
                // It says which schemas a statement has changed, with all that hangs on its table.
                shop.sql(
                    "create schema logs; create table logs.visit (id int primary key);
                     create trigger logs.far after insert on logs.visit for each row
                         update shop.stock set qty = 5",
                );
                shop.sql("insert into logs.visit values (1)");
                let lines = until_the_mark(&shop, &mut reader).await;
                assert!(lines.iter().any(|line| line.starts_with("unreadable stock")), "{lines:?}");
                shop.sql("drop schema logs");
            }
            reader.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_on_which_nothing_hangs_may_be_changed_by_text_as_often_as_its_shop_likes() {
    for shop in each_shop("MIXED", "a table on which nothing hangs") {
        shop.sql(TABLES);
        shop.sql("create schema logs; create table logs.visit (id int primary key, at datetime)");
        shop.sql("create trigger seen before insert on visit for each row set new.at = now()");
        let mut reader = shop.stream(&["stock", "mark"]).await;
        for id in 0..3 {
            shop.sql(&format!("insert into visit values ({id}, now())"));
            shop.sql(&format!("insert into logs.visit values ({id}, now())"));
        }
        let lines = until_the_mark(&shop, &mut reader).await;
        assert!(lines.is_empty(), "{}: {lines:?}", shop.server.version());
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_may_not_see_is_taken_to_hang_on_every_table_of_its_schema() {
    for shop in each_shop("MIXED", "what an account may not see") {
        shop.sql(TABLES);
        shop.sql("create schema logs; create table logs.visit (id int primary key, at datetime)");
        let monitor = if shop.is_mariadb() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
        shop.sql(&format!(
            "create user tail@'%' identified by 'secret';
             grant REPLICATION SLAVE, {monitor} on *.* to tail@'%';
             grant SELECT on shop.stock to tail@'%'; grant SELECT on shop.mark to tail@'%'"
        ));
        let url = format!("mysql://tail:secret@127.0.0.1:{}/shop", shop.server.port());
        let url = format!("{url}?ssl-mode=preferred&heartbeat=1");
        let connector = MysqlConnector::new(MysqlConfig::parse(&url, 77).unwrap());
        let capture = shop.tables(&["stock", "mark"]);
        assert!(capture.columns_of(&TableName::new("shop", "stock")).is_some());
        let mut reader = Reader::start(&connector, capture).await;
        shop.sql("insert into logs.visit values (1, now())");
        let lines = until_the_mark(&shop, &mut reader).await;
        assert!(lines.is_empty(), "{}: {lines:?}", shop.server.version());
        shop.sql("insert into visit values (1, now())");
        let lines = until_the_mark(&shop, &mut reader).await;
        let tables: Vec<&str> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
        assert_eq!(tables, ["mark", "stock"], "{}: {lines:?}", shop.server.version());
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_an_altered_table_holds_otherwise_are_told() {
    for shop in each_shop("ROW", "rows that an altered table holds otherwise") {
        let version = shop.server.version();
        shop.sql(TABLES);
        let mut reader = shop.stream(&["stock", "mark"]).await;
        shop.sql("insert into stock values (2, 5, 'a')");
        assert!(reader.line().await.starts_with("insert stock"));
        let mut alters = vec![
            ("modify qty decimal(10, 0)", true),
            ("drop column qty, add column qty int default 0", true),
            ("add index (qty), comment 'x', engine = InnoDB", false),
            ("alter column qty set default 5", false),
        ];
        if shop.is_mariadb() {
            alters.push(("add unique (note(9))", true));
        }
        for (alter, rewrites) in alters {
            let ignore = if alter.starts_with("add unique") { "ignore" } else { "" };
            shop.sql(&format!("alter {ignore} table stock {alter}"));
            let lines = until_the_mark(&shop, &mut reader).await;
            let told =
                lines.iter().filter(|line| line.contains("rewritten by ALTER TABLE")).count();
            assert_eq!((told, lines.len()), (usize::from(rewrites), told), "{version}: {alter}");
        }
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_another_character_set_is_understood() {
    for shop in each_shop("STATEMENT", "a statement in another character set") {
        shop.sql(TABLES);
        shop.sql("set names utf8mb4; create table `größe` (id int primary key)");
        let mut reader = shop.stream(&["größe", "mark"]).await;
        // The bytes of the name in the character set that the session says.
        let mut other = crate::support::OpenSession::start(&shop.config()).await;
        other.execute("set names latin1").await;
        other.execute_bytes(b"insert into gr\xf6\xdfe values (1)").await;
        let lines = until_the_mark(&shop, &mut reader).await;
        assert_eq!(lines.len(), 1, "{}: {lines:?}", shop.server.version());
        assert!(lines[0].starts_with("unreadable größe"), "{lines:?}");
        reader.close().await;
    }
}
