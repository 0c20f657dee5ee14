use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::broker::Broker;
use crate::shop::{Backlog, INVENTORY, STOCK, Shop};

/// The servers everybody is measured on.
pub(crate) struct Place {
    pub(crate) shop: Box<dyn Shop>,
    pub(crate) broker: Broker,
    /// Lines of the section `[sink]`, for every run into Kafka.
    pub(crate) kafka_options: String,
}

/// Where tailstock publishes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    Discard,
    Sqlite,
    /// Exactly once, with levels.
    Kafka,
    KafkaWithoutLevels,
    KafkaAtLeastOnce,
}

impl Sink {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sink::Discard => "discard",
            Sink::Sqlite => "sqlite",
            Sink::Kafka => "kafka",
            Sink::KafkaWithoutLevels => "kafka-no-levels",
            Sink::KafkaAtLeastOnce => "kafka-at-least-once",
        }
    }

    pub(crate) fn is_kafka(self) -> bool {
        !matches!(self, Sink::Discard | Sink::Sqlite)
    }

    /// The options of the main file's section, besides the address.
    fn options(self) -> &'static str {
        match self {
            Sink::Discard => "kind = \"discard\"",
            Sink::Sqlite => "kind = \"sqlite\"\npath = \"stock.db\"",
            Sink::Kafka => "kind = \"kafka\"",
            Sink::KafkaWithoutLevels => "kind = \"kafka\"\nlevels = false",
            Sink::KafkaAtLeastOnce => "kind = \"kafka\"\ndelivery = \"at_least_once\"",
        }
    }
}

/// What tailstock is to do.
#[derive(Clone, Copy)]
pub(crate) enum Task<'a> {
    /// To publish a backlog from its beginning, and nothing that was there before.
    Drain(&'a Backlog),
    /// To publish what changes from now on, and nothing that was there before.
    Follow,
    /// To publish what is in the table of stock, as every first start does.
    Read,
    /// The same as fast as it goes.
    ReadAtOnce,
    /// That under keys that are not those of the table, so that its rows are remembered.
    Remember,
}

impl Task<'_> {
    /// The table that is mapped.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Task::Drain(_) | Task::Follow => INVENTORY,
            Task::Read | Task::ReadAtOnce | Task::Remember => STOCK,
        }
    }

    /// Lines of the section `[source]`.
    fn source(self, shop: &dyn Shop) -> String {
        let never = "snapshot = \"never\"\n";
        match self {
            Task::Drain(backlog) => shop.source(Some(backlog)) + never,
            Task::Follow => shop.source(None) + never,
            Task::Read => shop.source(None),
            Task::ReadAtOnce | Task::Remember => {
                shop.source(None) + "snapshot_rows_per_s = 10000000\n"
            }
        }
    }

    /// The column that an item is known by.
    fn item(self) -> &'static str {
        match self {
            Task::Drain(_) | Task::Follow | Task::Read | Task::ReadAtOnce => "id",
            Task::Remember => "sku",
        }
    }
}

/// A configuration of its own, and topics of its own.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
    sink: Sink,
    prefix: String,
}

impl Workspace {
    pub(crate) fn new(place: &Place, sink: Sink, task: Task<'_>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let folder = tempfile::tempdir().unwrap();
        let process = std::process::id();
        let prefix = format!("bench{process}-{}.", NEXT.fetch_add(1, Ordering::Relaxed));
        let address = match sink.is_kafka() {
            true => {
                format!(
                    "brokers = \"{}\"\ntopic_prefix = \"{prefix}\"\n{}\n",
                    place.broker.bootstrap(),
                    place.kafka_options
                )
            }
            false => String::new(),
        };
        let main = format!(
            "name = \"bench\"\nsellers = \"seller.toml\"\n[sink]\n{}\n{address}\
             [http]\nlisten = \"\"\n",
            sink.options()
        );
        let (source, schema) = (task.source(place.shop.as_ref()), place.shop.schema());
        let (table, item) = (task.table(), task.item());
        let seller = format!(
            "seller = \"acme\"\n[source]\n{source}[[stock]]\ntable = \"{schema}.{table}\"\n\
             item = \"{item}\"\nsku = \"sku\"\non_hand = \"quantity\"\n\
             available = \"quantity - reserved\"\n\
             coalesce = false\n"
        );
        std::fs::write(folder.path().join("tailstock.toml"), main).unwrap();
        std::fs::write(folder.path().join("seller.toml"), seller).unwrap();
        Self { folder, sink, prefix }
    }

    /// The program that was built beside this one.
    pub(crate) fn tailstock(&self, arguments: &[&str]) -> Command {
        let here = std::env::current_exe().unwrap();
        let mut command = Command::new(here.parent().unwrap().join("tailstock"));
        command.args(["--log-level", "warn", "--config", "tailstock.toml"]).args(arguments);
        command.current_dir(self.folder.path());
        command
    }

    /// The SQLite file.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("stock.db")
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The number of events that a consumer finds; `None` where none are kept.
    pub(crate) fn events(&self, broker: &Broker) -> Option<u64> {
        match self.sink {
            Sink::Discard => None,
            Sink::Sqlite => {
                let database = rusqlite::Connection::open(self.store()).unwrap();
                let sql = "SELECT count(*) FROM events";
                let events: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
                Some(events.cast_unsigned())
            }
            _ => Some(broker.count(&self.topic("stock.events.v1"))),
        }
    }
}
