mod broken;
mod cascades;
mod chunk;
mod crowds;

use std::sync::Arc;

use connector_api::{
    Batch, BatchBuilder, BeginText, Cell, ClearCause, Column, ColumnDescription, Identity, Op,
    Position, TableDescription, TableName, TableSchema, TextKind, Value,
};

mod grace;
mod ledgers;
mod lookups;
mod partial;
mod random;
mod reshaped;
mod said;
mod sums;
mod world;

use said::says;

use super::*;
use crate::stock::encode::Encoder;
use crate::stock::{Measure, SellerId, SourceName};

/// A table `public.stock(id, item, sku, qty)` and one transaction after the other.
struct Shop {
    mapper: Mapper,
    builder: BatchBuilder,
    schema: Arc<TableSchema>,
    next: u64,
}

/// `id`, `item`, `sku`, `qty`.
type Row = [Value<'static>; 4];

fn row(id: i64, item: &'static str, qty: i64) -> Row {
    [Value::Int(id), Value::Text(item), Value::Text("S"), Value::Int(qty)]
}

fn definition(item: &str, change: impl FnOnce(&mut Definition)) -> Definition {
    let parse = |text: &str| expression::Expression::parse(text).unwrap();
    let mut definition = Definition {
        name: "stock".to_owned(),
        table: TableName::new("public", "stock"),
        kind: Kind::Level,
        filter: None,
        removed_when: None,
        item: parse(item),
        sku: Some(parse("sku")),
        gtin: None,
        parent: None,
        location: None,
        bucket: None,
        quantities: vec![(Measure::OnHand, parse("qty"))],
        measure: None,
        delta: None,
        active: None,
        tracked: None,
        unit: "EA".to_owned(),
        coalesce: true,
        lookups: Vec::new(),
        sum: Vec::new(),
        removal_grace_ms: 0,
    };
    change(&mut definition);
    definition
}

impl Shop {
    fn new(definition: Definition, identity: Identity) -> Self {
        Self::of(&[definition], identity, identity != Identity::Nothing)
    }

    fn of(definitions: &[Definition], identity: Identity, has_key: bool) -> Self {
        let names = ["id", "item", "sku", "qty"];
        let column = |name: &&str| ColumnDescription {
            name: (*name).to_owned(),
            type_name: if matches!(*name, "id" | "qty") { "integer" } else { "text" }.to_owned(),
            logged: true,
            omitted: false,
        };
        let is_key = |name: &str| name == "id" && has_key;
        let key = names.into_iter().filter(|name| is_key(name)).map(str::to_owned);
        let table = TableDescription {
            cascades: Vec::new(),
            name: TableName::new("public", "stock"),
            columns: names.iter().map(column).collect(),
            primary_key: key.collect(),
            identity,
        };
        let plan = Plan::compile(definitions, &[table], 1).unwrap();
        let source = SourceIdentity {
            seller: SellerId::new("acme"),
            source: SourceName::new("main"),
            epoch: 1,
        };
        let encoder = Encoder::new(&source.seller, &source.source, "test", "shop");
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            type_name: String::new(),
            identity: is_key(name),
        };
        let schema = TableSchema {
            name: TableName::new("public", "stock"),
            columns: names.iter().map(column).collect(),
        };
        Self {
            mapper: Mapper::new(source, encoder, plan),
            builder: BatchBuilder::new(&Position::new("0")),
            schema: Arc::new(schema),
            next: 1,
        }
    }

    fn begin(&mut self) {
        let text = self.next.to_string();
        let (txid, position) = (text.as_str(), text.as_str());
        let coordinate = self.next;
        self.builder.begin(BeginText { coordinate, committed_at_us: 0, txid, position });
        self.next += 1;
    }

    fn image(&mut self, row: Row) -> u32 {
        let image = self.builder.image();
        for value in row {
            match value {
                Value::Null => self.builder.push(Cell::Null),
                Value::Absent => self.builder.push(Cell::Absent),
                Value::Int(value) => self.builder.push(Cell::Int(value)),
                Value::Text(text) => self.builder.push_text(TextKind::Text, text),
                Value::Decimal(text) => self.builder.push_text(TextKind::Decimal, text),
                other => panic!("not in these tests: {other:?}"),
            }
        }
        image
    }

    fn change(&mut self, op: Op, before: Option<Row>, after: Option<Row>) {
        let table = self.builder.table(&Arc::clone(&self.schema));
        let before = before.map(|row| self.image(row));
        let after = after.map(|row| self.image(row));
        self.builder.row(table, op, before, after);
    }

    fn insert(&mut self, row: Row) {
        self.change(Op::Insert, None, Some(row));
    }

    fn update(&mut self, row: Row) {
        self.change(Op::Update, None, Some(row));
    }

    /// With the key alone in the old image.
    fn delete(&mut self, id: i64) {
        let old = [Value::Int(id), Value::Absent, Value::Absent, Value::Absent];
        self.change(Op::Delete, Some(old), None);
    }

    fn commit(&mut self) -> Mapped {
        self.builder.commit(&(self.next * 10).to_string());
        let batch = self.take();
        self.mapper.apply(&batch)
    }

    fn take(&mut self) -> Batch {
        self.builder.take()
    }

    /// One transaction.
    fn transaction(&mut self, changes: impl FnOnce(&mut Self)) -> Vec<String> {
        self.begin();
        changes(self);
        says(&self.commit())
    }
}

/// Events in a few words: `A=5`, `A gone`, with flags and what came before.
fn keyed() -> Shop {
    Shop::new(definition("id", |_| {}), Identity::PrimaryKey)
}

fn owned() -> Shop {
    Shop::new(definition("item", |_| {}), Identity::PrimaryKey)
}

#[test]
fn only_the_last_state_of_a_key_in_a_transaction_is_published() {
    let mut shop = keyed();
    let said = shop.transaction(|shop| {
        shop.insert(row(1, "A", 1));
        shop.insert(row(2, "B", 2));
        shop.update(row(1, "A", 3));
    });
    assert_eq!(said, ["2=2", "1=3"]);
}

#[test]
fn without_coalescing_every_state_is_published() {
    let definition = definition("id", |definition| definition.coalesce = false);
    let mut shop = Shop::new(definition, Identity::PrimaryKey);
    let said = shop.transaction(|shop| {
        shop.insert(row(1, "A", 1));
        shop.update(row(1, "A", 3));
        shop.delete(1);
    });
    assert_eq!(said, ["1=1", "1=3", "1 gone"]);
}

#[test]
fn a_key_change_is_a_removal_with_a_successor_and_a_level() {
    let mut shop = keyed();
    shop.transaction(|shop| shop.insert(row(1, "A", 1)));
    let old = [Value::Int(1), Value::Absent, Value::Absent, Value::Absent];
    let said = shop.transaction(|shop| shop.change(Op::Update, Some(old), Some(row(9, "A", 1))));
    assert_eq!(said, ["1 gone to acme/main/9/_", "9=1"]);
}

#[test]
fn a_removal_by_a_row_that_is_not_the_owner_leaves_the_key_alive() {
    let mut shop = owned();
    assert_eq!(shop.transaction(|shop| shop.insert(row(1, "A", 5))), ["A=5"]);
    assert_eq!(shop.transaction(|shop| shop.insert(row(2, "A", 7))), ["A=5 was 5 SKU_DUPLICATE"]);
    assert_eq!(shop.transaction(|shop| shop.delete(2)), [""; 0]);
    assert_eq!(shop.transaction(|shop| shop.delete(1)), ["A gone was 5"]);
}

#[test]
fn a_key_that_moves_to_a_new_row_before_the_old_one_goes_stays_alive() {
    let mut shop = owned();
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    let said = shop.transaction(|shop| {
        shop.insert(row(2, "A", 7));
        shop.delete(1);
    });
    assert_eq!(said, ["A=7 was 5"]);
    assert_eq!(shop.transaction(|shop| shop.delete(2)), ["A gone was 7"]);
}

#[test]
fn a_swap_of_two_keys_ends_with_both_alive() {
    let mut shop = owned();
    shop.transaction(|shop| {
        shop.insert(row(1, "A", 1));
        shop.insert(row(2, "B", 2));
    });
    let said = shop.transaction(|shop| {
        shop.update(row(1, "B", 1));
        shop.update(row(2, "A", 2));
    });
    assert_eq!(said, ["B=1 was 2", "A=2 was 1"]);
}

#[test]
fn a_deleted_row_that_was_never_seen_goes_to_the_dead_letters() {
    let said = owned().transaction(|shop| shop.delete(7));
    assert!(said[0].starts_with("rejected: the key of the deleted row is not known"), "{said:?}");
    assert_eq!(keyed().transaction(|shop| shop.delete(7)), ["7 gone"]);
}

#[test]
fn what_is_empty_is_left_out() {
    let definition = definition("id", |definition| {
        let item = || expression::Expression::parse("item").ok();
        (definition.gtin, definition.parent) = (item(), item());
    });
    let mut shop = Shop::new(definition, Identity::PrimaryKey);
    shop.begin();
    shop.insert([Value::Int(1), Value::Text(""), Value::Text(""), Value::Int(5)]);
    let mapped = shop.commit();
    let event: serde_json::Value =
        serde_json::from_str(mapped.records.values().next().unwrap()).unwrap();
    assert_eq!(event["item"], serde_json::json!({ "id": "1", "sku_state": "missing" }));
}

#[test]
fn unreadable_numbers_come_out_as_a_level_without_them_and_with_a_flag() {
    let mut shop = keyed();
    let qty = |qty| [Value::Int(1), Value::Text("A"), Value::Text("S"), qty];
    let mut said = |value| shop.transaction(|shop| shop.insert(qty(value)));
    assert_eq!(said(Value::Null), ["1=? NON_NUMERIC"]);
    assert_eq!(said(Value::Decimal("NaN")), ["1=? NAN"]);
    assert_eq!(said(Value::Text("many")), ["1=? NON_NUMERIC"]);
    assert_eq!(said(Value::Absent), ["1=? PARTIAL"]);
    assert_eq!(said(Value::Int(-3)), ["1=-3 NEGATIVE"]);
    assert_eq!(said(Value::Decimal("1.00000000050")), ["1=1 ROUNDED"]);
}

#[test]
fn a_row_without_an_item_is_a_dead_letter_and_its_old_key_is_gone() {
    let mut shop = owned();
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    let nameless = [Value::Int(1), Value::Null, Value::Text("S"), Value::Int(5)];
    let said = shop.transaction(|shop| shop.update(nameless));
    assert_eq!(said, ["A gone was 5", "rejected: item is NULL"]);
}

#[test]
fn an_unchanged_value_comes_from_the_cache_where_there_is_one() {
    let mut shop = owned();
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    let partial = [Value::Int(1), Value::Absent, Value::Absent, Value::Int(6)];
    assert_eq!(shop.transaction(|shop| shop.update(partial)), ["A=6 was 5"]);
}

#[test]
fn soft_deleted_rows_are_gone_and_come_back() {
    let removed = |definition: &mut Definition| {
        definition.removed_when = Some(expression::Expression::parse("sku = 'gone'").unwrap());
    };
    let mut shop = Shop::new(definition("id", removed), Identity::PrimaryKey);
    let soft = [Value::Int(1), Value::Text("A"), Value::Text("gone"), Value::Int(5)];
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    assert_eq!(shop.transaction(|shop| shop.update(soft)), ["1 gone was 5"]);
    assert_eq!(shop.transaction(|shop| shop.update(soft)), [""; 0]);
    assert_eq!(shop.transaction(|shop| shop.update(row(1, "A", 4))), ["1=4"]);
}

#[test]
fn a_row_that_leaves_the_filter_is_removed_only_if_it_was_inside() {
    let filtered = |definition: &mut Definition| {
        definition.filter = Some(expression::Expression::parse("sku = 'S'").unwrap());
    };
    let mut shop = Shop::new(definition("id", filtered), Identity::PrimaryKey);
    let outside = [Value::Int(1), Value::Text("A"), Value::Text("T"), Value::Int(5)];
    assert_eq!(shop.transaction(|shop| shop.update(outside)), [""; 0]);
    assert_eq!(shop.transaction(|shop| shop.update(row(1, "A", 5))), ["1=5"]);
    assert_eq!(shop.transaction(|shop| shop.update(outside)), ["1 gone was 5"]);
}

#[test]
fn truncate_forgets_the_rows_and_says_so_once() {
    let mut shop = owned();
    shop.transaction(|shop| shop.insert(row(1, "A", 5)));
    shop.begin();
    let table = shop.builder.table(&Arc::clone(&shop.schema));
    shop.builder.cleared(table, ClearCause::Truncate);
    let mapped = shop.commit();
    assert!(matches!(mapped.notices[..], [Notice::ScopeCleared { .. }]));
    assert_eq!(mapped.rows, [("public.stock".to_owned(), vec![("1".to_owned(), None)])]);
    assert_eq!(shop.transaction(|shop| shop.insert(row(2, "A", 1))), ["A=1"]);
}

/// Rows of other keys until a block of the open transaction has ended.
fn fill_a_block(shop: &mut Shop) {
    let mut id = 1_000_000;
    while !shop.builder.is_full() {
        shop.insert(row(id, "filler", 0));
        id += 1;
    }
}

#[test]
fn a_removal_in_a_large_transaction_waits_for_what_follows_in_it() {
    let mut shop = keyed();
    shop.transaction(|shop| {
        shop.insert(row(1, "A", 5));
        shop.insert(row(2, "B", 6));
    });
    shop.begin();
    shop.delete(1);
    shop.delete(2);
    fill_a_block(&mut shop);
    let block = shop.take();
    assert!(block.partial().is_some());
    let first = shop.mapper.apply(&block);
    assert!(!says(&first).iter().any(|said| said.contains("gone")), "removals are held");
    let held = first.rows.iter().find(|(table, _)| table == "tailstock:held").unwrap();
    assert_eq!(held.1.len(), 2, "and stored, so that a restart finds them");

    shop.insert(row(1, "A", 7));
    let last = shop.commit();
    assert_eq!(says(&last), ["1=7", "2 gone"]);
    let versions: Vec<u32> = last.records.iter().map(|entry| entry.version.ordinal).collect();
    assert_eq!(versions[1], 1, "a held removal keeps the place of its row");
}

#[test]
fn a_held_removal_is_true_at_its_own_commit_whatever_follows_in_the_batch() {
    let mut shop = keyed();
    shop.begin();
    shop.delete(1);
    fill_a_block(&mut shop);
    let block = shop.take();
    shop.mapper.apply(&block);
    shop.insert(row(5, "E", 5));
    shop.builder.commit("20");
    // The next transaction is large too, and brings the key back.
    shop.begin();
    shop.insert(row(1, "A", 9));
    fill_a_block(&mut shop);
    let batch = shop.take();
    assert!(batch.partial().is_some());
    let said = says(&shop.mapper.apply(&batch));
    assert_eq!(said[..3], ["5=5", "1 gone", "1=9"]);
}

#[test]
fn a_large_transaction_may_end_exactly_with_a_block() {
    let mut shop = keyed();
    shop.begin();
    shop.delete(1);
    fill_a_block(&mut shop);
    let block = shop.take();
    shop.mapper.apply(&block);
    shop.builder.commit("20");
    shop.begin();
    shop.insert(row(1, "A", 9));
    assert_eq!(says(&shop.commit()), ["1 gone", "1=9"]);
}

#[test]
fn what_is_stored_brings_a_mapper_back_to_where_it_was() {
    let mut shop = owned();
    shop.begin();
    shop.insert(row(1, "A", 5));
    shop.insert(row(2, "A", 6));
    let mapped = shop.commit();
    let mut again = owned();
    for (table, rows) in &mapped.rows {
        for (key, value) in rows {
            again.mapper.load(table, key, value.as_ref().unwrap()).unwrap();
        }
    }
    let first = shop.transaction(|shop| shop.delete(1));
    assert_eq!(first, ["A=6 was 5"]);
    assert_eq!(again.transaction(|shop| shop.delete(1)), first);
}

#[test]
fn the_same_batch_gives_the_same_bytes() {
    let batch = || {
        let mut shop = keyed();
        shop.begin();
        shop.insert(row(1, "A", 5));
        shop.insert(row(2, "B", 6));
        let mapped = shop.commit();
        mapped.records.values().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(batch(), batch());
}

#[test]
fn a_condition_that_is_none_is_refused() {
    let definition = definition("id", |definition| {
        definition.filter = Some(expression::Expression::parse("qty").unwrap());
    });
    let table = TableDescription {
        cascades: Vec::new(),
        name: TableName::new("public", "stock"),
        columns: ["id", "item", "sku", "qty"]
            .map(|name| ColumnDescription {
                name: name.to_owned(),
                type_name: "integer".to_owned(),
                logged: true,
                omitted: false,
            })
            .to_vec(),
        primary_key: vec!["id".to_owned()],
        identity: Identity::PrimaryKey,
    };
    let errors = Plan::compile(&[definition], &[table], 1).unwrap_err();
    assert_eq!(errors[0].key, "where");
}
