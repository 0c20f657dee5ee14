//! Tables whose columns, keys or images are not what they were.

use super::world::{Datum, Spec, World, cells, synthetic};
use super::*;

const STOCK: [Spec; 1] = [Spec("stock", &["id integer", "item text", "sku text", "qty integer"])];

fn stock() -> TableName {
    TableName::new("public", "stock")
}

fn filtered() -> Definition {
    definition("id", |definition| {
        definition.filter = Some(expression::Expression::parse("sku = 'S'").unwrap());
    })
}

/// Has seen no transaction for certain.
#[derive(Debug)]
struct Nothing;

impl connector_api::Sight for Nothing {
    fn sees(&self, _: u64, _: &str) -> bool {
        false
    }
}

fn without(shape: &TableSchema, column: &str) -> Arc<TableSchema> {
    let columns = shape.columns.iter().filter(|known| known.name != column).cloned().collect();
    Arc::new(TableSchema { name: shape.name.clone(), columns })
}

#[test]
fn rows_without_a_mapped_column_make_their_table_doubtful_once() {
    let mut shop = keyed();
    shop.schema = without(&shop.schema, "qty");
    let sold = |shop: &mut Shop| {
        shop.begin();
        let table = shop.builder.table(&Arc::clone(&shop.schema));
        let image = shop.builder.image();
        shop.builder.push(Cell::Int(1));
        shop.builder.push_text(TextKind::Text, "A");
        shop.builder.push_text(TextKind::Text, "S");
        shop.builder.row(table, Op::Insert, None, Some(image));
        shop.commit()
    };
    shop.mapper.begin_snapshot(&stock(), 1);
    // Of a transaction that was begun under another mapping, which the snapshot that is due says.
    shop.mapper.set_inherits(true);
    shop.mapper.set_dirty(std::iter::once(&"public.stock".to_owned()));
    let inherited = sold(&mut shop);
    assert_eq!((says(&inherited), inherited.notices), (Vec::new(), Vec::new()));
    assert!(shop.mapper.has_lost_track(), "which row it was is not known");
    shop.mapper.begin_snapshot(&stock(), 2);
    shop.mapper.set_inherits(false);
    let mapped = sold(&mut shop);
    let reason = "column qty is not in the table any more";
    assert_eq!(says(&mapped), [format!("rejected: {reason}")]);
    let (position, reason) = ("2".to_owned(), reason.to_owned());
    assert_eq!(mapped.notices, [Notice::Unreadable { table: stock(), position, reason }]);
    assert!(shop.mapper.has_lost_track(), "which row it was is not known");
    let again = sold(&mut shop);
    assert_eq!((again.rejected.len(), again.notices), (1, Vec::new()));
}

#[test]
fn what_is_remembered_is_forgotten_when_rows_are_identified_by_something_else() {
    let mut shop = owned();
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    let alter = |shop: &mut Shop, key: &str| {
        let mut shape = TableSchema::clone(&shop.schema);
        shape.columns.iter_mut().for_each(|column| column.identity = column.name == key);
        shop.schema = Arc::new(shape);
        shop.begin();
        let table = shop.builder.table(&Arc::clone(&shop.schema));
        shop.builder.schema_changed(table);
        shop.insert(row(7, "G", 7));
        shop.commit()
    };
    let mapped = alter(&mut shop, "id");
    assert!(matches!(mapped.notices[..], [Notice::SchemaChanged { .. }]));
    let mapped = alter(&mut shop, "sku");
    let [Notice::Rekeyed { .. }, Notice::SchemaChanged { .. }] = &mapped.notices[..] else {
        panic!("{:?}", mapped.notices)
    };
    let [(_, rows)] = &mapped.rows[..] else { panic!("{:?}", mapped.rows) };
    assert_eq!(rows[0], ("1".to_owned(), None));
}

#[test]
fn one_number_is_one_row_whatever_its_column_makes_of_the_sign() {
    let mut shop = owned();
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    shop.begin();
    let table = shop.builder.table(&Arc::clone(&shop.schema));
    let image = shop.builder.image();
    shop.builder.push(Cell::UInt(1));
    shop.builder.push_text(TextKind::Text, "A");
    shop.builder.push_text(TextKind::Text, "S");
    shop.builder.push(Cell::Int(4));
    shop.builder.row(table, Op::Update, None, Some(image));
    assert_eq!(says(&shop.commit()), ["A=4 was 5"]);
}

#[test]
fn stored_rows_that_are_known_by_something_else_now_leave_the_store() {
    let mut world = World::new(&[filtered()], &STOCK);
    world.transaction(|world| world.insert("stock", cells![1, "A", "S", 5]));
    let (by_number, by_item) = (
        Spec("stock", &["number integer", "id integer", "item text", "sku text", "qty integer"]),
        Spec("stock", &["item text", "id integer", "sku text", "qty integer"]),
    );
    for (spec, new) in [(by_number, cells![1, 3, "C", "S", 6]), (by_item, cells!["D", 4, "S", 6])] {
        let mut stored = World::new(&[filtered()], &[spec]);
        stored.stored = world.stored.clone();
        stored.restart(&[filtered()], &[spec]);
        stored.transaction(|world| world.insert("stock", new));
        let rows: Vec<&String> = stored.stored.values().collect();
        assert!(rows.len() == 1 && rows[0].contains(r#""qty":"i6""#), "{rows:?}");
    }
}

#[test]
fn stored_rows_that_nothing_asks_for_any_more_leave_the_store() {
    let plain = || definition("id", |_| {});
    let mut world = World::new(&[filtered()], &STOCK);
    world.transaction(|world| world.insert("stock", cells![1, "A", "S", 5]));
    assert_eq!(world.stored.len(), 1);
    world.restart(&[plain()], &STOCK);
    world.transaction(|world| world.insert("stock", cells![2, "B", "S", 5]));
    assert!(world.stored.is_empty());
}

#[test]
fn stored_rows_of_a_table_that_no_mapping_speaks_of_leave_the_store() {
    let other =
        || definition("id", |definition| definition.table = TableName::new("public", "other"));
    let specs = [STOCK[0], Spec("other", STOCK[0].1)];
    let mut world = World::new(&[filtered(), other()], &specs);
    world.transaction(|world| world.insert("stock", cells![1, "A", "S", 5]));
    assert_eq!(world.stored.len(), 1);
    world.restart(&[other()], &specs);
    assert!(world.mapper.has_more_to_forget());
    let mapped = world.mapper.forget();
    world.take(&mapped);
    assert!(world.stored.is_empty() && !world.mapper.has_more_to_forget());
}

/// More rows than one commit has the store forget, none of which is published.
const MANY: i64 = 50_000;

fn filled() -> World {
    let mut world = World::new(&[filtered()], &STOCK);
    for first in (1..=MANY).step_by(1_000) {
        let ids = first..first + 1_000;
        world.transaction(|world| {
            ids.for_each(|id| world.insert("stock", cells![id, "A", "T", 5]));
        });
    }
    assert_eq!(world.stored.len(), 50_000);
    world
}

/// Has the store forget what is left, in pieces.
fn forget_all(world: &mut World) {
    while world.mapper.has_more_to_forget() {
        let mapped = world.mapper.forget();
        assert!(named(&mapped) <= 4096, "{}", named(&mapped));
        world.take(&mapped);
    }
}

fn named(mapped: &Mapped) -> usize {
    mapped.rows.iter().map(|(_, rows)| rows.len()).sum()
}

#[test]
fn however_many_rows_a_table_had_that_is_emptied_the_store_is_told_of_it_in_pieces() {
    let emptied = || {
        let mut world = filled();
        world.begin();
        world.clear("stock");
        world.insert("stock", cells![1, "A", "S", 6]);
        let mapped = world.commit();
        assert!((2..=4097).contains(&named(&mapped)), "{}", named(&mapped));
        world
    };
    let only = |world: &World| {
        let rows: Vec<&String> = world.stored.values().collect();
        assert!(rows.len() == 1 && rows[0].contains(r#""qty":"i6""#), "{}", rows.len());
    };
    let mut world = emptied();
    forget_all(&mut world);
    only(&world);
    // What is left of them after a restart was not seen when the table has been read.
    let mut world = emptied();
    world.restart(&[filtered()], &STOCK);
    world.mapper.begin_snapshot(&stock(), 1);
    let at = synthetic(&world, 0);
    let mapped = world.read("stock", vec![cells![1, "A", "S", 6]], &Nothing, &at);
    world.take(&mapped);
    let mut counter = 1;
    let mut next = |world: &mut World| {
        counter += 4096;
        let at = synthetic(world, counter);
        world.mapper.sweep_rows(&stock(), &at, 4096)
    };
    while let Some(mapped) = next(&mut world) {
        assert!(named(&mapped) <= 4096, "{}", named(&mapped));
        world.take(&mapped);
    }
    only(&world);
}

#[test]
fn however_many_rows_need_not_be_remembered_any_more_the_store_forgets_them_in_pieces() {
    let mut world = filled();
    world.restart(&[definition("id", |_| {})], &STOCK);
    world.begin();
    world.insert("stock", cells![1, "A", "S", 6]);
    let mapped = world.commit();
    assert!((1..=4096).contains(&named(&mapped)), "{}", named(&mapped));
    forget_all(&mut world);
    assert!(world.stored.is_empty());
}

#[test]
fn what_is_remembered_depends_on_what_images_hold_and_on_what_identifies_a_row() {
    let memory = |identity, change: &dyn Fn(&mut TableDescription)| {
        let column = |(name, type_name): (&str, &str)| ColumnDescription {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            logged: true,
            omitted: false,
        };
        let columns = [("id", "int"), ("item", "text"), ("sku", "text"), ("qty", "integer")];
        let mut table = TableDescription {
            cascades: Vec::new(),
            name: stock(),
            columns: columns.map(column).to_vec(),
            primary_key: vec!["id".to_owned()],
            identity,
        };
        change(&mut table);
        Plan::compile(&[filtered()], &[table], 1).unwrap().memory_of(&stock())
    };
    let full = memory(Identity::Full, &|_| {});
    assert_eq!(full, r#""id" integer none"#);
    let by_key = memory(Identity::PrimaryKey, &|_| {});
    assert_eq!(by_key, r#""id" integer all"#);
    let unsigned = memory(Identity::PrimaryKey, &|table| {
        table.columns[0].type_name = "bigint(20) unsigned".to_owned();
    });
    assert_eq!(unsigned, by_key, "one number is one row");
    let other = memory(Identity::PrimaryKey, &|table| table.primary_key = vec!["item".to_owned()]);
    assert_eq!(other, r#""item" text all"#);
    let partial = memory(Identity::Full, &|table| table.columns[3].omitted = true);
    assert_eq!(partial, r#""id" integer all"#);
}

#[test]
fn a_table_of_ever_changing_shape_loses_no_level() {
    let mut shop = keyed();
    let said = shop.transaction(|shop| {
        for id in 0..300 {
            shop.schema = Arc::new(TableSchema::clone(&shop.schema));
            shop.insert(row(id, "A", 5));
        }
    });
    assert_eq!(said.len(), 300);
    assert!(said.iter().all(|said| said.ends_with("=5")), "{said:?}");
    for id in 300..303 {
        shop.schema = Arc::new(TableSchema::clone(&shop.schema));
        assert_eq!(shop.transaction(|shop| shop.insert(row(id, "A", 5))), [format!("{id}=5")]);
    }
    assert!(shop.mapper.bindings.len() < 10, "shapes are not kept for ever");
}

#[test]
fn a_row_that_is_identified_otherwise_than_the_plan_has_it_outlives_the_plan() {
    let altered = |shop: &mut Shop, keys: &[&str]| {
        let mut shape = TableSchema::clone(&shop.schema);
        let columns = shape.columns.iter_mut();
        columns.for_each(|column| column.identity = keys.contains(&column.name.as_str()));
        shop.schema = Arc::new(shape);
        shop.begin();
        shop.insert(row(7, "G", 7));
        shop.commit()
    };
    let position = || "1".to_owned();
    // With a column of the key that is not captured none of those that are identifies a row.
    for keys in [&["id", "sku"][..], &["sku"], &[]] {
        for mut shop in [keyed(), owned()] {
            let mapped = altered(&mut shop, keys);
            let notice = Notice::Rekeyed { table: stock(), position: position() };
            assert_eq!((mapped.notices, shop.mapper.is_outlived()), (vec![notice], true));
        }
    }
    // Whole old rows say nothing of it.
    for keys in [&["id"][..], &["id", "item", "sku", "qty"]] {
        let mut shop = owned();
        let mapped = altered(&mut shop, keys);
        assert_eq!((mapped.notices, shop.mapper.is_outlived()), (Vec::new(), false));
    }
    // A log may be older than the plan until the table has been read.
    let mut shop = owned();
    shop.mapper.set_incomplete(&[stock()].into());
    let mapped = altered(&mut shop, &["sku"]);
    assert_eq!((mapped.notices, shop.mapper.is_outlived()), (Vec::new(), false));
}

#[test]
fn stored_rows_whose_numbers_are_texts_now_leave_the_store_before_those_that_have_their_names() {
    for (before, after) in [("integer", "text"), ("integer", "numeric(10,0)"), ("text", "bigint")] {
        let spec = |kind: &str| {
            let id: &'static str = format!("id {kind}").leak();
            let columns = [id, "item text", "sku text", "qty integer"];
            Spec("stock", Box::leak(Box::new(columns)))
        };
        let id = |kind: &str| match kind {
            "integer" | "bigint" => Datum::Int(1),
            _ => Datum::Text("1".to_owned()),
        };
        let row = |kind: &str| [vec![id(kind)], cells!["A", "S", 5]].concat();
        let mut world = World::new(&[filtered()], &[spec(before)]);
        world.transaction(|world| world.insert("stock", row(before)));
        world.restart(&[filtered()], &[spec(after)]);
        let at = synthetic(&world, 0);
        world.mapper.begin_snapshot(&stock(), 1);
        let mapped = world.read("stock", vec![row(after)], &Nothing, &at);
        world.take(&mapped);
        let at = synthetic(&world, 1);
        while let Some(mapped) = world.mapper.sweep_rows(&stock(), &at, 10) {
            world.take(&mapped);
        }
        let stored: Vec<&str> = world.stored.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!(stored, ["1"], "{before} to {after}");
    }
}
