//! Lookups: columns that come from other rows.

use super::world::{Datum, Spec, World, cells, mapper_of, synthetic};
use super::*;

fn parse(text: &str) -> expression::Expression {
    expression::Expression::parse(text).unwrap()
}

pub(super) fn lookup(table: &str, on: (&str, &str), columns: &[(&str, &str)]) -> Lookup {
    Lookup {
        table: TableName::new("public", table),
        filter: None,
        on: vec![(on.0.to_owned(), parse(on.1))],
        columns: columns.iter().map(|(name, value)| ((*name).to_owned(), parse(value))).collect(),
        required: false,
    }
}

const SPECS: [Spec; 2] = [
    Spec("product", &["id integer", "code text", "enabled boolean"]),
    Spec("stock", &["id integer", "product integer", "qty integer"]),
];

/// `stock(id, product, qty)` with the SKU of `product(id, code, enabled)`.
fn with_sku() -> Definition {
    definition("id", |definition| {
        definition.lookups = vec![lookup("product", ("id", "product"), &[("sku", "code")])];
    })
}

fn shop(definition: Definition) -> World {
    World::new(&[definition], &SPECS)
}

fn skus(world: &World) -> Vec<String> {
    let sku = |(_, event): &(String, serde_json::Value)| {
        let item = &event["item"];
        let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {} {}",
            text("id"),
            event["kind"].as_str().unwrap(),
            text("sku"),
            text("sku_state")
        )
    };
    world.levels.values().map(sku).collect()
}

#[test]
fn a_looked_up_column_comes_from_the_other_table() {
    let mut world = shop(with_sku());
    world.transaction(|world| world.insert("product", cells![7, "A-7", 1]));
    assert_eq!(world.transaction(|world| world.insert("stock", cells![1, 7, 5])), ["1=5"]);
    assert_eq!(skus(&world), ["1 level A-7 resolved"]);
}

#[test]
fn a_change_of_a_looked_up_row_is_told_of_every_row_that_looks_it_up_in_key_order() {
    let mut world = shop(with_sku());
    world.transaction(|world| {
        for id in [3, 1, 2] {
            world.insert("stock", cells![id, 7, id * 10]);
        }
        world.insert("stock", cells![4, 8, 40]);
    });
    let missing = "level - missing";
    let all = ["1", "2", "3", "4"].map(|id| format!("{id} {missing}"));
    assert_eq!(skus(&world), all);
    let said = world.transaction(|world| world.insert("product", cells![7, "A-7", 1]));
    assert_eq!(said, ["1=10 was 10", "2=20 was 20", "3=30 was 30"]);
    world.transaction(|world| world.update("product", cells![7, "B-7", 1]));
    assert_eq!(skus(&world)[2], "3 level B-7 resolved");
    // Nothing that anybody looks up has changed.
    assert_eq!(world.transaction(|world| world.update("product", cells![7, "B-7", 0])), [""; 0]);
    world.transaction(|world| world.delete("product", 7));
    assert_eq!(skus(&world), all);
}

#[test]
fn a_row_and_what_it_looks_up_in_one_transaction_are_one_event() {
    let mut world = shop(with_sku());
    let said = world.transaction(|world| {
        world.insert("stock", cells![1, 7, 5]);
        world.insert("product", cells![7, "A-7", 1]);
        world.update("stock", cells![1, 7, 6]);
    });
    assert_eq!(said, ["1=6"]);
    assert_eq!(skus(&world), ["1 level A-7 resolved"]);
}

#[test]
fn a_row_that_looks_up_another_one_now_follows_that_one() {
    let mut world = shop(with_sku());
    world.transaction(|world| {
        world.insert("product", cells![7, "A-7", 1]);
        world.insert("product", cells![8, "A-8", 1]);
        world.insert("stock", cells![1, 7, 5]);
    });
    world.transaction(|world| world.update("stock", cells![1, 8, 5]));
    assert_eq!(skus(&world), ["1 level A-8 resolved"]);
    assert_eq!(world.transaction(|world| world.update("product", cells![7, "X", 1])), [""; 0]);
    assert_eq!(world.transaction(|world| world.update("product", cells![8, "Y", 1])).len(), 1);
}

#[test]
fn a_filter_may_ask_the_other_table() {
    let definition = definition("id", |definition| {
        let columns = [("sku", "code"), ("sold", "enabled")];
        definition.lookups = vec![lookup("product", ("id", "product"), &columns)];
        definition.filter = Some(parse("sold"));
    });
    let specs = [Spec("product", &["id integer", "code text", "enabled unknown"]), SPECS[1]];
    let mut world = World::new(&[definition], &specs);
    world.transaction(|world| world.insert("product", cells![7, "A-7", 0]));
    assert_eq!(world.transaction(|world| world.insert("stock", cells![1, 7, 5])), [""; 0]);
    let said = world.transaction(|world| world.update("product", cells![7, "A-7", 1]));
    assert_eq!(said, ["1=5"]);
    let said = world.transaction(|world| world.update("product", cells![7, "A-7", 0]));
    assert_eq!(said, ["1 gone was 5"]);
}

#[test]
fn a_row_whose_parent_is_deleted_is_gone_although_the_log_does_not_say_so() {
    let definition = definition("id", |definition| {
        let product = lookup("product", ("id", "product"), &[("sku", "code")]);
        definition.lookups = vec![Lookup { required: true, ..product }];
    });
    let mut world = shop(definition);
    world.transaction(|world| {
        world.insert("product", cells![7, "A-7", 1]);
        world.insert("stock", cells![1, 7, 5]);
        world.insert("stock", cells![2, 7, 6]);
        world.insert("stock", cells![3, 9, 7]);
    });
    assert_eq!(world.levels.len(), 2, "a row without its parent is not there");
    let said = world.transaction(|world| world.delete("product", 7));
    assert_eq!(said, ["1 gone was 5 CASCADE_INFERRED", "2 gone was 6 CASCADE_INFERRED"]);
    let left: Vec<_> = world.stored.keys().map(|(_, key)| key.as_str()).collect();
    assert_eq!(left, ["3"], "the rows went with their parent");
    // A server that does log its cascades says it again.
    assert_eq!(world.transaction(|world| world.delete("stock", 1)), [""; 0]);
    // The number is given again.
    assert_eq!(world.transaction(|world| world.insert("product", cells![7, "B", 1])), [""; 0]);
    assert_eq!(world.transaction(|world| world.insert("stock", cells![2, 7, 1])), ["2=1"]);
}

/// As tools do that import a catalog: without a foreign key the stock stays where it is.
#[test]
fn a_row_whose_parent_is_put_in_anew_comes_back_with_it() {
    let definition = definition("id", |definition| {
        let product = lookup("product", ("id", "product"), &[("sku", "code")]);
        definition.lookups = vec![Lookup { required: true, ..product }];
    });
    let mut world = shop(definition.clone());
    world.mapper = mapper_of(&[definition], &SPECS, &[]);
    world.transaction(|world| {
        world.insert("product", cells![7, "A-7", 1]);
        world.insert("stock", cells![1, 7, 5]);
    });
    assert_eq!(world.transaction(|world| world.delete("product", 7)), ["1 gone was 5"]);
    assert_eq!(world.transaction(|world| world.insert("product", cells![7, "B", 1])), ["1=5"]);
    let said = world.transaction(|world| {
        world.delete("product", 7);
        world.insert("product", cells![7, "C", 1]);
    });
    assert_eq!(said, ["1=5 was 5"]);
}

/// A server is asked for the rows that count, and one that does not may only be another one now.
#[test]
fn a_row_whose_parent_a_read_has_not_seen_is_not_taken_for_deleted_where_a_filter_may_hide_it() {
    let definition = definition("id", |definition| {
        let product = lookup("product", ("id", "product"), &[("sku", "code")]);
        let filter = Some(parse("enabled = 1"));
        definition.lookups = vec![Lookup { required: true, filter, ..product }];
    });
    let specs = [Spec("product", &["id integer", "code text", "enabled integer"]), SPECS[1]];
    let mut world = World::new(&[definition], &specs);
    world.transaction(|world| {
        world.insert("product", cells![7, "A-7", 1]);
        world.insert("stock", cells![1, 7, 5]);
    });
    let product = TableName::new("public", "product");
    world.mapper.begin_snapshot(&product, 1);
    let at = synthetic(&world, 0);
    let swept = world.mapper.sweep_rows(&product, &at, 10).unwrap();
    assert!(
        matches!(&swept.notices[..], [Notice::Unreadable { table, .. }] if table.table == "stock")
    );
    let said: Vec<&str> = swept.records.values().collect();
    assert!(said.len() == 1 && !said[0].contains("CASCADE"), "{said:?}");
    let said = world.transaction(|world| world.insert("product", cells![7, "A-7", 1]));
    assert_eq!(said, ["1=5"]);
}

#[test]
fn of_several_rows_that_match_the_lowest_speaks_and_the_event_says_so() {
    let definition = definition("id", |definition| {
        definition.lookups = vec![lookup("product", ("code", "product"), &[("sku", "id")])];
    });
    let specs = [Spec("product", &["id integer", "code integer"]), SPECS[1]];
    let mut world = World::new(&[definition], &specs);
    world.transaction(|world| {
        world.insert("product", cells![12, 7]);
        world.insert("product", cells![11, 7]);
    });
    let said = world.transaction(|world| world.insert("stock", cells![1, 7, 5]));
    assert_eq!(said, ["1=5 SKU_DUPLICATE"]);
    assert_eq!(skus(&world), ["1 level 11 ambiguous"]);
    assert_eq!(world.transaction(|world| world.delete("product", 11)), ["1=5 was 5"]);
    assert_eq!(skus(&world), ["1 level 12 resolved"]);
}

#[test]
fn a_lookup_may_ask_with_what_another_one_found() {
    let definition = definition("id", |definition| {
        definition.lookups = vec![
            lookup("product", ("id", "parent"), &[("sku", "code")]),
            lookup("variant", ("id", "variant"), &[("parent", "product")]),
        ];
    });
    let specs = [
        Spec("product", &["id integer", "code text"]),
        Spec("stock", &["id integer", "variant integer", "qty integer"]),
        Spec("variant", &["id integer", "product integer"]),
    ];
    let mut world = World::new(std::slice::from_ref(&definition), &specs);
    world.transaction(|world| {
        world.insert("stock", cells![1, 5, 10]);
        world.insert("product", cells![7, "P7"]);
        world.insert("product", cells![8, "P8"]);
        world.insert("variant", cells![5, 7]);
    });
    assert_eq!(skus(&world), ["1 level P7 resolved"]);
    world.restart(&[definition], &specs);
    world.transaction(|world| world.update("variant", cells![5, 8]));
    assert_eq!(skus(&world), ["1 level P8 resolved"]);
    assert_eq!(world.transaction(|world| world.update("product", cells![7, "X"])), [""; 0]);
    world.transaction(|world| world.update("product", cells![8, "Q8"]));
    assert_eq!(skus(&world), ["1 level Q8 resolved"]);
}

/// WooCommerce: stock and SKU are rows of one table of names and values.
fn postmeta() -> (Definition, [Spec; 1]) {
    let definition = definition("post_id", |definition| {
        definition.table = TableName::new("public", "postmeta");
        definition.filter = Some(parse("meta_key = '_stock'"));
        definition.quantities = vec![(Measure::OnHand, parse("meta_value"))];
        let sku = lookup("postmeta", ("post_id", "post_id"), &[("sku", "meta_value")]);
        definition.lookups = vec![Lookup { filter: Some(parse("meta_key = '_sku'")), ..sku }];
    });
    let columns =
        &["meta_id bigint", "post_id bigint", "meta_key varchar(255)", "meta_value longtext"];
    (definition, [Spec("postmeta", columns)])
}

/// An update as MySQL logs it with `binlog_row_image = MINIMAL`.
fn minimal(world: &mut World, id: i64, value: &str) {
    let before = vec![id.into(), Datum::Absent, Datum::Absent, Datum::Absent];
    let after = vec![Datum::Absent, Datum::Absent, Datum::Absent, value.into()];
    world.change("postmeta", Op::Update, Some(before), Some(after));
}

#[test]
fn stock_and_sku_may_be_rows_of_one_table_whose_log_holds_only_what_changed() {
    let (definition, specs) = postmeta();
    let mut world = World::new(std::slice::from_ref(&definition), &specs);
    world.transaction(|world| {
        world.insert("postmeta", cells![1, 100, "_stock", "5"]);
        world.insert("postmeta", cells![2, 100, "_sku", "A-100"]);
        world.insert("postmeta", cells![3, 100, "_billing_email", "jo@example.org"]);
    });
    assert_eq!(skus(&world), ["100 level A-100 resolved"]);
    world.restart(&[definition], &specs);
    assert_eq!(world.transaction(|world| minimal(world, 1, "4.5")), ["100=4.5 was 5"]);
    assert_eq!(world.transaction(|world| minimal(world, 3, "jo@example.com")), [""; 0]);
    world.transaction(|world| minimal(world, 2, "B-100"));
    assert_eq!(skus(&world), ["100 level B-100 resolved"]);
    assert!(!world.stored.values().any(|row| row.contains("example")), "nobody asked for that row");
    assert_eq!(world.transaction(|world| world.delete("postmeta", 3)), [""; 0]);
    assert_eq!(world.transaction(|world| world.delete("postmeta", 1)), ["100 gone was 4.5"]);
}

#[test]
fn a_row_that_begins_to_matter_in_an_image_that_does_not_hold_it_is_a_dead_letter() {
    let (definition, specs) = postmeta();
    let mut world = World::new(&[definition], &specs);
    world.transaction(|world| world.insert("postmeta", cells![1, 100, "_other", "5"]));
    let before = vec![1.into(), Datum::Absent, Datum::Absent, Datum::Absent];
    let after = vec![Datum::Absent, Datum::Absent, "_stock".into(), Datum::Absent];
    let said =
        world.transaction(|world| world.change("postmeta", Op::Update, Some(before), Some(after)));
    assert!(said[0].starts_with("rejected: a column that decides"), "{said:?}");
}

#[test]
fn a_row_that_too_many_others_look_up_leaves_it_to_a_snapshot_to_say_so() {
    let mut world = shop(with_sku());
    world.transaction(|world| world.insert("product", cells![1, "A-1", 1]));
    for first in [0, 500, 1_000] {
        world.transaction(|world| {
            (first..first + 500).for_each(|id| world.insert("stock", cells![id, 1, 5]));
        });
    }
    assert_eq!(world.levels.len(), 1_500);
    world.begin();
    world.update("product", cells![1, "B-1", 1]);
    let mapped = world.commit();
    let [Notice::Unreadable { table, reason, .. }] = &mapped.notices[..] else {
        panic!("{:?}", mapped.notices)
    };
    assert_eq!((table.table.as_str(), mapped.records.len()), ("stock", 0));
    assert!(reason.starts_with("more rows than can be published at once"), "{reason}");
    // All of it is known, and comes piece by piece.
    let (mut after, mut counter) = (None, 0);
    loop {
        let at = synthetic(&world, counter);
        let (mapped, next) = world.mapper.publish_all(table, after, 400, &at);
        world.take(&mapped);
        (after, counter) = (next, counter + 400);
        if after.is_none() {
            break;
        }
    }
    let is_told = |level: &(String, serde_json::Value)| level.1["item"]["sku"] == "B-1";
    assert!(world.levels.values().all(is_told));
}

#[test]
fn only_the_deletion_of_a_row_that_was_looked_up_may_have_taken_rows_that_were_read() {
    let narrowed = || {
        definition("id", |definition| {
            let product = lookup("product", ("id", "product"), &[("sku", "code")]);
            let filter = Some(parse("enabled"));
            definition.lookups = vec![Lookup { required: true, filter, ..product }];
        })
    };
    for (enabled, is_lost) in [(0, false), (1, true)] {
        let mut world = shop(narrowed());
        world.transaction(|world| world.insert("product", cells![7, "A-7", enabled]));
        world.mapper.begin_snapshot(&TableName::new("public", "stock"), 1);
        world.transaction(|world| world.delete("product", 7));
        assert_eq!(world.mapper.has_lost_track(), is_lost);
    }
}

/// Row images that hold only what changed.
#[test]
fn what_cannot_be_told_of_a_row_that_a_filter_lets_in_is_a_dead_letter() {
    let specs = [
        Spec("product", &["id integer", "omitted parent integer", "omitted lang text"]),
        Spec("stock", &["id integer", "omitted product integer", "omitted status integer"]),
    ];
    let definition = definition("id", |definition| {
        definition.sku = None;
        definition.quantities = vec![(Measure::OnHand, parse("status"))];
        definition.filter = Some(parse("status = 1"));
        let filter = Some(parse("lang = 'en'"));
        let of_parent = lookup("product", ("parent", "product"), &[("name", "lang")]);
        definition.lookups = vec![Lookup { required: true, filter, ..of_parent }];
    });
    let mut world = World::new(&[definition], &specs);
    world.transaction(|world| {
        world.insert("product", cells![7, 70, "de"]);
        world.insert("stock", cells![1, 70, 0]);
    });
    let mut changed = |table: &str, after: Vec<Datum>| {
        world.transaction(|world| {
            let before = vec![after[0].clone(), Datum::Absent, Datum::Absent];
            world.change(table, Op::Update, Some(before), Some(after));
        })
    };
    for said in [
        changed("stock", vec![1.into(), Datum::Absent, 1.into()]),
        changed("product", vec![7.into(), Datum::Absent, "en".into()]),
    ] {
        assert!(said.len() == 1 && said[0].starts_with("rejected: "), "{said:?}");
    }
}
