#![allow(clippy::unwrap_used)]

mod arbitrary;
mod encode;
mod resume;
mod robust;
mod tables;

use connector_api::{
    Batch, BatchBuilder, Capture, CaptureTable, Columns, Lineage, Op, Position, ResumePoint,
    SourceEvent, TableName, Value,
};

use super::*;
use encode::{Old, Wire, begin, commit, delete, insert, relation, text, truncate, update};

const INT: u32 = 23;
const BIGINT: u32 = 20;
const TEXT: u32 = 25;
const STOCK: u32 = 16400;
const ORDERS: u32 = 16500;

fn columns(table: &str, columns: &[&str]) -> CaptureTable {
    let columns = columns.iter().map(|name| (*name).to_owned()).collect();
    CaptureTable { name: TableName::new("public", table), columns: Columns::Only(columns) }
}

fn whole(table: &str) -> CaptureTable {
    CaptureTable { name: TableName::new("public", table), columns: Columns::All }
}

fn capture(tables: &[CaptureTable]) -> Capture {
    Capture { tables: tables.to_vec() }
}

fn point(partial: Option<(&str, u32)>, capture: &Capture) -> ResumePoint {
    ResumePoint {
        partial: partial.map(|(txid, rows)| Partial { txid: txid.to_owned(), rows }),
        ..ResumePoint::new(Lineage::new("7/1/acme"), Position::new("0/10"), capture.clone())
    }
}

/// A decoder and what it writes into, as a stream uses them.
struct Stream {
    decoder: Decoder,
    out: BatchBuilder,
    batches: Vec<Batch>,
}

impl Stream {
    fn new(capture: &Capture) -> Self {
        Self::resumed(&point(None, capture), capture)
    }

    fn resumed(from: &ResumePoint, capture: &Capture) -> Self {
        let decoder = Decoder::new(from, capture.clone());
        Self { decoder, out: BatchBuilder::new(&from.position), batches: Vec::new() }
    }

    fn try_feed(&mut self, messages: &[Vec<u8>]) -> Result<()> {
        for message in messages {
            if self.out.is_full() {
                self.batches.push(self.out.take());
            }
            self.decoder.message(message, &mut self.out)?;
        }
        Ok(())
    }

    fn feed(&mut self, messages: &[Vec<u8>]) {
        self.try_feed(messages).unwrap();
    }

    /// Everything up to the last boundary.
    fn batches(mut self) -> Vec<Batch> {
        if self.out.is_ready() {
            self.batches.push(self.out.take());
        }
        self.batches
    }
}

/// The batches of these messages.
fn decode(capture: &Capture, messages: &[Vec<u8>]) -> Vec<Batch> {
    let mut stream = Stream::new(capture);
    stream.feed(messages);
    stream.batches()
}

/// The only batch of these messages.
fn batch(capture: &Capture, messages: &[Vec<u8>]) -> Batch {
    let mut batches = decode(capture, messages);
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

/// One line for each event: what a consumer can see, but for the names of columns.
fn lines(batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for event in batch.events() {
            lines.push(line(batch, event));
        }
    }
    lines
}

fn line(batch: &Batch, event: &SourceEvent) -> String {
    let image = |image: Option<connector_api::RowImage<'_>>| {
        image.map_or("-".to_owned(), |image| format!("{:?}", image.values().collect::<Vec<_>>()))
    };
    match event {
        SourceEvent::Begin(begin) => format!(
            "begin {} {} from {}",
            batch.text(begin.txid),
            batch.text(begin.position),
            begin.first_ordinal
        ),
        SourceEvent::Row(row) => format!(
            "{} {} {} {} -> {}",
            row.ordinal,
            row.op.as_str(),
            batch.table(row.table).name,
            image(batch.before(row)),
            image(batch.after(row))
        ),
        SourceEvent::TableCleared { table, ordinal, cause } => {
            format!("{ordinal} {cause:?} {}", batch.table(*table).name)
        }
        SourceEvent::SchemaChanged { table } => {
            let table = batch.table(*table);
            let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            format!("schema {} {}", table.name, names.join(","))
        }
        SourceEvent::Commit => "commit".to_owned(),
        SourceEvent::Unreadable { .. } => "unreadable".to_owned(),
    }
}

/// `public.stock(id bigint, qty integer, note text)`
fn stock() -> Vec<u8> {
    relation(STOCK, "stock", &[(true, "id", BIGINT), (false, "qty", INT), (false, "note", TEXT)])
}

fn orders() -> Vec<u8> {
    relation(ORDERS, "orders", &[(true, "id", BIGINT)])
}

/// A transaction of these changes.
fn transaction(xid: u32, changes: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let lsn = u64::from(xid) << 8;
    let mut messages = vec![begin(lsn, 0, xid)];
    messages.extend(changes);
    messages.push(commit(lsn, lsn + 0x30));
    messages
}

#[test]
fn a_transaction_says_who_when_and_where() {
    let captured = capture(&[whole("stock")]);
    let messages = [
        begin(0x16_B374_D848, 1_000_001, 742),
        stock(),
        insert(STOCK, &[text("5"), text("-3"), Wire::Null]),
        commit(0x16_B374_D848, 0x16_B374_D878),
    ];
    let batch = batch(&captured, &messages);
    let SourceEvent::Begin(begin) = &batch.events()[0] else { panic!("no begin") };
    assert_eq!(begin.coordinate, 0x16_B374_D848);
    assert_eq!(begin.committed_at_us, 946_684_801_000_001);
    assert_eq!(
        lines(std::slice::from_ref(&batch)),
        [
            "begin 742 16/B374D848 from 0",
            "0 insert public.stock - -> [Int(5), Int(-3), Null]",
            "commit",
        ]
    );
    assert_eq!(batch.end().as_str(), "16/B374D878");
    assert_eq!(batch.partial(), None);
}

#[test]
fn only_captured_columns_are_decoded_in_the_tables_own_order() {
    let captured = capture(&[columns("stock", &["note", "id", "missing"])]);
    let row = [text("5"), Wire::Text(vec![0xff, 0xfe]), text("n")];
    let batch = batch(&captured, &transaction(1, vec![stock(), insert(STOCK, &row)]));
    let names: Vec<&str> = batch.table(0).columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["id", "note"]);
    assert_eq!(lines(&[batch])[1], "0 insert public.stock - -> [Int(5), Text(\"n\")]");
}

#[test]
fn the_shape_of_a_table_names_its_types_and_its_identity() {
    let captured = capture(&[whole("stock")]);
    let row = [text("5"), text("1"), Wire::Null];
    let batch = batch(&captured, &transaction(1, vec![stock(), insert(STOCK, &row)]));
    let shape: Vec<(&str, bool)> =
        batch.table(0).columns.iter().map(|c| (c.type_name.as_str(), c.identity)).collect();
    assert_eq!(shape, [("bigint", true), ("integer", false), ("text", false)]);
}

#[test]
fn part_of_what_identifies_a_row_identifies_none() {
    let keyed_by_both = [(true, "id", BIGINT), (true, "qty", INT), (false, "note", TEXT)];
    let messages = [
        relation(STOCK, "stock", &keyed_by_both),
        insert(STOCK, &[text("5"), text("1"), Wire::Null]),
    ];
    for (wanted, identity) in [(&["id", "note"][..], [false, false]), (&["id", "qty"], [true; 2])] {
        let captured = capture(&[columns("stock", wanted)]);
        let batch = batch(&captured, &transaction(1, messages.to_vec()));
        let shape: Vec<bool> = batch.table(0).columns.iter().map(|c| c.identity).collect();
        assert_eq!(shape, identity, "{wanted:?}");
    }
}

/// The change between begin and commit, as one line.
fn change(message: Vec<u8>) -> String {
    let captured = capture(&[whole("stock")]);
    lines(&decode(&captured, &transaction(1, vec![stock(), message]))).remove(1)
}

#[test]
fn an_unchanged_out_of_line_value_is_absent_and_never_null() {
    let row = [text("5"), Wire::Null, Wire::Unchanged];
    assert_eq!(
        change(update(STOCK, None, &row)),
        "0 update public.stock - -> [Int(5), Null, Absent]"
    );
}

#[test]
fn an_unchanged_value_is_known_when_the_whole_old_row_came() {
    let old = [text("5"), text("1"), text("long")];
    let row = [text("5"), text("2"), Wire::Unchanged];
    assert_eq!(
        change(update(STOCK, Some((Old::Whole, &old)), &row)),
        "0 update public.stock [Int(5), Int(1), Text(\"long\")] -> \
         [Int(5), Int(2), Text(\"long\")]"
    );
}

#[test]
fn an_old_key_holds_the_key_and_nothing_else() {
    let key = [text("4"), Wire::Null, Wire::Null];
    let row = [text("5"), text("2"), Wire::Unchanged];
    assert_eq!(
        change(update(STOCK, Some((Old::Key, &key)), &row)),
        "0 update public.stock [Int(4), Absent, Absent] -> [Int(5), Int(2), Absent]"
    );
    assert_eq!(
        change(delete(STOCK, Old::Key, &key)),
        "0 delete public.stock [Int(4), Absent, Absent] -> -"
    );
}

#[test]
fn an_unchanged_key_is_known_from_the_old_one() {
    let captured = capture(&[whole("stock")]);
    let described = relation(
        STOCK,
        "stock",
        &[(true, "sku", TEXT), (true, "place", INT), (false, "note", TEXT)],
    );
    let key = [text("long"), text("1"), Wire::Null];
    let row = [Wire::Unchanged, text("2"), Wire::Unchanged];
    let changes = vec![described, update(STOCK, Some((Old::Key, &key)), &row)];
    assert_eq!(
        lines(&decode(&captured, &transaction(1, changes)))[1],
        "0 update public.stock [Text(\"long\"), Int(1), Absent] -> \
         [Text(\"long\"), Int(2), Absent]"
    );
}

#[test]
fn a_deleted_row_that_came_whole_keeps_its_nulls() {
    let row = [text("4"), Wire::Null, text("n")];
    assert_eq!(
        change(delete(STOCK, Old::Whole, &row)),
        "0 delete public.stock [Int(4), Null, Text(\"n\")] -> -"
    );
}

#[test]
fn other_tables_and_messages_take_no_ordinal() {
    let captured = capture(&[columns("stock", &["id"])]);
    let row = |id: &str| insert(STOCK, &[text(id), Wire::Null, Wire::Null]);
    let plain = transaction(1, vec![stock(), row("1"), row("2")]);
    let noisy = transaction(
        1,
        vec![
            encode::origin(),
            orders(),
            insert(ORDERS, &[text("9")]),
            encode::described_type(99_999, "public", "status"),
            stock(),
            row("1"),
            encode::logical_message(true),
            truncate(&[ORDERS], 0),
            delete(ORDERS, Old::Key, &[text("9")]),
            encode::logical_message(false),
            row("2"),
        ],
    );
    assert_eq!(lines(&decode(&captured, &noisy)), lines(&decode(&captured, &plain)));
}

#[test]
fn logical_messages_between_transactions_move_nothing() {
    let captured = capture(&[whole("stock")]);
    let mut stream = Stream::new(&captured);
    stream.feed(&transaction(1, Vec::new()));
    stream.feed(&[encode::logical_message(false)]);
    let batches = stream.batches();
    assert_eq!(batches[0].end().as_str(), "0/130");
    assert!(batches[0].events().is_empty());
}

#[test]
fn a_truncation_clears_every_captured_table_it_names() {
    let captured = capture(&[whole("stock"), whole("orders")]);
    let other = relation(17_000, "other", &[(true, "id", INT)]);
    let messages =
        transaction(1, vec![stock(), other, orders(), truncate(&[STOCK, 17_000, ORDERS], 3)]);
    assert_eq!(
        lines(&decode(&captured, &messages))[1..3],
        ["0 Truncate public.stock", "1 Truncate public.orders"]
    );
}

#[test]
fn a_domain_is_read_as_the_type_below_it() {
    let captured = capture(&[whole("stock")]);
    let described = relation(
        STOCK,
        "stock",
        &[(true, "id", 20_001), (false, "qty", 20_002), (false, "note", 20_003)],
    );
    let row = [text("5"), text("1.50"), text("open")];
    let messages = transaction(
        1,
        vec![
            encode::described_type(20_001, "", "int8"),
            encode::described_type(20_002, "pg_catalog", "numeric"),
            // A type of the shop's own, whatever its name.
            encode::described_type(20_003, "public", "int4"),
            described,
            insert(STOCK, &row),
        ],
    );
    let batch = batch(&captured, &messages);
    let names: Vec<&str> = batch.table(0).columns.iter().map(|c| c.type_name.as_str()).collect();
    assert_eq!(names, ["bigint", "numeric", "int4"]);
    assert_eq!(
        lines(&[batch])[1],
        "0 insert public.stock - -> [Int(5), Decimal(\"1.50\"), Text(\"open\")]"
    );
}

#[test]
fn values_are_what_their_images_say() {
    let captured = capture(&[whole("stock")]);
    let row = [text("1"), text("2"), Wire::Text(b"caf\xe9".to_vec())];
    let batch = batch(&captured, &transaction(1, vec![stock(), insert(STOCK, &row)]));
    let rows: Vec<_> = batch
        .events()
        .iter()
        .filter_map(|event| match event {
            SourceEvent::Row(row) => Some(row),
            _ => None,
        })
        .collect();
    assert_eq!(rows[0].op, Op::Insert);
    assert_eq!(batch.after(rows[0]).unwrap().get(2), Value::Bytes(b"caf\xe9"));
}
