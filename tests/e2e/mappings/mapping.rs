//! Random mappings, each as a `[[stock]]` block and as one query.

use super::expression::{Scope, Sql, condition, number, pick, text};
use crate::support::Random;

/// What a lookup adds to the columns of the stock table.
struct Found {
    /// `[[stock.lookup]]`
    block: String,
    /// `LEFT JOIN ...`, to `s` and to what was joined before.
    join: String,
    required: bool,
    /// Names, each with what it stands for in the query.
    numbers: Vec<(&'static str, String)>,
    texts: Vec<(&'static str, String)>,
}

/// A mapping of the tables of one group.
pub(super) struct Mapping {
    /// As it begins its locations.
    pub(super) name: String,
    /// Whether rows without a product count as deleted with it.
    pub(super) required: bool,
    pub(super) block: String,
    /// Item, location, on_hand, available, sku and active of every key.
    pub(super) query: String,
}

/// The columns of a stock table that hold numbers, and those that hold text.
const NUMBERS: [&str; 4] = ["id", "product", "qty", "kept"];
const TEXTS: [&str; 3] = ["kind", "place", "note"];

impl Mapping {
    pub(super) fn random(random: &mut Random, name: &str, group: u64, strict: bool) -> Self {
        let lookups = lookups(random, group, strict);
        let required = lookups.iter().any(|lookup| lookup.required);
        let sums: &[&str] = match random.below(6) {
            0 => &["qty"],
            1 => &["qty", "kept"],
            _ => &[],
        };
        let looked_up = |of: fn(&Found) -> &[(&'static str, String)]| {
            lookups.iter().flat_map(of).map(|(name, _)| *name)
        };
        let numbers: Vec<&str> =
            NUMBERS.into_iter().chain(looked_up(|found| &found.numbers)).collect();
        let plain: Vec<&str> =
            numbers.iter().copied().filter(|number| !sums.contains(number)).collect();
        let texts: Vec<&str> = TEXTS.into_iter().chain(looked_up(|found| &found.texts)).collect();
        let rows = Scope { numbers: &numbers, texts: &texts, strict };
        let first = Scope { numbers: &plain, texts: &texts, strict };
        let quantities =
            Scope { numbers: if sums.is_empty() { &plain[..] } else { sums }, ..first };
        let parts = Parts {
            item: item(random, &texts),
            location: location(random, name),
            filter: random.chance(60).then(|| condition(random, &rows, 2)),
            removed: random.chance(30).then(|| condition(random, &rows, 1)),
            on_hand: quantity(random, &quantities, sums),
            available: random.chance(50).then(|| quantity(random, &quantities, sums)),
            sku: random.chance(70).then(|| text(random, &first, 2)),
            active: random.chance(40).then(|| condition(random, &first, 1)),
        };
        let coalesce = random.chance(80);
        let block = parts.block(name, group, sums, coalesce)
            + &lookups.iter().map(|lookup| lookup.block.as_str()).collect::<String>();
        Self { name: name.to_owned(), required, block, query: parts.query(group, sums, &lookups) }
    }
}

/// A quantity is made of sums alone, or of no sums, so that it must not ask texts.
fn quantity(random: &mut Random, scope: &Scope<'_>, sums: &[&str]) -> Sql {
    if sums.is_empty() {
        return number(random, scope, 2);
    }
    let one = number(random, scope, 0);
    let sum = Sql::same(pick(random, sums));
    match random.below(3) {
        0 => sum,
        _ => Sql {
            ours: format!("({}) - ({})", sum.ours, one.ours),
            theirs: format!("({}) - ({})", sum.theirs, one.theirs),
        },
    }
}

fn item(random: &mut Random, texts: &[&str]) -> Sql {
    let mut choices = vec!["id", "product", "'p-' || product", "'k-' || kind"];
    if texts.contains(&"code") {
        choices.extend(["'c-' || code", "COALESCE(code, 'P-' || product)"]);
    }
    Sql::same(pick(random, &choices))
}

fn location(random: &mut Random, name: &str) -> Sql {
    match random.below(3) {
        0 => Sql::same(&format!("'{name}'")),
        1 => Sql::same(&format!("'{name}-' || place")),
        _ => Sql::same(&format!("'{name}-' || CASE WHEN place = 'k' THEN 'K' ELSE note END")),
    }
}

/// The fields of a block.
struct Parts {
    item: Sql,
    location: Sql,
    filter: Option<Sql>,
    removed: Option<Sql>,
    on_hand: Sql,
    available: Option<Sql>,
    sku: Option<Sql>,
    active: Option<Sql>,
}

impl Parts {
    fn block(&self, name: &str, group: u64, sums: &[&str], coalesce: bool) -> String {
        let mut block = format!(
            "[[stock]]\nname = \"{name}\"\ntable = \"public.stock{group}\"\ncoalesce = {coalesce}\n"
        );
        let fields = [
            ("item", Some(&self.item)),
            ("location", Some(&self.location)),
            ("where", self.filter.as_ref()),
            ("removed_when", self.removed.as_ref()),
            ("on_hand", Some(&self.on_hand)),
            ("available", self.available.as_ref()),
            ("sku", self.sku.as_ref()),
            ("active", self.active.as_ref()),
        ];
        for (key, field) in fields {
            if let Some(field) = field {
                block += &format!("{key} = \"{}\"\n", field.ours);
            }
        }
        if !sums.is_empty() {
            block += &format!("sum = {sums:?}\n");
        }
        block
    }

    /// From the inside: rows with what is looked up for them, those that count with their keys, the
    /// rows of each key, and what is said of it.
    fn query(&self, group: u64, sums: &[&str], lookups: &[Found]) -> String {
        let names = lookups.iter().flat_map(|found| found.numbers.iter().chain(&found.texts));
        let names: String = names.map(|(name, theirs)| format!(", {theirs} AS {name}")).collect();
        let joins: String = lookups.iter().map(|lookup| lookup.join.as_str()).collect();
        let required = lookups.iter().any(|lookup| lookup.required);
        let found = if required { ", p.id AS found_product" } else { "" };
        let rows = format!("SELECT s.*{names}{found} FROM stock{group} s{joins}");
        let text = |field: &Option<Sql>, missing: &str| {
            field.as_ref().map_or(missing.to_owned(), |field| field.theirs.clone())
        };
        let keyed = format!(
            "SELECT r.*, {} AS item_id, {} AS location_id FROM ({rows}) r
             WHERE ({}) AND NOT COALESCE(({}), FALSE){}",
            self.item.theirs,
            self.location.theirs,
            text(&self.filter, "TRUE"),
            text(&self.removed, "FALSE"),
            if required { " AND found_product IS NOT NULL" } else { "" },
        );
        let own = "PARTITION BY item_id, location_id";
        let added = ["qty", "kept"].map(|column| match sums.contains(&column) {
            true => format!("SUM({column}) OVER ({own}) AS all_{column}"),
            false => format!("{column} AS all_{column}"),
        });
        let counted = format!(
            "SELECT k.*, {}, ROW_NUMBER() OVER ({own} ORDER BY id) AS nth FROM ({keyed}) k
             WHERE item_id IS NOT NULL AND location_id IS NOT NULL",
            added.join(", "),
        );
        let summed = |sql: &str| match sums.is_empty() {
            true => sql.to_owned(),
            false => sql.replace("qty", "all_qty").replace("kept", "all_kept"),
        };
        let active = self.active.as_ref().map_or("NULL".to_owned(), |active| {
            let theirs = &active.theirs;
            format!("CASE WHEN {theirs} THEN 'true' WHEN NOT ({theirs}) THEN 'false' END")
        });
        format!(
            "SELECT item_id, location_id, {}, {}, NULLIF({}, ''), {active} FROM ({counted}) c
             WHERE nth = 1",
            summed(&self.on_hand.theirs),
            summed(&text(&self.available, "NULL")),
            text(&self.sku, "NULL"),
        )
    }
}

/// The lookups of a mapping, in the order of the file.
fn lookups(random: &mut Random, group: u64, strict: bool) -> Vec<Found> {
    let mut lookups = Vec::new();
    if random.chance(60) {
        lookups.push(product(random, group, strict));
        if random.chance(50) {
            lookups.push(family(random, group));
        }
    }
    if random.chance(20) {
        lookups.push(own(group));
    }
    lookups
}

/// The row with the lowest primary key of those that are asked for.
fn joined(table: &str, name: &str, wanted: &str) -> String {
    format!(
        " LEFT JOIN {table} {name} ON {name}.id = (SELECT MIN(x.id) FROM {table} x WHERE {wanted})"
    )
}

fn product(random: &mut Random, group: u64, strict: bool) -> Found {
    let table = format!("product{group}");
    let required = random.chance(30);
    // Of several rows only one goes with the stock row.
    let column = if required { "id" } else { pick(random, &["id", "ref"]) };
    let scope = Scope { numbers: &["sold", "family"], texts: &["code"], strict };
    let filter = random.chance(40).then(|| condition(random, &scope, 1));
    let mut block = format!(
        "[[stock.lookup]]\ntable = \"public.{table}\"\non = {{ {column} = \"product\" }}\n\
         columns = {{ code = \"code\", sold = \"sold\", family = \"family\", \
         label = \"COALESCE(code, 'none')\" }}\n"
    );
    let mut wanted = format!("x.{column} = s.product");
    if let Some(filter) = filter {
        block += &format!("where = \"{}\"\n", filter.ours);
        wanted += &format!(" AND ({})", filter.theirs);
    }
    if required {
        block += "required = true\n";
    }
    let join = joined(&table, "p", &wanted);
    let numbers = vec![("sold", "p.sold".to_owned()), ("family", "p.family".to_owned())];
    // Without a row the name is NULL, whatever the expression says of NULL.
    let label = "CASE WHEN p.id IS NOT NULL THEN COALESCE(p.code, 'none') END".to_owned();
    let texts = vec![("code", "p.code".to_owned()), ("label", label)];
    Found { block, join, required, numbers, texts }
}

fn family(random: &mut Random, group: u64) -> Found {
    let table = format!("family{group}");
    let column = pick(random, &["id", "ref"]);
    Found {
        block: format!(
            "[[stock.lookup]]\ntable = \"public.{table}\"\non = {{ {column} = \"family\" }}\n\
             columns = {{ called = \"name\" }}\n"
        ),
        join: joined(&table, "f", &format!("x.{column} = p.family")),
        required: false,
        numbers: Vec::new(),
        texts: vec![("called", "f.name".to_owned())],
    }
}

/// Another row of the stock table itself.
fn own(group: u64) -> Found {
    let table = format!("stock{group}");
    Found {
        block: format!(
            "[[stock.lookup]]\ntable = \"public.{table}\"\non = {{ id = \"kept\" }}\n\
             columns = {{ other = \"qty\", remark = \"note\" }}\n"
        ),
        join: joined(&table, "o", "x.id = s.kept"),
        required: false,
        numbers: vec![("other", "o.qty".to_owned())],
        texts: vec![("remark", "o.note".to_owned())],
    }
}
