use std::sync::Arc;

use super::tail::{Rebase, split_tail};
use super::{
    BATCH_BYTES, BATCH_EVENTS, BLOCK_BYTES, BLOCK_ROWS, Batch, Begin, ClearCause, Op, RowChange,
    SourceEvent, Span, held,
};
use crate::{Cell, Partial, Position, TableLayout, TableSchema, TextKind};

/// The transaction the builder is inside of.
#[derive(Debug, Default)]
struct Open {
    coordinate: u64,
    committed_at_us: i64,
    txid: String,
    position: String,
    next_ordinal: u32,
    rows_since_boundary: u32,
    data_at_boundary: usize,
    /// Whether the batch being built already has its `Begin`.
    announced: bool,
    /// Whether it may have to be abandoned, so that no block of it is handed over.
    is_held: bool,
}

/// How much of the builder can be handed over.
#[derive(Debug, Default, Clone)]
struct Mark {
    events: usize,
    cells: usize,
    data: usize,
    /// Rows of the open transaction before the mark; `None` at a transaction's end.
    partial_rows: Option<u32>,
}

/// Where a connector writes what it decodes. Keeps its memory from batch to batch only as far as
/// the rows of a transaction that is still arriving.
#[derive(Debug)]
pub struct BatchBuilder {
    events: Vec<SourceEvent>,
    cells: Vec<Cell>,
    data: Vec<u8>,
    tables: Vec<Arc<TableSchema>>,
    open: Option<Open>,
    spare: Open,
    mark: Mark,
    end: String,
    layouts: Option<Arc<[TableLayout]>>,
    progressed: bool,
    /// Whether a large transaction is handed over in blocks.
    in_blocks: bool,
}

/// What [`BatchBuilder::begin`] needs to know of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct BeginText<'a> {
    /// See [`Begin::coordinate`].
    pub coordinate: u64,
    /// See [`Begin::committed_at_us`].
    pub committed_at_us: i64,
    /// See [`Begin::txid`].
    pub txid: &'a str,
    /// See [`Begin::position`].
    pub position: &'a str,
}

impl BatchBuilder {
    /// A builder for a stream that continues behind `start`.
    pub fn new(start: &Position) -> Self {
        Self {
            events: Vec::new(),
            cells: Vec::new(),
            data: Vec::new(),
            tables: Vec::new(),
            open: None,
            spare: Open::default(),
            mark: Mark::default(),
            end: start.as_str().to_owned(),
            layouts: None,
            progressed: false,
            in_blocks: true,
        }
    }

    /// A builder for rows that were read at `place` rather than logged: a transaction stays in one
    /// piece, and who fills it looks at [`Self::bytes`].
    pub fn in_one_piece(place: &Position) -> Self {
        Self { in_blocks: false, ..Self::new(place) }
    }

    /// Memory of what is not handed over yet, bytes.
    pub fn bytes(&self) -> usize {
        held(&self.data, &self.cells, &self.events)
    }

    /// The index of a table's shape in the batches to come. A shape that changes gets another.
    pub fn table(&mut self, schema: &Arc<TableSchema>) -> u32 {
        let known = self.tables.iter().position(|known| Arc::ptr_eq(known, schema));
        let index = known.unwrap_or_else(|| {
            self.tables.push(Arc::clone(schema));
            self.tables.len() - 1
        });
        u32::try_from(index).expect("fewer tables than u32 counts")
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A transaction begins.
    pub fn begin(&mut self, text: BeginText<'_>) {
        assert!(self.open.is_none(), "a transaction begins inside another");
        let mut open = std::mem::take(&mut self.spare);
        open.txid.clear();
        open.txid.push_str(text.txid);
        open.position.clear();
        open.position.push_str(text.position);
        open.coordinate = text.coordinate;
        open.committed_at_us = text.committed_at_us;
        open.next_ordinal = 0;
        open.rows_since_boundary = 0;
        open.data_at_boundary = self.data.len();
        open.announced = false;
        open.is_held = false;
        self.open = Some(open);
    }

    /// Whether the open transaction stays in one piece, because it may have to be abandoned. Who
    /// holds one looks at [`Self::bytes_since_block`].
    pub fn hold(&mut self, is_held: bool) {
        self.opened().is_held = is_held;
    }

    /// Bytes of values of the open transaction that are in no block yet.
    pub fn bytes_since_block(&self) -> usize {
        self.open.as_ref().map_or(0, |open| self.data.len() - open.data_at_boundary)
    }

    /// Passes over one captured change that is committed downstream already.
    pub fn skip(&mut self) {
        self.opened().next_ordinal += 1;
    }

    /// Captured changes of the open transaction so far: the ordinal of the next one.
    pub fn next_ordinal(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.next_ordinal)
    }

    /// Starts a row image: the cells pushed next are its columns.
    pub fn image(&mut self) -> u32 {
        self.announce();
        u32::try_from(self.cells.len()).expect("a block has fewer cells than u32 counts")
    }

    /// Adds one column that needs no text.
    pub fn push(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    /// Adds one column of text.
    pub fn push_text(&mut self, kind: TextKind, text: &str) {
        self.push_slice(kind, text.as_bytes());
    }

    /// Adds one column of raw bytes.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.push_slice(TextKind::Bytes, bytes);
    }

    /// Adds one column of raw bytes that are decoded on the way.
    pub fn push_bytes_from(&mut self, bytes: impl Iterator<Item = u8>) {
        let start = self.data.len();
        self.data.extend(bytes);
        let len = self.data.len() - start;
        self.push_placed(TextKind::Bytes, start, len);
    }

    /// Repeats the cell at `index`, as when an unchanged value is known from the old image.
    pub fn repeat(&mut self, index: u32) {
        self.cells.push(self.cells[index as usize]);
    }

    /// Ends a row whose images were started with [`Self::image`].
    pub fn row(&mut self, table: u32, op: Op, before: Option<u32>, after: Option<u32>) {
        let ordinal = self.next_ordinal();
        let ignores_foreign_keys = false;
        let row = RowChange { table, op, ordinal, ignores_foreign_keys, before, after };
        self.events.push(SourceEvent::Row(row));
        self.changed();
    }

    /// The row pushed last was changed without a look at foreign keys.
    pub fn ignoring_foreign_keys(&mut self) {
        if let Some(SourceEvent::Row(row)) = self.events.last_mut() {
            row.ignores_foreign_keys = true;
        }
    }

    /// All rows of a table went, and the log says so. Counts towards the block, but does not end
    /// it: one statement may clear several tables, and a block never ends inside a statement.
    pub fn cleared(&mut self, table: u32, cause: ClearCause) {
        self.replaced(table, cause);
        let open = self.opened();
        open.next_ordinal += 1;
        open.rows_since_boundary += 1;
    }

    /// All rows of a table went, which follows from its description rather than from a change of
    /// its own: it takes no ordinal, so that who resumes in between counts the same.
    pub fn replaced(&mut self, table: u32, cause: ClearCause) {
        self.announce();
        let ordinal = self.next_ordinal();
        self.events.push(SourceEvent::TableCleared { table, ordinal, cause });
    }

    /// A change of a table could not be read as rows.
    pub fn unreadable(&mut self, table: u32, reason: &str) {
        self.announce();
        let ordinal = self.next_ordinal();
        self.events.push(SourceEvent::Unreadable { table, ordinal, reason: reason.into() });
        self.changed();
    }

    /// Rows of a table may be others than they were told to be, which follows from something else
    /// than a change of its own: it takes no ordinal, so that who resumes in between, or is told
    /// less the next time, counts the same.
    pub fn doubted(&mut self, table: u32, reason: &str) {
        self.announce();
        let ordinal = self.next_ordinal();
        self.events.push(SourceEvent::Unreadable { table, ordinal, reason: reason.into() });
    }

    /// A table's rows have another shape from here on. Outside a transaction it stands alone.
    pub fn schema_changed(&mut self, table: u32) {
        if self.open.is_some() {
            self.announce();
        }
        self.events.push(SourceEvent::SchemaChanged { table });
    }

    /// The open transaction is complete; the log can be resumed behind `end`.
    pub fn commit(&mut self, end: &str) {
        assert!(self.mark.partial_rows.is_none(), "an ended block is taken before it goes on");
        let open = self.open.take().expect("a commit follows a begin");
        if open.announced {
            self.events.push(SourceEvent::Commit);
        }
        self.spare = open;
        self.progress(end);
    }

    /// Forgets the open transaction; false, and it stays, when a part was handed or passed over.
    pub fn abandon(&mut self) -> bool {
        let open = self.opened();
        if open.rows_since_boundary != open.next_ordinal {
            return false;
        }
        self.spare = self.open.take().unwrap_or_default();
        self.events.truncate(self.mark.events);
        self.cells.truncate(self.mark.cells);
        self.data.truncate(self.mark.data);
        true
    }

    /// What is to be remembered of tables has changed. It goes with the next batch, whose end may
    /// lie before the change; so it has to be as true there.
    pub fn learn(&mut self, layouts: Arc<[TableLayout]>) {
        self.layouts = Some(layouts);
    }

    /// Outside a transaction: everything up to `end` has been read.
    pub fn progress(&mut self, end: &str) {
        assert!(self.open.is_none(), "progress inside a transaction");
        if self.end != end {
            self.end.clear();
            self.end.push_str(end);
            self.progressed = true;
        }
        self.set_mark(None);
    }

    /// Whether [`Self::take`] has anything to hand over.
    pub fn is_ready(&self) -> bool {
        self.mark.events > 0 || self.progressed
    }

    /// Whether nothing more may be written before [`Self::take`]. A block that has ended must be
    /// taken as it is, or a replay would cut elsewhere.
    pub fn is_full(&self) -> bool {
        let blocked = self.mark.partial_rows.is_some();
        blocked || self.mark.data >= BATCH_BYTES || self.mark.events >= BATCH_EVENTS
    }

    /// Hands over everything up to the last boundary; what came after it stays.
    pub fn take(&mut self) -> Batch {
        let mark = std::mem::take(&mut self.mark);
        let cells = split_tail(&mut self.cells, mark.cells);
        let events = split_tail(&mut self.events, mark.events);
        let data = split_tail(&mut self.data, mark.data);
        self.progressed = false;
        let rebase = Rebase {
            cells: u32::try_from(mark.cells).expect("checked when the image began"),
            data: u32::try_from(mark.data).expect("checked when it was pushed"),
        };
        self.cells.iter_mut().for_each(|cell| rebase.cell(cell));
        self.events.iter_mut().for_each(|event| rebase.event(event));
        let partial = mark.partial_rows.map(|rows| {
            let open = self.open.as_mut().expect("a block lies inside a transaction");
            open.announced = false;
            Partial { txid: open.txid.clone(), rows }
        });
        if let Some(open) = &mut self.open {
            open.data_at_boundary = open.data_at_boundary.saturating_sub(mark.data);
        }
        let tables = self.tables.clone();
        if self.events.is_empty() {
            self.tables.clear();
        }
        let (end, layouts) = (Position::new(self.end.as_str()), self.layouts.take());
        Batch { events, cells, data, tables, end, partial, layouts }
    }

    fn opened(&mut self) -> &mut Open {
        assert!(self.mark.partial_rows.is_none(), "an ended block is taken before it goes on");
        self.open.as_mut().expect("a change lies inside a transaction")
    }

    fn announce(&mut self) {
        if self.opened().announced {
            return;
        }
        let open = self.open.take().expect("a change lies inside a transaction");
        let begin = Begin {
            coordinate: open.coordinate,
            committed_at_us: open.committed_at_us,
            txid: self.span(&open.txid),
            position: self.span(&open.position),
            first_ordinal: open.next_ordinal,
        };
        self.events.push(SourceEvent::Begin(begin));
        let data_at_boundary = self.data.len();
        self.open = Some(Open { announced: true, data_at_boundary, ..open });
    }

    fn changed(&mut self) {
        let (data_len, in_blocks) = (self.data.len(), self.in_blocks);
        let open = self.opened();
        open.next_ordinal += 1;
        open.rows_since_boundary += 1;
        let bytes = data_len - open.data_at_boundary;
        let is_block = open.rows_since_boundary >= BLOCK_ROWS || bytes >= BLOCK_BYTES;
        if is_block && in_blocks && !open.is_held {
            open.rows_since_boundary = 0;
            open.data_at_boundary = data_len;
            let rows = open.next_ordinal;
            self.set_mark(Some(rows));
        }
    }

    fn set_mark(&mut self, partial_rows: Option<u32>) {
        let (events, cells, data) = (self.events.len(), self.cells.len(), self.data.len());
        self.mark = Mark { events, cells, data, partial_rows };
    }

    fn span(&mut self, text: &str) -> Span {
        let start = u32::try_from(self.data.len()).expect("a block is smaller than u32 counts");
        self.data.extend_from_slice(text.as_bytes());
        Span { start, len: u32::try_from(text.len()).expect("ids are short") }
    }

    fn push_slice(&mut self, kind: TextKind, bytes: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(bytes);
        self.push_placed(kind, start, bytes.len());
    }

    fn push_placed(&mut self, kind: TextKind, start: usize, len: usize) {
        let start = u32::try_from(start).expect("a block is smaller than u32 counts");
        let len = u32::try_from(len).expect("a value is smaller than u32 counts");
        self.cells.push(Cell::Slice { kind, start, len });
    }
}
