use std::collections::BTreeSet;

use connector_api::Sight;

use super::*;
use crate::stock::Version;

/// Sees the transactions with these coordinates.
#[derive(Debug)]
struct Sees(BTreeSet<u64>);

impl Sight for Sees {
    fn sees(&self, coordinate: u64, _: &str) -> bool {
        self.0.contains(&coordinate)
    }
}

fn sees(coordinates: impl IntoIterator<Item = u64>) -> Sees {
    Sees(coordinates.into_iter().collect())
}

const STOCK: (&str, &str) = ("public", "stock");

fn stock() -> TableName {
    TableName::new(STOCK.0, STOCK.1)
}

impl Shop {
    /// A shop whose table is being read.
    fn read(definition: Definition, number: u32) -> Self {
        let mut shop = Self::new(definition, Identity::PrimaryKey);
        shop.begin_reading(number);
        shop
    }

    fn begin_reading(&mut self, number: u32) {
        self.mapper.set_dirty([stock().to_string()].iter());
        self.mapper.begin_snapshot(&stock(), number);
    }

    fn at(&self, counter: u32) -> Synthetic<'static> {
        Synthetic { coordinate: self.next * 10 - 1, counter, at_us: 7, position: "here" }
    }

    /// Rows that were read at some time, published now.
    fn chunk(&mut self, rows: &[Row], sight: &Sees, counter: u32) -> Mapped {
        let mut builder = BatchBuilder::in_one_piece(&Position::new("0"));
        std::mem::swap(&mut builder, &mut self.builder);
        self.builder.begin(BeginText { coordinate: 0, committed_at_us: 0, txid: "", position: "" });
        rows.iter().for_each(|row| self.insert(*row));
        self.builder.commit("read");
        let batch = self.take();
        self.builder = builder;
        let at = self.at(counter);
        self.mapper.chunk(&batch, sight, &at)
    }

    fn publishes(&mut self, rows: &[Row], sight: &Sees) -> Vec<String> {
        says(&self.chunk(rows, sight, 0))
    }
}

#[test]
fn what_the_stream_has_said_since_wins_over_what_was_read_before() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    shop.transaction(|shop| shop.update(row(2, "B", 20)));
    assert_eq!(shop.publishes(&[row(1, "A", 1), row(2, "B", 2)], &sees([])), ["1=1"]);
}

#[test]
fn a_log_that_is_ahead_of_what_can_be_seen_is_not_taken_back() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    // Streamed before the chunk is read, and not to be seen in it yet.
    shop.transaction(|shop| shop.update(row(1, "A", 10)));
    shop.transaction(|shop| shop.update(row(2, "B", 20)));
    let rows = [row(1, "A", 1), row(2, "B", 20)];
    assert_eq!(shop.publishes(&rows, &sees([2])), ["2=20"]);
    // The second transaction is seen for good, the first is still remembered.
    assert_eq!(shop.publishes(&rows, &sees([2])), ["2=20"]);
    assert_eq!(shop.publishes(&[row(1, "A", 10)], &sees([1, 2])), ["1=10"]);
}

#[test]
fn a_key_that_another_row_uses_meanwhile_belongs_to_that_row() {
    let mut shop = Shop::read(definition("item", |_| {}), 1);
    shop.transaction(|shop| {
        shop.delete(1);
        shop.insert(row(2, "A", 9));
    });
    assert_eq!(shop.publishes(&[row(1, "A", 1)], &sees([])), Vec::<String>::new());
    assert_eq!(shop.transaction(|shop| shop.update(row(2, "A", 8))), ["A=8 was 9"]);
}

#[test]
fn two_keys_that_change_places_meanwhile_stay_where_they_are_now() {
    let mut shop = Shop::read(definition("item", |_| {}), 1);
    let said = shop.transaction(|shop| {
        shop.update(row(1, "B", 1));
        shop.update(row(2, "A", 2));
    });
    assert_eq!(said, ["B=1", "A=2"]);
    let before = [row(1, "A", 1), row(2, "B", 2)];
    assert_eq!(shop.publishes(&before, &sees([])), Vec::<String>::new());
    assert_eq!(shop.transaction(|shop| shop.delete(1)), ["B gone was 1"]);
}

#[test]
fn a_row_that_has_changed_its_identity_meanwhile_is_not_published_under_the_old_one() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    let said = shop.transaction(|shop| {
        shop.change(Op::Update, Some(row(1, "A", 1)), Some(row(9, "A", 1)));
    });
    assert_eq!(said, ["1 gone to acme/main/9/_ was 1", "9=1"]);
    assert_eq!(shop.publishes(&[row(1, "A", 1)], &sees([])), Vec::<String>::new());
}

/// Of a table without a key each key of a row is a row by itself.
#[test]
fn a_key_that_changed_meanwhile_takes_no_other_key_of_its_row_along() {
    let parse = |text: &str| Some(expression::Expression::parse(text).unwrap());
    let by_id = definition("id", |to| to.location = parse("'id'"));
    let by_item = definition("item", |to| to.location = parse("'item'"));
    let mut shop = Shop::of(&[by_id, by_item], Identity::Full, false);
    shop.begin_reading(1);
    shop.transaction(|shop| shop.change(Op::Update, Some(row(2, "P", 2)), Some(row(2, "P", 9))));
    let rows = [row(1, "P", 1), row(2, "P", 2)];
    assert_eq!(shop.publishes(&rows, &sees([])), ["1=1 NO_PRIMARY_KEY"]);
    assert_eq!(shop.publishes(&rows, &sees([1])).len(), 3);
}

#[test]
fn two_chunks_at_one_place_of_the_log_have_versions_that_rise_and_lie_below_the_next_change() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    let versions = |mapped: &Mapped| -> Vec<Version> {
        mapped.records.iter().map(|entry| entry.version).collect()
    };
    let first = versions(&shop.chunk(&[row(1, "A", 1), row(2, "B", 2)], &sees([]), 0));
    let second = versions(&shop.chunk(&[row(1, "A", 1), row(2, "B", 2)], &sees([]), 2));
    let all = [first, second].concat();
    assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    shop.next *= 10;
    shop.begin();
    shop.update(row(1, "A", 5));
    let later = versions(&shop.commit());
    assert!(all.last() < later.first(), "{all:?} {later:?}");
}

#[test]
fn what_is_known_and_was_not_seen_is_gone_in_the_end_unless_another_row_has_its_key() {
    let mut shop = Shop::new(definition("item", |_| {}), Identity::PrimaryKey);
    shop.transaction(|shop| {
        shop.insert(row(1, "A", 1));
        shop.insert(row(2, "B", 2));
        shop.insert(row(3, "B", 3));
        shop.insert(row(4, "D", 4));
    });
    shop.begin_reading(1);
    // Row 1 has gone unseen; so has row 2, whose key row 3 has too. Row 4 has another key now.
    let said = shop.publishes(&[row(3, "B", 3), row(4, "E", 4)], &sees([]));
    assert_eq!(said, ["B=2 SKU_DUPLICATE", "D gone to acme/main/E/_", "E=4"]);
    let at = shop.at(2);
    let mut said = says(&shop.mapper.sweep_rows(&stock(), &at, 100).unwrap());
    said.sort();
    assert_eq!(said, ["A gone", "B=3"]);
    assert!(shop.mapper.sweep_rows(&stock(), &at, 100).is_none());
}

#[test]
fn a_row_of_which_the_stream_says_only_a_part_is_completed_by_what_is_read() {
    let filtered = definition("item", |definition| {
        definition.filter = Some(expression::Expression::parse("sku = 'S'").unwrap());
    });
    let mut shop = Shop::read(filtered, 1);
    assert_eq!(shop.transaction(|shop| shop.delete(1)), Vec::<String>::new());
    let partly = [Value::Int(2), Value::Absent, Value::Absent, Value::Int(20)];
    assert_eq!(shop.transaction(|shop| shop.update(partly)), Vec::<String>::new());
    let rows = [row(1, "A", 1), row(2, "B", 2), row(3, "C", 3)];
    assert_eq!(shop.publishes(&rows, &sees([])), ["B=20", "C=3"], "the rest of it was read");
    assert_eq!(shop.transaction(|shop| shop.delete(2)), ["B gone was 20"]);
}

#[test]
fn so_it_is_where_nothing_is_remembered() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    let partly = [Value::Int(1), Value::Absent, Value::Absent, Value::Int(20)];
    shop.transaction(|shop| shop.update(partly));
    let rows = [row(1, "A", 1), row(3, "C", 3)];
    assert_eq!(shop.publishes(&rows, &sees([])), ["1=20", "3=3"]);
    assert!(!shop.mapper.has_lost_track());
}

#[test]
fn without_an_identity_rows_are_told_apart_by_their_keys() {
    let mut shop = Shop::new(definition("item", |_| {}), Identity::Full);
    shop.begin_reading(1);
    shop.transaction(|shop| shop.update(row(1, "A", 10)));
    assert_eq!(shop.publishes(&[row(1, "A", 1), row(2, "B", 2)], &sees([])), ["B=2"]);
}

#[test]
fn a_published_key_that_nobody_has_seen_is_removed_by_its_name() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    let keys = [
        Vanished { key: "acme/main/a%2Fb/shelf%201/lot", sku: Some("S") },
        Vanished { key: "acme/main/2/_", sku: None },
    ];
    let at = shop.at(0);
    let mapped = shop.mapper.sweep_keys("public.stock", keys.into_iter(), &at);
    let values: Vec<serde_json::Value> =
        mapped.records.values().map(|value| serde_json::from_str(value).unwrap()).collect();
    assert_eq!(values[0]["item"], serde_json::json!({ "id": "a/b", "sku": "S" }));
    assert_eq!(values[0]["location"]["id"], "shelf 1");
    assert_eq!((&values[0]["bucket"], &values[0]["kind"]), (&"lot".into(), &"removed".into()));
    assert_eq!(values[0]["capture"], "snapshot");
    let found: Vec<&str> = mapped.records.iter().map(|entry| mapped.records.key(entry)).collect();
    assert_eq!(found, ["acme/main/a%2Fb/shelf%201/lot", "acme/main/2/_"]);
}

/// Far more rows than are published together where each has a key of its own.
#[test]
fn rows_without_a_primary_key_that_share_a_key_are_one_event_however_many_they_are() {
    let mut shop = Shop::new(definition("item", |_| {}), Identity::Nothing);
    shop.begin_reading(1);
    let rows: Vec<Row> = (1..=1_000).map(|number| row(number, "A", number)).collect();
    assert_eq!(shop.publishes(&rows, &sees([])), ["A=1000 NO_PRIMARY_KEY"]);
}

#[test]
fn rows_with_keys_of_their_own_are_all_published_however_many_they_are() {
    let mut shop = Shop::read(definition("id", |_| {}), 1);
    let rows: Vec<Row> = (1..=1_000).map(|number| row(number, "A", number)).collect();
    let wanted: Vec<String> = (1..=1_000).map(|number| format!("{number}={number}")).collect();
    assert_eq!(shop.publishes(&rows, &sees([])), wanted);
}
