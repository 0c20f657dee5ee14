//! Any sequence of pgoutput messages is decoded or refused; nothing panics, nothing is allocated
//! beyond what came in. Input: messages, each behind its length in two bytes.
#![no_main]

use connector_api::{
    BatchBuilder, Capture, CaptureTable, Columns, Lineage, Position, ResumePoint, SourceEvent,
    TableName,
};
use connector_postgres::decode::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let capture = Capture {
        tables: vec![CaptureTable { name: TableName::new("*", "*"), columns: Columns::All }],
    };
    let from = ResumePoint::new(Lineage::new("7/1/slot"), Position::new("0/0"), capture.clone());
    let mut decoder = Decoder::new(&from, capture);
    let mut builder = BatchBuilder::new(&from.position);
    let mut rest = data;
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(tail.len());
        let (message, tail) = tail.split_at(len);
        rest = tail;
        if decoder.message(message, &mut builder).is_err() {
            return;
        }
        if builder.is_full() {
            let batch = builder.take();
            for event in batch.events() {
                if let SourceEvent::Row(row) = event {
                    let images = [batch.before(row), batch.after(row)];
                    images.iter().flatten().for_each(|image| drop(image.values().count()));
                }
            }
        }
    }
});
