//! Log files of servers that are not ours. They are read where `TAILSTOCK_FIXTURES` says.

use std::collections::BTreeMap;

use connector_api::ColumnLayout;

use super::*;
use crate::fixtures::binlog;
use crate::log::{LogFile, TableMap, Unpacker};

/// How many changes of each sort a log has, and how many transactions with any.
fn count(bytes: &[u8], is_defined: bool) -> BTreeMap<String, usize> {
    let any = CaptureTable { name: TableName::new("*", "*"), columns: Columns::All };
    let from = point(None);
    let capture = Capture { tables: vec![any] };
    let mut decoder = Decoder::new(&from, capture, Catalog::default()).unwrap();
    let mut out = BatchBuilder::new(&from.position);
    let mut file = LogFile::open(bytes).unwrap();
    let mut unpacker = Unpacker::default();
    let mut found = BTreeMap::new();
    let mut see = |batch: Batch| {
        for line in lines(&[batch]) {
            let kind = line.trim_start_matches(|it: char| it.is_ascii_digit() || it == ' ');
            let kind = kind.split(' ').next().unwrap_or_default();
            *found.entry(kind.to_owned()).or_default() += 1;
        }
    };
    let mut hand_over = |frame: &Frame<'_>| loop {
        let table = match decoder.event(frame, &mut out, &mut see).unwrap() {
            Decoded::Lacks(table) | Decoded::LacksTypes(table) => table,
            Decoded::Full => {
                see(out.take());
                continue;
            }
            Decoded::Suspects => {
                decoder.suspects(Suspects::default());
                continue;
            }
            _ => return,
        };
        let known = is_defined.then(|| frame.event().unwrap());
        let answer = match known {
            Some(Event::TableMap(map)) => Ok(layout(&map)),
            _ => Err("nobody knows".to_owned()),
        };
        decoder.answer(table, answer, &mut out);
    };
    while let Some(frame) = file.read_event().unwrap() {
        hand_over(&frame);
        if let Event::TransactionPayload(payload) = frame.event().unwrap() {
            let mut inside = payload.events(&mut unpacker).unwrap();
            while let Some(frame) = inside.read_event().unwrap() {
                hand_over(&frame);
            }
        }
    }
    see(out.take());
    found
}

/// Says of a table what a catalog could: its columns in order, under any names.
fn layout(map: &TableMap<'_>) -> TableLayout {
    let columns = map.columns().unwrap();
    let columns = columns.iter().enumerate().map(|(nth, column)| ColumnLayout {
        name: format!("column_{nth}"),
        type_name: match catalog::real_kind(column) {
            247 => "enum('a','b','c','d','e','f')".to_owned(),
            248 => "set('a','b','c','d','e','f')".to_owned(),
            _ => "anything".to_owned(),
        },
        charset: Some("utf8mb4".to_owned()),
        is_key: nth == 0,
    });
    TableLayout { name: table::name_of(map), id: None, columns: columns.collect() }
}

#[test]
fn a_log_of_mysql_5_7_comes_out_in_its_transactions() {
    let Some(log) = binlog("mysql-bin.checksum-crc32") else { return };
    let found = count(&log, true);
    let wanted = [("begin", 60), ("commit", 60), ("delete", 6), ("insert", 34), ("update", 23)];
    let wanted = wanted.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(found, BTreeMap::from(wanted));
}

#[test]
fn a_log_that_does_not_name_its_columns_is_unreadable_change_by_change() {
    let Some(log) = binlog("mysql-bin.checksum-crc32") else { return };
    let found = count(&log, false);
    let wanted = [("begin", 60), ("commit", 60), ("unreadable", 63)];
    let wanted = wanted.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(found, BTreeMap::from(wanted));
}

#[test]
fn a_compressed_transaction_of_mysql_8_comes_out() {
    let Some(log) = binlog("mysql-bin.compressed") else { return };
    let found = count(&log, false);
    assert_eq!(found.get("begin"), Some(&1), "{found:?}");
    assert_eq!(found.get("commit"), Some(&1), "{found:?}");
    assert!(found["unreadable"] > 0, "{found:?}");
}

#[test]
fn a_log_of_mysql_5_5_comes_out_whole() {
    let Some(log) = binlog("mysql-bin.sakila.gz") else { return };
    // Every row of the sample database; two of its tables come in two blocks each, and a
    // table of MyISAM ends with a COMMIT.
    let wanted = [("begin", 18), ("commit", 16), ("insert", 47_273)];
    let wanted = wanted.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(count(&log, true), BTreeMap::from(wanted));
}

#[test]
fn a_log_of_aurora_tells_progress() {
    let Some(log) = binlog("mysql-bin.aurora-padding") else { return };
    assert_eq!(count(&log, true), BTreeMap::new());
}
