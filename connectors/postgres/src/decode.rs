//! pgoutput, protocol version 1, text format: from the messages of a replication stream to row
//! changes (PostgreSQL documentation, "Logical Replication Message Formats").
//!
//! Captured columns are decoded, everything else is skipped by its length, and no row costs a heap
//! allocation. Any bytes may come in: each read is checked, and what does not fit is an error.
//!
//! The place of a change in its transaction must be the same in every replay, so only what the
//! transaction itself holds is counted: rows and truncations of captured tables, nothing that
//! follows from what was seen before it.

mod cursor;
mod relation;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use connector_api::{
    BatchBuilder, BeginText, Capture, ClearCause, Error, Op, Partial, Result, ResumePoint,
    TableLayout, TableName,
};

use crate::position::{LogIdentity, Lsn};
use cursor::Cursor;
use relation::{Relation, Types};

/// Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// Turns the messages of one stream into row changes.
#[derive(Debug)]
pub struct Decoder {
    capture: Capture,
    types: Types,
    relations: HashMap<u32, Relation>,
    /// Captured tables as they were described last, in this stream or before it: which relation
    /// went by the name, and its columns.
    layouts: BTreeMap<TableName, TableLayout>,
    /// They have changed since the last transaction.
    has_news: bool,
    resumed: Option<Resumed>,
    /// Captured changes of the open transaction that are still to be passed over.
    skip: u32,
    texts: Texts,
}

/// The transaction that is partly durable, until it has been passed.
#[derive(Debug)]
struct Resumed {
    partial: Partial,
    slot: String,
    /// What is captured behind it. It is finished under the capture its changes were counted under.
    next: Capture,
    /// The relations as it has described them, to be read again under the next capture.
    described: Vec<Vec<u8>>,
}

/// Buffers for the printed forms of a transaction's numbers.
#[derive(Debug, Default)]
struct Texts {
    txid: String,
    position: String,
}

impl Decoder {
    /// A decoder for a stream that begins at `from`. A transaction that is partly durable there is
    /// finished under the capture of `from`; everything behind it is read under `capture`.
    pub fn new(from: &ResumePoint, capture: Capture) -> Self {
        let identity = LogIdentity::from_lineage(&from.lineage);
        let resumed = from.partial.as_ref().map(|partial| Resumed {
            partial: partial.clone(),
            slot: identity.map(|identity| identity.slot).unwrap_or_default(),
            next: capture.clone(),
            described: Vec::new(),
        });
        let known = from.layouts.iter();
        Self {
            capture: if resumed.is_some() { from.capture.clone() } else { capture },
            types: Types::default(),
            relations: HashMap::new(),
            layouts: known.map(|layout| (layout.name.clone(), layout.clone())).collect(),
            has_news: false,
            resumed,
            skip: 0,
            texts: Texts::default(),
        }
    }

    /// Whether the transaction that is partly durable has not ended yet. Until then nothing may be
    /// told of progress: a position without it would forget how far into it we are.
    pub(crate) fn is_resuming(&self) -> bool {
        self.resumed.is_some()
    }

    /// Decodes one message into `out`, which must not be full.
    ///
    /// # Errors
    /// A message that protocol version 1 does not have, and a log that does not go on where `from`
    /// said. The stream cannot be read on behind either.
    pub fn message(&mut self, message: &[u8], out: &mut BatchBuilder) -> Result<()> {
        let mut cursor = Cursor::new(message);
        match cursor.u8()? {
            b'B' => self.begin(&mut cursor, out),
            b'C' => self.commit(&mut cursor, out),
            b'R' => self.relation(message, out),
            b'Y' => self.types.describe(&mut cursor),
            b'I' => self.insert(&mut cursor, out),
            b'U' => self.update(&mut cursor, out),
            b'D' => self.delete(&mut cursor, out),
            b'T' => self.truncate(&mut cursor, out),
            // Origins and logical messages say nothing about rows, and count as nothing.
            b'O' | b'M' => Ok(()),
            other => Err(Error::definite(format!(
                "the server sent a pgoutput message of type 0x{other:02x}, which protocol version \
                 1 does not have"
            ))),
        }
    }

    fn begin(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let commit = Lsn(cursor.u64()?);
        let committed_at = cursor.i64()?;
        let xid = cursor.u32()?;
        if out.is_open() {
            return Err(Error::definite("the server began a transaction inside another"));
        }
        let Texts { txid, position } = &mut self.texts;
        print(txid, &xid);
        print(position, &commit);
        if let Some(resumed) = &self.resumed {
            if resumed.partial.txid != *txid {
                return Err(
                    resumed.elsewhere(&format!("the log continues with transaction {txid}"))
                );
            }
            self.skip = resumed.partial.rows;
        }
        out.begin(BeginText {
            coordinate: commit.0,
            committed_at_us: committed_at.saturating_add(EPOCH_2000_US),
            txid,
            position,
        });
        Ok(())
    }

    fn commit(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let _flags = cursor.u8()?;
        let _commit = cursor.u64()?;
        let end = Lsn(cursor.u64()?);
        inside(out)?;
        if let Some(resumed) = self.resumed.take() {
            if self.skip > 0 {
                let found = format!("it now has {} changes less than that", self.skip);
                return Err(resumed.elsewhere(&found));
            }
            self.recapture(resumed)?;
        }
        print(&mut self.texts.position, &end);
        out.commit(&self.texts.position);
        // Not before what follows from it: whoever begins before this transaction has to see the
        // change again.
        if std::mem::take(&mut self.has_news) {
            out.learn(self.layouts.values().cloned().collect());
        }
        Ok(())
    }

    /// The server describes a relation once: what was described is read again.
    fn recapture(&mut self, resumed: Resumed) -> Result<()> {
        if self.capture == resumed.next {
            return Ok(());
        }
        self.capture = resumed.next;
        for message in resumed.described {
            let mut cursor = Cursor::new(&message);
            let (oid, relation, layout) = Relation::read(&mut cursor, &self.capture, &self.types)?;
            if let Some(layout) = layout {
                self.layouts.insert(relation.name.clone(), layout);
                self.has_news = true;
            }
            self.relations.insert(oid, relation);
        }
        Ok(())
    }

    fn relation(&mut self, message: &[u8], out: &mut BatchBuilder) -> Result<()> {
        inside(out)?;
        let description = &message[1..];
        let mut cursor = Cursor::new(description);
        let (oid, mut relation, layout) = Relation::read(&mut cursor, &self.capture, &self.types)?;
        if let Some(resumed) = &mut self.resumed {
            resumed.described.retain(|known| known[..4] != description[..4]);
            resumed.described.push(description.to_vec());
        }
        if let (Some(schema), Some(layout)) = (&mut relation.schema, layout) {
            let known = self.relations.get(&oid);
            let renamed = known.is_some_and(|known| known.name != relation.name);
            let last = self.layouts.get(&relation.name).and_then(|last| last.id);
            let replaced = renamed || last.is_some_and(|last| last != oid);
            // What the passed-over part of a transaction said of its tables is durable too.
            let news = self.skip == 0;
            match known.and_then(|known| known.schema.as_ref()) {
                // The same shape: later rows keep the place they have in the batch.
                Some(known) if !replaced && **known == **schema => *schema = Arc::clone(known),
                Some(_) if !replaced && news => {
                    let table = out.table(schema);
                    out.schema_changed(table);
                }
                _ if replaced && news => {
                    let table = out.table(schema);
                    out.replaced(table, ClearCause::Replaced);
                }
                _ => {}
            }
            self.compare(&relation, layout, replaced, out);
        }
        self.relations.insert(oid, relation);
        Ok(())
    }

    /// Tells of a captured table whose rows may hold other values since it was described last.
    fn compare(
        &mut self,
        relation: &Relation,
        layout: TableLayout,
        is_replaced: bool,
        out: &mut BatchBuilder,
    ) {
        let Some(schema) = &relation.schema else { return };
        let known = self.layouts.get(&layout.name);
        if known == Some(&layout) {
            return;
        }
        let rewritten =
            known.and_then(|known| relation.rewritten_since(&known.columns, &layout.columns));
        if let Some(column) = rewritten.filter(|_| !is_replaced && self.skip == 0) {
            let table = out.table(schema);
            out.doubted(table, &format!("its column {column} was made anew or got another type"));
        }
        self.layouts.insert(layout.name.clone(), layout);
        self.has_news = true;
    }

    fn insert(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let Some(relation) = self.captured(cursor, out)? else { return Ok(()) };
        cursor.expect(b'N', "the new row of an insert")?;
        let after = relation.image(cursor, out, None)?;
        cursor.end()?;
        relation.finish(out, Op::Insert, None, Some(after));
        Ok(())
    }

    fn update(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let Some(relation) = self.captured(cursor, out)? else { return Ok(()) };
        let before = match cursor.u8()? {
            b'K' => Some(relation.key_image(cursor, out)?),
            b'O' => Some(relation.image(cursor, out, None)?),
            b'N' => None,
            other => return Err(unexpected(other, "a row of an update")),
        };
        if before.is_some() {
            cursor.expect(b'N', "the new row of an update")?;
        }
        let after = relation.image(cursor, out, before)?;
        cursor.end()?;
        relation.finish(out, Op::Update, before, Some(after));
        Ok(())
    }

    fn delete(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let Some(relation) = self.captured(cursor, out)? else { return Ok(()) };
        let before = match cursor.u8()? {
            b'K' => relation.key_image(cursor, out)?,
            b'O' => relation.image(cursor, out, None)?,
            other => return Err(unexpected(other, "the old row of a delete")),
        };
        cursor.end()?;
        relation.finish(out, Op::Delete, Some(before), None);
        Ok(())
    }

    fn truncate(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let count = cursor.u32()?;
        let _options = cursor.u8()?;
        inside(out)?;
        for _ in 0..count {
            let oid = cursor.u32()?;
            let relation = self.relations.get(&oid).ok_or_else(|| unknown(oid))?;
            let Some(schema) = &relation.schema else { continue };
            if self.skip > 0 {
                self.skip -= 1;
                out.skip();
                continue;
            }
            let table = out.table(schema);
            out.cleared(table, ClearCause::Truncate);
        }
        cursor.end()
    }

    /// The relation a row message speaks of, if the row is to be decoded.
    fn captured(
        &mut self,
        cursor: &mut Cursor<'_>,
        out: &mut BatchBuilder,
    ) -> Result<Option<&Relation>> {
        let oid = cursor.u32()?;
        inside(out)?;
        let relation = self.relations.get(&oid).ok_or_else(|| unknown(oid))?;
        if relation.schema.is_none() {
            return Ok(None);
        }
        if self.skip > 0 {
            self.skip -= 1;
            out.skip();
            return Ok(None);
        }
        Ok(Some(relation))
    }
}

impl Resumed {
    /// The log is not the one in which the transaction was partly read.
    fn elsewhere(&self, found: &str) -> Error {
        let Self { partial, slot, .. } = self;
        Error::operator(
            format!(
                "{found}, where {} changes of transaction {} have been read: it is not the log of \
                 the checkpoint",
                partial.rows, partial.txid
            ),
            format!(
                "SELECT pg_drop_replication_slot('{slot}'); and start again: the gap is reported \
                 then, and the log followed from its end"
            ),
        )
    }
}

/// Replaces `text` by the printed form of `value`, without a new allocation.
fn print(text: &mut String, value: &dyn std::fmt::Display) {
    use std::fmt::Write as _;
    text.clear();
    write!(text, "{value}").expect("a string takes everything");
}

fn inside(out: &BatchBuilder) -> Result<()> {
    if out.is_open() {
        return Ok(());
    }
    Err(Error::definite("the server sent a change outside of a transaction"))
}

/// A server before 14 does that when `publish_via_partition_root` changes under an open stream. It
/// describes everything anew to the next one.
fn unknown(oid: u32) -> Error {
    Error::transient(format!("the server sent a row of relation {oid} before describing it"))
}

fn unexpected(found: u8, wanted: &str) -> Error {
    Error::definite(format!("the server sent 0x{found:02x} where {wanted} begins"))
}

#[cfg(test)]
mod tests;
