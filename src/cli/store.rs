use std::sync::Arc;

use connector_api::{Error, Result};

use super::{Exit, Failure, sink};
use crate::config::{Config, SellerConfig, SinkConfig};
use crate::shard;
use crate::sink::{Commit, Committed, Opened, Part, Shard, ShardState, ShardWriter, Stored};
use crate::telemetry::StatusBoard;

/// What is stored, in the hands of a command: no process works with it meanwhile.
pub(super) struct Store {
    pub(super) writer: Box<dyn ShardWriter>,
    pub(super) state: Arc<dyn ShardState>,
}

impl Store {
    /// Takes the store over from whoever has ended; `None` where nothing is stored. Somebody who
    /// may still be at work is shut out only where the person at the terminal says so.
    pub(super) async fn take(config: &Config, take_over: bool) -> Result<Option<Self>, Failure> {
        if matches!(config.sink, SinkConfig::Discard) {
            return Ok(None);
        }
        let sink = sink::open(config, &StatusBoard::default())?;
        if sink.is_new().await? {
            return Ok(None);
        }
        let shard = Shard(0);
        if let Some(holder) = sink.holder(shard).await?.filter(|_| !take_over) {
            let what = format!("the store may be in use by {holder}");
            let fix = "end that process; if it has ended, say so: --take-over";
            return Err(Failure::new(Exit::Held, what, fix));
        }
        let Opened { writer, state, .. } = sink.open(shard).await.map_err(Error::from)?;
        Ok(Some(Self { writer, state }))
    }

    /// What is stored of a source.
    pub(super) async fn load(&self, config: &SellerConfig) -> Result<Stored> {
        self.state.load(&config.seller, &config.source.name).await
    }

    /// Says that this command has done with it.
    pub(super) async fn end(mut self) {
        shard::leave(self.writer.as_mut()).await;
    }

    /// Returns once it is durable.
    pub(super) async fn commit(&mut self, part: Part) -> Result<()> {
        match self.writer.commit(Arc::new(Commit { parts: vec![part] })).await? {
            Committed::Durable => Ok(()),
            Committed::Published(stored) => match stored.await {
                Ok(outcome) => Ok(outcome?),
                Err(_) => Err(Error::bug("the sink answered nothing")),
            },
        }
    }
}
