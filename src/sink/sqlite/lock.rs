use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use connector_api::{Error, Result};
use rustix::fs::FlockOperation;

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
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // Whatever can be read of the holder is only for people.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().to_owned();
            let what = format!("{} is in use by {holder}", database.display());
            return Err(Error::held(what, holder));
        }
        let holder = format!("tailstock, process {} on {}", std::process::id(), host());
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{holder}").map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
