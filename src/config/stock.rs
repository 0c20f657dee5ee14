use connector_api::TableName;

use super::lookup::{self, LOOKUP, SUM};
use super::pattern;
use super::problem::{Place, Problem, Text};
use super::raw::{Key, Section};
use crate::mapping::expression::Expression;
use crate::mapping::{Definition, Kind, STAR, misfit};
use crate::stock::Measure;

/// One `[[stock]]` block: what the rows of one table mean, and where it says so.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) definition: Definition,
    pub(super) places: BlockPlaces,
}

/// Where the keys of a block stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockPlaces {
    pub(super) own: Place,
    keys: Vec<(String, Place)>,
}

impl BlockPlaces {
    /// The place of a key, or of the block when it has no such key.
    pub(super) fn of(&self, key: &str) -> &Place {
        let known = |key: &str| self.keys.iter().find(|(name, _)| *name == key);
        // What has no place of its own stands in the block it belongs to.
        let within = key.rsplit_once('.').map(|(block, _)| block);
        known(key).or_else(|| known(within?)).map_or(&self.own, |(_, place)| place)
    }
}

pub(super) const STOCK: Key = Key {
    name: "stock",
    wanted: "at least one [[stock]] block that says what the rows of a table mean",
    example: "[[stock]] with table, item and on_hand below it",
};

pub(super) const EXPRESSION: &str = "a column or an SQL expression as a text";

pub(super) const fn expression(name: &'static str, example: &'static str) -> Key {
    Key { name, wanted: EXPRESSION, example }
}

const NAME: Key = Key {
    name: "name",
    wanted: "1 to 63 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`",
    example: "name = \"shop_floor\"",
};
pub(super) const REQUIRED_TABLE: Key = Key {
    name: "table",
    wanted: "one table with its schema, which in MySQL and MariaDB is its database",
    example: "table = \"public.stock\" or table = \"shop.oc_product\"",
};
const KIND: Key =
    Key { name: "kind", wanted: "\"level\" or \"movement\"", example: "kind = \"level\"" };
const WHERE: Key = expression("where", "where = \"channel = 'web'\"");
const REMOVED_WHEN: Key = expression("removed_when", "removed_when = \"deleted_at IS NOT NULL\"");
const ITEM: Key = expression("item", "item = \"product_id\"");
const SKU: Key = expression("sku", "sku = \"sku\"");
const GTIN: Key = expression("gtin", "gtin = \"ean\"");
const PARENT: Key = expression("parent", "parent = \"parent_id\"");
const LOCATION: Key = expression("location", "location = \"warehouse_id\" or \"'main'\"");
const BUCKET: Key = expression("bucket", "bucket = \"lot\"");
const DELTA: Key = expression("delta", "delta = \"quantity\"");
const ACTIVE: Key = expression("active", "active = \"enabled\"");
const TRACKED: Key = expression("tracked", "tracked = \"manage_stock\"");
const MEASURE: Key = Key {
    name: "measure",
    wanted: "\"on_hand\", \"available\", \"reserved\" or \"incoming\"",
    example: "measure = \"on_hand\"",
};
const UNIT: Key = Key {
    name: "unit",
    wanted: "a code of UN/ECE recommendation 20: 2 or 3 capital letters and digits",
    example: "unit = \"EA\" (each), \"KGM\" (kilograms) or \"MTR\" (metres)",
};
const COALESCE: Key =
    Key { name: "coalesce", wanted: "true or false", example: "coalesce = false" };

const REMOVAL_GRACE: Key = Key {
    name: "removal_grace_ms",
    wanted: "0 to 3600000 milliseconds",
    example: "removal_grace_ms = 5000",
};

const UNIT_DEFAULT: &str = "EA";

/// The quantities a level can have.
const QUANTITIES: [(Measure, Key); 4] = [
    (Measure::OnHand, expression("on_hand", "on_hand = \"qty\"")),
    (Measure::Available, expression("available", "available = \"qty - reserved\"")),
    (Measure::Reserved, expression("reserved", "reserved = \"reserved\"")),
    (Measure::Incoming, expression("incoming", "incoming = \"on_order\"")),
];

/// What only a level can have beside its quantities.
const LEVEL_ONLY: [&Key; 5] = [&REMOVED_WHEN, &COALESCE, &LOOKUP, &SUM, &REMOVAL_GRACE];

/// What the names of a source's tables are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableNames<'a> {
    /// Where the tables of such a source usually are.
    pub(super) schema: &'a str,
    /// What stands for `{prefix}`.
    pub(super) prefix: Option<&'a str>,
}

/// Words of the mapping language whose meaning this version lacks.
const REFUSED: [(&str, &str); 5] = [
    ("other", "map on_hand, available, reserved or incoming"),
    ("status", "map `active` instead"),
    ("threshold", "remove it, or subtract it from `available`"),
    ("backorder", "map `tracked` instead"),
    ("location_kind", "remove it"),
];

/// Reads a block.
pub(super) fn read(section: Section<'_>, names: TableNames<'_>) -> Option<Block> {
    // Every key is read before anything is given up, so that all problems are found and no known
    // key is taken for an unknown one.
    let table =
        section.required_text(&REQUIRED_TABLE).and_then(|text| table(&section, &text, names));
    let name = name(&section);
    let kinds = [("level", Kind::Level), ("movement", Kind::Movement)];
    let kind = section.word(&KIND, &kinds).unwrap_or(Kind::Level);
    let item = section.required_text(&ITEM).and_then(|text| parsed(&section, ITEM.name, &text));
    let optional = |key: &Key| parsed(&section, key.name, &section.filled_text(key)?);
    let [filter, removed_when, sku, gtin] = [&WHERE, &REMOVED_WHEN, &SKU, &GTIN].map(optional);
    let [parent, delta, active, tracked] = [&PARENT, &DELTA, &ACTIVE, &TRACKED].map(optional);
    let [location, bucket] = [&LOCATION, &BUCKET].map(optional);
    let quantities = QUANTITIES
        .iter()
        .filter_map(|(measure, key)| optional(key).map(|expression| (*measure, expression)))
        .collect();
    let measure = section.word(&MEASURE, &QUANTITIES.map(|(measure, key)| (key.name, measure)));
    let unit = unit(&section);
    let coalesce = section.flag(&COALESCE).unwrap_or(true);
    let (lookups, lookup_places) = lookup::read(&section, names);
    let sum = section.list(&SUM).unwrap_or_default();
    let removal_grace_ms = section.number(&REMOVAL_GRACE, 0..=3_600_000).unwrap_or(0);
    for (key, fix) in REFUSED {
        section.refuse(key, fix);
    }
    fits_its_kind(&section, kind, measure);
    let mut keys = lookup_places;
    keys.extend(section.places().into_iter().map(|(key, place)| (key.to_owned(), place)));
    let places = BlockPlaces { own: section.own_place(), keys };
    let Some((table, item)) = table.zip(item) else {
        section.finish();
        return None;
    };
    let definition = Definition {
        name: name.unwrap_or(table.to_string()),
        table,
        kind,
        filter,
        removed_when,
        item,
        sku,
        gtin,
        parent,
        location,
        bucket,
        quantities,
        measure,
        delta,
        active,
        tracked,
        unit,
        coalesce,
        lookups,
        sum,
        removal_grace_ms,
    };
    lookup::check(&section, &definition, &|key| places.of(key).clone());
    pattern::check(&section, &definition, &|key| places.of(key).clone());
    section.finish();
    Some(Block { definition, places })
}

/// The expression under `key`, or nothing with its problem reported: also what is wrong with its
/// kinds whatever its columns hold.
pub(super) fn parsed(section: &Section<'_>, key: &str, text: &Text) -> Option<Expression> {
    let report = |found: String, fix: String| {
        let found = format!("{:?}: {found}", text.text);
        section.report(Problem::at(&text.place, found, EXPRESSION, fix));
    };
    let read = Expression::parse(&text.text)
        .and_then(|expression| expression.kind().map(|kind| (expression, kind)));
    match read.map(|(expression, kind)| (expression, misfit(key, kind))) {
        Ok((expression, None)) => return Some(expression),
        Ok((_, Some((found, fix)))) => report(found.to_owned(), fix.to_owned()),
        Err(error) => report(error.to_string(), error.fix()),
    }
    None
}

/// A movement is a change and nothing else; a level has something to say.
fn fits_its_kind(section: &Section<'_>, kind: Kind, measure: Option<Measure>) {
    let quantities = QUANTITIES.iter().filter(|(_, key)| section.has(key.name));
    let report = |key: &str, found: String, wanted: &str, fix: &str| {
        section.report(Problem::at(&section.place(key), found, wanted, fix));
    };
    match kind {
        Kind::Level => {
            let mapped = |measure: Measure| quantities.clone().any(|(one, _)| *one == measure);
            if let Some(measure) = measure.filter(|measure| !mapped(*measure)) {
                let found = format!("{:?}, which is not mapped", measure.as_str());
                let fix = format!("add {} = \"...\", or name one that is there", measure.as_str());
                report(MEASURE.name, found, "a quantity of this level", &fix);
            }
            if quantities.count() == 0 {
                let wanted = "at least one of on_hand, available, reserved and incoming";
                section.report(Problem::at(
                    &section.own_place(),
                    "a level without a quantity",
                    wanted,
                    "add on_hand = \"qty\"",
                ));
            }
            if section.has(DELTA.name) {
                let fix = "write kind = \"movement\" if each row is a change, else remove `delta`";
                report(DELTA.name, "`delta` in a level".to_owned(), "`delta` in a movement", fix);
            }
        }
        Kind::Movement => {
            if !section.has(DELTA.name) {
                section.report_missing(&DELTA);
            }
            for key in quantities.map(|(_, key)| key).chain(LEVEL_ONLY) {
                if section.has(key.name) {
                    let found = format!("`{}` in a movement", key.name);
                    let fix = "remove it; the rows of a ledger are changes, named by `delta`";
                    report(key.name, found, "a movement with `delta` alone", fix);
                }
            }
        }
    }
}

fn name(section: &Section<'_>) -> Option<String> {
    let text = section.text(&NAME)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.text.is_empty() || text.text.len() > 63 || !text.text.bytes().all(allowed) {
        section.report(text.problem(NAME.wanted, NAME.example));
    }
    Some(text.text)
}

fn unit(section: &Section<'_>) -> String {
    let Some(text) = section.text(&UNIT) else { return UNIT_DEFAULT.to_owned() };
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if !(2..=3).contains(&text.text.len()) || !text.text.bytes().all(allowed) {
        section.report(text.problem(UNIT.wanted, UNIT.example));
    }
    text.text
}

/// A table's name: two parts, in double quotes where they hold a dot.
pub(super) fn table(
    section: &Section<'_>,
    text: &Text,
    names: TableNames<'_>,
) -> Option<TableName> {
    const PREFIX: &str = "{prefix}";
    let TableNames { schema, prefix } = names;
    if text.text.contains(PREFIX) && prefix.is_none() {
        let fix = "add prefix = \"wp_\" at the top of the file";
        section.report(text.problem("a `prefix` for {prefix}", fix));
        return None;
    }
    let named = text.text.replace(PREFIX, prefix.unwrap_or_default());
    if named.contains(['%', '{', '}']) || named.matches(STAR).count() > 1 {
        let wanted = "a name with at most one *, which stands for any part of it, and {prefix}";
        section.report(text.problem(wanted, "table = \"shop.wp_*_postmeta\""));
        return None;
    }
    let parts = parts(&named);
    if named.contains('`') || parts.is_none() && named.trim() != named {
        let plain = named.replace('`', "");
        let fix = format!("table = {:?}", plain.trim());
        section.report(text.problem(REQUIRED_TABLE.wanted, fix));
        return None;
    }
    if let Some([named, table]) = parts.as_deref()
        && !named.is_empty()
        && !table.is_empty()
    {
        return Some(TableName::new(named, table));
    }
    let fix = match parts.as_deref() {
        Some([table]) if !table.is_empty() => format!("table = \"{schema}.{table}\""),
        _ => format!("{}; a part with a dot stands in double quotes", REQUIRED_TABLE.example),
    };
    section.report(text.problem(REQUIRED_TABLE.wanted, fix));
    None
}

/// The parts of a dotted name; `None` when its quotes do not match.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if !rest.starts_with('"') && part.trim() != part {
            return None;
        }
        parts.push(part.to_owned());
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None => return (behind.is_empty() && !part.contains('"')).then_some(parts),
        }
    }
}
