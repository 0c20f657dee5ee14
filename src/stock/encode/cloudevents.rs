use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

use super::records::{Entry, RecordKind, Records};
use super::time::timestamp;
use crate::stock::{SellerId, SourceName, key};

/// A Kafka header: its name, and its value in UTF-8.
pub type Header<'a> = (&'static str, Cow<'a, [u8]>);

const ROOT: &str = "/tailstock/";

/// What a record is about that no event caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remark<'a> {
    /// A control record, by the word of its kind.
    Control(&'a str),
    /// A dead letter.
    DeadLetter,
}

/// The headers that make the records of one source CloudEvents 1.0 in the binary mode of the Kafka
/// protocol binding: attributes in headers, the value as it is without them.
///
/// There is no `partitionkey`: a record's partition comes from seller and item, and its key is the
/// `subject`. There is no `dataschema`: the schemas have no address of their own.
#[derive(Debug, Clone)]
pub struct CloudEvents {
    /// `/tailstock/seller/source`, percent-encoded.
    source: String,
}

impl CloudEvents {
    /// The headers of one database of one tenant.
    pub fn new(seller: &SellerId, source: &SourceName) -> Self {
        let mut text = ROOT.to_owned();
        key::write_source(seller.as_str(), source.as_str(), &mut text);
        Self { source: text }
    }

    /// The headers of the record that carries an event. Nothing is allocated.
    pub fn event<'a>(
        &'a self,
        records: &'a Records,
        entry: &'a Entry,
    ) -> impl Iterator<Item = Header<'a>> {
        self.attributes(records, entry).chain([content_type()])
    }

    /// The headers of the record without a value that ends a key on the compacted topic: those of
    /// the removal, but for the type of the content that is not there. Nothing is allocated.
    pub fn tombstone<'a>(
        &'a self,
        records: &'a Records,
        entry: &'a Entry,
    ) -> impl Iterator<Item = Header<'a>> {
        self.attributes(records, entry)
    }

    /// The headers of a control record or a dead letter with this value, found at `at_us`
    /// microseconds since 1970 UTC. Its id is a hash of the value, so that a record that is
    /// published again has its id again.
    pub fn remark(
        &self,
        remark: Remark<'_>,
        at_us: i64,
        value: &str,
    ) -> impl Iterator<Item = Header<'_>> {
        let kind = match remark {
            Remark::Control(kind) => format!("stock.control.{kind}.v1"),
            Remark::DeadLetter => "stock.dlq.v1".to_owned(),
        };
        let id = format!("{:032x}", xxh3_128(value.as_bytes()));
        let owned = |name, text: String| (name, Cow::Owned(text.into_bytes()));
        [
            text("ce_specversion", "1.0"),
            owned("ce_id", id),
            text("ce_source", &self.source),
            owned("ce_type", kind),
            text("ce_subject", &self.source[ROOT.len()..]),
            owned("ce_time", timestamp(at_us)),
            content_type(),
        ]
        .into_iter()
    }

    fn attributes<'a>(
        &'a self,
        records: &'a Records,
        entry: &'a Entry,
    ) -> impl Iterator<Item = Header<'a>> {
        let kind = match entry.kind {
            RecordKind::Level => "stock.level.v1",
            RecordKind::Movement => "stock.movement.v1",
            RecordKind::Removed => "stock.removed.v1",
        };
        [
            Some(text("ce_specversion", "1.0")),
            Some(text("ce_id", records.id(entry))),
            Some(text("ce_source", &self.source)),
            Some(text("ce_type", kind)),
            Some(text("ce_subject", records.key(entry))),
            records.committed_at(entry).map(|at| text("ce_time", at)),
            Some(text("ce_sequence", records.version(entry))),
        ]
        .into_iter()
        .flatten()
    }
}

fn text<'a>(name: &'static str, value: &'a str) -> Header<'a> {
    (name, Cow::Borrowed(value.as_bytes()))
}

fn content_type() -> Header<'static> {
    text("content-type", "application/json")
}
