//! Log files of servers that are not ours. They are read where `TAILSTOCK_FIXTURES` says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::log::LogFile;

fn binlog(name: &str) -> Option<Vec<u8>> {
    let Some(fixtures) = std::env::var_os("TAILSTOCK_FIXTURES") else {
        println!("skipped: TAILSTOCK_FIXTURES does not name the folder of the fixtures");
        return None;
    };
    Some(std::fs::read(PathBuf::from(fixtures).join("binlogs").join(name)).unwrap())
}

/// How many changes of each sort a log has, and how many transactions with any.
fn count(bytes: &[u8], catalog: Catalog) -> BTreeMap<String, usize> {
    let any = CaptureTable { name: TableName::new("*", "*"), columns: Columns::All };
    let from = point(None);
    let mut decoder = Decoder::new(&from, Capture { tables: vec![any] }, catalog).unwrap();
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
    while let Some(frame) = file.read_event().unwrap() {
        decoder.event(&frame, &mut unpacker, &mut out, &mut see).unwrap();
    }
    see(out.take());
    found
}

/// What a catalog could say of the tables of a log: their columns in order, under any names.
fn defined(bytes: &[u8]) -> Catalog {
    let mut catalog = Catalog::default();
    let mut file = LogFile::open(bytes).unwrap();
    while let Some(frame) = file.read_event().unwrap() {
        let Event::TableMap(map) = frame.event().unwrap() else { continue };
        let columns = map.types.iter().enumerate().map(|(nth, _)| CatalogColumn {
            name: format!("column_{nth}"),
            column_type: String::new(),
            charset: Some("utf8mb4".to_owned()),
            is_key: nth == 0,
        });
        catalog.define(table::name_of(&map), columns.collect());
    }
    catalog
}

#[test]
fn a_log_of_mysql_5_7_comes_out_in_its_transactions() {
    let Some(log) = binlog("mysql-bin.checksum-crc32") else { return };
    let found = count(&log, defined(&log));
    let wanted = [("begin", 60), ("commit", 60), ("delete", 6), ("insert", 34), ("update", 23)];
    let wanted = wanted.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(found, BTreeMap::from(wanted));
}

#[test]
fn a_log_that_does_not_name_its_columns_is_unreadable_change_by_change() {
    let Some(log) = binlog("mysql-bin.checksum-crc32") else { return };
    let found = count(&log, Catalog::default());
    let wanted = [("begin", 60), ("commit", 60), ("unreadable", 63)];
    let wanted = wanted.map(|(kind, count)| (kind.to_owned(), count));
    assert_eq!(found, BTreeMap::from(wanted));
}

#[test]
fn a_compressed_transaction_of_mysql_8_comes_out() {
    let Some(log) = binlog("mysql-bin.compressed") else { return };
    let found = count(&log, Catalog::default());
    assert_eq!(found.get("begin"), Some(&1), "{found:?}");
    assert_eq!(found.get("commit"), Some(&1), "{found:?}");
    assert!(found["unreadable"] > 0, "{found:?}");
}
