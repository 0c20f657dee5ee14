use xxhash_rust::xxh3::xxh3_128;

use super::records::{Columns, Entry, RecordKind, Records, Span};
use super::time::write_timestamp;
use crate::stock::key::{self, Parts};
use crate::stock::quantity::Decimal;
use crate::stock::{
    Basis, EventKind, Item, Measure, Operation, Provenance, SellerId, SkuState, SourceName,
    StockEvent,
};

/// Writes the events of one source as JSON, members always in the same order, optional ones left
/// out when unknown. The same event always gives the same bytes.
#[derive(Debug, Clone)]
pub struct Encoder {
    seller: SellerId,
    source: SourceName,
    /// `seller 00 source 00`: how the hashed text of every id begins.
    names: Vec<u8>,
    /// `,"seller":"...","source":"...","item":{"id":`
    who: Vec<u8>,
    /// `,"origin":{"engine":"...","database":"...","table":`
    origin: Vec<u8>,
}

impl Encoder {
    /// The encoder of one database of one tenant.
    pub fn new(seller: &SellerId, source: &SourceName, engine: &str, database: &str) -> Self {
        let mut who = Vec::new();
        member(&mut who, b",\"seller\":", seller.as_str());
        member(&mut who, b",\"source\":", source.as_str());
        who.extend_from_slice(b",\"item\":{\"id\":");
        let mut origin = Vec::new();
        member(&mut origin, b",\"origin\":{\"engine\":", engine);
        member(&mut origin, b",\"database\":", database);
        origin.extend_from_slice(b",\"table\":");
        let names = format!("{seller}\0{source}\0").into_bytes();
        Self { seller: seller.clone(), source: source.clone(), names, who, origin }
    }

    pub(super) fn encode(&self, event: &StockEvent<'_>, records: &mut Records) {
        let kind = match event.kind {
            EventKind::Level => RecordKind::Level,
            EventKind::Movement => RecordKind::Movement,
            EventKind::Removed { .. } => RecordKind::Removed,
        };
        let start = records.data.len();
        key::write(
            &Parts {
                seller: self.seller.as_str(),
                source: self.source.as_str(),
                item: event.item.id,
                location: event.location.id,
                bucket: event.bucket,
            },
            &mut records.data,
        );
        let key = records.since(start);
        let id = self.id(event, key, kind, records);
        let mut columns = Columns {
            item: Some(records.text(event.item.id.as_bytes())),
            sku: event.item.sku.map(|sku| records.text(sku.as_bytes())),
            location: Some(records.text(event.location.id.as_bytes())),
            bucket: event.bucket.map(|bucket| records.text(bucket.as_bytes())),
            table: Some(records.text(event.origin.table.as_bytes())),
            ..Columns::default()
        };
        let start = records.data.len();
        columns.id = Some(self.what(event, id, kind, records));
        quantities(event, records, &mut columns);
        (columns.version, columns.committed_at) = self.circumstances(event, records);
        let value = records.since(start);
        let (version, committed_at_us) = (event.version, event.committed_at_us);
        records.entries.push(Entry { kind, id, version, committed_at_us, key, value, columns });
    }

    /// xxh3-128 over what makes an event this event and no other; equal on every replay. The text
    /// is put together behind what is written and taken away again.
    fn id(
        &self,
        event: &StockEvent<'_>,
        key: Span,
        kind: RecordKind,
        records: &mut Records,
    ) -> u128 {
        let start = records.data.len();
        let out = &mut records.data;
        out.extend_from_slice(&self.names);
        out.extend_from_slice(&event.version.to_text());
        out.push(0);
        out.extend_from_slice(event.origin.mapping.as_bytes());
        out.push(0);
        out.extend_from_within(key.range());
        out.push(0);
        out.extend_from_slice(kind.as_str().as_bytes());
        let id = xxh3_128(&out[start..]);
        out.truncate(start);
        id
    }

    /// From `schema` to `bucket`; returns the place of the id.
    fn what(
        &self,
        event: &StockEvent<'_>,
        id: u128,
        kind: RecordKind,
        records: &mut Records,
    ) -> Span {
        records.data.extend_from_slice(b"{\"schema\":\"stock/1\",\"id\":\"");
        let digit = |shift: u32| b"0123456789abcdef"[((id >> shift) & 15) as usize];
        let place =
            records.text(&std::array::from_fn::<u8, 32, _>(|at| digit(124 - 4 * at as u32)));
        let out = &mut records.data;
        out.extend_from_slice(b"\",\"kind\":\"");
        out.extend_from_slice(kind.as_str().as_bytes());
        if let EventKind::Removed { successor: Some(successor) } = event.kind {
            member(out, b"\",\"successor\":", successor);
            out.extend_from_slice(b",\"capture\":\"");
        } else {
            out.extend_from_slice(b"\",\"capture\":\"");
        }
        out.extend_from_slice(provenance(event.capture).as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.who);
        item(&event.item, out);
        member(out, b",\"location\":{\"id\":", event.location.id);
        optional(out, b",\"kind\":", event.location.kind);
        out.push(b'}');
        optional(out, b",\"bucket\":", event.bucket);
        place
    }

    /// From `unit` to `quality`; returns the places of the version and the commit time.
    fn circumstances(
        &self,
        event: &StockEvent<'_>,
        records: &mut Records,
    ) -> (Option<Span>, Option<Span>) {
        let out = &mut records.data;
        member(out, b",\"unit\":", event.unit);
        let mut selling = Object::new(b",\"selling\":{");
        for (name, flag) in [(&b"\"tracked\":"[..], event.tracked), (b"\"active\":", event.active)]
        {
            if let Some(flag) = flag {
                selling.name(out, name);
                out.extend_from_slice(if flag { b"true" } else { b"false" });
            }
        }
        selling.close(out);
        change(event, out);
        out.extend_from_slice(b",\"version\":\"");
        let version = records.text(&event.version.to_text());
        records.data.push(b'"');
        let committed_at = event.committed_at_us.map(|at| {
            records.data.extend_from_slice(b",\"committed_at\":\"");
            let start = records.data.len();
            write_timestamp(at, &mut records.data);
            let place = records.since(start);
            records.data.push(b'"');
            place
        });
        self.provenance(event, &mut records.data);
        (Some(version), committed_at)
    }

    /// `origin` and `quality`.
    fn provenance(&self, event: &StockEvent<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.origin);
        string(event.origin.table, out);
        out.extend_from_slice(b",\"operation\":\"");
        out.extend_from_slice(operation(event.origin.operation).as_bytes());
        out.push(b'"');
        optional(out, b",\"transaction\":", event.origin.transaction);
        member(out, b",\"position\":", event.origin.position);
        out.extend_from_slice(b",\"row\":");
        out.extend_from_slice(itoa::Buffer::new().format(event.origin.row).as_bytes());
        member(out, b",\"mapping\":", event.origin.mapping);
        out.push(b'}');
        if !event.quality.is_empty() {
            let mut list = Object::new(b",\"quality\":[");
            for flag in event.quality.flags() {
                list.name(out, b"\"");
                out.extend_from_slice(flag.as_str().as_bytes());
                out.push(b'"');
            }
            out.push(b']');
        }
        out.push(b'}');
    }
}

fn item(item: &Item<'_>, out: &mut Vec<u8>) {
    string(item.id, out);
    optional(out, b",\"sku\":", item.sku);
    optional(out, b",\"sku_state\":", item.sku_state.map(sku_state));
    optional(out, b",\"gtin\":", item.gtin);
    optional(out, b",\"parent\":", item.parent);
    out.push(b'}');
}

fn quantities(event: &StockEvent<'_>, records: &mut Records, columns: &mut Columns) {
    if event.kind == EventKind::Level {
        let measures = [Measure::OnHand, Measure::Available, Measure::Reserved, Measure::Incoming];
        let mut object = Object::new(b",\"quantity\":{");
        object.open(&mut records.data);
        for measure in measures {
            let Some(quantity) = event.quantity.get(measure) else { continue };
            object.name(&mut records.data, b"\"");
            records.data.extend_from_slice(measure.as_str().as_bytes());
            records.data.extend_from_slice(b"\":");
            let span = decimal(quantity, records);
            match measure {
                Measure::OnHand => columns.on_hand = Some(span),
                Measure::Available => columns.available = Some(span),
                Measure::Reserved => columns.reserved = Some(span),
                Measure::Incoming => columns.incoming = Some(span),
            }
        }
        object.close(&mut records.data);
        optional(&mut records.data, b",\"measure\":", event.measure.map(Measure::as_str));
    }
}

fn change(event: &StockEvent<'_>, out: &mut Vec<u8>) {
    let change = &event.change;
    let mut object = Object::new(b",\"change\":{");
    for (name, number) in
        [(&b"\"delta\":\""[..], change.delta), (b"\"previous\":\"", change.previous)]
    {
        if let Some(number) = number {
            object.name(out, name);
            number.write_to(out);
            out.push(b'"');
        }
    }
    if let Some(basis) = change.basis {
        object.name(out, b"\"basis\":\"");
        out.extend_from_slice(match basis {
            Basis::BeforeImage => b"before_image",
            Basis::Cache => b"cache",
            Basis::SourceLedger => b"source_ledger",
        });
        out.push(b'"');
    }
    if let Some(rows) = change.rows {
        object.name(out, b"\"rows\":");
        out.extend_from_slice(itoa::Buffer::new().format(rows).as_bytes());
    }
    object.close(out);
}

/// A decimal as a JSON string; returns the place of its digits.
fn decimal(number: Decimal, records: &mut Records) -> Span {
    records.data.push(b'"');
    let start = records.data.len();
    number.write_to(&mut records.data);
    let span = records.since(start);
    records.data.push(b'"');
    span
}

/// An object or list that is left out altogether unless something is put into it.
struct Object {
    head: &'static [u8],
    opened: bool,
    empty: bool,
}

impl Object {
    fn new(head: &'static [u8]) -> Self {
        Self { head, opened: false, empty: true }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if !self.opened {
            out.extend_from_slice(self.head);
            self.opened = true;
        }
    }

    fn name(&mut self, out: &mut Vec<u8>, name: &[u8]) {
        self.open(out);
        if !self.empty {
            out.push(b',');
        }
        self.empty = false;
        out.extend_from_slice(name);
    }

    fn close(&self, out: &mut Vec<u8>) {
        if self.opened {
            out.push(b'}');
        }
    }
}

pub(super) fn member(out: &mut Vec<u8>, name: &[u8], text: &str) {
    out.extend_from_slice(name);
    string(text, out);
}

fn optional(out: &mut Vec<u8>, name: &[u8], text: Option<&str>) {
    if let Some(text) = text {
        member(out, name, text);
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a vector takes everything");
}

fn provenance(capture: Provenance) -> &'static str {
    match capture {
        Provenance::Stream => "stream",
        Provenance::Snapshot => "snapshot",
        Provenance::Poll => "poll",
        Provenance::Reconcile => "reconcile",
    }
}

fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Delete => "delete",
        Operation::Truncate => "truncate",
        Operation::Read => "read",
    }
}

fn sku_state(state: SkuState) -> &'static str {
    match state {
        SkuState::Resolved => "resolved",
        SkuState::Missing => "missing",
        SkuState::Ambiguous => "ambiguous",
        SkuState::Pending => "pending",
    }
}
