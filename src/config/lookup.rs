//! `[[stock.lookup]]` and `sum`: what is said of a key by more than one row.

use super::problem::{Place, Problem};
use super::raw::{Key, Section};
use super::stock::{EXPRESSION, REQUIRED_TABLE, TableNames, expression, parsed, table};
use crate::mapping::{Definition, Kind, Lookup};

pub(super) const LOOKUP: Key = Key {
    name: "lookup",
    wanted: "[[stock.lookup]] blocks",
    example: "[[stock.lookup]] with table, on and columns below it",
};
pub(super) const SUM: Key = Key {
    name: "sum",
    wanted: "a list of the table's columns that are added up over the rows of a key",
    example: "sum = [\"quantity\", \"reserved_quantity\"]",
};
const WHERE: Key = expression("where", "where = \"meta_key = '_sku'\"");
const ON: Key = Key {
    name: "on",
    wanted: "columns of the looked-up table, each with the expression over the stock row that it \
             is equal to",
    example: "on = { id = \"product_id\" }",
};
const COLUMNS: Key = Key {
    name: "columns",
    wanted: "names, each with the expression over the looked-up row that it stands for",
    example: "columns = { product_sku = \"sku\" }",
};
const REQUIRED: Key = Key { name: "required", wanted: "true or false", example: "required = true" };

/// The most lookups of one mapping.
const LOOKUPS_MAX: usize = crate::mapping::LOOKUPS_MAX;

/// The lookups of a block, and where their keys stand.
pub(super) fn read(
    section: &Section<'_>,
    names: TableNames<'_>,
) -> (Vec<Lookup>, Vec<(String, Place)>) {
    let mut places = Vec::new();
    let blocks = section.sections(&LOOKUP);
    if blocks.len() > LOOKUPS_MAX {
        let found = format!("{} lookups", blocks.len());
        let wanted = format!("at most {LOOKUPS_MAX}");
        let fix = "take several columns of one table with one lookup";
        section.report(Problem::at(&section.place(LOOKUP.name), found, wanted, fix));
    }
    let mut lookups: Vec<Lookup> = Vec::new();
    for (nth, block) in blocks.into_iter().enumerate() {
        let prefix = format!("lookup[{}]", nth + 1);
        let known = lookups.len();
        lookups.extend(one(block, (names, &prefix), &mut places));
        let (earlier, later) = lookups.split_at(known);
        let given = later.iter().flat_map(|lookup| &lookup.columns).map(|(name, _)| name);
        for name in given {
            if earlier.iter().any(|lookup| lookup.columns.iter().any(|(known, _)| known == name)) {
                let key = format!("{prefix}.columns.{name}");
                let place = places.iter().find(|(known, _)| *known == key);
                let place = place.map_or_else(|| section.own_place(), |(_, place)| place.clone());
                let found = format!("the name {name} again, after another lookup of this block");
                let wanted = "a name of its own for each looked-up column";
                section.report(Problem::at(&place, found, wanted, "give one of them another name"));
            }
        }
    }
    (lookups, places)
}

fn one(
    section: Section<'_>,
    (names, prefix): (TableNames<'_>, &str),
    places: &mut Vec<(String, Place)>,
) -> Option<Lookup> {
    let named = section.required_text(&REQUIRED_TABLE);
    let table = named.and_then(|text| table(&section, &text, names));
    let filter = section.filled_text(&WHERE);
    let filter = filter.and_then(|text| parsed(&section, WHERE.name, &text));
    let mut pairs = |key: &Key| {
        if !section.has(key.name) {
            section.report_missing(key);
        }
        let mut pairs = Vec::new();
        for (name, text) in section.texts(key) {
            places.push((format!("{prefix}.{}.{name}", key.name), text.place.clone()));
            if let Some(expression) = parsed(&section, "", &text) {
                pairs.push((name, expression));
            }
        }
        pairs
    };
    let (on, columns) = (pairs(&ON), pairs(&COLUMNS));
    let required = section.flag(&REQUIRED).unwrap_or(false);
    let own = section.places().into_iter();
    places.extend(own.map(|(key, place)| (format!("{prefix}.{key}"), place)));
    section.finish();
    Some(Lookup { table: table?, filter, on, columns, required })
}

/// What can be wrong with a whole block whatever its tables are like. `place` says where a key is.
pub(super) fn check(section: &Section<'_>, definition: &Definition, place: &dyn Fn(&str) -> Place) {
    if let Err(first) = definition.lookup_order() {
        section.report(Problem::at(
            &place(&format!("lookup[{}].on", first + 1)),
            "lookups that need each other's columns",
            "lookups of which each needs only what others before it have found",
            "let one of them ask with columns of the stock table alone",
        ));
    }
    for (nth, column) in definition.sum.iter().enumerate() {
        let again = definition.sum[..nth].contains(column);
        let looked_up = definition.lookup_of(column).is_some();
        if again || looked_up {
            let why = if again { "again" } else { "which is looked up" };
            section.report(Problem::at(
                &place(SUM.name),
                format!("{column:?}, {why}"),
                SUM.wanted,
                "name each column of the table itself once",
            ));
        }
    }
    if !definition.sum.is_empty() && definition.kind == Kind::Level {
        check_sums(section, definition, place);
    }
}

/// A column must stand for the value of one row or for a sum, without doubt.
fn check_sums(section: &Section<'_>, definition: &Definition, place: &dyn Fn(&str) -> Place) {
    for (key, expression) in definition.expressions() {
        let summed = |column: &&str| definition.sum.iter().any(|sum| sum == column);
        let columns = expression.columns();
        if definition.quantities.iter().any(|(measure, _)| measure.as_str() == key) {
            if let Some(plain) = columns.iter().find(|column| !summed(column)) {
                section.report(Problem::at(
                    &place(key),
                    format!("{plain}, which is not added up: it is not clear which row's is meant"),
                    "a quantity of nothing but the columns in `sum`",
                    format!("add \"{plain}\" to `sum`, or leave it out"),
                ));
            }
        } else if !matches!(key, "where" | "removed_when")
            && let Some(sum) = columns.iter().find(|column| summed(column))
        {
            section.report(Problem::at(
                &place(key),
                format!("{sum}, which is added up: no one row says it"),
                EXPRESSION,
                "use sums in on_hand, available, reserved and incoming",
            ));
        }
    }
}
