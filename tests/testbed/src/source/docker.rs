//! Programs inside an image, run by a Docker engine as if they were installed.
//!
//! The container shares the host's network, and the server's directory at its path, and runs as
//! the servers' account, so data, sockets, certificates and signals are those of a local process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::Wanted;
use crate::account::Account;

/// The image, present in a local engine that answers.
pub(super) fn image(wanted: &Wanted<'_>) -> Result<String, String> {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    if !*ANSWERS.get_or_init(|| succeeds(&["version", "--format", "{{.Server.Version}}"])) {
        return Err("no Docker engine answers".to_owned());
    }
    let image = wanted.image.to_owned();
    if succeeds(&["image", "inspect", &image]) || succeeds(&["pull", "--quiet", &image]) {
        return Ok(image);
    }
    Err(format!("Docker cannot pull {image}"))
}

fn succeeds(arguments: &[&str]) -> bool {
    let mut command = Command::new("docker");
    let quiet = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What to run and where.
pub(super) struct Container<'a> {
    pub(super) image: &'a str,
    pub(super) program: &'a str,
    /// Shared with the host, at the same paths; the program runs in the first.
    pub(super) directories: &'a [&'a Path],
    pub(super) account: Option<Account>,
}

impl Container<'_> {
    /// Completes `docker`, the client without arguments; the program's own arguments may follow.
    pub(super) fn complete(&self, docker: &mut Command) {
        // The host's process ids: a server's own pid file then names what can be signalled.
        docker.args(["run", "--rm", "--interactive", "--network=host", "--pid=host"]);
        for directory in self.directories {
            docker.args(["--volume", &format!("{0}:{0}", directory.display())]);
        }
        let (uid, gid) = self.account.map_or_else(
            || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
            |account| (account.uid, account.gid),
        );
        // Programs look the user up by its id, which the image need not know.
        docker.args(["--volume=/etc/passwd:/etc/passwd:ro", "--user", &format!("{uid}:{gid}")]);
        for name in PASSED_ON {
            docker.args(["--env", name]);
        }
        if let Some(directory) = self.directories.first() {
            docker.arg("--workdir").arg(directory);
        }
        docker.args(["--entrypoint", self.program, self.image]);
    }
}

/// Variables that the container takes from the client's environment, where they are set.
const PASSED_ON: [&str; 8] =
    ["HOME", "LC_ALL", "PGDATA", "PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGUSER"];

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::Container;
    use crate::account::Account;

    #[test]
    fn a_container_shares_the_directory_and_the_account_and_ends_with_the_image() {
        let mut docker = Command::new("docker");
        let account = Some(Account { uid: 101, gid: 104 });
        let directories = &[Path::new("/b/run/1-1")];
        Container { image: "postgres:15", program: "initdb", directories, account }
            .complete(&mut docker);
        let arguments: Vec<_> =
            docker.get_args().filter_map(|argument| argument.to_str()).collect();
        let line = arguments.join(" ");
        assert!(line.starts_with("run --rm --interactive --network=host"), "{line}");
        assert!(line.contains("--volume /b/run/1-1:/b/run/1-1 "), "{line}");
        assert!(line.contains("--user 101:104 "), "{line}");
        assert!(line.ends_with("--workdir /b/run/1-1 --entrypoint initdb postgres:15"), "{line}");
    }
}
