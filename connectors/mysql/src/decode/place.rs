use connector_api::{Error, Result};

use super::group::Name;
use crate::log::{Event, Header, Heartbeat, MariadbGtidList, Rotate};
use crate::position::{
    GtidSet, GtidSetText, Gtids, LogFile, LogPosition, MariaGtid, MariaState, NOTHING_THERE,
    write_number,
};

/// Where in the log an event stands, and which transactions lie before it.
#[derive(Debug)]
pub(super) struct Place {
    /// Behind the last event of the log, with the transactions that are complete.
    pub(super) here: LogPosition,
    /// Of the MySQL transactions before it.
    known: Option<GtidSetText>,
    /// Where the event read last begins.
    pub(super) start: u64,
    /// Whether the transactions before this file are known, none of them included.
    knows_before: bool,
    /// The furthest place that anybody was told of.
    told: (LogFile, u64),
    /// Whether all that lies before this place has been read. A stream that was asked for by
    /// transactions begins with the head of a file in which some of them stand.
    is_reached: bool,
    /// The transactions behind which the stream was asked for, until they all lie before this
    /// place. The server passes over them wherever they stand: whoever goes on from an offset
    /// before one would read it again.
    withheld: Option<Gtids>,
    /// When this file was begun; 0 until it has said so.
    begun: u32,
}

impl Place {
    pub(super) fn new(here: LogPosition) -> Self {
        let start = here.offset;
        let told = (here.file.clone(), start);
        let known = text_of(&here.gtids);
        let begun = here.created;
        let (knows_before, is_reached, withheld) = (false, true, None);
        Self { here, known, start, knows_before, told, is_reached, withheld, begun }
    }

    pub(super) fn begins_behind_transactions(&mut self) {
        self.is_reached = false;
        self.withheld = Some(self.here.gtids.clone());
        self.here.created = 0;
    }

    /// All that the server passes over lies behind.
    fn withholds_nothing(&mut self) {
        self.withheld = None;
        self.here.created = self.begun;
    }

    /// Moves behind an event, if it is one of the log itself.
    pub(super) fn read(&mut self, header: &Header, event: &Event<'_>) {
        let is_made_up = header.next_position == 0 || header.is_artificial();
        if is_made_up || matches!(event, Event::Heartbeat(_)) {
            return;
        }
        let end = self.wide(u64::from(header.next_position));
        self.start = end.saturating_sub(u64::from(header.size));
        self.here.offset = end;
    }

    /// Distributed transactions in which nothing was captured may hold something of what is now:
    /// they are taken for such as were never seen.
    pub(super) fn forget_empty_branches(&mut self) {
        self.here.prepared.retain(|known| known.offset != NOTHING_THERE);
    }

    pub(super) fn coordinate(&self) -> u64 {
        LogPosition::coordinate(&self.here.file, self.start)
    }

    /// Whether this place is further than any that was told.
    pub(super) fn tell(&mut self) -> bool {
        if !self.is_reached {
            return false;
        }
        let (file, offset) = &mut self.told;
        let before = LogPosition::coordinate(file, *offset);
        let now = LogPosition::coordinate(&self.here.file, self.here.offset);
        let is_further = file.base() != self.here.file.base() || now > before;
        if is_further {
            if *file != self.here.file {
                file.clone_from(&self.here.file);
            }
            *offset = self.here.offset;
        }
        is_further
    }

    pub(super) fn rotate(&mut self, rotate: &Rotate<'_>) -> Result<()> {
        let name = String::from_utf8_lossy(rotate.file);
        let file: LogFile = name.parse().map_err(|why| {
            Error::definite("the server goes on in a file that no binlog can be").because(why)
        })?;
        if file != self.here.file {
            (self.begun, self.here.created) = (0, 0);
        }
        self.here.file = file;
        self.here.offset = rotate.position;
        self.start = rotate.position;
        Ok(())
    }

    /// A file's first event says when it was begun, also where it is sent again.
    pub(super) fn begun(&mut self, header: &Header) {
        if header.timestamp != 0 {
            self.begun = header.timestamp;
            self.here.created = if self.withheld.is_some() { 0 } else { self.begun };
        }
    }

    /// Whether the server says how far it has read in this file.
    pub(super) fn heard(&mut self, heartbeat: &Heartbeat<'_>) -> bool {
        if heartbeat.file != self.here.file.as_str().as_bytes() {
            return false;
        }
        // A server with room for the whole position sends it whole.
        let position = match u32::try_from(heartbeat.position) {
            Ok(position) => self.wide(u64::from(position)),
            Err(_) => heartbeat.position,
        };
        if self.begun == 0 {
            return false;
        }
        self.here.offset = position.max(self.here.offset);
        self.is_reached = true;
        true
    }

    pub(super) fn mysql_before(&mut self, set: &[u8]) -> Result<()> {
        let set = GtidSet::decode(set).map_err(|why| {
            Error::definite("the transactions before this log file cannot be read").because(why)
        })?;
        if let Some(Gtids::MySql(withheld)) = &self.withheld
            && withheld.is_subset(&set)
        {
            self.withholds_nothing();
        }
        match &mut self.here.gtids {
            Gtids::None => {
                self.knows_before = true;
                if set.is_empty() {
                    return Ok(());
                }
                self.here.gtids = Gtids::MySql(set);
            }
            // All of that has been read: what a stream begins with may not name all before it.
            Gtids::MySql(known) if self.withheld.is_none() && !set.is_subset(known) => {
                known.union(&set);
            }
            _ => return Ok(()),
        }
        self.known = text_of(&self.here.gtids);
        Ok(())
    }

    pub(super) fn mariadb_before(&mut self, list: &MariadbGtidList<'_>) {
        let gtids =
            list.iter().map(|(domain, server, sequence)| MariaGtid { domain, server, sequence });
        let before = MariaState::from_iter(gtids);
        if let Some(Gtids::MariaDb(withheld)) = &self.withheld
            && withheld.gtids().all(|gtid| before.holds(&gtid))
        {
            self.withholds_nothing();
        }
        if self.here.gtids == Gtids::None {
            self.here.gtids = Gtids::MariaDb(before.position().clone());
        }
    }

    /// The transaction is complete.
    pub(super) fn add(&mut self, name: &Name) {
        self.is_reached = true;
        match (name, &mut self.here.gtids) {
            (Name::MySql(gtid), Gtids::MySql(set)) => {
                set.add(*gtid);
                if let Some(known) = &mut self.known {
                    known.added(*gtid, set);
                }
            }
            (Name::MySql(gtid), none @ Gtids::None) if self.knows_before => {
                let mut set = GtidSet::default();
                set.add(*gtid);
                *none = Gtids::MySql(set);
                self.known = text_of(none);
            }
            (Name::MariaDb(gtid), Gtids::MariaDb(position)) => position.add(*gtid),
            _ => {}
        }
    }

    /// Replaces `text` by the file and the offset at which the last event begins.
    pub(super) fn print_start(&self, text: &mut String) {
        text.clear();
        text.push_str(self.here.file.as_str());
        text.push(':');
        write_number(self.start, text).expect("a string takes everything");
    }

    /// Replaces `text` by the printed form of the place behind the last event.
    pub(super) fn print(&self, text: &mut String) {
        text.clear();
        self.here.write_to(text, self.known.as_ref()).expect("a string takes everything");
    }

    /// Positions have 32 bits, and files may grow beyond them.
    fn wide(&self, low: u64) -> u64 {
        const BITS: u64 = 1 << 32;
        let wide = self.here.offset / BITS * BITS + low;
        // A stream that begins with an earlier file's events may go back, but not by half of it.
        let is_lower = wide.saturating_add(BITS / 2) < self.here.offset;
        if is_lower { wide.saturating_add(BITS) } else { wide }
    }
}

fn text_of(gtids: &Gtids) -> Option<GtidSetText> {
    match gtids {
        Gtids::MySql(set) => Some(GtidSetText::of(set)),
        Gtids::None | Gtids::MariaDb(_) => None,
    }
}
