use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector_api::{Capture, Error, Lineage, Position, ResumePoint};

use super::*;
use crate::sink::{
    Commit, CommitError, Committed, LevelKey, Remains, ShardState, ShardWriter, Stored, StoredRows,
};
use crate::state::{Checkpoint, MappingRevision};
use crate::stock::Version;

/// What is stored of one source, and how many commits it takes before it takes none.
#[derive(Default)]
struct Held {
    checkpoint: Option<String>,
    levels: Vec<LevelKey>,
    rows: Vec<RowEntry>,
    remains: Option<Remains>,
    takes: usize,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Held>>);

struct Rows(Vec<RowEntry>);

#[async_trait]
impl StoredRows for Rows {
    async fn next(&mut self) -> Result<Vec<RowEntry>> {
        let left = self.0.split_off(self.0.len().min(1));
        Ok(std::mem::replace(&mut self.0, left))
    }
}

#[async_trait]
impl ShardState for Memory {
    async fn load(&self, _: &SellerId, _: &SourceName) -> Result<Stored> {
        let held = self.0.lock().unwrap();
        let rows = Box::new(Rows(held.rows.clone()));
        Ok(Stored { checkpoint: held.checkpoint.clone(), lacking: Vec::new(), rows })
    }

    async fn levels(&self, _: &SellerId, _: &SourceName) -> Result<Vec<LevelKey>> {
        Ok(self.0.lock().unwrap().levels.clone())
    }

    async fn remains(&self, _: &SellerId, _: &SourceName) -> Result<Option<Remains>> {
        Ok(self.0.lock().unwrap().remains.clone())
    }
}

#[async_trait]
impl ShardWriter for Memory {
    async fn commit(&mut self, commit: Arc<Commit>) -> Result<Committed, CommitError> {
        let mut held = self.0.lock().unwrap();
        let no_more = || CommitError::NotCommitted(Error::transient("no more"));
        held.takes = held.takes.checked_sub(1).ok_or_else(no_more)?;
        for part in &commit.parts {
            held.levels.retain(|level| !part.forgets.levels.contains(&level.key));
            held.rows.retain(|row| part.rows.iter().all(|gone| gone.pk != row.pk));
            held.checkpoint = part.checkpoint.clone().or(held.checkpoint.take());
        }
        Ok(Committed::Durable)
    }
}

fn checkpoint() -> Checkpoint {
    let point =
        ResumePoint::new(Lineage::new("7/1/slot"), Position::new("0/10"), Capture::default());
    let mapping = MappingRevision { number: 1, hash: String::new() };
    let mut checkpoint = Checkpoint::first("acme", "main", point, mapping);
    checkpoint.epoch = 3;
    checkpoint.complete.insert("public.stock".to_owned(), "0".to_owned());
    checkpoint
}

/// A source with two levels and two rows.
fn known(takes: usize) -> Memory {
    let level = |item: &str| LevelKey {
        key: format!("acme/main/{item}/_"),
        version: Version { epoch: 2, coordinate: 1, ordinal: 1 },
        table: "public.stock".to_owned(),
        sku: None,
    };
    let row = |pk: &str| {
        let (table, pk) = ("public.stock".to_owned(), pk.to_owned());
        RowEntry { table, pk, value: Some("{}".to_owned()) }
    };
    Memory(Arc::new(Mutex::new(Held {
        checkpoint: Some(checkpoint().encode()),
        levels: vec![level("1"), level("2")],
        rows: vec![row("1"), row("2")],
        remains: None,
        takes,
    })))
}

async fn forget(memory: &Memory) -> Result<Forgotten> {
    let store = Store { writer: Box::new(memory.clone()), state: Arc::new(memory.clone()) };
    from_store(store, (&SellerId::new("acme"), &SourceName::new("main"))).await
}

fn recalled(held: &Held) -> Recalled {
    Recalled::decode(held.checkpoint.as_deref().unwrap(), "acme", "main").unwrap()
}

#[tokio::test]
async fn wherever_forgetting_ends_half_way_a_later_start_relies_on_nothing_that_has_gone() {
    let mut takes = 0;
    loop {
        let memory = known(takes);
        let done = forget(&memory).await.is_ok();
        {
            let held = memory.0.lock().unwrap();
            match recalled(&held) {
                Recalled::Checkpoint(now) if takes == 0 => assert_eq!(*now, checkpoint()),
                Recalled::Checkpoint(now) => {
                    assert!(now.complete.is_empty(), "behind {takes} commits");
                    assert!(now.dirty_tables.contains_key("public.stock"), "{takes} commits");
                    assert_eq!(held.levels.len(), 2, "without them nothing tells what is gone");
                }
                Recalled::Forgotten { epoch } => assert_eq!((epoch, held.rows.len()), (3, 0)),
            }
            assert_eq!(done, held.levels.is_empty(), "behind {takes} commits");
        }
        if done {
            break;
        }
        memory.0.lock().unwrap().takes = usize::MAX;
        assert!(forget(&memory).await.is_ok());
        let held = memory.0.lock().unwrap();
        assert!(held.levels.is_empty() && held.rows.is_empty());
        assert!(matches!(recalled(&held), Recalled::Forgotten { epoch: 3 }));
        takes += 1;
    }
    assert!(takes >= 4, "{takes} commits");
}

#[tokio::test]
async fn a_source_whose_checkpoint_was_lost_is_forgotten_with_the_last_epoch_of_its_events() {
    let memory = known(usize::MAX);
    {
        let mut held = memory.0.lock().unwrap();
        held.checkpoint = None;
        held.remains = Some(Remains { epoch: 5, tables: BTreeSet::new() });
    }
    forget(&memory).await.unwrap();
    let found = recalled(&memory.0.lock().unwrap());
    assert!(matches!(found, Recalled::Forgotten { epoch: 5 }), "{found:?}");
    // Of one that was never published nothing is left.
    let nobody = Memory::default();
    nobody.0.lock().unwrap().takes = usize::MAX;
    forget(&nobody).await.unwrap();
    assert_eq!(nobody.0.lock().unwrap().checkpoint, None);
}
