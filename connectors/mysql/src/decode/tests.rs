#![allow(clippy::unwrap_used)]

mod boundaries;
mod encode;
mod fixtures;
mod replay;
mod robust;
mod statements;
mod tables;

use connector_api::{CaptureTable, Columns, Lineage, Position, SourceEvent};

use super::*;
use crate::log::{Framing, Unpacker};
use encode::Log;

fn capture(tables: &[&str]) -> Capture {
    let whole =
        |table: &&str| CaptureTable { name: TableName::new("shop", *table), columns: Columns::All };
    Capture { tables: tables.iter().map(whole).collect() }
}

fn point(partial: Option<(&str, u32)>) -> ResumePoint {
    ResumePoint {
        partial: partial.map(|(txid, rows)| Partial { txid: txid.to_owned(), rows }),
        ..ResumePoint::new(
            Lineage::new("mysql/11111111-1111-1111-1111-111111111111"),
            Position::new("1/binlog.000001/4/1700000000"),
            capture(&["stock"]),
        )
    }
}

/// The batches of a log, each as soon as one can be taken or only when it must be.
fn try_read(from: &ResumePoint, log: &Log, early: bool) -> Result<Vec<Batch>> {
    let catalog = Catalog::default();
    let decoder = Decoder::new(from, capture(&["stock", "orders"]), catalog)?;
    let mut unknown = |_: &TableName| Err("nobody knows".to_owned());
    read_with((decoder, &mut unknown), from, log, early)
}

/// What is said of tables that the log does not name the columns of.
type Answer<'a> = &'a mut dyn FnMut(&TableName) -> Result<TableLayout, String>;

fn read_with(
    (mut decoder, answer): (Decoder, Answer<'_>),
    from: &ResumePoint,
    log: &Log,
    early: bool,
) -> Result<Vec<Batch>> {
    let mut out = BatchBuilder::new(&from.position);
    let (mut framing, mut unpacker) = (Framing::default(), Unpacker::default());
    let mut batches = Vec::new();
    for event in log.events() {
        let frame = framing.frame(event)?;
        let mut hand_over = |frame: &Frame<'_>| loop {
            let mut full = |batch| batches.push(batch);
            match decoder.event(frame, &mut out, &mut full)? {
                Decoded::Lacks(table) | Decoded::LacksTypes(table) => {
                    let said = answer(&table);
                    decoder.answer(table, said, &mut out);
                }
                Decoded::Recalls(place) => {
                    let found = recall(&mut decoder, log, &place, (&mut out, &mut full))?;
                    decoder.recalled(found, &mut out, &mut |batch| batches.push(batch))?;
                    return Ok(Decoded::Whole);
                }
                Decoded::Full => batches.push(out.take()),
                Decoded::Suspects => decoder.suspects(suspects()),
                other => return Ok(other),
            }
        };
        if hand_over(&frame)? == Decoded::Packed
            && let Event::TransactionPayload(payload) = frame.event()?
        {
            let mut inside = payload.events(&mut unpacker)?;
            while let Some(frame) = inside.read_event()? {
                assert_eq!(hand_over(&frame)?, Decoded::Whole);
            }
        }
        if out.is_full() || (early && out.is_ready()) {
            batches.push(out.take());
        }
    }
    if out.is_ready() {
        batches.push(out.take());
    }
    Ok(batches)
}

/// Hands over again what stands at a place, as far as it is there.
fn recall(
    decoder: &mut Decoder,
    log: &Log,
    place: &Prepared,
    (out, full): (&mut BatchBuilder, &mut dyn FnMut(Batch)),
) -> Result<bool> {
    let (mut framing, mut offset) = (Framing::default(), 4);
    for event in log.events() {
        let frame = framing.frame(event)?;
        if offset >= place.offset {
            loop {
                match decoder.recall(&frame, out, full)? {
                    Decoded::Full => full(out.take()),
                    Decoded::Suspects => decoder.suspects(suspects()),
                    done => break assert_eq!(done, Decoded::Whole),
                }
            }
            if let Event::XaPrepare(_) = frame.event()? {
                return Ok(true);
            }
        }
        offset += u64::from(frame.header.size);
    }
    Ok(false)
}

/// A trigger that changes `shop.orders`.
fn suspects() -> Suspects {
    let tables = vec![TableName::new("shop", "orders")];
    Suspects { tables, as_of: Some(("binlog.000001".parse().unwrap(), 500)) }
}

fn read(log: &Log) -> Vec<Batch> {
    try_read(&point(None), log, false).unwrap()
}

/// One line for each event: what a consumer can see.
fn lines(batches: &[Batch]) -> Vec<String> {
    batches
        .iter()
        .flat_map(|batch| batch.events().iter().map(move |event| line(batch, event)))
        .collect()
}

fn line(batch: &Batch, event: &SourceEvent) -> String {
    let image = |image: Option<connector_api::RowImage<'_>>| {
        image.map_or("-".to_owned(), |image| format!("{:?}", image.values().collect::<Vec<_>>()))
    };
    match event {
        SourceEvent::Begin(begin) => {
            format!("begin {} from {}", batch.text(begin.txid), begin.first_ordinal)
        }
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
        SourceEvent::SchemaChanged { table } => format!("schema {}", batch.table(*table).name),
        SourceEvent::Commit => "commit".to_owned(),
        SourceEvent::Unreadable { table, ordinal, reason } => {
            format!("{ordinal} unreadable {}: {reason}", batch.table(*table).name)
        }
    }
}
