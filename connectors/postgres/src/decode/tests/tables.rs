//! Tables that change while they are followed.

use super::*;

fn row(id: &str) -> Vec<u8> {
    insert(STOCK, &[text(id), Wire::Null, Wire::Null])
}

fn renamed(oid: u32, name: &str) -> Vec<u8> {
    relation(oid, name, &[(true, "id", BIGINT), (false, "qty", INT), (false, "note", TEXT)])
}

fn run(captured: &Capture, transactions: &[Vec<Vec<u8>>]) -> Vec<String> {
    lines(&decode(captured, &transactions.concat()))
}

#[test]
fn the_first_description_and_the_same_again_are_no_change() {
    let captured = capture(&[whole("stock")]);
    let lines = run(
        &captured,
        &[transaction(1, vec![stock(), row("1")]), transaction(2, vec![stock(), row("2")])],
    );
    assert!(lines.iter().all(|line| !line.starts_with("schema")), "{lines:?}");
}

#[test]
fn a_captured_column_that_comes_goes_or_changes_is_told_before_its_rows() {
    let captured = capture(&[whole("stock")]);
    let wider = relation(STOCK, "stock", &[(true, "id", BIGINT), (false, "qty", 1700)]);
    let lines = run(
        &captured,
        &[
            transaction(1, vec![stock(), row("1")]),
            transaction(2, vec![wider, insert(STOCK, &[text("2"), text("0.5")])]),
        ],
    );
    assert_eq!(
        lines[3..7],
        [
            "begin 2 0/200 from 0",
            "schema public.stock id,qty",
            "unreadable",
            "0 insert public.stock - -> [Int(2), Decimal(\"0.5\")]",
        ]
    );
}

#[test]
fn what_changes_beside_the_captured_columns_is_no_change() {
    let captured = capture(&[columns("stock", &["id"])]);
    let wider = relation(STOCK, "stock", &[(false, "new", TEXT), (true, "id", BIGINT)]);
    let lines = run(
        &captured,
        &[
            transaction(1, vec![stock(), row("1")]),
            transaction(2, vec![wider, insert(STOCK, &[text("x"), text("2")])]),
        ],
    );
    assert_eq!(lines[4], "0 insert public.stock - -> [Int(2)]");
}

#[test]
fn a_table_that_takes_a_captured_name_replaces_the_one_before_it() {
    let captured = capture(&[whole("stock")]);
    let lines = run(
        &captured,
        &[
            transaction(1, vec![stock(), row("1")]),
            transaction(2, vec![renamed(STOCK + 1, "stock"), row("2")]),
        ],
    );
    assert_eq!(lines[4], "0 Replaced public.stock");
    // It takes no ordinal: who resumes in between knows nothing of it.
    assert!(lines[5].starts_with("0 insert public.stock"), "{lines:?}");
}

#[test]
fn a_table_renamed_into_a_captured_name_replaces_what_was_published_under_it() {
    let captured = capture(&[whole("stock")]);
    let lines = run(
        &captured,
        &[
            transaction(1, vec![renamed(STOCK, "stock_new"), row("1")]),
            transaction(2, vec![renamed(STOCK, "stock"), row("2")]),
        ],
    );
    assert_eq!(lines[1], "0 Replaced public.stock");
}

#[test]
fn tables_of_one_name_in_two_schemas_are_two() {
    let table = |schema: &str| CaptureTable {
        name: TableName::new(schema, "stock"),
        columns: Columns::All,
    };
    let captured = capture(&[table("public"), table("archive")]);
    let mut archive = stock();
    archive.splice(5..12, b"archive\0".iter().copied());
    let archive_oid = (STOCK + 1).to_be_bytes();
    archive[1..5].copy_from_slice(&archive_oid);
    let lines = run(&captured, &[transaction(1, vec![stock(), archive, row("1")])]);
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_column_named_in_another_encoding_is_no_reason_to_stop() {
    let captured = capture(&[columns("stock", &["id"])]);
    let mut described = stock();
    let at = described.windows(3).position(|name| name == b"qty").unwrap();
    described[at] = 0xe9;
    let lines = run(&captured, &[transaction(1, vec![described, row("1")])]);
    assert_eq!(lines[1], "0 insert public.stock - -> [Int(1)]");
}
