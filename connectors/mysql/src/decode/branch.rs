//! Distributed transactions. The changes of one stand in the log where its first phase ended, and
//! count where its second one does: days later if need be, or never. The log itself keeps them;
//! what is remembered is the place.

use connector_api::{BatchBuilder, Error, Result};

use super::group::Branch;
use super::{Decoded, Decoder, Out};
use crate::log::{Event, Frame, MariadbGtid, XaPrepare};
use crate::position::{NOTHING_THERE, Prepared};
use crate::statement::{Statement, Xa, XaStep, Xid};

/// Prepared transactions that are remembered. A server that has more has been forgotten by whoever
/// manages them.
const PREPARED_MAX: usize = 256;
/// Changes after which a branch is passed over: it is held in one piece, since a block that went
/// out could not be taken back.
const CHANGES_MAX: u32 = 2048;
/// The same in bytes of their values.
const BYTES_MAX: usize = 1 << 20;

impl Decoder {
    /// The first phase is over: nothing is visible yet, unless it is the only one.
    pub(super) fn xa_prepare(&mut self, xa: &XaPrepare<'_>, out: &mut Out<'_>) -> Result<Decoded> {
        let (file, start) = (self.place.here.file.clone(), self.group.as_ref().map(|it| it.start));
        let mut offset = start.unwrap_or(self.place.start);
        let is_passed_over = self.branch() == Branch::PassedOver;
        if xa.one_phase {
            if is_passed_over {
                return Ok(self.recall_from(Prepared { xid: xid_of(xa), file, offset }));
            }
            self.commit(out)?;
            return Ok(Decoded::Whole);
        }
        if !is_passed_over && !self.take_back(out) {
            self.doubt(
                "it was changed in a distributed transaction (XA PREPARE), too much of it to wait \
                 for its commit",
                out,
            );
        }
        if self.group.as_ref().is_some_and(|group| !group.holds_captured) {
            offset = NOTHING_THERE;
        }
        let prepared = &mut self.place.here.prepared;
        let xid = xid_of(xa);
        prepared.retain(|known| known.xid != xid);
        if prepared.len() == PREPARED_MAX {
            prepared.remove(0);
        }
        prepared.push(Prepared { xid, file, offset });
        self.commit(out)?;
        Ok(Decoded::Whole)
    }

    /// A step that the log holds as a statement.
    pub(super) fn xa_step(
        &mut self,
        xa: &Xa,
        frame: &Frame<'_>,
        out: &mut Out<'_>,
    ) -> Result<Decoded> {
        match xa.step {
            XaStep::Start => {
                let group = self.enter(frame, out)?;
                group.is_begun = true;
                group.branch = Branch::Undecided;
                out.room().hold(true);
            }
            // It is said by an event of its own.
            XaStep::End | XaStep::Prepare => {}
            XaStep::Commit { .. } => {
                self.enter(frame, out)?;
                let known = &mut self.place.here.prepared;
                if let Some(nth) = known.iter().position(|known| known.xid == xa.xid) {
                    let prepared = known.remove(nth);
                    if prepared.offset != NOTHING_THERE {
                        return Ok(self.recall_from(prepared));
                    }
                    self.commit(out)?;
                } else {
                    self.never_seen(out)?;
                }
            }
            XaStep::Rollback => {
                self.enter(frame, out)?;
                self.place.here.prepared.retain(|known| known.xid != xa.xid);
                // One that was not prepared is in the log where it changed a table that does not
                // roll back: with all of its rows.
                if self.branch() != Branch::None {
                    self.undo(
                        "a distributed transaction that changed it was rolled back, together with \
                         a table without transactions",
                        out,
                    );
                }
                self.commit(out)?;
            }
        }
        Ok(Decoded::Whole)
    }

    pub(super) fn branch(&self) -> Branch {
        self.group.as_ref().map_or(Branch::None, |group| group.branch)
    }

    /// Before a branch is too long to be taken back. Returns whether it is passed over from here.
    pub(super) fn passes_over_if_long(&mut self, out: &mut Out<'_>) -> bool {
        if self.branch() != Branch::Undecided {
            return false;
        }
        let is_long =
            out.batch.next_ordinal() >= CHANGES_MAX || out.batch.bytes_since_block() >= BYTES_MAX;
        if !is_long {
            return false;
        }
        if !self.take_back(out) {
            out.room().hold(false);
            return false;
        }
        let group = self.group.as_mut().expect("a branch is one");
        group.branch = Branch::PassedOver;
        true
    }

    fn recall_from(&mut self, place: Prepared) -> Decoded {
        if let Some(group) = &mut self.group {
            group.branch = Branch::None;
        }
        // What is known by number here may have been another table there.
        self.tables.clear();
        self.recalling = Some(place.xid.clone());
        Decoded::Recalls(place)
    }

    /// Decodes an event of the changes that [`Decoded::Recalls`] asked for. Returns whether it was
    /// the last; [`Self::recalled`] is due then.
    ///
    /// # Errors
    /// As of [`Self::event`].
    pub fn recall(
        &mut self,
        frame: &Frame<'_>,
        out: &mut BatchBuilder,
        full: &mut dyn FnMut(connector_api::Batch),
    ) -> Result<Decoded> {
        let mut out = Out { batch: out, full };
        match frame.event()? {
            Event::MariadbGtid(MariadbGtid { xa: Some(xa), .. }) | Event::XaPrepare(xa) => {
                self.check_recalled(&xid_of(&xa)).map(|()| Decoded::Whole)
            }
            Event::TableMap(map) => self.table_map(frame, &map, &mut out),
            Event::Rows(rows) => self.rows(frame, &rows, &mut out),
            Event::Query(query) => {
                let statement = self.meaning_of(&query, frame.flavor)?;
                if self.asks_for_suspects(&statement) {
                    return Ok(Decoded::Suspects);
                }
                match statement {
                    Statement::Xa(Xa { step: XaStep::Start, xid }) => self.check_recalled(&xid)?,
                    statement => self.inside(statement, &mut out),
                }
                Ok(Decoded::Whole)
            }
            Event::TransactionPayload(_) => Ok(Decoded::Packed),
            _ => Ok(Decoded::Whole),
        }
    }

    /// Changes of another transaction stand where those were that are wanted: nothing of them may
    /// be taken for these.
    fn check_recalled(&self, found: &Xid) -> Result<()> {
        if self.recalling.as_ref().is_none_or(|wanted| wanted == found) {
            return Ok(());
        }
        Err(Error::transient(
            "another distributed transaction stands where one is to be read again: it is another \
             log than the one that is followed",
        ))
    }

    /// All changes that were asked for have been decoded, or they are not to be had any more.
    ///
    /// # Errors
    /// A log that does not go on as it was read before.
    pub fn recalled(
        &mut self,
        are_there: bool,
        out: &mut BatchBuilder,
        full: &mut dyn FnMut(connector_api::Batch),
    ) -> Result<()> {
        let mut out = Out { batch: out, full };
        self.tables.clear();
        self.recalling = None;
        if are_there { self.commit(&mut out) } else { self.never_seen(&mut out) }
    }

    /// The changes of a branch stand where nobody can read them: they may be of any table.
    fn never_seen(&mut self, out: &mut Out<'_>) -> Result<()> {
        // What was read of them, while they were there, is durable.
        for _ in 0..std::mem::take(&mut self.skip) {
            out.room().skip();
        }
        for name in self.known_tables() {
            let schema = self.shape(&name);
            let reason = "it may have been changed by a distributed transaction (XA COMMIT), whose \
                          rows stand in a part of the log that is not to be had";
            self.unreadable(&schema, reason, out);
        }
        self.commit(out)
    }
}

fn xid_of(xa: &XaPrepare<'_>) -> Xid {
    Xid { global: xa.global.to_vec(), branch: xa.branch.to_vec(), format: xa.format_id }
}
