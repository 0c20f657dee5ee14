use std::collections::HashMap;

use connector_api::{Capture, Result, TableName};

use super::reader::{Arrived, LogReader};
use crate::config::MysqlConfig;
use crate::decode::meaning;
use crate::log::{Event, Flavor, Frame, Framing, Header, Query};
use crate::position::{LogFile, LogPosition};
use crate::session::Session;
use crate::statement::{Change, Statement};

/// A place of the log: what lies before it has a smaller number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) file: LogFile,
    pub(crate) offset: u64,
}

impl Mark {
    fn number(&self) -> u64 {
        LogPosition::coordinate(&self.file, self.offset)
    }

    pub(super) fn is_before(&self, other: &Mark) -> bool {
        self.number() < other.number()
    }

    /// Moves behind an event.
    pub(super) fn pass(&mut self, header: &Header, event: &Event<'_>) {
        if let Event::Rotate(rotate) = event {
            let name = String::from_utf8_lossy(rotate.file);
            if let Ok(file) = name.parse() {
                *self = Self { file, offset: rotate.position };
            }
            return;
        }
        // Positions have 32 bits; those of what the server makes up are 0.
        let low = u64::from(header.next_position);
        if low != 0 && !header.is_artificial() {
            const BITS: u64 = 1 << 32;
            let wide = self.offset / BITS * BITS + low;
            self.offset = match event {
                Event::Heartbeat(_) => wide.max(self.offset),
                _ if wide < self.offset => wide + BITS,
                _ => wide,
            };
        }
    }
}

/// Where in a stretch of the log captured tables are changed as a whole. What the database says of
/// a table is true at a place that lies behind only if no such change lies in between.
#[derive(Debug)]
pub(super) struct Scan {
    capture: Capture,
    fold_case: bool,
    /// From where and up to where the log has been looked at.
    stretch: Option<(Mark, Mark)>,
    tables: HashMap<TableName, Mark>,
    /// The last change of which it cannot be said what it changed.
    any: Option<Mark>,
    schemas: HashMap<String, Mark>,
    room: Vec<u8>,
}

impl Scan {
    pub(super) fn new(capture: Capture, fold_case: bool) -> Self {
        let (tables, schemas) = (HashMap::new(), HashMap::new());
        Self { capture, fold_case, stretch: None, tables, any: None, schemas, room: Vec::new() }
    }

    /// Looks at the log between two places, but for what it has looked at before. On a connection
    /// of its own, which ends with the log that is there.
    pub(super) async fn extend(
        &mut self,
        config: &MysqlConfig,
        from: Mark,
        to: &Mark,
    ) -> Result<()> {
        let (begin, from) = match self.stretch.take() {
            Some((begin, end)) if !from.is_before(&begin) && from.is_before(&end) => (begin, end),
            _ => (from.clone(), from),
        };
        if !from.is_before(to) {
            self.stretch = Some((begin, from));
            return Ok(());
        }
        let session = Session::connect(config).await?;
        let mut reader = LogReader::of_what_is_there(session, &from.file, from.offset).await?;
        let mut here = from;
        let mut framing = Framing::default();
        while here.is_before(to) {
            match reader.arrived()? {
                None => reader.more_in_time().await?,
                Some(Arrived::Event(bytes)) => self.see(&framing.frame(bytes)?, &mut here)?,
                Some(Arrived::End) => break,
            }
        }
        self.stretch = Some((begin, here));
        Ok(())
    }

    fn see(&mut self, frame: &Frame<'_>, here: &mut Mark) -> Result<()> {
        let event = frame.event()?;
        if let Event::Query(query) = &event {
            self.query(query, frame.flavor, here)?;
        }
        here.pass(&frame.header, &event);
        Ok(())
    }

    fn query(&mut self, query: &Query<'_>, flavor: Flavor, here: &Mark) -> Result<()> {
        let captured = |schema: &str, table: &str| {
            self.capture.columns_of(&TableName::new(schema, table)).is_some()
        };
        let how = (flavor, self.fold_case);
        let changes = match meaning(query, how, &captured, &mut self.room)? {
            Statement::Ddl(changes) => changes,
            Statement::Unknown { tables } => tables.into_iter().map(Change::Altered).collect(),
            Statement::Illegible => {
                self.any = Some(here.clone());
                return Ok(());
            }
            _ => return Ok(()),
        };
        for change in changes {
            match change {
                // Either it was there and stays as it is, or it was dropped before.
                Change::Created { if_not_exists: true, .. } => {}
                Change::Created { table, .. } | Change::Altered(table) | Change::Dropped(table) => {
                    self.table(table, here)
                }
                Change::Renamed { from, to } => {
                    self.table(from, here);
                    self.table(to, here);
                }
                Change::SchemaDropped(schema) => {
                    self.schemas.insert(schema, here.clone());
                }
                Change::Rewritten { .. }
                | Change::Truncated(_)
                | Change::RowsMoved(_)
                | Change::SchemaAltered(_) => {}
            }
        }
        Ok(())
    }

    fn table(&mut self, name: TableName, here: &Mark) {
        if self.capture.columns_of(&name).is_some() {
            self.tables.insert(name, here.clone());
        }
    }

    /// Where behind a place a table was changed last, if it was.
    pub(super) fn change_behind(&self, place: &Mark, table: &TableName) -> Option<&Mark> {
        let of_table = self.tables.get(table);
        let of_schema = self.schemas.get(&table.schema);
        [of_table, of_schema, self.any.as_ref()]
            .into_iter()
            .flatten()
            .find(|change| !change.is_before(place))
    }
}
