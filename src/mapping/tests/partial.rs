//! Images that hold only what changed, and what is made of them.

use connector_api::Sight;

use super::lookups::lookup;
use super::world::{Cells, Datum, Spec, World, cells, synthetic};
use super::*;

/// As with `binlog_row_image = MINIMAL`.
const MINIMAL: [Spec; 1] = [Spec(
    "stock",
    &["id integer", "omitted item text", "omitted sku text", "omitted qty integer"],
)];
/// As PostgreSQL logs it.
const WHOLE: [Spec; 1] = [Spec("stock", &["id integer", "item text", "sku text", "qty integer"])];

/// Sees nothing of what was streamed since it was begun to be read.
#[derive(Debug)]
struct Behind;

impl Sight for Behind {
    fn sees(&self, _: u64, _: &str) -> bool {
        false
    }
}

fn stock() -> TableName {
    TableName::new("public", "stock")
}

fn parse(text: &str) -> expression::Expression {
    expression::Expression::parse(text).unwrap()
}

fn world(definition: Definition, specs: &[Spec]) -> World {
    World::new(&[definition], specs)
}

/// An update of which the log holds the key and these columns.
fn update(world: &mut World, id: i64, columns: [Datum; 3]) {
    let before = vec![id.into(), Datum::Absent, Datum::Absent, Datum::Absent];
    let after = std::iter::once(Datum::Absent).chain(columns).collect();
    world.change("stock", Op::Update, Some(before), Some(after));
}

fn quantity(qty: i64) -> [Datum; 3] {
    [Datum::Absent, Datum::Absent, qty.into()]
}

/// A snapshot of the table begins.
fn begin(world: &mut World, number: u32) {
    world.mapper.set_dirty([stock().to_string()].iter());
    world.mapper.begin_snapshot(&stock(), number);
}

fn read(world: &mut World, rows: Vec<Cells>) -> Vec<String> {
    let at = synthetic(world, 0);
    let mapped = world.read("stock", rows, &Behind, &at);
    world.take(&mapped);
    says(&mapped)
}

fn sku(world: &World, key: &str) -> serde_json::Value {
    world.levels[key].1["item"]["sku"].clone()
}

#[test]
fn a_level_keeps_what_an_update_does_not_repeat() {
    let mut world = world(definition("id", |_| {}), &MINIMAL);
    world.transaction(|world| world.insert("stock", cells![1, "A", "S-1", 5]));
    let sold = |world: &mut World| update(world, 1, quantity(4));
    assert_eq!(world.transaction(sold), ["1=4 was 5"]);
    assert_eq!(sku(&world, "acme/main/1/_"), "S-1");
    let said = world.transaction(|world| {
        update(world, 1, quantity(3));
        update(world, 1, [Datum::Absent, "S-2".into(), Datum::Absent]);
    });
    assert_eq!(said, ["1=3 was 4"], "what the first of them said is not lost");
    assert_eq!(sku(&world, "acme/main/1/_"), "S-2");
    world.restart(&[definition("id", |_| {})], &MINIMAL);
    assert_eq!(world.transaction(|world| update(world, 1, quantity(2))), ["1=2 was 3"]);
    assert_eq!(sku(&world, "acme/main/1/_"), "S-2");
    assert_eq!(world.transaction(|world| world.delete("stock", 1)), ["1 gone was 2"]);
    assert!(world.stored.is_empty());
}

#[test]
fn where_every_image_is_whole_no_row_is_remembered_for_a_plain_key() {
    let mut world = world(definition("id", |_| {}), &WHOLE);
    world.transaction(|world| world.insert("stock", cells![1, "A", "S-1", 5]));
    assert!(world.stored.is_empty());
    let ledger = definition("id", |definition| {
        definition.kind = Kind::Movement;
        definition.quantities.clear();
        definition.delta = Some(parse("qty"));
    });
    let mut world = World::new(&[ledger], &MINIMAL);
    world.transaction(|world| world.insert("stock", cells![1, "A", "S-1", 5]));
    assert!(world.stored.is_empty(), "a ledger is made of rows as they come in");
}

#[test]
fn what_is_remembered_from_before_a_gap_does_not_win_over_what_is_read() {
    for specs in [&MINIMAL, &WHOLE] {
        let mut world = world(definition("'p-' || item", |_| {}), specs);
        world.transaction(|world| world.insert("stock", cells![1, "A", "OLD", 3]));
        // Unseen, the row got another item and another SKU. It is read, and then sold.
        begin(&mut world, 1);
        let said = world.transaction(|world| update(world, 1, quantity(2)));
        assert_eq!(said, ["p-A=2 was 3"]);
        let said = read(&mut world, vec![cells![1, "B", "NEW", 3]]);
        assert_eq!(said, ["p-A gone to acme/main/p-B/_", "p-B=2"]);
        assert_eq!(sku(&world, "acme/main/p-B/_"), "NEW");
        let at = synthetic(&world, 9);
        assert!(world.mapper.sweep_rows(&stock(), &at, 10).is_none(), "the row was seen");
        assert_eq!(world.transaction(|world| update(world, 1, quantity(1))), ["p-B=1 was 2"]);
    }
}

#[test]
fn so_it_is_with_sums_and_lookups() {
    let summed = definition("item", |definition| definition.sum = vec!["qty".to_owned()]);
    let looks_up = definition("id", |definition| {
        definition.lookups = vec![lookup("stock", ("item", "sku"), &[("other", "qty")])];
    });
    for (definition, before, after) in [
        (summed, vec!["A=2 was 3 AGGREGATED"], vec!["A gone to acme/main/B/_", "B=2 AGGREGATED"]),
        (looks_up, vec!["1=2 was 3"], vec!["1=2"]),
    ] {
        let mut world = World::new(&[definition], &WHOLE);
        world.transaction(|world| world.insert("stock", cells![1, "A", "OLD", 3]));
        begin(&mut world, 1);
        assert_eq!(world.transaction(|world| update(world, 1, quantity(2))), before);
        assert_eq!(read(&mut world, vec![cells![1, "B", "NEW", 3]]), after);
        let key = world.levels.keys().last().unwrap().clone();
        assert_eq!(sku(&world, &key), "NEW");
    }
}

#[test]
fn a_row_that_left_the_filter_unseen_is_not_kept_alive_by_what_is_remembered_of_it() {
    let summed = definition("item", |definition| {
        definition.filter = Some(parse("sku = 'internal'"));
        definition.sku = None;
        definition.sum = vec!["qty".to_owned()];
    });
    let mut world = world(summed, &WHOLE);
    world.transaction(|world| world.insert("stock", cells![1, "A", "internal", 3]));
    begin(&mut world, 1);
    world.transaction(|world| update(world, 1, quantity(2)));
    // The server is asked for rows inside the filter alone, and has none.
    let at = synthetic(&world, 0);
    let mapped = world.mapper.sweep_rows(&stock(), &at, 10).unwrap();
    assert_eq!(says(&mapped), ["A gone"]);
}

#[test]
fn a_row_that_changes_all_the_time_does_not_keep_a_table_from_being_read() {
    for (specs, definition) in [
        (&MINIMAL, definition("id", |_| {})),
        (&WHOLE, definition("id", |_| {})),
        // A row of which it is not known whether it counts.
        (
            &WHOLE,
            definition("item", |definition| {
                definition.filter = Some(parse("sku <> 'x'"));
                definition.sum = vec!["qty".to_owned()];
            }),
        ),
    ] {
        let mut world = world(definition, specs);
        begin(&mut world, 1);
        world.transaction(|world| update(world, 7, quantity(4)));
        world.transaction(|world| update(world, 7, quantity(3)));
        read(&mut world, vec![cells![7, "7", "S", 5]]);
        assert!(!world.mapper.has_lost_track());
        let (_, level) = &world.levels["acme/main/7/_"];
        assert_eq!(
            (&level["quantity"]["on_hand"], &level["item"]["sku"]),
            (&"3".into(), &"S".into())
        );
    }
}

#[test]
fn a_row_that_was_replaced_and_then_changed_in_part_is_read_again_unless_it_is_remembered() {
    let replaced = |world: &mut World| {
        begin(world, 1);
        world.transaction(|world| {
            world.delete("stock", 7);
            world.insert("stock", cells![7, "7", "NEW", 4]);
        });
        world.transaction(|world| update(world, 7, quantity(3)));
        read(world, vec![cells![7, "7", "OLD", 9]])
    };
    let mut remembering = world(definition("id", |_| {}), &MINIMAL);
    assert_eq!(replaced(&mut remembering), [""; 0]);
    assert_eq!(sku(&remembering, "acme/main/7/_"), "NEW");
    let mut forgetful = world(definition("id", |_| {}), &WHOLE);
    assert_eq!(replaced(&mut forgetful), [""; 0]);
    assert_eq!(
        (remembering.mapper.has_lost_track(), forgetful.mapper.has_lost_track()),
        (false, true)
    );
}

#[test]
fn a_row_that_gets_another_key_before_it_was_read_makes_the_table_be_read_anew() {
    let mut world = world(definition("id", |_| {}), &MINIMAL);
    begin(&mut world, 1);
    read(&mut world, vec![cells![1, "A", "S-1", 1], cells![2, "B", "S-2", 2]]);
    let renamed = |world: &mut World, old: i64, new: i64| {
        world.begin();
        let before = vec![old.into(), Datum::Absent, Datum::Absent, Datum::Absent];
        let after = vec![new.into(), Datum::Absent, Datum::Absent, Datum::Absent];
        world.change("stock", Op::Update, Some(before), Some(after));
        world.commit().notices
    };
    assert_eq!(renamed(&mut world, 1, 3), [], "of that row all is known");
    assert_eq!(world.levels["acme/main/3/_"].1["quantity"]["on_hand"], "1");
    let notices = renamed(&mut world, 9, 1);
    let [Notice::Unreadable { table, reason, .. }] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!(*table, stock());
    assert!(reason.starts_with("a row got another primary key"), "{reason}");
}

#[test]
fn a_new_row_is_not_completed_from_one_that_went_unseen() {
    let mut world = world(definition("id", |_| {}), &MINIMAL);
    world.transaction(|world| world.insert("stock", cells![1, "A", "OLD", 3]));
    // Columns that a statement does not name have their defaults, which the log does not say.
    let new = || cells![1, "B", Datum::Absent, 5];
    assert_eq!(world.transaction(|world| world.insert("stock", new())), ["1=5 was 3 PARTIAL"]);
    begin(&mut world, 1);
    assert_eq!(world.transaction(|world| update(world, 1, quantity(4))), ["1=4 was 5 PARTIAL"]);
    assert_eq!(read(&mut world, vec![cells![1, "B", "NEW", 5]]), ["1=4"]);
    assert_eq!(sku(&world, "acme/main/1/_"), "NEW");
}

#[test]
fn a_ledger_that_also_has_levels_is_not_published_anew_by_a_snapshot() {
    let ledger = definition("item", |definition| {
        definition.kind = Kind::Movement;
        definition.quantities.clear();
        definition.delta = Some(parse("qty"));
    });
    let mut world = World::new(&[definition("id", |_| {}), ledger], &WHOLE);
    begin(&mut world, 1);
    assert_eq!(read(&mut world, vec![cells![1, "A", "S", 5]]), ["1=5"]);
    let said = world.transaction(|world| world.insert("stock", cells![2, "A", "S", -2]));
    assert_eq!(said, ["A by -2", "2=-2 NEGATIVE"]);
}

#[test]
fn of_a_ledger_nothing_is_remembered_whatever_it_filters() {
    let mut world = world(
        definition("id", |definition| {
            definition.kind = Kind::Movement;
            definition.quantities = Vec::new();
            definition.delta = Some(expression::Expression::parse("qty").unwrap());
            definition.filter = Some(expression::Expression::parse("qty > 0").unwrap());
        }),
        &MINIMAL,
    );
    let said = world.transaction(|world| {
        world.insert("stock", cells![1, "A", "S-1", 1]);
        world.insert("stock", cells![2, "A", "S-2", 0]);
    });
    assert_eq!((said.len(), world.stored.len()), (1, 0));
}
