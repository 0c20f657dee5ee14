//! Log files of servers that are not ours. They are read where `TAILSTOCK_FIXTURES` says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::log::LogFile;

/// How many changes of each sort a log has, and how many transactions with any.
fn count(name: &str) -> Option<BTreeMap<String, usize>> {
    let Some(fixtures) = std::env::var_os("TAILSTOCK_FIXTURES") else {
        println!("skipped: TAILSTOCK_FIXTURES does not name the folder of the fixtures");
        return None;
    };
    let bytes = std::fs::read(PathBuf::from(fixtures).join("binlogs").join(name)).unwrap();
    let any = CaptureTable { name: TableName::new("*", "*"), columns: Columns::All };
    let from = point(None);
    let catalog = Catalog::default();
    let mut decoder = Decoder::new(&from, Capture { tables: vec![any] }, catalog).unwrap();
    let mut out = BatchBuilder::new(&from.position);
    let mut file = LogFile::open(&bytes[..]).unwrap();
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
    Some(found)
}

#[test]
fn a_log_of_mysql_5_7_comes_out_in_its_transactions() {
    let Some(found) = count("mysql-bin.checksum-crc32") else { return };
    // Nobody says the names of its columns.
    assert_eq!(found.get("begin"), Some(&60));
    assert_eq!(found.get("commit"), Some(&60));
    assert!(found["unreadable"] >= 60, "{found:?}");
}

#[test]
fn a_compressed_transaction_of_mysql_8_comes_out() {
    let Some(found) = count("mysql-bin.compressed") else { return };
    assert_eq!(found.get("begin"), Some(&1), "{found:?}");
    assert_eq!(found.get("commit"), Some(&1), "{found:?}");
}
