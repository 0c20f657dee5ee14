//! Packages of any Debian or Ubuntu suite, unpacked beside the machine's own and run from there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Wanted;
use crate::place::lock;

/// The root of a tree below `trees`, which is fetched when it is missing, and the directories with
/// its programs.
/// Processes that want the same tree wait for the one that fetches it.
pub(super) fn unpacked(
    wanted: &Wanted<'_>,
    trees: &Path,
) -> Result<(PathBuf, Vec<PathBuf>), String> {
    let packages = wanted.packages.join("+").replace('!', "");
    let tree = trees.join(format!("{packages}-{}", wanted.suite));
    let root = tree.join("sysroot");
    let _one_at_a_time = lock(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    if !is_whole(&tree) {
        fetch(wanted, &tree)?;
    }
    match wanted.below(&root) {
        Some(directories) => Ok((root, directories)),
        None => {
            let tree = tree.display();
            Err(format!("{tree} has no {}: remove it to fetch it again", wanted.program))
        }
    }
}

/// A tree runs only where it was made: its programs name their loader by an absolute path.
fn is_whole(tree: &Path) -> bool {
    let made_for = fs::read_to_string(tree.join("location")).unwrap_or_default();
    let here = tree.canonicalize().unwrap_or_default();
    !made_for.is_empty() && Path::new(made_for.trim_end()) == here
}

fn fetch(wanted: &Wanted<'_>, tree: &Path) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian-tree.sh");
    let mut command = Command::new("bash");
    command.arg(script).arg(wanted.suite).arg(tree).args(wanted.packages);
    let output = command.arg("--").args(wanted.directories).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("bash: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = text.lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("unpacking {} failed: {}", wanted.suite, last.join(" | ")))
}
