//! Packages that are installed on this machine.

use std::path::{Path, PathBuf};

use super::Wanted;

/// The directory with the installed programs.
pub(crate) fn installed(wanted: &Wanted<'_>) -> Result<PathBuf, String> {
    let bin = Path::new("/").join(wanted.directory);
    if bin.join(wanted.program).is_file() {
        return Ok(bin);
    }
    Err(format!("nothing installed in {}", bin.display()))
}
