//! The loop beside a log that never pauses.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use async_trait::async_trait;
use connector_api::{
    BatchBuilder, BeginText, Cell, Column, ColumnDescription, Head, Identity, Lineage, Op,
    ResumePoint, TableDescription, TableSchema,
};
use tokio::sync::oneshot;

use super::*;
use crate::config::Loader;
use crate::mapping::{Plan, SourceIdentity};
use crate::sink::Discard;
use crate::state::{MappingRevision, Recalled, SnapshotPhase, TableSnapshot};
use crate::stock::Version;
use crate::stock::encode::{Encoder, RecordKind};
use crate::telemetry::StatusBoard;

const LIMIT: Duration = Duration::from_secs(10);

/// A log in which one row is deleted, and of which there is always more: changes that nobody
/// captures.
struct Endless {
    builder: BatchBuilder,
    read: u64,
}

impl Endless {
    fn of_nothing() -> Self {
        Self { builder: BatchBuilder::new(&Position::new("0/0")), read: 1 }
    }

    fn new() -> Self {
        let column = |name: &str| Column {
            name: name.to_owned(),
            type_name: String::new(),
            identity: name == "id",
        };
        let name = TableName::new("public", "stock");
        let schema = TableSchema { name, columns: ["id", "qty"].map(column).to_vec() };
        let mut builder = BatchBuilder::new(&Position::new("0/0"));
        builder.begin(BeginText { coordinate: 1, committed_at_us: 0, txid: "1", position: "0/1" });
        let table = builder.table(&Arc::new(schema));
        let old = builder.image();
        builder.push(Cell::Int(1));
        builder.push(Cell::Absent);
        builder.row(table, Op::Delete, Some(old), None);
        builder.commit("0/1");
        Self { builder, read: 1 }
    }
}

#[async_trait]
impl ChangeStream for Endless {
    async fn read(&mut self) -> Result<Batch> {
        tokio::task::yield_now().await;
        let batch = self.builder.take();
        self.read += 1;
        self.builder.progress(&format!("0/{:X}", self.read));
        Ok(batch)
    }

    fn confirm(&mut self, _: &Position) {}

    fn hurry(&mut self) {}

    fn head(&self) -> Head {
        Head { position: Position::new("0/0"), lag_bytes: 0, last_contact: Instant::now() }
    }

    async fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

const STOCK: &str = "[[stock]]\ntable = 'public.stock'\nitem = 'id'\non_hand = 'qty'\n\
                     removal_grace_ms = 50\n";

fn configuration(mapping: &str) -> SellerConfig {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = "name = 'test'\nsellers = 'acme.toml'\n[sink]\nkind = 'discard'\n";
    let seller = format!(
        "seller = 'acme'\n[source]\nkind = 'postgres'\nurl = 'postgresql://u@{nobody}/x'\n{mapping}"
    );
    std::fs::write(folder.path().join("main.toml"), main).unwrap();
    std::fs::write(folder.path().join("acme.toml"), seller).unwrap();
    Loader::alone().load(&folder.path().join("main.toml")).unwrap().sellers.swap_remove(0)
}

fn plan(config: &SellerConfig) -> Plan {
    let column = |name: &str| ColumnDescription {
        name: name.to_owned(),
        type_name: "integer".to_owned(),
        logged: true,
        omitted: false,
    };
    let tables = ["stock", "shelf"].map(|name| TableDescription {
        cascades: Vec::new(),
        name: TableName::new("public", name),
        columns: ["id", "qty", "other"].map(column).to_vec(),
        primary_key: vec!["id".to_owned()],
        identity: Identity::PrimaryKey,
    });
    Plan::compile(&config.definitions, &tables, 1).unwrap()
}

fn started(config: SellerConfig) -> Start {
    let (seller, source) = (config.seller.clone(), config.source.name.clone());
    let encoder = Encoder::new(&seller, &source, "test", "shop");
    let plan = plan(&config);
    let point = ResumePoint::new(Lineage::new("1/1/slot"), Position::new("0/0"), plan.capture());
    let mapping = MappingRevision { number: 1, hash: String::new() };
    let checkpoint = Checkpoint::first(seller.as_str(), source.as_str(), point, mapping);
    Start {
        connector: connect(&config.source, &Keep::Temporarily).unwrap(),
        config,
        stream: Box::new(Endless::new()),
        mapper: Mapper::new(SourceIdentity { seller, source, epoch: 1 }, encoder, plan),
        checkpoint,
        head: Position::new("0/0"),
        next: None,
    }
}

/// A seller that follows the endless log, where its parts go, and how it is asked for something.
struct Following {
    submissions: mpsc::UnboundedReceiver<Submission>,
    requests: mpsc::Sender<SnapshotRequest>,
    _shutdown: watch::Sender<bool>,
}

fn follow() -> Following {
    follow_from(started(configuration(STOCK)))
}

fn follow_from(start: Start) -> Following {
    let config = start.config.clone();
    let (shard, submissions) = Shard::new();
    let (stop, shutdown) = watch::channel(false);
    let (requests, requested) = mpsc::channel(1);
    let surroundings = Surroundings {
        config: config.clone(),
        keep: Keep::Temporarily,
        shard,
        state: Arc::new(Discard::default()),
        metrics: StatusBoard::default().seller(&config),
        shutdown,
        until_current: false,
        buffer_bytes: 1 << 20,
        requests: requested,
        headway: Headway::default(),
    };
    tokio::spawn(Seller::new(surroundings, start).follow());
    Following { submissions, requests, _shutdown: stop }
}

#[tokio::test]
async fn a_removal_comes_out_when_its_grace_is_over_though_the_log_never_pauses() {
    let mut following = follow();
    let removed = async {
        loop {
            let Submission { part, number, receipts } = following.submissions.recv().await.unwrap();
            let is_removed = part.records.iter().any(|entry| entry.kind == RecordKind::Removed);
            drop(receipts.send(Receipt { number, spare: part.records }));
            if is_removed {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, removed).await.expect("a removal that waited for 50 ms");
}

#[tokio::test]
async fn somebody_who_wants_a_table_to_be_read_is_answered_though_the_log_never_pauses() {
    let mut following = follow();
    let (answer, mut answered) = oneshot::channel();
    let request = SnapshotRequest { table: None, answer };
    following.requests.send(request).await.unwrap();
    let answered = async {
        loop {
            tokio::select! {
                answer = &mut answered => return answer.unwrap(),
                submission = following.submissions.recv() => {
                    let Submission { part, number, receipts } = submission.unwrap();
                    drop(receipts.send(Receipt { number, spare: part.records }));
                }
            }
        }
    };
    let answered = tokio::time::timeout(LIMIT, answered).await.expect("an answer");
    assert_eq!(answered, Ok(vec!["public.stock".to_owned()]));
}

/// A seller whose tables are marked, and the first of them is read to its last row.
fn all_rows_read(config: SellerConfig) -> Start {
    let mut start = Start { stream: Box::new(Endless::of_nothing()), ..started(config) };
    let order = start.mapper.plan().snapshot_order();
    for table in &order {
        start.checkpoint.taint(table.to_string(), "a gap".to_owned());
    }
    start.mapper.set_incomplete(&order.iter().cloned().collect());
    let since = Version { epoch: 1, coordinate: 1, ordinal: 0 };
    start.checkpoint.snapshot = Some(TableSnapshot {
        table: order[0].to_string(),
        number: 1,
        reason: "a gap".to_owned(),
        meaning: String::new(),
        since: since.to_string(),
        phase: SnapshotPhase::Sweeping,
        told: true,
        rows: 1,
        keys: 0,
        removed: 0,
        sums: BTreeMap::new(),
    });
    start
}

#[tokio::test]
async fn of_a_table_that_is_to_be_read_again_nobody_is_told_that_it_can_be_trusted() {
    let looks_up = |table: &str, other: &str| {
        let lookup = format!("[[stock.lookup]]\ntable = 'public.{other}'\non = {{ id = 'other' }}");
        format!(
            "[[stock]]\ntable = 'public.{table}'\nitem = 'id'\nlocation = \"'{table}'\"\n\
             on_hand = 'qty'\nsku = 'name'\n{lookup}\ncolumns = {{ name = 'id' }}\n"
        )
    };
    let each_other = looks_up("stock", "shelf") + &looks_up("shelf", "stock");
    for (mapping, told) in [(each_other.as_str(), None), (STOCK, Some("snapshot_completed"))] {
        let mut following = follow_from(all_rows_read(configuration(mapping)));
        let completed = async {
            let mut control = Vec::new();
            loop {
                let Submission { part, number, receipts } =
                    following.submissions.recv().await.unwrap();
                drop(receipts.send(Receipt { number, spare: part.records }));
                control.extend(part.control.iter().map(|record| record.kind.as_str()));
                let checkpoint = part.checkpoint.unwrap();
                let recalled = Recalled::decode(&checkpoint, "acme", "main").unwrap();
                if recalled.checkpoint().unwrap().snapshot.is_none() {
                    return control;
                }
            }
        };
        let control = tokio::time::timeout(LIMIT, completed).await.expect("the end of a snapshot");
        assert_eq!(control, Vec::from_iter(told));
    }
}
