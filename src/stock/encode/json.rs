use xxhash_rust::xxh3::xxh3_128;

use super::records::{Columns, Entry, LastOrigin, RecordKind, Records, Span};
use super::time::write_timestamp;
use crate::stock::{
    Basis, EventKind, Item, Measure, Operation, Origin, Provenance, SellerId, SkuState, SourceName,
    StockEvent, VersionText, key,
};

/// Writes the events of one source as JSON, members always in the same order, optional ones left
/// out when unknown. The same event always gives the same bytes.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// `seller/source/`: how every record key begins.
    key: String,
    /// `seller 00 source 00`: how the hashed text of every id begins.
    names: String,
    /// `,"seller":"...","source":"...","item":{"id":"`
    who: String,
    /// `,"origin":{"engine":"...","database":"...","table":"`
    origin: String,
}

impl Encoder {
    /// The encoder of one database of one tenant.
    pub fn new(seller: &SellerId, source: &SourceName, engine: &str, database: &str) -> Self {
        let mut key = String::new();
        key::write_source(seller.as_str(), source.as_str(), &mut key);
        key.push('/');
        let mut who = String::new();
        member(&mut who, ",\"seller\":\"", seller.as_str());
        member(&mut who, ",\"source\":\"", source.as_str());
        who.push_str(",\"item\":{\"id\":\"");
        let mut origin = String::new();
        member(&mut origin, ",\"origin\":{\"engine\":\"", engine);
        member(&mut origin, ",\"database\":\"", database);
        origin.push_str(",\"table\":\"");
        let names = format!("{seller}\0{source}\0");
        Self { key, names, who, origin }
    }

    pub(super) fn encode(&self, event: &StockEvent<'_>, records: &mut Records) {
        let kind = match event.kind {
            EventKind::Level => RecordKind::Level,
            EventKind::Movement => RecordKind::Movement,
            EventKind::Removed { .. } => RecordKind::Removed,
        };
        let key = self.key(event, records);
        let version = event.version.text();
        let id = self.id(event, (key, &version), kind, records);
        let mut columns = Columns::default();
        let start = records.data.len();
        self.what(event, id, kind, (&mut columns, records));
        quantities(event, records, &mut columns);
        self.circumstances(event, &version, (&mut columns, records));
        let value = records.since(start);
        // What is not to be found in the event as it is stands behind it.
        let Item { id: item, sku, .. } = event.item;
        columns.item = Some(columns.item.unwrap_or_else(|| records.text(item)));
        columns.sku = sku.map(|sku| columns.sku.unwrap_or_else(|| records.text(sku)));
        let location = event.location.id;
        columns.location = Some(columns.location.unwrap_or_else(|| records.text(location)));
        let bucket = event.bucket;
        columns.bucket = bucket.map(|text| columns.bucket.unwrap_or_else(|| records.text(text)));
        let table = event.origin.table;
        columns.table = Some(columns.table.unwrap_or_else(|| records.text(table)));
        let (version, committed_at_us) = (event.version, event.committed_at_us);
        records.entries.push(Entry { kind, id, version, committed_at_us, key, value, columns });
    }

    /// The record key, as [`key::write`] writes it.
    fn key(&self, event: &StockEvent<'_>, records: &mut Records) -> Span {
        let start = records.data.len();
        let out = &mut records.data;
        out.push_str(&self.key);
        key::encode(event.item.id, out);
        out.push('/');
        key::encode(event.location.id, out);
        if let Some(bucket) = event.bucket {
            out.push('/');
            key::encode(bucket, out);
        }
        records.since(start)
    }

    /// xxh3-128 over what makes an event this event and no other; equal on every replay. The text
    /// is put together behind what is written and taken away again.
    fn id(
        &self,
        event: &StockEvent<'_>,
        (key, version): (Span, &VersionText),
        kind: RecordKind,
        records: &mut Records,
    ) -> u128 {
        let start = records.data.len();
        let out = &mut records.data;
        out.push_str(&self.names);
        out.push_str(version.as_str());
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

    /// From `schema` to `bucket`.
    fn what(
        &self,
        event: &StockEvent<'_>,
        id: u128,
        kind: RecordKind,
        (columns, records): (&mut Columns, &mut Records),
    ) {
        records.data.push_str("{\"schema\":\"stock/1\",\"id\":\"");
        let id = const_hex::Buffer::<16>::new().format(&id.to_be_bytes()).to_owned();
        columns.id = Some(records.text(&id));
        let out = &mut records.data;
        out.push_str(match kind {
            RecordKind::Level => "\",\"kind\":\"level\"",
            RecordKind::Movement => "\",\"kind\":\"movement\"",
            RecordKind::Removed => "\",\"kind\":\"removed\"",
        });
        if let EventKind::Removed { successor } = event.kind {
            optional(out, ",\"successor\":\"", successor);
        }
        out.push_str(provenance(event.capture));
        out.push_str(&self.who);
        let Item { id: item, sku, sku_state, gtin, parent } = event.item;
        columns.item = quoted(item, records);
        if let Some(sku) = sku {
            records.data.push_str(",\"sku\":\"");
            columns.sku = quoted(sku, records);
        }
        let out = &mut records.data;
        out.push_str(sku_state.map_or("", said_of_sku));
        optional(out, ",\"gtin\":\"", gtin);
        optional(out, ",\"parent\":\"", parent);
        out.push_str("},\"location\":{\"id\":\"");
        columns.location = quoted(event.location.id, records);
        optional(&mut records.data, ",\"kind\":\"", event.location.kind);
        records.data.push('}');
        if let Some(bucket) = event.bucket {
            records.data.push_str(",\"bucket\":\"");
            columns.bucket = quoted(bucket, records);
        }
    }

    /// From `unit` to `quality`.
    fn circumstances(
        &self,
        event: &StockEvent<'_>,
        version: &VersionText,
        (columns, records): (&mut Columns, &mut Records),
    ) {
        let out = &mut records.data;
        member(out, ",\"unit\":\"", event.unit);
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
        columns.version = Some(records.text(version.as_str()));
        records.data.push('"');
        columns.committed_at = event.committed_at_us.map(|at| {
            records.data.push_str(",\"committed_at\":\"");
            let place = committed_at(at, records);
            records.data.push('"');
            place
        });
        columns.table = self.origin(&event.origin, records);
        let out = &mut records.data;
        out.push_str(",\"row\":");
        out.push_str(itoa::Buffer::new().format(event.origin.row));
        member(out, ",\"mapping\":\"", event.origin.mapping);
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

    /// `origin` up to `position`: nearly always that of the event before. Returns the place of the
    /// table.
    fn origin(&self, origin: &Origin<'_>, records: &mut Records) -> Option<Span> {
        if let Some(last) = records.origin.filter(|last| last.is(origin, records)) {
            records.data.extend_from_within(last.text.range());
            return Some(last.table);
        }
        let start = records.data.len();
        records.data.push_str(&self.origin);
        let table = quoted(origin.table, records);
        records.data.push_str(operation(origin.operation));
        let transaction = origin.transaction.map(|transaction| {
            records.data.push_str(",\"transaction\":\"");
            quoted(transaction, records)
        });
        records.data.push_str(",\"position\":\"");
        let position = quoted(origin.position, records);
        let text = records.since(start);
        let places = table.zip(position).zip(transaction.map_or(Some(None), |it| it.map(Some)));
        let operation = origin.operation;
        records.origin = places.map(|((table, position), transaction)| LastOrigin {
            text,
            table,
            operation,
            transaction,
            position,
        });
        table
    }
}

/// Nearly every event is of the time of the one before.
fn committed_at(at_us: i64, records: &mut Records) -> Span {
    let last = records.entries.last().filter(|last| last.committed_at_us == Some(at_us));
    let start = records.data.len();
    match last.and_then(|last| last.columns.committed_at) {
        Some(same) => records.data.extend_from_within(same.range()),
        None => write_timestamp(at_us, &mut records.data),
    }
    records.since(start)
}

fn quantities(event: &StockEvent<'_>, records: &mut Records, columns: &mut Columns) {
    if event.kind == EventKind::Level {
        let measures = [Measure::OnHand, Measure::Available, Measure::Reserved, Measure::Incoming];
        let mut object = Object::new(",\"quantity\":{");
        object.open(&mut records.data);
        for measure in measures {
            let Some(quantity) = event.quantity.get(measure) else { continue };
            object.name(
                &mut records.data,
                match measure {
                    Measure::OnHand => "\"on_hand\":\"",
                    Measure::Available => "\"available\":\"",
                    Measure::Reserved => "\"reserved\":\"",
                    Measure::Incoming => "\"incoming\":\"",
                },
            );
            let start = records.data.len();
            quantity.write_to(&mut records.data);
            let span = records.since(start);
            records.data.push('"');
            match measure {
                Measure::OnHand => columns.on_hand = Some(span),
                Measure::Available => columns.available = Some(span),
                Measure::Reserved => columns.reserved = Some(span),
                Measure::Incoming => columns.incoming = Some(span),
            }
        }
        object.close(&mut records.data);
        optional(&mut records.data, ",\"measure\":\"", event.measure.map(Measure::as_str));
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

/// Appends a member whose name ends in the quote that its text begins with.
pub(super) fn member(out: &mut String, name: &str, text: &str) {
    out.push_str(name);
    if is_plain(text) {
        out.push_str(text);
        out.push('"');
    } else {
        escape(text, out);
    }
}

fn optional(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        member(out, name, text);
    }
}

/// Appends a text and the quote that ends it; its place, unless it had to be escaped.
fn quoted(text: &str, records: &mut Records) -> Option<Span> {
    if !is_plain(text) {
        escape(text, &mut records.data);
        return None;
    }
    let place = records.text(text);
    records.data.push('"');
    Some(place)
}

/// RFC 8259, section 7. Nearly every text is; the loop has no branch in it.
fn is_plain(text: &str) -> bool {
    let escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    !text.bytes().fold(false, |found, byte| found | escaped(byte))
}

/// Appends a text behind the quote that it begins with.
fn escape(text: &str, out: &mut String) {
    let json = serde_json::to_string(text).expect("any text is a JSON string");
    out.push_str(&json[1..]);
}

fn provenance(capture: Provenance) -> &'static str {
    match capture {
        Provenance::Stream => ",\"capture\":\"stream\"",
        Provenance::Snapshot => ",\"capture\":\"snapshot\"",
        Provenance::Poll => ",\"capture\":\"poll\"",
        Provenance::Reconcile => ",\"capture\":\"reconcile\"",
    }
}

fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => ",\"operation\":\"insert\"",
        Operation::Update => ",\"operation\":\"update\"",
        Operation::Delete => ",\"operation\":\"delete\"",
        Operation::Truncate => ",\"operation\":\"truncate\"",
        Operation::Read => ",\"operation\":\"read\"",
    }
}

fn said_of_sku(state: SkuState) -> &'static str {
    match state {
        SkuState::Resolved => ",\"sku_state\":\"resolved\"",
        SkuState::Missing => ",\"sku_state\":\"missing\"",
        SkuState::Ambiguous => ",\"sku_state\":\"ambiguous\"",
        SkuState::Pending => ",\"sku_state\":\"pending\"",
    }
}
