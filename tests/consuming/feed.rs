//! Real events of a small shop whose rows come, change, move and go, and what is left in the end.

use std::collections::BTreeMap;

use proptest::collection::SizeRange;
use proptest::prelude::*;
use tailstock::stock::encode::{Encoder, Records};
use tailstock::stock::quantity::Decimal;
use tailstock::stock::{
    Change, EventKind, Item, Location, Measure, Operation, Origin, Provenance, Quality, Quantities,
    SellerId, SourceName, StockEvent, Version, key,
};

const ROWS: usize = 5;
const LOCATIONS: [&str; 3] = ["w1", "w/2", "_"];

/// What happens in the shop, in one transaction.
#[derive(Debug, Clone)]
pub enum Step {
    /// The row has this number, wherever it is; it comes into being where it was not there.
    Set { row: usize, on_hand: i32 },
    /// The row is in another place: another key.
    Move { row: usize, to: usize },
    /// The row is gone.
    Remove { row: usize },
    /// Positions start anew, as behind a promotion.
    Epoch,
}

pub fn steps(count: impl Into<SizeRange>) -> impl Strategy<Value = Vec<Step>> {
    let row = 0..ROWS;
    let step = prop_oneof![
        6 => (row.clone(), -5..50i32).prop_map(|(row, on_hand)| Step::Set { row, on_hand }),
        3 => (row.clone(), 0..LOCATIONS.len()).prop_map(|(row, to)| Step::Move { row, to }),
        2 => row.prop_map(|row| Step::Remove { row }),
        1 => Just(Step::Epoch),
    ];
    prop::collection::vec(step, count)
}

/// Steps, and the order in which their events arrive: each at least once, some again, any order.
pub fn deliveries(count: impl Into<SizeRange>) -> impl Strategy<Value = (Feed, Vec<usize>)> {
    steps(count).prop_map(|steps| Feed::of(&steps)).prop_flat_map(|feed| {
        let count = feed.records.len();
        let again = prop::collection::vec(0..count.max(1), 0..=count);
        let order = again.prop_map(move |again| (0..count).chain(again).collect::<Vec<_>>());
        (Just(feed), order.prop_shuffle())
    })
}

/// What a consumer has to hold in the end, by key: the version, and the number unless the key is
/// gone.
pub type Held = BTreeMap<String, (String, Option<String>)>;

/// Everything that was published, in order, and what follows from it.
#[derive(Debug, Clone)]
pub struct Feed {
    pub records: Records,
    pub held: Held,
}

impl Feed {
    pub fn of(steps: &[Step]) -> Self {
        let mut shop = Shop::new();
        for step in steps {
            shop.version.coordinate += 8;
            match *step {
                Step::Set { row, on_hand } => {
                    let place = shop.rows[row].map_or(0, |(place, _)| place);
                    shop.rows[row] = Some((place, on_hand));
                    shop.level(row);
                }
                Step::Move { row, to } => {
                    let Some((from, on_hand)) = shop.rows[row] else { continue };
                    if from != to {
                        shop.removed(row, from, Some(to));
                        shop.rows[row] = Some((to, on_hand));
                        shop.level(row);
                    }
                }
                Step::Remove { row } => {
                    let Some((place, _)) = shop.rows[row].take() else { continue };
                    shop.removed(row, place, None);
                }
                Step::Epoch => {
                    let epoch = shop.version.epoch + 1;
                    shop.version = Version { epoch, coordinate: 0, ordinal: 0 };
                }
            }
        }
        Self { records: shop.records, held: shop.held }
    }

    /// Key and value of every event in the order of publication.
    pub fn published(&self) -> Vec<(&str, &[u8])> {
        let records = &self.records;
        records.iter().map(|entry| (records.key(entry), records.value(entry).as_bytes())).collect()
    }
}

struct Shop {
    encoder: Encoder,
    version: Version,
    /// Where each row is, and its number.
    rows: [Option<(usize, i32)>; ROWS],
    records: Records,
    held: Held,
}

impl Shop {
    fn new() -> Self {
        let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
        Self {
            encoder: Encoder::new(&seller, &source, "postgresql", "shop"),
            version: Version { epoch: 1, coordinate: 0x16_B374_D848, ordinal: 0 },
            rows: [None; ROWS],
            records: Records::default(),
            held: Held::new(),
        }
    }

    fn level(&mut self, row: usize) {
        let (place, on_hand) = self.rows[row].unwrap();
        let number = Decimal::from_int(i64::from(on_hand));
        let quantity = Quantities { on_hand: Some(number), ..Quantities::default() };
        self.publish(row, place, EventKind::Level, quantity);
    }

    fn removed(&mut self, row: usize, place: usize, to: Option<usize>) {
        let successor = to.map(|to| key_of(row, to));
        let kind = EventKind::Removed { successor: successor.as_deref() };
        self.publish(row, place, kind, Quantities::default());
    }

    fn publish(&mut self, row: usize, place: usize, kind: EventKind<'_>, quantity: Quantities) {
        let level = kind == EventKind::Level;
        let operation = if level { Operation::Update } else { Operation::Delete };
        let item = row.to_string();
        let event = StockEvent {
            kind,
            capture: Provenance::Stream,
            item: Item { id: &item, sku: level.then_some("A-1"), ..Item::default() },
            location: Location { id: LOCATIONS[place], kind: None },
            bucket: None,
            quantity,
            measure: level.then_some(Measure::OnHand),
            unit: "EA",
            active: None,
            tracked: None,
            change: Change::default(),
            version: self.version,
            committed_at_us: Some(1_700_000_000_000_000),
            origin: Origin {
                table: "public.stock",
                operation,
                transaction: None,
                position: "16/B374D848",
                row: 0,
                mapping: "public.stock@1",
            },
            quality: Quality::default(),
        };
        self.records.push(&self.encoder, &event);
        let on_hand = quantity.on_hand.map(|number| number.to_string());
        self.held.insert(key_of(row, place), (self.version.to_string(), on_hand));
    }
}

fn key_of(row: usize, place: usize) -> String {
    let parts = key::Parts {
        seller: "acme",
        source: "main",
        item: &row.to_string(),
        location: LOCATIONS[place],
        bucket: None,
    };
    let mut out = String::new();
    key::write(&parts, &mut out);
    out
}
