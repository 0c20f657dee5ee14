//! Tables that change while they are followed.

use connector_api::ColumnLayout;

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

/// A stream in which `stock` has been described before: under this number, and with these columns.
fn knowing(id: Option<u32>, known: &[(&str, u32)]) -> Stream {
    let captured = capture(&[whole("stock")]);
    let column = |(name, oid): &(&str, u32)| ColumnLayout {
        name: (*name).to_owned(),
        type_name: format!("{oid} ffffffff"),
        charset: None,
        is_key: *name == "id",
    };
    let name = TableName::new("public", "stock");
    let layout = TableLayout { name, id, columns: known.iter().map(column).collect() };
    let from = ResumePoint { layouts: vec![layout], ..point(None, &captured) };
    Stream::resumed(&from, &captured)
}

const AS_IT_IS: [(&str, u32); 3] = [("id", BIGINT), ("qty", INT), ("note", TEXT)];

#[test]
fn a_table_that_is_as_it_was_known_before_the_stream_is_no_news() {
    let mut stream = knowing(Some(STOCK), &AS_IT_IS);
    stream.feed(&transaction(1, vec![stock(), row("1")]));
    let batches = stream.batches();
    assert!(batches.iter().all(|batch| batch.layouts().is_none()), "{batches:?}");
    assert_eq!(lines(&batches).len(), 3);
}

#[test]
fn a_column_of_another_type_than_before_the_stream_is_doubted_before_the_first_row() {
    let before = [("id", BIGINT), ("qty", 1700), ("note", TEXT)];
    let mut stream = knowing(Some(STOCK), &before);
    stream.feed(&transaction(1, vec![stock(), row("1")]));
    assert_eq!(lines(&stream.batches())[1], "unreadable");
}

#[test]
fn another_relation_than_before_the_stream_has_replaced_the_table() {
    let mut stream = knowing(Some(STOCK - 1), &AS_IT_IS);
    stream.feed(&transaction(1, vec![stock(), row("1")]));
    stream.feed(&transaction(2, vec![stock(), row("2")]));
    let batches = stream.batches();
    assert_eq!(batches[0].layouts().unwrap()[0].id, Some(STOCK));
    let lines = lines(&batches);
    assert_eq!(lines[1], "0 Replaced public.stock");
    assert_eq!(lines.iter().filter(|line| line.contains("Replaced")).count(), 1, "{lines:?}");
}

#[test]
fn what_was_remembered_without_a_number_is_told_nothing_of_by_one() {
    let mut stream = knowing(None, &AS_IT_IS);
    stream.feed(&transaction(1, vec![stock(), row("1")]));
    let batches = stream.batches();
    assert_eq!(batches[0].layouts().unwrap()[0].id, Some(STOCK));
    assert_eq!(lines(&batches).len(), 3);
}

#[test]
fn of_a_table_that_is_not_captured_no_column_is_remembered() {
    let mut stream = Stream::new(&capture(&[whole("orders")]));
    stream.feed(&transaction(1, vec![stock(), row("1")]));
    let remembered = format!("{:?}", stream.decoder);
    assert!(remembered.contains("stock") && !remembered.contains("WireColumn"), "{remembered}");
}
