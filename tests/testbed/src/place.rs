//! Where things live on this machine: trees and templates are kept, data is not.
//!
//! ```text
//! <target>/testbed/trees/        unpacked packages            ($TAILSTOCK_TESTBED_CACHE/trees)
//! <target>/testbed/templates/    fresh data directories       ($TAILSTOCK_TESTBED_CACHE/templates)
//! <target>/testbed/run/PID-N/    one running server
//! <target>/testbed/run/PID-N.lock   held as long as its process lives
//! ```
//! Where the servers' account cannot reach the build directory (a clone below /root), the system's
//! temporary directory takes its part.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Account;
use crate::process::finish;

/// A socket's path ends at 107 bytes; the server adds `/.s.PGSQL.65535` and, for its lock, `.lock`.
const LONGEST_SOCKET_DIRECTORY: usize = 86;

#[derive(Clone, Debug)]
pub(crate) struct Place {
    cache: PathBuf,
    run: PathBuf,
}

impl Place {
    /// The place for this process, found once.
    pub(crate) fn find() -> Result<&'static Place, String> {
        static FOUND: OnceLock<Result<Place, String>> = OnceLock::new();
        FOUND.get_or_init(|| Place::choose(Account::for_servers())).as_ref().map_err(Clone::clone)
    }

    fn choose(account: Option<Account>) -> Result<Place, String> {
        let reachable = |path: &Path| account.is_none_or(|account| account.can_enter(path));
        let mut base = target_directory().join("testbed");
        prepare(&base)?;
        if !reachable(&base) {
            let user = rustix::process::geteuid().as_raw();
            base = std::env::temp_dir().join(format!("tailstock-testbed-{user}"));
            prepare(&base)?;
            refuse_foreign(&base)?;
        }
        let cache = match std::env::var_os("TAILSTOCK_TESTBED_CACHE") {
            Some(named) => PathBuf::from(named),
            None => base.clone(),
        };
        let cache = std::path::absolute(&cache).map_err(|error| describe(&cache, &error))?;
        let place = Place { cache, run: base.join("run") };
        for directory in [&place.cache, &place.trees(), &place.templates(), &place.run] {
            prepare(directory)?;
            if !reachable(directory) {
                let directory = directory.display();
                return Err(format!("{directory} cannot be entered by the servers' account"));
            }
        }
        Ok(place)
    }

    pub(crate) fn trees(&self) -> PathBuf {
        self.cache.join("trees")
    }

    pub(crate) fn templates(&self) -> PathBuf {
        self.cache.join("templates")
    }

    /// A new directory for one server, owned by `account`. Clears up after dead processes first.
    pub(crate) fn new_run(&self, account: Option<Account>) -> io::Result<Run> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let _one_at_a_time = lock(&self.run.join("sweep"))?;
        self.sweep();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = self.run.join(format!("{}-{number}", std::process::id()));
        let lock = lock(&directory)?;
        fs::create_dir(&directory)?;
        let mut run = Run { directory, sockets: None, _lock: lock };
        if run.directory.as_os_str().len() > LONGEST_SOCKET_DIRECTORY {
            run.sockets = Some(tempfile::Builder::new().prefix("tailstock-").tempdir()?);
        }
        if let Some(account) = account {
            account.own(&run.directory)?;
            account.own(run.sockets())?;
        }
        Ok(run)
    }

    /// Stops servers and removes directories whose process is gone, as its released lock proves.
    /// What cannot be removed yet is left to the next sweep.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.run) else { return };
        for directory in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let Ok(lock_file) = File::create(directory.with_extension("lock")) else { continue };
            if lock_file.try_lock().is_ok() {
                end_server_of(&directory);
                drop(remove(&directory));
            }
        }
    }
}

/// One server's directory; removed on drop, unless `TAILSTOCK_TESTBED_KEEP` is set.
#[derive(Debug)]
pub(crate) struct Run {
    directory: PathBuf,
    sockets: Option<tempfile::TempDir>,
    _lock: File,
}

impl Run {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// All that the server and its programs write: the directory itself, first, and the socket's.
    pub(crate) fn directories(&self) -> Vec<&Path> {
        let sockets = self.sockets.as_ref().map(|sockets| sockets.path());
        std::iter::once(self.directory()).chain(sockets).collect()
    }

    /// The directory of the server's socket, short enough for one.
    pub(crate) fn sockets(&self) -> &Path {
        self.sockets.as_ref().map_or(&self.directory, |sockets| sockets.path())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::env::var_os("TAILSTOCK_TESTBED_KEEP").is_none() {
            drop(remove(&self.directory));
        }
    }
}

/// Holds `<path>.lock` against every other process and thread until the file is dropped.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(PathBuf::from(name))?;
    file.lock()?;
    Ok(file)
}

/// Copies a directory with its owners and modes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let mut command = Command::new("cp");
    finish(command.args(["-a", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

/// A port nobody listens on, below those the kernel hands to outgoing connections: such a one could
/// be taken while the server restarts.
pub(crate) fn free_port() -> Result<u16, String> {
    for round in 0..100_u32 {
        let chance = RandomState::new().hash_one(round) % 12_000;
        let port = 20_000 + u16::try_from(chance).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port between 20000 and 32000 on 127.0.0.1".to_owned())
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(directory.with_extension("lock"))
}

fn end_server_of(directory: &Path) {
    let file = ["data/postmaster.pid", "pid"].map(|name| directory.join(name));
    let Some(file) = file.iter().find_map(|file| fs::read_to_string(file).ok()) else { return };
    let Some(id) = file.lines().next().and_then(|line| line.trim().parse().ok()) else { return };
    let command_line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let name = directory.as_os_str().as_encoded_bytes();
    // The id may long belong to another process; only the one of this very directory is ended.
    let is_ours = command_line.windows(name.len()).any(|part| part == name);
    if let (true, Some(pid)) = (is_ours, Pid::from_raw(id)) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Cargo marks its build directory; a test binary lies somewhere below it.
fn target_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program.ancestors().skip(1).find(|path| path.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        Path::to_path_buf,
    )
}

/// Makes `directory`, readable by all, unless it is there already.
fn prepare(directory: &Path) -> Result<(), String> {
    if directory.is_dir() {
        return Ok(());
    }
    let open = fs::Permissions::from_mode(0o755);
    let made = fs::create_dir_all(directory).and_then(|()| fs::set_permissions(directory, open));
    made.map_err(|error| describe(directory, &error))
}

/// A directory with a name that others know must not be one that others made.
fn refuse_foreign(directory: &Path) -> Result<(), String> {
    let found = fs::symlink_metadata(directory).map_err(|error| describe(directory, &error))?;
    if found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(format!("{} belongs to another user: remove it", directory.display()))
}

fn describe(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
