//! What a stream makes of real logs: shapes that change, files that go, statements as text.

use std::time::Duration;

use connector_api::{Connector as _, Continuity, ResumePoint};
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{MysqlOptions, MysqlVersion, all_mysql_versions};

use crate::support::{Reader, Shop, assert_error, within};

fn bare() -> MysqlOptions {
    MysqlOptions::default().setting("binlog_row_metadata", "MINIMAL")
}

fn each_shop<'t>(options: &'t MysqlOptions, test: &'t str) -> impl Iterator<Item = Shop> + 't {
    let start = move |version| Shop::start_with(version, options, test);
    all_mysql_versions().into_iter().filter_map(start)
}

async fn continuity(shop: &Shop, point: &ResumePoint) -> Continuity {
    let capture = point.capture.clone();
    let connector = shop.connector();
    let survey = within("a survey", connector.survey(&capture, Some(point))).await.unwrap();
    survey.continuity
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_begins_with_the_file_that_is_named() {
    for shop in each_shop(&MysqlOptions::default(), "a_first_start_begins_with_the_file") {
        shop.sql("insert into stock values (1, 10, 'a'); flush binary logs");
        let listed = shop.server.query("show binary logs").unwrap();
        let file = listed.last().unwrap()[0].clone().unwrap();
        shop.sql("insert into stock values (2, 20, 'b'); flush binary logs");
        shop.sql("insert into stock values (3, 30, 'c')");
        let mut config = shop.config();
        config.first_file = Some(file.parse().unwrap());
        let (connector, capture) = (MysqlConnector::new(config.clone()), shop.tables(&["stock"]));
        let survey = within("a survey", connector.survey(&capture, None)).await.unwrap();
        let Continuity::Adopted(position) = survey.continuity else {
            panic!("{:?}", survey.continuity)
        };
        let (lineage, coverage) = (survey.lineage, survey.coverage);
        let layouts = Vec::new();
        let point = ResumePoint { lineage, position, partial: None, capture, coverage, layouts };
        let mut reader = shop.resume(point).await;
        let rows = ["insert stock #0 id=2 qty=20 note='b'", "insert stock #0 id=3 qty=30 note='c'"];
        reader.expect(&rows).await;
        let point = reader.close().await;
        // The head of the file has said what came before.
        let known = if shop.is_mariadb() { "/mariadb=" } else { "/mysql=" };
        assert!(point.position.as_str().contains(known), "{}", point.position);
        assert_eq!(continuity(&shop, &point).await, Continuity::Intact);
        config.first_file = Some("binlog.009999".parse().unwrap());
        let error = MysqlConnector::new(config).survey(&point.capture, None).await.unwrap_err();
        assert_error(&error, "binlog.009999, which the server has not", Some("SHOW BINARY LOGS"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_before_and_behind_a_change_of_columns_keep_their_names_over_a_restart() {
    for shop in each_shop(&bare(), "rows_before_and_behind_a_change_of_columns") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 10, 'a')");
        reader.expect(&["insert stock #0 id=1 qty=10 note='a'"]).await;
        let point = reader.close().await;
        assert_eq!(point.layouts.len(), 1, "{:?}", point.layouts);
        shop.sql("insert into stock values (2, 20, 'b')");
        shop.sql("alter table stock add column first_of_all int not null default 7 first");
        shop.sql("insert into stock values (8, 3, 30, 'c')");
        let mut reader = shop.resume(point).await;
        reader.expect(&["insert stock #0 id=2 qty=20 note='b'"]).await;
        // The rows that were there have it too.
        let [rest, shape, row] = [reader.line().await, reader.line().await, reader.line().await];
        assert!(rest.starts_with("unreadable stock #0 its rows were rewritten"), "{rest}");
        assert!(shape.starts_with("schema stock (first_of_all int"), "{shape}");
        assert_eq!(row, "insert stock #0 first_of_all=8 id=3 qty=30 note='c'");
        assert_eq!(reader.point.layouts[0].columns[0].name, "first_of_all");
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_between_two_changes_that_nobody_saw_are_unreadable_and_say_what_to_do() {
    for shop in each_shop(&bare(), "rows_between_two_changes") {
        let point = shop.stream(&["stock"]).await.close().await;
        shop.sql("alter table stock rename column note to remark");
        shop.sql("insert into stock values (1, 10, 'a')");
        shop.sql("create table away (id int); alter table stock add column more int");
        shop.sql("insert into stock values (2, 20, 'b', 9)");
        let mut reader = shop.resume(point).await;
        let [renamed, line, added] =
            [reader.line().await, reader.line().await, reader.line().await];
        assert!(line.starts_with("unreadable stock #0"), "{line}");
        assert!(line.contains("altered again"), "{line}");
        assert!(line.contains("binlog_row_metadata=FULL"), "{line}");
        for line in [renamed, added] {
            assert!(line.starts_with("unreadable stock #0 its rows were rewritten"), "{line}");
        }
        reader.expect(&["insert stock #0 id=2 qty=20 remark='b' more=9"]).await;
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_swapped_for_its_copy_is_read_by_the_copys_columns() {
    for shop in each_shop(&bare(), "a_table_that_is_swapped") {
        let mut reader = shop.stream(&["stock"]).await;
        // As gh-ost and pt-online-schema-change do.
        shop.sql("create table _stock_new like stock; alter table _stock_new add column ean int");
        shop.sql("insert into stock values (1, 10, 'a')");
        shop.sql("insert into _stock_new select id, qty, note, 5 from stock");
        shop.sql("rename table stock to _stock_old, _stock_new to stock");
        shop.sql("update stock set qty = 11");
        reader.expect(&["insert stock #0 id=1 qty=10 note='a'"]).await;
        // Out of the way, and into its place.
        reader.expect(&["Replaced stock #0", "Replaced stock #1"]).await;
        let shape = reader.line().await;
        assert!(shape.starts_with("schema stock (id* int") && shape.contains("ean"), "{shape}");
        let update = "update stock #0 [id=1 qty=10 note='a' ean=5] id=1 qty=11 note='a' ean=5";
        reader.expect(&[update]).await;
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_over_restarts_rotations_and_files_that_are_not_needed_any_more() {
    for shop in each_shop(&bare(), "a_stream_goes_on_over_restarts") {
        let mut point = shop.stream(&["stock"]).await.close().await;
        for id in 0..4 {
            shop.sql(&format!("insert into stock values ({id}, 1, 'a')"));
            match id {
                0 => shop.sql("flush binary logs"),
                1 => {
                    shop.server.stop().unwrap();
                    shop.server.start_again().unwrap();
                }
                2 => {
                    shop.server.kill().unwrap();
                    shop.server.start_again().unwrap();
                }
                _ => {}
            }
            shop.sql(&format!("insert into stock values (1{id}, 1, 'b')"));
            assert_eq!(continuity(&shop, &point).await, Continuity::Intact);
            let mut reader = shop.resume(point).await;
            let rows = [
                format!("insert stock #0 id={id} qty=1 note='a'"),
                format!("insert stock #0 id=1{id} qty=1 note='b'"),
            ];
            reader.expect(&[&rows[0], &rows[1]]).await;
            point = reader.close().await;
            let file = point.position.as_str().split('/').nth(1).unwrap().to_owned();
            shop.sql(&format!("purge binary logs to '{file}'"));
        }
    }
}

/// Removes all files of the log but a new one, once nobody reads them any more.
pub fn purge(shop: &Shop) {
    shop.wait_until(
        "select count(*) = 0 from information_schema.processlist where command like 'Binlog Dump%'",
    );
    shop.sql("flush binary logs");
    loop {
        let mut files = shop.server.query("show binary logs").unwrap();
        let newest = files.pop().unwrap();
        if files.is_empty() {
            return;
        }
        // MariaDB keeps a file until its engines have been told of the last transaction in it.
        shop.sql(&format!("purge binary logs to '{}'", newest[0].as_deref().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_file_whose_transactions_were_all_read_is_no_gap() {
    let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
    for shop in each_shop(&options, "a_purged_file_whose_transactions_were_all_read") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 10, 'a')");
        reader.line().await;
        let point = reader.close().await;
        purge(&shop);
        shop.sql("insert into stock values (2, 20, 'b')");
        let found = continuity(&shop, &point).await;
        assert!(
            matches!(&found, Continuity::Renumbered { reason, .. } if reason.contains("purged"))
        );
        let mut reader = shop.resume(point).await;
        reader.expect(&["insert stock #0 id=2 qty=20 note='b'"]).await;
        let point = reader.close().await;
        assert_eq!(continuity(&shop, &point).await, Continuity::Intact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_what_was_not_read_is_a_gap() {
    for shop in each_shop(&bare(), "a_log_that_lost_what_was_not_read") {
        let point = shop.stream(&["stock"]).await.close().await;
        shop.sql("insert into stock values (1, 10, 'a')");
        purge(&shop);
        let found = continuity(&shop, &point).await;
        let purged =
            matches!(&found, Continuity::Broken { reason, .. } if reason.contains("purged"));
        assert!(purged, "{found:?}");

        let point = shop.stream(&["stock"]).await.close().await;
        let modern = shop.server.version() == MysqlVersion::Mysql97;
        // The next second has a file of its own name.
        shop.wait_until("select sleep(1.1) = 0");
        shop.sql(if modern { "reset binary logs and gtids" } else { "reset master" });
        shop.sql("insert into stock values (2, 20, 'b')");
        let found = continuity(&shop, &point).await;
        assert!(matches!(&found, Continuity::Broken { .. }), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_same_number_takes_over_and_the_older_one_says_so() {
    for shop in each_shop(&bare(), "a_reader_of_the_same_number") {
        let mut older = shop.stream(&["stock"]).await;
        let mut newer = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 10, 'a')");
        newer.expect(&["insert stock #0 id=1 qty=10 note='a'"]).await;
        let error = older.failure().await;
        assert!(matches!(error.fault(), connector_api::Fault::Operator { .. }), "{error:?}");
        newer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_every_engine_and_compression_arrive_alike() {
    let test = "rows_of_every_engine_and_compression";
    for version in all_mysql_versions() {
        let packed = match version {
            MysqlVersion::Mysql97 => ("binlog_transaction_compression", "ON"),
            _ => ("log_bin_compress", "ON"),
        };
        let options = bare().setting(packed.0, packed.1);
        let Some(shop) = Shop::start_with(version, &options, test) else { continue };
        for engine in ["InnoDB", "MyISAM", if shop.is_mariadb() { "Aria" } else { "MEMORY" }] {
            shop.sql(&format!(
                "drop table if exists hall;
                 create table hall (id int primary key, qty int, note varchar(900)) engine={engine}"
            ));
            let mut reader = shop.stream(&["hall"]).await;
            shop.sql("insert into hall values (1, 1, repeat('x', 900)), (2, 2, null)");
            shop.sql("update hall set qty = qty + 5 where id = 2");
            shop.sql("delete from hall where id = 1");
            reader
                .expect(&[
                    "insert hall #0 id=1 qty=1 note=text of 900",
                    "insert hall #1 id=2 qty=2 note=null",
                    "update hall #0 [id=2 qty=2 note=null] id=2 qty=7 note=null",
                    "delete hall #0 [id=1 qty=1 note=text of 900]",
                ])
                .await;
            reader.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_as_text_is_unreadable_and_the_rows_behind_it_go_on() {
    let options = bare().setting("binlog_format", "STATEMENT");
    for shop in each_shop(&options, "a_change_as_text") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 10, 'a')");
        shop.sql("set session binlog_format = 'ROW'; insert into stock values (2, 20, 'b')");
        let line = reader.line().await;
        assert!(line.starts_with("unreadable stock #0"), "{line}");
        reader.expect(&["insert stock #0 id=2 qty=20 note='b'"]).await;
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_many_packets_passes_and_a_silent_server_is_noticed() {
    let options = bare().setting("max_allowed_packet", "64M");
    for shop in each_shop(&options, "a_row_of_many_packets") {
        shop.sql("create table big (id int primary key, body longblob)");
        let mut reader: Reader = shop.stream(&["big"]).await;
        shop.sql("insert into big values (1, repeat('x', 20000000))");
        let line = reader.line().await;
        assert!(line.starts_with("insert big #0 id=1 body=bytes"), "{}", &line[..60]);
        // Heartbeats come every second: silence of three of them is a dead server.
        let process = shop.server.process_id().unwrap();
        let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
        let error = reader.failure().await;
        rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
        assert!(error.to_string().contains("silent for 3 s"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distributed_transaction_counts_when_it_is_committed_however_late() {
    let test = "a_distributed_transaction_counts";
    // A server takes no setting that it does not know.
    let packed = bare().setting("loose_binlog_transaction_compression", "ON");
    let packed = packed.setting("loose_log_bin_compress", "ON");
    for shop in each_shop(&bare(), test).chain(each_shop(&packed, test)) {
        let mut reader = shop.stream(&["stock"]).await;
        for (name, id) in [("kept", 1), ("dropped", 2), ("late", 3)] {
            let row = format!("insert into stock values ({id}, 10, '{name}')");
            shop.sql(&format!("xa start '{name}'; {row}; xa end '{name}'; xa prepare '{name}'"));
        }
        shop.sql("insert into stock values (4, 40, 'between')");
        reader.expect(&["insert stock #0 id=4 qty=40 note='between'"]).await;
        shop.sql("xa commit 'kept'; xa rollback 'dropped'");
        reader.expect(&["insert stock #0 id=1 qty=10 note='kept'"]).await;
        let point = reader.close().await;
        shop.sql("flush binary logs");
        shop.server.stop().unwrap();
        shop.server.start_again().unwrap();
        shop.sql("xa commit 'late'; insert into stock values (5, 50, 'behind')");
        let mut reader = shop.resume(point).await;
        reader
            .expect(&[
                "insert stock #0 id=3 qty=10 note='late'",
                "insert stock #0 id=5 qty=50 note='behind'",
            ])
            .await;
        let point = reader.close().await;
        assert!(!point.position.as_str().contains("xa="), "{}", point.position);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distributed_transaction_whose_log_is_purged_leaves_no_table_unmarked() {
    for shop in each_shop(&bare(), "a_distributed_transaction_whose_log_is_purged") {
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("xa start 'x'; insert into stock values (1, 10, 'a'); xa end 'x'; xa prepare 'x'");
        shop.sql("insert into stock values (2, 20, 'b')");
        reader.expect(&["insert stock #0 id=2 qty=20 note='b'"]).await;
        shop.sql("flush binary logs");
        shop.sql("insert into stock values (3, 30, 'c')");
        reader.expect(&["insert stock #0 id=3 qty=30 note='c'"]).await;
        let point = reader.close().await;
        purge(&shop);
        let mut reader = shop.resume(point).await;
        shop.sql("xa commit 'x'; insert into stock values (4, 40, 'd')");
        let line = reader.line().await;
        assert!(line.starts_with("unreadable stock #0"), "{line}");
        reader.expect(&["insert stock #0 id=4 qty=40 note='d'"]).await;
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distributed_transaction_of_other_tables_is_never_read_again() {
    for shop in each_shop(&bare(), "a_distributed_transaction_of_other_tables") {
        shop.sql("create table other (id int primary key)");
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("xa start 'x'; insert into other values (1); xa end 'x'; xa prepare 'x'");
        shop.sql("insert into stock values (2, 20, 'b')");
        reader.expect(&["insert stock #0 id=2 qty=20 note='b'"]).await;
        let point = reader.close().await;
        // Where it stood nothing can be read any more.
        shop.sql("flush binary logs; insert into stock values (3, 30, 'c')");
        let mut reader = shop.resume(point).await;
        reader.expect(&["insert stock #0 id=3 qty=30 note='c'"]).await;
        let point = reader.close().await;
        purge(&shop);
        let mut reader = shop.resume(point).await;
        shop.sql("xa commit 'x'; insert into stock values (4, 40, 'd')");
        reader.expect(&["insert stock #0 id=4 qty=40 note='d'"]).await;
        reader.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_closed_leaves_no_dump_on_the_server() {
    for shop in each_shop(&bare(), "a_stream_that_is_closed") {
        // The server itself would notice when it next has something to send.
        let config = MysqlConfig { heartbeat: Duration::from_secs(300), ..shop.config() };
        let connector = MysqlConnector::new(config);
        Reader::start(&connector, shop.tables(&["stock"])).await.close().await;
        shop.wait_until(
            "select count(*) = 0 from information_schema.processlist \
             where command like 'Binlog Dump%'",
        );
    }
}

/// It has replicated since it was seeded, and nothing it lists says that it lacks what came before.
#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_mariadb_that_lacks_what_was_not_read_is_a_gap() {
    for version in all_mysql_versions() {
        let start = || Shop::start_with(version, &MysqlOptions::default(), "a seeded replica");
        let (Some(shop), Some(seeded)) = (start(), start()) else { continue };
        if !shop.is_mariadb() {
            continue;
        }
        let mut reader = shop.stream(&["stock"]).await;
        shop.sql("insert into stock values (1, 10, 'a')");
        reader.line().await;
        let point = reader.close().await;
        let (_, read) = point.position.as_str().split_once("/mariadb=").unwrap();
        let parts: Vec<u64> = read.split('-').map(|part| part.parse().unwrap()).collect();
        let [_, server, sequence] = parts[..] else { panic!("{read}") };
        let mut session = crate::support::OpenSession::start(&seeded.config()).await;
        for (skipped, proves) in [(2, false), (0, true)] {
            seeded.sql("reset master");
            for (sequence, id) in [(sequence + skipped, 1), (sequence + skipped + 1, 2)] {
                session.execute(&format!("set server_id = {server}")).await;
                session.execute(&format!("set gtid_seq_no = {sequence}")).await;
                session.execute(&format!("replace into stock values ({id}, {skipped}, 'b')")).await;
            }
            let found = continuity(&seeded, &point).await;
            let is_proved = matches!(&found, Continuity::Renumbered { .. });
            assert_eq!(is_proved, proves, "{found:?} on {}", shop.server.version());
            let is_told =
                matches!(&found, Continuity::Broken { reason, .. } if reason.contains("(1236)"));
            assert_eq!(is_told, !proves, "{found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_transaction_than_the_one_that_was_partly_read_is_a_gap() {
    let version = MysqlVersion::Mysql97;
    let start = || Shop::start_with(version, &MysqlOptions::default(), "another transaction");
    let (Some(shop), Some(other)) = (start(), start()) else { return };
    let mut reader = shop.stream(&["stock"]).await;
    shop.sql("insert into stock values (1, 10, 'a')");
    reader.line().await;
    let point = reader.close().await;
    let (_, read) = point.position.as_str().split_once("/mysql=").unwrap();
    let (uuid, last) = read.split_once(":1-").unwrap();
    let next = last.parse::<u64>().unwrap() + 1;
    other.sql(&format!("reset binary logs and gtids; set global gtid_purged = '{read}'"));
    let open = |number: u64| {
        let partial = Some(connector_api::Partial { txid: format!("{uuid}:{number}"), rows: 3 });
        ResumePoint { partial, ..point.clone() }
    };
    let reason = |found: Continuity| match found {
        Continuity::Broken { reason, .. } => reason,
        found => panic!("{found:?}"),
    };
    let ends = reason(continuity(&other, &open(next)).await);
    assert!(ends.contains("its log ends where 3 changes of"), "{ends}");
    let mut session = crate::support::OpenSession::start(&other.config()).await;
    session.execute(&format!("set gtid_next = '{uuid}:{next}'")).await;
    session.execute("insert into stock values (2, 20, 'b')").await;
    for point in [open(next), point.clone()] {
        let found = continuity(&other, &point).await;
        assert!(matches!(found, Continuity::Renumbered { .. }), "{found:?}");
    }
    let goes_on = reason(continuity(&other, &open(next + 1)).await);
    assert!(
        goes_on.contains(&format!("goes on with transaction {uuid}:{next} where")),
        "{goes_on}"
    );
}
