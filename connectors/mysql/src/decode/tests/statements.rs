//! Statements on captured tables.

use super::encode::Log;
use super::*;
use crate::log::Kind;

/// What a statement by itself makes of the log.
fn told(text: &str) -> Vec<String> {
    let mut log = Log::mysql();
    log.gtid(5).query(text);
    let mut lines = lines(&read(&log));
    if !lines.is_empty() {
        lines.remove(0);
        assert_eq!(lines.pop().unwrap(), "commit");
    }
    lines
}

#[test]
fn tables_that_are_emptied_are_cleared() {
    assert_eq!(told("TRUNCATE TABLE stock"), ["0 Truncate shop.stock"]);
    assert_eq!(told("DROP TABLE `stock`"), ["0 Replaced shop.stock"]);
    assert_eq!(told("ALTER TABLE stock DROP PARTITION p0"), ["0 Replaced shop.stock"]);
    assert_eq!(told("RENAME TABLE stock_new TO stock"), ["0 Replaced shop.stock"]);
    assert_eq!(told("DROP DATABASE shop"), ["0 Replaced shop.orders", "1 Replaced shop.stock"]);
}

#[test]
fn rows_changed_by_text_are_unreadable() {
    let lines = told("UPDATE stock SET note = 'x'");
    assert!(lines[0].contains("binlog_format=ROW"), "{lines:?}");
    let lines = told("CREATE TABLE stock SELECT * FROM orders");
    assert!(lines[0].contains("filled by a query"), "{lines:?}");
    let lines = told("FROBNICATE stock");
    assert!(lines[0].contains("not understood"), "{lines:?}");
}

#[test]
fn statements_on_other_tables_tell_progress_alone() {
    for text in [
        "TRUNCATE other",
        "UPDATE elsewhere.other SET a = 1",
        "INSERT INTO mysql.rds_heartbeat2 VALUES (1, 2)",
        "GRANT ALL ON *.* TO x",
    ] {
        assert!(told(text).is_empty(), "{text}");
    }
}

#[test]
fn what_hangs_on_a_table_that_text_changes_is_doubted_without_counting() {
    for text in ["UPDATE other SET a = 1", "UPDATE stock SET note = 'x'"] {
        let lines = told(text);
        let doubt = lines.last().unwrap();
        assert!(doubt.contains("unreadable shop.orders: a statement that the log"), "{lines:?}");
    }
    // Once in a transaction, and what follows has the place it has for who is told of no trigger.
    let mut log = Log::mysql();
    log.gtid(5).begin().query("UPDATE other SET a = 1").query("INSERT INTO other VALUES (1)");
    log.stock().insert(&[(1, None)]).xid();
    let found = lines(&read(&log));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[1].starts_with("0 unreadable shop.orders"), "{found:?}");
    assert!(found[2].starts_with("0 insert shop.stock"), "{found:?}");
}

#[test]
fn what_hangs_on_a_table_is_doubted_also_where_its_transaction_is_rolled_back() {
    let mut log = Log::mysql();
    log.gtid(5).begin().query("UPDATE other SET a = 1").query("ROLLBACK");
    let found = lines(&read(&log));
    assert!(found[1].starts_with("0 unreadable shop.orders"), "{found:?}");
}

#[test]
fn a_trigger_that_went_after_it_had_run_is_not_overlooked() {
    // The server says what hangs on tables at 500 of the file.
    let mut early = Log::mysql();
    early.gtid(5).query("UPDATE other SET a = 1");
    early.gtid(6).query("DROP TRIGGER t");
    let doubts = |log: &Log| {
        let all = lines(&read(log));
        all.into_iter().filter(|line| line.contains("has been changed since")).count()
    };
    assert!(early.offset() < 500, "{}", early.offset());
    assert_eq!(doubts(&early), 2);
    let mut late = Log::mysql();
    late.gtid(5).query("UPDATE other SET a = 1");
    late.gtid(6).query(&format!("TRUNCATE other -- {}", "x".repeat(500)));
    late.gtid(7).query("DROP TRIGGER t");
    assert_eq!(doubts(&late), 0);
}

#[test]
fn a_server_that_says_where_a_statement_has_changed_tables_is_believed() {
    let told = |schemas: &[u8], text: &str| {
        let mut status = vec![12];
        status.extend(schemas);
        let mut body = vec![0; 8];
        body.push(4);
        body.extend([0, 0]);
        body.extend((status.len() as u16).to_le_bytes());
        body.extend(status);
        body.extend(b"shop\0");
        body.extend(text.as_bytes());
        let mut log = Log::mysql();
        log.gtid(5).add(Kind::QUERY, &body);
        let found = lines(&read(&log));
        found.into_iter().filter(|line| line.contains("unreadable")).count()
    };
    assert_eq!(told(b"\x01logs\0", "SELECT `f`()"), 0);
    assert_eq!(told(b"\x02logs\0shop\0", "SELECT `f`()"), 2);
    assert_eq!(told(b"\x02logs\0shop\0", "INSERT INTO logs.visit VALUES (1)"), 2);
    assert_eq!(told(b"\xfe", "INSERT INTO logs.visit VALUES (1)"), 0);
    assert_eq!(told(b"\xfe", "SELECT `f`()"), 2);
}

#[test]
fn a_table_whose_columns_are_altered_is_unreadable_where_they_are_captured() {
    let rewritten = told("ALTER TABLE stock MODIFY note VARCHAR(3)");
    assert!(rewritten[0].starts_with("0 unreadable shop.stock: its rows were rewritten"));
    assert!(told("ALTER TABLE stock ADD INDEX (note)").is_empty());
    let from = point(None);
    let columns = Columns::Only(vec!["note".to_owned()]);
    let name = TableName::new("shop", "stock");
    let capture = Capture { tables: vec![CaptureTable { name, columns }] };
    let count = |text: &str| {
        let mut log = Log::mysql();
        log.gtid(5).query(text);
        let decoder = Decoder::new(&from, capture.clone(), Catalog::default()).unwrap();
        let mut never = |_: &TableName| panic!("the columns were asked for");
        lines(&read_with((decoder, &mut never), &from, &log, false).unwrap()).len()
    };
    assert_eq!(count("ALTER TABLE stock ADD COLUMN other INT"), 0);
    assert_eq!(count("ALTER TABLE stock DROP other"), 0);
    assert_eq!(count("ALTER TABLE stock DROP other, ADD `NOTE` INT"), 3);
}

#[test]
fn a_statement_is_read_in_the_character_set_of_its_session() {
    let told = |charset: u16, text: &[u8]| {
        let mut body = vec![0; 8];
        body.push(4);
        body.extend([0, 0, 7, 0]);
        body.push(4);
        body.extend(charset.to_le_bytes());
        body.extend([8, 0, 8, 0]);
        body.extend(b"shop\0");
        body.extend(text);
        let mut log = Log::mysql();
        log.gtid(5).add(Kind::QUERY, &body);
        let from = point(None);
        let capture = capture(&["st\u{fc}ck", "orders"]);
        let decoder = Decoder::new(&from, capture, Catalog::default()).unwrap();
        let mut never = |_: &TableName| panic!("the columns were asked for");
        let found = lines(&read_with((decoder, &mut never), &from, &log, false).unwrap());
        let marks =
            found.iter().filter(|line| line.contains(": a statement") || line.contains('0'));
        marks.filter(|line| !line.starts_with("begin")).cloned().collect::<Vec<_>>()
    };
    const LATIN1: u16 = 8;
    const UTF8: u16 = 45;
    const DEC8: u16 = 3;
    assert_eq!(told(LATIN1, b"TRUNCATE st\xfcck"), ["0 Truncate shop.st\u{fc}ck"]);
    assert_eq!(told(UTF8, "TRUNCATE st\u{fc}ck".as_bytes()), ["0 Truncate shop.st\u{fc}ck"]);
    // Nobody knows what its letters are.
    let all = told(DEC8, b"TRUNCATE st\xfcck");
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("character set that cannot be read"), "{all:?}");
}

#[test]
fn rows_before_a_savepoint_that_is_returned_to_are_doubted() {
    let mut log = Log::mysql();
    log.gtid(5).begin().stock().insert(&[(1, None)]).query("SAVEPOINT a");
    log.query("ROLLBACK TO `a`").xid();
    let lines = lines(&read(&log));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].starts_with("1 unreadable shop.stock: a part"), "{lines:?}");
}

#[test]
fn rows_changed_by_text_are_doubted_however_their_transaction_ends() {
    let mut log = Log::mysql();
    log.gtid(5).begin().query("UPDATE stock SET note = 'x'").query("ROLLBACK");
    let found = lines(&read(&log));
    let is_doubted = |line: &String| line.starts_with("0 unreadable shop.stock: a transaction");
    assert!(found.iter().any(is_doubted), "{found:?}");
    let mut log = Log::mysql();
    log.gtid(5).query("XA START 'a'").query("UPDATE stock SET note = 'x'").query("XA END 'a'");
    log.add(Kind::XA_PREPARE, &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a']);
    log.gtid(6).query("XA COMMIT 'a'");
    let found = lines(&read(&log));
    let marks = found.iter().filter(|line| line.contains("unreadable shop.stock"));
    // Where it counts.
    assert_eq!(marks.count(), 1, "{found:?}");
}
