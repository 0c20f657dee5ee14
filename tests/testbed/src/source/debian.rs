//! Packages that are installed on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Wanted;

/// The directories with the installed programs.
pub(crate) fn installed(wanted: &Wanted<'_>) -> Result<Vec<PathBuf>, String> {
    let Some(directories) = wanted.below(Path::new("/")) else {
        let directories = wanted.directories.join(" or /");
        return Err(format!("no {} in /{directories}", wanted.program));
    };
    let Some(version) = wanted.says else { return Ok(directories) };
    let mut files = directories.iter().map(|directory| directory.join(wanted.program));
    let file = files.find(|file| file.is_file()).unwrap_or_default();
    let output = Command::new(&file).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", file.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains(version) {
        return Ok(directories);
    }
    Err(format!("{} is another version: {}", file.display(), said.trim()))
}
