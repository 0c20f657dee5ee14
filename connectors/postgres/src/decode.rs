//! pgoutput, protocol version 1, text format: from the messages of a replication stream to row
//! changes (PostgreSQL documentation, "Logical Replication Message Formats").
//!
//! Captured columns are decoded, everything else is skipped by its length, and no row costs a heap
//! allocation. Any bytes may come in: each read is checked, and what does not fit is an error.

mod cursor;
mod relation;

use std::collections::HashMap;

use connector_api::{
    BatchBuilder, BeginText, Capture, Cell, ClearCause, Error, Op, Partial, Result, ResumePoint,
    TableSchema,
};

use crate::position::Lsn;
use cursor::Cursor;
use relation::Relation;

/// Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// What the captured tables looked like when the position was stored.
pub type KnownSchemas = Vec<TableSchema>;

/// Turns the messages of one stream into row changes.
#[derive(Debug)]
pub struct Decoder {
    capture: Capture,
    relations: HashMap<u32, Relation>,
    /// The transaction that is partly durable, until it has been passed.
    resumed: Option<Partial>,
    /// Captured changes of the open transaction that are still to be passed over.
    skip: u32,
    texts: Texts,
}

/// Buffers for the printed forms of a transaction's numbers.
#[derive(Debug, Default)]
struct Texts {
    txid: String,
    position: String,
}

impl Decoder {
    /// A decoder for a stream that begins at `from`.
    pub fn new(from: &ResumePoint, capture: Capture) -> Self {
        Self {
            capture,
            relations: HashMap::new(),
            resumed: from.partial.clone(),
            skip: 0,
            texts: Texts::default(),
        }
    }

    /// Decodes one message into `out`, which must not be full.
    pub fn message(&mut self, message: &[u8], out: &mut BatchBuilder) -> Result<()> {
        let mut cursor = Cursor::new(message);
        match cursor.u8()? {
            b'B' => self.begin(&mut cursor, out),
            b'C' => self.commit(&mut cursor, out),
            b'R' => self.relation(&mut cursor, out),
            b'I' => self.insert(&mut cursor, out),
            b'U' => self.update(&mut cursor, out),
            b'D' => self.delete(&mut cursor, out),
            b'T' => self.truncate(&mut cursor, out),
            // Origin, Type and logical messages say nothing about rows, and count as nothing.
            b'O' | b'Y' | b'M' => Ok(()),
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
            return Err(Error::definite("a transaction begins inside another"));
        }
        let Texts { txid, position } = &mut self.texts;
        print(txid, &xid);
        print(position, &commit);
        if let Some(partial) = self.resumed.take() {
            if partial.txid != *txid {
                return Err(Error::definite(format!(
                    "the log continues with transaction {txid} where transaction {} was partly \
                     read: it is not the log of the checkpoint",
                    partial.txid
                )));
            }
            self.skip = partial.rows;
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
        if self.skip > 0 {
            return Err(Error::definite(format!(
                "the partly read transaction ends {} changes before the place that was reached",
                self.skip
            )));
        }
        print(&mut self.texts.position, &end);
        out.commit(&self.texts.position);
        Ok(())
    }

    fn relation(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let oid = cursor.u32()?;
        let relation = Relation::read(cursor, &self.capture)?;
        let known = self.relations.get(&oid).and_then(|known| known.schema.as_ref());
        let changed = match (known, &relation.schema) {
            (Some(known), Some(schema)) if **known == **schema => {
                // The same shape: later rows keep the place they have in the batch.
                let schema = std::sync::Arc::clone(known);
                self.relations.insert(oid, Relation { schema: Some(schema), ..relation });
                return Ok(());
            }
            (Some(_), Some(schema)) => Some(std::sync::Arc::clone(schema)),
            _ => None,
        };
        if let Some(schema) = changed {
            let table = out.table(&schema);
            out.schema_changed(table);
        }
        self.relations.insert(oid, relation);
        Ok(())
    }

    fn insert(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let Some(relation) = self.captured(cursor, out)? else { return Ok(()) };
        cursor.expect(b'N', "the new row of an insert")?;
        let after = relation.image(cursor, out, None)?;
        relation.finish(out, Op::Insert, None, Some(after));
        Ok(())
    }

    fn update(&mut self, cursor: &mut Cursor<'_>, out: &mut BatchBuilder) -> Result<()> {
        let Some(relation) = self.captured(cursor, out)? else { return Ok(()) };
        let (before, full) = match cursor.u8()? {
            b'K' => (Some(relation.key_image(cursor, out)?), false),
            b'O' => (Some(relation.image(cursor, out, None)?), true),
            b'N' => (None, false),
            other => return Err(unexpected(other, "a row of an update")),
        };
        if before.is_some() {
            cursor.expect(b'N', "the new row of an update")?;
        }
        // With the whole old row at hand an unchanged value is known.
        let after = relation.image(cursor, out, before.filter(|_| full))?;
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
        Ok(())
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
    Err(Error::definite("the server sent a row outside of a transaction"))
}

fn unknown(oid: u32) -> Error {
    Error::definite(format!("the server sent a row of relation {oid} before describing it"))
}

fn unexpected(found: u8, wanted: &str) -> Error {
    Error::definite(format!("the server sent 0x{found:02x} where {wanted} begins"))
}

/// A column that is not in an image.
const ABSENT: Cell = Cell::Absent;

#[cfg(test)]
mod tests;
