use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use connector_api::{Error, Result};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::stock::encode::timestamp;
use crate::telemetry::now_us;

/// The file beside the database that the working process holds locked. The operating system lets
/// go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let path = beside(database);
        let failed = |error: std::io::Error| {
            Error::operator(
                format!("{} cannot be opened: {error}", path.display()),
                "create its folder, or make it writable for the user tailstock runs as",
            )
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let holder = signed(&mut file);
                let what = format!("{} is in use by {holder}", database.display());
                return Err(Error::held(what, holder));
            }
            Err(error) => {
                return Err(Error::operator(
                    format!("{} cannot be locked: {error}", path.display()),
                    "put the database on a local file system",
                ));
            }
        }
        let since = timestamp(now_us());
        let (id, host, since) = (std::process::id(), host(), &since[.."2026-11-21T00:00:00".len()]);
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "tailstock, process {id} on {host} since {since}Z").map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Who holds the lock of a database, for commands that do not want it. Whoever wants it this
/// instant finds it taken for a moment, and tries again.
pub fn holder(database: &Path) -> Option<String> {
    let mut file = File::open(beside(database)).ok()?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(signed(&mut file)),
        Ok(()) | Err(_) => None,
    }
}

/// Who holds the lock, for people. It may have been taken this instant and not be signed yet.
fn signed(file: &mut File) -> String {
    let mut signature = String::new();
    match file.read_to_string(&mut signature) {
        Ok(_) if !signature.trim().is_empty() => signature.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

/// The lock of the file itself, whatever links lead to it.
fn beside(database: &Path) -> PathBuf {
    let file = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let mut name = file.into_os_string();
    name.push(".lock");
    name.into()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
