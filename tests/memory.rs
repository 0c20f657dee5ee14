//! What it proves: a cached row costs no more memory than is promised. A binary of its own, because
//! it counts every byte that is allocated in it.
#![allow(clippy::unwrap_used)]

use connector_api::{ColumnDescription, Identity, TableDescription, TableName};
use peak_alloc::PeakAlloc;
use tailstock::mapping::expression::Expression;
use tailstock::mapping::{Definition, Kind, Mapper, Plan, SourceIdentity};
use tailstock::stock::encode::Encoder;
use tailstock::stock::{Measure, SellerId, SourceName};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes of a cached row and of the owner of its key, beside its values.
const COST_MAX: usize = 150;

/// The most that an allocator adds to a small piece of memory: a header of 8 bytes, and what is
/// missing to the next multiple of 16.
const ADDED: usize = 8 + 15;

/// A table of hashes is at its emptiest when it has just doubled: one row more than fits into 2^17
/// places.
const ROWS: usize = (1 << 17) / 8 * 7 + 1;

fn is_full_size() -> bool {
    std::env::var("TAILSTOCK_TEST_SIZE").is_ok_and(|size| size == "full")
}

/// `public.stock(id, sku, location, qty)`, the item's id from the column of this name.
fn mapper(item: &str) -> Mapper {
    let parse = |text: &str| Expression::parse(text).unwrap();
    let definition = Definition {
        name: "stock".to_owned(),
        table: TableName::new("public", "stock"),
        kind: Kind::Level,
        filter: None,
        removed_when: None,
        item: parse(item),
        sku: Some(parse("sku")),
        gtin: None,
        parent: None,
        location: (item != "id").then(|| parse("location")),
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
    let column = |(name, type_name): (&str, &str)| ColumnDescription {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        logged: true,
        omitted: false,
    };
    let columns = [("id", "bigint"), ("sku", "text"), ("location", "text"), ("qty", "integer")];
    let table = TableDescription {
        cascades: Vec::new(),
        name: TableName::new("public", "stock"),
        columns: columns.map(column).to_vec(),
        primary_key: vec!["id".to_owned()],
        identity: Identity::PrimaryKey,
    };
    let plan = Plan::compile(&[definition], &[table], 1).unwrap();
    let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
    let encoder = Encoder::new(&seller, &source, "test", "shop");
    Mapper::new(SourceIdentity { seller, source, epoch: 1 }, encoder, plan)
}

/// Bytes that a mapper holds for each of so many stored rows, and bytes of the values of each.
fn cost(item: &str, rows: usize) -> (usize, usize) {
    let mut mapper = mapper(item);
    let mut values = 0;
    let before = MEMORY.current_usage();
    for id in 0..rows {
        let (sku, location, qty) = (format!("SKU-{id:08}"), format!("WH-{}", id % 12), id % 1000);
        // As far as a number has bytes that are not 0.
        let number = |number: usize| (usize::BITS - number.leading_zeros()).div_ceil(8) as usize;
        values += number(id) + sku.len() + location.len() + number(qty);
        let stored =
            format!(r#"{{"id":"i{id}","location":"t{location}","qty":"i{qty}","sku":"t{sku}"}}"#);
        mapper.load("public.stock", &id.to_string(), &stored).unwrap();
    }
    // What is stored and of no use is known until the next commit takes it out of the store.
    drop(mapper.due(0));
    let held = MEMORY.current_usage() - before;
    (held.div_ceil(rows), values / rows)
}

#[test]
fn a_cached_row_costs_150_bytes_beside_its_values_and_none_where_keys_are_bare_columns() {
    assert_eq!(cost("id", 1000).0, 0, "what says everything by itself is not remembered");
    let full = is_full_size().then_some(1_000_000);
    for rows in [ROWS].into_iter().chain(full) {
        let (held, values) = cost("sku", rows);
        let cost = held + ADDED - values;
        println!("{rows} rows: {values} bytes of values and {cost} beside them");
        assert!(cost <= COST_MAX, "{rows} rows: {cost} bytes a row beside {values} of its values");
    }
}
