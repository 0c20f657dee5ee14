//! Any event of a binlog is read or refused, and so is what is packed inside one. Input: the
//! family, then events: type, length in two bytes, body.
#![no_main]

use connector_mysql::log::{
    Content, Event, Flavor, Frame, HEADER_BYTES, Header, LogFile, Unpacker,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(mut file) = LogFile::open(data) {
        while let Ok(Some(frame)) = file.read_event() {
            read(&frame);
        }
    }
    let Some((family, mut rest)) = data.split_first() else { return };
    let flavor = if family % 2 == 0 { Flavor::MySql } else { Flavor::MariaDb };
    while let Some(([kind, low, high], tail)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
        let (body, tail) = tail.split_at(len);
        rest = tail;
        let mut header = [0; HEADER_BYTES];
        header[4] = *kind;
        header[9..13].copy_from_slice(&((HEADER_BYTES + len) as u32).to_le_bytes());
        if let Ok(header) = Header::read(&header) {
            read(&Frame { header, body, flavor });
        }
    }
});

fn read(frame: &Frame<'_>) {
    match frame.event() {
        Ok(Event::TableMap(map)) => {
            if let Ok(mut columns) = map.columns() {
                assert_eq!(columns.len(), map.types.len());
                let _ = map.describe(&mut columns);
            }
        }
        Ok(Event::Rows(rows)) => inflate(&rows.data),
        Ok(Event::Query(query)) => inflate(&query.text),
        Ok(Event::TransactionPayload(payload)) => {
            let mut unpacker = Unpacker::default();
            let mut events = payload.events(&mut unpacker).expect("zstd starts");
            while let Ok(Some(frame)) = events.read_event() {
                read(&frame);
            }
        }
        Ok(Event::MariadbGtidList(list)) => drop(list.iter().count()),
        _ => {}
    }
}

fn inflate(content: &Content<'_>) {
    let mut room = Vec::new();
    let _ = content.bytes(&mut room);
}
