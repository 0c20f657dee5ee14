//! Any rows of any table are decoded or said to be unreadable, and as many rows are stepped over
//! as are decoded. Input: options, the shape of the table behind its length in two bytes, then
//! events of rows: type, length in two bytes, images.
#![no_main]

use connector_api::{
    Batch, BatchBuilder, Capture, CaptureTable, ColumnLayout, Columns, Lineage, Position,
    ResumePoint, SourceEvent, TableLayout, TableName,
};
use connector_mysql::decode::{Catalog, Decoded, Decoder, Suspects};
use connector_mysql::log::{Event, Flavor, Frame, HEADER_BYTES, Header, Kind};
use libfuzzer_sys::fuzz_target;

/// What the catalog may say of a column, and its character set.
const TYPES: [(&str, Option<&str>); 8] = [
    ("int unsigned", None),
    ("varchar(9)", Some("utf8mb4")),
    ("enum('a','b''c')", Some("latin1")),
    ("inet6", None),
    ("uuid", None),
    ("time(3) /* mariadb-5.3 */", None),
    ("datetime(6) /* mariadb-5.3 */", None),
    ("text", Some("gbk")),
];

fuzz_target!(|data: &[u8]| {
    let Some(([options], rest)) = data.split_first_chunk::<1>() else { return };
    let Some((shape, rest)) = block(rest) else { return };
    let flavor = if options & 1 == 0 { Flavor::MySql } else { Flavor::MariaDb };
    let map = [b"\x07\0\0\0\0\0\x01\0\x04shop\0\x05stock\0", shape].concat();
    let columns = match frame(Kind::TABLE_MAP, &map, flavor).event() {
        Ok(Event::TableMap(map)) => map.types.len(),
        _ => return,
    };
    let mut events = vec![(Kind::MARIADB_GTID, vec![0; 13]), (Kind::TABLE_MAP, map)];
    events.extend(rows(rest, columns, options & 2 != 0));
    let defined = if options & 4 != 0 { columns } else { 0 };
    let decoded = read(&events, flavor, defined, Columns::All);
    let stepped = read(&events, flavor, defined, Columns::Only(Vec::new()));
    assert_eq!(decoded, stepped);
});

/// The bodies of rows events. Their maps of columns are in the input, or say that all are there.
fn rows(mut rest: &[u8], columns: usize, has_maps: bool) -> Vec<(Kind, Vec<u8>)> {
    let mut events = Vec::new();
    while let Some(([kind], tail)) = rest.split_first_chunk::<1>() {
        let Some((images, tail)) = block(tail) else { break };
        rest = tail;
        let kind = Kind(*kind);
        let is_first = (23..=25).contains(&kind.0) || (166..=168).contains(&kind.0);
        let is_update = [24, 31, 39, 167, 170].contains(&kind.0);
        let mut body = b"\x07\0\0\0\0\0\x01\0".to_vec();
        body.extend(if is_first { &[][..] } else { &[2, 0] });
        body.extend([0xfc, columns as u8, (columns >> 8) as u8]);
        let maps = if has_maps { 0 } else { 1 + usize::from(is_update) };
        body.extend(vec![0xff; columns.div_ceil(8) * maps]);
        body.extend(images);
        events.push((kind, body));
    }
    events
}

/// Bytes behind their length in two bytes.
fn block(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, tail) = data.split_first_chunk::<2>()?;
    Some(tail.split_at(usize::from(u16::from_le_bytes(*len)).min(tail.len())))
}

fn frame(kind: Kind, body: &[u8], flavor: Flavor) -> Frame<'_> {
    let mut header = [0; HEADER_BYTES];
    header[4] = kind.0;
    header[9..13].copy_from_slice(&((HEADER_BYTES + body.len()) as u32).to_le_bytes());
    Frame { header: Header::read(&header).expect("it is whole"), body, flavor }
}

/// How many rows there are, and whether the decoder went on behind them.
fn read(
    events: &[(Kind, Vec<u8>)],
    flavor: Flavor,
    defined: usize,
    columns: Columns,
) -> (usize, bool) {
    let name = TableName::new("shop", "stock");
    let capture = Capture { tables: vec![CaptureTable { name: name.clone(), columns }] };
    let from = ResumePoint::new(
        Lineage::new("any"),
        Position::new("1/binlog.000001/4/1"),
        capture.clone(),
    );
    let column = |nth: usize| {
        let (type_name, charset) = TYPES[nth % TYPES.len()];
        ColumnLayout {
            name: format!("c{nth}"),
            type_name: type_name.to_owned(),
            charset: charset.map(str::to_owned),
            is_key: nth == 0,
        }
    };
    let layout = TableLayout { name, id: None, columns: (0..defined).map(column).collect() };
    let known = if defined > 0 { std::slice::from_ref(&layout) } else { &[] };
    let catalog = Catalog::new(known, false);
    let mut decoder = Decoder::new(&from, capture, catalog).expect("it is a place");
    let mut out = BatchBuilder::new(&from.position);
    let mut batches = Vec::new();
    let mut is_whole = true;
    for (kind, body) in events {
        let frame = frame(*kind, body, flavor);
        is_whole &= loop {
            match decoder.event(&frame, &mut out, &mut |it| batches.push(it)) {
                Ok(Decoded::Lacks(table) | Decoded::LacksTypes(table)) => {
                    let unknown = || "unknown".to_owned();
                    let answer = if defined > 0 { Ok(layout.clone()) } else { Err(unknown()) };
                    decoder.answer(table, answer, &mut out);
                }
                Ok(Decoded::Full) => batches.push(out.take()),
                Ok(Decoded::Suspects) => decoder.suspects(Suspects::default()),
                done => break done.is_ok(),
            }
        };
    }
    batches.push(out.take());
    (batches.iter().map(count).sum(), is_whole)
}

fn count(batch: &Batch) -> usize {
    let mut rows = 0;
    for event in batch.events() {
        match event {
            SourceEvent::Row(row) => {
                let images = [batch.before(row), batch.after(row)];
                images.iter().flatten().for_each(|image| image.values().for_each(drop));
                rows += 1;
            }
            SourceEvent::Unreadable { .. } => rows += 1,
            _ => {}
        }
    }
    rows
}
