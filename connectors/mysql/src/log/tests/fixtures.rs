//! Log files of servers that are not ours. They are read where `TAILSTOCK_FIXTURES` says.

use std::collections::BTreeMap;

use connector_api::Result;

use super::super::*;
use crate::fixtures::binlog;

/// What a log says, as far as it is about rows: how often each type, and the rows themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kinds: BTreeMap<u8, usize>,
    pub(super) inside: BTreeMap<u8, usize>,
    pub(super) rows: u64,
    pub(super) tables: Vec<String>,
}

impl Told {
    pub(super) fn of(log: &[u8]) -> Result<(Self, Ending)> {
        let mut file = LogFile::open(log)?;
        let mut told = Self::default();
        let mut unpacker = Unpacker::default();
        while let Some(frame) = file.read_event()? {
            *told.kinds.entry(frame.header.kind.0).or_default() += 1;
            match frame.event()? {
                Event::TransactionPayload(payload) => {
                    let mut events = payload.events(&mut unpacker)?;
                    while let Some(frame) = events.read_event()? {
                        *told.inside.entry(frame.header.kind.0).or_default() += 1;
                        told.hear(&frame.event()?)?;
                    }
                }
                event => told.hear(&event)?,
            }
        }
        Ok((told, file.ending()))
    }

    fn hear(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::TableMap(map) => {
                let mut columns = map.columns()?;
                map.describe(&mut columns)?;
                let schema = String::from_utf8_lossy(map.schema);
                let table = String::from_utf8_lossy(map.table);
                self.tables.push(format!("{schema}.{table} {columns:?}"));
            }
            Event::Rows(rows) => {
                let mut room = Vec::new();
                let data = rows.data.bytes(&mut room)?;
                let shape = format!("{:?} {:?} {:?}", rows.op, rows.before, rows.after);
                let sum = crc32fast::hash(shape.as_bytes()) ^ crc32fast::hash(data);
                self.rows = self.rows.wrapping_mul(31).wrapping_add(u64::from(sum));
            }
            _ => {}
        }
        Ok(())
    }
}

fn kinds<const N: usize>(expected: [(Kind, usize); N]) -> BTreeMap<u8, usize> {
    expected.into_iter().map(|(kind, count)| (kind.0, count)).collect()
}

#[test]
fn a_log_of_mysql_5_5_without_checksums_is_read_whole() {
    let Some(log) = binlog("mysql-bin.sakila.gz") else { return };
    let (told, ending) = Told::of(&log).unwrap();
    let expected = kinds([
        (Kind::FORMAT_DESCRIPTION, 1),
        (Kind::QUERY, 54),
        (Kind::TABLE_MAP, 18),
        (Kind::WRITE_ROWS_V1, 1374),
        (Kind::XID, 15),
    ]);
    assert_eq!(told.kinds, expected);
    assert_eq!(told.kinds.values().sum::<usize>(), 1462);
    assert_eq!(ending, Ending::Open);
    assert!(told.tables.iter().any(|table| table.starts_with("sakila.inventory ")));
}

#[test]
fn a_log_of_mysql_5_7_is_read_whole_and_every_checksum_is_right() {
    let Some(log) = binlog("mysql-bin.checksum-crc32") else { return };
    let (told, ending) = Told::of(&log).unwrap();
    let expected = kinds([
        (Kind::FORMAT_DESCRIPTION, 1),
        (Kind::PREVIOUS_GTIDS, 1),
        (Kind::ANONYMOUS_GTID, 60),
        (Kind::QUERY, 60),
        (Kind::TABLE_MAP, 60),
        (Kind::WRITE_ROWS, 34),
        (Kind::UPDATE_ROWS, 20),
        (Kind::DELETE_ROWS, 6),
        (Kind::XID, 60),
        (Kind::ROTATE, 1),
    ]);
    assert_eq!(told.kinds, expected);
    assert_eq!(ending, Ending::Rotated);
}

#[test]
fn a_compressed_transaction_of_mysql_8_is_unpacked_into_its_events() {
    let Some(log) = binlog("mysql-bin.compressed") else { return };
    let (told, ending) = Told::of(&log).unwrap();
    let expected = kinds([
        (Kind::FORMAT_DESCRIPTION, 1),
        (Kind::PREVIOUS_GTIDS, 1),
        (Kind::ANONYMOUS_GTID, 1),
        (Kind::TRANSACTION_PAYLOAD, 1),
        (Kind::ROTATE, 1),
    ]);
    assert_eq!(told.kinds, expected);
    let inside =
        kinds([(Kind::QUERY, 1), (Kind::TABLE_MAP, 1), (Kind::UPDATE_ROWS, 1), (Kind::XID, 1)]);
    assert_eq!(told.inside, inside);
    assert!(told.tables[0].contains(".movies "), "{}", told.tables[0]);
    assert_eq!(ending, Ending::Rotated);
}

#[test]
fn what_aurora_pads_its_log_with_is_passed_over() {
    let Some(log) = binlog("mysql-bin.aurora-padding") else { return };
    let mut file = LogFile::open(&log[..]).unwrap();
    let mut padding = 0;
    let mut last = None;
    while let Some(frame) = file.read_event().unwrap() {
        let bytes = frame.header.size;
        match frame.event().unwrap() {
            Event::Ignored(Kind(100)) => padding += bytes,
            Event::Query(query) => last = Some(query.text.bytes(&mut Vec::new()).unwrap().to_vec()),
            Event::Unknown(kind) => panic!("{kind}"),
            _ => {}
        }
    }
    assert_eq!(padding, 928);
    assert_eq!(last.unwrap(), b"BEGIN");
    assert_eq!(file.position(), log.len() as u64);
    let format = file.format().unwrap();
    assert_eq!((format.server_version.as_str(), format.has_checksums), ("5.7.12-log", true));
}

#[test]
fn what_is_not_a_binlog_is_refused_by_what_it_is() {
    let gzip = LogFile::open(&[0x1f, 0x8b, 8, 0, 0][..]).unwrap_err();
    assert!(gzip.to_string().contains("gzip"), "{gzip}");
    let encrypted = LogFile::open(&b"\xfdbin\0\0"[..]).unwrap_err();
    assert!(encrypted.fix().is_some_and(|fix| fix.contains("--raw")));
    for other in [&b""[..], b"\xfebi", b"hello"] {
        let error = LogFile::open(other).unwrap_err();
        assert!(error.to_string().contains("not a binlog"), "{error}");
    }
}
