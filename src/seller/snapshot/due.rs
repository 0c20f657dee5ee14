use std::collections::{BTreeMap, BTreeSet};

use connector_api::TableName;

use crate::config::SellerConfig;
use crate::mapping::Plan;
use crate::state::{Checkpoint, TableSnapshot};
use crate::stock::encode::{RecordKind, Records};
use crate::stock::quantity::Decimal;

/// Why a table is read that has never been.
pub(super) const FIRST_START: &str = "first start";

/// Marks every table of `order` that has to be read: it never was, or its rows meant something
/// else then. A table that no mapping speaks of any more is to be read as an empty one. `is_first`
/// when nothing of the source has ever been stored, and so nothing published.
pub(in crate::seller) fn mark_due(
    checkpoint: &mut Checkpoint,
    plan: &Plan,
    config: &SellerConfig,
    is_first: bool,
) {
    if !config.source.snapshot.automatic {
        return;
    }
    let order = plan.snapshot_order();
    for table in &order {
        let text = table.to_string();
        let meaning = meaning_of(config, plan, table);
        let other = |now: &TableSnapshot| now.table == text && now.meaning != meaning;
        if let Some(begun) = checkpoint.snapshot.as_ref().filter(|now| other(now)) {
            // Its first rows were read as something else.
            let reason = begun.reason.clone();
            checkpoint.taint(text, reason);
            continue;
        }
        let reason = match checkpoint.complete.get(&text) {
            Some(complete) if *complete == meaning => continue,
            Some(_) => {
                // Nor can it be relied on when the mapping changes back before it was read.
                checkpoint.complete.remove(&text);
                "what its rows mean has changed"
            }
            None if checkpoint.dirty_tables.contains_key(&text) => continue,
            None if is_first => FIRST_START,
            None => "it has never been read",
        };
        checkpoint.taint(text, reason.to_owned());
    }
    let known: Vec<String> = order.iter().map(TableName::to_string).collect();
    let gone = checkpoint.complete.keys().filter(|table| !known.contains(table));
    for table in gone.cloned().collect::<Vec<_>>() {
        checkpoint.taint(table, "no mapping speaks of it any more".to_owned());
    }
}

/// The tables that have not been read whole under the mapping that holds now.
pub(in crate::seller) fn incomplete(
    checkpoint: &Checkpoint,
    plan: &Plan,
    config: &SellerConfig,
) -> BTreeSet<TableName> {
    let is_complete = |table: &TableName| {
        let complete = checkpoint.complete.get(&table.to_string());
        complete.is_some_and(|meaning| *meaning == meaning_of(config, plan, table))
    };
    plan.snapshot_order().into_iter().filter(|table| !is_complete(table)).collect()
}

/// A hash of everything that a seller's file says of the rows of a table, and of how they are told
/// apart and remembered.
pub(super) fn meaning_of(config: &SellerConfig, plan: &Plan, table: &TableName) -> String {
    let both = config.definitions.iter().zip(&config.definition_hashes);
    let of_table = both.filter(|(definition, _)| definition.concerns(table));
    let hashes: Vec<&str> = of_table.map(|(_, hash)| hash.as_str()).collect();
    let meaning = format!("{} {}", hashes.join("+"), plan.memory_of(table));
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(meaning.as_bytes()))
}

/// The first table that has to be read and is not `passed_over`: in the order of the mapping, then
/// those that it knows nothing of.
pub(super) fn next_due(
    checkpoint: &Checkpoint,
    order: &[TableName],
    passed_over: impl Fn(&str) -> bool,
) -> Option<String> {
    let known = order.iter().map(TableName::to_string);
    let unknown = |table: &&String| !order.iter().any(|known| known.to_string() == **table);
    let others = checkpoint.dirty_tables.keys().filter(unknown).cloned();
    known
        .filter(|table| checkpoint.dirty_tables.contains_key(table))
        .chain(others)
        .find(|table| !passed_over(table))
}

/// Adds what was published of a table to its counts and sums.
pub(super) fn count(snapshot: &mut TableSnapshot, records: &Records) {
    let mut sums: BTreeMap<&str, Option<Decimal>> = BTreeMap::new();
    for entry in records.iter() {
        match entry.kind {
            RecordKind::Level => snapshot.keys += 1,
            RecordKind::Removed => snapshot.removed += 1,
            RecordKind::Movement => {}
        }
        let [_, _, _, _, quantities @ ..] = records.columns(entry);
        for (measure, text) in MEASURES.into_iter().zip(quantities) {
            let number = text.and_then(|text| Some(Decimal::parse(text).ok()?.0));
            let Some(number) = number else { continue };
            let sum = sums.entry(measure).or_insert_with(|| {
                let before = snapshot.sums.get(measure).map_or("0", String::as_str);
                Decimal::parse(before).ok().map(|(sum, _)| sum)
            });
            // A sum too great for a quantity is none at all.
            *sum = sum.and_then(|sum| sum.checked_add(number).ok());
        }
    }
    for (measure, sum) in sums {
        match sum {
            Some(sum) => drop(snapshot.sums.insert(measure.to_owned(), sum.to_string())),
            None => drop(snapshot.sums.insert(measure.to_owned(), TOO_GREAT.to_owned())),
        }
    }
}

/// Stands for a sum that is too great, in the checkpoint only.
pub(super) const TOO_GREAT: &str = "too great";

const MEASURES: [&str; 4] = ["on_hand", "available", "reserved", "incoming"];
