use proptest::prelude::*;

use super::*;

/// What happens to the process after a commit.
#[derive(Debug, Clone, Copy)]
enum Fate {
    GoesOn,
    /// Another one takes over when it has ended.
    Ends,
    /// It opens the file again although its first writer still runs.
    OpensAnew,
    /// Nothing is left of it but the files as they were when the commit returned.
    IsKilled,
}

/// One seller's share of a commit: items with their quantities, and what becomes of a cached row.
type Share = (&'static str, Vec<(u8, Option<i64>)>, Option<Option<String>>);

fn steps() -> impl Strategy<Value = Vec<(Vec<Share>, Fate)>> {
    let seller = prop::sample::select(vec!["acme", "b/c"]);
    let events = prop::collection::vec((0u8..5, prop::option::of(-9i64..9)), 0..5);
    let row = prop::option::of(prop::option::of("[a-z]{0,3}"));
    let fates = vec![Fate::GoesOn, Fate::GoesOn, Fate::Ends, Fate::OpensAnew, Fate::IsKilled];
    let step = (prop::collection::vec((seller, events, row), 0..4), prop::sample::select(fates));
    prop::collection::vec(step, 1..16)
}

/// What the file must say, by seller and item or by seller.
#[derive(Debug, Default, PartialEq)]
struct Model {
    levels: BTreeMap<(String, String), String>,
    checkpoints: BTreeMap<String, String>,
    rows: BTreeMap<String, String>,
    /// Versions in the order of publication.
    events: Vec<String>,
}

impl Model {
    /// Makes a commit of a step and takes it as published.
    fn commit(&mut self, shares: &[Share]) -> Arc<Commit> {
        let mut parts = Vec::new();
        for (seller, events, row) in shares {
            let mut said = Vec::new();
            for (item, on_hand) in events {
                let ordinal = 1 + self.events.len() as u32;
                let key = ((*seller).to_owned(), item.to_string());
                match on_hand {
                    Some(on_hand) => self.levels.insert(key, on_hand.to_string()),
                    None => self.levels.remove(&key),
                };
                self.checkpoints.insert((*seller).to_owned(), format!("checkpoint {ordinal}"));
                self.events.push(Version { epoch: 1, coordinate: 1, ordinal }.to_string());
                said.push((item.to_string(), ordinal, *on_hand));
            }
            let mut part = part(seller, said.into_iter());
            if let Some(value) = row {
                let (table, pk) = ("public.stock".to_owned(), "1".to_owned());
                part.rows.push(RowEntry { table, pk, value: value.clone() });
                match value {
                    Some(value) => self.rows.insert((*seller).to_owned(), value.clone()),
                    None => self.rows.remove(*seller),
                };
            }
            parts.push(part);
        }
        Arc::new(Commit { parts })
    }

    fn read(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        let list = |sql: &str| -> Vec<(String, String, String)> {
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.unwrap().map(Result::unwrap).collect()
        };
        let levels = list("SELECT seller, item, on_hand FROM levels").into_iter();
        let checkpoints = list("SELECT seller, value, '' FROM checkpoints").into_iter();
        let rows = list("SELECT seller, value, '' FROM rows").into_iter();
        let events = list("SELECT version, '', '' FROM events ORDER BY seq").into_iter();
        Self {
            levels: levels.map(|(seller, item, on_hand)| ((seller, item), on_hand)).collect(),
            checkpoints: checkpoints.map(|(seller, value, _)| (seller, value)).collect(),
            rows: rows.map(|(seller, value, _)| (seller, value)).collect(),
            events: events.map(|(version, _, _)| version).collect(),
        }
    }
}

/// A process that works on a file, and the folders of those before it.
struct Process {
    folders: Vec<tempfile::TempDir>,
    path: PathBuf,
    sink: Sqlite,
    writer: Box<dyn ShardWriter>,
}

impl Process {
    async fn start() -> Self {
        let (folder, path) = file();
        let sink = sink(&path);
        let writer = sink.open(Shard(0)).await.unwrap().writer;
        Self { folders: vec![folder], path, sink, writer }
    }

    async fn meet(mut self, fate: Fate) -> Self {
        match fate {
            Fate::GoesOn => self,
            Fate::Ends => {
                drop((self.writer, self.sink));
                let (sink, writer) = taken_over(&self.path).await;
                Self { sink, writer, ..self }
            }
            Fate::OpensAnew => {
                let Opened { writer, .. } = self.sink.open(Shard(0)).await.unwrap();
                let sleeper = std::mem::replace(&mut self.writer, writer);
                fenced(sleeper).await;
                self
            }
            Fate::IsKilled => {
                let (folder, path) = file();
                for name in ["stock.db", "stock.db-wal"] {
                    std::fs::copy(self.path.with_file_name(name), path.with_file_name(name))
                        .unwrap();
                }
                self.folders.push(folder);
                let sink = sink(&path);
                let writer = sink.open(Shard(0)).await.unwrap().writer;
                Self { path, sink, writer, ..self }
            }
        }
    }
}

async fn fenced(mut writer: Box<dyn ShardWriter>) {
    let outcome = writer.commit(commit("A", 1, 5)).await;
    assert!(matches!(outcome, Err(CommitError::Fenced(_))), "{outcome:?}");
}

/// Opens the file as soon as the process before has let go of it.
async fn taken_over(path: &Path) -> (Sqlite, Box<dyn ShardWriter>) {
    let sink = sink(path);
    loop {
        match sink.open(Shard(0)).await {
            Ok(Opened { writer, .. }) => return (sink, writer),
            Err(OpenError::Failed(error)) if matches!(error.fault(), Fault::Held { .. }) => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_file_is_the_fold_of_its_commits_whatever_becomes_of_the_process(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut model = Model::default();
        let process = runtime.block_on(async {
            let mut process = Process::start().await;
            for (shares, fate) in &steps {
                process.writer.commit(model.commit(shares)).await.unwrap();
                assert_eq!(Model::read(&process.path), model);
                process = process.meet(*fate).await;
            }
            process
        });
        prop_assert_eq!(Model::read(&process.path), model);
    }
}
