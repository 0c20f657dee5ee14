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
    let order = plan.snapshot_order();
    if !config.source.snapshot.automatic {
        // What is marked stays marked, and is read from its first row on once it may be.
        checkpoint.snapshot = None;
        return forsake(checkpoint, plan, config, &order);
    }
    let mut silenced = Vec::new();
    for table in &order {
        let text = table.to_string();
        let meaning = meaning_of(config, plan, table);
        let begun = checkpoint.snapshot.as_ref().filter(|now| now.table == text);
        // Its first rows were read as something else.
        let is_begun_as_other = begun.is_some_and(|begun| begun.meaning != meaning);
        let reason = match checkpoint.complete.get(&text).map(String::as_str) {
            Some(complete) if complete == meaning && !is_begun_as_other => continue,
            None | Some(FORSAKEN) if !is_begun_as_other => {
                let is_marked = checkpoint.dirty_tables.contains_key(&text);
                let reason = if is_first { FIRST_START } else { "its mapping has not read it yet" };
                (!is_marked).then_some(reason)
            }
            _ => Some("what its rows mean has changed"),
        };
        // Nor can it be relied on when the mapping changes back before it was read.
        checkpoint.complete.remove(&text);
        silenced.extend(plan.dependants_of(table).into_iter().map(|other| (other, table)));
        if let Some(reason) = reason {
            checkpoint.taint(text, reason.to_owned());
        }
    }
    // Until it is read they say nothing, of rows that go neither.
    for (other, table) in silenced {
        let other = other.to_string();
        if !checkpoint.dirty_tables.contains_key(&other) {
            checkpoint.taint(other, format!("{table}, which it looks up, is read anew"));
        }
    }
    let known: Vec<String> = order.iter().map(TableName::to_string).collect();
    let begun = checkpoint.snapshot.iter().map(|snapshot| &snapshot.table);
    let gone = checkpoint.complete.keys().chain(begun).filter(|table| !known.contains(table));
    for table in gone.cloned().collect::<Vec<_>>() {
        // Its rows are followed no more, should it come back before its keys are gone.
        checkpoint.complete.remove(&table);
        checkpoint.taint(table, "no mapping speaks of it any more".to_owned());
    }
}

/// Stands for what the rows of a table meant that may not be read now. Its changes are told under
/// another mapping, or not at all, and some day all of its keys have to be looked at.
const FORSAKEN: &str = "";

/// Notes what has to be read or swept once tables may be read again, whatever is mapped by then.
fn forsake(checkpoint: &mut Checkpoint, plan: &Plan, config: &SellerConfig, order: &[TableName]) {
    let meanings = order.iter().map(|table| (table.to_string(), meaning_of(config, plan, table)));
    let meanings: BTreeMap<String, String> = meanings.collect();
    for table in meanings.keys() {
        checkpoint.complete.entry(table.clone()).or_default();
    }
    for (table, complete) in &mut checkpoint.complete {
        if meanings.get(table) != Some(complete) {
            FORSAKEN.clone_into(complete);
        }
    }
}

/// Whether nothing but what this reading has found, and the log since, can have been published of
/// its table. While another mapping held, or before a gap, other keys may have been.
pub(super) fn is_untouched(checkpoint: &Checkpoint, snapshot: &TableSnapshot) -> bool {
    snapshot.reason == FIRST_START && checkpoint.mapping.number == 1 && checkpoint.epoch == 1
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

/// Whether a table is to be read after others that its rows look up: its mappings are silent until
/// then, and its keys would be taken for keys without a row. Of tables that look each other up the
/// first one is read for its rows alone, and once more when all of them are known.
pub(super) fn has_to_wait(
    plan: &Plan,
    order: &[TableName],
    table: &str,
    incomplete: &BTreeSet<TableName>,
) -> bool {
    let place = order.iter().position(|known| known.to_string() == table);
    match place.filter(|place| incomplete.contains(&order[*place])) {
        // What it looks up stands before it, unless that looks it up too.
        Some(place) => {
            let before = order[..place].iter().filter(|other| incomplete.contains(other));
            plan.looks_up(table, &before.cloned().collect())
        }
        None => plan.looks_up(table, incomplete),
    }
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

/// The first table that has to be read and is not `passed_over`: in the order of the mapping, and
/// when all of those are read, those that it knows nothing of. Their keys may be another table's by
/// now, and would be taken for keys without a row as long as that one has not been read.
pub(super) fn next_due(
    checkpoint: &Checkpoint,
    order: &[TableName],
    passed_over: impl Fn(&str) -> bool,
) -> Option<String> {
    let known = order.iter().map(TableName::to_string);
    let marked: Vec<String> =
        known.filter(|table| checkpoint.dirty_tables.contains_key(table)).collect();
    match marked.is_empty() {
        true => checkpoint.dirty_tables.keys().find(|table| !passed_over(table)).cloned(),
        false => marked.into_iter().find(|table| !passed_over(table)),
    }
}

/// Adds what was published of a table to its counts and sums.
pub(super) fn count(snapshot: &mut TableSnapshot, records: &Records) {
    // What was added up of each measure; a sum too great for a quantity is none at all.
    let before = |measure| snapshot.sums.get(measure).map(|sum| parsed(sum));
    let mut sums: [Option<Option<Decimal>>; 4] = MEASURES.map(before);
    // Nearly every quantity is a whole number, and so many of them fit what counts them.
    let mut wholes = [None; 4];
    for entry in records.iter() {
        match entry.kind {
            RecordKind::Level => snapshot.keys += 1,
            RecordKind::Removed => snapshot.removed += 1,
            RecordKind::Movement => {}
        }
        let quantities = records.quantities(entry).into_iter();
        for ((sum, whole), text) in sums.iter_mut().zip(&mut wholes).zip(quantities) {
            let Some(text) = text else { continue };
            match text.parse::<i32>() {
                Ok(number) => *whole = Some(whole.unwrap_or(0i64) + i64::from(number)),
                Err(_) => parsed(text).into_iter().for_each(|number| add(sum, number)),
            }
        }
    }
    for (sum, whole) in sums.iter_mut().zip(wholes) {
        whole.map(Decimal::from_int).into_iter().for_each(|whole| add(sum, whole));
    }
    for (measure, sum) in MEASURES.into_iter().zip(sums) {
        let Some(sum) = sum else { continue };
        let text = sum.map_or_else(|| TOO_GREAT.to_owned(), |sum| sum.to_string());
        snapshot.sums.insert(measure.to_owned(), text);
    }
}

fn add(sum: &mut Option<Option<Decimal>>, number: Decimal) {
    let so_far = sum.unwrap_or(Some(Decimal::ZERO));
    *sum = Some(so_far.and_then(|sum| sum.checked_add(number).ok()));
}

fn parsed(number: &str) -> Option<Decimal> {
    Decimal::parse(number).ok().map(|(number, _)| number)
}

/// Stands for a sum that is too great, in the checkpoint only.
pub(super) const TOO_GREAT: &str = "too great";

const MEASURES: [&str; 4] = ["on_hand", "available", "reserved", "incoming"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
