//! Where transactions begin and end.

use super::encode::{Log, inside, payload, query, rows_head, stock, table_map};
use super::*;
use crate::log::Kind;
use crate::position::GtidSet;

#[test]
fn a_transaction_of_mysql_says_who_when_and_where() {
    let mut log = Log::mysql();
    let start = log.offset();
    log.gtid(5).begin().stock().insert(&[(1, Some("a")), (2, None)]).xid();
    let batches = read(&log);
    let SourceEvent::Begin(begin) = &batches[0].events()[0] else { panic!("no begin") };
    assert_eq!(begin.coordinate, 1 << 40 | u64::from(start));
    assert_eq!(begin.committed_at_us, 1_700_000_000_000_007);
    assert_eq!(
        lines(&batches),
        [
            "begin 11111111-1111-1111-1111-111111111111:5 from 0",
            "0 insert shop.stock - -> [Int(1), Text(\"a\")]",
            "1 insert shop.stock - -> [Int(2), Null]",
            "commit",
        ]
    );
    let end = format!("1/binlog.000001/{}/1700000000", log.offset());
    assert_eq!(batches[0].end().as_str(), end);
}

#[test]
fn an_anonymous_transaction_is_called_by_its_place() {
    let mut log = Log::mysql();
    let start = log.offset();
    log.begin().stock().insert(&[(1, None)]).query("COMMIT");
    let batches = read(&log);
    let SourceEvent::Begin(begin) = &batches[0].events()[0] else { panic!("no begin") };
    assert_eq!(batches[0].text(begin.txid), format!("binlog.000001:{start}"));
    assert_eq!(begin.committed_at_us, 1_700_000_000_000_000);
}

#[test]
fn the_gtid_set_grows_with_each_transaction() {
    let mut log = Log::mysql();
    log.add(Kind::PREVIOUS_GTIDS, &[0; 8]);
    log.gtid(1).begin().xid().gtid(2).begin().xid();
    let batches = read(&log);
    let end = batches.last().unwrap().end().as_str();
    assert!(end.ends_with("/mysql=11111111-1111-1111-1111-111111111111:1-2"), "{end}");
    assert!(lines(&batches).is_empty());
}

#[test]
fn a_group_of_mariadb_needs_no_begin() {
    let mut log = Log::mariadb();
    log.add(Kind::MARIADB_GTID_LIST, &[0; 4]);
    log.mariadb_gtid(8, 4).stock().insert(&[(1, None)]).xid();
    log.mariadb_gtid(9, 1).query("TRUNCATE stock");
    let batches = read(&log);
    assert_eq!(
        lines(&batches),
        [
            "begin 0-7-8 from 0",
            "0 insert shop.stock - -> [Int(1), Null]",
            "commit",
            "begin 0-7-9 from 0",
            "0 Truncate shop.stock",
            "commit",
        ]
    );
    assert!(batches.last().unwrap().end().as_str().ends_with("/mariadb=0-7-9"));
}

#[test]
fn a_packed_transaction_is_read_like_any_other() {
    let rows = [rows_head(1), encode::image(1, None)].concat();
    let events = [
        inside(Kind::QUERY, &query("BEGIN")),
        inside(Kind::TABLE_MAP, &stock()),
        inside(Kind::WRITE_ROWS, &rows),
        inside(Kind::XID, &[0; 8]),
    ];
    let mut packed = Log::mysql();
    packed.gtid(5).add(Kind::TRANSACTION_PAYLOAD, &payload(&events));
    let mut plain = Log::mysql();
    plain.gtid(5).begin().stock().insert(&[(1, None)]).xid();
    let batches = read(&packed);
    assert_eq!(lines(&batches), lines(&read(&plain)));
    let end = format!("1/binlog.000001/{}/1700000000", packed.offset());
    assert_eq!(batches[0].end().as_str(), end);
}

#[test]
fn a_rolled_back_transaction_is_dropped_and_its_tables_are_doubted() {
    let mut log = Log::mysql();
    log.gtid(5).begin().stock().insert(&[(1, None)]).query("ROLLBACK");
    let lines = lines(&read(&log));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].starts_with("0 unreadable shop.stock: a transaction"), "{lines:?}");
}

#[test]
fn a_rollback_behind_a_block_that_went_out_is_unreadable() {
    let rows: Vec<_> = (0..9000).map(|id| (id, None)).collect();
    let mut log = Log::mysql();
    log.gtid(5).begin().stock().insert(&rows).query("ROLLBACK");
    let lines = lines(&read(&log));
    assert!(lines.contains(&"8191 insert shop.stock - -> [Int(8191), Null]".to_owned()));
    let told: Vec<_> = lines.iter().filter(|line| line.contains("unreadable")).collect();
    assert!(told[0].starts_with("9000 unreadable shop.stock"), "{told:?}");
}

#[test]
fn a_transaction_that_its_server_died_in_did_not_happen() {
    let mut log = Log::mysql();
    log.gtid(5).begin().stock().insert(&[(1, None)]);
    let next = [&4_u64.to_le_bytes()[..], b"binlog.000002"].concat();
    log.made_up(Kind::ROTATE, &next);
    let lines = lines(&read(&log));
    assert!(lines[1].starts_with("0 unreadable shop.stock: its server died"), "{lines:?}");
}

/// The body of an XA_PREPARE of `a`.
fn prepared(one_phase: bool) -> Vec<u8> {
    let mut body = vec![u8::from(one_phase), 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    body.push(b'a');
    body
}

#[test]
fn a_distributed_transaction_of_one_phase_is_one_like_any_other() {
    let mut log = Log::mysql();
    log.gtid(5).query("XA START X'61',X'',1").stock().insert(&[(1, None)]);
    log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(true));
    let lines = lines(&read(&log));
    assert_eq!(lines[1..], ["0 insert shop.stock - -> [Int(1), Null]", "commit"]);
}

#[test]
fn a_prepared_transaction_is_remembered_by_its_place_and_its_changes_count_when_it_is_committed() {
    let mut log = Log::mysql();
    let begins = log.offset();
    log.gtid(5).query("XA START X'61',X'',1").stock().insert(&[(1, None)]);
    log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(false));
    log.gtid(6).begin().stock().insert(&[(2, None)]).xid();
    let batches = read(&log);
    assert_eq!(lines(&batches)[1..], ["0 insert shop.stock - -> [Int(2), Null]", "commit"]);
    let end = batches.last().unwrap().end().as_str().to_owned();
    assert!(end.ends_with(&format!("/xa=1.61.@binlog.000001:{begins}")), "{end}");

    let recalled = "0 insert shop.stock - -> [Int(1), Null]";
    let unknown = "0 unreadable shop.orders: it may have been changed by a distributed";
    for (last, wanted, remembers) in [
        ("XA COMMIT X'61',X'',1", Some(recalled), false),
        ("XA ROLLBACK X'61',X'',1", None, false),
        ("XA COMMIT X'62',X'',1", Some(unknown), true),
    ] {
        let mut log = log.clone();
        log.gtid(7).query(last);
        let batches = read(&log);
        let lines = lines(&batches);
        match wanted {
            Some(wanted) => assert!(lines[4].starts_with(wanted), "{last}: {lines:?}"),
            None => assert_eq!(lines.len(), 3, "{last}: {lines:?}"),
        }
        let end = batches.last().unwrap().end().as_str();
        assert_eq!(end.contains("/xa="), remembers, "{last}: {end}");
    }
}

#[test]
fn a_branch_of_which_a_part_was_read_before_it_was_purged_leaves_no_table_unmarked() {
    let uuid = "11111111-1111-1111-1111-111111111111";
    let txid = format!("{uuid}:7");
    for branch in ["/xa=1.61.@binlog.000001:99999", ""] {
        let place = format!("1/binlog.000001/4/1700000000{branch}");
        let from = ResumePoint { position: Position::new(place), ..point(Some((&txid, 8192))) };
        let mut log = Log::mysql();
        log.gtid(7).query("XA COMMIT X'61',X'',1");
        let found = lines(&try_read(&from, &log, false).unwrap());
        assert_eq!(found[0], format!("begin {txid} from 8192"));
        assert!(found[1].starts_with("8192 unreadable shop.stock: it may"), "{found:?}");
        assert_eq!(found[2..], ["commit"]);
    }
}

#[test]
fn columns_of_a_branch_that_is_passed_over_are_asked_for_where_its_rows_stand() {
    let bare = table_map("stock", &[]);
    let mut log = Log::mariadb();
    log.add(Kind::MARIADB_GTID, &prepares()).add(Kind::TABLE_MAP, &bare).insert(&[(1, None)]);
    log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(false));
    let from = point(None);
    let decoder = Decoder::new(&from, capture(&["stock"]), Catalog::default()).unwrap();
    let mut asked = Vec::new();
    let mut unknown = |table: &TableName| {
        asked.push(table.clone());
        Err("nobody knows".to_owned())
    };
    let batches = read_with((decoder, &mut unknown), &from, &log, false).unwrap();
    assert_eq!(asked, [TableName::new("shop", "stock")]);
    assert!(lines(&batches).is_empty(), "{:?}", lines(&batches));
}

#[test]
fn a_branch_in_which_nothing_is_captured_is_remembered_without_a_place() {
    let other = table_map("other", &[4, 8, 2, b'i', b'd', 4, b'n', b'o', b't', b'e']);
    let prepare = |log: &mut Log| {
        log.query("XA START X'61',X'',1").add(Kind::TABLE_MAP, &other).insert(&[(1, None)]);
        log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(false));
    };
    let mut mysql = Log::mysql();
    mysql.gtid(5);
    prepare(&mut mysql);
    // It is passed over from its beginning.
    let mut mariadb = Log::mariadb();
    mariadb.add(Kind::MARIADB_GTID, &prepares()).add(Kind::TABLE_MAP, &other).insert(&[(1, None)]);
    mariadb.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(false));
    for log in [&mut mysql, &mut mariadb] {
        let batches = read(log);
        let end = batches.last().unwrap().end().as_str().to_owned();
        assert!(end.ends_with("/xa=1.61.@binlog.000001:0"), "{end}");
        log.query("XA COMMIT X'61',X'',1");
        let batches = read(log);
        assert!(lines(&batches).is_empty(), "{:?}", lines(&batches));
        assert!(!batches.last().unwrap().end().as_str().contains("/xa="));
    }
    // For whom other tables are captured now it may have been of those.
    let place = "1/binlog.000001/4/1700000000/xa=1.61.@binlog.000001:0";
    let from = ResumePoint { position: Position::new(place), ..point(None) };
    let mut log = Log::mysql();
    log.gtid(7).query("XA COMMIT X'61',X'',1");
    let found = lines(&try_read(&from, &log, false).unwrap());
    assert!(found[1].contains("unreadable shop.orders"), "{found:?}");
    let same = ResumePoint { capture: capture(&["stock", "orders"]), ..from };
    assert!(lines(&try_read(&same, &log, false).unwrap()).is_empty());
}

/// The body of a GTID of MariaDB that ends with the first phase of `a`.
fn prepares() -> Vec<u8> {
    let mut body = 8_u64.to_le_bytes().to_vec();
    body.extend(0_u32.to_le_bytes());
    body.push(64);
    body.extend([1, 0, 0, 0, 1, 0, b'a']);
    body
}

#[test]
fn changes_of_another_branch_are_never_taken_for_those_that_are_recalled() {
    let mut log = Log::mysql();
    log.gtid(5).query("XA START X'61',X'',1").stock().insert(&[(1, None)]);
    log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(false));
    log.gtid(6).query("XA COMMIT X'62',X'',1");
    let place = "1/binlog.000001/4/1700000000/xa=1.62.@binlog.000001:4";
    let from = ResumePoint { position: Position::new(place), ..point(None) };
    let error = try_read(&from, &log, false).unwrap_err();
    assert!(error.to_string().contains("another distributed transaction"), "{error}");
}

#[test]
fn a_long_branch_is_passed_over_and_recalled_when_it_is_committed() {
    for one_phase in [true, false] {
        let mut log = Log::mysql();
        log.gtid(5).query("XA START X'61',X'',1").stock();
        for row in 0..9000 {
            log.insert(&[(row, None)]);
        }
        log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(one_phase));
        let rows_of = |log: &Log| {
            let mut lines = lines(&read(log));
            lines.retain(|line| line.contains("insert"));
            lines.len()
        };
        if !one_phase {
            assert_eq!(rows_of(&log), 0);
            log.gtid(7).query("XA COMMIT X'61',X'',1");
        }
        assert_eq!(rows_of(&log), 9000);
    }
}

/// An insert of so many rows with a text of 8 KiB each, into a table that has room for it.
fn insert_wide(log: &mut Log, rows: i32) {
    let mut map = stock();
    let of_note = map.windows(4).position(|bytes| bytes == [2, 20, 0, 3]).unwrap();
    map[of_note + 1..of_note + 3].copy_from_slice(&60_000_u16.to_le_bytes());
    let mut body = rows_head(1);
    for id in 0..rows {
        body.push(0);
        body.extend(id.to_le_bytes());
        body.extend(8192_u16.to_le_bytes());
        body.extend([b'x'; 8192]);
    }
    log.add(Kind::TABLE_MAP, &map).add(Kind::WRITE_ROWS, &body);
}

#[test]
fn nothing_of_a_branch_of_few_and_wide_rows_is_told_before_it_is_committed() {
    let mut log = Log::mysql();
    log.gtid(5).query("XA START X'61',X'',1");
    insert_wide(&mut log, 600);
    log.query("XA END X'61',X'',1").add(Kind::XA_PREPARE, &prepared(false));
    assert!(lines(&read(&log)).is_empty());
    let mut gone = log.clone();
    gone.gtid(7).query("XA ROLLBACK X'61',X'',1");
    assert!(lines(&read(&gone)).is_empty());
    log.gtid(7).query("XA COMMIT X'61',X'',1");
    let told = lines(&read(&log));
    let inserts = told.iter().filter(|line| line.contains(" insert ")).count();
    assert_eq!((inserts, told.iter().any(|line| line.contains("unreadable"))), (600, false));
}

#[test]
fn a_branch_that_is_in_the_log_although_it_was_rolled_back_is_dropped_and_its_tables_are_doubted() {
    let mut log = Log::mysql();
    log.gtid(5).query("XA START X'61',X'',1").stock().insert(&[(1, None)]);
    log.query("XA END X'61',X'',1").query("XA ROLLBACK X'61',X'',1");
    let lines = lines(&read(&log));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].starts_with("0 unreadable shop.stock: a distributed"), "{lines:?}");
}

#[test]
fn an_incident_in_a_transaction_that_is_rolled_back_is_told_all_the_same() {
    let mut log = Log::mysql();
    log.gtid(5).begin().stock().add(Kind::INCIDENT, &[1, 0, 2, b'n', b'o']).query("ROLLBACK");
    let lines = lines(&read(&log));
    assert!(lines.iter().any(|line| line.contains("unreadable shop.orders")), "{lines:?}");
}

#[test]
fn an_incident_makes_every_known_table_unreadable() {
    let mut log = Log::mysql();
    log.add(Kind::INCIDENT, &[1, 0, 2, b'n', b'o']);
    let lines = lines(&read(&log));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].ends_with("lost changes of its log: no"), "{lines:?}");
}

#[test]
fn an_unknown_event_is_an_error_that_names_it() {
    let mut log = Log::mysql();
    log.add(Kind(99), &[]);
    let error = try_read(&point(None), &log, false).unwrap_err();
    assert!(error.to_string().contains("unknown type 99"), "{error}");
}

#[test]
fn a_rotation_tells_progress_in_the_next_file() {
    let mut log = Log::mysql();
    let next = [&4_u64.to_le_bytes()[..], b"binlog.000002"].concat();
    log.add(Kind::ROTATE, &next).made_up(Kind::ROTATE, &next);
    let mut second = Log::mysql();
    second.begin().xid();
    let from = point(None);
    let mut events = log.events().to_vec();
    events.extend(second.events().to_vec());
    let batches = try_read(&from, &Log::of(events), false).unwrap();
    let end = format!("1/binlog.000002/{}/1700000000", second.offset());
    assert_eq!(batches[0].end().as_str(), end);
    assert!(batches[0].events().is_empty());
}

#[test]
fn the_gtid_of_a_transaction_that_was_cut_off_is_not_remembered() {
    let mut log = Log::mysql();
    log.add(Kind::PREVIOUS_GTIDS, &[0; 8]);
    log.gtid(1).begin().xid().gtid(2).begin().stock().insert(&[(1, None)]);
    let next = [&4_u64.to_le_bytes()[..], b"binlog.000002"].concat();
    log.made_up(Kind::ROTATE, &next);
    let batches = read(&log);
    let end = batches.last().unwrap().end().as_str();
    assert!(end.ends_with("-111111111111:1"), "{end}");
}

#[test]
fn a_heartbeat_between_transactions_tells_progress() {
    let mut log = Log::mysql();
    log.begin().xid();
    let place = log.offset() + 100;
    log.beat(place);
    let end = format!("1/binlog.000001/{place}/1700000000");
    assert_eq!(read(&log).last().unwrap().end().as_str(), end);
}

#[test]
fn a_position_beyond_four_gibibytes_keeps_its_high_bits() {
    let mut from = point(None);
    from.position = Position::new("1/binlog.000001/4294967290/1700000000");
    let mut log = Log::mysql();
    // The head of a file that is sent again has no place.
    log.head_again();
    log.begin().xid();
    let end = format!("1/binlog.000001/{}/1700000000", (1_u64 << 32) + u64::from(log.offset()));
    assert_eq!(try_read(&from, &log, false).unwrap()[0].end().as_str(), end);
}

/// Whoever asked for a stream by transactions goes on by an offset when none of them can come.
#[test]
fn a_place_is_resumed_by_transactions_until_all_that_were_read_lie_before_its_file() {
    const UUID: &str = "11111111-1111-1111-1111-111111111111";
    let before = |set: &str| format!("{UUID}:{set}").parse::<GtidSet>().unwrap().encode();
    let from = ResumePoint {
        position: Position::new(format!("1/another.log.0/0/0/mysql={UUID}:1-8:10")),
        ..point(None)
    };
    // The server has 10 behind 9, and does not send it.
    let mut first = Log::mysql();
    first.add(Kind::PREVIOUS_GTIDS, &before("1-7")).gtid(9).begin().xid();
    let next = [&4_u64.to_le_bytes()[..], b"binlog.000008"].concat();
    let ended = first.offset();
    first.made_up(Kind::ROTATE, &next);
    let mut second = Log::mysql();
    second.add(Kind::PREVIOUS_GTIDS, &before("1-10")).gtid(11).begin().xid();
    let mut log = Log::of(Vec::new());
    log.made_up(Kind::ROTATE, &[&4_u64.to_le_bytes()[..], b"binlog.000007"].concat());
    let mut events = log.events().to_vec();
    events.extend([first.events().to_vec(), second.events().to_vec()].concat());

    let mut decoder = Decoder::new(&from, capture(&["stock"]), Catalog::default()).unwrap();
    decoder.begins_behind_transactions();
    let mut unknown = |_: &TableName| Err("nobody knows".to_owned());
    let batches = read_with((decoder, &mut unknown), &from, &Log::of(events), true).unwrap();
    let ends: Vec<_> = batches.iter().map(|batch| batch.end().as_str().to_owned()).collect();
    assert!(ends.contains(&format!("1/binlog.000007/{ended}/0/mysql={UUID}:1-10")), "{ends:?}");
    let end = format!("1/binlog.000008/{}/1700000000/mysql={UUID}:1-11", second.offset());
    assert_eq!(ends.last().unwrap(), &end);
}

#[test]
fn what_lies_before_a_file_completes_a_set_that_began_with_too_few() {
    const UUID: &str = "11111111-1111-1111-1111-111111111111";
    let from = ResumePoint {
        position: Position::new(format!("1/binlog.000001/4/1700000000/mysql={UUID}:1-8:12")),
        ..point(None)
    };
    let before = format!("{UUID}:1-13").parse::<GtidSet>().unwrap().encode();
    let mut log = Log::mysql();
    log.gtid(13).begin().xid().add(Kind::PREVIOUS_GTIDS, &before).gtid(14).begin().xid();
    let batches = try_read(&from, &log, true).unwrap();
    let ends = batches.iter().map(|batch| batch.end().as_str().split_once(UUID).unwrap().1);
    assert_eq!(ends.collect::<Vec<_>>(), [":1-8:12", ":1-8:12-13", ":1-13", ":1-14"]);
}
