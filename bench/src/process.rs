use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a process took from its start to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    pub(crate) cpu_s: f64,
    pub(crate) peak_rss_mib: f64,
}

/// Runs a client as a whole process that says nothing, to an end without an error.
pub(crate) fn run(mut command: Command) -> Usage {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut usage = sampled(child.id());
    usage.seconds = started.elapsed().as_secs_f64();
    let status = child.wait().unwrap();
    assert!(status.success(), "{}: {status}", command.get_program().display());
    usage
}

/// Samples a process until it has ended: no safe crate waits with the resources used.
fn sampled(pid: u32) -> Usage {
    let mut usage = Usage { seconds: 0.0, cpu_s: 0.0, peak_rss_mib: 0.0 };
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
