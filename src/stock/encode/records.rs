use super::json::Encoder;
use crate::stock::{NotAVersion, Operation, Origin, StockEvent, Version};

/// What a record states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// The state of a key.
    Level,
    /// A ledger row.
    Movement,
    /// A key that is gone.
    Removed,
}

impl RecordKind {
    /// The word in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordKind::Level => "level",
            RecordKind::Movement => "movement",
            RecordKind::Removed => "removed",
        }
    }
}

/// A piece of text in the buffer of [`Records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Span {
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// What a table's columns hold, as places in the buffer: in the event, or in another one, where it
/// stands there in plain text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) id: Option<Span>,
    pub(super) version: Option<Span>,
    pub(super) committed_at: Option<Span>,
    pub(super) item: Option<Span>,
    pub(super) sku: Option<Span>,
    pub(super) location: Option<Span>,
    pub(super) bucket: Option<Span>,
    pub(super) table: Option<Span>,
    pub(super) on_hand: Option<Span>,
    pub(super) available: Option<Span>,
    pub(super) reserved: Option<Span>,
    pub(super) incoming: Option<Span>,
}

/// One encoded event; its texts are read through the [`Records`] that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it states.
    pub kind: RecordKind,
    /// The event's id.
    pub id: u128,
    /// Order among the key's events.
    pub version: Version,
    /// Commit time of the source, microseconds since 1970 UTC.
    pub committed_at_us: Option<i64>,
    pub(super) key: Span,
    pub(super) value: Span,
    pub(super) columns: Columns,
}

/// Encoded events: one buffer, and where each part lies in it.
#[derive(Debug, Clone, Default)]
pub struct Records {
    pub(super) data: String,
    pub(super) entries: Vec<Entry>,
    pub(super) origin: Option<LastOrigin>,
}

/// An origin that has been written, and the parts of it that follow from the event.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastOrigin {
    /// From its own comma to the position.
    pub(super) text: Span,
    pub(super) table: Span,
    pub(super) operation: Operation,
    pub(super) transaction: Option<Span>,
    pub(super) position: Span,
}

impl LastOrigin {
    /// Whether another one is written the same.
    pub(super) fn is(&self, other: &Origin<'_>, records: &Records) -> bool {
        self.operation == other.operation
            && records.get(self.position) == other.position
            && self.transaction.map(|place| records.get(place)) == other.transaction
            && records.get(self.table) == other.table
    }
}

/// A stored value that is not an encoded event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stock event: {0}")]
pub struct Damaged(pub(super) String);

impl Records {
    /// Encodes one event.
    pub fn push(&mut self, encoder: &Encoder, event: &StockEvent<'_>) {
        encoder.encode(event, self);
    }

    /// Adds everything of `other`.
    pub fn append(&mut self, other: &Records) {
        let base = u32::try_from(self.data.len()).expect("a batch is smaller than u32 counts");
        self.data.push_str(&other.data);
        let moved = |span: Span| Span { start: span.start + base, ..span };
        self.entries.extend(other.entries.iter().map(|entry| Entry {
            key: moved(entry.key),
            value: moved(entry.value),
            columns: Columns {
                id: entry.columns.id.map(moved),
                version: entry.columns.version.map(moved),
                committed_at: entry.columns.committed_at.map(moved),
                item: entry.columns.item.map(moved),
                sku: entry.columns.sku.map(moved),
                location: entry.columns.location.map(moved),
                bucket: entry.columns.bucket.map(moved),
                table: entry.columns.table.map(moved),
                on_hand: entry.columns.on_hand.map(moved),
                available: entry.columns.available.map(moved),
                reserved: entry.columns.reserved.map(moved),
                incoming: entry.columns.incoming.map(moved),
            },
            ..*entry
        }));
    }

    /// Reads back one encoded removal, as it was stored while it waited for its transaction.
    pub fn decode(key: &str, value: &str) -> Result<Self, Damaged> {
        let event: serde_json::Value =
            serde_json::from_str(value).map_err(|error| Damaged(error.to_string()))?;
        let text = |value: &serde_json::Value, name: &str| {
            let missing = || Damaged(format!("{name} is missing"));
            value.as_str().map(str::to_owned).ok_or_else(missing)
        };
        if event["kind"] != "removed" {
            return Err(Damaged("not a removal".to_owned()));
        }
        let (id, version) = (text(&event["id"], "id")?, text(&event["version"], "version")?);
        let at = text(&event["committed_at"], "committed_at")?;
        let mut records = Self::default();
        let columns = Columns {
            id: Some(records.text(&id)),
            version: Some(records.text(&version)),
            committed_at: Some(records.text(&at)),
            item: Some(records.text(&text(&event["item"]["id"], "item")?)),
            location: Some(records.text(&text(&event["location"]["id"], "location")?)),
            ..Columns::default()
        };
        let key = records.text(key);
        let value = records.text(value);
        let id =
            u128::from_str_radix(&id, 16).map_err(|error| Damaged(format!("its id: {error}")))?;
        let version = version.parse().map_err(|error: NotAVersion| Damaged(error.to_string()))?;
        let committed_at_us = at
            .parse::<jiff::Timestamp>()
            .map(|at| at.as_microsecond())
            .map_err(|error| Damaged(error.to_string()))?;
        let (kind, committed_at_us) = (RecordKind::Removed, Some(committed_at_us));
        records.entries.push(Entry { kind, id, version, committed_at_us, key, value, columns });
        Ok(records)
    }

    /// The entries in the order they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The values in the order they were pushed.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.value(entry))
    }

    /// The record key.
    pub fn key(&self, entry: &Entry) -> &str {
        self.get(entry.key)
    }

    /// The event as it is published.
    pub fn value(&self, entry: &Entry) -> &str {
        self.get(entry.value)
    }

    /// The id as the event says it, 32 hex digits.
    pub fn id(&self, entry: &Entry) -> &str {
        self.get(entry.columns.id.expect("every entry has an id"))
    }

    /// The version as the event says it.
    pub fn version(&self, entry: &Entry) -> &str {
        self.get(entry.columns.version.expect("every entry has a version"))
    }

    /// The item's id, as it is.
    pub fn item(&self, entry: &Entry) -> &str {
        self.get(entry.columns.item.expect("every entry has an item"))
    }

    /// The table it comes from; of a removal that waited for its transaction it is not kept.
    pub fn table(&self, entry: &Entry) -> Option<&str> {
        entry.columns.table.map(|span| self.get(span))
    }

    /// The commit time as the event says it.
    pub fn committed_at(&self, entry: &Entry) -> Option<&str> {
        entry.columns.committed_at.map(|span| self.get(span))
    }

    /// A column of a level: `item`, `sku`, `location`, `bucket` or a quantity, unescaped.
    pub fn columns(&self, entry: &Entry) -> [Option<&str>; 8] {
        let c = &entry.columns;
        [c.item, c.sku, c.location, c.bucket, c.on_hand, c.available, c.reserved, c.incoming]
            .map(|span| span.map(|span| self.get(span)))
    }

    /// The quantities of a level: on hand, available, reserved, incoming.
    pub fn quantities(&self, entry: &Entry) -> [Option<&str>; 4] {
        let c = &entry.columns;
        [c.on_hand, c.available, c.reserved, c.incoming].map(|span| span.map(|s| self.get(s)))
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets every event, and keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.entries.clear();
        self.origin = None;
    }

    /// Memory that is there for events, bytes.
    pub fn room(&self) -> usize {
        self.data.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Memory held, bytes.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.entries.len() * size_of::<Entry>()
    }

    pub(super) fn text(&mut self, text: &str) -> Span {
        let start = self.data.len();
        self.data.push_str(text);
        self.since(start)
    }

    /// What was written since `start`.
    pub(super) fn since(&self, start: usize) -> Span {
        let narrow = |at: usize| u32::try_from(at).expect("a batch is smaller than u32 counts");
        Span { start: narrow(start), len: narrow(self.data.len() - start) }
    }

    fn get(&self, span: Span) -> &str {
        &self.data[span.range()]
    }
}
