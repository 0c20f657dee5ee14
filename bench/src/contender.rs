use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use crate::place::{Place, Sink, Workspace};
use crate::report::Figures;
use crate::shop::{Backlog, Shop};

/// Who drains the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The server's own client.
    Peer,
    Tailstock(Sink),
}

impl Contender {
    /// The peer first.
    pub(crate) const ALL: [Contender; 6] = [
        Contender::Peer,
        Contender::Tailstock(Sink::Discard),
        Contender::Tailstock(Sink::Sqlite),
        Contender::Tailstock(Sink::Kafka),
        Contender::Tailstock(Sink::KafkaWithoutLevels),
        Contender::Tailstock(Sink::KafkaAtLeastOnce),
    ];

    pub(crate) fn name(self, shop: &dyn Shop) -> &'static str {
        match self {
            Contender::Peer => shop.peer(),
            Contender::Tailstock(sink) => sink.name(),
        }
    }

    /// Runs one client as a whole process over the whole backlog.
    pub(crate) fn drain(self, place: &Place, backlog: &Backlog) -> Figures {
        let Place { shop, broker, .. } = place;
        shop.rewind(backlog);
        let workspace = Workspace::new(place, self.sink(), Some(backlog));
        let written = memory_folder();
        let mut command = match self {
            Contender::Peer => shop.peer_command(backlog, written.path()),
            Contender::Tailstock(_) => workspace.tailstock(&["run", "--until-current"]),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let started = Instant::now();
        let child = command.spawn().unwrap();
        let usage = wait(child.id());
        let seconds = started.elapsed().as_secs_f64();
        // The child is waited for below the standard library, to learn what it used.
        drop(child);
        shop.left();
        if let Some(events) = workspace.events(broker) {
            assert_eq!(events, backlog.captured, "events of {}", self.name(shop.as_ref()));
        }
        #[allow(clippy::cast_precision_loss, reason = "row counts fit a float's 52 bits")]
        let rows_per_s = backlog.rows as f64 / seconds;
        Figures { rows_per_s, cpu_s: usage.cpu_s, peak_rss_mib: usage.peak_rss_mib }
    }

    fn sink(self) -> Sink {
        match self {
            Contender::Peer => Sink::Discard,
            Contender::Tailstock(sink) => sink,
        }
    }
}

/// For what a peer writes: in memory where the machine has such a place, and open to the account
/// that the server's programs run as.
fn memory_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    folder
}

/// What a process used.
struct Usage {
    cpu_s: f64,
    peak_rss_mib: f64,
}

/// Samples a process until it has ended: no safe crate waits with the resources used.
fn wait(pid: u32) -> Usage {
    let mut usage = Usage { cpu_s: 0.0, peak_rss_mib: 0.0 };
    let folder = PathBuf::from(format!("/proc/{pid}"));
    loop {
        let stat = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok());
        if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
            usage.cpu_s = (user + system) / 100.0;
        }
        usage.peak_rss_mib = peak_rss_mib(pid).unwrap_or(usage.peak_rss_mib);
        // A zombie has ended: what it used is final.
        if fields.first().is_none_or(|state| *state == "Z") {
            return usage;
        }
        pause();
    }
}

/// The most memory a process has had so far.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Between two samples: short against what is measured, long against what sampling costs.
#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}
