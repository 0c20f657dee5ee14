//! Apache Kafka clusters of one broker or of three.
//!
//! A real broker (KRaft, broker and controller in one process) from its published jars, which Maven
//! fetches once, run by any Java from 17 on. On two cores one broker is ready in 3 seconds; three
//! of them take 9.

mod jars;
mod node;
mod options;

use std::time::{Duration, Instant};

pub use options::KafkaOptions;

use crate::postgres::StartError;
use jars::Jars;
use node::{Node, Peers};

/// A cluster of one's own; its brokers end when it is dropped, and when this process is killed.
#[derive(Debug)]
pub struct Kafka {
    nodes: Vec<Node>,
    secure: bool,
    given: Option<String>,
}

/// Names brokers that run already: `host:port,...`.
const GIVEN: &str = "TAILSTOCK_TEST_KAFKA";
/// How long brokers may take to find each other.
const PATIENCE: Duration = Duration::from_secs(90);

impl Kafka {
    /// Starts a cluster and waits until every broker knows all of them.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] when this machine has no Java or no jars.
    pub fn start(options: &KafkaOptions) -> Result<Kafka, StartError> {
        let given = std::env::var(GIVEN).ok().filter(|given| !given.is_empty());
        if let Some(given) = given.filter(|_| !options.needs_own()) {
            return Ok(Kafka { nodes: Vec::new(), secure: false, given: Some(given) });
        }
        let jars = Jars::find().map_err(StartError::Unavailable)?;
        let peers = Peers::choose(options.brokers).map_err(failed)?;
        let nodes: Result<Vec<Node>, String> =
            (0..options.brokers).map(|nth| Node::new(jars, &peers, nth, options)).collect();
        let secure = options.listener.is_some();
        let kafka = Kafka { nodes: nodes.map_err(failed)?, secure, given: None };
        for nth in 0..kafka.nodes.len() {
            kafka.nodes[nth].start(options.file_bytes).map_err(failed)?;
        }
        kafka.wait_until_whole().map_err(failed)?;
        Ok(kafka)
    }

    /// The brokers for clients that may do everything: `host:port,...`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.given.clone().unwrap_or_else(|| self.addresses(|node| node.port()))
    }

    /// The brokers' other listener, as [`KafkaOptions::listener`] has it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn secure_bootstrap(&self) -> String {
        assert!(self.secure, "the cluster was started without another listener");
        self.addresses(|node| node.secure_port())
    }

    fn addresses(&self, port: impl Fn(&Node) -> u16) -> String {
        let addresses: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", port(node))).collect();
        addresses.join(",")
    }

    /// Number of brokers.
    #[must_use]
    pub fn brokers(&self) -> usize {
        self.nodes.len()
    }

    /// SIGKILL for the broker with this number, from 0.
    pub fn kill(&self, nth: usize) {
        self.nodes[nth].end(rustix::process::Signal::KILL);
    }

    /// SIGTERM, and waits until the broker has handed over what it leads.
    pub fn stop(&self, nth: usize) {
        self.nodes[nth].end(rustix::process::Signal::TERM);
    }

    /// Starts a broker that was ended, on its data and its port, and waits until every broker that
    /// runs knows it.
    ///
    /// # Errors
    /// The end of its log.
    pub fn start_again(&self, nth: usize) -> Result<(), StartError> {
        self.nodes[nth].start(None).map_err(failed)?;
        self.wait_until_whole().map_err(failed)
    }

    /// SIGSTOP: its connections stay and nobody answers on them.
    pub fn pause(&self, nth: usize) {
        self.nodes[nth].signal(rustix::process::Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self, nth: usize) {
        self.nodes[nth].signal(rustix::process::Signal::CONT);
    }

    /// Whether a broker has not ended.
    #[must_use]
    pub fn is_running(&self, nth: usize) -> bool {
        self.nodes[nth].is_running()
    }

    /// Where a broker keeps its records.
    #[must_use]
    pub fn data_dir(&self, nth: usize) -> std::path::PathBuf {
        self.nodes[nth].data()
    }

    /// What a broker has logged.
    #[must_use]
    pub fn broker_log(&self, nth: usize) -> String {
        self.nodes[nth].log()
    }

    /// For people: where the programs came from.
    #[must_use]
    pub fn origin() -> String {
        Jars::find().map_or_else(|reason| reason, |jars| jars.origin())
    }

    /// Waits until every running broker says that all running brokers are there.
    fn wait_until_whole(&self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let running = self.nodes.iter().filter(|node| node.is_running()).count();
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            while node.known_brokers() != Some(running) {
                if Instant::now() > deadline || !node.is_running() {
                    return Err(format!("a broker is not ready:\n{}", node.log_tail()));
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

fn failed(reason: String) -> StartError {
    StartError::Failed(reason)
}
