//! More rows that depend on one than can be published at once, and longer texts: memory stays as
//! it is, and what is remembered is what the rows say.

use std::collections::{BTreeMap, BTreeSet};

use super::lookups::lookup;
use super::world::{Spec, World, cells, source, synthetic};
use super::*;
use crate::state::{Owners, RowHash};

const SPECS: [Spec; 2] = [
    Spec("product", &["id integer", "code text", "place text"]),
    Spec("stock", &["id integer", "product integer", "qty integer"]),
];

fn parse(text: &str) -> expression::Expression {
    expression::Expression::parse(text).unwrap()
}

/// `stock(id, product, qty)` at the place of `product(id, code, place)`, with its SKU.
fn placed() -> Definition {
    definition("id", |definition| {
        let columns = [("sku", "code"), ("place", "place")];
        let product = lookup("product", ("id", "product"), &columns);
        definition.lookups = vec![Lookup { required: true, ..product }];
        definition.location = Some(parse("place"));
    })
}

fn stock() -> TableName {
    TableName::new("public", "stock")
}

/// So many rows that look up product 1.
fn shop(rows: i64) -> World {
    let mut world = World::new(&[placed()], &SPECS);
    world.transaction(|world| world.insert("product", cells![1, "A-1", "P"]));
    for first in (0..rows).step_by(500) {
        world.transaction(|world| {
            (first..rows.min(first + 500)).for_each(|id| world.insert("stock", cells![id, 1, 5]));
        });
    }
    world
}

fn rows_by_key(owners: &Owners) -> BTreeMap<crate::state::KeyHash, Vec<RowHash>> {
    owners.keys().map(|key| (key, owners.rows(key).collect())).collect()
}

/// What is remembered of the keys of rows and of what they look for is what the rows say.
fn assert_linked(world: &World) {
    let (mapper, source) = (&world.mapper, source());
    let place = mapper.plan().place_of(&stock()).unwrap();
    let who = (&source.seller, &source.source);
    let (owners, sought) =
        super::super::lookup::linked(mapper.plan(), &mapper.tables, (place, 0), who);
    let state = &mapper.tables[place];
    assert_eq!(rows_by_key(&state.owners[0]), rows_by_key(&owners));
    assert_eq!(rows_by_key(&state.links[0][0].sought), rows_by_key(&sought[0]));
}

/// Publishes every key of the stock, piece by piece. Returns the bytes of the largest piece.
fn publish_all(world: &mut World) -> usize {
    let (mut after, mut counter, mut largest) = (None, 0, 0);
    loop {
        let at = synthetic(world, counter);
        let (mapped, next) = world.mapper.publish_all(&stock(), after, 400, &at);
        world.take(&mapped);
        largest = largest.max(mapped.records.bytes());
        (after, counter) = (next, counter + 400);
        if after.is_none() {
            return largest;
        }
    }
}

fn crowded(mapped: &Mapped) -> BTreeSet<String> {
    let table = |notice: &Notice| match notice {
        Notice::Unreadable { table, .. } => table.table.clone(),
        other => panic!("{other:?}"),
    };
    mapped.notices.iter().map(table).collect()
}

#[test]
fn rows_of_which_there_is_no_room_to_say_anything_are_remembered_as_they_are() {
    let mut world = shop(1_500);
    for place in ["Q", "R"] {
        world.begin();
        world.update("product", cells![1, "B-1", place]);
        // Keys that it took up before are not what is said next.
        world.insert("stock", cells![10_000, 1, 5]);
        let mapped = world.commit();
        assert_eq!(crowded(&mapped), ["stock".to_owned()].into());
        assert_linked(&world);
    }
    publish_all(&mut world);
    for id in [0, 777, 1_499, 10_000] {
        let (_, level) = &world.levels[&format!("acme/main/{id}/R")];
        assert_eq!((&level["item"]["sku"], &level["kind"]), (&"B-1".into(), &"level".into()));
    }
}

#[test]
fn what_takes_a_crowd_with_it_takes_all_of_it_out_of_the_store() {
    let mut world = shop(1_500);
    world.transaction(|world| world.insert("product", cells![2, "A-2", "P"]));
    world.transaction(|world| world.insert("stock", cells![2_000, 2, 5]));
    world.begin();
    world.delete("product", 1);
    let mapped = world.commit();
    assert_eq!(crowded(&mapped), ["stock".to_owned()].into());
    assert_linked(&world);
    let left: Vec<_> = world.stored.keys().map(|(_, key)| key.as_str()).collect();
    assert_eq!(left, ["2", "2000"]);
}

#[test]
fn changes_of_rows_with_crowds_in_one_transaction_leave_memory_as_it_is() {
    let mut world = shop(1_500);
    let written = |world: &World| world.mapper.folding.arena.len();
    world.begin();
    for change in 0..20 {
        let place = format!("P-{change}");
        world.update("product", cells![1, "B-1", place.as_str()]);
    }
    world.builder.commit("1000");
    let batch = world.builder.take();
    for event in batch.events() {
        if let connector_api::SourceEvent::Row(row) = event {
            world.mapper.row(&batch, row, &mut Mapped::default());
        }
    }
    assert!(written(&world) < 1_000, "{} bytes of keys", written(&world));
    assert_linked(&world);
}

#[test]
fn a_long_text_that_many_rows_look_up_is_not_published_of_all_of_them_at_once() {
    const MOST: usize = 10 << 20;
    let mut world = World::new(&[placed()], &SPECS);
    world.transaction(|world| (0..100).for_each(|id| world.insert("stock", cells![id, 1, 5])));
    for letter in ["a", "b"] {
        let code = letter.repeat(1 << 20);
        world.begin();
        match letter {
            "a" => world.insert("product", cells![1, code.as_str(), "P"]),
            _ => world.update("product", cells![1, code.as_str(), "P"]),
        }
        let mapped = world.commit();
        assert!(mapped.records.bytes() < MOST, "{} bytes of events", mapped.records.bytes());
        assert_eq!(crowded(&mapped), ["stock".to_owned()].into());
        assert_linked(&world);
        assert!(publish_all(&mut world) < MOST);
        let is_told = |level: &(String, serde_json::Value)| level.1["item"]["sku"] == *code;
        assert!(world.levels.len() == 100 && world.levels.values().all(is_told));
    }
}

#[test]
fn a_chain_of_any_length_goes_with_its_first_row() {
    const ROWS: i64 = 20_000;
    let chained = definition("id", |definition| {
        let parent = lookup("stock", ("id", "parent"), &[("above", "id")]);
        definition.lookups = vec![Lookup { required: true, ..parent }];
        definition.sku = None;
    });
    let specs = [Spec("stock", &["id integer", "parent integer", "qty integer"])];
    let mut world = World::new(&[chained], &specs);
    let row = |id: i64| format!(r#"{{"id":"i{id}","parent":"i{}","qty":"i1"}}"#, id - 1);
    for id in 0..ROWS {
        world.mapper.load("public.stock", &id.to_string(), &row(id)).unwrap();
    }
    world.begin();
    world.delete("stock", 0);
    let mapped = world.commit();
    assert_eq!(crowded(&mapped), ["stock".to_owned()].into());
    let gone = mapped.rows.iter().flat_map(|(_, rows)| rows).filter(|(_, row)| row.is_none());
    assert_eq!(gone.count(), usize::try_from(ROWS).unwrap());
    assert!(says(&mapped)[0].starts_with("1 gone") && mapped.records.len() <= 1_000);
}
