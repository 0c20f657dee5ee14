use std::fmt;
use std::sync::Arc;

use connector_api::{BeginText, Error, Result, TableSchema};

use super::{Decoder, Out, Resumed};
use crate::log::{Event, Frame, MariadbGtid, Rotate};
use crate::position::{Gtid, MariaGtid, Origin, Tag, Uuid};

/// Table numbers that are remembered. A server with many tables gives them new ones all the time.
const TABLES_MAX: usize = 1024;

/// What the server calls a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Nothing.
    None,
    MySql(Gtid),
    MariaDb(MariaGtid),
}

impl Name {
    fn write_to<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::MySql(gtid) => gtid.write_to(out),
            Self::MariaDb(gtid) => gtid.write_to(out),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// How a transaction is announced.
pub(super) struct Announced {
    name: Name,
    committed_at_us: Option<i64>,
    /// Rows follow without a BEGIN.
    begins: bool,
    /// It ends with the first phase of a distributed one.
    prepares: bool,
}

/// Events that belong together: a transaction, or a statement that is one by itself.
#[derive(Debug)]
pub(super) struct Group {
    name: Name,
    coordinate: u64,
    /// Its first event.
    pub(super) start: u64,
    committed_at_us: i64,
    /// It has begun, and only what ends transactions ends it.
    pub(super) is_begun: bool,
    /// Captured tables it has changed.
    pub(super) touched: Vec<Arc<TableSchema>>,
    /// Something of captured tables is in it, read or passed over.
    pub(super) holds_captured: bool,
    /// Captured tables whose other shape it told of.
    pub(super) reshaped: Vec<Arc<TableSchema>>,
    /// Captured tables that may have changed with others, and why.
    pub(super) doubted: Vec<(Arc<TableSchema>, &'static str)>,
    /// What becomes of its changes, where it is a distributed one.
    pub(super) branch: Branch,
}

/// How far the changes of a transaction count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Branch {
    /// It is none of a distributed transaction.
    None,
    /// They are read; whether they count at its end is not known yet.
    Undecided,
    /// They are passed over, and recalled when it is committed.
    PassedOver,
}

pub(super) fn of_mysql(gtid: &crate::log::Gtid<'_>) -> Result<Announced> {
    let name = match &gtid.owner {
        None => Name::None,
        Some(owner) => {
            let tag = Tag::new(owner.tag)
                .ok_or_else(|| Error::definite("the server named a transaction by no tag"))?;
            let origin = Origin { uuid: Uuid(owner.uuid), tag };
            Name::MySql(Gtid { origin, number: owner.number })
        }
    };
    let committed_at_us = gtid.committed_at_us.and_then(|time| i64::try_from(time).ok());
    Ok(Announced { name, committed_at_us, begins: false, prepares: false })
}

pub(super) fn of_mariadb(gtid: &MariadbGtid<'_>) -> Announced {
    let MariadbGtid { domain, server, sequence, .. } = *gtid;
    let name = Name::MariaDb(MariaGtid { domain, server, sequence });
    let begins = !gtid.is_standalone;
    Announced { name, committed_at_us: None, begins, prepares: gtid.prepares_xa }
}

/// What the server calls the transaction that an event begins.
pub(crate) fn name_of(event: &Event<'_>) -> Result<Option<String>> {
    Ok(match event {
        Event::Gtid(gtid) => Some(of_mysql(gtid)?.name.to_string()),
        Event::MariadbGtid(gtid) => Some(of_mariadb(gtid).name.to_string()),
        _ => None,
    })
}

impl Decoder {
    /// A transaction says its name.
    pub(super) fn named(
        &mut self,
        announced: Announced,
        frame: &Frame<'_>,
        out: &mut Out<'_>,
    ) -> Result<()> {
        if self.group.is_some() {
            return Err(Error::definite(format!(
                "the server began a transaction inside another, before {} of {}",
                self.place.here.offset, self.place.here.file
            )));
        }
        self.begin_group(&announced, frame, out)
    }

    /// A transaction begins that nothing has announced, or goes on.
    pub(super) fn enter(&mut self, frame: &Frame<'_>, out: &mut Out<'_>) -> Result<&mut Group> {
        if self.group.is_none() {
            let unnamed = Announced {
                name: Name::None,
                committed_at_us: None,
                begins: false,
                prepares: false,
            };
            self.begin_group(&unnamed, frame, out)?;
        }
        Ok(self.group.as_mut().expect("it was begun just now"))
    }

    fn begin_group(
        &mut self,
        announced: &Announced,
        frame: &Frame<'_>,
        out: &mut Out<'_>,
    ) -> Result<()> {
        let seconds = i64::from(frame.header.timestamp) * 1_000_000;
        let group = Group {
            name: announced.name,
            coordinate: self.place.coordinate(),
            start: self.place.start,
            committed_at_us: announced.committed_at_us.unwrap_or(seconds),
            is_begun: announced.begins,
            touched: std::mem::take(&mut self.touched),
            holds_captured: false,
            reshaped: Vec::new(),
            doubted: Vec::new(),
            branch: if announced.prepares { Branch::PassedOver } else { Branch::None },
        };
        let [txid, position] = &mut self.texts;
        self.place.print_start(position);
        txid.clear();
        match group.name {
            Name::None => txid.push_str(position),
            name => name.write_to(txid).expect("a string takes everything"),
        }
        if let Some(resumed) = &self.resumed {
            if resumed.partial.txid != *txid {
                let found = format!("the log continues with transaction {txid}");
                return Err(resumed.elsewhere(&found));
            }
            self.skip = resumed.partial.rows;
        }
        out.room().begin(BeginText {
            coordinate: group.coordinate,
            committed_at_us: group.committed_at_us,
            txid,
            position,
        });
        self.group = Some(group);
        Ok(())
    }

    /// The transaction is complete.
    pub(super) fn commit(&mut self, out: &mut Out<'_>) -> Result<()> {
        let Some(group) = &self.group else {
            return Err(Error::definite("the server ended a transaction that it did not begin"));
        };
        if let Some(resumed) = self.resumed.take_if(|_| self.skip == 0) {
            if self.capture != resumed.next {
                self.place.forget_empty_branches();
            }
            self.capture = resumed.next;
            self.shapes.clear();
            self.tables.clear();
        }
        if let Some(resumed) = &self.resumed {
            let found = format!("it now has {} changes less than that", self.skip);
            return Err(resumed.elsewhere(&found));
        }
        if self.tables.len() > TABLES_MAX {
            self.tables.clear();
        }
        self.place.add(&group.name);
        if let Some(mut group) = self.group.take() {
            group.touched.clear();
            self.touched = group.touched;
        }
        let [_, position] = &mut self.texts;
        self.place.print(position);
        self.place.tell();
        out.room().commit(position);
        Ok(())
    }

    /// The transaction did not happen. Rows of tables without transactions stay changed, and the
    /// log does not say which they are.
    pub(super) fn undo(&mut self, reason: &str, out: &mut Out<'_>) {
        self.take_back(out);
        self.doubt(reason, out);
    }

    /// Takes the changes of the transaction back, as far as nobody has seen them. Returns whether
    /// nobody has seen any.
    pub(super) fn take_back(&mut self, out: &mut Out<'_>) -> bool {
        let Some(group) = &self.group else { return true };
        let is_unseen = out.room().abandon();
        if is_unseen {
            let [txid, position] = &self.texts;
            let (coordinate, committed_at_us) = (group.coordinate, group.committed_at_us);
            let batch = out.room();
            batch.begin(BeginText { coordinate, committed_at_us, txid, position });
            for schema in &group.reshaped {
                let table = batch.table(schema);
                batch.schema_changed(table);
            }
            for (schema, reason) in &group.doubted {
                let table = batch.table(schema);
                batch.doubted(table, reason);
            }
        }
        is_unseen
    }

    /// Rows of the transaction may have been changed back.
    pub(super) fn doubt(&mut self, reason: &str, out: &mut Out<'_>) {
        let touched = self.group.as_ref().map(|group| group.touched.clone()).unwrap_or_default();
        for schema in touched {
            self.unreadable(&schema, reason, out);
        }
    }

    /// Counts one change that cannot be read as rows, and says so.
    pub(super) fn unreadable(&mut self, schema: &Arc<TableSchema>, why: &str, out: &mut Out<'_>) {
        if let Some(group) = &mut self.group {
            group.holds_captured = true;
        }
        let batch = out.room();
        if self.skip > 0 {
            self.skip -= 1;
            batch.skip();
            return;
        }
        let table = batch.table(schema);
        batch.unreadable(table, why);
    }

    /// Every captured table may have changed.
    pub(super) fn unreadable_everywhere(
        &mut self,
        frame: &Frame<'_>,
        reason: &str,
        out: &mut Out<'_>,
    ) -> Result<()> {
        let is_begun = self.enter(frame, out)?.is_begun;
        for name in self.known_tables() {
            let schema = self.shape(&name);
            // It is changed also where the transaction ends otherwise than by a commit.
            self.touch(&schema);
            self.unreadable(&schema, reason, out);
        }
        if is_begun { Ok(()) } else { self.commit(out) }
    }

    pub(super) fn rotate(&mut self, rotate: &Rotate<'_>, out: &mut Out<'_>) -> Result<()> {
        self.cut_off(out)?;
        self.place.rotate(rotate)
    }

    /// A file's FORMAT_DESCRIPTION.
    pub(super) fn file_begins(&mut self, frame: &Frame<'_>, out: &mut Out<'_>) -> Result<()> {
        self.cut_off(out)?;
        self.place.begun(&frame.header);
        if frame.header.next_position != 0 {
            self.progress(out);
        }
        Ok(())
    }

    /// A file that ends inside a transaction is one whose server died: it did not happen.
    fn cut_off(&mut self, out: &mut Out<'_>) -> Result<()> {
        if self.group.is_none() {
            return Ok(());
        }
        self.undo("its server died in the middle of a transaction that changed it", out);
        if let Some(group) = &mut self.group {
            // The server may give it to another transaction.
            group.name = Name::None;
        }
        self.commit(out)
    }

    /// Everything up to here has been read.
    pub(super) fn progress(&mut self, out: &mut Out<'_>) {
        if self.group.is_some() || self.resumed.is_some() || !self.place.tell() {
            return;
        }
        let [_, position] = &mut self.texts;
        self.place.print(position);
        out.room().progress(position);
    }
}

impl Resumed {
    /// The log is not the one in which the transaction was partly read.
    fn elsewhere(&self, found: &str) -> Error {
        let Resumed { partial, .. } = self;
        Error::operator(
            format!(
                "{found}, where {} changes of transaction {} have been read: it is not the log of \
                 the checkpoint",
                partial.rows, partial.txid
            ),
            "remove the source's checkpoint and start again: the gap is reported then, and the \
             log followed from its end",
        )
    }
}
