//! Removals that wait for a later event of their key.

use super::world::{Spec, World, cells};
use super::*;

const SPECS: [Spec; 1] = [Spec("stock", &["id integer", "item text", "qty integer"])];
const SECOND: i64 = 1_000_000;

fn patient() -> Definition {
    definition("id", |definition| {
        definition.sku = None;
        definition.removal_grace_ms = 5_000;
    })
}

fn due(world: &mut World, seconds: i64) -> Vec<String> {
    let mapped = world.mapper.due(seconds * SECOND);
    world.take(&mapped);
    says(&mapped)
}

fn deleted() -> World {
    let mut world = World::new(&[patient()], &SPECS);
    world.transaction(|world| world.insert("stock", cells![1, "A", 5]));
    assert_eq!(world.mapper.next_deadline(), None);
    assert_eq!(world.transaction(|world| world.delete("stock", 1)), [""; 0]);
    assert_eq!(world.mapper.next_deadline(), Some(i64::MIN), "the time is not known yet");
    assert_eq!(due(&mut world, 100), [""; 0]);
    assert_eq!(world.mapper.next_deadline(), Some(105 * SECOND));
    world
}

#[test]
fn a_removal_comes_out_when_its_grace_is_over_with_the_version_it_had() {
    let mut world = deleted();
    assert_eq!(due(&mut world, 104), [""; 0]);
    assert_eq!(due(&mut world, 105), ["1 gone"]);
    assert!(world.levels["acme/main/1/_"].0.starts_with("00000001.0000000000000004."));
    assert_eq!((world.mapper.next_deadline(), world.stored.len()), (None, 0));
}

#[test]
fn a_row_that_comes_back_in_time_was_never_gone() {
    let mut world = deleted();
    assert_eq!(world.transaction(|world| world.insert("stock", cells![1, "A", 4])), ["1=4"]);
    assert_eq!(world.mapper.next_deadline(), None);
    assert_eq!(due(&mut world, 1_000), [""; 0]);
    assert!(world.stored.is_empty());
}

#[test]
fn a_removal_waits_on_after_a_restart() {
    let mut world = deleted();
    let bytes = world.mapper.held.grace.bytes;
    world.restart(&[patient()], &SPECS);
    assert_eq!(world.mapper.held.grace.bytes, bytes);
    // What voids it may follow in the log, however long it was that nobody read it.
    assert_eq!(due(&mut world, 200), [""; 0]);
    assert_eq!(world.mapper.next_deadline(), Some(205 * SECOND));
    assert_eq!(due(&mut world, 205), ["1 gone"]);
    assert_eq!(world.mapper.held.grace.bytes, 0);
}

#[test]
fn what_waits_is_counted_with_all_that_belongs_to_it() {
    let mut world = deleted();
    let (bytes, event) = (world.mapper.held.grace.bytes, world.stored.values().next().unwrap());
    assert!(bytes > event.len(), "{bytes} for {event}");
    world.transaction(|world| world.insert("stock", cells![1, "A", 4]));
    assert_eq!(world.mapper.held.grace.bytes, 0);
}

#[test]
fn a_sweep_leaves_a_key_whose_removal_waits_to_its_time_over_a_restart_too() {
    for restarts in [false, true] {
        let mut world = deleted();
        if restarts {
            world.restart(&[patient()], &SPECS);
            assert_eq!(due(&mut world, 100), [""; 0]);
        }
        let at = Synthetic { coordinate: 5, counter: 0, at_us: 0, position: "5" };
        let keys = ["1", "2"].map(|item| format!("acme/main/{item}/_"));
        let keys = keys.iter().map(|key| Vanished { key, sku: None });
        let mapped = world.mapper.sweep_keys("public.stock", keys, &at);
        world.take(&mapped);
        assert_eq!(says(&mapped), ["2 gone"]);
        // The row may come back all the same.
        assert_eq!(world.mapper.next_deadline(), Some(105 * SECOND));
        assert_eq!(due(&mut world, 105), ["1 gone"]);
        assert_eq!(due(&mut world, 1_000), [""; 0]);
    }
}

/// What it looks up is being loaded anew, so that it says nothing of the row that came back.
#[test]
fn a_removal_is_void_when_its_row_came_back_while_the_mapping_was_silent() {
    let definition = definition("id", |definition| {
        definition.removal_grace_ms = 5_000;
        definition.lookups =
            vec![super::lookups::lookup("product", ("id", "item"), &[("sku", "code")])];
    });
    let specs = [
        Spec("product", &["id integer", "code text"]),
        Spec("stock", &["id integer", "item integer", "qty integer"]),
    ];
    let mut world = World::new(&[definition], &specs);
    world.transaction(|world| {
        world.insert("product", cells![7, "A"]);
        world.insert("stock", cells![1, 7, 5]);
    });
    assert_eq!(world.transaction(|world| world.delete("stock", 1)), [""; 0]);
    assert_eq!(due(&mut world, 100), [""; 0]);
    world.mapper.clear(&TableName::new("public", "product"));
    assert_eq!(world.transaction(|world| world.insert("stock", cells![1, 7, 4])), [""; 0]);
    assert_eq!(due(&mut world, 105), [""; 0]);
    assert_eq!(world.mapper.next_deadline(), None);
}
