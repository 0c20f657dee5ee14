//! How a distributed transaction of two phases stands in the logs of our servers: as two
//! transactions, each with a name of its own, and whatever was committed between them in between.

use connector_mysql::log::{Event, LogFile, MariadbGtid, XaPrepare};
use testbed::{Mysql, all_mysql_versions};

use super::server;
use crate::binlog::Recorded;

const WORK: &str = "
    xa start 'kept', 'here', 7; insert into held values (1, 1); xa end 'kept', 'here', 7;
    xa prepare 'kept', 'here', 7;";

const OTHER: &str = "insert into other values (1);";

const OTHERS: &str = "
    xa commit 'kept', 'here', 7;
    xa start 'dropped'; insert into held values (2, 2); xa end 'dropped'; xa prepare 'dropped';
    xa rollback 'dropped';
    xa start 'at once'; insert into held values (3, 3); xa end 'at once';
    xa commit 'at once' one phase;
    xa start 'nothing'; select count(*) from held; xa end 'nothing'; xa prepare 'nothing';
    xa rollback 'nothing';";

const MYSQL: &[&str] = &[
    "gtid",
    "XA START X'6b657074',X'68657265',7",
    "table held",
    "rows",
    "XA END X'6b657074',X'68657265',7",
    "prepared kept here 7",
    "gtid",
    "BEGIN",
    "table other",
    "rows",
    "xid",
    "gtid",
    "XA COMMIT X'6b657074',X'68657265',7",
    "gtid",
    "XA START X'64726f70706564',X'',1",
    "table held",
    "rows",
    "XA END X'64726f70706564',X'',1",
    "prepared dropped  1",
    "gtid",
    "XA ROLLBACK X'64726f70706564',X'',1",
    "gtid",
    "XA START X'6174206f6e6365',X'',1",
    "table held",
    "rows",
    "XA END X'6174206f6e6365',X'',1",
    "prepared at once  1, one phase",
];

const MARIADB: &[&str] = &[
    "gtid, prepares kept here 7",
    "table held",
    "rows",
    "XA END X'6b657074',X'68657265',7",
    "prepared kept here 7",
    "gtid",
    "table other",
    "rows",
    "xid",
    "gtid alone, completes kept here 7",
    "XA COMMIT X'6b657074',X'68657265',7",
    "gtid, prepares dropped  1",
    "table held",
    "rows",
    "XA END X'64726f70706564',X'',1",
    "prepared dropped  1",
    "gtid alone, completes dropped  1",
    "XA ROLLBACK X'64726f70706564',X'',1",
    "gtid",
    "table held",
    "rows",
    "xid",
];

#[test]
fn a_distributed_transaction_is_two_in_the_log_and_its_rows_are_in_the_first() {
    for version in all_mysql_versions() {
        let Some(server) = server(version, "distributed transactions") else { continue };
        let tables = "create table held (id int primary key, qty int);
                      create table other (id int primary key)";
        server.execute(tables).unwrap();
        let wanted = if version.is_mariadb() { MARIADB } else { MYSQL };
        assert_eq!(recorded(&server), wanted, "{version}");
    }
}

/// A branch that is prepared outlives its session, and whoever ends it is another one.
fn recorded(server: &Mysql) -> Vec<String> {
    let recorded = Recorded::of(server, || {
        server.execute(WORK).unwrap();
        server.execute(OTHER).unwrap();
        server.execute(OTHERS).unwrap();
    });
    let mut log = LogFile::open(&recorded.bytes[..]).unwrap();
    let mut lines = Vec::new();
    while let Some(frame) = log.read_event().unwrap() {
        lines.extend(line(&frame.event().unwrap()));
    }
    lines
}

fn line(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Gtid(_) => "gtid".to_owned(),
        Event::MariadbGtid(gtid) => of_mariadb(gtid),
        Event::Query(query) => {
            let text = query.text.bytes(&mut Vec::new()).unwrap().to_vec();
            String::from_utf8(text).unwrap()
        }
        Event::TableMap(map) => format!("table {}", String::from_utf8_lossy(map.table)),
        Event::Rows(_) => "rows".to_owned(),
        Event::Xid(_) => "xid".to_owned(),
        Event::XaPrepare(xa) => format!("prepared {}", name(xa)),
        _ => return None,
    })
}

fn of_mariadb(gtid: &MariadbGtid<'_>) -> String {
    let alone = if gtid.is_standalone { " alone" } else { "" };
    let what = match (gtid.prepares_xa, gtid.completes_xa, &gtid.xa) {
        (true, false, Some(xa)) => format!(", prepares {}", name(xa)),
        (false, true, Some(xa)) => format!(", completes {}", name(xa)),
        (false, false, None) => String::new(),
        other => panic!("{other:?}"),
    };
    format!("gtid{alone}{what}")
}

fn name(xa: &XaPrepare<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let one_phase = if xa.one_phase { ", one phase" } else { "" };
    format!("{} {} {}{one_phase}", text(xa.global), text(xa.branch), xa.format_id)
}
