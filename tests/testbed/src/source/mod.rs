//! Where the programs of a server come from, in the order in which they are tried.

pub(crate) mod debian;
mod docker;
pub(crate) mod environment;
mod tree;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::account::Account;
use crate::place::Run;
use crate::process::bound;
use docker::Container;

/// The programs of one version of a server, ready to run here.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// For people: where they came from.
    pub(crate) origin: String,
    kind: Kind,
    account: Option<Account>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Files of this machine: a root, which is `/` for installed packages, and the directories
    /// below it that have programs.
    Local {
        root: PathBuf,
        directories: Vec<PathBuf>,
    },
    Image(String),
}

/// What to look for.
pub(crate) struct Wanted<'a> {
    /// For people: `PostgreSQL 15`.
    pub(crate) name: &'a str,
    /// The image of a Docker registry.
    pub(crate) image: &'a str,
    /// Where Debian's packages put the programs, below `/` or a tree's root.
    pub(crate) directories: &'a [&'a str],
    /// The program that must be there.
    pub(crate) program: &'a str,
    /// What `program --version` says, where other versions are installed in the same directory.
    pub(crate) says: Option<&'a str>,
    /// The Debian or Ubuntu suite and the packages that have it; one that ends with `!` is fetched
    /// without what it depends on.
    pub(crate) suite: &'a str,
    pub(crate) packages: &'a [&'a str],
}

impl Wanted<'_> {
    /// The directories with programs below `root`, when the wanted program is in one of them.
    fn below(&self, root: &Path) -> Option<Vec<PathBuf>> {
        let directories: Vec<_> = self.directories.iter().map(|name| root.join(name)).collect();
        let present = directories.iter().any(|directory| directory.join(self.program).is_file());
        present.then_some(directories)
    }
}

impl Programs {
    /// The first source that has what is wanted, or why none has.
    pub(crate) fn find(wanted: &Wanted<'_>, trees: &Path) -> Result<Programs, String> {
        let account = Account::for_servers();
        let ready = |origin, kind| Ok(Programs { origin, kind, account });
        let mut reasons = Vec::new();
        match docker::image(wanted) {
            Ok(image) => return ready(format!("image {image}"), Kind::Image(image)),
            Err(reason) => reasons.push(reason),
        }
        match debian::installed(wanted) {
            Ok(directories) => {
                let origin = directories[0].display().to_string();
                return ready(origin, Kind::Local { root: PathBuf::from("/"), directories });
            }
            Err(reason) => reasons.push(reason),
        }
        match tree::unpacked(wanted, trees) {
            Ok((root, directories)) => {
                let origin = format!("unpacked packages of {}", wanted.suite);
                return ready(origin, Kind::Local { root, directories });
            }
            Err(reason) => reasons.push(reason),
        }
        Err(format!("no {} here: {}", wanted.name, reasons.join("; ")))
    }

    /// Who the programs run as, when not as the caller.
    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// Where the programs' own files begin; `None` for those of an image.
    pub(crate) fn root(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Local { root, .. } => Some(root),
            Kind::Image(_) => None,
        }
    }

    /// A shell that sees the programs' own files.
    pub(crate) fn shell(&self, run: &Run) -> Command {
        match &self.kind {
            Kind::Local { .. } => Command::new("sh"),
            Kind::Image(_) => self.command("sh", run),
        }
    }

    /// What ends a server of these programs at once. The client of an engine cannot pass on
    /// SIGKILL, and the server would outlive it.
    pub(crate) fn end(&self) -> Signal {
        match &self.kind {
            Kind::Local { .. } => Signal::KILL,
            Kind::Image(_) => Signal::QUIT,
        }
    }

    /// `program`, run in the directories of `run`, which are all of the file system it may need.
    pub(crate) fn command(&self, program: &str, run: &Run) -> Command {
        self.complete(program, run, |name| Command::new(name))
    }

    /// Like [`Programs::command`], for a server: it gets the signal `end` when this process ends.
    pub(crate) fn server(&self, program: &str, run: &Run, end: Signal) -> Command {
        self.complete(program, run, |name| bound(name, end))
    }

    fn complete(&self, program: &str, run: &Run, new: impl Fn(&OsStr) -> Command) -> Command {
        let mut command = match &self.kind {
            Kind::Local { directories, .. } => {
                let there = |directory: &&PathBuf| directory.join(program).is_file();
                let directory = directories.iter().find(there).unwrap_or(&directories[0]);
                let mut command = new(directory.join(program).as_os_str());
                if let Some(account) = self.account {
                    account.apply(&mut command);
                }
                command
            }
            Kind::Image(image) => {
                let mut command = new(OsStr::new("docker"));
                let (directories, account) = (&*run.directories(), self.account);
                Container { image, program, directories, account }.complete(&mut command);
                command
            }
        };
        let directory = run.directory();
        command.current_dir(directory).env("HOME", directory).env("LC_ALL", "C");
        // What the developer's shell says about servers is not about these.
        let names = std::env::vars_os().map(|(name, _)| name);
        let foreign = ["PG", "MYSQL", "MARIADB"].map(str::as_bytes);
        for name in names {
            if foreign.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
    }
}
