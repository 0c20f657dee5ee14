use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Between two looks at the memory of a process: what it takes in its last moment is not seen.
const SAMPLES: Duration = Duration::from_millis(25);

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
    let pid = child.id();
    let (runs, ended) = mpsc::channel::<()>();
    let sampling = std::thread::spawn(move || sampled(pid, &ended));
    // It stays a zombie, which says what it has used, until it is waited for below.
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    retry_on_intr(|| waitid(WaitId::Pid(Pid::from_child(&child)), how)).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    drop(runs);
    let (cpu_s, peak_rss_mib) = (cpu_s(pid), sampling.join().unwrap());
    let status = child.wait().unwrap();
    assert!(status.success(), "{}: {status}", command.get_program().display());
    Usage { seconds, cpu_s, peak_rss_mib }
}

/// The most memory that was seen until nobody is at the other end. To look takes a third of a
/// millisecond of a processor that the client may want.
fn sampled(pid: u32, ended: &mpsc::Receiver<()>) -> f64 {
    let mut most = 0.0;
    loop {
        most = peak_rss_mib(pid).unwrap_or(most);
        if ended.recv_timeout(SAMPLES) == Err(mpsc::RecvTimeoutError::Disconnected) {
            return most;
        }
    }
}

/// What a process has used, in user mode and in the kernel.
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = |nth| fields.split(' ').nth(nth).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory a process has had so far.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
