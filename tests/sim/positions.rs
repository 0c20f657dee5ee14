//! What it proves: the model of position, partial and version. A scripted log is read in batches of
//! random timing, committed, crashed at random points and resumed from nothing but the checkpoint;
//! every change comes out exactly once, in order, with rising versions, cut into the same blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use connector_api::{
    BLOCK_ROWS, Batch, BatchBuilder, BeginText, Capture, Cell, Column, Lineage, Op, Position,
    ResumePoint, SourceEvent, TableName, TableSchema,
};
use proptest::prelude::*;
use tailstock::state::{Checkpoint, MappingRevision};
use tailstock::stock::{SYNTHETIC_ORDINAL, Version};

/// A transaction of the scripted log.
#[derive(Debug, Clone)]
struct Transaction {
    /// Place of its commit record.
    commit: u64,
    /// First place behind its commit record: where the next record may begin.
    end: u64,
    rows: u32,
}

/// Transactions in commit order. Commit records may follow each other without a byte between, so
/// that the end of one is the commit of the next.
fn log(sizes: &[(u32, u64)]) -> Vec<Transaction> {
    let mut at = 100;
    let mut transactions = Vec::new();
    for (rows, space) in sizes {
        let commit = at + space;
        at = commit + 8;
        transactions.push(Transaction { commit, end: at, rows: *rows });
    }
    transactions
}

/// Every message a server sends to whoever starts at `position`.
enum Message {
    Begin(Transaction),
    Row(u32),
    Commit(Transaction),
}

fn messages(log: &[Transaction], position: u64) -> impl Iterator<Item = Message> + '_ {
    log.iter().filter(move |t| t.commit >= position).flat_map(|t| {
        let rows = (0..t.rows).map(Message::Row);
        std::iter::once(Message::Begin(t.clone()))
            .chain(rows)
            .chain(std::iter::once(Message::Commit(t.clone())))
    })
}

/// What survives a crash.
#[derive(Debug, Clone)]
struct Store {
    checkpoint: Checkpoint,
    /// (commit place, ordinal), in the order they were published.
    published: Vec<(u64, u32)>,
    versions: Vec<Version>,
    /// Ordinals at which blocks ended, by transaction.
    blocks: BTreeMap<u64, Vec<u32>>,
}

impl Store {
    fn new() -> Self {
        let point =
            ResumePoint::new(Lineage::new("simulated"), Position::new("0"), Capture::default());
        let mapping = MappingRevision { number: 1, hash: String::new() };
        Self {
            checkpoint: Checkpoint::first("acme", "main", point, mapping),
            published: Vec::new(),
            versions: Vec::new(),
            blocks: BTreeMap::new(),
        }
    }

    fn position(&self) -> u64 {
        self.checkpoint.point.position.as_str().parse().expect("the simulation writes numbers")
    }

    /// One atomic commit.
    fn commit(&mut self, batch: &Batch) {
        let mut coordinate = 0;
        for event in batch.events() {
            match event {
                SourceEvent::Begin(begin) => coordinate = begin.coordinate,
                SourceEvent::Row(row) => {
                    self.published.push((coordinate, row.ordinal));
                    self.publish(coordinate, row.ordinal);
                }
                _ => {}
            }
        }
        self.checkpoint.follow(batch);
        if let Some(partial) = batch.partial() {
            let commit: u64 = partial.txid.parse().expect("the simulation writes numbers");
            self.blocks.entry(commit).or_default().push(partial.rows);
        }
    }

    /// One synthetic event, if the rule allows one now.
    fn synthesize(&mut self) {
        if self.checkpoint.point.partial.is_none() && self.position() > 0 {
            let ordinal = SYNTHETIC_ORDINAL + self.checkpoint.synthetic;
            self.checkpoint.synthetic += 1;
            self.publish(self.position() - 1, ordinal);
        }
    }

    fn publish(&mut self, coordinate: u64, ordinal: u32) {
        self.versions.push(Version { epoch: self.checkpoint.epoch, coordinate, ordinal });
    }
}

/// Reads the log from the stored point until `steps` say crash or the log ends.
fn run(log: &[Transaction], store: &mut Store, steps: &mut impl Iterator<Item = Step>) -> bool {
    let schema = Arc::new(TableSchema {
        name: TableName::new("public", "stock"),
        columns: vec![Column { name: "n".into(), type_name: "int".into(), identity: true }],
    });
    let mut builder = BatchBuilder::new(&store.checkpoint.point.position);
    let mut skip = store.checkpoint.point.partial.clone();
    for message in messages(log, store.position()) {
        match message {
            Message::Begin(t) => {
                let (txid, position) = (t.commit.to_string(), t.commit.to_string());
                builder.begin(BeginText {
                    coordinate: t.commit,
                    committed_at_us: 0,
                    txid: &txid,
                    position: &position,
                });
                if let Some(partial) = &skip {
                    assert_eq!(partial.txid, txid, "another transaction where one was open");
                }
            }
            Message::Row(ordinal) => {
                let passed = skip.as_ref().is_some_and(|partial| ordinal < partial.rows);
                if passed {
                    builder.skip();
                } else {
                    let table = builder.table(&schema);
                    let image = builder.image();
                    builder.push(Cell::Int(i64::from(ordinal)));
                    builder.row(table, Op::Insert, None, Some(image));
                }
            }
            Message::Commit(t) => {
                skip = None;
                builder.commit(&t.end.to_string());
            }
        }
        let step = if builder.is_full() { Some(Step::Take) } else { steps.next() };
        match step {
            Some(Step::Read) | None => {}
            Some(Step::Take) => take(&mut builder, store),
            Some(Step::Synthesize) => {
                take(&mut builder, store);
                store.synthesize();
            }
            Some(Step::Crash) => return false,
        }
    }
    take(&mut builder, store);
    true
}

fn take(builder: &mut BatchBuilder, store: &mut Store) {
    if builder.is_ready() {
        store.commit(&builder.take());
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Read,
    Take,
    Synthesize,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => Just(Step::Read),
        6 => Just(Step::Take),
        2 => Just(Step::Synthesize),
        1 => Just(Step::Crash),
    ]
}

fn sizes() -> impl Strategy<Value = Vec<(u32, u64)>> {
    let rows = prop_oneof![8 => 0u32..4, 2 => 1u32..200, 1 => (BLOCK_ROWS - 1)..(BLOCK_ROWS * 3)];
    prop::collection::vec((rows, 0u64..3), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_change_comes_out_exactly_once_whatever_crashes(
        sizes in sizes(), steps in prop::collection::vec(step(), 0..400),
    ) {
        let log = log(&sizes);
        let mut store = Store::new();
        // Steps are spread thinly over large transactions, so that crashes hit their middles.
        let mut steps = steps.into_iter().flat_map(|step| {
            std::iter::repeat_n(Step::Read, 37).chain(std::iter::once(step))
        });
        while !run(&log, &mut store, &mut steps) {}

        let expected: Vec<(u64, u32)> =
            log.iter().flat_map(|t| (0..t.rows).map(|row| (t.commit, row))).collect();
        prop_assert_eq!(&store.published, &expected);
        prop_assert!(store.versions.is_sorted_by(|a, b| a < b), "versions rise");
        for (commit, blocks) in &store.blocks {
            let t = log.iter().find(|t| t.commit == *commit).expect("a block is of the log");
            let whole: Vec<u32> =
                (1..=t.rows / BLOCK_ROWS).map(|block| block * BLOCK_ROWS).collect();
            prop_assert_eq!(blocks, &whole, "blocks end where the log says, not the timing");
        }
    }
}

/// The case that lost whole transactions elsewhere: the end of one commit record is the place of
/// the next, and the reader stopped exactly there.
#[test]
fn a_transaction_whose_commit_begins_where_the_last_one_ended_is_not_skipped() {
    let log = log(&[(1, 0), (1, 0), (2, 0)]);
    assert_eq!(log[0].end, log[1].commit);
    for stop_after in 0..12 {
        let mut store = Store::new();
        let mut steps =
            std::iter::repeat_n(Step::Take, stop_after).chain(std::iter::once(Step::Crash));
        while !run(&log, &mut store, &mut steps) {}
        let expected = vec![(100, 0), (108, 0), (116, 0), (116, 1)];
        assert_eq!(store.published, expected, "stopped after {stop_after} messages");
    }
}
