//! Sums over rows, and mappings that are silent until their tables have been read.

use std::collections::BTreeSet;

use super::lookups::lookup;
use super::world::{Datum, Spec, World, cells, synthetic};
use super::*;

fn parse(text: &str) -> expression::Expression {
    expression::Expression::parse(text).unwrap()
}

const QUANTS: [Spec; 1] = [Spec(
    "quant",
    &["id integer", "item text", "usage text", "quantity numeric", "reserved numeric"],
)];

/// Odoo: several rows of one item and location are one level.
fn summed() -> Definition {
    definition("item", |definition| {
        definition.table = TableName::new("public", "quant");
        definition.sku = None;
        definition.filter = Some(parse("usage = 'internal'"));
        definition.sum = vec!["quantity".to_owned(), "reserved".to_owned()];
        let available = (Measure::Available, parse("quantity - reserved"));
        definition.quantities = vec![(Measure::OnHand, parse("quantity")), available];
    })
}

fn quant(id: i64, item: &str, quantity: impl Into<Datum>) -> Vec<Datum> {
    vec![id.into(), item.into(), "internal".into(), quantity.into(), 1.into()]
}

#[test]
fn the_rows_of_a_key_are_added_up() {
    let mut world = World::new(&[summed()], &QUANTS);
    let said = world.transaction(|world| {
        world.insert("quant", quant(1, "A", 5));
        world.insert("quant", quant(2, "A", "2.5"));
        world.insert("quant", quant(3, "B", 1));
    });
    assert_eq!(said, ["A=7.5 AGGREGATED", "B=1 AGGREGATED"]);
    let available =
        |world: &World| world.levels["acme/main/A/_"].1["quantity"]["available"].clone();
    assert_eq!(available(&world), "5.5");
    let said = world.transaction(|world| world.update("quant", quant(2, "A", 3)));
    assert_eq!(said, ["A=8 was 7.5 AGGREGATED"]);
    // Merging two rows: an update and a deletion, and nothing has changed.
    let said = world.transaction(|world| {
        world.update("quant", quant(1, "A", 8));
        world.delete("quant", 2);
    });
    assert_eq!(said, ["A=8 was 8 AGGREGATED"]);
    assert_eq!(available(&world), "7");
    let said = world.transaction(|world| world.update("quant", quant(3, "A", 1)));
    assert_eq!(said, ["B gone to acme/main/A/_ was 1", "A=9 was 8 AGGREGATED"]);
    world.transaction(|world| world.delete("quant", 1));
    assert_eq!(world.transaction(|world| world.delete("quant", 3)), ["A gone was 1"]);
    assert!(world.stored.is_empty());
}

#[test]
fn rows_that_the_filter_leaves_out_are_not_added() {
    let mut world = World::new(&[summed()], &QUANTS);
    let virtual_row = |quantity| cells![2, "A", "inventory", quantity, 0];
    let said = world.transaction(|world| {
        world.insert("quant", quant(1, "A", 5));
        world.insert("quant", virtual_row(-100));
    });
    assert_eq!(said, ["A=5 AGGREGATED"]);
    let said = world.transaction(|world| world.update("quant", quant(2, "A", 7)));
    assert_eq!(said, ["A=12 was 5 AGGREGATED"]);
    let said = world.transaction(|world| world.update("quant", virtual_row(7)));
    assert_eq!(said, ["A=5 was 12 AGGREGATED"]);
}

#[test]
fn null_adds_nothing_and_what_cannot_be_read_leaves_no_sum() {
    let mut world = World::new(&[summed()], &QUANTS);
    let mut said = |id, quantity: Datum| {
        world.transaction(|world| world.insert("quant", quant(id, "A", quantity)))
    };
    assert_eq!(said(1, Datum::Null), ["A=? AGGREGATED NON_NUMERIC"]);
    assert_eq!(said(2, 4.into()), ["A=4 AGGREGATED"]);
    assert_eq!(said(3, Datum::Null), ["A=4 was 4 AGGREGATED"]);
    let most = "99999999999999999999999999999";
    assert_eq!(said(4, most.into()), ["A=? was 4 AGGREGATED OVERFLOW"]);
    assert_eq!(said(5, "many".into()), ["A=? AGGREGATED NON_NUMERIC OVERFLOW"]);
    world.transaction(|world| world.delete("quant", 4));
    assert_eq!(world.transaction(|world| world.delete("quant", 5)), ["A=4 AGGREGATED"]);
}

fn names(tables: &[&str]) -> BTreeSet<TableName> {
    tables.iter().map(|table| TableName::new("public", *table)).collect()
}

#[test]
fn a_mapping_of_several_tables_is_silent_until_all_of_them_have_been_read() {
    let definition = definition("id", |definition| {
        definition.lookups = vec![lookup("product", ("id", "product"), &[("sku", "code")])];
    });
    let specs = [
        Spec("product", &["id integer", "code text"]),
        Spec("stock", &["id integer", "product integer", "qty integer"]),
    ];
    let mut world = World::new(std::slice::from_ref(&definition), &specs);
    let order = world.mapper.plan().snapshot_order();
    assert_eq!(order, names(&["product", "stock"]).into_iter().collect::<Vec<_>>());
    world.mapper.set_incomplete(&names(&["product", "stock"]));
    let said = world.transaction(|world| {
        for id in 1..=5 {
            world.insert("stock", cells![id, id, id * 10]);
        }
        // Neither of them has been seen: what becomes of them is left to the snapshot.
        world.update("product", cells![9, Datum::Absent]);
        world.delete("stock", 9);
    });
    assert_eq!(said, [""; 0]);
    let (product, stock) = (&order[0], &order[1]);
    world.transaction(|world| world.insert("product", cells![2, "A-2"]));
    assert_eq!(world.mapper.completed(product), []);
    world.restart(&[definition], &specs);
    world.mapper.set_incomplete(&names(&["stock"]));
    assert_eq!(world.mapper.completed(stock), vec![stock.clone()]);

    let (mut after, mut counter, mut pieces) = (None, 0, 0);
    loop {
        let at = synthetic(&world, counter);
        let (mapped, next) = world.mapper.publish_all(stock, after, 2, &at);
        world.take(&mapped);
        counter += u32::try_from(mapped.records.len()).unwrap();
        (after, pieces) = (next, pieces + 1);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pieces, world.levels.len()), (3, 5));
    assert_eq!(world.levels["acme/main/2/_"].1["item"]["sku"], "A-2");
    assert_eq!(world.levels["acme/main/2/_"].1["capture"], "snapshot");
    world.transaction(|world| world.update("product", cells![2, "B-2"]));
    assert_eq!(world.levels["acme/main/2/_"].1["item"]["sku"], "B-2");
}

#[test]
fn a_mapping_is_silent_again_from_when_a_table_is_emptied_until_it_has_been_read() {
    let mut world = World::new(&[summed()], &QUANTS);
    world.transaction(|world| world.insert("quant", quant(1, "A", 5)));
    let said = world.transaction(|world| {
        world.insert("quant", quant(2, "B", 5));
        world.clear("quant");
        world.insert("quant", quant(3, "C", 5));
    });
    assert_eq!(said, [""; 0]);
    let table = TableName::new("public", "quant");
    assert_eq!(world.mapper.completed(&table), vec![table.clone()]);
    let at = synthetic(&world, 0);
    let (mapped, next) = world.mapper.publish_all(&table, None, 10, &at);
    assert_eq!((says(&mapped), next), (vec!["C=5 AGGREGATED".to_owned()], None));
}

#[test]
fn a_row_with_another_primary_key_names_the_key_it_has_there() {
    let by_id = definition("id", |definition| {
        definition.table = TableName::new("public", "quant");
        definition.sku = None;
        definition.sum = vec!["quantity".to_owned()];
        definition.quantities = vec![(Measure::OnHand, parse("quantity"))];
    });
    let renamed = |world: &mut World, old: i64, new: i64| {
        let mut before = vec![Datum::Absent; 5];
        before[0] = old.into();
        world.change("quant", Op::Update, Some(before), Some(quant(new, "A", 5)));
    };
    let mut world = World::new(&[by_id], &QUANTS);
    world.transaction(|world| world.insert("quant", quant(1, "A", 5)));
    let said = world.transaction(|world| renamed(world, 1, 9));
    assert_eq!(said, ["1 gone to acme/main/9/_ was 5", "9=5 AGGREGATED"]);
    let mut world = World::new(&[summed()], &QUANTS);
    world.transaction(|world| world.insert("quant", quant(1, "A", 5)));
    let said = world.transaction(|world| renamed(world, 1, 9));
    assert_eq!(said, ["A=5 was 5 AGGREGATED"], "its key is what it was");
}
