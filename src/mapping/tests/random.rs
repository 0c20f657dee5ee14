//! Whatever the mapping, the tables and the transactions are: what a consumer has folded in the
//! end is what the mapping says of the final contents, written down a second time in Rust.

mod reading;

use std::collections::BTreeMap;

use proptest::prelude::*;

use reading::Reading;

use super::lookups::lookup;
use super::world::{Cells, Datum, Spec, World};
use super::*;

const SPECS: [Spec; 3] = [
    Spec("family", &["id integer", "name text"]),
    Spec("product", &["id integer", "code text", "sold integer", "family integer"]),
    Spec("stock", &["id integer", "product integer", "kind text", "place text", "qty integer"]),
];

/// The same, logged as with `binlog_row_image = MINIMAL`.
const MINIMAL: [Spec; 3] = [
    Spec("family", &["id integer", "omitted name text"]),
    Spec(
        "product",
        &["id integer", "omitted code text", "omitted sold integer", "omitted family integer"],
    ),
    Spec(
        "stock",
        &[
            "id integer",
            "omitted product integer",
            "omitted kind text",
            "omitted place text",
            "omitted qty integer",
        ],
    ),
];

fn parse(text: &str) -> expression::Expression {
    expression::Expression::parse(text).unwrap()
}

/// The contents of the tables, by name and primary key.
type Tables = BTreeMap<&'static str, BTreeMap<i64, Cells>>;

/// A mapping, as choices among the ways in which it can be written.
#[derive(Debug, Clone)]
struct Choice {
    item: usize,
    placed: bool,
    filter: usize,
    removed: usize,
    product: usize,
    family: bool,
    summed: bool,
    coalesce: bool,
}

fn choice() -> impl Strategy<Value = Choice> {
    (0..3_usize, any::<bool>(), 0..5_usize, 0..3_usize, 0..4_usize, any::<[bool; 3]>()).prop_map(
        |(item, placed, filter, removed, product, [family, summed, coalesce])| {
            let looked_up = product > 0;
            Choice {
                item,
                placed,
                filter: if looked_up { filter } else { filter.min(2) },
                removed: if looked_up { removed } else { removed.min(1) },
                product,
                family: family && looked_up,
                summed,
                coalesce,
            }
        },
    )
}

impl Choice {
    fn definition(&self) -> Definition {
        definition(["id", "product", "'p-' || product"][self.item], |to| {
            to.sku = None;
            to.location = self.placed.then(|| parse("place"));
            let filters = ["TRUE", "kind = 'a'", "qty > 2", "sold = 1", "kind = 'a' AND sold = 1"];
            to.filter = (self.filter > 0).then(|| parse(filters[self.filter]));
            let removed = ["FALSE", "kind = 'z'", "sold = 3"];
            to.removed_when = (self.removed > 0).then(|| parse(removed[self.removed]));
            to.coalesce = self.coalesce;
            if self.product > 0 {
                let columns = [("code", "code"), ("sold", "sold"), ("family", "family")];
                let product = lookup("product", ("id", "product"), &columns);
                let filter = (self.product == 2).then(|| parse("code <> 'x'"));
                to.lookups.push(Lookup { filter, required: self.product == 3, ..product });
                to.sku = Some(parse("code"));
            }
            if self.family {
                to.lookups.insert(0, lookup("family", ("id", "family"), &[("called", "name")]));
                to.sku = Some(parse("called"));
            }
            if self.summed {
                to.sum = vec!["qty".to_owned()];
            }
        })
    }

    /// Whether every row is remembered, so that images need not be whole: rows that a filter
    /// leaves out are not, unless it asks another table.
    fn remembers(&self) -> bool {
        let derived = self.summed || self.product > 0;
        !derived || (matches!(self.filter, 0 | 3) && self.product != 2)
    }

    /// The log holds only the tables that somebody maps.
    fn captures(&self, table: &str) -> bool {
        match table {
            "product" => self.product > 0,
            "family" => self.family,
            _ => true,
        }
    }

    /// What the mapping says of these tables: quantity and SKU by key.
    fn expected(&self, tables: &Tables) -> BTreeMap<String, (String, String)> {
        let mut rows: BTreeMap<String, Vec<(Option<i64>, String)>> = BTreeMap::new();
        for (id, row) in &tables["stock"] {
            let product = int(&row[1]).and_then(|id| tables["product"].get(&id));
            let product = product.filter(|_| self.product > 0);
            let product = product.filter(|row| self.product != 2 || is_other(&row[1], "x"));
            if self.product == 3 && product.is_none() {
                continue;
            }
            let sold = product.and_then(|row| int(&row[2]));
            let family = product.and_then(|row| int(&row[3]));
            let family = family.and_then(|id| tables["family"].get(&id));
            let is_a = row[2] == Datum::from("a");
            let inside = [
                true,
                is_a,
                int(&row[4]).is_some_and(|qty| qty > 2),
                sold == Some(1),
                is_a && sold == Some(1),
            ];
            let gone = [false, row[2] == Datum::from("z"), sold == Some(3)];
            let item = match self.item {
                0 => Some(id.to_string()),
                1 => int(&row[1]).map(|id| id.to_string()),
                _ => int(&row[1]).map(|id| format!("p-{id}")),
            };
            let place = if self.placed { text(&row[3]) } else { Some("_".to_owned()) };
            let Some((item, place)) = item.zip(place) else { continue };
            if !inside[self.filter] || gone[self.removed] || place.is_empty() {
                continue;
            }
            let sku = if self.family {
                family.and_then(|row| text(&row[1]))
            } else {
                product.and_then(|row| text(&row[1]))
            };
            let key = format!("acme/main/{item}/{place}");
            rows.entry(key).or_default().push((int(&row[4]), sku.unwrap_or_default()));
        }
        let said = |rows: Vec<(Option<i64>, String)>| {
            let qty = if self.summed {
                let known: Vec<i64> = rows.iter().filter_map(|(qty, _)| *qty).collect();
                (!known.is_empty()).then(|| known.iter().sum())
            } else {
                rows[0].0
            };
            (qty.map_or("?".to_owned(), |qty: i64| qty.to_string()), rows[0].1.clone())
        };
        rows.into_iter().map(|(key, rows)| (key, said(rows))).collect()
    }
}

fn int(cell: &Datum) -> Option<i64> {
    match cell {
        Datum::Int(number) => Some(*number),
        _ => None,
    }
}

fn text(cell: &Datum) -> Option<String> {
    match cell {
        Datum::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn is_other(cell: &Datum, than: &str) -> bool {
    text(cell).is_some_and(|text| text != than)
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A row is like this now, whether it was there or not.
    Put(&'static str, Cells),
    /// A row has another primary key now.
    Move(&'static str, i64, i64),
    Delete(&'static str, i64),
    Commit,
    Restart,
    /// A snapshot goes on by a step.
    Read,
    /// A row changes, another one goes, and the log does not say so: all has to be read anew.
    Gap((&'static str, Cells), (&'static str, i64)),
}

fn cell(choices: &'static [&'static str]) -> impl Strategy<Value = Datum> {
    let text = prop::sample::select(choices).prop_map(Datum::from);
    prop_oneof![9 => text, 1 => Just(Datum::Null)]
}

fn number(most: i64) -> impl Strategy<Value = Datum> {
    prop_oneof![9 => (1..=most).prop_map(Datum::Int), 1 => Just(Datum::Null)]
}

fn row() -> impl Strategy<Value = (&'static str, Cells)> {
    let id = || (1..=5_i64).prop_map(Datum::Int);
    prop_oneof![
        1 => (id(), cell(&["f", "g"])).prop_map(|(id, name)| ("family", vec![id, name])),
        2 => (id(), cell(&["x", "A", "B"]), number(3), number(3))
            .prop_map(|(id, code, sold, family)| ("product", vec![id, code, sold, family])),
        4 => (id(), number(4), cell(&["a", "b", "z"]), cell(&["k", "l"]), number(9))
            .prop_map(|(id, product, kind, place, qty)| {
                ("stock", vec![id, product, kind, place, qty])
            }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let table = || prop::sample::select(vec!["family", "product", "stock", "stock"]);
    prop_oneof![
        8 => row().prop_map(|(table, row)| Step::Put(table, row)),
        1 => (table(), 1..=5_i64, 1..=5_i64).prop_map(|(table, old, new)| {
            Step::Move(table, old, new)
        }),
        3 => (table(), 1..=5_i64).prop_map(|(table, id)| Step::Delete(table, id)),
        4 => Just(Step::Commit),
        1 => Just(Step::Restart),
        4 => Just(Step::Read),
        1 => (row(), (table(), 1..=5_i64)).prop_map(|(put, gone)| Step::Gap(put, gone)),
    ]
}

fn specs(minimal: bool) -> &'static [Spec] {
    if minimal { &MINIMAL } else { &SPECS }
}

/// A shop that does as it is told, and a log of it.
struct Shop {
    choice: Choice,
    world: World,
    tables: Tables,
    /// Whether images hold only what changed, as with `binlog_row_image = MINIMAL`.
    minimal: bool,
    open: bool,
    /// The snapshot that is under way.
    reading: Option<Reading>,
    /// Tables that have to be read, in reverse.
    due: Vec<&'static str>,
    /// Of them, those that never were.
    unread: Vec<&'static str>,
    /// Whether tables are read at all.
    reads: bool,
    counter: u32,
    number: u32,
}

impl Shop {
    fn new(choice: &Choice, minimal: bool) -> Self {
        let minimal = minimal && choice.remembers();
        Self {
            choice: choice.clone(),
            world: World::new(&[choice.definition()], specs(minimal)),
            tables: SPECS.iter().map(|spec| (spec.0, BTreeMap::new())).collect(),
            minimal,
            open: false,
            reading: None,
            due: Vec::new(),
            unread: Vec::new(),
            reads: false,
            counter: 0,
            number: 0,
        }
    }

    fn commit(&mut self) {
        if std::mem::take(&mut self.open) {
            let mapped = self.world.commit();
            self.counter = 0;
            for notice in mapped.notices {
                assert!(matches!(notice, Notice::Unreadable { .. }), "{notice:?}");
                self.read_anew();
            }
        }
    }

    fn step(&mut self, step: Step) {
        let captured = |table| self.choice.captures(table);
        match step {
            Step::Commit => self.commit(),
            Step::Read => self.read_on(),
            Step::Restart => self.restart(),
            Step::Put(table, row) if captured(table) => self.put(table, row),
            Step::Move(table, old, new) if captured(table) => self.rename(table, old, new),
            Step::Delete(table, id) if captured(table) => self.delete(table, id),
            Step::Gap(put, gone) if self.reads => self.gap(put, gone),
            _ => {}
        }
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.open, true) {
            self.world.begin();
        }
    }

    fn put(&mut self, table: &'static str, row: Cells) {
        self.begin();
        let id = int(&row[0]).unwrap();
        let old = self.tables.get_mut(table).unwrap().insert(id, row.clone());
        match old {
            None => self.world.insert(table, row),
            Some(old) => self.update(table, old, row),
        }
    }

    fn update(&mut self, table: &str, old: Cells, new: Cells) {
        let moved = old[0] != new[0];
        let mut before = vec![Datum::Absent; old.len()];
        before[0] = old[0].clone();
        if self.minimal {
            let changed = old
                .iter()
                .zip(&new)
                .map(|(old, new)| if old == new { Datum::Absent } else { new.clone() });
            self.world.change(table, Op::Update, Some(before), Some(changed.collect()));
        } else {
            self.world.change(table, Op::Update, moved.then_some(before), Some(new));
        }
    }

    fn rename(&mut self, table: &'static str, old: i64, new: i64) {
        let rows = self.tables.get_mut(table).unwrap();
        // A parent whose key changes takes its children along in ways that differ.
        if rows.contains_key(&new) || (table == "product" && self.choice.product == 3) {
            return;
        }
        let Some(row) = rows.remove(&old) else { return };
        let mut renamed = row.clone();
        renamed[0] = Datum::Int(new);
        rows.insert(new, renamed.clone());
        self.begin();
        self.update(table, row, renamed);
    }

    fn delete(&mut self, table: &'static str, id: i64) {
        if self.forget(table, id) {
            self.begin();
            self.world.delete(table, id);
        }
    }

    /// Returns whether there was such a row.
    fn forget(&mut self, table: &'static str, id: i64) -> bool {
        if self.tables.get_mut(table).unwrap().remove(&id).is_none() {
            return false;
        }
        if table == "product" && self.choice.product == 3 {
            // A cascade that the log does not hold.
            let stock = self.tables.get_mut("stock").unwrap();
            stock.retain(|_, row| row[1] != Datum::Int(id));
        }
        true
    }

    fn folded(&self) -> BTreeMap<String, (String, String)> {
        let live = self.world.levels.iter().filter(|(_, (_, event))| event["kind"] == "level");
        let text = |value: &serde_json::Value, otherwise: &str| {
            value.as_str().unwrap_or(otherwise).to_owned()
        };
        let said = |event: &serde_json::Value| {
            (text(&event["quantity"]["on_hand"], "?"), text(&event["item"]["sku"], ""))
        };
        live.map(|(key, (_, event))| (key.clone(), said(event))).collect()
    }
}

proptest! {
    #[test]
    fn folded_levels_are_what_the_mapping_says_of_the_final_tables(
        choice in choice(),
        minimal in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut shop = Shop::new(&choice, minimal);
        for step in steps.into_iter().chain([Step::Commit]) {
            shop.step(step);
        }
        prop_assert_eq!(shop.folded(), choice.expected(&shop.tables));
    }

    #[test]
    fn so_they_are_when_tables_are_read_while_they_change(
        choice in choice(),
        minimal in any::<bool>(),
        rows in prop::collection::vec(row(), 0..12),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut shop = Shop::begun(&choice, minimal, rows);
        for step in steps {
            shop.step(step);
        }
        shop.finish();
        prop_assert_eq!(shop.folded(), choice.expected(&shop.tables));
    }
}
