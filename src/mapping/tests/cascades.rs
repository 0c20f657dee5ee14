//! Rows that a server deletes with another one, and does not log.

use super::lookups::lookup;
use super::world::{Spec, World, cells, mapper_of};
use super::*;

const SPECS: [Spec; 4] = [
    Spec("product", &["id integer", "enabled integer"]),
    Spec("stock", &["id integer", "product integer", "warehouse integer", "qty integer"]),
    Spec("variant", &["id integer", "product integer"]),
    Spec("warehouse", &["id integer", "enabled integer"]),
];

fn required(table: &str, column: &str, only_enabled: bool) -> Lookup {
    let filter = expression::Expression::parse("enabled = 1").unwrap();
    let filter = only_enabled.then_some(filter);
    Lookup { required: true, filter, ..lookup(table, ("id", column), &[]) }
}

/// A shop whose stock cannot be without these rows.
fn shop(lookups: Vec<Lookup>, cascades: &[(&str, &str)]) -> World {
    let definition = definition("id", |definition| {
        definition.sku = None;
        definition.lookups = lookups;
    });
    let definitions = [definition];
    let mut world = World::new(&definitions, &SPECS);
    world.mapper = mapper_of(&definitions, &SPECS, cascades);
    world
}

#[test]
fn a_session_that_does_not_look_at_foreign_keys_takes_nothing_along() {
    let mut world = shop(vec![required("product", "product", false)], &[("stock", "product")]);
    world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.insert("stock", cells![1, 7, 3, 5]);
    });
    let said = world.transaction(|world| {
        world.delete("product", 7);
        world.builder.ignoring_foreign_keys();
    });
    assert_eq!(said, ["1 gone was 5"]);
    assert_eq!(world.transaction(|world| world.insert("product", cells![7, 1])), ["1=5"]);
}

#[test]
fn a_row_goes_with_one_that_a_filter_leaves_out() {
    let mut world = shop(vec![required("product", "product", true)], &[("stock", "product")]);
    world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.insert("product", cells![8, 0]);
        world.insert("stock", cells![1, 7, 3, 5]);
        world.insert("stock", cells![2, 8, 3, 6]);
    });
    let said = world.transaction(|world| world.update("product", cells![7, 0]));
    assert_eq!(said, ["1 gone was 5"]);
    world.transaction(|world| {
        world.delete("product", 7);
        world.delete("product", 8);
    });
    let said = world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.insert("product", cells![8, 1]);
    });
    assert_eq!(said, [""; 0], "their stock went with the products that were there before");
}

#[test]
fn a_row_that_is_not_there_for_another_reason_goes_as_well() {
    let lookups =
        vec![required("product", "product", false), required("warehouse", "warehouse", true)];
    let mut world = shop(lookups, &[("stock", "product")]);
    world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.insert("warehouse", cells![3, 1]);
        world.insert("stock", cells![1, 7, 3, 5]);
    });
    let said = world.transaction(|world| world.update("warehouse", cells![3, 0]));
    assert_eq!(said, ["1 gone was 5"]);
    world.transaction(|world| world.delete("product", 7));
    let said = world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.update("warehouse", cells![3, 1]);
    });
    assert_eq!(said, [""; 0]);
}

#[test]
fn a_row_goes_with_one_that_it_refers_to_by_way_of_another_table() {
    let of_variant = [("parent".to_owned(), expression::Expression::parse("product").unwrap())];
    let lookups = vec![
        Lookup { columns: of_variant.to_vec(), ..required("variant", "product", false) },
        required("product", "parent", false),
    ];
    let mut world = shop(lookups, &[("stock", "variant"), ("variant", "product")]);
    world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.insert("variant", cells![70, 7]);
        world.insert("stock", cells![1, 70, 3, 5]);
    });
    let said = world.transaction(|world| world.delete("product", 7));
    assert_eq!(said, ["1 gone was 5 CASCADE_INFERRED"]);
    assert_eq!(world.transaction(|world| world.insert("product", cells![7, 1])), [""; 0]);
}

/// As where a key sets NULL instead: the row is there, and other mappings say so.
#[test]
fn a_row_that_is_only_changed_with_another_one_stays_for_the_other_mappings() {
    let shown = definition("id", |definition| {
        definition.sku = None;
        definition.lookups = vec![required("product", "product", false)];
    });
    let plain = definition("'plain-' || id", |definition| definition.sku = None);
    let definitions = [shown, plain];
    let mut world = World::new(&definitions, &SPECS);
    world.mapper = mapper_of(&definitions, &SPECS, &[]);
    world.transaction(|world| {
        world.insert("product", cells![7, 1]);
        world.insert("stock", cells![1, 7, 3, 5]);
    });
    assert_eq!(world.transaction(|world| world.delete("product", 7)), ["1 gone was 5"]);
}
