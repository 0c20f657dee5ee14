//! Events of every shape that the types allow and a mapping can give.

use proptest::prelude::*;
use tailstock::stock::encode::{Encoder, Records};
use tailstock::stock::quantity::Decimal;
use tailstock::stock::{
    Basis, Change, EventKind, Item, Location, Measure, Operation, Origin, Provenance, Quality,
    QualityFlag, Quantities, SellerId, SkuState, SourceName, StockEvent, Version,
};

fn number() -> impl Strategy<Value = Option<Decimal>> {
    let text = "-?[0-9]{1,20}(\\.[0-9]{1,12})?";
    prop::option::of(text.prop_map(|text| Decimal::parse(&text).unwrap().0))
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".*")
}

#[derive(Debug, Clone)]
struct Shape {
    kind: EventKind<'static>,
    item: String,
    texts: [Option<String>; 6],
    sku_state: Option<SkuState>,
    numbers: [Option<Decimal>; 6],
    flags: [Option<bool>; 2],
    basis: Option<Basis>,
    rows: Option<u32>,
    version: (u32, u64, u32),
    at: Option<i64>,
    quality: Vec<QualityFlag>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let kind = prop_oneof![
        Just(EventKind::Level),
        Just(EventKind::Movement),
        Just(EventKind::Removed { successor: None }),
        Just(EventKind::Removed { successor: Some("acme/main/1/_") }),
    ];
    let states = [SkuState::Resolved, SkuState::Missing, SkuState::Ambiguous, SkuState::Pending];
    let bases = [Basis::BeforeImage, Basis::Cache, Basis::SourceLedger];
    let what = (
        (kind, ".*", prop::array::uniform6(text())),
        prop::option::of(prop::sample::select(states.to_vec())),
        prop::array::uniform6(number()),
        prop::array::uniform2(prop::option::of(any::<bool>())),
    );
    let how = (
        prop::option::of(prop::sample::select(bases.to_vec())),
        prop::option::of(2..u32::MAX),
        any::<(u32, u64, u32)>(),
        prop::option::of(-62_135_596_800_000_000i64..253_402_207_200_000_000),
        prop::sample::subsequence(QualityFlag::ALL.to_vec(), 0..=QualityFlag::ALL.len()),
    );
    (what, how).prop_map(|(what, (basis, rows, version, at, quality))| {
        let ((kind, item, texts), sku_state, numbers, flags) = what;
        Shape { kind, item, texts, sku_state, numbers, flags, basis, rows, version, at, quality }
    })
}

impl Shape {
    fn encode(&self) -> Records {
        let [sku, gtin, parent, place, bucket, transaction] =
            self.texts.each_ref().map(Option::as_deref);
        let [on_hand, available, reserved, incoming, delta, previous] = self.numbers;
        let level = self.kind == EventKind::Level;
        let removed = matches!(self.kind, EventKind::Removed { .. });
        let (basis, rows) = (self.basis, self.rows);
        // A ledger row is about its delta.
        let delta = delta.or_else(|| (!level).then(|| Decimal::from_int(-1)));
        let mut quality = Quality::default();
        self.quality.iter().for_each(|flag| quality.set(*flag));
        let (epoch, coordinate, ordinal) = self.version;
        let event = StockEvent {
            kind: self.kind,
            capture: if self.at.is_some() { Provenance::Stream } else { Provenance::Poll },
            item: Item { id: &self.item, sku, sku_state: self.sku_state, gtin, parent },
            location: Location { id: place.unwrap_or("_"), kind: place },
            bucket,
            quantity: Quantities { on_hand, available, reserved, incoming },
            measure: level.then_some(Measure::Available),
            unit: "EA",
            active: self.flags[0].filter(|_| !removed),
            tracked: self.flags[1].filter(|_| !removed),
            change: Change { delta, previous, basis, rows },
            version: Version { epoch, coordinate, ordinal },
            committed_at_us: self.at,
            origin: Origin {
                table: "public.stock",
                operation: if removed { Operation::Delete } else { Operation::Insert },
                transaction,
                position: "16/B374D848",
                row: ordinal,
                mapping: "public.stock@1",
            },
            quality,
        };
        let (seller, source) = (SellerId::new("acme"), SourceName::new("main"));
        let mut records = Records::default();
        records.push(&Encoder::new(&seller, &source, "postgresql", "shop"), &event);
        records
    }
}

/// One encoded event.
pub fn events() -> impl Strategy<Value = Records> {
    shapes().prop_map(|shape| shape.encode())
}
