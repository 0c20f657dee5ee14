use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector_api::Result;

use super::{
    Commit, CommitError, Committed, LevelKey, OpenError, Opened, RowEntry, Shard, ShardState,
    ShardWriter, Sink, Stored, StoredRows,
};
use crate::stock::{SellerId, SourceName};

/// Throws events away and keeps checkpoints in memory: for sizing a source.
#[derive(Debug, Clone, Default)]
pub struct Discard {
    checkpoints: Arc<Mutex<HashMap<(SellerId, SourceName), String>>>,
}

#[async_trait]
impl Sink for Discard {
    /// There is nothing that could be left behind.
    async fn is_new(&self) -> Result<bool> {
        Ok(false)
    }

    async fn holder(&self, _: Shard) -> Result<Option<String>> {
        Ok(None)
    }

    async fn open(&self, _: Shard) -> Result<Opened, OpenError> {
        Ok(Opened { writer: Box::new(self.clone()), state: Arc::new(self.clone()), store: None })
    }
}

#[async_trait]
impl ShardState for Discard {
    async fn load(&self, seller: &SellerId, source: &SourceName) -> Result<Stored> {
        let checkpoints = self.checkpoints.lock().expect("no holder panics");
        let checkpoint = checkpoints.get(&(seller.clone(), source.clone())).cloned();
        Ok(Stored { checkpoint, lacking: Vec::new(), rows: Box::new(self.clone()) })
    }

    /// Nothing is published.
    async fn levels(&self, _: &SellerId, _: &SourceName) -> Result<Vec<LevelKey>> {
        Ok(Vec::new())
    }
}

/// None are kept.
#[async_trait]
impl StoredRows for Discard {
    async fn next(&mut self) -> Result<Vec<RowEntry>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ShardWriter for Discard {
    async fn commit(&mut self, commit: Arc<Commit>) -> Result<Committed, CommitError> {
        let mut checkpoints = self.checkpoints.lock().expect("no holder panics");
        for part in &commit.parts {
            if let Some(checkpoint) = &part.checkpoint {
                let source = (part.seller.clone(), part.source.clone());
                checkpoints.insert(source, checkpoint.clone());
            }
        }
        Ok(Committed::Durable)
    }
}
