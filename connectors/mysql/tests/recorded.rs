//! The logs of our own servers under everything a shop may do to them: each event that the server
//! lists is read, what is decoded makes a copy of the tables, and no damage goes unnoticed.

mod damage;
mod distributed;
mod served;
mod workload;

use connector_api::Columns;
use connector_mysql::log::{Event, Kind, LogFile, Unpacker};
use testbed::{Mysql, MysqlOptions, MysqlVersion, all_mysql_versions, mysql_or_skip};

use crate::binlog::{Catalog, Recorded, capture};
use crate::replica::Replica;
use workload::Way;

/// A server whose metadata can be changed, as all else.
fn server(version: MysqlVersion, test: &str) -> Option<Mysql> {
    let options = MysqlOptions::default().setting("sync_binlog", "0");
    let options = options.setting("innodb_flush_log_at_trx_commit", "0");
    mysql_or_skip(version, &options, test)
}

#[test]
fn every_event_that_a_server_lists_is_read_and_every_row_is_what_select_says() {
    for version in all_mysql_versions() {
        let test = "every event that a server lists";
        let Some(server) = server(version, test) else { continue };
        for way in Way::all(version) {
            let files = way.record(&server);
            for file in &files {
                for (listed, read) in listed(&server, file).iter().zip(&read(file)) {
                    assert_eq!(listed, read, "{way:?} of {version}");
                }
                assert_eq!(listed(&server, file).len(), read(file).len(), "{way:?} of {version}");
            }
            compare(&server, &way, &files);
        }
    }
}

/// Position, type and end of each event, as the server lists them. MariaDB writes a checkpoint of
/// its own into the last file when it comes to it, behind the copy perhaps.
fn listed(server: &Mysql, file: &Recorded) -> Vec<String> {
    let mut rows = server.query(&format!("show binlog events in '{}'", file.file)).unwrap();
    let end = |row: &Vec<Option<String>>| row[4].as_ref().unwrap().parse::<usize>().unwrap();
    rows.retain(|row| end(row) <= file.bytes.len());
    let shown = |row: &Vec<Option<String>>| {
        let text = |nth: usize| row[nth].clone().unwrap_or_default();
        format!("{} {} {}", text(1), text(2), text(4))
    };
    rows.iter().map(shown).collect()
}

/// The same, as the log layer reads them.
fn read(file: &Recorded) -> Vec<String> {
    let mut log = LogFile::open(&file.bytes[..]).unwrap();
    let mut unpacker = Unpacker::default();
    let mut found = Vec::new();
    loop {
        let begin = log.position();
        let Some(frame) = log.read_event().unwrap() else { break };
        let end = frame.header.next_position;
        let kind = frame.header.kind;
        let event = frame.event().unwrap();
        assert!(!matches!(event, Event::Unknown(_)), "{kind}");
        found.push(format!("{begin} {} {end}", server_name(kind)));
        if let Event::TransactionPayload(payload) = event {
            let mut events = payload.events(&mut unpacker).unwrap();
            while let Some(frame) = events.read_event().unwrap() {
                frame.event().unwrap();
                found.push(format!("{end} {} {end}", server_name(frame.header.kind)));
            }
        }
    }
    found
}

/// What `SHOW BINLOG EVENTS` calls it.
fn server_name(kind: Kind) -> String {
    let name = kind.name().unwrap();
    match kind {
        Kind::FORMAT_DESCRIPTION => return "Format_desc".to_owned(),
        Kind::XA_PREPARE => return "XA_prepare".to_owned(),
        Kind::INTVAR => return "Intvar".to_owned(),
        Kind::USER_VAR => return "User var".to_owned(),
        Kind::GTID_TAGGED => return "Gtid_tagged_log_event".to_owned(),
        Kind::ANONYMOUS_GTID => return "Anonymous_Gtid".to_owned(),
        _ => {}
    }
    let name = name.strip_prefix("MARIADB_").unwrap_or(name).to_lowercase();
    name[..1].to_uppercase() + &name[1..]
}

/// Tables that could be read are what `SELECT` says; which could not is what was to be expected.
fn compare(server: &Mysql, way: &Way, files: &[Recorded]) {
    let everything = capture(server, Columns::All);
    let batches = Recorded::decode_all(files, everything, Catalog::default()).unwrap();
    let replica = Replica::of(&batches);
    let unreadable: Vec<&str> = replica.unreadable.keys().map(String::as_str).collect();
    assert_eq!(unreadable, way.unreadable(server.version()), "{:?}", replica.unreadable);
    for table in way.readable(server.version()) {
        replica.assert_same(server, table);
    }
    assert_eq!(replica.changes, way.changes(server.version()), "{way:?} of {}", server.version());
}
