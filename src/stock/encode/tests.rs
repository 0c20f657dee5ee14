use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::stock::quantity::Decimal;
use crate::stock::{
    Basis, Change, EventKind, Item, Location, Measure, Operation, Origin, Provenance, Quality,
    QualityFlag, Quantities, SYNTHETIC_ORDINAL, SellerId, SkuState, SourceName, StockEvent,
    Version,
};

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap().0
}

fn level() -> StockEvent<'static> {
    StockEvent {
        kind: EventKind::Level,
        capture: Provenance::Stream,
        item: Item {
            id: "42",
            sku: Some("A-1"),
            sku_state: Some(SkuState::Resolved),
            ..Item::default()
        },
        location: Location { id: "w1", kind: None },
        bucket: None,
        quantity: Quantities { on_hand: Some(decimal("10.50")), ..Quantities::default() },
        measure: Some(Measure::OnHand),
        unit: "EA",
        active: None,
        tracked: None,
        change: Change::default(),
        version: Version { epoch: 1, coordinate: 0x16_B374_D848, ordinal: 7 },
        committed_at_us: Some(1_700_000_000_000_001),
        origin: Origin {
            table: "public.stock",
            operation: Operation::Update,
            transaction: Some("731"),
            position: "16/B374D848",
            row: 7,
            mapping: "public.stock@1",
        },
        quality: Quality::default(),
    }
}

fn quality(flags: &[QualityFlag]) -> Quality {
    let mut quality = Quality::default();
    flags.iter().for_each(|flag| quality.set(*flag));
    quality
}

/// The events that the golden file shows, one a line.
fn events() -> Vec<StockEvent<'static>> {
    let all = Quantities {
        on_hand: Some(decimal("1000000")),
        available: Some(decimal("-3")),
        reserved: Some(decimal("0.000000001")),
        incoming: Some(decimal("0")),
    };
    let delta = Change {
        delta: Some(decimal("-2")),
        previous: Some(decimal("12.5")),
        basis: Some(Basis::BeforeImage),
        rows: Some(3),
    };
    let odd = Item { id: "a/b%\u{1}\"\\é\u{2028}", ..Item::default() };
    let gone = EventKind::Removed { successor: Some("acme/main/43/w1") };
    let synthetic = Version { ordinal: SYNTHETIC_ORDINAL + 3, ..level().version };
    let full = Item {
        gtin: Some("4006381333931"),
        parent: Some("7"),
        sku: None,
        sku_state: Some(SkuState::Missing),
        ..level().item
    };
    let ledger = Change {
        delta: Some(decimal("-4")),
        basis: Some(Basis::SourceLedger),
        ..Change::default()
    };
    let no_quantity = Quantities::default();
    vec![
        level(),
        StockEvent { quantity: all, quality: quality(&[QualityFlag::Negative]), ..level() },
        StockEvent { change: delta, ..level() },
        StockEvent { item: odd, ..level() },
        StockEvent { location: Location { id: "_", kind: Some("store") }, ..level() },
        StockEvent { bucket: Some("lot 9"), ..level() },
        StockEvent { active: Some(false), tracked: Some(true), ..level() },
        StockEvent {
            quantity: no_quantity,
            quality: quality(&[QualityFlag::Nan, QualityFlag::SkuMissing]),
            ..level()
        },
        StockEvent { item: full, ..level() },
        StockEvent { kind: gone, quantity: no_quantity, measure: None, ..level() },
        StockEvent {
            kind: EventKind::Removed { successor: None },
            quantity: no_quantity,
            measure: None,
            origin: Origin { operation: Operation::Delete, ..level().origin },
            ..level()
        },
        StockEvent {
            kind: EventKind::Movement,
            quantity: no_quantity,
            measure: None,
            change: ledger,
            ..level()
        },
        StockEvent { capture: Provenance::Snapshot, version: synthetic, ..level() },
        StockEvent {
            capture: Provenance::Poll,
            committed_at_us: None,
            origin: Origin { transaction: None, ..level().origin },
            unit: "KGM",
            ..level()
        },
    ]
}

fn encoder() -> Encoder {
    Encoder::new(&SellerId::new("acme"), &SourceName::new("main"), "postgresql", "shop")
}

#[test]
fn events_are_the_bytes_of_the_golden_file() {
    let mut records = Records::default();
    events().iter().for_each(|event| records.push(&encoder(), event));
    let mut lines = String::new();
    for entry in records.iter() {
        let value = records.value(entry);
        lines += &format!("{}\n{value}\n", records.key(entry));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events.jsonl");
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    if golden != lines && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &lines).unwrap();
    }
    for (found, wanted) in lines.lines().zip(golden.lines()) {
        assert_eq!(found, wanted, "run with UPDATE_GOLDEN=1 only if the contract is to change");
    }
    assert_eq!(lines.lines().count(), golden.lines().count());
}

fn golden() -> Vec<Value> {
    let mut records = Records::default();
    events().iter().for_each(|event| records.push(&encoder(), event));
    records.values().map(|value| serde_json::from_str(value).unwrap()).collect()
}

#[test]
fn the_schema_describes_exactly_what_is_sent() {
    let schema = jsonschema::draft202012::new(&json_schema()).unwrap();
    for event in golden() {
        assert!(schema.is_valid(&event), "{event}");
    }
    // Every rule of the schema is one: breaking it is noticed.
    let level = &golden()[0];
    for (pointer, broken) in [
        ("/id", json!("80A4AA61")),
        ("/kind", json!("count")),
        ("/kind", json!("movement")),
        ("/kind", json!("removed")),
        ("/quantity/on_hand", json!("10.50")),
        ("/quantity/on_hand", json!(10.5)),
        ("/version", json!("1.2.3")),
        ("/committed_at", json!("2023-11-14T22:13:20Z")),
        ("/origin/row", json!(-1)),
        ("/item", json!({})),
        ("/origin/host", json!("db1")),
        ("/quality", json!([])),
        ("/change", json!({})),
        ("/successor", json!("acme/main/43/w1")),
    ] {
        let mut event = level.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[member] = broken;
        assert!(!schema.is_valid(&event), "{pointer}");
    }
    let mut timeless = level.clone();
    timeless.as_object_mut().unwrap().remove("committed_at");
    assert!(!schema.is_valid(&timeless));
}

#[test]
fn the_id_tells_apart_what_differs_and_nothing_else() {
    let id = |event: &StockEvent<'_>| {
        let mut records = Records::default();
        records.push(&encoder(), event);
        records.iter().next().unwrap().id
    };
    let same = StockEvent { change: Change { rows: Some(2), ..Change::default() }, ..level() };
    assert_eq!(id(&level()), id(&same));
    let item = Item { id: "43", ..level().item };
    let version = Version { ordinal: 8, ..level().version };
    let origin = Origin { mapping: "public.stock@2", ..level().origin };
    let removed = EventKind::Removed { successor: None };
    for other in [
        StockEvent { item, ..level() },
        StockEvent { version, ..level() },
        StockEvent { origin, ..level() },
        StockEvent { kind: removed, ..level() },
    ] {
        assert_ne!(id(&level()), id(&other));
    }
}

proptest! {
    #[test]
    fn any_text_survives_the_encoding(item in ".*", sku in ".*", bucket in ".*") {
        let texts = Item { id: &item, sku: Some(&sku), ..Item::default() };
        let event = StockEvent { item: texts, bucket: Some(&bucket), ..level() };
        let mut records = Records::default();
        records.push(&encoder(), &level());
        records.push(&encoder(), &event);
        let entry = records.iter().nth(1).unwrap();
        let value: serde_json::Value = serde_json::from_str(records.value(entry)).unwrap();
        prop_assert_eq!(value["item"]["id"].as_str(), Some(item.as_str()));
        prop_assert_eq!(value["item"]["sku"].as_str(), Some(sku.as_str()));
        prop_assert_eq!(value["bucket"].as_str(), Some(bucket.as_str()));
        let columns = records.columns(entry);
        prop_assert_eq!(columns[..4].to_vec(), vec![
            Some(item.as_str()), Some(sku.as_str()), Some("w1"), Some(bucket.as_str()),
        ]);
        prop_assert_eq!(columns[4], Some("10.5"));
        prop_assert_eq!(value["id"].as_str(), Some(records.id(entry)));
        prop_assert_eq!(records.id(entry), format!("{:032x}", entry.id));
        prop_assert_eq!(value["version"].as_str(), Some(records.version(entry)));
        prop_assert_eq!(records.version(entry), entry.version.to_string());
        prop_assert_eq!(value["committed_at"].as_str(), records.committed_at(entry));
    }

    #[test]
    fn a_held_removal_survives_its_store(item in ".*", at in 0i64..4_000_000_000_000_000) {
        let kind = EventKind::Removed { successor: None };
        let item = Item { id: &item, ..Item::default() };
        let event = StockEvent { kind, item, committed_at_us: Some(at), ..level() };
        let mut records = Records::default();
        records.push(&encoder(), &event);
        let entry = *records.iter().next().unwrap();
        let value = records.value(&entry);
        let back = Records::decode(records.key(&entry), value).unwrap();
        let found = back.iter().next().unwrap();
        prop_assert_eq!((found.id, found.version), (entry.id, entry.version));
        prop_assert_eq!(found.committed_at_us, entry.committed_at_us);
        prop_assert_eq!(back.value(found), records.value(&entry));
        prop_assert_eq!(back.id(found), records.id(&entry));
        prop_assert_eq!(back.version(found), records.version(&entry));
        prop_assert_eq!(back.committed_at(found), records.committed_at(&entry));
        prop_assert_eq!(back.key(found), records.key(&entry));
    }

    #[test]
    fn an_event_is_written_the_same_whatever_was_written_before_it(
        order in prop::collection::vec((any::<prop::sample::Index>(), 0u8..6), 1..20),
    ) {
        let mut together = Records::default();
        for (which, other) in order {
            let mut events = events();
            let mut event = events.swap_remove(which.index(events.len()));
            match other {
                0 => event.origin.table = "public.\"other\"",
                1 => event.origin.transaction = Some("a \"quoted\" one"),
                2 => event.origin.position = "16/B374D849",
                3 => event.committed_at_us = Some(1_700_000_000_000_002),
                4 => event.origin.operation = Operation::Insert,
                _ => {}
            }
            let mut alone = Records::default();
            alone.push(&encoder(), &event);
            together.push(&encoder(), &event);
            let (one, last) = (alone.iter().next().unwrap(), together.iter().last().unwrap());
            prop_assert_eq!(together.value(last), alone.value(one));
            prop_assert_eq!(together.key(last), alone.key(one));
            prop_assert_eq!(together.columns(last), alone.columns(one));
            prop_assert_eq!(together.table(last), alone.table(one));
            prop_assert_eq!(together.committed_at(last), alone.committed_at(one));
        }
    }

    #[test]
    fn appended_records_read_as_before(count in 1usize..5) {
        let (mut all, mut one) = (Records::default(), Records::default());
        one.push(&encoder(), &level());
        (0..count).for_each(|_| all.append(&one));
        for entry in all.iter() {
            prop_assert_eq!(all.value(entry), one.values().next().unwrap());
            prop_assert_eq!(all.columns(entry)[4], Some("10.5"));
        }
        prop_assert_eq!(all.len(), count);
    }
}
