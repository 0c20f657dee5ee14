use std::collections::HashMap;

use connector_api::{
    Batch, BatchBuilder, BeginText, Cell, Op, Position, RowChange, Sight, SourceEvent, TableName,
    TextKind, Value,
};

use super::emit::{Departed, departed};
use super::mapper::{Mapped, Mapper, Which, bind};
use super::plan::{Plan, TablePlan};
use super::transaction::Transaction;
use super::watch::{identities, keys};
use crate::progress::Said;
use crate::state::{CachedRow, RowId};
use crate::stock::encode::Records;
use crate::stock::{Provenance, SYNTHETIC_ORDINAL};

/// Touched keys whose events are made together: few enough to lie in the processor's cache.
const AT_ONCE: usize = 256;

/// What the versions of events are made of that no row of the log caused.
#[derive(Debug, Clone, Copy)]
pub struct Synthetic<'a> {
    /// One less than that of the end of the last complete transaction, so that every later one is
    /// greater.
    pub coordinate: u64,
    /// Such events so far at that end.
    pub counter: u32,
    /// When the source was looked at, microseconds since 1970 UTC.
    pub at_us: i64,
    /// That end as the database prints it.
    pub position: &'a str,
}

/// A published key whose row nobody has seen.
#[derive(Debug, Clone, Copy)]
pub struct Vanished<'a> {
    /// Its record key.
    pub key: &'a str,
    /// What the marketplace knew it by.
    pub sku: Option<&'a str>,
}

impl Mapper {
    /// The tables this mapper knows.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The next events are written into this, which is empty.
    pub fn write_into(&mut self, records: Records) {
        self.blank = records;
    }

    /// Nothing, and room for it.
    pub(super) fn blank(&mut self) -> Mapped {
        Mapped { records: std::mem::take(&mut self.blank), ..Mapped::default() }
    }

    /// Rows of this table are being read from here on: what the stream changes in it is noted, and
    /// cached rows that are not seen any more can be told from the others. `number` rises with
    /// every snapshot of the table.
    pub fn begin_snapshot(&mut self, table: &TableName, number: u32) {
        let place = self.plan.place_of(table);
        self.watch.begin(place);
        if let Some(place) = place {
            self.tables[place].rows.begin_snapshot(number);
        }
    }

    /// Whether what was read since the last [`Self::begin_snapshot`] has to be read again.
    pub fn has_lost_track(&self) -> bool {
        self.watch.touches.is_lost()
    }

    /// No table is being read any more.
    pub fn end_snapshot(&mut self) {
        self.watch.begin(None);
    }

    /// Maps rows that were read. Those of which the stream has said something newer are passed
    /// over; what it has not said of them is taken from what was read. Uses up as many synthetic
    /// versions as there are rows. Where the rows have to be read again, [`Self::has_lost_track`]
    /// says so, and nothing has come of them.
    pub fn chunk(&mut self, rows: &Batch, sight: &dyn Sight, at: &Synthetic<'_>) -> Mapped {
        let mut out = self.blank();
        self.forget_shapes();
        self.synthesize(at);
        let changes = || {
            rows.events().iter().filter_map(|event| match event {
                SourceEvent::Row(row) => Some(row),
                _ => None,
            })
        };
        let mut touches = std::mem::take(&mut self.watch.touches);
        let unseen = touches.unseen(sight);
        let choices: Vec<Choice> = match unseen.is_empty() {
            true => Vec::new(),
            false => changes().map(|row| self.choose(rows, row, &unseen)).collect(),
        };
        drop(unseen);
        if choices.iter().any(|choice| matches!(choice, Choice::ReadAgain)) {
            touches.lose();
            self.watch.touches = touches;
            return out;
        }
        self.watch.touches = touches;
        // Rows that are told apart and need not be remembered have keys of their own: nothing of
        // them folds.
        let table = changes().next().map(|row| &rows.table(row.table).name);
        let place = table.and_then(|table| self.plan.place_of(table));
        let plan = place.map(|place| &self.plan.tables[place]);
        let folds = plan.is_none_or(|plan| plan.cached || plan.identity_width == 0);
        let mut choices = choices.into_iter();
        for row in changes() {
            match choices.next().unwrap_or(Choice::TAKE) {
                Choice::Take { but } => {
                    self.passed_over = but;
                    self.row(rows, row, &mut out);
                    self.passed_over.clear();
                    if !folds && self.folding.len() >= AT_ONCE {
                        self.flush(rows, Which::Folding, &mut out);
                    }
                }
                Choice::Complete(merged) => {
                    // Its events refer to the batch it is in.
                    self.flush(rows, Which::Folding, &mut out);
                    for event in merged.events() {
                        let SourceEvent::Row(only) = event else { continue };
                        let mut only = *only;
                        only.ordinal = row.ordinal;
                        self.row(&merged, &only, &mut out);
                    }
                    self.flush(&merged, Which::Folding, &mut out);
                }
                Choice::PassOver | Choice::ReadAgain => {}
            }
        }
        self.flush(rows, Which::Folding, &mut out);
        self.collect_rows(&mut out);
        out
    }

    /// Takes cached rows that the snapshot of a table has not seen for deleted, at most `limit` of
    /// them; `None` when there are no more. Uses up as many synthetic versions.
    pub fn sweep_rows(
        &mut self,
        table: &TableName,
        at: &Synthetic<'_>,
        limit: usize,
    ) -> Option<Mapped> {
        let place = self.plan.place_of(table)?;
        let unseen = self.tables[place].rows.unseen(limit);
        if unseen.is_empty() {
            return None;
        }
        let batch = deletions(&self.plan.tables[place], &unseen);
        let mut out = Mapped::default();
        self.synthesize(at);
        for event in batch.events() {
            if let SourceEvent::Row(row) = event {
                self.row(&batch, row, &mut out);
            }
        }
        self.flush(&batch, Which::Folding, &mut out);
        self.collect_rows(&mut out);
        Some(out)
    }

    /// Takes published keys of a table that no row stands behind for removed, but for those whose
    /// removals wait: they come out when their time is over. Uses up as many synthetic versions.
    pub fn sweep_keys<'a>(
        &mut self,
        table: &str,
        keys: impl Iterator<Item = Vanished<'a>>,
        at: &Synthetic<'_>,
    ) -> Mapped {
        let mut out = Mapped::default();
        self.synthesize(at);
        let plan = self.plan.tables.iter().find(|plan| plan.text == table);
        for (number, Vanished { key, sku }) in keys.enumerate() {
            if self.held.grace.has(key) {
                continue;
            }
            self.held.supersede(key);
            let ordinal = u32::try_from(number).expect("keys are swept in pieces");
            let gone = Departed { key, sku, table, plan, ordinal };
            let (records, encoder) = (&mut out.records, &self.encoder);
            departed(&gone, self.source.epoch, &self.transaction, |event| {
                records.push(encoder, event);
            });
        }
        self.collect_rows(&mut out);
        out
    }

    pub(super) fn synthesize(&mut self, at: &Synthetic<'_>) {
        self.transaction = Transaction {
            coordinate: at.coordinate,
            committed_at_us: at.at_us,
            position: at.position.to_owned(),
            capture: Provenance::Snapshot,
            first_ordinal: SYNTHETIC_ORDINAL + at.counter,
            ..Transaction::default()
        };
    }

    /// What becomes of a row that was read.
    fn choose(&mut self, rows: &Batch, row: &RowChange, unseen: &HashMap<&RowId, Said>) -> Choice {
        let who = (&self.source.seller, &self.source.source);
        let binding = bind(&mut self.bindings, rows, row.table, &self.plan);
        let Some((binding, image)) = binding.zip(rows.after(row)) else { return Choice::TAKE };
        let binding = &self.bindings[binding];
        let Ok(place) = binding.table else { return Choice::TAKE };
        let (plan, view) = (&self.plan.tables[place], binding.row(image, None));
        if plan.identity_width == 0 {
            let keys = keys(plan, &view, who).unwrap_or_default();
            return of_keys(
                keys.iter().filter_map(|(place, key)| Some((*place, unseen.get(key)?))),
            );
        }
        let ids = identities(plan, &view, who).unwrap_or_default();
        let said = ids.iter().find_map(|id| Some((id, unseen.get(id)?)));
        match said {
            None => Choice::TAKE,
            Some((_, Said::Whole)) => Choice::PassOver,
            // What is remembered of the row may be older than what was read.
            Some((_, Said::Partly(said))) => {
                let merged = said.values().enumerate().map(|(column, value)| match value {
                    Value::Absent => view.value(column),
                    said => said,
                });
                Choice::Complete(Box::new(one_row(plan, merged)))
            }
            Some((id, Said::Amended)) if self.tables[place].has_whole(id) => Choice::PassOver,
            Some((_, Said::Amended)) => Choice::ReadAgain,
        }
    }
}

/// What becomes of a row that nothing identifies, of whose keys the stream has said this: each is
/// a row by itself, and what was said of one says nothing of the others.
fn of_keys<'s>(said: impl Iterator<Item = (usize, &'s Said)>) -> Choice {
    let mut but = Vec::new();
    for (mapping, said) in said {
        match said {
            Said::Whole => but.push(mapping),
            // The rest of it is nowhere.
            Said::Partly(_) | Said::Amended => return Choice::ReadAgain,
        }
    }
    Choice::Take { but }
}

/// What becomes of a row that was read.
enum Choice {
    /// The stream has said nothing newer, but of the keys that these mappings yield.
    Take { but: Vec<usize> },
    /// The stream has said all there is to say.
    PassOver,
    /// The stream has said some columns, which are newer; here they are with the others.
    Complete(Box<Batch>),
    /// The stream has said more than is remembered.
    ReadAgain,
}

impl Choice {
    /// All of it.
    const TAKE: Self = Self::Take { but: Vec::new() };
}

/// Rows as a transaction that deletes them.
fn deletions(plan: &TablePlan, rows: &[CachedRow]) -> Batch {
    batch(plan, |builder, table| {
        for row in rows {
            let before = builder.image();
            row.values().for_each(|value| push(builder, value));
            builder.row(table, Op::Delete, Some(before), None);
        }
    })
}

/// A row by itself.
fn one_row<'a>(plan: &TablePlan, values: impl Iterator<Item = Value<'a>>) -> Batch {
    batch(plan, |builder, table| {
        let after = builder.image();
        values.for_each(|value| push(builder, value));
        builder.row(table, Op::Insert, None, Some(after));
    })
}

/// A batch of rows with a plan's columns.
fn batch(plan: &TablePlan, fill: impl FnOnce(&mut BatchBuilder, u32)) -> Batch {
    let mut builder = BatchBuilder::in_one_piece(&Position::new(""));
    builder.begin(BeginText { coordinate: 0, committed_at_us: 0, txid: "", position: "" });
    let table = builder.table(&plan.shape);
    fill(&mut builder, table);
    builder.commit("");
    builder.take()
}

fn push(builder: &mut BatchBuilder, value: Value<'_>) {
    match value {
        Value::Null => builder.push(Cell::Null),
        Value::Absent => builder.push(Cell::Absent),
        Value::Bool(value) => builder.push(Cell::Bool(value)),
        Value::Int(value) => builder.push(Cell::Int(value)),
        Value::UInt(value) => builder.push(Cell::UInt(value)),
        Value::Float(value) => builder.push(Cell::Float(value)),
        Value::Decimal(text) => builder.push_text(TextKind::Decimal, text),
        Value::Text(text) => builder.push_text(TextKind::Text, text),
        Value::Json(text) => builder.push_text(TextKind::Json, text),
        Value::Bytes(raw) => builder.push_bytes(raw),
        Value::Timestamp(text) => builder.push_text(TextKind::Timestamp, text),
        Value::TimestampZoned(text) => builder.push_text(TextKind::TimestampZoned, text),
    }
}
