//! Servers that answer a read as no server should.

use std::io::Write as _;

use connector_api::Error;
use connector_mysql::MysqlConnector;

use crate::support::fake::{Client, Fake, greeting, packet};
use crate::support::shelf::{Shelf, lines};

const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const END: &[u8] = &[0xfe, 0, 0, 2, 0];
const NULL: u8 = 0xfb;
const LONGLONG: u8 = 8;
const TEXT: u8 = 253;
/// Time is up (MySQL).
const LATE: &[u8] = b"\xff\xd0\x0b#HY000Query execution was interrupted";

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap()];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn column(name: &str, code: u8) -> Vec<u8> {
    let mut bytes = b"\x03def\x00\x00\x00".to_vec();
    bytes.extend(text(name));
    bytes.extend(text(name));
    bytes.extend_from_slice(&[0x0c, 45, 0, 20, 0, 0, 0, code, 0, 0, 0, 0, 0]);
    bytes
}

/// A result of the text protocol: names, and one row.
fn table(columns: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let mut packets = vec![vec![u8::try_from(columns.len()).unwrap()]];
    packets.extend(columns.iter().map(|(name, _)| column(name, TEXT)));
    packets.push(END.to_vec());
    packets.push(columns.iter().flat_map(|(_, value)| text(value)).collect());
    packets.push(END.to_vec());
    packets
}

/// What is said of the table `stock (id, note)`, one row for each of its columns.
fn catalog() -> Vec<Vec<u8>> {
    let row = |name, kind, charset: Option<&str>, key| {
        let mut row = [name, kind].map(text).concat();
        row.extend(charset.map_or(vec![NULL], text));
        row.extend([key, "select", "NO", "shop", "stock", "InnoDB"].into_iter().flat_map(text));
        row
    };
    let mut packets = vec![vec![9]];
    packets.extend((0..9).map(|_| column("c", TEXT)));
    packets.push(END.to_vec());
    packets.push(row("id", "bigint", None, "PRI"));
    packets.push(row("note", "text", Some("utf8mb4"), ""));
    packets.push(END.to_vec());
    packets
}

fn said(sql: &str) -> Vec<Vec<u8>> {
    let is = |begin| sql.starts_with(begin);
    if is("SELECT CONCAT") {
        table(&[("server", "mysql/1"), ("account", "reader@%")])
    } else if is("SELECT COLUMN_NAME") {
        catalog()
    } else if is("SELECT TABLE_TYPE") {
        table(&[("TABLE_TYPE", "BASE TABLE"), ("DATA_LENGTH", "16384"), ("TABLE_ROWS", "2")])
    } else if is("SELECT * FROM information_schema.STATISTICS") {
        table(&[
            ("TABLE_NAME", "stock"),
            ("INDEX_NAME", "PRIMARY"),
            ("NON_UNIQUE", "0"),
            ("INDEX_TYPE", "BTREE"),
            ("COLUMN_NAME", "id"),
            ("COLLATION", "A"),
        ])
    } else if is("SHOW BINARY LOG STATUS") {
        table(&[("File", "log.000001"), ("Position", "4"), ("a", ""), ("b", ""), ("set", "")])
    } else if is("SELECT CAST(UNIX_TIMESTAMP") {
        table(&[("now", "1700000000000000"), ("mode", "ON")])
    } else {
        vec![OK.to_vec()]
    }
}

/// A server with the table `stock`, whose rows are these packets.
fn serve(mut client: Client, rows: &[Vec<u8>]) {
    client.send(0, &greeting("mysql_native_password"));
    client.hear();
    client.send(2, OK);
    loop {
        let request = client.hear();
        let answer = match request.split_first() {
            Some((&QUERY, sql)) => said(std::str::from_utf8(sql).unwrap()),
            Some((&PREPARE, _)) => vec![vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
            Some((&EXECUTE, _)) => rows.to_vec(),
            // A statement that is closed has no answer.
            Some(_) => continue,
            None => return,
        };
        let packets = (1..).zip(&answer).map(|(number, payload)| packet(number, payload));
        // Whoever has seen enough goes.
        let _ = client.0.write_all(&packets.collect::<Vec<_>>().concat());
        if request[0] == EXECUTE && answer.last().is_none_or(|last| last[0] == 0) {
            return;
        }
    }
}

/// What a reader makes of these rows.
async fn read(rows: Vec<Vec<u8>>) -> Result<Vec<String>, Error> {
    let fake = Fake::new();
    let connector = MysqlConnector::new(fake.config("ssl-mode=disabled"));
    let server = fake.accept(move |client| serve(client, &rows));
    let mut shelf = Shelf::of(&connector, "shop").await;
    let chunk = shelf.try_chunk("stock", &["id", "note"], None, 10).await;
    drop(shelf);
    server.join().unwrap();
    chunk.map(|chunk| lines(&chunk))
}

/// The result with these rows, and what comes behind them.
fn result(codes: &[u8], rows: &[&[u8]], behind: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = vec![vec![u8::try_from(codes.len()).unwrap()]];
    packets.extend(codes.iter().map(|code| column("c", *code)));
    packets.push(END.to_vec());
    packets.extend(rows.iter().map(|row| row.to_vec()));
    if !behind.is_empty() {
        packets.push(behind.to_vec());
    }
    packets
}

const ROW: &[u8] = b"\0\0\x07\0\0\0\0\0\0\0\x02ab";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_to_the_protocol_is_read() {
    let rows = result(&[LONGLONG, TEXT], &[ROW, ROW], END);
    assert_eq!(read(rows).await.unwrap(), ["Int(7) Text(\"ab\")"; 2]);
    assert!(read(result(&[LONGLONG, TEXT], &[], END)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_of_a_table_is_that_of_the_read() {
    let error = read(result(&[LONGLONG, TEXT], &[ROW], LATE)).await.unwrap_err();
    assert!(error.to_string().contains("took longer than 30 s"), "{error}");
    let refused = b"\xff\x76\x04#42000SELECT command denied";
    let error = read(vec![refused.to_vec()]).await.unwrap_err();
    assert!(error.to_string().contains("may not read"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_row_is_an_error_with_words() {
    let long = [ROW, b"c"].concat();
    let huge = b"\0\0\x07\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\xffab";
    for (codes, row, wanted) in [
        (&[LONGLONG, TEXT][..], &ROW[..ROW.len() - 1], "ends inside its value"),
        (&[LONGLONG, TEXT], &ROW[..2], "ends inside its value"),
        (&[LONGLONG, TEXT], &ROW[..1], "ends inside its value"),
        (&[LONGLONG, TEXT], huge, "ends inside its value"),
        (&[LONGLONG, TEXT], &long, "more than its columns"),
        (&[LONGLONG], ROW, "1 columns instead of 2"),
        (&[LONGLONG, 244], ROW, "column note: its type (code 244"),
        (&[LONGLONG, 12], ROW, "column note: its bytes are not those of a datetime"),
        (&[TEXT, TEXT], b"\0\0\x02ab\x00", "a value that cannot be compared"),
    ] {
        let told = read(result(codes, &[row; 10], END)).await.unwrap_err().to_string();
        assert!(told.contains(wanted), "{codes:?} {row:?}: {told}");
    }
    let gone = read(result(&[LONGLONG, TEXT], &[ROW], b"")).await.unwrap_err();
    assert!(gone.to_string().contains("closed the connection"), "{gone}");
    let strange = read(vec![b"\x01".to_vec(), b"\x03de".to_vec(), END.to_vec()]).await.unwrap_err();
    assert!(strange.to_string().contains("a column without a shape"), "{strange}");
}
