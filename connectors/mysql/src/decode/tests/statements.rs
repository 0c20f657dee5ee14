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
    for text in ["TRUNCATE other", "UPDATE other SET a = 1", "GRANT ALL ON *.* TO x"] {
        assert!(told(text).is_empty(), "{text}");
    }
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
    assert!(found[1].starts_with("0 unreadable shop.stock: a transaction"), "{found:?}");
    let mut log = Log::mysql();
    log.gtid(5).query("XA START 'a'").query("UPDATE stock SET note = 'x'").query("XA END 'a'");
    log.add(Kind::XA_PREPARE, &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a']);
    log.gtid(6).query("XA COMMIT 'a'");
    let found = lines(&read(&log));
    let marks = found.iter().filter(|line| line.contains("unreadable shop.stock"));
    // Where it counts.
    assert_eq!(marks.count(), 1, "{found:?}");
}
