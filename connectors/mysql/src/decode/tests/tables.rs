//! Tables, with and without what the log says of them.

use connector_api::ColumnLayout;

use super::encode::{Log, image, inside, payload, query, rows_head, table_map};
use super::*;
use crate::log::Kind;

fn column(name: &str, type_name: &str, charset: Option<&str>) -> ColumnLayout {
    ColumnLayout {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        charset: charset.map(str::to_owned),
        is_key: name == "id",
    }
}

fn layout(columns: &[ColumnLayout]) -> TableLayout {
    TableLayout { name: TableName::new("shop", "stock"), id: None, columns: columns.to_vec() }
}

/// Reads a log with what is remembered of `shop.stock` and what is said when it is asked for.
fn read_knowing(
    log: &Log,
    remembered: &[ColumnLayout],
    mut answer: impl FnMut() -> Result<TableLayout, String>,
) -> Vec<Batch> {
    let layouts: Vec<TableLayout> =
        if remembered.is_empty() { Vec::new() } else { vec![layout(remembered)] };
    let from = point(None);
    let catalog = Catalog::new(&layouts, false);
    let decoder = Decoder::new(&from, capture(&["stock"]), catalog).unwrap();
    read_with((decoder, &mut |_| answer()), &from, log, false).unwrap()
}

fn never() -> Result<TableLayout, String> {
    panic!("the columns were asked for")
}

/// A log that does not name its columns.
fn bare() -> Log {
    let mut log = Log::mysql();
    log.begin().add(Kind::TABLE_MAP, &table_map("stock", &[]));
    log.insert(&[(-1, Some("a")), (2, None)]).xid();
    log
}

fn id_and_note() -> [ColumnLayout; 2] {
    [column("id", "int", None), column("note", "varchar(20)", Some("utf8mb4"))]
}

#[test]
fn a_bare_log_is_read_by_what_is_remembered() {
    let batches = read_knowing(&bare(), &id_and_note(), never);
    assert_eq!(lines(&batches)[1], "0 insert shop.stock - -> [Int(-1), Text(\"a\")]");
    let shape = &batches[0].table(0).columns;
    assert_eq!((shape[0].name.as_str(), shape[0].identity), ("id", true));
    assert_eq!((shape[1].type_name.as_str(), shape[1].identity), ("varchar(20)", false));
    assert!(batches.iter().all(|batch| batch.layouts().is_none()));
}

#[test]
fn the_columns_of_a_bare_log_are_looked_up_once_and_remembered() {
    let mut asked = 0;
    let batches = read_knowing(&bare(), &[], || {
        asked += 1;
        Ok(layout(&id_and_note()))
    });
    assert_eq!(lines(&batches)[1], "0 insert shop.stock - -> [Int(-1), Text(\"a\")]");
    assert_eq!((asked, batches[0].layouts()), (1, Some(&[layout(&id_and_note())][..])));
}

#[test]
fn what_is_remembered_and_does_not_fit_is_looked_up_again() {
    for outdated in [vec![column("id", "int", None)], {
        let [id, note] = id_and_note();
        vec![note, id]
    }] {
        let batches = read_knowing(&bare(), &outdated, || Ok(layout(&id_and_note())));
        assert_eq!(lines(&batches)[1], "0 insert shop.stock - -> [Int(-1), Text(\"a\")]");
    }
}

#[test]
fn rows_of_columns_that_cannot_be_told_are_unreadable_and_say_what_to_do() {
    let misfit = [column("id", "int", None)];
    let batches = read_knowing(&bare(), &[], || Ok(layout(&misfit)));
    let lines = lines(&batches);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[1].contains("binlog_row_metadata=FULL"), "{lines:?}");
    assert!(lines[2].starts_with("1 unreadable"), "{lines:?}");
}

#[test]
fn a_packed_transaction_goes_on_where_its_columns_were_asked_for() {
    let map = inside(Kind::TABLE_MAP, &table_map("stock", &[]));
    let rows = [rows_head(1), image(5, Some("n"))].concat();
    let events = [
        inside(Kind::QUERY, &query("BEGIN")),
        map,
        inside(Kind::WRITE_ROWS, &rows),
        inside(Kind::XID, &[0; 8]),
    ];
    let mut log = Log::mysql();
    log.gtid(1).add(Kind::TRANSACTION_PAYLOAD, &payload(&events));
    let lines = lines(&read_knowing(&log, &[], || Ok(layout(&id_and_note()))));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[1], "0 insert shop.stock - -> [Int(5), Text(\"n\")]");
}

#[test]
fn columns_that_are_not_captured_are_stepped_over() {
    let mut log = Log::mysql();
    log.begin().stock().insert(&[(1, Some("a")), (2, Some("b"))]).xid();
    let from = point(None);
    let wanted = CaptureTable {
        name: TableName::new("shop", "stock"),
        columns: Columns::Only(vec!["note".to_owned()]),
    };
    let capture = Capture { tables: vec![wanted] };
    let decoder = Decoder::new(&from, capture, Catalog::default()).unwrap();
    let mut unknown = |_: &TableName| never();
    let batches = read_with((decoder, &mut unknown), &from, &log, false).unwrap();
    assert_eq!(lines(&batches)[2], "1 insert shop.stock - -> [Text(\"b\")]");
    let note = &batches[0].table(0).columns[0];
    assert!(!note.identity, "the key is another column");
}

/// Servers use the number for events that only end a statement, and count tables past it.
#[test]
fn a_table_may_have_the_number_that_stands_for_none() {
    let numbered = |mut body: Vec<u8>| {
        body[..6].copy_from_slice(&[0xff, 0xff, 0xff, 0, 0, 0]);
        body
    };
    let rows = numbered([rows_head(1), image(5, Some("n"))].concat());
    let nothing = numbered(rows_head(1));
    let mut log = Log::mysql();
    log.begin().add(Kind::TABLE_MAP, &numbered(encode::stock()));
    log.add(Kind::WRITE_ROWS, &rows).add(Kind::WRITE_ROWS, &nothing).xid();
    assert_eq!(lines(&read(&log))[1], "0 insert shop.stock - -> [Int(5), Text(\"n\")]");
    // Nobody knows whose these are.
    let mut log = Log::mysql();
    log.begin().add(Kind::WRITE_ROWS, &nothing).add(Kind::WRITE_ROWS, &rows).xid();
    let error = try_read(&point(None), &log, false).unwrap_err();
    assert!(error.to_string().contains("before describing it"), "{error}");
}

#[test]
fn columns_that_are_not_in_an_image_are_absent() {
    let mut body = rows_head(2);
    let at = body.len() - 2;
    // Only the key before, only the note after.
    body[at..].copy_from_slice(&[1, 2]);
    body.extend([0, 5, 0, 0, 0]);
    body.extend([0, 1, b'n']);
    let mut log = Log::mysql();
    log.begin().stock().add(Kind::UPDATE_ROWS, &body).xid();
    assert_eq!(
        lines(&read(&log))[1],
        "0 update shop.stock [Int(5), Absent] -> [Absent, Text(\"n\")]"
    );
}

#[test]
fn a_deleted_row_has_only_an_image_of_before() {
    let body = [rows_head(1), image(5, Some("n"))].concat();
    let mut log = Log::mysql();
    log.begin().stock().add(Kind::DELETE_ROWS, &body).xid();
    assert_eq!(lines(&read(&log))[1], "0 delete shop.stock [Int(5), Text(\"n\")] -> -");
}

#[test]
fn a_row_that_ends_too_early_is_unreadable_and_names_its_column() {
    let mut body = [rows_head(1), image(5, Some("n"))].concat();
    body.pop();
    let mut log = Log::mysql();
    log.begin().stock().add(Kind::WRITE_ROWS, &body).insert(&[(6, None)]).xid();
    let lines = lines(&read(&log));
    assert!(lines[1].starts_with("0 unreadable shop.stock: its column note"), "{lines:?}");
    assert_eq!(lines[2], "1 insert shop.stock - -> [Int(6), Null]");
}

#[test]
fn another_shape_of_a_table_is_told_before_its_rows() {
    let renamed = [4, 8, 2, b'i', b'd', 4, b't', b'e', b'x', b't'];
    let map = table_map("stock", &[&[2, 1, 45][..], &renamed].concat());
    let mut log = Log::mysql();
    log.begin().stock().insert(&[(1, None)]).xid();
    log.query("ALTER TABLE stock RENAME COLUMN note TO text");
    log.begin().add(Kind::TABLE_MAP, &map).insert(&[(2, None)]).xid();
    let lines = lines(&read(&log));
    assert!(lines[4].starts_with("0 unreadable shop.stock: its rows were rewritten"), "{lines:?}");
    assert_eq!(lines[7..9], ["schema shop.stock", "0 insert shop.stock - -> [Int(2), Null]"]);
}

#[test]
fn compressed_rows_of_mariadb_are_inflated() {
    let rows = [image(5, Some("n")), image(6, None)].concat();
    let level = flate2::Compression::default();
    let mut deflated = flate2::write::ZlibEncoder::new(vec![0x81, rows.len() as u8], level);
    std::io::Write::write_all(&mut deflated, &rows).unwrap();
    // Version 1 has no extra data behind its flags.
    let mut body = rows_head(1);
    body.drain(8..10);
    body.extend(deflated.finish().unwrap());
    let mut log = Log::mariadb();
    log.mariadb_gtid(8, 4).stock().add(Kind::MARIADB_WRITE_ROWS_COMPRESSED_V1, &body).xid();
    let lines = lines(&read(&log));
    assert_eq!(lines[1], "0 insert shop.stock - -> [Int(5), Text(\"n\")]");
    assert_eq!(lines[2], "1 insert shop.stock - -> [Int(6), Null]");
}

#[test]
fn a_json_document_that_came_as_a_difference_is_unreadable() {
    // `shop.stock (id int, doc json)`
    let mut map = vec![7, 0, 0, 0, 0, 0, 1, 0];
    map.extend(b"\x04shop\0\x05stock\0");
    map.extend([2, 3, 245, 1, 4, 3]);
    map.extend([4, 7, 2, b'i', b'd', 3, b'd', b'o', b'c']);
    let whole = [0, 5, 0, 0, 0, 2, 0, 0, 0, 4, 0];
    let mut body = rows_head(2);
    for partial in [1, 0] {
        body.extend(whole);
        body.extend([partial, 1]);
        // Without the bit there is no map of differences.
        if partial == 0 {
            body.pop();
        }
        body.extend(whole);
    }
    let mut log = Log::mysql();
    log.begin().add(Kind::TABLE_MAP, &map).add(Kind::PARTIAL_UPDATE_ROWS, &body).xid();
    let lines = lines(&read(&log));
    assert!(lines[1].starts_with("0 unreadable shop.stock: its column doc: the log holds only"));
    let row = "[Int(5), Json(\"null\")]";
    assert_eq!(lines[2], format!("1 update shop.stock {row} -> {row}"), "{lines:?}");
}

#[test]
fn labels_are_read_from_the_catalog_as_servers_escape_them() {
    let read = |text: &str| {
        let labels = catalog::labels(text)?;
        Some(labels.into_iter().map(|label| String::from_utf8(label).unwrap()).collect::<Vec<_>>())
    };
    let wanted = ["a", "it's", "b,c", "", "d\\e\n"].map(str::to_owned).to_vec();
    assert_eq!(read(r"enum('a','it''s','b,c','','d\\e\n')"), Some(wanted));
    for broken in ["int", "enum(", "enum('a", "enum('a'", "enum('a' 'b')", "enum()"] {
        assert_eq!(read(broken), None, "{broken}");
    }
}

#[test]
fn an_enum_of_a_bare_log_has_the_labels_of_the_catalog() {
    // `shop.stock (id int, state enum)`
    let mut map = vec![7, 0, 0, 0, 0, 0, 1, 0];
    map.extend(b"\x04shop\0\x05stock\0");
    map.extend([2, 3, 254, 2, 247, 1, 3]);
    let state = column("state", "enum('in','out')", Some("latin1"));
    let columns = [column("id", "int unsigned", None), state];
    let body = [rows_head(1), vec![0, 255, 255, 255, 255, 2]].concat();
    let mut log = Log::mysql();
    log.begin().add(Kind::TABLE_MAP, &map).add(Kind::WRITE_ROWS, &body).xid();
    let lines = lines(&read_knowing(&log, &columns, never));
    assert_eq!(lines[1], "0 insert shop.stock - -> [UInt(4294967295), Text(\"out\")]");
}

#[test]
fn an_altered_table_is_looked_up_again() {
    let [id, note] = id_and_note();
    let text = ColumnLayout { name: "text".to_owned(), ..note.clone() };
    let mut log = bare();
    log.query("ALTER TABLE stock RENAME COLUMN note TO text");
    log.begin().add(Kind::TABLE_MAP, &table_map("stock", &[])).insert(&[(3, None)]).xid();
    let after = layout(&[id.clone(), text]);
    let batches = read_knowing(&log, &[id, note], || Ok(after.clone()));
    let lines = lines(&batches);
    assert_eq!(lines[8..10], ["schema shop.stock", "0 insert shop.stock - -> [Int(3), Null]"]);
    assert_eq!(batches.last().unwrap().layouts(), Some(&[after][..]));
}

#[test]
fn another_shape_that_a_rolled_back_transaction_showed_is_told_all_the_same() {
    let renamed = [4, 8, 2, b'i', b'd', 4, b't', b'e', b'x', b't'];
    let map = table_map("stock", &[&[2, 1, 45][..], &renamed].concat());
    let mut log = Log::mysql();
    log.begin().stock().insert(&[(1, None)]).xid();
    log.begin().add(Kind::TABLE_MAP, &map).insert(&[(2, None)]).query("ROLLBACK");
    let lines = lines(&read(&log));
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert_eq!(lines[4], "schema shop.stock");
    assert!(lines[5].starts_with("0 unreadable shop.stock"), "{lines:?}");
}

/// A row of `shop.stock (id UUID or BINARY(16), qty int)` in a log of MariaDB that names columns.
fn of_sixteen_bytes(collation: u8) -> Log {
    let mut map = vec![7, 0, 0, 0, 0, 0, 1, 0];
    map.extend(b"\x04shop\0\x05stock\0");
    map.extend([2, 254, 3, 2, 254, 16, 3]);
    map.extend([2, 1, collation, 4, 7, 2, b'i', b'd', 3, b'q', b't', b'y']);
    let row = [&rows_head(1)[..], &[0, 16], &[0x61; 16], &[5, 0, 0, 0]].concat();
    let mut log = Log::mariadb();
    log.mariadb_gtid(8, 4).add(Kind::TABLE_MAP, &map).add(Kind::WRITE_ROWS, &row).xid();
    log
}

#[test]
fn a_uuid_is_told_by_what_is_seen_of_its_table_or_not_at_all() {
    let seen = layout(&[column("id", "uuid", None)]);
    let found = lines(&read_knowing(&of_sixteen_bytes(63), &[], || Ok(seen.clone())));
    let uuid = "61616161-6161-6161-6161-616161616161";
    assert_eq!(found[1], format!("0 insert shop.stock - -> [Text(\"{uuid}\"), Int(5)]"));
    let other = layout(&[column("qty", "int", None)]);
    for answer in [Ok(other), Err("nobody knows".to_owned())] {
        let found = lines(&read_knowing(&of_sixteen_bytes(63), &[], || answer.clone()));
        assert!(found[1].starts_with("0 unreadable shop.stock"), "{found:?}");
    }
}

#[test]
fn text_of_sixteen_bytes_and_what_is_not_captured_is_not_asked_for() {
    let found = lines(&read_knowing(&of_sixteen_bytes(8), &[], never));
    assert!(found[1].starts_with("0 insert shop.stock - -> [Text(\"aaaa"), "{found:?}");
    let from = point(None);
    let columns = Columns::Only(vec!["qty".to_owned()]);
    let wanted = CaptureTable { name: TableName::new("shop", "stock"), columns };
    let capture = Capture { tables: vec![wanted] };
    let decoder = Decoder::new(&from, capture, Catalog::default()).unwrap();
    let log = of_sixteen_bytes(63);
    let batches = read_with((decoder, &mut |_| never()), &from, &log, false).unwrap();
    assert_eq!(lines(&batches)[1], "0 insert shop.stock - -> [Int(5)]");
}
