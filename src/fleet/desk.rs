use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, SellerConfig};
use crate::mapping::{Plan, is_meant};
use crate::seller::SnapshotRequest;
use crate::stock::{SellerId, SourceName};

/// How long a seller may take to answer. One that starts answers when it has started, and each when
/// its sink has stored what it was asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that may wait for one seller.
const WAITING: usize = 4;

/// Where requests for sellers are handed in.
#[derive(Debug, Default)]
pub struct Desk {
    sources: Mutex<HashMap<(SellerId, SourceName), Source>>,
}

#[derive(Debug)]
struct Source {
    /// `schema.table` of each table it captures.
    tables: Vec<String>,
    /// To the loop that follows it now; closed when none does.
    requests: Option<mpsc::Sender<SnapshotRequest>>,
}

/// Why a request is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such seller or source, or it has no such table.
    Unknown(String),
    /// The seller cannot be asked at the moment.
    Unavailable(String),
    /// The seller was asked, and says why not.
    Refused(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Refusal::Unknown(why) | Refusal::Unavailable(why) | Refusal::Refused(why)) = self;
        f.write_str(why)
    }
}

impl Desk {
    /// A desk for every seller of a configuration.
    pub fn of(config: &Config) -> Self {
        let desk = Self::default();
        config.sellers.iter().for_each(|seller| desk.know(seller));
        desk
    }

    fn know(&self, config: &SellerConfig) {
        let captured = Plan::tables_of(&config.definitions).tables;
        let tables = captured.iter().map(|table| table.name.to_string()).collect();
        let name = (config.seller.clone(), config.source.name.clone());
        self.sources().insert(name, Source { tables, requests: None });
    }

    /// The requests for a seller from now on. Whoever took them before gets no more.
    pub(crate) fn attend(&self, config: &SellerConfig) -> mpsc::Receiver<SnapshotRequest> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let name = (config.seller.clone(), config.source.name.clone());
        if let Some(source) = self.sources().get_mut(&name) {
            source.requests = Some(sender);
        }
        receiver
    }

    /// Asks a seller to read one of its tables as a whole, or all of them. Returns which it will,
    /// whatever becomes of this process.
    pub async fn snapshot(
        &self,
        seller: &str,
        source: &str,
        table: Option<String>,
    ) -> Result<Vec<String>, Refusal> {
        let requests = self.requests(seller, source, table.as_deref())?;
        let unavailable = |why: &str| {
            Refusal::Unavailable(format!(
                "{seller}/{source} {why}: tailstock status tells how it stands"
            ))
        };
        let (answer, answered) = oneshot::channel();
        let ask = async {
            let requests = requests.ok_or("is not followed by this process")?;
            let request = SnapshotRequest { table, answer };
            requests.send(request).await.map_err(|_| "is not followed at the moment")?;
            answered.await.map_err(|_| "is being started again")
        };
        match tokio::time::timeout(PATIENCE, ask).await {
            Ok(Ok(answer)) => answer.map_err(Refusal::Refused),
            Ok(Err(why)) => Err(unavailable(why)),
            Err(_) => Err(unavailable("has not stored the order within ten seconds")),
        }
    }

    /// The way to a source that has this table.
    fn requests(
        &self,
        seller: &str,
        source: &str,
        table: Option<&str>,
    ) -> Result<Option<mpsc::Sender<SnapshotRequest>>, Refusal> {
        let sources = self.sources();
        let name = (SellerId::new(seller), SourceName::new(source));
        let known = sources.get(&name).ok_or_else(|| {
            let mut known: Vec<String> =
                sources.keys().map(|(seller, source)| format!("{seller}/{source}")).collect();
            known.sort();
            let known = known.join(", ");
            Refusal::Unknown(format!("there is no {seller}/{source}; there are: {known}"))
        })?;
        match table {
            Some(table) if !known.tables.iter().any(|one| is_meant(one, table)) => {
                let known = known.tables.join(", ");
                Err(Refusal::Unknown(format!(
                    "no mapping of {seller}/{source} reads a table {table}; they read: {known}"
                )))
            }
            _ => Ok(known.requests.clone()),
        }
    }

    /// A panic elsewhere leaves whole assignments behind.
    fn sources(&self) -> MutexGuard<'_, HashMap<(SellerId, SourceName), Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
