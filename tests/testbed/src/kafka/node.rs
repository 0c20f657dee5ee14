use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::jars::Jars;
use super::options::KafkaOptions;
use crate::place::{Place, Run};
use crate::process::{Process, bound};

const CLUSTER: &str = "dGFpbHN0b2NrLXRlc3RlZA";

/// The ports of all brokers: for everybody, for controllers, and for the second listener.
#[derive(Debug, Clone)]
pub(super) struct Peers(Vec<[u16; 3]>);

impl Peers {
    pub(super) fn choose(brokers: usize) -> Result<Self, String> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        // All are held until all are chosen, so that no two are the same.
        let held: Result<Vec<TcpListener>, _> = (0..brokers * 3).map(|_| listen()).collect();
        let held = held.map_err(|error| format!("no free port: {error}"))?;
        let port = |listener: &TcpListener| listener.local_addr().map_or(0, |at| at.port());
        let ports: Vec<u16> = held.iter().map(port).collect();
        Ok(Self(ports.chunks_exact(3).map(|three| [three[0], three[1], three[2]]).collect()))
    }
}

/// One broker.
#[derive(Debug)]
pub(super) struct Node {
    jars: &'static Jars,
    ports: [u16; 3],
    process: Mutex<Option<Process>>,
    warm: bool,
    // Last, so that the process has gone when its directory is removed.
    run: Run,
}

impl Node {
    /// A broker with a formatted, empty data directory.
    pub(super) fn new(
        jars: &'static Jars,
        peers: &Peers,
        nth: usize,
        options: &KafkaOptions,
    ) -> Result<Self, String> {
        let run = Place::find()?.new_run(None).map_err(|error| error.to_string())?;
        let (ports, warm) = (peers.0[nth], options.warm);
        let node = Self { jars, ports, process: Mutex::new(None), warm, run };
        let file = node.run.directory().join("server.properties");
        let text = node.properties(peers, nth, options);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut format = Command::new("java");
        node.java(&mut format);
        format.arg("kafka.tools.StorageTool").args(["format", "-t", CLUSTER, "-c"]).arg(&file);
        if let Some(scram) = &options.scram {
            format.args(["--add-scram", scram]);
        }
        let output = format.stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("java: {error}"))?;
        if output.status.success() {
            return Ok(node);
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("formatting: {}", String::from_utf8_lossy(&said)))
    }

    fn properties(&self, peers: &Peers, nth: usize, options: &KafkaOptions) -> String {
        let [open, controller, secure] = self.ports;
        let voter =
            |(nth, ports): (usize, &[u16; 3])| format!("{}@127.0.0.1:{}", nth + 1, ports[1]);
        let voters: Vec<String> = peers.0.iter().enumerate().map(voter).collect();
        let copies = peers.0.len();
        let mut listeners = format!("OPEN://127.0.0.1:{open}");
        let mut protocols = "OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        if let Some(protocol) = &options.listener {
            listeners += &format!(",SECURE://127.0.0.1:{secure}");
            protocols += &format!(",SECURE:{protocol}");
        }
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id={}\n\
             controller.quorum.voters={}\n\
             listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={listeners}\n\
             listener.security.protocol.map={protocols}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=OPEN\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             default.replication.factor={copies}\n\
             offsets.topic.replication.factor={copies}\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor={copies}\n\
             transaction.state.log.num.partitions=4\n\
             transaction.state.log.min.isr={}\n\
             share.coordinator.state.topic.replication.factor={copies}\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             controlled.shutdown.retry.backoff.ms=100\n",
            nth + 1,
            voters.join(","),
            self.run.data().display(),
            copies.div_ceil(2),
        );
        for (name, value) in &options.settings {
            writeln!(text, "{name}={value}").expect("writing to memory does not fail");
        }
        text
    }

    /// The Java machine's own arguments.
    fn java(&self, command: &mut Command) {
        let memory = ["-Xms96m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
        let speed = ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];
        command.args(if self.warm { speed } else { memory });
        command.args(["-Xshare:auto", "-Djava.awt.headless=true"]);
        command.args(["-Dorg.slf4j.simpleLogger.logFile=System.out"]);
        command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
        command.args(["-Dorg.slf4j.simpleLogger.showDateTime=true"]);
        command.args(["-cp", &format!("{}/*", self.jars.folder.display())]);
        command.current_dir(self.run.directory());
    }

    /// Starts it; its files can grow to `file_bytes`.
    pub(super) fn start(&self, file_bytes: Option<u64>) -> Result<(), String> {
        let log = fs::File::options().append(true).create(true).open(self.run.log());
        let log = log.map_err(|error| error.to_string())?;
        let mut command = match file_bytes {
            None => bound("java".as_ref(), Signal::KILL),
            Some(bytes) => {
                let mut limited = bound("prlimit".as_ref(), Signal::KILL);
                limited.arg(format!("--fsize={bytes}")).arg("java");
                limited
            }
        };
        self.java(&mut command);
        command.arg("kafka.Kafka").arg(self.run.directory().join("server.properties"));
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(|error| error.to_string())?);
        command.stderr(log);
        // A Ctrl-C at the terminal is for the test; the broker follows when the test ends.
        command.process_group(0);
        let process = Process::spawn(command, Signal::KILL).map_err(|error| error.to_string())?;
        let pid_file = self.run.directory().join("pid");
        fs::write(pid_file, process.id().to_string()).map_err(|error| error.to_string())?;
        *self.process() = Some(process);
        Ok(())
    }

    pub(super) fn end(&self, signal: Signal) {
        if let Some(process) = self.process().take() {
            process.signal(signal);
            process.wait(Duration::from_secs(60));
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &*self.process() {
            process.signal(signal);
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.process().as_ref().is_some_and(|process| process.exited().is_none())
    }

    pub(super) fn port(&self) -> u16 {
        self.ports[0]
    }

    pub(super) fn secure_port(&self) -> u16 {
        self.ports[2]
    }

    pub(super) fn data(&self) -> PathBuf {
        self.run.data()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.run.log()).unwrap_or_default()
    }

    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// How many brokers this one knows; `None` when it does not answer.
    pub(super) fn known_brokers(&self) -> Option<usize> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        // Metadata, version 4, correlation 1, no client id; no topics, none to be created.
        let body = [0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0];
        let mut request = u32::try_from(body.len()).ok()?.to_be_bytes().to_vec();
        request.extend_from_slice(&body);
        stream.write_all(&request).ok()?;
        // Length, correlation, throttle time, number of brokers: four bytes each.
        let mut answer = [0; 16];
        stream.read_exact(&mut answer).ok()?;
        let count = u32::from_be_bytes([answer[12], answer[13], answer[14], answer[15]]);
        usize::try_from(count).ok()
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
