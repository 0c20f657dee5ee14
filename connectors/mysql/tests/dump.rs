//! The binlog as servers send it.

use std::time::Instant;

use connector_api::Fault;
use connector_mysql::MysqlConfig;
use connector_mysql::log::Kind;
use connector_mysql::session::DumpFrom;
use testbed::{Mysql, MysqlOptions, MysqlVersion, mysql_or_skip};

use crate::support::dump::{Dump, changes};
use crate::support::{LIMIT, assert_error, config};

const VERSIONS: [MysqlVersion; 4] = [
    MysqlVersion::Mysql97,
    MysqlVersion::Mariadb105,
    MysqlVersion::Mariadb1011,
    MysqlVersion::Mariadb118,
];

fn start(version: MysqlVersion, test: &str) -> Option<Mysql> {
    let options = MysqlOptions::default().controlled().setting("max_allowed_packet", "128M");
    let server = mysql_or_skip(version, &options, test)?;
    server.execute("CREATE TABLE stock (id INT PRIMARY KEY, qty INT)").unwrap();
    Some(server)
}

fn as_root(server: &Mysql, rest: &str) -> MysqlConfig {
    config(&format!("{}?ssl-mode=disabled&{rest}", server.url("root", "shop")))
}

/// The file that is written to.
fn last_file(server: &Mysql) -> String {
    let files = server.query("SHOW BINARY LOGS").unwrap();
    files.last().unwrap()[0].clone().unwrap()
}

/// Removes the files before this one, which a server keeps until its engines are done with them.
fn purge_to(server: &Mysql, file: &str) {
    let deadline = Instant::now() + LIMIT;
    while server.value("SHOW BINARY LOGS").unwrap() != file {
        assert!(Instant::now() < deadline, "waited in vain for the end of what is before {file}");
        server.execute(&format!("PURGE BINARY LOGS TO '{file}'")).unwrap();
    }
}

/// All of a file and of what comes behind it.
fn all_of(file: &str) -> DumpFrom {
    DumpFrom { file: file.to_owned(), offset: 4, ends_with_the_log: true }
}

fn without_end(file: &str) -> DumpFrom {
    DumpFrom { ends_with_the_log: false, ..all_of(file) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_from_its_first_event_to_its_end() {
    for version in VERSIONS {
        let Some(server) = start(version, "a whole log") else { continue };
        let first = last_file(&server);
        for id in 1..=3 {
            server.execute(&format!("INSERT INTO stock VALUES ({id}, {id})")).unwrap();
        }
        // With its checksums switched off the server begins another file.
        server.execute("SET GLOBAL binlog_checksum = NONE").unwrap();
        server.execute("INSERT INTO stock VALUES (4, 4), (5, 5)").unwrap();
        let mut dump = Dump::open(&as_root(&server, ""), &all_of(&first)).await.unwrap();
        let events = dump.rest().await.unwrap();
        let kinds: Vec<Kind> = events.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds[..2], [Kind::ROTATE, Kind::FORMAT_DESCRIPTION], "{}", server.origin());
        assert_eq!(changes(&events), 4, "{}: {kinds:?}", server.origin());
        let gtid = if version.is_mariadb() { Kind::MARIADB_GTID } else { Kind::GTID };
        assert!(kinds.contains(&gtid), "{}: {kinds:?}", server.origin());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_row_passes() {
    for version in VERSIONS {
        let Some(server) = start(version, "a large row") else { continue };
        let first = last_file(&server);
        // An engine whose log is not the measure.
        server.execute("CREATE TABLE pictures (data LONGBLOB) ENGINE = MyISAM").unwrap();
        server.execute("INSERT INTO pictures VALUES (REPEAT('x', 41943040))").unwrap();
        server.execute("INSERT INTO stock VALUES (1, 1)").unwrap();
        let mut dump = Dump::open(&as_root(&server, ""), &all_of(&first)).await.unwrap();
        let events = dump.rest().await.unwrap();
        assert_eq!(changes(&events), 2, "{}", server.origin());
        let largest = events.iter().map(|(_, size)| *size).max().unwrap();
        assert!(largest > 41_943_040, "{}: {largest}", server.origin());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_nothing_to_say_says_so() {
    for version in VERSIONS {
        let Some(server) = start(version, "heartbeats") else { continue };
        let from = without_end(&last_file(&server));
        let mut dump = Dump::open(&as_root(&server, "heartbeat=1"), &from).await.unwrap();
        loop {
            let header = dump.next().await.unwrap().unwrap();
            if [Kind::HEARTBEAT, Kind::HEARTBEAT_V2].contains(&header.kind) {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_dumps_with_one_server_id_the_older_ends() {
    for version in VERSIONS {
        let Some(server) = start(version, "one server id twice") else { continue };
        let from = without_end(&last_file(&server));
        let config = as_root(&server, "heartbeat=1");
        let mut older = Dump::open(&config, &from).await.unwrap();
        while older.next().await.unwrap().unwrap().kind != Kind::QUERY {}
        let mut newer = Dump::open(&config, &from).await.unwrap();
        let told = loop {
            match older.next().await {
                Ok(_) => {}
                Err(told) => break told,
            }
        };
        let origin = server.origin();
        assert!(matches!(told.fault(), Fault::Operator { .. }), "{origin}: {told:?}");
        newer.next().await.unwrap();
        // Another one disturbs nobody.
        let other = MysqlConfig { server_id: 4712, ..config };
        let mut third = Dump::open(&other, &from).await.unwrap();
        third.next().await.unwrap();
        while newer.next().await.unwrap().unwrap().kind != Kind::QUERY {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_in_the_log_is_told() {
    for version in VERSIONS {
        let Some(server) = start(version, "places that are gone") else { continue };
        let first = last_file(&server);
        server.execute("FLUSH BINARY LOGS").unwrap();
        let second = last_file(&server);
        purge_to(&server, &second);
        let config = as_root(&server, "");
        let refused = async |from: DumpFrom| {
            let opened = Dump::open(&config, &from).await;
            let read = match opened {
                Ok(mut dump) => dump.rest().await.map(drop),
                Err(told) => Err(told),
            };
            read.expect_err(&format!("{}: {from:?}", server.origin()))
        };
        // The next survey sees what has become of them.
        assert_error(&refused(all_of(&first)).await, "(1236)", None);
        assert_error(&refused(all_of("elsewhere.000001")).await, "(1236)", None);
        let behind = DumpFrom { offset: 1 << 30, ..all_of(&second) };
        assert_error(&refused(behind).await, "(1236)", None);
        let between = refused(DumpFrom { offset: 5, ..all_of(&second) }).await;
        // What lies there is no event, whatever the server takes it for.
        assert_ne!(*between.fault(), Fault::Transient, "{}: {between}", server.origin());
        let far = refused(DumpFrom { offset: 5 << 32, ..all_of(&second) }).await;
        let told = if version.is_mariadb() { "4294967295 only" } else { "(1236)" };
        assert!(far.to_string().contains(told), "{}: {far}", server.origin());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_read_the_log_is_told_what_to_grant() {
    for version in VERSIONS {
        let Some(server) = start(version, "missing grants") else { continue };
        server.execute("CREATE USER reader@'%'").unwrap();
        server.execute("GRANT SELECT ON shop.* TO reader@'%'").unwrap();
        let from = all_of(&last_file(&server));
        let url = format!("mysql://reader@127.0.0.1:{}/shop?ssl-mode=disabled", server.port());
        let told = Dump::open(&config(&url), &from).await.err().unwrap();
        assert_error(&told, "streaming: Access denied", Some("GRANT REPLICATION SLAVE,"));
        server.execute(told.fix().unwrap()).unwrap();
        Dump::open(&config(&url), &from).await.unwrap().rest().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_log_is_told_to_write_one() {
    for version in VERSIONS {
        let options = MysqlOptions::default().without_binlog();
        let Some(server) = mysql_or_skip(version, &options, "no log") else { continue };
        let told = Dump::open(&as_root(&server, ""), &all_of("binlog.000001")).await.err().unwrap();
        assert_error(&told, "(1236)", Some("log_bin"));
    }
}
