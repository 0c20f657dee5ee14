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
    names: String,
    /// `,"seller":"...","source":"...","item":{"id":`
    who: String,
    /// `,"origin":{"engine":"...","database":"...","table":`
    origin: String,
}

impl Encoder {
    /// The encoder of one database of one tenant.
    pub fn new(seller: &SellerId, source: &SourceName, engine: &str, database: &str) -> Self {
        let mut who = String::new();
        member(&mut who, ",\"seller\":", seller.as_str());
        member(&mut who, ",\"source\":", source.as_str());
        who.push_str(",\"item\":{\"id\":");
        let mut origin = String::new();
        member(&mut origin, ",\"origin\":{\"engine\":", engine);
        member(&mut origin, ",\"database\":", database);
        origin.push_str(",\"table\":");
        let names = format!("{seller}\0{source}\0");
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
            item: Some(records.text(event.item.id)),
            sku: event.item.sku.map(|sku| records.text(sku)),
            location: Some(records.text(event.location.id)),
            bucket: event.bucket.map(|bucket| records.text(bucket)),
            table: Some(records.text(event.origin.table)),
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
        out.push_str(&self.names);
        event.version.write_to(out);
        out.push('\0');
        out.push_str(event.origin.mapping);
        out.push('\0');
        out.extend_from_within(key.range());
        out.push('\0');
        out.push_str(kind.as_str());
        let id = xxh3_128(&out.as_bytes()[start..]);
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
        records.data.push_str("{\"schema\":\"stock/1\",\"id\":\"");
        let place = records.text(const_hex::Buffer::<16>::new().format(&id.to_be_bytes()));
        let out = &mut records.data;
        out.push_str("\",\"kind\":\"");
        out.push_str(kind.as_str());
        if let EventKind::Removed { successor: Some(successor) } = event.kind {
            member(out, "\",\"successor\":", successor);
            out.push_str(",\"capture\":\"");
        } else {
            out.push_str("\",\"capture\":\"");
        }
        out.push_str(provenance(event.capture));
        out.push('"');
        out.push_str(&self.who);
        item(&event.item, out);
        member(out, ",\"location\":{\"id\":", event.location.id);
        optional(out, ",\"kind\":", event.location.kind);
        out.push('}');
        optional(out, ",\"bucket\":", event.bucket);
        place
    }

    /// From `unit` to `quality`; returns the places of the version and the commit time.
    fn circumstances(
        &self,
        event: &StockEvent<'_>,
        records: &mut Records,
    ) -> (Option<Span>, Option<Span>) {
        let out = &mut records.data;
        member(out, ",\"unit\":", event.unit);
        let mut selling = Object::new(",\"selling\":{");
        for (name, flag) in [("\"tracked\":", event.tracked), ("\"active\":", event.active)] {
            if let Some(flag) = flag {
                selling.name(out, name);
                out.push_str(if flag { "true" } else { "false" });
            }
        }
        selling.close(out);
        change(event, out);
        out.push_str(",\"version\":\"");
        let start = records.data.len();
        event.version.write_to(&mut records.data);
        let version = records.since(start);
        records.data.push('"');
        let committed_at = event.committed_at_us.map(|at| {
            records.data.push_str(",\"committed_at\":\"");
            let start = records.data.len();
            write_timestamp(at, &mut records.data);
            let place = records.since(start);
            records.data.push('"');
            place
        });
        self.provenance(event, &mut records.data);
        (Some(version), committed_at)
    }

    /// `origin` and `quality`.
    fn provenance(&self, event: &StockEvent<'_>, out: &mut String) {
        out.push_str(&self.origin);
        string(event.origin.table, out);
        out.push_str(",\"operation\":\"");
        out.push_str(operation(event.origin.operation));
        out.push('"');
        optional(out, ",\"transaction\":", event.origin.transaction);
        member(out, ",\"position\":", event.origin.position);
        out.push_str(",\"row\":");
        out.push_str(itoa::Buffer::new().format(event.origin.row));
        member(out, ",\"mapping\":", event.origin.mapping);
        out.push('}');
        if !event.quality.is_empty() {
            let mut list = Object::new(",\"quality\":[");
            for flag in event.quality.flags() {
                list.name(out, "\"");
                out.push_str(flag.as_str());
                out.push('"');
            }
            out.push(']');
        }
        out.push('}');
    }
}

fn item(item: &Item<'_>, out: &mut String) {
    string(item.id, out);
    optional(out, ",\"sku\":", item.sku);
    optional(out, ",\"sku_state\":", item.sku_state.map(sku_state));
    optional(out, ",\"gtin\":", item.gtin);
    optional(out, ",\"parent\":", item.parent);
    out.push('}');
}

fn quantities(event: &StockEvent<'_>, records: &mut Records, columns: &mut Columns) {
    if event.kind == EventKind::Level {
        let measures = [Measure::OnHand, Measure::Available, Measure::Reserved, Measure::Incoming];
        let mut object = Object::new(",\"quantity\":{");
        object.open(&mut records.data);
        for measure in measures {
            let Some(quantity) = event.quantity.get(measure) else { continue };
            object.name(&mut records.data, "\"");
            records.data.push_str(measure.as_str());
            records.data.push_str("\":");
            let span = decimal(quantity, records);
            match measure {
                Measure::OnHand => columns.on_hand = Some(span),
                Measure::Available => columns.available = Some(span),
                Measure::Reserved => columns.reserved = Some(span),
                Measure::Incoming => columns.incoming = Some(span),
            }
        }
        object.close(&mut records.data);
        optional(&mut records.data, ",\"measure\":", event.measure.map(Measure::as_str));
    }
}

fn change(event: &StockEvent<'_>, out: &mut String) {
    let change = &event.change;
    let mut object = Object::new(",\"change\":{");
    for (name, number) in [("\"delta\":\"", change.delta), ("\"previous\":\"", change.previous)] {
        if let Some(number) = number {
            object.name(out, name);
            number.write_to(out);
            out.push('"');
        }
    }
    if let Some(basis) = change.basis {
        object.name(out, "\"basis\":\"");
        out.push_str(match basis {
            Basis::BeforeImage => "before_image",
            Basis::Cache => "cache",
            Basis::SourceLedger => "source_ledger",
        });
        out.push('"');
    }
    if let Some(rows) = change.rows {
        object.name(out, "\"rows\":");
        out.push_str(itoa::Buffer::new().format(rows));
    }
    object.close(out);
}

/// A decimal as a JSON string; returns the place of its digits.
fn decimal(number: Decimal, records: &mut Records) -> Span {
    records.data.push('"');
    let start = records.data.len();
    number.write_to(&mut records.data);
    let span = records.since(start);
    records.data.push('"');
    span
}

/// An object or list that is left out altogether unless something is put into it.
struct Object {
    head: &'static str,
    opened: bool,
    empty: bool,
}

impl Object {
    fn new(head: &'static str) -> Self {
        Self { head, opened: false, empty: true }
    }

    fn open(&mut self, out: &mut String) {
        if !self.opened {
            out.push_str(self.head);
            self.opened = true;
        }
    }

    fn name(&mut self, out: &mut String, name: &str) {
        self.open(out);
        if !self.empty {
            out.push(',');
        }
        self.empty = false;
        out.push_str(name);
    }

    fn close(&self, out: &mut String) {
        if self.opened {
            out.push('}');
        }
    }
}

pub(super) fn member(out: &mut String, name: &str, text: &str) {
    out.push_str(name);
    string(text, out);
}

fn optional(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        member(out, name, text);
    }
}

fn string(text: &str, out: &mut String) {
    // RFC 8259, section 7. Nearly no text has any of these; the loop has no branch in it.
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | escaped(byte)) {
        out.push_str(&serde_json::to_string(text).expect("any text is a JSON string"));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
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
